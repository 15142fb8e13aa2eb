//! From the configuration to a program that runs: checks, claims, attaches, and says what it did and why.

use std::fmt;
use std::fs;
use std::io;

use aya::programs::links::LinkOrder;
use aya::programs::tc::TcAttachOptions;
use aya::programs::{ProgramError, TcAttachType, XdpMode};
use patchcord_contract::{Settings, Way};

use crate::choice::{Choice, Hook};
use crate::claim::Claim;
use crate::device::Device;
use crate::needs;
use crate::object::Program;
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

/// A program that runs as long as this value lives.
#[derive(Debug)]
pub struct Offload {
    _program: Program,
    _claims: Vec<Claim>,
    attached: Vec<Attached>,
    tables: Vec<Table>,
}

impl Offload {
    /// Attaches the program. What one interface refuses does not keep the others from it, unless a hook was
    /// asked for by name.
    pub fn start(plan: &Plan) -> Result<Self, Refused> {
        let missing = needs::missing();
        if !missing.is_empty() {
            return Err(Refused(format!("missing: {}", missing.join(", "))));
        }
        route_lookups()?;
        let settings = Settings {
            decline: plan.decline,
            ..settings()
        };
        let mut program = Program::load(settings, plan.entries).map_err(|error| {
            Refused(format!("the kernel refused the program: {}", chain(&error)))
        })?;
        let mut claims = Vec::new();
        let mut attached = Vec::new();
        for name in &plan.interfaces {
            let outcome = enrol(&mut program, &mut claims, plan.choice, name);
            let (hook, why) = match outcome {
                Ok((hook, why)) => (Some(hook), why),
                Err(why) if plan.choice == Choice::Auto => (None, why),
                Err(why) => return Err(Refused(format!("{name}: {why}"))),
            };
            attached.push(Attached {
                interface: name.clone(),
                hook,
                why,
            });
        }
        let tables = program
            .tables(plan.workers, plan.entries)
            .map_err(|error| Refused(format!("the maps of the program: {error}")))?;
        Ok(Self {
            _program: program,
            _claims: claims,
            attached,
            tables,
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
}

/// Claims an interface and attaches the program by the first hook that works.
fn enrol(
    program: &mut Program,
    claims: &mut Vec<Claim>,
    choice: Choice,
    name: &str,
) -> Result<(Hook, String), String> {
    let device = Device::find(name).map_err(|error| error.to_string())?;
    let (hooks, reason) = choice.hooks(&device)?;
    let claim = Claim::take(device.index).map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            "another relay forwards on this interface".to_owned()
        } else {
            error.to_string()
        }
    })?;
    let mut refusals = Vec::new();
    for hook in hooks {
        match attach(program, *hook, &device) {
            Ok(()) => {
                claims.push(claim);
                let mut why = vec![reason.to_owned()];
                why.append(&mut refusals);
                return Ok((*hook, why.join("; ")));
            }
            Err(error) => refusals.push(format!("not {hook}: {error}")),
        }
    }
    Err(refusals.join("; "))
}

fn attach(program: &mut Program, hook: Hook, device: &Device) -> Result<(), String> {
    let attached = match hook {
        Hook::Native => xdp(program, device, XdpMode::Driver),
        Hook::Generic => xdp(program, device, XdpMode::Skb),
        Hook::Tc => tc(program, device),
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
    let added = program
        .add_way(device.index, way)
        .and_then(|()| program.add_device(below));
    added.map_err(|error| chain(&error))
}

fn xdp(program: &mut Program, device: &Device, mode: XdpMode) -> Result<(), ProgramError> {
    // A tagged frame is the interface's below.
    let index = device.vlan.map_or(device.index, |(below, _)| below);
    let _link = program.xdp()?.attach_to_if_index(index, mode)?;
    Ok(())
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

/// The kernel answers a program's question for a route only from an interface that may forward. The questions
/// are asked as from the loopback interface, where that means nothing else.
fn route_lookups() -> Result<(), Refused> {
    for family in ["ipv4", "ipv6"] {
        let path = format!("/proc/sys/net/{family}/conf/lo/forwarding");
        let is_on = fs::read_to_string(&path).map(|text| text.trim() == "1");
        if matches!(is_on, Ok(true))
            || matches!(&is_on, Err(e) if e.kind() == io::ErrorKind::NotFound)
        {
            continue;
        }
        fs::write(&path, "1").map_err(|error| {
            Refused(format!(
                "net.{family}.conf.lo.forwarding has to be 1 for route lookups, and cannot be set: {error}"
            ))
        })?;
    }
    Ok(())
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
