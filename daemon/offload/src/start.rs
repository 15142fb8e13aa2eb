//! From the configuration to a program that runs: checks, claims, attaches, and says what it did and why.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use aya::EbpfError;
use aya::programs::links::LinkOrder;
use aya::programs::tc::TcAttachOptions;
use aya::programs::{ProgramError, TcAttachType, XdpMode};
use patchcord_contract::{Settings, Way};

use crate::choice::{Choice, Hook};
use crate::claim::Claim;
use crate::device::Device;
use crate::lanes::{Entrance, Lanes};
use crate::lookups::Lookups;
use crate::needs;
use crate::object::{Program, Sizes};
use crate::ports::places;
use crate::table::Table;

/// What is to run, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The hook asked for.
    pub choice: Choice,
    /// Names of the interfaces that have the media addresses.
    pub interfaces: Vec<String>,
    /// Workers, each of which gets a table.
    pub workers: usize,
    /// Entries there can be, all workers together.
    pub entries: u32,
    /// Local addresses that media ports are at.
    pub addresses: usize,
    /// Whether packets are handed to the workers past the kernel's stack.
    pub hands_over: bool,
    /// Of 2^32 packets, so many go up though they need not: for tests.
    pub decline: u32,
}

/// What became of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The interface.
    pub interface: String,
    /// The hook that the program is attached to.
    pub hook: Option<Hook>,
    /// Why that one, or why none.
    pub why: String,
}

/// Why nothing runs.
#[derive(Debug)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// The kernel lets go of what was a killed relay's a moment after it is gone: looked for so often, in such steps.
const TRIES: u32 = 50;
const STEP: Duration = Duration::from_millis(20);

/// A program that runs as long as this value lives.
#[derive(Debug)]
pub struct Offload {
    // In the order in which they end.
    _program: Program,
    _lookups: Option<Lookups>,
    _claims: BTreeMap<u32, Claim>,
    attached: Vec<Attached>,
    tables: Vec<Table>,
    lanes: Vec<Lanes>,
}

/// Receive queues that can lead to workers, of all interfaces together.
const LANES: u32 = 1024;

impl Offload {
    /// Attaches the program. What one interface refuses does not keep the others from it, unless a hook was
    /// asked for by name.
    pub fn start(plan: &Plan) -> Result<Self, Refused> {
        let missing = if plan.hands_over {
            needs::missing_for_lanes()
        } else {
            needs::missing()
        };
        if !missing.is_empty() {
            return Err(Refused(format!("missing: {}", missing.join(", "))));
        }
        let forwards = plan.choice != Choice::None;
        let lookups = forwards.then(Lookups::enable).transpose()?;
        let mut here = Here::load(plan).map_err(|error| {
            Refused(format!("the kernel refused the program: {}", chain(&error)))
        })?;
        let mut attached = Vec::new();
        for name in &plan.interfaces {
            let (hook, why) = match here.enrol(name) {
                Ok((hook, why)) => (Some(hook), why),
                Err(why) if matches!(plan.choice, Choice::Auto | Choice::None) => (None, why),
                Err(why) => return Err(Refused(format!("{name}: {why}"))),
            };
            attached.push(Attached {
                interface: name.clone(),
                hook,
                why,
            });
        }
        // What was asked for by name has to work somewhere.
        if plan.hands_over
            && !attached.is_empty()
            && attached.iter().all(|attached| attached.hook.is_none())
        {
            let whys = attached
                .iter()
                .map(|a| format!("{}: {}", a.interface, a.why));
            return Err(Refused(whys.collect::<Vec<_>>().join("; ")));
        }
        let maps = |error| Refused(format!("the maps of the program: {error}"));
        let tables = if forwards { plan.workers } else { 0 };
        let tables = here.program.tables(tables).map_err(maps)?;
        let lanes = (0..).zip(here.queues);
        let lanes = lanes.map(|(worker, queues)| here.program.lanes(worker, queues));
        let lanes = lanes.collect::<Result<_, _>>().map_err(maps)?;
        Ok(Self {
            _program: here.program,
            _lookups: lookups,
            _claims: here.claims,
            attached,
            tables,
            lanes,
        })
    }

    /// What became of the interfaces.
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// The workers' tables, once.
    pub fn take_tables(&mut self) -> Vec<Table> {
        std::mem::take(&mut self.tables)
    }

    /// The workers' lanes, once; none where packets are not handed to them.
    pub fn take_lanes(&mut self) -> Vec<Lanes> {
        std::mem::take(&mut self.lanes)
    }
}

/// What is attached so far.
struct Here<'a> {
    program: Program,
    /// By the interface's index.
    claims: BTreeMap<u32, Claim>,
    /// Interfaces that the XDP program is attached to.
    has_xdp: Vec<u32>,
    /// What leads to each worker; nobody where packets are not handed over.
    queues: Vec<Vec<Entrance>>,
    /// Interfaces whose queues do.
    led: Vec<u32>,
    places: std::ops::Range<u32>,
    plan: &'a Plan,
}

impl<'a> Here<'a> {
    fn load(plan: &'a Plan) -> Result<Self, EbpfError> {
        let settings = Settings {
            decline: plan.decline,
            lanes: u8::from(plan.hands_over),
            ..settings()
        };
        let sizes = Sizes {
            entries: plan.entries,
            locals: places(plan.addresses),
            lanes: if plan.hands_over { LANES } else { 1 },
        };
        let workers = if plan.hands_over { plan.workers } else { 0 };
        Ok(Self {
            program: Program::load(settings, sizes)?,
            claims: BTreeMap::new(),
            has_xdp: Vec::new(),
            queues: vec![Vec::new(); workers],
            led: Vec::new(),
            places: 0..LANES,
            plan,
        })
    }

    /// Claims an interface and attaches the program by the first hook that works.
    fn enrol(&mut self, name: &str) -> Result<(Hook, String), String> {
        let device = Device::find(name).map_err(|error| error.to_string())?;
        let (hooks, reason) = if self.plan.hands_over {
            self.plan.choice.lanes(&device)?
        } else {
            self.plan.choice.hooks(&device)?
        };
        self.claim(&device)?;
        let mut refusals = Vec::new();
        for hook in hooks {
            match self.attach(*hook, &device) {
                Ok(()) => {
                    self.lead(&device);
                    let mut why = vec![reason.to_owned()];
                    why.append(&mut refusals);
                    return Ok((*hook, why.join("; ")));
                }
                Err(error) => refusals.push(format!("not {hook}: {error}")),
            }
        }
        self.claims.remove(&device.index);
        Err(refusals.join("; "))
    }

    /// Spreads the interface's queues over the workers: those of one number to one worker, whatever the
    /// interface, because both sides of a call are one worker's.
    fn lead(&mut self, device: &Device) {
        let index = device.vlan.map_or(device.index, |(below, _)| below);
        let workers = self.queues.len();
        if workers == 0 || self.led.contains(&index) {
            return;
        }
        self.led.push(index);
        for (queue, place) in (0..device.queues).zip(&mut self.places) {
            self.queues[queue as usize % workers].push(Entrance {
                interface: device.name.clone(),
                index,
                queue,
                address: device.address,
                place,
            });
        }
    }

    /// Makes the interface this relay's. One that carries a VLAN and the VLAN itself are two.
    fn claim(&mut self, device: &Device) -> Result<(), String> {
        let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
        let claim = patiently(|| Claim::take(device.index), is_taken).map_err(|error| {
            if is_taken(&error) {
                "another relay forwards on this interface".to_owned()
            } else {
                error.to_string()
            }
        })?;
        self.claims.insert(device.index, claim);
        Ok(())
    }

    fn attach(&mut self, hook: Hook, device: &Device) -> Result<(), String> {
        let is_busy = |error: &ProgramError| errno(error) == Some(libc::EBUSY);
        let attached = match hook {
            Hook::Native => patiently(|| self.xdp(device, XdpMode::Driver), is_busy),
            Hook::Generic => patiently(|| self.xdp(device, XdpMode::Skb), is_busy),
            Hook::Tc => tc(&mut self.program, device),
        };
        attached.map_err(|error| match errno(&error) {
            Some(libc::EBUSY) => "another program is attached there".to_owned(),
            Some(libc::EOPNOTSUPP) => "the driver cannot".to_owned(),
            _ => chain(&error),
        })?;
        // What comes in by the interface that it leaves by needs no other's help, but on a virtual one.
        let is_card = !matches!(device.driver.as_str(), "veth" | "");
        let (below, vlan) = device.vlan.unwrap_or((device.index, 0));
        let way = Way {
            interface: below,
            vlan,
            bounces: u8::from(hook == Hook::Native && is_card),
            takes: 1,
        };
        let added = self
            .program
            .add_way(device.index, way)
            .and_then(|()| self.program.add_device(below));
        added.map_err(|error| chain(&error))
    }

    fn xdp(&mut self, device: &Device, mode: XdpMode) -> Result<(), ProgramError> {
        // A tagged frame is the interface's below, which may have the program for its own packets.
        let index = device.vlan.map_or(device.index, |(below, _)| below);
        if !self.has_xdp.contains(&index) {
            let _link = self.program.xdp()?.attach_to_if_index(index, mode)?;
            self.has_xdp.push(index);
        }
        Ok(())
    }
}

/// Tries again for a while as long as it is refused for that reason.
#[expect(
    clippy::disallowed_methods,
    reason = "at the start, when nobody is kept waiting"
)]
fn patiently<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_transient: impl Fn(&E) -> bool,
) -> Result<T, E> {
    for _ in 1..TRIES {
        match attempt() {
            Err(error) if is_transient(&error) => thread::sleep(STEP),
            outcome => return outcome,
        }
    }
    attempt()
}

fn tc(program: &mut Program, device: &Device) -> Result<(), ProgramError> {
    let order = TcAttachOptions::TcxOrder(LinkOrder::first());
    let program = program.tc()?;
    let _link = program.attach_with_options(&device.name, TcAttachType::Ingress, order)?;
    Ok(())
}

/// What leaves looks like what the kernel sends for the relay.
fn settings() -> Settings {
    let life = |path: &str| {
        let text = fs::read_to_string(path).ok();
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(64)
    };
    Settings {
        loopback: 1,
        ttl: life("/proc/sys/net/ipv4/ip_default_ttl"),
        hop_limit: life("/proc/sys/net/ipv6/conf/default/hop_limit"),
        ..Settings::default()
    }
}

fn errno(error: &ProgramError) -> Option<i32> {
    let ProgramError::SyscallError(error) = error else {
        return None;
    };
    error.io_error.raw_os_error()
}

/// An error and what it comes from, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text.replace('\n', " ")
}
