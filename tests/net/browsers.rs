//! The generator's browsers against the relay: what `patchload` measures is a call that works.

use patchcord_tests::{Family, Site};
use serde_json::{Value, json};

use crate::field::Field;

fn field() -> Option<Field> {
    Field::ours(1, &[])
}

/// The relay's own address, which the generator's sockets share: both are in one namespace.
fn beside() -> String {
    format!("--ip={}", Site::relay(Family::V4, 0))
}

fn outcome(told: &Value) -> [&Value; 5] {
    let outcome = &told["webrtc"]["outcome"];
    let [keys, media] = ["keys_ms", "media_ms"].map(|times| &outcome[times]["count"]);
    [
        &outcome["bundled"],
        keys,
        media,
        &outcome["silent"],
        &outcome["wrong"],
    ]
}

#[test]
fn a_bundle_needs_one_handshake_and_sections_apart_one_each() {
    let Some(field) = field() else { return };
    for (apart, expected) in [
        ("--sections=2", [20, 20, 40, 0, 0]),
        ("--unbundled", [0, 40, 40, 0, 0]),
        ("--sections=1", [0, 20, 20, 0, 0]),
    ] {
        let arguments = [&*beside(), "--calls=20", apart];
        let told = field.relay.patchload(&field.site, "webrtc", &arguments);
        assert_eq!(
            outcome(&told),
            expected.map(|n| json!(n)).each_ref(),
            "{apart}: {told}"
        );
    }
}

#[test]
fn lost_datagrams_cost_time_and_no_section() {
    let Some(field) = field() else { return };
    let arguments = [&*beside(), "--calls=20", "--window=20", "--loss=20"];
    let told = field.relay.patchload(&field.site, "webrtc", &arguments);
    let expected = [20, 20, 40, 0, 0].map(|n| json!(n));
    assert_eq!(outcome(&told), expected.each_ref(), "{told}");
}

#[test]
fn media_of_bundles_comes_out_byte_for_byte_where_it_belongs() {
    let Some(field) = field() else { return };
    let arguments = [
        &*beside(),
        "--bundle",
        "--security=AES_CM_128_HMAC_SHA1_80,plain",
        "--calls=10",
        "--seconds=1",
    ];
    let told = field.relay.patchload(&field.site, "run", &arguments);
    let step = &told["step"];
    assert_eq!(step["wrong"], 0, "{told}");
    assert!(step["received"].as_u64() > Some(0), "{told}");
}
