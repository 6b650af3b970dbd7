//! The header of each packet (5.10.6): 44 little-endian bytes.

/// Length of a header.
pub const SIZE: usize = 44;

/// The host's context id.
pub const HOST_CID: u64 = 2;

/// The type of a stream socket.
pub const STREAM: u16 = 1;

/// The sender of a shutdown will receive no more.
pub const SHUTDOWN_RECEIVE: u32 = 1;

/// The sender of a shutdown will send no more.
pub const SHUTDOWN_SEND: u32 = 2;

/// Both.
pub const SHUTDOWN_BOTH: u32 = SHUTDOWN_RECEIVE | SHUTDOWN_SEND;

/// What a packet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Op {
    /// Asks for a connection.
    Request = 1,
    /// Accepts it.
    Response = 2,
    /// Refuses or ends it.
    Reset = 3,
    /// The sender is done with one direction or with both.
    Shutdown = 4,
    /// Carries bytes ("RW").
    Data = 5,
    /// Tells the sender's credit.
    CreditUpdate = 6,
    /// Asks for the receiver's credit.
    CreditRequest = 7,
}

impl Op {
    fn of(number: u16) -> Option<Self> {
        let all = [
            Self::Request,
            Self::Response,
            Self::Reset,
            Self::Shutdown,
            Self::Data,
            Self::CreditUpdate,
            Self::CreditRequest,
        ];
        all.into_iter().find(|op| *op as u16 == number)
    }
}

/// A header; every field may hold anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Header {
    /// Context id of the sender.
    pub src_cid: u64,
    /// Context id of the receiver.
    pub dst_cid: u64,
    /// Port of the sender.
    pub src_port: u32,
    /// Port of the receiver.
    pub dst_port: u32,
    /// Bytes of payload.
    pub len: u32,
    /// Type of socket.
    pub kind: u16,
    /// See `Op`.
    pub op: u16,
    /// Meaning depends on `op`.
    pub flags: u32,
    /// The sender's whole buffer, in bytes.
    pub buf_alloc: u32,
    /// Bytes that the sender's application has taken, modulo 2^32.
    pub fwd_cnt: u32,
}

impl Header {
    /// Reads it.
    pub fn decode(bytes: &[u8; SIZE]) -> Self {
        Self {
            src_cid: u64::from_le_bytes(at(bytes, 0)),
            dst_cid: u64::from_le_bytes(at(bytes, 8)),
            src_port: u32::from_le_bytes(at(bytes, 16)),
            dst_port: u32::from_le_bytes(at(bytes, 20)),
            len: u32::from_le_bytes(at(bytes, 24)),
            kind: u16::from_le_bytes(at(bytes, 28)),
            op: u16::from_le_bytes(at(bytes, 30)),
            flags: u32::from_le_bytes(at(bytes, 32)),
            buf_alloc: u32::from_le_bytes(at(bytes, 36)),
            fwd_cnt: u32::from_le_bytes(at(bytes, 40)),
        }
    }

    /// Writes it.
    pub fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[0..8].copy_from_slice(&self.src_cid.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.dst_cid.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.src_port.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.dst_port.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.len.to_le_bytes());
        bytes[28..30].copy_from_slice(&self.kind.to_le_bytes());
        bytes[30..32].copy_from_slice(&self.op.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.flags.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.buf_alloc.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.fwd_cnt.to_le_bytes());
        bytes
    }

    /// What it does, if that is known.
    pub fn op(&self) -> Option<Op> {
        Op::of(self.op)
    }

    /// The reset that answers it, of whatever type of socket it was.
    pub fn refusal(&self) -> Self {
        Self {
            src_cid: self.dst_cid,
            dst_cid: self.src_cid,
            src_port: self.dst_port,
            dst_port: self.src_port,
            kind: self.kind,
            op: Op::Reset as u16,
            ..Self::default()
        }
    }
}

fn at<const N: usize>(bytes: &[u8; SIZE], offset: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[offset + index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_lies_in_44_bytes_in_the_order_of_the_specification() {
        let bytes: [u8; SIZE] = std::array::from_fn(|index| u8::try_from(index).expect("44 of them"));
        let header = Header::decode(&bytes);
        assert_eq!(header.src_cid, 0x0706_0504_0302_0100);
        assert_eq!(header.dst_port, 0x1716_1514);
        assert_eq!(header.len, 0x1b1a_1918);
        assert_eq!((header.kind, header.op), (0x1d1c, 0x1f1e));
        assert_eq!(header.fwd_cnt, 0x2b2a_2928);
        assert_eq!(header.encode(), bytes);
    }

    #[test]
    fn unknown_operations_have_no_name() {
        for (number, expected) in [(0, None), (1, Some(Op::Request)), (7, Some(Op::CreditRequest)), (8, None)] {
            assert_eq!(Op::of(number), expected);
        }
    }
}
