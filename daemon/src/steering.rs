//! Whether one socket is all ports of a worker, or each port has its own; and why.

use anyhow::{Context, bail};
use patchcord_engine::{Intake, Lower};
use patchcord_offload::{Refused, Steering, Table};

use crate::config::{Backend, Config, Interface, Steer};

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// `sk_lookup` or `ports`, as in the configuration.
    pub how: Steer,
    /// Why so.
    pub why: String,
}

/// Starts steering where it is wanted. What was asked for by name has to work.
pub fn start(config: &Config) -> anyhow::Result<(Option<Steering>, Chosen)> {
    let ports = |why: String| {
        let how = Steer::Ports;
        (None, Chosen { how, why })
    };
    if config.workers.backend == Backend::Xsk && config.workers.steer != Steer::SkLookup {
        return Ok(ports(
            "each port's own socket takes what XDP leaves".to_owned(),
        ));
    }
    let is_asked_for = match config.workers.steer {
        Steer::Ports => return Ok(ports("as configured".to_owned())),
        Steer::SkLookup => true,
        Steer::Auto => false,
    };
    if !is_asked_for && config.interfaces.iter().all(|i| i.address.is_loopback()) {
        return Ok(ports("media is on the loopback interface only".to_owned()));
    }
    match attach(config) {
        Ok(steering) => {
            let why = if is_asked_for {
                "as configured"
            } else {
                "the fastest, and permitted here"
            };
            let chosen = Chosen {
                how: Steer::SkLookup,
                why: why.to_owned(),
            };
            Ok((Some(steering), chosen))
        }
        Err(refused) if is_asked_for => bail!("workers.steer = {}: {refused}", Steer::SkLookup),
        Err(refused) => Ok(ports(refused.to_string())),
    }
}

fn attach(config: &Config) -> Result<Steering, Refused> {
    let mut steering = Steering::start(config.workers.count, config.addresses())?;
    for interface in &config.interfaces {
        claim(&mut steering, interface)?;
    }
    Ok(steering)
}

/// Takes the ports of an interface for this relay.
pub fn claim(steering: &mut Steering, interface: &Interface) -> Result<(), Refused> {
    let Interface { address, range, .. } = interface;
    let taken = steering.range(*address, range.min, range.max)?;
    if taken > 0 {
        tracing::warn!(%address, taken, "ports of the range that others have are left to them");
    }
    if let Some(error) = steering.unreserved() {
        tracing::warn!(
            %error,
            "the media ports may be given to other processes: net.ipv4.ip_local_reserved_ports"
        );
    }
    Ok(())
}

/// What a worker has of the kernel's programs.
pub fn lower(
    id: usize,
    table: Option<Table>,
    steering: Option<&mut Steering>,
) -> anyhow::Result<Lower> {
    let mut intake = None;
    if let Some(steering) = steering {
        let sockets = Intake::open().context("the socket of all ports")?;
        steering
            .seat(id as u8, sockets.v4(), sockets.v6())
            .with_context(|| format!("steering to worker {id}"))?;
        intake = Some(sockets);
    }
    Ok(Lower {
        table,
        intake,
        lanes: None,
    })
}
