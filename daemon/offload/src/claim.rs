//! One relay for each interface, and for each port that is steered: a name that the kernel gives to one process at a
//! time, and takes back however that process ends. It is of the network namespace, as interfaces and ports are.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::bound::Range;

/// Names of ranges begin with this; their address and ports follow.
const STEERED: &str = "patchcord/steer/";

/// Something that is this relay's.
#[derive(Debug)]
pub(crate) struct Claim {
    _name: UnixDatagram,
}

impl Claim {
    /// Claims the interface of that index; an error of kind `AddrInUse` says that another relay has it.
    pub(crate) fn take(index: u32) -> io::Result<Self> {
        Self::named(&format!("patchcord/offload/{index}"))
    }

    /// Claims ports, or says why not.
    pub(crate) fn range(range: &Range) -> Result<Self, String> {
        let Range { address, min, max } = range;
        let others = "another relay steers";
        // Its own name first: of two that start at once, at least one sees the other.
        let claim = Self::named(&format!("{STEERED}{address}/{min}-{max}"));
        let claim = claim.map_err(|error| {
            if error.kind() == io::ErrorKind::AddrInUse {
                format!("{others} {address} {min}-{max}")
            } else {
                error.to_string()
            }
        })?;
        let names = fs::read_to_string("/proc/thread-self/net/unix").unwrap_or_default();
        let theirs = names.lines().filter_map(steered);
        match theirs
            .filter(|other| other != range)
            .find(|other| other.overlaps(range))
        {
            Some(Range { min, max, .. }) => Err(format!("{others} {address} {min}-{max}")),
            None => Ok(claim),
        }
    }

    fn named(name: &str) -> io::Result<Self> {
        let name = SocketAddr::from_abstract_name(name)?;
        UnixDatagram::bind_addr(&name).map(|name| Self { _name: name })
    }
}

/// The range in a line of the kernel's table of names.
fn steered(line: &str) -> Option<Range> {
    let (_, name) = line.split_once(&format!("@{STEERED}"))?;
    let (address, ports) = name.split_once('/')?;
    let (min, max) = ports.split_once('-')?;
    Some(Range {
        address: address.parse().ok()?,
        min: min.parse().ok()?,
        max: max.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_one_owner_until_it_lets_go() {
        let index = u32::MAX - std::process::id();
        let claim = Claim::take(index).expect("nobody has it");
        let second = Claim::take(index).expect_err("it is taken");
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        drop(claim);
        Claim::take(index).expect("it is free again");
    }

    #[test]
    fn ports_have_one_owner_even_where_ranges_differ() {
        let range = |address: [u8; 4], min, max| Range {
            address: address.into(),
            min,
            max,
        };
        // An address of this process alone: names are shared with whoever runs beside it.
        let [.., a, b] = std::process::id().to_be_bytes();
        let (ours, theirs) = ([127, 200, a, b], [127, 201, a, b]);
        let claim = Claim::range(&range(ours, 30_000, 30_999)).expect("nobody has it");
        let refused = |range| Claim::range(&range).expect_err("it is taken");
        assert!(refused(range(ours, 30_000, 30_999)).contains("another relay"));
        assert!(refused(range(ours, 30_999, 31_999)).contains("30000-30999"));
        Claim::range(&range(ours, 31_000, 31_999)).expect("beside it");
        Claim::range(&range(theirs, 30_000, 30_999)).expect("another address");
        drop(claim);
        Claim::range(&range(ours, 30_500, 30_600)).expect("it is free again");
    }
}
