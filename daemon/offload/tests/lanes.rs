//! Which frames the program hands to a worker's socket: those of its ports that came in by its queue, whole and
//! plain. All others go up as they came.

use std::io::Write;
use std::os::fd::AsFd;

use patchcord_contract::checksum::Sum;
use patchcord_contract::{Endpoint, Settings};
use patchcord_offload::{Entrance, Gate, Program, Sizes, missing_for_lanes};
use socket2::{Domain, Socket, Type};

/// What XDP answers.
const PASS: u32 = 2;
const REDIRECT: u32 = 4;

/// The hardware address of the interface.
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// The program with a lane from queue 0 of the loopback interface, where the kernel runs tests, to worker 3.
struct Rig {
    program: Program,
    gate: Gate,
    socket: Option<Socket>,
}

impl Rig {
    /// Loads it, or says why not.
    fn new() -> Option<Self> {
        let missing = missing_for_lanes();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            drop(writeln!(std::io::stderr(), "SKIPPED: {missing}"));
            return None;
        }
        let settings = Settings {
            loopback: 1,
            ttl: 64,
            hop_limit: 64,
            lanes: 1,
            ..Settings::default()
        };
        let sizes = Sizes {
            entries: 1,
            locals: 1,
            lanes: 4,
        };
        let program = Program::load(settings, sizes).expect("the kernel takes the maps");
        let entrance = Entrance {
            interface: "lo".into(),
            index: 1,
            queue: 0,
            address: OURS,
            place: 2,
        };
        let mut lanes = program.lanes(3, vec![entrance]).expect("its maps");
        let socket = Socket::new(Domain::from(libc::AF_XDP), Type::RAW, None).expect("AF_XDP");
        lanes.open(0, socket.as_fd()).expect("there is room");
        let gate = lanes.gate();
        gate.admit(local(4000)).expect("there is room");
        Some(Self {
            program,
            gate,
            socket: Some(socket),
        })
    }

    fn run(&mut self, frame: &[u8]) -> u32 {
        let ran = self.program.run_xdp(frame, 1).expect("it runs");
        assert_eq!(ran.frame, frame, "nothing is changed");
        ran.action
    }
}

fn local(port: u16) -> Endpoint {
    Endpoint::new(std::net::IpAddr::from([192, 0, 2, 1]), port)
}

/// A frame to port 4000, by parts that can be changed.
#[derive(Clone)]
struct Frame {
    to: [u8; 6],
    source: [u8; 4],
    port: u16,
    flags: u16,
    options: bool,
    tags: usize,
    payload: Vec<u8>,
}

impl Frame {
    fn new() -> Self {
        Self {
            to: OURS,
            source: [192, 0, 2, 9],
            port: 4000,
            flags: 0x4000,
            options: false,
            tags: 0,
            payload: vec![0x80; 172],
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut frame = Self::new();
        change(&mut frame);
        frame.bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.to, [2, 0, 0, 0, 0, 2]].concat();
        (0..self.tags).for_each(|_| bytes.extend([0x81, 0, 0, 7]));
        bytes.extend([8, 0]);
        let words = if self.options { 6 } else { 5 };
        let total = (4 * words + 8 + self.payload.len()) as u16;
        let mut ip = vec![0x40 | words as u8, 0];
        ip.extend(total.to_be_bytes());
        ip.extend([0, 1]);
        ip.extend(self.flags.to_be_bytes());
        ip.extend([64, 17, 0, 0]);
        ip.extend(self.source);
        ip.extend([192, 0, 2, 1]);
        ip.resize(4 * words, 1);
        let checksum = Sum::default().bytes(&ip).checksum();
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        bytes.extend(ip);
        bytes.extend(5000_u16.to_be_bytes());
        bytes.extend(self.port.to_be_bytes());
        bytes.extend((8 + self.payload.len() as u16).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(&self.payload);
        bytes
    }
}

#[test]
fn what_is_for_a_port_of_the_queues_worker_is_handed_over_whatever_it_is() {
    let Some(mut rig) = Rig::new() else { return };
    assert_eq!(rig.run(&Frame::new().bytes()), REDIRECT);
    for first in [0, 0x16, 0x80, 0xff] {
        let frame = Frame::with(|frame| frame.payload = vec![first; 40]);
        assert_eq!(rig.run(&frame), REDIRECT, "payload of {first:#x}");
    }
    assert_eq!(rig.run(&Frame::with(|frame| frame.tags = 1)), REDIRECT);
    assert_eq!(rig.run(&Frame::with(|frame| frame.flags = 0)), REDIRECT);
}

#[test]
fn what_is_strange_goes_up() {
    let Some(mut rig) = Rig::new() else { return };
    let mut passes = |what: &str, change: &dyn Fn(&mut Frame)| {
        assert_eq!(rig.run(&Frame::with(change)), PASS, "{what}");
    };
    passes("a port of nobody", &|frame| frame.port = 4002);
    passes("another station's", &|frame| frame.to = [2, 0, 0, 0, 0, 9]);
    passes("the first fragment", &|frame| frame.flags = 0x2000);
    passes("the last fragment", &|frame| frame.flags = 20);
    passes("options", &|frame| frame.options = true);
    passes("two tags", &|frame| frame.tags = 2);
    passes("too short for RTP", &|frame| frame.payload.truncate(11));
    passes("too long for a worker", &|frame| {
        frame.payload.resize(1985, 0);
    });
    for source in [[0, 1, 2, 3], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
        passes("from nowhere", &|frame| frame.source = source);
    }
    let mut wrong = Frame::new().bytes();
    wrong[25] ^= 1;
    assert_eq!(rig.run(&wrong), PASS, "a wrong header checksum");
}

#[test]
fn a_queue_leads_to_its_own_worker_only() {
    let Some(mut rig) = Rig::new() else { return };
    let others = rig.program.lanes(4, Vec::new()).expect("its maps").gate();
    others.admit(local(4002)).expect("there is room");
    assert_eq!(rig.run(&Frame::with(|frame| frame.port = 4002)), PASS);
    assert_eq!(rig.run(&Frame::new().bytes()), REDIRECT);
}

#[test]
fn a_port_that_was_left_and_a_socket_that_was_closed_hand_nothing_over() {
    let Some(mut rig) = Rig::new() else { return };
    let frame = Frame::new().bytes();
    rig.gate.leave(local(4000));
    rig.gate.leave(local(4000));
    assert_eq!(rig.run(&frame), PASS);
    rig.gate.admit(local(4000)).expect("there is room");
    assert_eq!(rig.run(&frame), REDIRECT);
    drop(rig.socket.take());
    assert_eq!(rig.run(&frame), PASS);
}

#[test]
fn a_port_at_an_address_without_a_place_is_the_kernels() {
    let Some(rig) = Rig::new() else { return };
    let other = Endpoint::new(std::net::IpAddr::from([192, 0, 2, 2]), 4000);
    let refused = rig.gate.admit(other).expect_err("there is one place");
    assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);
    rig.gate.leave(other);
    rig.gate.admit(local(4004)).expect("its address has it");
}
