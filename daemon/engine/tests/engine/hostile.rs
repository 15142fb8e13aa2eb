//! What peers and the network do to a worker, and that it goes on.

use crate::rig::{Peer, Rig, drops, each, rtp, wait};
use patchcord_contract::Reason;
use patchcord_engine::BackendKind;

#[test]
fn a_datagram_too_long_is_counted_and_the_next_goes_through() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.call(&a, alice.addr(), &b, bob.addr());
        let long = |len| {
            let mut packet = rtp(0);
            packet.resize(len, 0);
            packet
        };
        let whole = long(1984);
        let check = |cut| {
            for len in [1985, 1996, 2048, 9000] {
                alice.send(&long(len), a.addr);
            }
            wait("each is counted", || drops(&a, Reason::Truncated) == cut);
            alice.send(&whole, a.addr);
            assert_eq!(bob.receive(), (whole.clone(), b.addr));
        };
        check(4);
        let mut n = 0;
        rig.twins(1, || {
            n += 1;
            alice.rtp(n, a.addr);
            bob.expect(n, b.addr);
        });
        check(8);
        rig.stop();
    });
}

#[test]
fn empty_datagrams_do_not_end_a_port() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.call(&a, alice.addr(), &b, bob.addr());
        let check = |n: u16, empty| {
            (0..10).for_each(|_| alice.send(&[], a.addr));
            alice.rtp(n, a.addr);
            bob.expect(n, b.addr);
            assert_eq!(drops(&a, Reason::Empty), empty);
        };
        check(1, 10);
        let mut n = 1;
        rig.twins(1, || {
            n += 1;
            alice.rtp(n, a.addr);
            bob.expect(n, b.addr);
        });
        check(n + 1, 20);
        check(n + 2, 30);
        rig.stop();
    });
}

#[test]
fn a_peer_that_refuses_packets_does_not_end_the_flow() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.call(&a, alice.addr(), &b, bob.addr());
        let mut n = 0;
        bob.rtp(0, b.addr);
        alice.expect(0, a.addr);
        rig.twins(2, || {
            n += 1;
            alice.rtp(n, a.addr);
            bob.rtp(n, b.addr);
            bob.expect(n, b.addr);
            alice.expect(n, a.addr);
        });
        let gone = bob.addr();
        drop(bob);
        for n in 0..50 {
            alice.rtp(n, a.addr);
            crate::rig::pause();
        }
        let stats = rig.stats();
        let left = u64::from(case.backend != BackendKind::Steer);
        wait("the twin that was refused is closed", || {
            stats.twins.get() == left
        });
        let bob = Peer::at(gone);
        for n in 100..150 {
            alice.rtp(n, a.addr);
            bob.rtp(n, b.addr);
            bob.expect(n, b.addr);
            alice.expect(n, a.addr);
        }
        rig.stop();
    });
}

#[test]
fn a_flood_that_takes_all_buffers_ends_when_it_ends() {
    each(|case| {
        let mut config = case.config();
        config.buffers = 16;
        let mut rig = Rig::with(case, config);
        let ports: Vec<_> = (0..60).map(|_| rig.port()).collect();
        let (alice, bob) = (case.peer(), case.peer());
        for pair in ports.chunks(2) {
            rig.call(&pair[0], alice.addr(), &pair[1], bob.addr());
        }
        for n in 0..200 {
            for pair in ports.chunks(2) {
                alice.rtp(n, pair[0].addr);
            }
        }
        let totals = rig.worker.totals();
        let (mut before, mut quiet) = (0, 0);
        wait("the flood is over", || {
            let now = totals.received.packets.get();
            let still = bob.drained() && before == now;
            (before, quiet) = (now, if still { quiet + 1 } else { 0 });
            quiet == 50
        });
        for n in 1000..1020 {
            for pair in ports.chunks(2) {
                alice.rtp(n, pair[0].addr);
                bob.expect(n, pair[1].addr);
            }
        }
        let stats = rig.stats();
        if case.backend == BackendKind::Uring {
            assert!(stats.exhausted.get() > 0, "the flood was worth its name");
            assert!(stats.rearmed.get() >= stats.exhausted.get());
        }
        rig.stop();
    });
}

#[test]
fn stopping_in_full_flow_returns_every_buffer() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.call(&a, alice.addr(), &b, bob.addr());
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| (0..20_000).for_each(|n| alice.rtp(n, a.addr)));
            bob.receive();
            rig.stop();
            sender.join().expect("the sender ends");
        });
    });
}
