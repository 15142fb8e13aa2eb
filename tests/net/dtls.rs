//! SRTP keyed by DTLS through the relay, without ICE: both roles, all kinds of peers, heard and not only
//! relayed (RFC 5763, RFC 5764).

use patchcord_dtls::{KeyKind, Profile, Profiles};
use patchcord_tests::{Backend, DtlsSide, Family, Phone, converse};
use serde_json::json;

use crate::field::Field;

on_each_backend! {
    a_phone_with_dtls_and_a_plain_one_hear_each_other_whoever_calls,
}

/// A phone with DTLS and a plain one.
fn pair(field: &Field, side: DtlsSide, port: u16) -> (Phone, Phone) {
    let a = field.phone(0, Family::V4, port, 440.0).shaking_hands(side);
    let b = field.phone(1, Family::V4, port, 1000.0);
    (a, b)
}

fn a_phone_with_dtls_and_a_plain_one_hear_each_other_whoever_calls(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, &[]) else {
        return;
    };
    for (setup, port) in [("actpass", 4000), ("active", 4010), ("passive", 4020)] {
        let (mut a, mut b) = pair(&field, DtlsSide::new(setup), port);
        let to_plain = json!({"transport-protocol": "RTP/AVP"});
        field.connect(setup, &mut a, &mut b, to_plain);
        a.shake_hands(|| true).expect("keys");
        converse(&mut a, &mut b);
    }
    for (setup, port) in [("active", 4030), ("passive", 4040)] {
        let (mut a, mut b) = pair(&field, DtlsSide::new(setup), port);
        let to_dtls = json!({"transport-protocol": "UDP/TLS/RTP/SAVP", "SDES": "off"});
        field.connect(&format!("to {setup}"), &mut b, &mut a, to_dtls);
        a.shake_hands(|| true).expect("keys");
        converse(&mut a, &mut b);
    }
}

#[test]
fn peers_that_only_openssl_can_serve_are_served() {
    let Some(field) = Field::ours(2, &[]) else {
        return;
    };
    let weak = Profiles::NONE.with(Profile::Aes128Sha1_32);
    let sides = [
        (KeyKind::Rsa2048, Profiles::ALL, "active"),
        (KeyKind::Rsa2048, Profiles::ALL, "passive"),
        (KeyKind::P256, weak, "active"),
        (KeyKind::P256, weak, "passive"),
    ];
    for ((key, profiles, setup), port) in sides.into_iter().zip((4000..).step_by(10)) {
        let side = DtlsSide {
            key,
            profiles,
            ..DtlsSide::new(setup)
        };
        let (mut a, mut b) = pair(&field, side, port);
        let to_plain = json!({"transport-protocol": "RTP/AVP"});
        field.connect(&format!("{port}"), &mut a, &mut b, to_plain);
        a.shake_hands(|| true).expect("keys");
        converse(&mut a, &mut b);
    }
}
