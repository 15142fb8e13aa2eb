//! Names for ports and keys: what came out is read with the names that the case gives.

use std::collections::{BTreeMap, BTreeSet};

/// What every byte of our fingerprints is.
pub(crate) const OURS: u8 = 0x5a;

/// Names of ports by their number, and of keys by their base64 without padding.
#[derive(Default)]
pub(crate) struct Names {
    ports: BTreeMap<String, String>,
    keys: BTreeMap<String, String>,
    /// Keys that the ends wrote themselves: these are shown as they are.
    given: BTreeSet<String>,
}

impl Names {
    /// Rewrites `out` with names: those known, then those that `expected` has in the same place,
    /// then new ones made of `side`. Where a name is taken by another
    /// port, the made one gets a number.
    pub(crate) fn apply(&mut self, out: &[String], expected: &[String], side: &str) -> Vec<String> {
        let mut section = 0;
        out.iter()
            .enumerate()
            .map(|(at, line)| {
                section += usize::from(line.starts_with("m="));
                let hint = expected.get(at).map(String::as_str).unwrap_or_default();
                self.line(line, hint, side, section)
            })
            .collect()
    }

    /// The name of a port, if it has one.
    pub(crate) fn of(&self, port: u16) -> Option<&str> {
        self.ports.get(&port.to_string()).map(String::as_str)
    }

    /// Takes note of the keys in a body that an end wrote.
    pub(crate) fn hear(&mut self, given: &[String]) {
        let keys = given.iter().filter_map(|line| key_in(line));
        self.given.extend(keys.map(|(_, key, _)| key.to_owned()));
    }

    /// A key by its name, or by its first digits if an end wrote it.
    pub(crate) fn of_key(&self, key: &str) -> String {
        match self.keys.get(key) {
            Some(name) => format!("{{{name}}}"),
            None if self.given.contains(key) => key.chars().take(6).collect(),
            None => "unnamed".to_owned(),
        }
    }

    /// Names a key of ours: as the case does in the same place, else by its number.
    fn key(&mut self, line: &str, hint: &str) -> Option<String> {
        let (before, key, after) = key_in(line)?;
        if self.given.contains(key) {
            return None;
        }
        if !self.keys.contains_key(key) {
            let is_free = |name: &String| self.keys.values().all(|known| known != name);
            let hinted = key_in(hint).and_then(|(_, hint, _)| name_in(hint).map(str::to_owned));
            let kind = if line.starts_with("a=tls-id:") {
                "id"
            } else {
                "key"
            };
            let numbers = (1..).map(|number| format!("{kind}{number}"));
            let name = hinted.into_iter().chain(numbers).find(is_free)?;
            self.keys.insert(key.to_owned(), name);
        }
        Some(format!("{before}{{{}}}{after}", self.keys[key]))
    }

    fn line(&mut self, line: &str, hint: &str, side: &str, section: usize) -> String {
        if let Some(named) = self.key(line, hint) {
            return named;
        }
        if let Some(print) = line.strip_prefix("a=fingerprint:")
            && let Some((hash, digest)) = print.split_once(' ')
            && digest
                .split(':')
                .all(|byte| u8::from_str_radix(byte, 16) == Ok(OURS))
        {
            return format!("a=fingerprint:{hash} {{ours}}");
        }
        let Some((before, port, after)) = port_in(line) else {
            return line.to_owned();
        };
        if !is_ours(port) {
            return line.to_owned();
        }
        if !self.ports.contains_key(port) {
            let kind = if line.starts_with("a=rtcp:") {
                "rtcp"
            } else {
                "rtp"
            };
            let made = format!("{side}{section}.{kind}");
            let mut wanted = name_in(hint).map_or_else(|| made.clone(), str::to_owned);
            for again in 2.. {
                if self.ports.values().all(|known| *known != wanted) {
                    break;
                }
                wanted = format!("{made}.{again}");
            }
            self.ports.insert(port.to_owned(), wanted);
        }
        format!("{before}{{{}}}{after}", self.ports[port])
    }
}

/// The key in an a=crypto line or one of ICE's credentials or the name of an
/// association, with what stands before and after.
fn key_in(line: &str) -> Option<(&str, &str, &str)> {
    for credential in ["a=ice-ufrag:", "a=ice-pwd:", "a=tls-id:"] {
        if let Some(value) = line.strip_prefix(credential) {
            return Some((&line[..credential.len()], value, ""));
        }
    }
    let start = line.strip_prefix("a=crypto:")?.find("inline:")? + "a=crypto:inline:".len();
    let rest = &line[start..];
    let end = rest.find(['|', ';', ' ', '=']).unwrap_or(rest.len());
    Some((&line[..start], &rest[..end], &rest[end..]))
}

/// The port in an m=, a=rtcp or a=candidate line, with what stands before and after.
fn port_in(line: &str) -> Option<(&str, &str, &str)> {
    let start = if line.starts_with("a=candidate:") {
        line.match_indices(' ').nth(4)?.0 + 1
    } else if line.starts_with("m=") {
        line.find(' ')? + 1
    } else {
        "a=rtcp:".len()
    };
    if !["m=", "a=rtcp:", "a=candidate:"]
        .iter()
        .any(|start| line.starts_with(start))
    {
        return None;
    }
    let rest = &line[start..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((&line[..start], &rest[..end], &rest[end..]))
}

/// Relay ports in cases are 30000 to 30999; what endpoints use is elsewhere.
fn is_ours(port: &str) -> bool {
    port.parse::<u16>()
        .is_ok_and(|port| (30_000..31_000).contains(&port))
}

fn name_in(line: &str) -> Option<&str> {
    let start = line.find('{')? + 1;
    let end = start + line[start..].find('}')?;
    Some(&line[start..end])
}
