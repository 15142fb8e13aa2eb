//! Steering: one socket for all ports of a worker. A program where the kernel looks sockets up finds the worker of
//! a local address and port; to open a port is to write the worker there, to close it is to take him out.
//!
//! Nothing is bound, so what binding refused by itself is looked for here: ports that another process has, and a
//! second relay with the same ones.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use aya::maps::{Map, MapData, SockMap};
use aya::programs::SkLookup;
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use patchcord_contract::Endpoint;

use crate::bound::{Range, bound};
use crate::claim::Claim;
use crate::needs;
use crate::ports::{Ports, places};
use crate::reserved::Reserved;
use crate::start::{Refused, chain};
use crate::table::refusal;

/// What `ebpf/build.sh` made.
static OBJECT: &[u8] = include_bytes_aligned!("../../../ebpf/steer.o");

/// The program, which steers as long as this value lives.
pub struct Steering {
    _program: Ebpf,
    ports: Ports,
    sockets: SockMap<MapData>,
    /// Ports of the ranges that others had bound when last looked.
    taken: BTreeSet<SocketAddr>,
    ranges: Vec<Range>,
    claims: Vec<Claim>,
    reserved: Reserved,
}

impl fmt::Debug for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steering")
            .field("ranges", &self.ranges)
            .finish_non_exhaustive()
    }
}

impl Steering {
    /// Attaches the program to the network namespace of the process; it steers nothing yet. There is room for
    /// the ports of so many local addresses, and of a few more.
    pub fn start(workers: usize, addresses: usize) -> Result<Self, Refused> {
        let missing = needs::missing_for_steering();
        if !missing.is_empty() {
            return Err(Refused(format!("missing: {}", missing.join(", "))));
        }
        let refused = |error: &dyn std::error::Error| {
            Refused(format!("the kernel refused the program: {}", chain(error)))
        };
        let places = places(addresses);
        let mut program = EbpfLoader::new()
            .map_max_entries("PORTS", places << 16)
            .map_max_entries("SOCKETS", 2 * workers as u32)
            .load(OBJECT)
            .map_err(|error| refused(&error))?;
        let [locals, ports] = ["LOCALS", "PORTS"].map(|name| map(&mut program, name));
        let (Map::Array(locals), Map::Array(ports)) = (locals?, ports?) else {
            return Err(Refused("the program's maps are no arrays".to_owned()));
        };
        let ports = Ports::open(&locals, &ports, places).map_err(|error| refused(&error))?;
        let sockets = SockMap::try_from(map(&mut program, "SOCKETS")?).map_err(|e| refused(&e))?;
        attach(&mut program)?;
        Ok(Self {
            _program: program,
            ports,
            sockets,
            taken: BTreeSet::new(),
            ranges: Vec::new(),
            claims: Vec::new(),
            reserved: Reserved::none(),
        })
    }

    /// Takes a range for this relay: refused if another relay steers a part of it. Ports of it that others have
    /// bound are left alone; how many says the answer.
    pub fn range(&mut self, address: IpAddr, min: u16, max: u16) -> Result<usize, Refused> {
        let range = Range { address, min, max };
        if address.is_unspecified() {
            return Err(Refused(format!("{address} is no address to steer by")));
        }
        if self.ranges.contains(&range) {
            return Ok(0);
        }
        let first = Endpoint::from(SocketAddr::new(address, min));
        if self.ports.number(first).is_err() {
            return Err(Refused(format!(
                "{address} is one address too many to steer by"
            )));
        }
        let claim = Claim::range(&range).map_err(Refused)?;
        self.claims.push(claim);
        self.ranges.push(range);
        self.reserved.add(min, max);
        self.look();
        Ok(self
            .taken
            .iter()
            .filter(|addr| range.contains(addr.ip(), addr.port()))
            .count())
    }

    /// Why ports could not be kept from being given to others, if so.
    pub fn unreserved(&self) -> Option<&io::Error> {
        self.reserved.failure()
    }

    /// Finds anew which ports others have bound.
    pub fn look(&mut self) {
        let of_ranges = |(ip, port): &(IpAddr, u16)| {
            let hit = |range: &&Range| range.is_hit_by(*ip, *port);
            let ranges = self.ranges.iter().filter(hit);
            ranges
                .map(|range| SocketAddr::new(range.address, *port))
                .collect::<Vec<_>>()
        };
        self.taken = bound().iter().flat_map(of_ranges).collect();
    }

    /// Gives a worker's sockets what is steered to it from here on.
    pub fn seat(
        &mut self,
        worker: u8,
        v4: BorrowedFd<'_>,
        v6: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        for (family, socket) in (0..).zip([Some(v4), v6]) {
            let Some(socket) = socket else { continue };
            let place = 2 * u32::from(worker) + family;
            self.sockets.set(place, &socket, 0).map_err(refusal)?;
        }
        Ok(())
    }

    /// Opens a port: what is sent there goes to the worker. Fails as binding would if somebody has it.
    pub fn open(&self, local: SocketAddr, worker: u8) -> io::Result<()> {
        if local.ip().is_unspecified() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let plain = SocketAddr::new(local.ip(), local.port());
        if self.taken.contains(&plain) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let number = self.ports.number(Endpoint::from(local))?;
        let cell = self.ports.worker(number);
        let opened = cell.compare_exchange(0, u32::from(worker) + 1, AcqRel, Relaxed);
        opened
            .map(drop)
            .map_err(|_other| io::ErrorKind::AddrInUse.into())
    }

    /// Closes a port.
    pub fn close(&self, local: SocketAddr) {
        let number = self.ports.number(Endpoint::from(local));
        let before = number.map_or(0, |number| self.ports.worker(number).swap(0, AcqRel));
        if before == 0 {
            tracing::debug!(%local, "a port was not steered");
        }
    }
}

fn map(program: &mut Ebpf, name: &'static str) -> Result<Map, Refused> {
    let map = program.take_map(name);
    map.ok_or_else(|| Refused(format!("the program has no map {name}")))
}

fn attach(program: &mut Ebpf) -> Result<(), Refused> {
    let refused =
        |what: &str, error: &dyn std::error::Error| Refused(format!("{what}: {}", chain(error)));
    let netns = File::open("/proc/thread-self/ns/net");
    let netns = netns.map_err(|error| refused("the network namespace", &error))?;
    let program: &mut SkLookup = program
        .program_mut("patchcord_steer")
        .ok_or_else(|| Refused("the object has no program".to_owned()))?
        .try_into()
        .map_err(|error| refused("the program", &error))?;
    program
        .load()
        .map_err(|error| refused("the kernel refused the program", &error))?;
    let _link = program
        .attach(netns.as_fd())
        .map_err(|error| refused("the program cannot be attached", &error))?;
    Ok(())
}
