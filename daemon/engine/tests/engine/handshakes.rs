//! STUN and DTLS come up to control by either socket of a port, and control's answers leave by it.

use crate::rig::{Rig, each, spec, wait};
use patchcord_contract::Endpoint;
use patchcord_engine::Command;
use patchcord_media::flow::{
    Command as Flow, Event, Handshakes, Learning, PuntClass, Punts, Stranger,
};

const STUN: [u8; 20] = [
    0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
];

#[test]
fn checks_are_answered_beside_media_with_and_without_a_twin() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob, stranger) = (case.peer(), case.peer(), case.peer());
        let mut flow = spec(&a, alice.addr(), &b);
        flow.admission.learning = Learning::Off;
        flow.admission.stranger = Stranger::Validated;
        flow.handshakes = Handshakes {
            punts: Punts::Stun,
            validated: [Endpoint::from(alice.addr())].into_iter().collect(),
        };
        rig.set(flow);
        rig.set(spec(&b, bob.addr(), &a));
        rig.settle();
        let check = |peer: &crate::rig::Peer| {
            peer.send(&STUN, a.addr);
            let from = Endpoint::from(peer.addr());
            wait("the check comes up", || {
                rig.events().into_iter().any(|event| {
                    let Event::Punted {
                        port,
                        source,
                        class,
                        bytes,
                        ..
                    } = event
                    else {
                        return false;
                    };
                    assert_eq!((port, class, &*bytes), (a.id, PuntClass::Stun, &STUN[..]));
                    source == from
                })
            });
            let bytes = b"\x01\x01 an answer".as_slice();
            rig.tell(Command::Flow(Flow::Send {
                port: a.id,
                to: from,
                bytes: bytes.into(),
            }));
            assert_eq!(peer.receive(), (bytes.to_vec(), a.addr));
        };
        check(&alice);
        check(&stranger);
        let mut n = 0;
        rig.twins(2, || {
            alice.rtp(n, a.addr);
            bob.rtp(n, b.addr);
            bob.expect(n, b.addr);
            alice.expect(n, a.addr);
            n += 1;
        });
        for _ in 0..20 {
            check(&alice);
            check(&stranger);
            alice.rtp(n, a.addr);
            bob.expect(n, b.addr);
            n += 1;
        }
        stranger.rtp(n, a.addr);
        bob.expect_nothing();
        rig.stop();
    });
}

#[test]
fn many_datagrams_of_controls_own_leave_in_order_and_before_the_port_closes() {
    each(|case| {
        let mut rig = Rig::new(case);
        let a = rig.port();
        let alice = case.peer();
        for n in 0..200_u8 {
            let send = Flow::Send {
                port: a.id,
                to: Endpoint::from(alice.addr()),
                bytes: [n; 40].into(),
            };
            rig.worker
                .send(Command::Flow(send))
                .expect("room in the queue");
        }
        rig.tell(Command::Detach { port: a.id });
        for n in 0..200 {
            assert_eq!(alice.receive(), (vec![n; 40], a.addr));
        }
        rig.stop();
    });
}
