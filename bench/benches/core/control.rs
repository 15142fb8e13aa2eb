//! Whole requests: bytes in, reply bytes and commands out, with ports that cost nothing.

use std::hint::black_box;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_control::{
    Clock, Control, Count, Lease, LeasedPort, NoPorts, Outcome, Ports, Seed, Settings, Want,
};
use patchcord_media::flow::{Command as FlowCommand, PortId};
use patchcord_wire::ng::{self, Command, Request};

use crate::Case;
use crate::ng::{PHONE, request};

pub(crate) const CASES: [Case; 2] = [
    Case {
        name: "control/offer-answer-delete",
        make: cycle,
    },
    Case {
        name: "control/reinvite",
        make: reinvite,
    },
];

/// Port numbers in a circle; the keeper of a real relay is the daemon's.
#[derive(Default)]
struct Circle {
    next: u32,
}

impl Circle {
    fn port(&mut self) -> LeasedPort {
        self.next = (self.next + 1) % 40_000;
        let id = PortId::new(0, self.next).expect("a small slot");
        LeasedPort {
            id,
            port: 10_000 + self.next as u16,
        }
    }
}

impl Ports for Circle {
    fn lease(&mut self, _: Time, want: Want) -> Result<Lease, NoPorts> {
        let rtp = self.port();
        let rtcp = (want.count == Count::Pair).then(|| self.port());
        Ok(Lease { rtp, rtcp })
    }

    fn release(&mut self, _: Time, _: LeasedPort) {}
}

/// Control, its ports, and time going on by a millisecond a request.
struct House {
    control: Control,
    ports: Circle,
    commands: Vec<FlowCommand>,
    clock: Clock,
    /// Kept, as the relay keeps its own.
    replies: Vec<u8>,
}

impl House {
    fn new() -> Self {
        let local: Endpoint = Endpoint::new(std::net::IpAddr::from([198, 51, 100, 1]), 0);
        let mut settings = Settings::with_address(local.addr);
        settings.timeouts.delete_delay = Duration::ZERO;
        Self {
            control: Control::new(settings, &Seed::of_number(1)),
            ports: Circle::default(),
            commands: Vec::new(),
            replies: Vec::new(),
            clock: Clock {
                now: Time::from_secs(1000),
                wall_us: 1_700_000_000_000_000,
            },
        }
    }

    fn handle(&mut self, datagram: &[u8]) {
        self.clock.now = self.clock.now + Duration::from_millis(1);
        let envelope = ng::parse(datagram).expect("well-formed");
        let (request, warnings) = Request::parse(&envelope.body);
        let request = request.expect("understood");
        self.commands.clear();
        let Self {
            control,
            ports,
            commands,
            clock,
            replies,
        } = self;
        let outcome = control.request(*clock, &request, &warnings, ports, commands);
        let Outcome::Reply(reply) = outcome else {
            panic!("a reply")
        };
        replies.clear();
        reply.write(Some(envelope.cookie), envelope.format, replies);
        assert!(
            replies.windows(4).any(|w| w == b"2:ok"),
            "{}",
            replies.escape_ascii()
        );
        black_box((replies, commands));
    }
}

fn cycle() -> Box<dyn FnMut()> {
    let mut house = House::new();
    let mut call = 0;
    Box::new(move || {
        call += 1;
        for command in [Command::Offer, Command::Answer, Command::Delete] {
            house.handle(&request(command, call, PHONE));
        }
    })
}

/// Offer and answer of a call that stands, nothing changed: a session refresh.
fn reinvite() -> Box<dyn FnMut()> {
    let mut house = House::new();
    let both = [Command::Offer, Command::Answer].map(|command| request(command, 1, PHONE));
    Box::new(move || both.iter().for_each(|datagram| house.handle(datagram)))
}
