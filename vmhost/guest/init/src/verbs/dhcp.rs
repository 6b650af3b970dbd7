//! The smallest DHCP client (RFC 2131) that gets an address: discover, offer, request, ack.
//!
//! No renewal, no release: the guests that use it live shorter than a lease. Replies come from
//! the network, so whatever is in them is checked, and what doesn't fit is not a reply.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::net::{interface, mac};
use super::{Args, Failure, Step as _};
use crate::Guest;
use crate::sys::{kernel, netdev};

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
const TIMEOUT: Duration = Duration::from_secs(2);
const TRIES: usize = 4;

/// Where the fields are (RFC 2131, figure 1).
const TRANSACTION: usize = 4;
const FLAGS: usize = 10;
const YOUR_ADDRESS: usize = 16;
const HARDWARE: usize = 28;
const COOKIE: usize = 236;
const OPTIONS: usize = 240;
/// The shortest message that every relay takes (RFC 1542).
const SHORTEST: usize = 300;

const MAGIC: [u8; 4] = [99, 130, 83, 99];

/// Options (RFC 2132).
const MASK: u8 = 1;
const ROUTER: u8 = 3;
const DNS: u8 = 6;
const WANTED_ADDRESS: u8 = 50;
const LEASE: u8 = 51;
const KIND: u8 = 53;
const SERVER: u8 = 54;
const PARAMETERS: u8 = 55;
const END: u8 = 255;

/// Values of the option [`KIND`].
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;

pub(super) fn run(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let interface = interface(&mut args)?;
    let path = format!("/sys/class/net/{interface}/address");
    let address = std::fs::read_to_string(&path).step(format!("read {path}"))?;
    let hardware = mac(address.trim()).ok_or_else(|| Failure::Wrong(format!("{interface} is no Ethernet")))?;
    netdev::set_up(interface).step(format!("bring up {interface}"))?;
    let mut transaction = [0; 4];
    kernel::random(&mut transaction).step("getrandom")?;
    let client = Client { socket: open(interface).step("open a socket")?, transaction, hardware };

    let offer = client.ask(DISCOVER, &[], OFFER)?;
    let server = offer.server.ok_or_else(|| Failure::Wrong("an offer without a server".to_owned()))?;
    let wanted = [(WANTED_ADDRESS, offer.address.octets()), (SERVER, server.octets())];
    let ack = client.ask(REQUEST, &wanted, ACK)?;

    let mask = ack.mask.unwrap_or(Ipv4Addr::new(255, 255, 255, 0));
    netdev::set_address(interface, ack.address, mask).step(format!("address of {interface}"))?;
    if let Some(gateway) = ack.gateway {
        netdev::set_gateway(gateway).step(format!("route through {gateway}"))?;
    }
    let or_none = |address: Option<Ipv4Addr>| address.map_or_else(|| "none".to_owned(), |address| address.to_string());
    let length = u32::from(mask).leading_ones();
    let (gateway, dns) = (or_none(ack.gateway), or_none(ack.dns));
    let lease_s = ack.lease_s.unwrap_or(0);
    Ok(format!("address={}/{length} gateway={gateway} dns={dns} server={server} lease_s={lease_s}", ack.address))
}

fn open(interface: &str) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, CLIENT_PORT))?;
    netdev::bind_to_interface(&socket, interface)?;
    socket.set_broadcast(true)?;
    Ok(socket)
}

struct Client {
    socket: UdpSocket,
    transaction: [u8; 4],
    hardware: [u8; 6],
}

impl Client {
    /// Sends one message until the reply of the wanted kind comes.
    fn ask(&self, kind: u8, options: &[(u8, [u8; 4])], wanted: u8) -> Result<Lease, Failure> {
        let message = self.message(kind, options);
        let mut buffer = [0; 1500];
        for _ in 0..TRIES {
            self.socket.send_to(&message, (Ipv4Addr::BROADCAST, SERVER_PORT)).step("send")?;
            let deadline = Instant::now() + TIMEOUT;
            while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                self.socket.set_read_timeout(Some(left)).step("set timeout")?;
                let Ok(length) = self.socket.recv(&mut buffer) else { break };
                match self.parse(&buffer[..length]) {
                    Some((found, lease)) if found == wanted => return Ok(lease),
                    // Another client's, an earlier reply again, or noise.
                    _ => {}
                }
            }
        }
        Err(Failure::Wrong(format!("no reply to message {kind} after {TRIES} tries")))
    }

    fn message(&self, kind: u8, options: &[(u8, [u8; 4])]) -> Vec<u8> {
        let mut message = vec![0; OPTIONS];
        // A request over Ethernet with addresses of six bytes.
        message[..3].copy_from_slice(&[1, 1, 6]);
        message[TRANSACTION..TRANSACTION + 4].copy_from_slice(&self.transaction);
        // Broadcast replies, as a packet to an address that isn't ours yet would be dropped.
        message[FLAGS] = 0x80;
        message[HARDWARE..HARDWARE + 6].copy_from_slice(&self.hardware);
        message[COOKIE..OPTIONS].copy_from_slice(&MAGIC);
        message.extend([KIND, 1, kind]);
        for (option, value) in options {
            message.extend([*option, 4]);
            message.extend(value);
        }
        message.extend([PARAMETERS, 4, MASK, ROUTER, DNS, LEASE, END]);
        message.resize(message.len().max(SHORTEST), 0);
        message
    }

    /// The kind of a reply to this client, and what it grants.
    fn parse(&self, message: &[u8]) -> Option<(u8, Lease)> {
        let is_ours = message.first() == Some(&2)
            && message.get(TRANSACTION..TRANSACTION + 4)? == self.transaction
            && message.get(HARDWARE..HARDWARE + 6)? == self.hardware
            && message.get(COOKIE..OPTIONS)? == MAGIC;
        if !is_ours {
            return None;
        }
        let options = message.get(OPTIONS..)?;
        let address = |code| option(options, code).and_then(four).map(Ipv4Addr::from);
        let lease = Lease {
            address: four(message.get(YOUR_ADDRESS..)?)?.into(),
            mask: address(MASK),
            gateway: address(ROUTER),
            dns: address(DNS),
            server: address(SERVER),
            lease_s: option(options, LEASE).and_then(four).map(u32::from_be_bytes),
        };
        Some((*option(options, KIND)?.first()?, lease))
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Lease {
    address: Ipv4Addr,
    mask: Option<Ipv4Addr>,
    gateway: Option<Ipv4Addr>,
    dns: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    lease_s: Option<u32>,
}

fn four(bytes: &[u8]) -> Option<[u8; 4]> {
    bytes.first_chunk().copied()
}

/// The value of an option: code, length, value; 0 is padding without a length.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        options = match options {
            [END, ..] | [] => return None,
            [0, rest @ ..] => rest,
            [code, length, rest @ ..] => {
                let (value, rest) = rest.split_at_checked(usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                rest
            }
            [_] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_any_bytes() {
        for (options, wanted) in [
            (&[53, 1, 2, 255][..], Some(&[2][..])),
            (&[0, 0, 1, 2, 9, 9, 53, 0], Some(&[])),
            (&[255, 53, 1, 2], None),
            (&[1, 200, 53, 1, 2], None),
            (&[53, 2, 1], None),
            (&[53], None),
            (&[], None),
        ] {
            assert_eq!(option(options, 53), wanted, "{options:?}");
        }
    }

    #[test]
    fn replies_to_others_are_none() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let client = Client { socket, transaction: [1, 2, 3, 4], hardware: [2, 0, 0, 0, 0, 1] };
        let mut reply = client.message(OFFER, &[(SERVER, [10, 0, 2, 2]), (MASK, [255, 255, 255, 0])]);
        reply[0] = 2;
        reply[YOUR_ADDRESS..YOUR_ADDRESS + 4].copy_from_slice(&[10, 0, 2, 15]);
        let (kind, lease) = client.parse(&reply).expect("a reply");
        assert_eq!((kind, lease.address), (OFFER, Ipv4Addr::new(10, 0, 2, 15)));
        assert_eq!((lease.server, lease.gateway), (Some(Ipv4Addr::new(10, 0, 2, 2)), None));
        for damaged in [0, TRANSACTION, HARDWARE + 5, COOKIE] {
            let mut other = reply.clone();
            other[damaged] ^= 1;
            assert_eq!(client.parse(&other), None, "byte {damaged}");
        }
        for length in 0..OPTIONS + 3 {
            assert_eq!(client.parse(&reply[..length]), None, "length {length}");
        }
    }
}
