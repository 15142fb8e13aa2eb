//! Where the program runs: a network namespace with routes of every kind, and nobody at the other end.

use std::io::Write;
use std::net::IpAddr;

use patchcord_contract::{Endpoint, Settings, Way};
use patchcord_offload::{Device, Program, Sizes, missing};
use patchcord_tests::{Family, Netns, skip, skipped};

/// Routes and neighbours. The second interface is one that the program may not use, the third carries a VLAN.
const LINES: &str = "\
link add eth0 address 02:00:00:00:00:01 type veth peer name far0
link add eth1 address 02:00:00:00:01:01 type veth peer name far1
link add eth2 address 02:00:00:00:02:01 type veth peer name far2
link set eth0 up
link set far0 up
link set eth1 up
link set far1 up
link set eth2 up
link set far2 up
address add 192.0.2.1/24 dev eth0
address add 2001:db8::1/64 dev eth0 nodad
address add 10.1.0.1/24 dev eth1
address add 10.2.0.1/24 dev eth2
neighbour add 192.0.2.10 lladdr 02:00:00:00:00:0a dev eth0
neighbour add 192.0.2.20 lladdr 02:00:00:00:00:14 dev eth0
neighbour add 2001:db8::10 lladdr 02:00:00:00:00:0a dev eth0
neighbour add 2001:db8::20 lladdr 02:00:00:00:00:14 dev eth0
neighbour add 10.1.0.20 lladdr 02:00:00:00:01:14 dev eth1
neighbour add 10.2.0.20 lladdr 02:00:00:00:02:14 dev eth2
route add 203.0.113.0/24 via 192.0.2.10
route add unreachable 198.51.100.0/24
";

/// The tag that frames leave with by the third interface.
pub(crate) const TAG: u16 = 7;

/// What the program is told once.
const SETTINGS: Settings = Settings {
    decline: 0,
    loopback: 1,
    ttl: 61,
    hop_limit: 62,
    lanes: 0,
    zero: [0; 5],
};

/// Where a packet for `to` should go, by the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) to: [u8; 6],
    pub(crate) from: [u8; 6],
    pub(crate) tag: Option<u16>,
}

/// The next hop; `None` if the program may not send there.
pub(crate) fn hop(to: Endpoint) -> Option<Hop> {
    let at = |interface: u8, host: u8, tag| Hop {
        to: [2, 0, 0, 0, interface, host],
        from: [2, 0, 0, 0, interface, 1],
        tag,
    };
    let (net, host) = match to.addr.ip() {
        IpAddr::V4(addr) => {
            let [net @ .., host] = addr.octets();
            (net, host)
        }
        IpAddr::V6(addr) => ([192, 0, 2], if addr.octets()[15] == 0x10 { 10 } else { 20 }),
    };
    match (net, host) {
        ([192, 0, 2], 10 | 20) => Some(at(0, host, None)),
        ([203, 0, 113], _) => Some(at(0, 10, None)),
        ([10, 2, 0], 20) => Some(at(2, 20, Some(TAG))),
        _ => None,
    }
}

/// A host of that family, and a port there.
pub(crate) fn host(family: Family, number: u8, port: u16) -> Endpoint {
    let text = match (family, number) {
        (Family::V4, number) => format!("192.0.2.{number}"),
        (Family::V6, number) => format!("2001:db8::{number}"),
    };
    Endpoint::new(text.parse::<IpAddr>().expect("an address"), port)
}

/// What leaves has this time to live.
pub(crate) fn ttl(to: Endpoint) -> u8 {
    if to.addr.is_v4() {
        SETTINGS.ttl
    } else {
        SETTINGS.hop_limit
    }
}

/// Runs `work` in the namespace with the program loaded, with room for so many entries; or says why not.
pub(crate) fn with_program(entries: u32, work: impl FnOnce(Program) + Send + 'static) {
    if skipped() {
        return;
    }
    let missing = missing();
    if !missing.is_empty() {
        skip(&format!("the kernel program needs {}", missing.join(", ")));
        return;
    }
    let netns = Netns::new("same");
    netns.ip(LINES);
    netns.sysctl("net.ipv4.conf.lo.forwarding", "1");
    netns.sysctl("net.ipv6.conf.lo.forwarding", "1");
    netns.run(move || {
        let mut program =
            Program::load(SETTINGS, Sizes::entries(entries)).expect("the kernel takes the maps");
        for (name, vlan) in [("eth0", 0), ("eth2", TAG)] {
            let index = Device::find(name).expect("just made").index;
            let way = Way {
                interface: index,
                vlan,
                bounces: 0,
                takes: 1,
            };
            program.add_way(index, way).expect("there is room");
            program.add_device(index).expect("it exists");
        }
        work(program);
    });
}

/// Past the capture of the test's output: the figures are part of the result.
pub(crate) fn tell(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
