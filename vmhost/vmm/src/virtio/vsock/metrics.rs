//! What is counted.

/// Counters since the process has started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections that both sides agreed to.
    pub opened: u64,
    /// Connections that one side asked for in vain.
    pub refused: u64,
    /// Connections that were open and aren't any more.
    pub closed: u64,
    /// Payload from guest to host.
    pub sent_bytes: u64,
    /// Payload from host to guest.
    pub received_bytes: u64,
    /// How often the host had bytes and the guest no credit.
    pub credit_stalls: u64,
    /// Packets that break the protocol.
    pub protocol_errors: u64,
}

impl Counters {
    /// As `Device::metrics` has it.
    pub fn list(&self, open: usize) -> Vec<(&'static str, u64)> {
        vec![
            ("open_connections", open as u64),
            ("opened_connections", self.opened),
            ("refused_connections", self.refused),
            ("closed_connections", self.closed),
            ("sent_bytes", self.sent_bytes),
            ("received_bytes", self.received_bytes),
            ("credit_stalls", self.credit_stalls),
            ("protocol_errors", self.protocol_errors),
        ]
    }
}
