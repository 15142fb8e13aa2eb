//! Whole calls between two phones.

use patchcord_tests::{Family, Phone, Relay, Site, converse, skipped};

use crate::proxy::{Proxy, Script};
use crate::sipp::Sipp;

#[test]
fn a_call_has_audio_both_ways_and_ends_with_it() {
    if skipped("a_call_has_audio_both_ways_and_ends_with_it").is_some() {
        return;
    }
    let site = Site::new(2);
    let relay = Relay::start(&site);
    let proxy = Proxy::start(&site, Script::Plain);
    let [a_host, b_host] = &site.hosts[..] else {
        unreachable!("two were asked for")
    };
    let mut a = Phone::new(a_host, Family::V4, 4000, 440.0);
    let mut b = Phone::new(b_host, Family::V4, 4000, 1000.0);
    proxy.register(b_host, "bob");
    let mut callee = Sipp::start(&site, b_host, "callee", "bob", &b);
    let mut caller = Sipp::start(&site, a_host, "caller", "bob", &a);
    b.call(&callee.wait("INVITE", "INVITE").sdp());
    a.call(&caller.wait("SIP/2.0 200", "INVITE").sdp());
    callee.wait("ACK", "ACK");
    converse(&mut a, &mut b);
    caller.cue();
    caller.finish();
    callee.finish();
    drop(relay);
}

#[test]
fn two_baresips_hear_each_other() {
    if skipped("two_baresips_hear_each_other").is_some() {
        return;
    }
    let site = Site::new(2);
    let relay = Relay::start(&site);
    let _proxy = Proxy::start(&site, Script::Plain);
    let mut alice = crate::baresip::Baresip::start(&site, &site.hosts[0], "alice", 440);
    let mut bob = crate::baresip::Baresip::start(&site, &site.hosts[1], "bob", 1000);
    alice.dial("bob");
    alice.wait_event("CALL_ESTABLISHED");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.command("hangup", "");
    bob.wait_event("CALL_CLOSED");
    drop(relay);
}
