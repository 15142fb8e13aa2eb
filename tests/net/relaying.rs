//! Audio and RTCP both ways.

use patchcord_tests::{Family, NgCall, Phone, Relay, Site, converse, skipped};
use serde_json::json;

#[test]
fn both_hear_each_other() {
    if skipped() {
        return;
    }
    let site = Site::new(2);
    let relay = Relay::start(&site);
    let ng = relay.ng(&site);
    let mut a = Phone::new(&site.hosts[0], Family::V4, 4000, 440.0);
    let mut b = Phone::new(&site.hosts[1], Family::V4, 4000, 1000.0);
    let call = NgCall::new("one");
    b.call(&call.offer(&ng, &a.sdp(), json!({})).sdp());
    a.call(&call.answer(&ng, &b.sdp(), json!({})).sdp());
    converse(&mut a, &mut b);
}
