//! One relay for each interface: a name that the kernel gives to one process at a time, and takes back however
//! that process ends. It is of the network namespace, as interfaces are.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// An interface that is this relay's.
#[derive(Debug)]
pub(crate) struct Claim {
    _name: UnixDatagram,
}

impl Claim {
    /// Claims the interface of that index; an error of kind `AddrInUse` says that another relay has it.
    pub(crate) fn take(index: u32) -> io::Result<Self> {
        let name = SocketAddr::from_abstract_name(format!("patchcord/offload/{index}"))?;
        UnixDatagram::bind_addr(&name).map(|name| Self { _name: name })
    }
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
}
