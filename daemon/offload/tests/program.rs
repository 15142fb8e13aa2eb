//! The committed object in this kernel: it loads, and lets pass what is not its.

use std::io::Write;

use patchcord_contract::Settings;
use patchcord_offload::{Program, Sizes, missing};

const SETTINGS: Settings = Settings {
    decline: 0,
    loopback: 1,
    ttl: 64,
    hop_limit: 64,
    lanes: 0,
    zero: [0; 5],
};

#[test]
fn both_programs_load_and_pass_what_is_not_theirs() {
    let missing = missing();
    if !missing.is_empty() {
        drop(writeln!(
            std::io::stderr(),
            "SKIPPED: {}",
            missing.join(", ")
        ));
        return;
    }
    let mut program =
        Program::load(SETTINGS, Sizes::entries(16)).expect("the kernel takes the maps");
    let frame = [0; 64];
    let xdp = program.run_xdp(&frame, 1).expect("the XDP program runs");
    assert_eq!((xdp.action, xdp.frame.as_slice()), (2, frame.as_slice()));
    let tc = program.run_tc(&frame, 1).expect("the tc program runs");
    assert_eq!(tc.action, u32::MAX, "the next one decides");
    for (name, info) in [
        ("xdp", program.xdp().expect("loaded").info()),
        ("tc", program.tc().expect("loaded").info()),
    ] {
        let info = info.expect("the kernel tells");
        let verified = info.verified_instruction_count().expect("since 5.16");
        drop(writeln!(
            std::io::stderr(),
            "{name}: {verified} instructions verified, {:?} bytes translated, {} bytes jited",
            info.size_translated(),
            info.size_jitted(),
        ));
        assert!(verified < 100_000, "{name}: {verified}");
    }
}
