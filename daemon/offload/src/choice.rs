//! Which hook an interface gets, and why.

use std::fmt;
use std::str::FromStr;

use crate::device::Device;

/// What the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// What is best for each interface, or nothing where nothing works.
    Auto,
    /// Native XDP.
    Native,
    /// Generic XDP.
    Generic,
    /// tcx ingress.
    Tc,
    /// Nothing: every packet goes through a worker.
    #[default]
    None,
}

/// Where the program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// In the driver.
    Native,
    /// Behind the driver.
    Generic,
    /// Where the kernel takes the packet over, beside traffic control.
    Tc,
}

impl Choice {
    /// The words of the configuration.
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::Native,
        Self::Generic,
        Self::Tc,
        Self::None,
    ];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Tc => "tc",
            Self::None => "none",
        }
    }

    /// The hooks to try on `device`, in order, and why in that order; or why none.
    pub fn hooks(self, device: &Device) -> Result<(&'static [Hook], &'static str), &'static str> {
        if !device.is_ethernet {
            return Err(NO_HEADER);
        }
        match self {
            Self::None => Err("offload is off"),
            Self::Native => Ok((&[Hook::Native], "as configured")),
            Self::Generic => Ok((&[Hook::Generic], "as configured")),
            Self::Tc => Ok((&[Hook::Tc], "as configured")),
            Self::Auto if device.is_loopback => {
                Err("it is the loopback interface: nothing leaves the machine there")
            }
            Self::Auto => Ok(match device.driver.as_str() {
                // Measured: a packet of the kernel's own kind would be copied into a frame and back.
                "veth" | "bridge" | "macvlan" | "ipvlan" | "dummy" => (
                    &[Hook::Tc, Hook::Generic],
                    "tc, the fastest where packets come from the same kernel",
                ),
                "" => (
                    &[Hook::Tc, Hook::Generic],
                    "tc, because the interface is virtual",
                ),
                _ => (
                    &[Hook::Native, Hook::Tc, Hook::Generic],
                    "native, the fastest on a network card",
                ),
            }),
        }
    }
}

impl Choice {
    /// The same where packets are also handed to workers past the kernel's stack, which XDP alone can.
    pub fn lanes(self, device: &Device) -> Result<(&'static [Hook], &'static str), &'static str> {
        match self {
            _ if !device.is_ethernet => Err(NO_HEADER),
            Self::Tc => Err(
                "what XDP hands to the workers never gets to tc: native, generic or auto it has to be",
            ),
            Self::Auto | Self::None if device.is_loopback => Ok((
                &[Hook::Generic],
                "generic, all that the loopback interface can",
            )),
            Self::Auto | Self::None => Ok((
                &[Hook::Native, Hook::Generic],
                "native, the faster way to a worker",
            )),
            Self::Native | Self::Generic => self.hooks(device),
        }
    }
}

const NO_HEADER: &str = "its packets have no Ethernet header";

impl Hook {
    /// The name in logs and `patchctl`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Tc => "tc",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Choice {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|choice| choice.as_str() == word)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(driver: &str) -> Device {
        Device {
            name: "port0".into(),
            index: 4,
            driver: driver.into(),
            is_ethernet: true,
            is_loopback: false,
            vlan: None,
            address: [2, 0, 0, 0, 0, 1],
            queues: 1,
        }
    }

    #[test]
    fn packets_are_handed_to_workers_by_xdp_only() {
        let veth = device("veth");
        for (choice, first) in [
            (Choice::Auto, Hook::Native),
            (Choice::None, Hook::Native),
            (Choice::Generic, Hook::Generic),
        ] {
            let (hooks, _) = choice.lanes(&veth).expect("a hook");
            assert_eq!(hooks[0], first);
        }
        assert!(Choice::Tc.lanes(&veth).is_err());
        let tunnel = Device {
            is_ethernet: false,
            ..device("tun")
        };
        assert!(Choice::None.lanes(&tunnel).is_err());
    }

    #[test]
    fn a_card_gets_native_and_a_container_tc() {
        let first = |driver| {
            let (hooks, _) = Choice::Auto.hooks(&device(driver)).expect("a hook");
            hooks[0]
        };
        assert_eq!(first("ixgbe"), Hook::Native);
        assert_eq!(first("veth"), Hook::Tc);
        assert_eq!(first(""), Hook::Tc);
    }

    #[test]
    fn what_is_asked_for_is_not_replaced() {
        for (choice, hook) in [
            (Choice::Native, Hook::Native),
            (Choice::Generic, Hook::Generic),
            (Choice::Tc, Hook::Tc),
        ] {
            let (hooks, _) = choice.hooks(&device("veth")).expect("a hook");
            assert_eq!(hooks, [hook]);
        }
    }

    #[test]
    fn tunnels_and_the_loopback_interface_get_nothing_by_themselves() {
        let tunnel = Device {
            is_ethernet: false,
            ..device("tun")
        };
        assert!(Choice::Auto.hooks(&tunnel).is_err());
        assert!(Choice::Tc.hooks(&tunnel).is_err());
        let loopback = Device {
            is_loopback: true,
            ..device("")
        };
        assert!(Choice::Auto.hooks(&loopback).is_err());
        assert!(Choice::Generic.hooks(&loopback).is_ok());
    }

    #[test]
    fn words_mean_what_they_say() {
        for choice in Choice::ALL {
            assert_eq!(choice.as_str().parse(), Ok(choice));
        }
        assert_eq!("xdp".parse::<Choice>(), Err(()));
    }
}
