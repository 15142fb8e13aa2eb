//! What the kernel says of one course: its route, the interface, and the neighbour (rtnetlink).
//!
//! A course has a hop only if everything that the kernel would do with a packet is understood here: rules that
//! look at ports, tunnels, IPsec policies and neighbours that are not there leave it to the kernel.

use std::collections::HashMap;
use std::fs;
use std::io;

use patchcord_contract::Addr;
use rustc_hash::FxBuildHasher;

use super::frame::PROTOCOL;
use super::hops::{Hop, Path};
use super::netlink::{Netlink, Question, attribute, attributes, half, word};

/// Route metrics (`RTAX_…`).
const METRIC_MTU: u16 = 2;
const METRIC_HOP_LIMIT: u16 = 10;
/// Attribute of a question for a route: the protocol (`RTA_IP_PROTO`).
const IP_PROTOCOL: u16 = 27;
/// Attributes of a VLAN (`IFLA_VLAN_…`).
const VLAN_ID: u16 = 1;
const VLAN_PROTOCOL: u16 = 5;
/// IPv6 settings of an interface (`IFLA_INET6_CONF`), and which of them (`DEVCONF_HOPLIMIT`).
const INET6_CONF: u16 = 2;
const CONF_HOP_LIMIT: usize = 1;
/// Attributes of a rule (`FRA_…`) that a question here answers: all up to this one but the exceptions.
const LAST_RULE_ATTRIBUTE: u16 = 25;
const TUNNEL_ID: u16 = 12;
const SOURCE_PORTS: u16 = 23;
const DESTINATION_PORTS: u16 = 24;
/// `XFRM_MSG_GETSPDINFO`, and the attribute of its answer that counts policies.
const GET_POLICIES: u16 = 0x25;
const POLICY_COUNTS: u16 = 1;
/// The kernel's `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
/// Interfaces remembered.
const DEVICES: usize = 1024;

/// A next hop and whose answer it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// None if packets are to be left to the kernel.
    pub(super) hop: Option<Hop>,
    /// The neighbour, if there is to be one: the interface, and its address.
    pub(super) neighbour: Option<(u32, Addr)>,
}

impl Answer {
    /// Left to the kernel, whatever neighbours do.
    pub(super) const NOTHING: Self = Self {
        hop: None,
        neighbour: None,
    };
}

/// The kernel as it is asked.
#[derive(Debug)]
pub(super) struct Kernel {
    routes: Netlink,
    devices: HashMap<u32, Option<Device>, FxBuildHasher>,
    /// Whether rules and policies are understood, by family, once asked.
    is_plain: Option<[bool; 2]>,
    time_to_live: u8,
}

/// An Ethernet interface in operation.
#[derive(Clone, Copy, Debug)]
struct Device {
    under: u32,
    vlan: u16,
    address: [u8; 6],
    mtu: u32,
    hop_limit: u8,
}

/// A route to somebody else.
struct Route {
    interface: u32,
    gateway: Option<Addr>,
    mtu: Option<u32>,
    life: Option<u8>,
}

impl Kernel {
    /// Opens the way to it.
    pub(super) fn open() -> io::Result<Self> {
        let life = fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").ok();
        let life = life.and_then(|text| text.trim().parse().ok());
        Ok(Self {
            routes: Netlink::open(libc::NETLINK_ROUTE, 0)?,
            devices: HashMap::default(),
            is_plain: None,
            time_to_live: life.unwrap_or(64),
        })
    }

    /// Forgets what it said of interfaces, rules and policies.
    pub(super) fn forget(&mut self) {
        self.devices.clear();
        self.is_plain = None;
    }

    /// Where packets of a course leave. An error is the socket's, not the course's.
    pub(super) fn answer(&mut self, path: &Path) -> Answer {
        let is_v4 = path.to.is_v4();
        let is_plain = *self.is_plain.get_or_insert_with(|| plain(&mut self.routes));
        if !is_plain[usize::from(!is_v4)] || is_group(path.to) {
            return Answer::NOTHING;
        }
        let Some(route) = self.route(path) else {
            return Answer::NOTHING;
        };
        let Some(device) = self.device(route.interface) else {
            return Answer::NOTHING;
        };
        let neighbour = (route.interface, route.gateway.unwrap_or(path.to));
        let life = match route.life {
            Some(life) => life,
            None if is_v4 => self.time_to_live,
            None => device.hop_limit,
        };
        let mtu = route.mtu.map_or(device.mtu, |mtu| mtu.min(device.mtu));
        let hop = self.neighbour(neighbour).map(|to| Hop {
            interface: route.interface,
            under: device.under,
            vlan: device.vlan,
            to,
            from: device.address,
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
            life,
        });
        Answer {
            hop,
            neighbour: Some(neighbour),
        }
    }

    fn route(&mut self, path: &Path) -> Option<Route> {
        let (from, to) = (bytes(&path.from), bytes(&path.to));
        let bits = (to.len() * 8) as u8;
        let mut fixed = [0; 12];
        fixed[..4].copy_from_slice(&[family(path.to), bits, bits, path.tos]);
        let mut question = Question::new(libc::RTM_GETROUTE, 0, &fixed)
            .with(libc::RTA_DST, to)
            .with(libc::RTA_SRC, from)
            .with(IP_PROTOCOL, &[PROTOCOL]);
        if path.interface != 0 {
            question = question.with(libc::RTA_OIF, &path.interface.to_ne_bytes());
        }
        let mut route = None;
        let asked = self.routes.ask(&question, |kind, body| {
            if kind == libc::RTM_NEWROUTE {
                route = Route::read(body);
            }
        });
        asked.ok().and(route)
    }

    fn device(&mut self, index: u32) -> Option<Device> {
        if let Some(known) = self.devices.get(&index) {
            return *known;
        }
        let mut fixed = [0; 16];
        fixed[4..8].copy_from_slice(&index.to_ne_bytes());
        let mut device = None;
        let question = Question::new(libc::RTM_GETLINK, 0, &fixed);
        let asked = self.routes.ask(&question, |kind, body| {
            if kind == libc::RTM_NEWLINK {
                device = Device::read(index, body);
            }
        });
        let device = asked.ok().and(device);
        if self.devices.len() >= DEVICES {
            self.devices.clear();
        }
        self.devices.insert(index, device);
        device
    }

    fn neighbour(&mut self, (interface, address): (u32, Addr)) -> Option<[u8; 6]> {
        let mut fixed = [0; 12];
        fixed[0] = family(address);
        fixed[4..8].copy_from_slice(&interface.to_ne_bytes());
        let question =
            Question::new(libc::RTM_GETNEIGH, 0, &fixed).with(libc::NDA_DST, bytes(&address));
        let mut found = None;
        let asked = self.routes.ask(&question, |kind, body| {
            if kind == libc::RTM_NEWNEIGH {
                found = Neighbour::read(body);
            }
        });
        asked.ok().and(found)?.hardware
    }
}

impl Route {
    /// Reads an answer (`struct rtmsg` and attributes); `None` unless the packet leaves for another machine, as
    /// it is.
    fn read(body: &[u8]) -> Option<Self> {
        let (fixed, rest) = body.split_at_checked(12)?;
        if fixed[7] != libc::RTN_UNICAST || attribute(rest, libc::RTA_ENCAP).is_some() {
            return None;
        }
        let metric = |kind| word(attribute(attribute(rest, libc::RTA_METRICS)?, kind)?, 0);
        let gateway = match (
            attribute(rest, libc::RTA_GATEWAY),
            attribute(rest, libc::RTA_VIA),
        ) {
            (Some(gateway), _) => Some(addr(gateway)?),
            (None, Some(via)) => Some(addr(via.get(2..)?)?),
            (None, None) => None,
        };
        Some(Self {
            interface: word(attribute(rest, libc::RTA_OIF)?, 0)?,
            gateway,
            mtu: metric(METRIC_MTU).filter(|mtu| *mtu != 0),
            life: metric(METRIC_HOP_LIMIT)
                .and_then(|life| u8::try_from(life).ok())
                .filter(|life| *life != 0),
        })
    }
}

impl Device {
    /// Reads an answer (`struct ifinfomsg` and attributes); `None` unless it is Ethernet and in operation.
    fn read(index: u32, body: &[u8]) -> Option<Self> {
        let (fixed, rest) = body.split_at_checked(16)?;
        let needed = (libc::IFF_UP | libc::IFF_RUNNING) as u32;
        let refused = (libc::IFF_LOOPBACK | libc::IFF_NOARP) as u32;
        let flags = word(fixed, 8)?;
        if half(fixed, 2)? != ETHERNET || flags & needed != needed || flags & refused != 0 {
            return None;
        }
        let address = attribute(rest, libc::IFLA_ADDRESS)?;
        let (under, vlan) = below(index, rest)?;
        let settings = attribute(rest, libc::IFLA_AF_SPEC)
            .and_then(|families| attribute(families, libc::AF_INET6 as u16))
            .and_then(|settings| attribute(settings, INET6_CONF));
        let hop_limit = settings
            .and_then(|settings| word(settings, 4 * CONF_HOP_LIMIT))
            .and_then(|limit| u8::try_from(limit).ok());
        Some(Self {
            under,
            vlan,
            address: address.try_into().ok()?,
            mtu: word(attribute(rest, libc::IFLA_MTU)?, 0)?,
            hop_limit: hop_limit.unwrap_or(64),
        })
    }
}

/// The interface that sees tagged frames, and the tag: those of a VLAN, or the interface itself and 0. `None` if it
/// is below one of another namespace, or tags otherwise.
fn below(index: u32, link: &[u8]) -> Option<(u32, u16)> {
    let info = attribute(link, libc::IFLA_LINKINFO).unwrap_or_default();
    let kind = attribute(info, libc::IFLA_INFO_KIND).unwrap_or_default();
    if kind.strip_suffix(b"\0") != Some(b"vlan") {
        return Some((index, 0));
    }
    let data = attribute(info, libc::IFLA_INFO_DATA)?;
    let protocol = attribute(data, VLAN_PROTOCOL).and_then(|kind| half(kind, 0));
    let is_elsewhere = attribute(link, libc::IFLA_LINK_NETNSID).is_some();
    if is_elsewhere || protocol.is_some_and(|kind| kind != 0x8100_u16.to_be()) {
        return None;
    }
    let under = word(attribute(link, libc::IFLA_LINK)?, 0)?;
    Some((under, half(attribute(data, VLAN_ID)?, 0)?))
}

/// What is known of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// The interface, and its address.
    pub(super) of: (u32, Addr),
    /// Where frames for it go; `None` if that is not known, or not true any more.
    pub(super) hardware: Option<[u8; 6]>,
}

impl Neighbour {
    /// Reads a message (`struct ndmsg` and attributes).
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        const USABLE: u16 = libc::NUD_REACHABLE
            | libc::NUD_STALE
            | libc::NUD_DELAY
            | libc::NUD_PROBE
            | libc::NUD_PERMANENT;
        let (fixed, rest) = body.split_at_checked(12)?;
        let is_usable = half(fixed, 8)? & USABLE != 0;
        let hardware = attribute(rest, libc::NDA_LLADDR).filter(|_| is_usable);
        Some(Self {
            of: (word(fixed, 4)?, addr(attribute(rest, libc::NDA_DST)?)?),
            hardware: hardware.and_then(|address| address.try_into().ok()),
        })
    }
}

/// Whether routes can be asked for by addresses alone, and nothing is sealed on its way out; by family.
fn plain(routes: &mut Netlink) -> [bool; 2] {
    if !has_no_policies() {
        return [false; 2];
    }
    [libc::AF_INET, libc::AF_INET6].map(|family| {
        let mut fixed = [0; 12];
        fixed[0] = family as u8;
        let mut is_plain = true;
        let question = Question::new(libc::RTM_GETRULE, libc::NLM_F_DUMP, &fixed);
        let asked = routes.ask(&question, |_, body| {
            let rule = body.get(12..).unwrap_or_default();
            is_plain &= attributes(rule).all(|(kind, _)| is_understood(kind));
        });
        match asked {
            Ok(()) => is_plain,
            // A kernel without rules has one table.
            Err(error) => error.raw_os_error() == Some(libc::EOPNOTSUPP),
        }
    })
}

fn is_understood(kind: u16) -> bool {
    kind <= LAST_RULE_ATTRIBUTE && !matches!(kind, TUNNEL_ID | SOURCE_PORTS | DESTINATION_PORTS)
}

/// Whether the kernel seals nothing that leaves (IPsec, RFC 4301 §4.4.1).
fn has_no_policies() -> bool {
    let mut policies = match Netlink::open(libc::NETLINK_XFRM, 0) {
        Ok(policies) => policies,
        Err(error) => return error.raw_os_error() == Some(libc::EPROTONOSUPPORT),
    };
    let mut leaving = None;
    let question = Question::new(GET_POLICIES, 0, &[0; 4]);
    let asked = policies.ask(&question, |_, body| {
        let counts = attribute(body.get(4..).unwrap_or_default(), POLICY_COUNTS);
        leaving = counts.and_then(|counts| word(counts, 4));
    });
    asked.is_ok() && leaving == Some(0)
}

/// Whether an address is of a group, or of everybody.
fn is_group(addr: Addr) -> bool {
    let ip = addr.ip();
    ip.is_multicast() || ip == std::net::Ipv4Addr::BROADCAST
}

fn family(addr: Addr) -> u8 {
    (if addr.is_v4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    }) as u8
}

/// An address as netlink has it.
fn bytes(addr: &Addr) -> &[u8] {
    if addr.is_v4() { &addr.0[12..] } else { &addr.0 }
}

fn addr(bytes: &[u8]) -> Option<Addr> {
    if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        return Some(Addr(v6));
    }
    let v4 = <[u8; 4]>::try_from(bytes).ok()?;
    Some(std::net::IpAddr::from(v4).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link as the kernel tells of it: flags, then attributes.
    fn link(kind: u16, flags: i32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut fixed = [0; 16];
        fixed[2..4].copy_from_slice(&kind.to_ne_bytes());
        fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
        [&fixed[..], &list(attributes)].concat()
    }

    fn list(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let question = Question::new(0, 0, &[]);
        let question = attributes.iter().fold(question, |question, (kind, value)| {
            question.with(*kind, value)
        });
        question.attributes().to_vec()
    }

    /// A VLAN with tag 7 on interface 3.
    fn tagged(protocol: u16, more: &[(u16, &[u8])]) -> Vec<u8> {
        let data = list(&[
            (VLAN_ID, &7_u16.to_ne_bytes()),
            (VLAN_PROTOCOL, &protocol.to_be_bytes()),
        ]);
        let info = list(&[
            (libc::IFLA_INFO_KIND, b"vlan\0"),
            (libc::IFLA_INFO_DATA, &data),
        ]);
        let (mtu, under) = (1496_u32.to_ne_bytes(), 3_u32.to_ne_bytes());
        let mut attributes: Vec<(u16, &[u8])> = vec![
            (libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]),
            (libc::IFLA_MTU, &mtu),
            (libc::IFLA_LINK, &under),
            (libc::IFLA_LINKINFO, &info),
        ];
        attributes.extend(more);
        link(ETHERNET, libc::IFF_UP | libc::IFF_RUNNING, &attributes)
    }

    #[test]
    fn a_vlan_has_the_interface_below_and_its_tag() {
        let read = |bytes: &[u8]| Device::read(9, bytes);
        let device = read(&tagged(0x8100, &[])).expect("a VLAN");
        assert_eq!((device.under, device.vlan, device.mtu), (3, 7, 1496));
        assert!(read(&tagged(0x88a8, &[])).is_none(), "a service tag");
        let elsewhere = (libc::IFLA_LINK_NETNSID, &[0; 4][..]);
        assert!(read(&tagged(0x8100, &[elsewhere])).is_none());
    }

    #[test]
    fn tunnels_the_loopback_and_what_is_down_are_left_to_the_kernel() {
        let up = libc::IFF_UP | libc::IFF_RUNNING;
        let attributes: [(u16, &[u8]); 2] = [
            (libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]),
            (libc::IFLA_MTU, &1500_u32.to_ne_bytes()),
        ];
        let is_read = |kind, flags| Device::read(9, &link(kind, flags, &attributes)).is_some();
        assert!(is_read(ETHERNET, up));
        assert!(!is_read(768, up), "an IP tunnel");
        assert!(!is_read(ETHERNET, libc::IFF_UP), "no carrier");
        assert!(!is_read(ETHERNET, libc::IFF_RUNNING), "down");
        assert!(!is_read(ETHERNET, up | libc::IFF_LOOPBACK));
        assert!(!is_read(ETHERNET, up | libc::IFF_NOARP));
    }

    #[test]
    fn what_is_cut_is_nothing() {
        let whole = tagged(0x8100, &[]);
        for len in 0..36 {
            assert!(Device::read(9, &whole[..len]).is_none(), "{len} bytes");
            assert!(Route::read(&whole[..len.min(11)]).is_none());
            assert!(Neighbour::read(&whole[..len.min(11)]).is_none());
        }
    }
}
