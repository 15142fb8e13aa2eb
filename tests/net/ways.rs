//! Links, routes and neighbours change under calls that the kernel carries, and odd packets come among the ordinary
//! ones: everything goes where the kernel's own packets would.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use patchcord_contract::Hop;
use patchcord_contract::checksum::Sum;
use patchcord_tests::{Backend, Family, Netns, Phone, converse, until};
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};

use crate::field::Field;
use crate::offload::{by_hand, lowered, passes};

on_each_hook! {
    a_link_that_was_down_carries_calls_again,
    a_neighbour_with_another_link_address_is_found,
    a_neighbour_that_was_set_for_ever_stays,
    another_route_is_followed,
    what_is_too_long_for_a_link_is_cut_by_the_kernel,
    odd_packets_of_a_call_arrive_as_they_are,
    a_call_by_a_vlan_is_carried,
    a_full_table_leaves_calls_to_the_worker,
    only_who_is_silent_times_out,
}

/// What makes a packet odd.
type Change = fn(&mut Vec<u8>);

/// How long the kernel may take to notice something.
const NOTICING: Duration = Duration::from_secs(10);

/// A relay of three hosts.
fn field(backend: Backend, options: &[&str]) -> Option<Field> {
    let options = [&["--num-threads=1"], options].concat();
    Field::ours_on(backend, 3, &options)
}

/// A call that the kernel carries.
fn carried(field: &Field) -> (Phone, Phone) {
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    until("the kernel to carry the call", NOTICING, || {
        converse(&mut a, &mut b);
        lowered(&field.relay.metrics(&field.site)) == 2
    });
    (a, b)
}

/// Waits until the program was told that it has to ask for every route again: sooner than it would by itself.
fn until_noticed() {
    std::thread::sleep(Hop::KEPT / 2);
}

/// What one says, the other hears, sooner or later.
fn until_passes(what: &str, from: &mut Phone, to: &Phone) {
    until(what, NOTICING, || {
        to.flush();
        let said = from.utter();
        from.send(&said);
        to.arrived_soon().is_some_and(|(_, heard)| heard == said)
    });
}

fn a_link_that_was_down_carries_calls_again(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let (mut a, mut b) = carried(&field);
    for _ in 0..2 {
        field.site.core.ip("link set h2 down");
        a.speak();
        assert!(b.is_left_alone());
        field.site.core.ip("link set h2 up");
        until_passes("the link to be up", &mut a, &b);
        until_passes("the link to be up", &mut b, &a);
        converse(&mut a, &mut b);
    }
    let before = by_hand(&field);
    converse(&mut a, &mut b);
    assert_eq!(by_hand(&field) - before, 2, "RTCP, and nothing else");
}

fn a_neighbour_with_another_link_address_is_found(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    // The kernel takes a neighbour for reachable for half as long to half as long again, and asks three times.
    for family in ["ipv4", "ipv6"] {
        let key = |name: &str| format!("net.{family}.neigh.h2.{name}");
        let core = &field.site.core;
        core.sysctl(&key("base_reachable_time_ms"), "400");
        core.sysctl(&key("delay_first_probe_time"), "0");
        core.sysctl(&key("retrans_time_ms"), "50");
    }
    let (mut a, b) = carried(&field);
    let other = &field.site.hosts[1].netns;
    other.ip("link set eth0 address 02:00:00:00:00:77");
    until_passes("the neighbour to be found again", &mut a, &b);
    for _ in 0..5 {
        passes(&mut a, &b);
    }
}

fn a_neighbour_that_was_set_for_ever_stays(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let host = &field.site.hosts[1].netns;
    host.ip("link set eth0 address 02:00:00:00:00:77");
    let core = &field.site.core;
    core.ip("neighbour replace 10.0.2.2 lladdr 02:00:00:00:00:77 dev h2 nud permanent");
    // Nobody answers who is asked.
    host.sysctl("net.ipv4.conf.eth0.arp_ignore", "8");
    let (mut a, b) = carried(&field);
    for _ in 0..10 {
        passes(&mut a, &b);
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn another_route_is_followed(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let (mut a, b) = carried(&field);
    let address = b.address();
    let elsewhere = &field.site.hosts[2].netns;
    elsewhere.ip(&format!("address add {}/32 dev eth0", address.ip()));
    let ear = elsewhere.run(move || UdpSocket::bind(address).expect("nobody has it"));
    ear.set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a time");
    field
        .site
        .core
        .ip(&format!("route add {}/32 dev h3", address.ip()));
    until_noticed();
    let mut heard = vec![0; 2048];
    until("the other host to hear", NOTICING, || {
        let said = a.utter();
        a.send(&said);
        matches!(ear.recv_from(&mut heard), Ok((len, _)) if heard[..len] == said)
    });
    assert!(b.is_left_alone(), "by the other way now");
    field
        .site
        .core
        .ip(&format!("route del {}/32 dev h3", address.ip()));
    until_noticed();
    passes(&mut a, &b);
    // Nowhere: what the kernel's program cannot send is the worker's, and not his either.
    field
        .site
        .core
        .ip(&format!("route add unreachable {}/32", address.ip()));
    until_noticed();
    a.speak();
    assert!(b.is_left_alone());
    field
        .site
        .core
        .ip(&format!("route del unreachable {}/32", address.ip()));
    until_noticed();
    until_passes("the route to be followed", &mut a, &b);
}

fn what_is_too_long_for_a_link_is_cut_by_the_kernel(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let (mut a, mut b) = carried(&field);
    let long = |a: &mut Phone| {
        let mut packet = a.utter();
        packet.resize(1_300, 0x2a);
        a.send(&packet);
        packet
    };
    let said = long(&mut a);
    assert_eq!(b.receive().map(|(_, heard)| heard), Some(said));
    for (mtu, by_worker) in [(1_280, 1), (1_500, 0)] {
        field.site.core.ip(&format!("link set h2 mtu {mtu}"));
        until_noticed();
        let before = by_hand(&field);
        let said = long(&mut a);
        assert_eq!(b.receive().map(|(_, heard)| heard), Some(said), "{mtu}");
        passes(&mut a, &b);
        assert_eq!(by_hand(&field) - before, by_worker, "{mtu}");
    }
    converse(&mut a, &mut b);
}

fn odd_packets_of_a_call_arrive_as_they_are(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let (mut a, mut b) = carried(&field);
    let host = &field.site.hosts[0].netns;
    let raw = host.run(|| {
        let raw = Protocol::from(255);
        Socket::new(Domain::IPV4, Type::RAW, Some(raw)).expect("privileged")
    });
    let to = a.peer.expect("it is in a call");
    let odd: [(&str, Change); 4] = [
        ("one hop from its end", |packet| packet[8] = 1),
        ("with options", |packet| {
            packet[0] = 0x46;
            packet.splice(20..20, [1; 4]);
        }),
        ("without a checksum", |packet| packet[26..28].fill(0)),
        ("of another class", |packet| packet[1] = 0xb8),
    ];
    for (name, change) in odd {
        let said = a.utter();
        let mut packet = internet(a.address(), to, &said);
        change(&mut packet);
        raw.send_to(&packet, &to.into()).expect(name);
        let heard = b.receive().map(|(_, heard)| heard);
        assert_eq!(heard, Some(said), "{name}");
        passes(&mut a, &b);
    }
    let said = a.utter();
    for packet in fragments(&internet(a.address(), to, &said)) {
        raw.send_to(&packet, &to.into()).expect("a fragment");
    }
    assert_eq!(b.receive().map(|(_, heard)| heard), Some(said));
    converse(&mut a, &mut b);
}

/// An IPv4 packet with a datagram. The kernel fills in the header's length, number and checksum.
fn internet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let octets = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => v4.ip().octets(),
        SocketAddr::V6(_) => Ipv4Addr::UNSPECIFIED.octets(),
    };
    let len = (8 + payload.len()) as u16;
    let mut udp = Vec::new();
    for word in [from.port(), to.port(), len, 0] {
        udp.extend(word.to_be_bytes());
    }
    udp.extend(payload);
    let sum = Sum::default()
        .bytes(&octets(from))
        .bytes(&octets(to))
        .word(17)
        .word(len);
    let checksum = sum.bytes(&udp).udp_checksum();
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(octets(from));
    packet.extend(octets(to));
    packet.extend(udp);
    packet
}

/// The packet in two fragments (RFC 791 §3.2).
fn fragments(packet: &[u8]) -> [Vec<u8>; 2] {
    const FIRST: usize = 64;
    let (header, body) = packet.split_at(20);
    [(0x2000, &body[..FIRST]), (FIRST as u16 / 8, &body[FIRST..])].map(|(place, part)| {
        let mut fragment = [header, part].concat();
        fragment[4..6].copy_from_slice(&[0x12, 0x34]);
        fragment[6..8].copy_from_slice(&u16::to_be_bytes(place));
        fragment
    })
}

fn a_call_by_a_vlan_is_carried(backend: Backend) {
    if !Netns::new("vlan").makes("link lo name tagged type vlan id 5") {
        return;
    }
    let options = ["--num-threads=1"];
    let field = Field::prepared(backend, 3, &options, |site| {
        let host = &site.hosts[1].netns;
        for (netns, link, address) in [(&site.core, "h2", "10.0.2.1"), (host, "eth0", "10.0.2.2")] {
            netns.ip(&format!(
                "address flush dev {link}\n\
                 link add link {link} name tagged type vlan id 5\n\
                 link set tagged up\n\
                 address add {address}/24 dev tagged\n"
            ));
        }
        host.ip("route replace default via 10.0.2.1");
        for netns in [&site.core, host] {
            until("the links to be up", NOTICING, || netns.links_are_up());
        }
    });
    let Some(field) = field else {
        return;
    };
    let (mut a, mut b) = carried(&field);
    let before = by_hand(&field);
    converse(&mut a, &mut b);
    assert_eq!(by_hand(&field) - before, 2, "RTCP, and nothing else");
}

fn a_full_table_leaves_calls_to_the_worker(backend: Backend) {
    let Some(field) = field(backend, &["--set=offload.entries=2"]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let mut c = field.phone(0, Family::V4, 4100, 700.0);
    let mut d = field.phone(1, Family::V4, 4100, 900.0);
    let first = field.connect("first", &mut a, &mut b, json!({}));
    until("the kernel to carry the call", NOTICING, || {
        converse(&mut a, &mut b);
        lowered(&field.relay.metrics(&field.site)) == 2
    });
    field.connect("second", &mut c, &mut d, json!({}));
    converse(&mut c, &mut d);
    converse(&mut a, &mut b);
    assert_eq!(lowered(&field.relay.metrics(&field.site)), 2);
    let told = field.relay.patchctl(&field.site, &["call", "second"]);
    let told = told.expect("patchctl is there");
    assert!(
        told.contains("worker: the kernel's table is full"),
        "{told}"
    );
    let metrics = field.relay.metrics(&field.site);
    let full = ["why=\"the kernel's table is full\""];
    assert_eq!(metrics.count("patchcord_worker_kept_flows", &full), 2);
    assert_eq!(first.delete(&field.ng).result(), "ok");
    // The slots rest first; reports that are all the same, one after the other, would be a loop meanwhile.
    until("the kernel to carry the other", NOTICING, || {
        passes(&mut c, &d);
        passes(&mut d, &c);
        lowered(&field.relay.metrics(&field.site)) == 2
    });
}

fn only_who_is_silent_times_out(backend: Backend) {
    let Some(field) = field(backend, &["--timeout=2"]) else {
        return;
    };
    let (mut a, b) = carried(&field);
    let before = by_hand(&field);
    for _ in 0..30 {
        passes(&mut a, &b);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(by_hand(&field), before, "no worker has seen them");
    assert_eq!(field.calls(), 1, "yet it is known that they talk");
    until("the silent call to end", NOTICING, || field.calls() == 0);
}
