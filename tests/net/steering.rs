//! One socket for all ports: what only steering has. All else is tried with it as with every backend.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use patchcord_tests::{Backend, Family, NgCall, Phone, Relay, Site, converse, skipped, until};
use serde_json::json;

use crate::field::Field;

/// A relay that steers; `None` where it may not.
fn field(options: &[&str]) -> Option<Field> {
    if Backend::Steer.is_refused() {
        return None;
    }
    Field::ours_on(Backend::Steer, 2, options)
}

/// A socket of somebody else, beside the relay.
fn bind(site: &Site, addr: SocketAddr) -> UdpSocket {
    site.core
        .run(move || UdpSocket::bind(addr))
        .expect("the port is free")
}

#[test]
fn ports_have_no_sockets_and_frames_leave_by_the_link() {
    let Some(field) = field(&["--num-threads=1"]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    for _ in 0..4 {
        converse(&mut a, &mut b);
    }
    let told = call.query(&field.ng);
    assert_eq!(told.result(), "ok");
    let held: Vec<u16> = (30_000..40_000)
        .filter(|port| field.site.core.has_udp(*port))
        .collect();
    assert_eq!(held, [0; 0], "bound");
    let shown = field.relay.patchctl(&field.site, &["interfaces"]);
    let shown = shown.expect("it answers");
    assert!(
        shown.contains("steering: sk_lookup, as configured"),
        "{shown}"
    );
    let shown = field
        .relay
        .patchctl(&field.site, &["status"])
        .expect("it answers");
    assert!(shown.contains("backend steer"), "{shown}");
    assert!(field.relay.logged().contains("sk_lookup"));
}

#[test]
fn ports_that_others_have_are_never_leased() {
    if Backend::Steer.is_refused() || skipped() {
        return;
    }
    let site = Site::new(2);
    let address = Site::relay(Family::V4, 0);
    let taken: Vec<_> = [30_002, 30_005]
        .map(|port| bind(&site, SocketAddr::new(address, port)))
        .into();
    let options = ["--port-min=30000", "--port-max=30007"];
    let relay = Relay::start_on(&site, Backend::Steer, &options);
    let ng = relay.ng(&site);
    let phone = |host: usize| Phone::new(&site.hosts[host], Family::V4, 4000, 440.0);
    let (a, b) = (phone(0), phone(1));
    let on_main = || json!({"interface": "main"});
    let call = NgCall::new("one");
    let towards_b = call.offer(&ng, &a.sdp(), on_main()).sdp().rtp(0).port();
    let towards_a = call.answer(&ng, &b.sdp(), on_main()).sdp().rtp(0).port();
    let mut leased = [towards_b, towards_a];
    leased.sort_unstable();
    assert_eq!(leased, [30_000, 30_006]);
    let refused = NgCall::new("two").offer(&ng, &a.sdp(), on_main());
    assert_eq!(
        refused["error-reason"], "Ran out of ports",
        "the others are somebody's"
    );
    let metrics = relay.metrics(&site);
    assert!(metrics.count("patchcord_ports", &["aside"]) > 0);
    drop(taken);
}

#[test]
fn a_second_relay_with_ports_of_the_first_is_refused() {
    let Some(field) = field(&["--port-min=50500", "--port-max=51500"]) else {
        return;
    };
    let said = Relay::beside(&field.site, &["--steer=sk_lookup"]);
    assert!(said.contains("another relay steers"), "{said}");
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
}

#[test]
fn nothing_is_steered_to_a_killed_relay() {
    let Some(mut field) = field(&[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = NgCall::new("call");
    let ours = call.offer(&field.ng, &a.sdp(), json!({})).sdp().rtp(0);
    b.call(&call.answer(&field.ng, &b.sdp(), json!({})).sdp());
    field.relay.kill();
    let heir = bind(&field.site, ours);
    heir.set_read_timeout(Some(Duration::from_secs(2)))
        .expect("an option");
    let sender = bind(&field.site, SocketAddr::new(ours.ip(), 0));
    until("the port to be its heir's", Duration::from_secs(5), || {
        sender.send_to(b"heir", ours).expect("sent");
        heir.recv(&mut [0; 16]).is_ok()
    });
    drop(heir);
    field.relay.restart(&field.site);
    field.connect("again", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
}
