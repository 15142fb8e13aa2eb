//! Values that the file, the environment and the command line write in more than one way.

use std::fmt;
use std::marker::PhantomData;

use patchcord_offload::Choice;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

/// One value or a list of them; one string may hold several, parted by commas or semicolons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Many(pub Vec<String>);

impl Many {
    /// The values of one string.
    pub fn split(text: &str) -> Self {
        let parts = text
            .split([',', ';'])
            .map(str::trim)
            .filter(|part| !part.is_empty());
        Self(parts.map(str::to_owned).collect())
    }
}

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Many;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number, or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Many, E> {
                Ok(Many::split(text))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Many, E> {
                Ok(Many(vec![number.to_string()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Many, A::Error> {
                let mut all = Vec::new();
                while let Some(Many(some)) = list.next_element()? {
                    all.extend(some);
                }
                Ok(Many(all))
            }
        }
        input.deserialize_any(Seen)
    }
}

/// A value, or the word `auto`; resolved before anything but the configuration sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrAuto<T> {
    /// Chosen by what the machine has.
    Auto,
    /// As written.
    Is(T),
}

impl<T> OrAuto<T> {
    /// The value, or what `choose` says.
    pub fn or_else(self, choose: impl FnOnce() -> T) -> T {
        match self {
            Self::Auto => choose(),
            Self::Is(value) => value,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrAuto<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Seen<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Seen<T> {
            type Value = OrAuto<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`auto` or a value")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OrAuto<T>, E> {
                if text == "auto" {
                    return Ok(OrAuto::Auto);
                }
                T::deserialize(de::value::StrDeserializer::new(text)).map(OrAuto::Is)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<OrAuto<T>, E> {
                T::deserialize(de::value::I64Deserializer::new(number)).map(OrAuto::Is)
            }
        }
        input.deserialize_any(Seen(PhantomData))
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(pub tracing::Level);

impl Level {
    /// A level by tracing's name, by syslog's, or by rtpengine's number 0 to 7.
    pub fn parse(text: &str) -> Option<Self> {
        use tracing::Level as L;
        Some(Self(match text.trim().to_ascii_lowercase().as_str() {
            "error" | "err" | "crit" | "0" | "1" | "2" | "3" => L::ERROR,
            "warn" | "warning" | "4" => L::WARN,
            "info" | "notice" | "5" | "6" => L::INFO,
            "debug" | "7" => L::DEBUG,
            "trace" | "8" => L::TRACE,
            _ => return None,
        }))
    }

    /// One step more or less talkative, by the sign of `step`.
    pub fn step(self, louder: bool) -> Self {
        use tracing::Level as L;
        let order = [L::ERROR, L::WARN, L::INFO, L::DEBUG, L::TRACE];
        let at = order.iter().position(|l| *l == self.0).unwrap_or(2);
        let to = if louder {
            (at + 1).min(order.len() - 1)
        } else {
            at.saturating_sub(1)
        };
        Self(order[to])
    }

    /// rtpengine's number for it.
    pub fn number(self) -> u8 {
        use tracing::Level as L;
        match self.0 {
            L::ERROR => 3,
            L::WARN => 4,
            L::INFO => 6,
            L::DEBUG => 7,
            L::TRACE => 8,
        }
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let Many(words) = Many::deserialize(input)?;
        words
            .first()
            .and_then(|word| Self::parse(word))
            .ok_or_else(|| {
                de::Error::custom("expected `error`, `warn`, `info`, `debug`, `trace`, or 0 to 7")
            })
    }
}

/// How the kernel's program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook(pub Choice);

impl<'de> Deserialize<'de> for Hook {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let Many(words) = Many::deserialize(input)?;
        words
            .first()
            .and_then(|word| word.parse().ok())
            .map(Self)
            .ok_or_else(|| {
                de::Error::custom("expected `auto`, `native`, `generic`, `tc`, or `none`")
            })
    }
}

/// Where the log goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The journal if the process was started by it, else stderr.
    #[default]
    Auto,
    /// The journal.
    Journald,
    /// Standard error.
    Stderr,
}

/// One `[[interface]]`, or its short form `[name/]address[!advertised]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceText {
    /// The name that `direction` selects it by.
    pub name: Option<String>,
    /// Local addresses: IPs, network devices, host names, or `any`.
    pub address: Vec<String>,
    /// What stands in SDP instead of them.
    pub advertised: Vec<String>,
    /// Its own lowest port.
    pub port_min: Option<u16>,
    /// Its own highest port.
    pub port_max: Option<u16>,
    /// Other names for it.
    pub alias: Vec<String>,
}

impl InterfaceText {
    /// The short form, as on rtpengine's command line; `alias=name` makes another name.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if let Some((alias, name)) = text.split_once('=') {
            return Self {
                name: Some(name.trim().to_owned()),
                alias: vec![alias.trim().to_owned()],
                ..Self::default()
            };
        }
        let (name, rest) = match text.split_once('/') {
            Some((name, rest)) => (Some(name.trim().to_owned()), rest),
            None => (None, text),
        };
        let (address, advertised) = match rest.split_once('!') {
            Some((address, advertised)) => (address, vec![plain(advertised)]),
            None => (rest, Vec::new()),
        };
        Self {
            name,
            address: vec![plain(address)],
            advertised,
            ..Self::default()
        }
    }

    /// Whether it only gives another name to an interface.
    pub fn is_alias(&self) -> bool {
        self.address.is_empty() && !self.alias.is_empty()
    }
}

/// An address without the brackets that IPv6 literals may carry.
fn plain(address: &str) -> String {
    let address = address.trim();
    address
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'))
        .unwrap_or(address)
        .to_owned()
}

impl<'de> Deserialize<'de> for InterfaceText {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = InterfaceText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table, or `[name/]address[!advertised]`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<InterfaceText, E> {
                Ok(InterfaceText::parse(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<InterfaceText, A::Error> {
                let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(InterfaceText {
                    name: table.name,
                    address: table.address.0.iter().map(|a| plain(a)).collect(),
                    advertised: table.advertised.0.iter().map(|a| plain(a)).collect(),
                    port_min: table.port_min,
                    port_max: table.port_max,
                    alias: table.alias.0,
                })
            }
        }
        input.deserialize_any(Seen)
    }
}

/// The long form's keys.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Table {
    name: Option<String>,
    address: Many,
    advertised: Many,
    port_min: Option<u16>,
    port_max: Option<u16>,
    alias: Many,
}

/// The keys of an `[[interface]]`.
pub const INTERFACE_KEYS: &[&str] = &[
    "name",
    "address",
    "advertised",
    "port-min",
    "port-max",
    "alias",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_takes_name_address_and_advertised() {
        let full = InterfaceText::parse("pub/192.0.2.1!198.51.100.1");
        assert_eq!(full.name.as_deref(), Some("pub"));
        assert_eq!(full.address, ["192.0.2.1"]);
        assert_eq!(full.advertised, ["198.51.100.1"]);
        let bare = InterfaceText::parse("[2001:db8::1]");
        assert_eq!(
            (bare.name, bare.address),
            (None, vec!["2001:db8::1".to_owned()])
        );
    }

    #[test]
    fn the_alias_form_names_an_interface_again() {
        let alias = InterfaceText::parse("internal=priv");
        assert!(alias.is_alias());
        assert_eq!(alias.name.as_deref(), Some("priv"));
        assert_eq!(alias.alias, ["internal"]);
    }

    #[test]
    fn levels_are_words_or_numbers() {
        assert_eq!(Level::parse("7"), Some(Level(tracing::Level::DEBUG)));
        assert_eq!(Level::parse("Warning"), Some(Level(tracing::Level::WARN)));
        assert_eq!(Level::parse("9"), None);
        assert_eq!(
            Level(tracing::Level::INFO).step(true),
            Level(tracing::Level::DEBUG)
        );
        assert_eq!(
            Level(tracing::Level::ERROR).step(false),
            Level(tracing::Level::ERROR)
        );
    }

    #[test]
    fn lists_are_also_one_string() {
        assert_eq!(Many::split(" a; b,c ,").0, ["a", "b", "c"]);
    }
}
