//! The network interface: addresses, echoes, and a frame that it shouldn't let out.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use super::{Args, Failure, Step as _};
use crate::pattern::Pattern;
use crate::stream::round_trip;
use crate::sys::{clock, netdev};
use crate::{Guest, server, services};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
const PING_TRIES: u32 = 3;
const PING: &[u8] = b"sandglass udp ping";

/// IEEE 802 "local experimental EtherType 1": no stack acts on it.
const EXPERIMENTAL: [u8; 2] = [0x88, 0xb5];

pub(super) fn link(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let interface = interface(&mut args)?;
    let folder = format!("/sys/class/net/{interface}");
    let attribute = |name: &str| fs::read_to_string(format!("{folder}/{name}")).map(|text| text.trim().to_owned());
    let mac = attribute("address").step(format!("read {folder}/address"))?;
    let other = |name| attribute(name).unwrap_or_else(|_| "unknown".to_owned());
    let [mtu, carrier, state] = ["mtu", "carrier", "operstate"].map(other);
    let [received, sent] = ["statistics/rx_packets", "statistics/tx_packets"].map(other);
    Ok(format!("mac={mac} mtu={mtu} carrier={carrier} state={state} rx_packets={received} tx_packets={sent}"))
}

pub(super) fn up(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let interface = interface(&mut args)?;
    let (address, mask) = args.parsed("CIDR", cidr)?;
    let gateway = if args.count() > 0 { Some(args.parsed("GATEWAY", |word| word.parse().ok())?) } else { None };
    netdev::set_address(interface, address, mask).step(format!("address of {interface}"))?;
    netdev::set_up(interface).step(format!("bring up {interface}"))?;
    if let Some(gateway) = gateway {
        netdev::set_gateway(gateway).step(format!("route through {gateway}"))?;
    }
    Ok(String::new())
}

/// Sends one broadcast frame whose source isn't the interface's own address.
pub(super) fn spoof(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let interface = interface(&mut args)?;
    let source = args.parsed("MAC", mac)?;
    let mut frame = Vec::from([0xff; 6]);
    frame.extend(source);
    frame.extend(EXPERIMENTAL);
    frame.extend(b"sandglass spoofed frame");
    // The shortest Ethernet frame, without its checksum.
    frame.resize(60, 0);
    netdev::send_frame(interface, &frame).step(format!("send on {interface}"))?;
    Ok(format!("bytes={}", frame.len()))
}

pub(super) fn tcp_echo_server(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let port = port(&mut args)?;
    let listener =
        TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)));
    let listener = listener.step(format!("listen on port {port}"))?;
    let port = listener.local_addr().step("address")?.port();
    let serve = move || {
        for stream in listener.incoming().flatten() {
            // A failure to start means that the connection closes.
            let _ = server::spawn("tcp-echo", move || drop(services::echo(stream)));
        }
    };
    server::spawn("tcp-accept", serve).step("start a thread")?;
    Ok(format!("port={port}"))
}

pub(super) fn tcp_connect(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let address = (host(&mut args)?, port(&mut args)?).into();
    let bytes = args.number("BYTES")?;
    let pattern = Pattern::new(args.number("SEED")?);
    let start = clock::monotonic_us();
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).step(format!("connect to {address}"))?;
    round_trip(stream, bytes, pattern).map_err(Failure::Wrong)?;
    Ok(format!("bytes={bytes} us={}", clock::monotonic_us() - start))
}

pub(super) fn udp_echo_server(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let port = port(&mut args)?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).step(format!("bind to port {port}"))?;
    let port = socket.local_addr().step("address")?.port();
    let serve = move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            // A lost datagram is what UDP promises.
            let _ = socket.send_to(&buffer[..length], peer);
        }
    };
    server::spawn("udp-echo", serve).step("start a thread")?;
    Ok(format!("port={port}"))
}

pub(super) fn udp_ping(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let (host, port) = (host(&mut args)?, port(&mut args)?);
    let any: IpAddr = if host.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).step("bind")?;
    socket.connect((host, port)).step(format!("address {host}"))?;
    socket.set_read_timeout(Some(PING_TIMEOUT)).step("set timeout")?;
    let mut reply = [0; PING.len() + 1];
    for attempt in 1..=PING_TRIES {
        let start = clock::monotonic_us();
        match socket.send(PING).and_then(|_| socket.recv(&mut reply)) {
            Ok(length) if reply[..length] == *PING => {
                return Ok(format!("us={} tries={attempt}", clock::monotonic_us() - start));
            }
            Ok(length) => return Err(Failure::Wrong(format!("another reply, of {length} bytes"))),
            Err(error) if attempt == PING_TRIES => return Err(error).step(format!("{PING_TRIES} tries")),
            // Lost, or refused by a peer that is only starting.
            Err(_) => {}
        }
    }
    Err(Failure::Wrong("no tries".to_owned()))
}

/// An interface's name: never a path, as it becomes a part of one.
pub(super) fn interface<'a>(args: &mut Args<'a>) -> Result<&'a str, Failure> {
    let word = args.word("IFACE")?;
    if word.contains('/') || word.starts_with('.') {
        return Err(Failure::Argument { name: "IFACE", word: word.to_owned() });
    }
    Ok(word)
}

/// A literal address: nothing here asks a name server.
fn host(args: &mut Args<'_>) -> Result<IpAddr, Failure> {
    args.parsed("HOST", |word| word.parse().ok())
}

fn port(args: &mut Args<'_>) -> Result<u16, Failure> {
    args.parsed("PORT", |word| word.parse().ok())
}

/// `10.0.2.15/24` as address and mask.
fn cidr(word: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (address, length) = word.split_once('/')?;
    let length = length.parse::<u32>().ok().filter(|length| *length <= 32)?;
    Some((address.parse().ok()?, u32::MAX.checked_shl(32 - length).unwrap_or(0).into()))
}

/// `02:00:00:00:00:01`.
pub(super) fn mac(word: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> =
        word.split(':').map(|byte| if byte.len() == 2 { u8::from_str_radix(byte, 16).ok() } else { None }).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_a_mask() {
        for (word, wanted) in [
            ("10.0.2.15/24", Some(([10, 0, 2, 15], [255, 255, 255, 0]))),
            ("10.0.2.15/32", Some(([10, 0, 2, 15], [255, 255, 255, 255]))),
            ("0.0.0.0/0", Some(([0, 0, 0, 0], [0, 0, 0, 0]))),
            ("10.0.2.15/33", None),
            ("10.0.2.15", None),
            ("10.0.2/24", None),
        ] {
            assert_eq!(cidr(word), wanted.map(|(address, mask)| (address.into(), mask.into())), "{word}");
        }
    }

    #[test]
    fn hardware_addresses() {
        for (word, wanted) in [
            ("02:00:00:ab:CD:01", Some([2, 0, 0, 0xab, 0xcd, 1])),
            ("02:00:00:ab:cd", None),
            ("2:0:0:0:0:1", None),
            ("02:00:00:ab:cd:01:02", None),
            ("+2:00:00:00:00:0g", None),
        ] {
            assert_eq!(mac(word), wanted, "{word}");
        }
    }
}
