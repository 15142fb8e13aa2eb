//! What the kernel needs to answer a program's question for a route: the interface that is asked from must be one
//! that forwards. Questions are asked as from the loopback interface, where that means nothing else.

use std::fs;
use std::io;

use crate::start::Refused;

/// The settings are on as long as this value lives.
#[derive(Debug)]
pub(crate) struct Lookups {
    /// Families whose setting was off before.
    changed: Vec<&'static str>,
}

impl Lookups {
    /// Sees to it that lookups are answered, in both families.
    pub(crate) fn enable() -> Result<Self, Refused> {
        let mut lookups = Self {
            changed: Vec::new(),
        };
        for family in ["ipv4", "ipv6"] {
            match fs::read_to_string(path(family)) {
                // A kernel without the family has no packets of it either.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Ok(text) if text.trim() == "1" => continue,
                Ok(_) | Err(_) => {}
            }
            fs::write(path(family), "1").map_err(|error| {
                Refused(format!(
                    "net.{family}.conf.lo.forwarding has to be 1 for route lookups, and cannot be set: {error}"
                ))
            })?;
            tracing::info!(
                "net.{family}.conf.lo.forwarding is 1 for route lookups until the relay ends"
            );
            lookups.changed.push(family);
        }
        Ok(lookups)
    }
}

impl Drop for Lookups {
    fn drop(&mut self) {
        for family in &self.changed {
            if let Err(error) = fs::write(path(family), "0") {
                tracing::warn!(%error, "net.{family}.conf.lo.forwarding is left at 1");
            }
        }
    }
}

fn path(family: &str) -> String {
    format!("/proc/sys/net/{family}/conf/lo/forwarding")
}
