//! The network: three namespaces in a row, made by `bench/netns.sh`, which names things as here.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use patchcord_wire::sdp::Setup;

use crate::io::Io;
use crate::io::frame::Mac;
use crate::io::packet::{PacketIo, Wire};
use crate::load::payload::Payload;
use crate::ng::call::Style;
use crate::ng::client::{Client, Relay, Wait};
use crate::ng::sdes::Security;
use crate::ng::sdp::Rtcp;
use crate::os::{clock, pin};
use crate::process::Process;
use crate::rig::{Parts, Rig};
use crate::web;

/// Namespace of the relay; those of the endpoints are `pcb-a` and `pcb-b`.
pub(crate) const RELAY: &str = "pcb-r";
/// NG port of the relay, on its loopback.
pub(crate) const NG: &str = "127.0.0.1:2223";
/// Names of the relay's interfaces, towards either side.
pub(crate) const INTERFACES: [&str; 2] = ["a", "b"];
/// NG requests in flight.
const WINDOW: usize = 16;
/// A relay that is not up by then does not come up.
const START: Duration = Duration::from_secs(10);
/// Endpoints introduce themselves for longer than relays take to settle on them (three seconds).
const WARM_UP: Duration = Duration::from_millis(3500);

/// The namespaces and the cores.
pub(crate) struct Lab {
    ipv6: bool,
    core: usize,
    /// Core of the relay.
    pub(crate) relay_core: usize,
}

impl Lab {
    /// The lab that `netns.sh` has built.
    pub(crate) fn find(ipv6: bool, core: usize, relay_core: usize) -> Result<Self> {
        for netns in ["pcb-a", RELAY, "pcb-b"] {
            ensure!(
                Path::new("/run/netns").join(netns).exists(),
                "no network namespace {netns}: `make bench` builds them, as root"
            );
        }
        Ok(Self {
            ipv6,
            core,
            relay_core,
        })
    }

    /// Link addresses of what the relay sends towards side 0 or 1: to whom, and from whom.
    pub(crate) fn links(&self, side: usize) -> [Mac; 2] {
        let wire = self.wire(side);
        // The neighbour of `netns.sh`, not the device: see `io::packet`.
        let mut neighbour = wire.ours;
        neighbour[5] = 0x0e;
        [neighbour, wire.gateway]
    }

    /// Has the links' packets received as native XDP needs it: polled by kernel threads, on the relay's core;
    /// until the value that is returned goes.
    pub(crate) fn poll_links(&self) -> Result<Polled> {
        netns_sh(&["poll", &self.relay_core.to_string()])?;
        Ok(Polled)
    }

    /// The relay's address towards side 0 or 1.
    pub(crate) fn relay_ip(&self, side: usize) -> IpAddr {
        if self.ipv6 {
            [0xfd00, 0x77, 1 + side as u16, 0, 0, 0, 0, 1].into()
        } else {
            [10, 77, 1 + side as u8, 1].into()
        }
    }

    /// A client of the relay's; this thread is pinned from here on.
    pub(crate) fn client(&self) -> Result<Client> {
        pin::this_thread(self.core)?;
        let mut client = Client::connect(&Relay {
            ng: NG.parse().expect("a constant address"),
            netns: Some(RELAY.into()),
            wait: Wait::Spinning,
        })?;
        client.wait_until_up(START)?;
        Ok(client)
    }

    /// Calls from browsers, which live beside the relay, on its loopback.
    pub(crate) fn browsers(&self, calls: usize, window: usize) -> web::Plan {
        web::Plan {
            run: format!("{:x}", clock::realtime()),
            calls,
            window,
            sections: 2,
            bundle: true,
            loss: 0.0,
            setup: Setup::Actpass,
            addresses: [self.relay_ip(0), self.relay_ip(1)],
            netns: Some(RELAY.into()),
            interfaces: Some(INTERFACES.map(Into::into)),
        }
    }

    /// A generator for this relay; this thread is pinned from here on.
    pub(crate) fn rig(&self, relay: Process, security: [Security; 2], bundle: bool) -> Result<Rig> {
        Ok(Rig::new(Parts {
            client: self.client()?,
            io: Io::Packet(PacketIo::open([self.wire(0), self.wire(1)])?),
            style: Style {
                interfaces: Some(INTERFACES.map(Into::into)),
                flags: Vec::new(),
                rtcp_mux: Vec::new(),
                keys: Vec::new(),
                ptime: 20,
                payload_type: 0,
                security,
                rtcp: Rtcp::Split,
                bundle,
            },
            payload: Payload::pattern(160)?,
            relay: Some(relay),
            window: WINDOW,
            warm_up: WARM_UP,
        }))
    }

    fn wire(&self, side: usize) -> Wire {
        let n = 1 + side as u8;
        let ip: IpAddr = if self.ipv6 {
            [0xfd00, 0x77, u16::from(n), 0, 0, 0, 0, 2].into()
        } else {
            [10, 77, n, 2].into()
        };
        let name = ["pcb-a", "pcb-b"][side];
        Wire {
            netns: Some(name.into()),
            device: name.into(),
            ours: [0x02, 0x70, 0x63, 0, n, 2],
            gateway: [0x02, 0x70, 0x63, 0, n, 1],
            ip,
        }
    }
}

/// Links that kernel threads poll, as long as this value lives.
pub(crate) struct Polled;

impl Drop for Polled {
    fn drop(&mut self) {
        // The namespaces may be gone already.
        drop(netns_sh(&["unpoll"]));
    }
}

fn netns_sh(arguments: &[&str]) -> Result<()> {
    let done = Command::new("bench/netns.sh").args(arguments).status();
    let done = done.context("bench/netns.sh, from the top folder")?;
    ensure!(done.success(), "bench/netns.sh {arguments:?}: {done}");
    Ok(())
}
