//! What the kernel says of a network interface, asked of the namespace that the process is in: sysfs shows the
//! one that it was mounted in.
//!
//! Invariant of the unsafe code: a request is a live structure of the size that its number stands for, and
//! outlives the call.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its driver, or the kind of a virtual one; empty if neither is told.
    pub driver: String,
    /// Whether its frames have an Ethernet header.
    pub is_ethernet: bool,
    /// Whether it is the loopback interface.
    pub is_loopback: bool,
    /// If it is a VLAN: the interface below, and its tag.
    pub vlan: Option<(u32, u16)>,
}

/// The kernel's `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
/// The kernel's `ARPHRD_LOOPBACK`.
const LOOPBACK: u16 = 772;

/// The kernel's `ETHTOOL_GDRVINFO`.
const DRIVER_INFO: u32 = 3;
/// The kernel's `SIOCETHTOOL`.
const ETHTOOL: libc::Ioctl = 0x8946;

/// The kernel's `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

const _: () = assert!(size_of::<DriverInfo>() == 196);

impl Device {
    /// The interface of that name.
    pub fn find(name: &str) -> io::Result<Self> {
        let socket = asker()?;
        let index = ask(&socket, name, libc::SIOCGIFINDEX)?;
        let hardware = ask(&socket, name, libc::SIOCGIFHWADDR)?;
        // SAFETY: the kernel has filled in the index.
        let index = unsafe { index.ifr_ifru.ifru_ifindex };
        // SAFETY: the kernel has filled in the hardware address.
        let kind = unsafe { hardware.ifr_ifru.ifru_hwaddr }.sa_family;
        Ok(Self {
            name: name.to_owned(),
            index: index.cast_unsigned(),
            driver: driver(&socket, name).unwrap_or_default(),
            is_ethernet: matches!(kind, ETHERNET | LOOPBACK),
            is_loopback: kind == LOOPBACK,
            vlan: vlan(&socket, name),
        })
    }
}

/// A socket to ask by: any will do.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is sent or received by it"
)]
fn asker() -> io::Result<UdpSocket> {
    UdpSocket::bind(("127.0.0.1", 0)).or_else(|_| UdpSocket::bind(("::1", 0)))
}

/// A request about the interface of that name.
fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: integers and pointers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero.
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::NotFound.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    Ok(request)
}

fn ask(socket: &UdpSocket, name: &str, what: libc::Ioctl) -> io::Result<libc::ifreq> {
    let mut request = request(name)?;
    // SAFETY: the numbers used here take an `ifreq` and write nothing else.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut request) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(request)
}

/// The driver's name, which virtual interfaces have as well.
fn driver(socket: &UdpSocket, name: &str) -> io::Result<String> {
    let mut info = DriverInfo {
        command: DRIVER_INFO,
        driver: [0; 32],
        rest: [0; 160],
    };
    let mut request = request(name)?;
    request.ifr_ifru.ifru_data = (&raw mut info).cast();
    // SAFETY: the command says that what the request points to is a `DriverInfo`.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), ETHTOOL, &raw mut request) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    let name = CStr::from_bytes_until_nul(&info.driver).unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

/// The interface below a VLAN, and its tag.
fn vlan(socket: &UdpSocket, name: &str) -> Option<(u32, u16)> {
    let text = fs::read_to_string(format!("/proc/thread-self/net/vlan/{name}")).ok()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let after = |word: &str| {
        let at = words.iter().position(|other| *other == word)?;
        words.get(at + 1).copied()
    };
    let tag = after("VID:")?.parse().ok()?;
    let below = ask(socket, after("Device:")?, libc::SIOCGIFINDEX).ok()?;
    // SAFETY: the kernel has filled in the index.
    let below = unsafe { below.ifr_ifru.ifru_ifindex };
    Some((below.cast_unsigned(), tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_one() {
        let device = Device::find("lo").expect("there is always one");
        assert!(device.is_loopback && device.is_ethernet);
        assert_eq!((device.index, device.vlan), (1, None));
    }

    #[test]
    fn what_does_not_exist_is_not_found() {
        assert!(Device::find("no-such-interface").is_err());
    }
}
