//! Sections that were offered one transport and were answered with one each (RFC 9143 §7.3.3).

use patchcord_tests::{Backend, Family, NgCall, Sdp};
use serde_json::json;

use crate::dtls::{browser, meet};
use crate::field::Field;

on_each_backend! {
    a_browsers_equal_without_bundles_hears_and_says_all_at_the_port_it_was_told,
}

fn a_browsers_equal_without_bundles_hears_and_says_all_at_the_port_it_was_told(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, &[]) else {
        return;
    };
    let (mut a, b) = field.pair();
    let mut c = field.phone(0, Family::V4, 4100, 700.0);
    let d = field.phone(1, Family::V4, 4100, 1300.0);
    // One device with a certificate for each of its two streams, and one name for both.
    let mut device = [b, d].map(|phone| phone.shaking_hands(browser("active")).in_a_browser());
    let call = NgCall::new("call");
    let flags = json!({"flags": ["WebRTC"]});
    let offer = call.offer(&field.ng, &both(&a.sdp(), &c.sdp()), flags).sdp();
    assert_eq!(offer.rtp(0), offer.rtp(1), "one port for both sections");
    let [b, d] = &mut device;
    let answer = call.answer(&field.ng, &both(&b.sdp(), &d.sdp()), json!({}));
    assert_eq!(answer["warning"], json!(null), "nothing is lost");
    for (index, (phone, other)) in [(&mut a, b), (&mut c, d)].into_iter().enumerate() {
        phone.call_section(&answer.sdp(), index);
        other.call_section(&offer, index);
        other.is_called();
        other.shake_hands(|| true).expect("keys");
        meet(phone, other);
    }
}

/// Two descriptions as one: its second section is the other's only one, as a picture.
fn both(first: &Sdp, second: &Sdp) -> Sdp {
    let second = second.text();
    let (session, section) = second.split_once("m=audio").expect("its section");
    let line = session.lines().find(|line| line.starts_with("c="));
    let (media, rest) = section.split_once("\r\n").expect("a line");
    let line = line.expect("an address");
    Sdp::parse(&format!(
        "{}m=video{media}\r\n{line}\r\n{rest}",
        first.text()
    ))
}
