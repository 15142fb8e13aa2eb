//! The steering program in the kernel.
#![expect(clippy::print_stderr, reason = "a skipped test is said loudly")]

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use patchcord_offload::{Steering, missing_for_steering};

/// The program, where it may run.
fn steering() -> Option<Steering> {
    let missing = missing_for_steering();
    if missing.is_empty() {
        return Some(Steering::start(2, 2).expect("the kernel takes it"));
    }
    assert!(
        std::env::var_os("PATCHCORD_TEST_REQUIRE").is_none(),
        "missing: {missing:?}"
    );
    eprintln!("SKIPPED: steering is missing {missing:?}");
    None
}

#[expect(clippy::disallowed_methods, reason = "a test's own sockets")]
fn socket(addr: &str) -> UdpSocket {
    let socket = UdpSocket::bind(addr).expect("a free port");
    let patience = Some(Duration::from_secs(2));
    socket.set_read_timeout(patience).expect("an option");
    socket
}

#[test]
fn what_is_sent_to_an_open_port_comes_to_its_workers_socket() {
    let Some(mut steering) = steering() else {
        return;
    };
    let (v4, v6) = (socket("127.0.0.1:0"), socket("[::1]:0"));
    steering
        .seat(1, v4.as_fd(), Some(v6.as_fd()))
        .expect("seated");
    for (worker, address) in [(&v4, "127.0.0.1:0"), (&v6, "[::1]:0")] {
        let peer = socket(address);
        // Somebody's port: who steers it gets what is for it all the same.
        let port = socket(address);
        let local: SocketAddr = port.local_addr().expect("bound");
        let hears = |socket: &UdpSocket, text: &[u8]| {
            peer.send_to(text, local).expect("sent");
            let mut bytes = [0; 16];
            let len = socket.recv(&mut bytes).expect("it arrives");
            assert_eq!(&bytes[..len], text);
        };
        hears(&port, b"before");
        steering.open(local, 1).expect("it is new");
        hears(worker, b"open");
        let again = steering.open(local, 0).expect_err("it is open");
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        steering.close(local);
        hears(&port, b"closed");
        // A worker that has no socket leaves it to who is there.
        steering.open(local, 0).expect("it is new");
        hears(&port, b"nobody");
        steering.close(local);
    }
}

#[test]
fn ports_that_others_have_are_not_opened_and_ranges_have_one_owner() {
    let (Some(mut first), Some(mut second)) = (steering(), steering()) else {
        return;
    };
    let theirs = socket("127.0.0.1:0").local_addr().expect("bound");
    let other = socket("127.0.0.1:0");
    let taken = other.local_addr().expect("bound");
    let (min, max) = (taken.port(), taken.port());
    assert_eq!(first.range(taken.ip(), min, max).ok(), Some(1));
    let refused = first.open(taken, 0).expect_err("somebody has it");
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    let refused = second.range(taken.ip(), min, max).expect_err("taken");
    assert!(refused.to_string().contains("another relay"), "{refused}");
    drop(other);
    first.look();
    first.open(taken, 0).expect("free by now");
    let everywhere = SocketAddr::from(([0, 0, 0, 0], theirs.port()));
    let refused = first.open(everywhere, 0).expect_err("no address");
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    assert!(first.range(everywhere.ip(), 1, 2).is_err());
}

#[test]
fn an_address_without_a_place_is_refused() {
    let Some(mut steering) = steering() else {
        return;
    };
    let mut range = |last: u8, min| steering.range([127, 0, 77, last].into(), min, min + 1);
    // Two, and four that may come later.
    for last in 1..=6 {
        range(last, 61_300).expect("there is a place");
    }
    let refused = range(7, 61_300).expect_err("there are six");
    assert!(refused.to_string().contains("too many"), "{refused}");
    range(6, 61_302).expect("it has its place");
}

#[test]
fn ports_are_reserved_as_long_as_they_are_steered() {
    let Some(mut steering) = steering() else {
        return;
    };
    let reserved = || {
        let path = "/proc/sys/net/ipv4/ip_local_reserved_ports";
        let text = std::fs::read_to_string(path).expect("procfs");
        text.trim().split(',').any(|item| item == "61234-61235")
    };
    assert!(!reserved());
    let local = [127, 0, 0, 77].into();
    steering
        .range(local, 61_234, 61_235)
        .expect("nobody has it");
    match steering.unreserved() {
        None => assert!(reserved()),
        Some(why) => eprintln!("SKIPPED: reserving ports: {why}"),
    }
    drop(steering);
    assert!(!reserved());
}
