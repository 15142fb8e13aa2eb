//! Ports come and go, thousands of them, through a bounded queue.

use crate::rig::{Rig, each, wait};
use patchcord_engine::{BackendKind, Command, MediaSocket};
use patchcord_media::flow::PortId;

#[test]
fn a_thousand_ports_relay() {
    each(|case| {
        let mut rig = Rig::new(case);
        let ports: Vec<_> = (0..1000).map(|_| rig.port()).collect();
        rig.settle();
        assert_eq!(rig.stats().ports.get(), 1000);
        let (alice, bob) = (case.peer(), case.peer());
        for pair in ports.chunks(2).step_by(25) {
            rig.call(&pair[0], alice.addr(), &pair[1], bob.addr());
            alice.rtp(1, pair[0].addr);
            bob.expect(1, pair[1].addr);
        }
        rig.stop();
    });
}

#[test]
fn ports_beyond_the_file_table_relay() {
    each(|case| {
        let mut config = case.config();
        config.file_table = Some(3);
        let mut rig = Rig::with(case, config);
        let ports: Vec<_> = (0..8).map(|_| rig.port()).collect();
        let (alice, bob) = (case.peer(), case.peer());
        for pair in ports.chunks(2) {
            rig.call(&pair[0], alice.addr(), &pair[1], bob.addr());
            for n in 0..20 {
                alice.rtp(n, pair[0].addr);
                bob.expect(n, pair[1].addr);
            }
        }
        for port in &ports {
            rig.tell(Command::Detach { port: port.id });
            wait("the port is free", || MediaSocket::bind(port.addr).is_ok());
        }
        if case.backend == BackendKind::Uring {
            assert_eq!(
                rig.stats().twins_opened.get(),
                0,
                "the table is for ports first"
            );
        }
        rig.stop();
    });
}

#[test]
fn a_detached_port_can_be_bound_and_attached_again() {
    each(|case| {
        let mut rig = Rig::new(case);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        for round in 0..20 {
            let mut again = None;
            rig.tell(Command::Detach { port: a.id });
            rig.settle();
            wait("the port is free", || MediaSocket::bind(a.addr).is_ok());
            wait("the port is free", || {
                again.is_some() || MediaSocket::bind(a.addr).is_ok()
            });
            again = MediaSocket::bind(a.addr).ok();
            let a = rig.attach(a.id, again.expect("the port is free"));
            rig.call(&a, alice.addr(), &b, bob.addr());
            alice.rtp(round, a.addr);
            bob.expect(round, b.addr);
        }
        assert_eq!(rig.stats().ports.get(), 2);
        rig.stop();
    });
}

#[test]
fn a_port_is_free_when_its_worker_has_stopped() {
    each(|case| {
        let mut rig = Rig::new(case);
        let ports: Vec<_> = (0..50).map(|_| rig.port()).collect();
        rig.settle();
        rig.stop();
        for port in ports {
            MediaSocket::bind(port.addr).expect("the port is free");
        }
    });
}

#[test]
fn commands_that_name_no_port_are_refused() {
    each(|case| {
        let mut rig = Rig::new(case);
        let a = rig.port();
        let foreign = PortId::new(2, 0).expect("a slot");
        let vacant = PortId::new(1, 9).expect("a slot");
        let beyond = PortId::new(1, 2048).expect("a slot");
        rig.tell(Command::Detach { port: foreign });
        rig.tell(Command::Detach { port: vacant });
        for port in [foreign, beyond, a.id] {
            let socket = MediaSocket::bind(case.any()).expect("a free port");
            let place = rig.place(socket);
            rig.tell(Command::Attach { port, place });
        }
        rig.settle();
        assert_eq!(rig.stats().commands_refused.get(), 5);
        assert_eq!(rig.stats().ports.get(), 1);
        rig.stop();
    });
}

#[test]
fn a_full_queue_gives_the_command_back() {
    each(|case| {
        let mut config = case.config();
        config.commands = 8;
        let rig = Rig::with(case, config);
        let port = PortId::new(1, 5).expect("a slot");
        let full = (0..1_000_000).find_map(|_| rig.worker.send(Command::Detach { port }).err());
        let full = full.expect("nobody was woken to empty the queue");
        assert!(matches!(full.0, Command::Detach { port: back } if back == port));
        rig.worker.flush();
        wait("the queue is emptied", || rig.worker.room() == 8);
        rig.stop();
    });
}

#[test]
fn a_core_that_is_not_there_is_no_reason_to_die() {
    each(|case| {
        let mut config = case.config();
        config.core = Some(4095);
        let rig = Rig::with(case, config);
        assert!(
            rig.worker.is_running(),
            "a core that is not there is no reason to die"
        );
        rig.stop();
    });
}
