//! Raw frames on one device a side, each usually in its own network namespace.
//!
//! Our endpoints exist only in these frames: the device has no address of theirs, and the relay
//! reaches them by a static neighbour entry whose link address is not the device's, so the kernel
//! drops what the ring has seen instead of answering it with "port unreachable".

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Result;

use super::frame::{self, Mac, Template};
use super::{Arrival, Route, Side};
use crate::os::mmsg::Outbox;
use crate::os::netns;
use crate::os::ring::{Ring, Tap, transmitter};

/// Frames a system call.
const BATCH: usize = 64;
/// Ports of our endpoints begin here; each call takes two, RTP and the unused RTCP.
const FIRST_PORT: usize = 1024;

/// One side's wire.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    /// Network namespace of the device, if not this one.
    pub(crate) netns: Option<String>,
    /// The device.
    pub(crate) device: String,
    /// The link address our frames come from.
    pub(crate) ours: Mac,
    /// The relay's link address.
    pub(crate) gateway: Mac,
    /// The IP address of our endpoints.
    pub(crate) ip: IpAddr,
}

struct Port {
    wire: Wire,
    transmit: OwnedFd,
    ring: Ring,
    outbox: Outbox,
}

/// Both wires.
pub(crate) struct PacketIo {
    ports: [Port; 2],
    routes: Vec<(Side, Template)>,
    /// Frames our own kernel refused.
    pub(crate) unsent: u64,
}

impl PacketIo {
    /// Opens both sides; needs CAP_NET_RAW, and CAP_SYS_ADMIN to look into namespaces.
    pub(crate) fn open(wires: [Wire; 2]) -> Result<Self> {
        let port = |wire: Wire| {
            let netns = wire.netns.clone();
            netns::inside(netns.as_deref(), || {
                let ethertype = frame::ethertype(wire.ip);
                let tap = Tap {
                    device: &wire.device,
                    ethertype,
                };
                let (transmit, ring) = (transmitter(tap)?, Ring::open(tap)?);
                Ok(Port {
                    transmit,
                    ring,
                    outbox: Outbox::new(BATCH),
                    wire,
                })
            })
        };
        let [first, second] = wires;
        Ok(Self {
            ports: [port(first)?, port(second)?],
            routes: Vec::new(),
            unsent: 0,
        })
    }

    pub(super) fn endpoint(&self, side: Side, call: usize) -> SocketAddr {
        let range = (usize::from(u16::MAX) - FIRST_PORT) / 2;
        let port = FIRST_PORT + 2 * (call % range);
        SocketAddr::new(self.ports[side as usize].wire.ip, port as u16)
    }

    pub(super) fn set_routes(&mut self, routes: &[Route]) {
        let template = |r: &Route| {
            let wire = &self.ports[r.side as usize].wire;
            (r.side, Template::new(wire.ours, wire.gateway, r.from, r.to))
        };
        self.routes = routes.iter().map(template).collect();
    }

    pub(super) fn push(
        &mut self,
        route: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> io::Result<()> {
        let (side, template) = &self.routes[route];
        let port = &mut self.ports[*side as usize];
        if port.outbox.is_full() {
            self.unsent += flush(port)?;
        }
        port.outbox.push(None, |slot| template.write(slot, fill));
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        for port in &mut self.ports {
            self.unsent += flush(port)?;
        }
        Ok(())
    }

    pub(super) fn receive(&mut self, mut see: impl FnMut(Arrival<'_>)) -> usize {
        let mut seen = 0;
        for port in &mut self.ports {
            seen += port.ring.take(|f| {
                let Some(parsed) = frame::parse(f.bytes, f.partial_checksum) else {
                    return;
                };
                see(Arrival {
                    at: parsed.destination,
                    source: parsed.source,
                    stamp: f.stamp,
                    checksum_ok: parsed.checksum_ok,
                    bytes: parsed.payload,
                });
            });
        }
        seen
    }

    pub(super) fn overruns(&self) -> u64 {
        self.ports
            .iter()
            .map(|p| u64::from(p.ring.overruns()))
            .sum()
    }
}

fn flush(port: &mut Port) -> io::Result<u64> {
    let queued = port.outbox.len();
    let sent = port.outbox.flush(port.transmit.as_raw_fd())?;
    Ok((queued - sent) as u64)
}
