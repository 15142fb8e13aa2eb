//! Packets: `Plane::process` on plain RTP, by batch size and number of flows.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Command, Event, Feedback, Handshakes, Learning, PortId, Reporting,
    Security, Sink, Sinks, Spec, Stranger,
};
use patchcord_media::stats::PortStats;
use patchcord_media::{Outbox, Packet, Plane, Rx};

use crate::Case;

pub(crate) const CASES: [Case; 6] = [
    Case {
        name: "plane/batch-1-flows-1",
        make: || process(1, 1),
    },
    Case {
        name: "plane/batch-16-flows-1",
        make: || process(16, 1),
    },
    Case {
        name: "plane/batch-64-flows-1",
        make: || process(64, 1),
    },
    Case {
        name: "plane/batch-1-flows-1000",
        make: || process(1, 1000),
    },
    Case {
        name: "plane/batch-16-flows-1000",
        make: || process(16, 1000),
    },
    Case {
        name: "plane/batch-64-flows-1000",
        make: || process(64, 1000),
    },
];

/// A 20 ms packet of G.711.
const PACKET: usize = 172;

/// Takes what leaves, as cheaply as an engine could.
struct Sends(usize);

impl Outbox for Sends {
    fn forward(&mut self, _: usize, _: usize, _: PortId, _: Endpoint) {
        self.0 += 1;
    }

    fn copy(&mut self, _: &[u8], _: PortId, _: Endpoint) {}

    fn event(&mut self, _: Event) {}
}

/// One operation is one batch, whose packets go to the flows in turn.
fn process(batch: usize, flows: u32) -> Box<dyn FnMut()> {
    let mut plane = Plane::new(0, 1);
    let mut now = Time::from_secs(1000);
    for slot in 0..flows {
        plane.command(now, Command::Set(Arc::new(spec(slot))));
    }
    // The far side, to which everything goes.
    plane.command(now, Command::Set(Arc::new(spec(flows))));
    let mut buffers = vec![[0xd5_u8; 2048]; batch];
    let (mut packets, mut out) = (0_u32, Sends(0));
    Box::new(move || {
        now = now + Duration::from_micros(320);
        let mut received = Vec::with_capacity(batch);
        for buffer in &mut buffers {
            let slot = packets % flows;
            header(buffer, packets / flows, slot);
            packets = packets.wrapping_add(1);
            received.push(Rx {
                port: port(slot),
                source: Some(peer(slot)),
                packet: Packet::new(buffer, PACKET),
                truncated: false,
            });
        }
        out.0 = 0;
        plane.process(now, &mut received, &mut out);
        assert_eq!(out.0, batch, "every packet leaves");
    })
}

fn header(buffer: &mut [u8; 2048], sequence: u32, ssrc: u32) {
    buffer[..2].copy_from_slice(&[0x80, 0]);
    buffer[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
    buffer[4..8].copy_from_slice(&sequence.wrapping_mul(160).to_be_bytes());
    buffer[8..12].copy_from_slice(&ssrc.to_be_bytes());
}

fn port(slot: u32) -> PortId {
    PortId::new(0, slot).expect("a small slot")
}

fn peer(slot: u32) -> Endpoint {
    let [_, a, b, c] = slot.to_be_bytes();
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, a, b, c)), 4000)
}

/// Flows in pairs relay to each other; a lone one to the last.
fn spec(slot: u32) -> Spec {
    let sinks = Sinks::from_slice(&[Sink {
        via: port(slot ^ 1),
        feedback: Feedback::Keep,
        edit: None,
    }]);
    Spec {
        port: port(slot),
        accepts: Accepts::Muxed,
        admission: Admission {
            advertised: peer(slot),
            learning: Learning::Heuristic,
            stranger: Stranger::Forward,
            epoch: 1,
        },
        handshakes: Handshakes::default(),
        receive: Security::Plain,
        send: Security::Plain,
        clocks: Clocks::new(),
        rtp: sinks.clone(),
        rtcp: sinks,
        reporting: Reporting::Relayed,
        bundle: None,
        doors: None,
        tos: 184,
        blocked: false,
        interface: 0,
        stats: Arc::new(PortStats::default()),
    }
}
