//! Steering: one socket for all ports of a worker. A program where the kernel looks sockets up finds the worker of
//! a local address and port; to open a port is to write it into a map, to close it is to take it out.
//!
//! Nothing is bound, so what binding refused by itself is looked for here: ports that another process has, and a
//! second relay with the same ones.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{HashMap, Map, MapData, MapError, SockMap};
use aya::programs::SkLookup;
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use patchcord_contract::{Endpoint, EntryKey};

use crate::bound::{Range, bound};
use crate::claim::Claim;
use crate::needs;
use crate::object::Wire;
use crate::reserved::Reserved;
use crate::start::{Refused, chain};

/// What `ebpf/build.sh` made.
static OBJECT: &[u8] = include_bytes_aligned!("../../../ebpf/steer.o");

/// The flag by which the kernel refuses to replace an entry (`BPF_NOEXIST`).
const NEW: u64 = 1;

/// The program, which steers as long as this value lives.
pub struct Steering {
    _program: Ebpf,
    ports: HashMap<MapData, Wire<EntryKey>, u32>,
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
    /// so many ports.
    pub fn start(workers: usize, ports: usize) -> Result<Self, Refused> {
        let missing = needs::missing_for_steering();
        if !missing.is_empty() {
            return Err(Refused(format!("missing: {}", missing.join(", "))));
        }
        let refused = |error: &dyn std::error::Error| {
            Refused(format!("the kernel refused the program: {}", chain(error)))
        };
        let most = u32::try_from(ports).unwrap_or(u32::MAX);
        let mut program = EbpfLoader::new()
            .map_max_entries("PORTS", most.clamp(64, 1 << 22))
            .map_max_entries("SOCKETS", 2 * workers as u32)
            .load(OBJECT)
            .map_err(|error| refused(&error))?;
        let ports = HashMap::try_from(map(&mut program, "PORTS")?).map_err(|e| refused(&e))?;
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
    pub fn open(&mut self, local: SocketAddr, worker: u8) -> io::Result<()> {
        if local.ip().is_unspecified() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let plain = SocketAddr::new(local.ip(), local.port());
        if self.taken.contains(&plain) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let key = Wire(EntryKey::new(Endpoint::from(local)));
        self.ports
            .insert(key, u32::from(worker), NEW)
            .map_err(refusal)
    }

    /// Closes a port.
    pub fn close(&mut self, local: SocketAddr) {
        let key = Wire(EntryKey::new(Endpoint::from(local)));
        if let Err(error) = self.ports.remove(&key) {
            tracing::debug!(%local, %error, "a port was not steered");
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

fn refusal(error: MapError) -> io::Error {
    let MapError::SyscallError(error) = error else {
        return io::Error::other(error);
    };
    match error.io_error.raw_os_error() {
        Some(libc::EEXIST) => io::ErrorKind::AddrInUse.into(),
        _ => error.io_error,
    }
}
