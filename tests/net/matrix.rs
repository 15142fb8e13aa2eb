//! Audio both ways and RTCP at the right port: families × muxing, on each backend.

use patchcord_tests::{Backend, Family, NgCall, Sdp, converse};
use serde_json::json;

use crate::field::Field;

on_each_path! {
    v4_to_v4,
    v6_to_v6,
    v4_to_v6,
    v6_to_v4,
}

fn v4_to_v4(backend: Backend) {
    every_muxing(backend, Family::V4, Family::V4);
}

fn v6_to_v6(backend: Backend) {
    every_muxing(backend, Family::V6, Family::V6);
}

fn v4_to_v6(backend: Backend) {
    every_muxing(backend, Family::V4, Family::V6);
}

fn v6_to_v4(backend: Backend) {
    every_muxing(backend, Family::V6, Family::V4);
}

/// Whether a phone's RTCP has a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Split,
    Muxed,
}

fn every_muxing(backend: Backend, near: Family, far: Family) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let cases = [
        (Control::Split, Control::Split, None),
        (Control::Muxed, Control::Muxed, None),
        (Control::Muxed, Control::Split, Some("demux")),
        (Control::Split, Control::Muxed, Some("offer")),
    ];
    for (number, (a_control, b_control, mux)) in (0..).zip(cases) {
        let port = 4000 + 10 * number;
        let mut a = field.phone(0, near, port, 440.0);
        let mut b = field.phone(1, far, port, 1000.0);
        if a_control == Control::Muxed {
            a = a.muxed();
        }
        if b_control == Control::Muxed {
            b = b.muxed();
        }
        let mut more = json!({"address-family": far.sdp()});
        if let Some(mux) = mux {
            more["rtcp-mux"] = json!([mux]);
        }
        let call = NgCall::new(&format!("{a_control:?}-{b_control:?}"));
        let offer = call.offer(&field.ng, &a.sdp(), more).sdp();
        let answer = call.answer(&field.ng, &b.sdp(), json!({})).sdp();
        says(&offer, far, b_control);
        says(&answer, near, a_control);
        b.call(&offer);
        a.call(&answer);
        converse(&mut a, &mut b);
    }
}

/// What a phone is told is of its family, and muxed where it should be.
fn says(sdp: &Sdp, family: Family, control: Control) {
    assert_eq!(Family::of(sdp.rtp(0).ip()), family, "{}", sdp.text());
    assert_eq!(
        sdp.rtcp(0).port() == sdp.rtp(0).port(),
        control == Control::Muxed,
        "{}",
        sdp.text()
    );
    if control == Control::Split {
        assert_eq!(
            sdp.rtp(0).port() % 2,
            0,
            "RTP at an even port (RFC 3550 §11)"
        );
        assert_eq!(
            sdp.rtcp(0).port(),
            sdp.rtp(0).port() + 1,
            "and RTCP at the next"
        );
    }
}
