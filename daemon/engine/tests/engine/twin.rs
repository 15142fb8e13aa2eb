//! Connected twins change speed, never behaviour.

use crate::rig::{Case, Peer, Port, Rig, drops, each_with_sockets, rtp, spec, wait};
use patchcord_contract::{Endpoint, Reason};
use patchcord_engine::{BackendKind, Command};
use patchcord_media::flow::{Command as Flow, Event, Stranger};

/// A call with a twin at each port.
struct Call {
    rig: Rig,
    a: Port,
    b: Port,
    alice: Peer,
    bob: Peer,
    n: u16,
}

impl Call {
    fn new(case: Case, stranger: Stranger) -> Self {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        for (here, peer, there) in [(&a, &alice, &b), (&b, &bob, &a)] {
            let mut flow = spec(here, peer.addr(), there);
            flow.admission.stranger = stranger;
            rig.set(flow);
        }
        rig.settle();
        let mut call = Self {
            rig,
            a,
            b,
            alice,
            bob,
            n: 0,
        };
        call.twins(2);
        call
    }

    /// A packet each way.
    fn exchange(&mut self) {
        self.alice.rtp(self.n, self.a.addr);
        self.bob.rtp(self.n, self.b.addr);
        self.bob.expect(self.n, self.b.addr);
        self.alice.expect(self.n, self.a.addr);
        self.n += 1;
    }

    /// Talks until so many twins are open, and a little longer.
    fn twins(&mut self, open: u64) {
        let stats = self.rig.stats();
        for _ in 0..2000 {
            if stats.twins.get() == open {
                break;
            }
            self.exchange();
            crate::rig::pause();
        }
        assert_eq!(stats.twins.get(), open, "twins");
        (0..20).for_each(|_| self.exchange());
    }
}

#[test]
fn no_packet_is_lost_or_overtaken_while_a_twin_takes_over() {
    each_with_sockets(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.call(&a, alice.addr(), &b, bob.addr());
        bob.rtp(0, b.addr);
        alice.expect(0, a.addr);
        let stats = rig.stats();
        let (mut burst, mut after) = (0_u16, 0);
        wait("a twin is opened", || {
            for _ in 0..100 {
                let first = burst.wrapping_mul(8);
                (0..8).for_each(|n| alice.rtp(first.wrapping_add(n), a.addr));
                (0..8).for_each(|n| bob.expect(first.wrapping_add(n), b.addr));
                burst = burst.wrapping_add(1);
                after += u16::from(stats.twins.get() >= 1);
            }
            after > 100
        });
        rig.stop();
    });
}

#[test]
fn a_stranger_is_heard_beside_a_twin() {
    each_with_sockets(|case| {
        let mut call = Call::new(case, Stranger::Forward);
        let mallory = case.peer();
        mallory.rtp(7, call.a.addr);
        call.bob.expect(7, call.b.addr);
        call.exchange();
        assert_eq!(call.rig.stats().twins.get(), 2);
        call.rig.stop();
    });
}

#[test]
fn a_stranger_on_a_strict_flow_is_counted_beside_a_twin() {
    each_with_sockets(|case| {
        let mut call = Call::new(case, Stranger::Drop);
        let mallory = case.peer();
        mallory.rtp(7, call.a.addr);
        wait("the stranger is counted", || {
            drops(&call.a, Reason::WrongSource) == 1
        });
        call.bob.expect_nothing();
        call.exchange();
        call.rig.stop();
    });
}

#[test]
fn a_peer_that_moves_takes_the_flow_along() {
    each_with_sockets(|case| {
        let mut call = Call::new(case, Stranger::Follow);
        let moved = case.peer();
        moved.rtp(7, call.a.addr);
        call.bob.expect(7, call.b.addr);
        let now = Endpoint::from(moved.addr());
        wait("the move is told", || {
            let latched = |e: &Event| matches!(e, Event::Latched { peer, .. } if *peer == now);
            call.rig.events().iter().any(latched)
        });
        call.bob.rtp(8, call.b.addr);
        moved.expect(8, call.a.addr);
        call.alice = moved;
        call.twins(2);
        assert!(call.rig.stats().twins_opened.get() >= 3);
        call.rig.stop();
    });
}

#[test]
fn another_epoch_closes_the_twin() {
    each_with_sockets(|case| {
        let mut call = Call::new(case, Stranger::Forward);
        let elsewhere = case.peer();
        let mut changed = spec(&call.a, elsewhere.addr(), &call.b);
        changed.admission.epoch = 1;
        call.rig.set(changed);
        call.rig.settle();
        assert_eq!(call.rig.stats().twins.get(), 1);
        call.bob.rtp(8, call.b.addr);
        elsewhere.expect(8, call.a.addr);
        call.alice = elsewhere;
        call.twins(2);
        call.rig.stop();
    });
}

#[test]
fn an_unchanged_spec_keeps_the_twin() {
    each_with_sockets(|case| {
        let mut call = Call::new(case, Stranger::Forward);
        call.rig.set(spec(&call.a, call.alice.addr(), &call.b));
        call.rig.settle();
        call.exchange();
        assert_eq!(call.rig.stats().twins_opened.get(), 2);
        assert_eq!(call.rig.stats().twins.get(), 2);
        call.rig.stop();
    });
}

#[test]
fn a_cleared_flow_closes_the_twin_and_the_port_serves_again() {
    each_with_sockets(|case| {
        let mut call = Call::new(case, Stranger::Forward);
        for port in [&call.a, &call.b] {
            call.rig.tell(Command::Flow(Flow::Clear(port.id)));
        }
        call.rig.settle();
        assert_eq!(call.rig.stats().twins.get(), 0);
        (call.alice, call.bob) = (case.peer(), case.peer());
        call.rig
            .call(&call.a, call.alice.addr(), &call.b, call.bob.addr());
        call.twins(2);
        call.rig.stop();
    });
}

#[test]
fn ports_come_before_twins() {
    each_with_sockets(|case| {
        if case.backend != BackendKind::Uring {
            return;
        }
        let mut config = case.config();
        config.file_table = Some(16);
        let mut rig = Rig::with(case, config);
        let ports: Vec<_> = (0..8).map(|_| rig.port()).collect();
        let (alice, bob) = (case.peer(), case.peer());
        for pair in ports.chunks(2) {
            rig.call(&pair[0], alice.addr(), &pair[1], bob.addr());
        }
        let mut n = 0;
        let mut talk = || {
            n += 1;
            for pair in ports.chunks(2) {
                alice.rtp(n, pair[0].addr);
                bob.expect(n, pair[1].addr);
                bob.rtp(n, pair[1].addr);
                alice.expect(n, pair[0].addr);
            }
        };
        rig.twins(4, &mut talk);
        (0..300).for_each(|_| talk());
        assert_eq!(
            rig.stats().twins.get(),
            4,
            "a quarter of the table is for ports"
        );
        let more: Vec<_> = (0..4).map(|_| rig.port()).collect();
        rig.twins(1, &mut talk);
        (0..300).for_each(|_| talk());
        assert_eq!(
            rig.stats().twins.get(),
            1,
            "{} ports leave room for one",
            more.len() + 8
        );
        rig.stop();
    });
}

#[test]
fn no_packet_is_lost_while_twins_are_closed() {
    each_with_sockets(|case| {
        if case.backend != BackendKind::Uring {
            return;
        }
        let mut config = case.config();
        config.file_table = Some(16);
        let mut rig = Rig::with(case, config);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.call(&a, alice.addr(), &b, bob.addr());
        let mut n = 0;
        rig.twins(2, || {
            n += 1;
            alice.rtp(n, a.addr);
            bob.expect(n, b.addr);
            bob.rtp(n, b.addr);
            alice.expect(n, a.addr);
        });
        // A few are always on their way; as a twin is closed, one may overtake another.
        let mut said = n..n + 16;
        said.clone().for_each(|n| alice.rtp(n, a.addr));
        let mut heard = Vec::new();
        for more in 0..12 {
            rig.port();
            for _ in 0..100 + more {
                alice.rtp(said.end, a.addr);
                said.end += 1;
                heard.push(bob.receive());
            }
        }
        heard.extend((0..16).map(|_| bob.receive()));
        heard.sort();
        assert_eq!(rig.stats().twins.get(), 0, "ports come first");
        let said: Vec<_> = said.map(|n| (rtp(n), b.addr)).collect();
        assert_eq!(heard, said);
        rig.stop();
    });
}

#[test]
fn twins_can_be_switched_off() {
    each_with_sockets(|case| {
        let mut config = case.config();
        config.connect = false;
        let mut rig = Rig::with(case, config);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.call(&a, alice.addr(), &b, bob.addr());
        for n in 0..300 {
            alice.rtp(n, a.addr);
            bob.expect(n, b.addr);
            crate::rig::pause();
        }
        assert_eq!(rig.stats().twins_opened.get(), 0);
        rig.stop();
    });
}
