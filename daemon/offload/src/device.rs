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
    /// Its hardware address.
    pub address: [u8; 6],
    /// Its receive queues, or those of the interface below; 1 where the driver tells none.
    pub queues: u32,
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

/// The kernel's `ETHTOOL_GCHANNELS`.
const CHANNELS: u32 = 0x3c;

/// The kernel's `struct ethtool_channels`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    most: [u32; 4],
    receiving: u32,
    sending: u32,
    other: u32,
    combined: u32,
}

const _: () = assert!(size_of::<Channels>() == 36);

impl Device {
    /// The interface of that name.
    pub fn find(name: &str) -> io::Result<Self> {
        let socket = asker()?;
        let index = ask(&socket, name, libc::SIOCGIFINDEX)?;
        let hardware = ask(&socket, name, libc::SIOCGIFHWADDR)?;
        // SAFETY: the kernel has filled in the index.
        let index = unsafe { index.ifr_ifru.ifru_ifindex };
        // SAFETY: the kernel has filled in the hardware address.
        let hardware = unsafe { hardware.ifr_ifru.ifru_hwaddr };
        let kind = hardware.sa_family;
        let vlan = vlan(&socket, name);
        let below = vlan.as_ref().map_or(name, |vlan| &vlan.below);
        Ok(Self {
            address: std::array::from_fn(|at| hardware.sa_data[at].cast_unsigned()),
            queues: queues(&socket, below).unwrap_or(1).max(1),
            name: name.to_owned(),
            index: index.cast_unsigned(),
            driver: driver(&socket, name).unwrap_or_default(),
            is_ethernet: matches!(kind, ETHERNET | LOOPBACK),
            is_loopback: kind == LOOPBACK,
            vlan: vlan.map(|vlan| (vlan.index, vlan.tag)),
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
    // SAFETY: the command stands for a `DriverInfo`.
    unsafe { ethtool(socket, name, (&raw mut info).cast()) }?;
    let name = CStr::from_bytes_until_nul(&info.driver).unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

/// How many queues the interface receives by now.
fn queues(socket: &UdpSocket, name: &str) -> io::Result<u32> {
    let mut channels = Channels {
        command: CHANNELS,
        ..Channels::default()
    };
    // SAFETY: the command stands for `Channels`.
    unsafe { ethtool(socket, name, (&raw mut channels).cast()) }?;
    Ok(channels.receiving + channels.combined)
}

/// Asks the driver.
///
/// # Safety
/// `data` is a live structure of the kind that its first word, the command, stands for.
unsafe fn ethtool(socket: &UdpSocket, name: &str, data: *mut libc::c_char) -> io::Result<()> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_data = data;
    // SAFETY: the kernel writes what `data` points to, which is as long as the command says.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), ETHTOOL, &raw mut request) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// What a VLAN lies on.
struct Vlan {
    below: String,
    index: u32,
    tag: u16,
}

/// The interface below a VLAN, and its tag.
fn vlan(socket: &UdpSocket, name: &str) -> Option<Vlan> {
    let text = fs::read_to_string(format!("/proc/thread-self/net/vlan/{name}")).ok()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let after = |word: &str| {
        let at = words.iter().position(|other| *other == word)?;
        words.get(at + 1).copied()
    };
    let tag = after("VID:")?.parse().ok()?;
    let below = after("Device:")?;
    let index = ask(socket, below, libc::SIOCGIFINDEX).ok()?;
    // SAFETY: the kernel has filled in the index.
    let index = unsafe { index.ifr_ifru.ifru_ifindex };
    Some(Vlan {
        below: below.to_owned(),
        index: index.cast_unsigned(),
        tag,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_one() {
        let device = Device::find("lo").expect("there is always one");
        assert!(device.is_loopback && device.is_ethernet);
        assert_eq!((device.index, device.vlan), (1, None));
        assert_eq!((device.address, device.queues), ([0; 6], 1));
    }

    #[test]
    fn what_does_not_exist_is_not_found() {
        assert!(Device::find("no-such-interface").is_err());
    }
}
