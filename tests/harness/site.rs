//! The ground plan of a test: a core that holds the relay (and the proxy), and hosts around it.
//!
//! Each host has one link, to the core. The core forwards nothing: what one host gets from another
//! was relayed. The relay's addresses are on the core's loopback, so that every host reaches them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::{Netns, Scratch, until};

/// How long a link may take to come up.
const LINKING: Duration = Duration::from_secs(15);

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// As SDP writes it.
    pub fn sdp(self) -> &'static str {
        match self {
            Self::V4 => "IP4",
            Self::V6 => "IP6",
        }
    }

    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// A namespace with one link to the core.
pub struct Host {
    /// Its namespace.
    pub netns: Netns,
    number: u8,
}

impl Host {
    /// Its own address.
    pub fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => Ipv4Addr::new(10, 0, self.number, 2).into(),
            Family::V6 => Ipv6Addr::new(0xfd00, 0, 0, self.number.into(), 0, 0, 0, 2).into(),
        }
    }
}

impl Host {
    /// A namespace behind this host, which becomes its router and gives each connection a source port of its
    /// own: a symmetric NAT (RFC 5389 §5.2 calls it address- and port-dependent mapping).
    ///
    /// `forbidden` is what of UDP the router drops on its way out, in nftables' words; nothing if empty.
    pub fn hide_a_network(&self, forbidden: &str) -> Netns {
        let home = Netns::new(&format!("home{}", self.number));
        let path = home.path();
        self.netns.ip(&format!(
            "link add inside type veth peer name eth0 netns {path}\n\
             address add 192.168.7.1/24 dev inside\n\
             link set inside up\n"
        ));
        home.ip(
            "address add 192.168.7.2/24 dev eth0\nlink set eth0 up\nroute add default via 192.168.7.1\n",
        );
        self.netns.sysctl("net.ipv4.ip_forward", "1");
        let dropped = match forbidden {
            "" => String::new(),
            words => format!("iifname inside {words} counter drop;"),
        };
        self.netns.nft(&format!(
            "table ip router {{\n\
             chain out {{ type nat hook postrouting priority srcnat; oifname eth0 masquerade fully-random; }}\n\
             chain on {{ type filter hook forward priority filter; {dropped} }}\n\
             }}\n"
        ));
        for netns in [&self.netns, &home] {
            until("the links to be up", LINKING, || netns.links_are_up());
        }
        home
    }

    /// Loses one UDP datagram in `one_in` at random, in each direction.
    pub fn lose(&self, one_in: u32) {
        let rule = format!("meta l4proto udp numgen random mod {one_in} 0 counter drop");
        self.netns.nft(&format!(
            "table inet weather {{\n\
             chain in {{ type filter hook input priority filter; {rule}; }}\n\
             chain out {{ type filter hook output priority filter; {rule}; }}\n\
             }}\n"
        ));
    }

    /// Moves to another IPv4 address and loses all that it had, as a phone does that changes its network.
    pub fn move_to(&self, last: u8) {
        let number = self.number;
        self.netns.ip(&format!(
            "address flush dev eth0\n\
             address add 10.0.{number}.{last}/24 dev eth0\n\
             route add default via 10.0.{number}.1\n"
        ));
    }
}

/// The core and the hosts.
pub struct Site {
    /// Where the relay and the proxy live.
    pub core: Netns,
    /// The others, in order; shared with the programs that run there.
    pub hosts: Vec<Arc<Host>>,
    /// Where logs and configuration go.
    pub scratch: Scratch,
}

impl Site {
    /// A core with `hosts` hosts around it.
    pub fn new(hosts: u8) -> Self {
        let core = Netns::new("core");
        for number in 0..3 {
            core.ip(&format!(
                "address add {}/32 dev lo
address add {}/128 dev lo nodad
",
                relay_v4(number),
                relay_v6(number)
            ));
        }
        let hosts: Vec<Arc<Host>> = (1..=hosts)
            .map(|number| Arc::new(link(&core, number)))
            .collect();
        for netns in std::iter::once(&core).chain(hosts.iter().map(|host| &host.netns)) {
            // Until the kernel has seen the carrier, in its own time, a link drops what it is given.
            until("the links to be up", LINKING, || netns.links_are_up());
        }
        Self {
            core,
            hosts,
            scratch: Scratch::new(),
        }
    }

    /// Makes the hosts' links such that XDP can be tried on them: it sees frames before their checksum is made,
    /// and leaves by a link only to who polls it. `None` where ethtool is missing.
    pub fn lend_to_xdp(&self) -> Option<()> {
        self.hosts
            .iter()
            .try_for_each(|host| host.netns.ethtool("eth0", &["tx", "off", "gro", "on"]))
    }

    /// The address at which the relay is reached; there are three of each family, 0 to 2.
    pub fn relay(family: Family, number: u8) -> IpAddr {
        match family {
            Family::V4 => relay_v4(number).into(),
            Family::V6 => relay_v6(number).into(),
        }
    }
}

fn relay_v4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 1 + number)
}

fn relay_v6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1 + u16::from(number))
}

fn link(core: &Netns, number: u8) -> Host {
    let netns = Netns::new(&format!("host{number}"));
    let (path, near) = (netns.path(), format!("h{number}"));
    core.ip(&format!(
        "link add {near} type veth peer name eth0 netns {path}\n\
         address add 10.0.{number}.1/24 dev {near}\n\
         address add fd00:0:0:{number}::1/64 dev {near} nodad\n\
         link set {near} up\n"
    ));
    netns.ip(&format!(
        "address add 10.0.{number}.2/24 dev eth0\n\
         address add fd00:0:0:{number}::2/64 dev eth0 nodad\n\
         link set eth0 up\n\
         route add default via 10.0.{number}.1\n\
         route add ::/0 via fd00:0:0:{number}::1\n"
    ));
    Host { netns, number }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::skipped;

    #[test]
    fn no_address_of_a_new_site_is_still_to_settle() {
        if skipped() {
            return;
        }
        let site = Site::new(1);
        for netns in [&site.core, &site.hosts[0].netns] {
            let tentative = ["-6", "-oneline", "address", "show", "tentative"];
            let shown = netns.run(move || Command::new("ip").args(tentative).output());
            let shown = shown.expect("iproute2 is installed").stdout;
            assert_eq!(String::from_utf8_lossy(&shown), "");
        }
    }
}
