//! Packets through a real worker on loopback: each backend, both families.
#![expect(clippy::print_stderr, reason = "a skipped backend is said loudly")]

mod rig;

use rig::{Rig, each};

#[test]
fn packets_go_both_ways() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.call(&a, alice.addr(), &b, bob.addr());
        for n in 0..200 {
            alice.rtp(n, a.addr);
            bob.rtp(n + 1000, b.addr);
            bob.expect(n, b.addr);
            alice.expect(n + 1000, a.addr);
        }
        assert_eq!(a.stats.rtp_in.packets.get(), 200);
        rig.stop();
    });
}
