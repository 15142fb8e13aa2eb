//! The way out that is always right: the UDP header is ours, everything below it the kernel's. It routes, finds
//! the neighbour, cuts what is too long, applies its policies, and delivers what is for this machine.
//!
//! Raw sockets of UDP would be handed a copy of every datagram that arrives; these are bound to addresses that
//! none arrives at. Invariant of the unsafe code: all that a message points at lives until the call returns, is
//! as long as said, and is only read by it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::Course;
use super::frame::{self, UDP};
use crate::address::{Family, RawAddr};

/// An address of the loopback network that nobody uses (RFC 1122 §3.2.1.3).
const NOWHERE_V4: Ipv4Addr = Ipv4Addr::new(127, 99, 104, 1);
/// An address of the block whose packets are discarded (RFC 6666).
const NOWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0x6368);

/// What `SO_SNDBUF` is set to: all ports of a worker share a socket.
const SEND_BUFFER: usize = 4 << 20;

/// A worker's raw sockets; a family that the kernel does not have is missing.
#[derive(Debug)]
pub(crate) struct Raw {
    v4: Option<Socket>,
    v6: Option<Socket>,
}

/// A control message of IPv4: its header, and a value with room for the longest.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control<T> {
    len: usize,
    level: i32,
    kind: i32,
    value: T,
}

/// The control messages of a packet: where it leaves from, and its TOS.
#[repr(C)]
struct Controls<T> {
    source: Control<T>,
    tos: Control<i32>,
}

const _: () = assert!(size_of::<Control<i32>>() == 24 && size_of::<libc::cmsghdr>() == 16);
const _: () = assert!(size_of::<Control<libc::in_pktinfo>>() == 32);
const _: () = assert!(size_of::<Control<libc::in6_pktinfo>>() == 40);

impl<T> Control<T> {
    fn new(level: i32, kind: i32, value: T) -> Self {
        Self {
            len: size_of::<libc::cmsghdr>() + size_of::<T>(),
            level,
            kind,
            value,
        }
    }
}

impl Raw {
    /// Opens the sockets. Needs CAP_NET_RAW.
    pub(crate) fn open() -> io::Result<Self> {
        let v4 = open((NOWHERE_V4, 0).into())?;
        let v6 = match open((NOWHERE_V6, 0).into()) {
            Ok(socket) => Some(socket),
            Err(error) if has_no_family(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { v4: Some(v4), v6 })
    }

    /// Sends a datagram, or says with which error number the kernel refused.
    pub(crate) fn send(&self, course: &Course, payload: &[u8]) -> Result<(), i32> {
        let header = frame::udp(course, payload).ok_or(libc::EMSGSIZE)?;
        let tos = i32::from(course.tos);
        let from = course.from.addr.0;
        if course.is_v4() == Some(true) {
            let [.., a, b, c, d] = from;
            let source = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes([a, b, c, d]),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            let controls = Controls {
                source: Control::new(libc::IPPROTO_IP, libc::IP_PKTINFO, source),
                tos: Control::new(libc::IPPROTO_IP, libc::IP_TOS, tos),
            };
            send(
                self.v4.as_ref(),
                Family::V4,
                course,
                &controls,
                &header,
                payload,
            )
        } else {
            let source = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: from },
                ipi6_ifindex: course.interface(),
            };
            let controls = Controls {
                source: Control::new(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, source),
                tos: Control::new(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, tos),
            };
            let family = Family::V6 {
                scope: course.scope,
            };
            send(
                self.v6.as_ref(),
                family,
                course,
                &controls,
                &header,
                payload,
            )
        }
    }
}

/// Opens the socket of a family, bound to where nothing arrives.
fn open(nowhere: SocketAddr) -> io::Result<Socket> {
    let kind = Type::RAW.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(nowhere), kind, Some(Protocol::UDP))?;
    match nowhere {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
    }
    socket.bind(&nowhere.into())?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    Ok(socket)
}

fn has_no_family(error: &io::Error) -> bool {
    let missing = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL];
    error
        .raw_os_error()
        .is_some_and(|errno| missing.contains(&errno))
}

fn send<T>(
    socket: Option<&Socket>,
    family: Family,
    course: &Course,
    controls: &Controls<T>,
    header: &[u8; UDP],
    payload: &[u8],
) -> Result<(), i32> {
    let socket = socket.ok_or(libc::EAFNOSUPPORT)?;
    let mut name = RawAddr::ROOM;
    // The port stands in the header; the kernel takes the one of the address for a protocol.
    let to = patchcord_contract::Endpoint {
        port: 0,
        ..course.to
    };
    family.encode(to, &mut name).ok_or(libc::EAFNOSUPPORT)?;
    let part = |bytes: &[u8]| libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut parts = [part(header), part(payload)];
    let message = libc::msghdr {
        msg_name: name.0.as_mut_ptr().cast(),
        msg_namelen: family.addr_len() as libc::socklen_t,
        msg_iov: parts.as_mut_ptr(),
        msg_iovlen: parts.len(),
        msg_control: std::ptr::from_ref(controls).cast_mut().cast(),
        msg_controllen: size_of::<Controls<T>>(),
        msg_flags: 0,
    };
    // SAFETY: the message points at the name, the parts and the control messages above, which are live and as
    // long as said; the kernel reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) };
    if sent < 0 {
        let error = io::Error::last_os_error();
        return Err(error.raw_os_error().unwrap_or(libc::EIO));
    }
    Ok(())
}
