//! Network interfaces by `ioctl` and raw frames: IPv4 only, no netlink, no external tools.

#![allow(unsafe_code, reason = "ioctl with C structures, and packet sockets")]

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use super::check;

/// The interface flag "up" (and running).
pub(crate) fn set_up(interface: &str) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let mut request = named(interface)?;
    // SAFETY: `request` is a whole ifreq; the kernel fills the flags, which the second call reads.
    unsafe {
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request))?;
        request.ifr_ifru.ifru_flags |= (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request))?;
    }
    Ok(())
}

/// Gives the interface its one IPv4 address.
pub(crate) fn set_address(interface: &str, address: Ipv4Addr, mask: Ipv4Addr) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    for (command, value) in [(libc::SIOCSIFADDR, address), (libc::SIOCSIFNETMASK, mask)] {
        let mut request = named(interface)?;
        request.ifr_ifru.ifru_addr = socket_address(value);
        // SAFETY: `request` is a whole ifreq with the address that both commands read.
        check(unsafe { libc::ioctl(socket.as_raw_fd(), command, &raw const request) })?;
    }
    Ok(())
}

/// Routes all else through `gateway`.
pub(crate) fn set_gateway(gateway: Ipv4Addr) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: an rtentry consists of numbers and pointers, for which all-zero is a value.
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    route.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_gateway = socket_address(gateway);
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    // SAFETY: `route` is a whole rtentry, its device name is null, which means any.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT, &raw const route) }).map(drop)
}

/// Ties a socket to one interface, so that it can send before it has an address.
pub(crate) fn bind_to_interface(socket: &UdpSocket, interface: &str) -> io::Result<()> {
    let (level, option) = (libc::SOL_SOCKET, libc::SO_BINDTODEVICE);
    let length = interface.len() as libc::socklen_t;
    // SAFETY: the name is valid for its length.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, interface.as_ptr().cast(), length) }).map(drop)
}

/// Sends a whole Ethernet frame, source address included, as it is.
pub(crate) fn send_frame(interface: &str, frame: &[u8]) -> io::Result<()> {
    // SAFETY: takes plain numbers; protocol 0 means that nothing is received.
    let socket = check(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel just gave us this descriptor and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let mut request = named(interface)?;
    // SAFETY: `request` is a whole ifreq, whose index the kernel fills before it is read; a
    // sockaddr_ll consists of numbers, for which all-zero is a value; the frame is valid for its
    // length.
    unsafe {
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFINDEX, &raw mut request))?;
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as libc::c_ushort;
        address.sll_ifindex = request.ifr_ifru.ifru_ifindex;
        address.sll_halen = 6;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        let (frame, size) = (frame.as_ptr().cast(), frame.len());
        check(libc::sendto(socket.as_raw_fd(), frame, size, 0, (&raw const address).cast(), length))?;
    }
    Ok(())
}

/// A request about the interface of this name.
fn named(interface: &str) -> io::Result<libc::ifreq> {
    // SAFETY: an ifreq consists of numbers and a pointer, for which all-zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero.
    if interface.len() >= request.ifr_name.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "interface name is too long"));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// An IPv4 address in the form of a sockaddr: family, port 0, four bytes.
fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    // SAFETY: a sockaddr consists of numbers, for which all-zero is a value.
    let mut result: libc::sockaddr = unsafe { std::mem::zeroed() };
    result.sa_family = libc::AF_INET as libc::sa_family_t;
    for (to, from) in result.sa_data[2..].iter_mut().zip(address.octets()) {
        *to = from as libc::c_char;
    }
    result
}
