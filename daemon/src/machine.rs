//! What resolving the configuration has to know of this machine.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;

use crate::config::Machine;

/// How long a host name may take to resolve; a reload happens on the control thread.
const LOOKUP: Duration = Duration::from_secs(2);

impl Machine {
    /// Looks at this machine.
    pub fn detect() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let uring = patchcord_engine::probe::io_uring();
        if let Err(refused) = &uring {
            tracing::debug!(%refused, "io_uring");
        }
        Self {
            cores,
            uring: uring.is_ok(),
            devices: devices(),
            lookup,
        }
    }
}

fn devices() -> Vec<(String, IpAddr)> {
    let Ok(all) = getifaddrs() else {
        return Vec::new();
    };
    all.filter_map(|device| {
        let address = device.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
        let ip = v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::from(a.ip())))?;
        Some((device.interface_name, ip))
    })
    .collect()
}

/// The resolver has no time limit of its own, so a thread waits for it in our place.
fn lookup(host: &str) -> Vec<IpAddr> {
    let (found, answer) = mpsc::sync_channel(1);
    let name = host.to_owned();
    let thread = std::thread::Builder::new()
        .name("lookup".to_owned())
        .spawn(move || {
            let addresses = (name.as_str(), 0).to_socket_addrs();
            let ips: Vec<_> = addresses
                .into_iter()
                .flatten()
                .map(|addr| addr.ip())
                .collect();
            // Nobody waits any more if it took too long.
            let _late = found.send(ips);
        });
    match thread {
        Ok(_detached) => answer.recv_timeout(LOOKUP).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}
