//! Packets through a real worker on loopback: each backend, both families.

use std::sync::Arc;

use crate::rig::{Rig, drops, each, rtp, spec, wait};
use patchcord_contract::Reason;
use patchcord_engine::{BackendKind, Command};
use patchcord_media::flow::{Command as Flow, Feedback, Sink};

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
        let past = if case.backend == BackendKind::Xsk {
            400
        } else {
            0
        };
        assert_eq!(rig.stats().bypassed.get(), past, "past the kernel's stack");
        rig.stop();
    });
}

#[test]
fn a_forked_flow_reaches_every_sink() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b, c) = (rig.port(), rig.port(), rig.port());
        let (alice, bob, carol) = (case.peer(), case.peer(), case.peer());
        let mut forked = spec(&a, alice.addr(), &b);
        forked.rtp.push(Sink {
            via: c.id,
            feedback: Feedback::Keep,
            edit: None,
        });
        rig.set(forked);
        rig.set(spec(&b, bob.addr(), &a));
        rig.set(spec(&c, carol.addr(), &a));
        rig.settle();
        for n in 0..50 {
            alice.rtp(n, a.addr);
            bob.expect(n, b.addr);
            carol.expect(n, c.addr);
        }
        rig.stop();
    });
}

#[test]
fn a_burst_keeps_its_order() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.call(&a, alice.addr(), &b, bob.addr());
        for burst in 0..100 {
            (0..30).for_each(|n| alice.rtp(burst * 30 + n, a.addr));
            (0..30).for_each(|n| bob.expect(burst * 30 + n, b.addr));
        }
        rig.stop();
    });
}

#[test]
fn a_port_without_a_flow_counts_what_it_gets() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        alice.rtp(0, a.addr);
        let totals = rig.worker.totals();
        let no_flow = || totals.unassigned.dropped[Reason::NoFlow as usize].get();
        wait("the packet is counted", || no_flow() == 1);
        rig.call(&a, alice.addr(), &b, bob.addr());
        alice.rtp(1, a.addr);
        bob.expect(1, b.addr);
        rig.tell(Command::Flow(Flow::Clear(a.id)));
        rig.settle();
        alice.rtp(2, a.addr);
        wait("the packet is counted", || no_flow() == 2);
        bob.expect_nothing();
        rig.stop();
    });
}

#[test]
fn a_packet_finds_every_command_carried_out_that_was_queued_before_it() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b, others) = (rig.port(), rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.settle();
        for n in 0..50 {
            let clear = |id| Command::Flow(Flow::Clear(id));
            let set = |flow| Command::Flow(Flow::Set(Arc::new(flow)));
            rig.tell(clear(a.id));
            rig.settle();
            let before = (0..500).map(|_| set(spec(&others, bob.addr(), &b)));
            let calls = [
                set(spec(&b, bob.addr(), &a)),
                set(spec(&a, alice.addr(), &b)),
            ];
            for command in before.chain(calls) {
                rig.worker.send(command).expect("the queue has room");
            }
            alice.rtp(n, a.addr);
            bob.expect(n, b.addr);
        }
        rig.stop();
    });
}

#[test]
fn a_peer_of_the_other_family_is_a_failed_send() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, other) = (case.peer(), case.other().peer());
        rig.call(&a, alice.addr(), &b, other.addr());
        alice.rtp(0, a.addr);
        wait("the failure is counted", || {
            drops(&b, Reason::SendFailed) == 1
        });
        other.expect_nothing();
        rig.stop();
    });
}

#[test]
fn what_leaves_carries_the_tos_of_its_flow() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        bob.report_tos(case);
        rig.call(&a, alice.addr(), &b, bob.addr());
        let mut n = 0;
        let mut exchange = |tos| {
            alice.rtp(n, a.addr);
            assert_eq!(bob.receive_tos(), (rtp(n), tos), "packet {n}");
            n += 1;
        };
        exchange(0);
        let mut marked = spec(&b, bob.addr(), &a);
        marked.tos = 184;
        rig.set(marked.clone());
        rig.settle();
        exchange(184);
        bob.rtp(0, b.addr);
        alice.expect(0, a.addr);
        rig.twins(2, || exchange(184));
        exchange(184);
        marked.tos = 96;
        rig.set(marked);
        rig.settle();
        exchange(96);
        assert_eq!(rig.stats().twins_opened.get(), rig.stats().twins.get());
        rig.stop();
    });
}
