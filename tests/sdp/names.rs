//! Names for ports: what came out is read with the names that the case gives.

use std::collections::BTreeMap;

/// Names of ports, by their number.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<String, String>);

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
        self.0.get(&port.to_string()).map(String::as_str)
    }

    fn line(&mut self, line: &str, hint: &str, side: &str, section: usize) -> String {
        let Some((before, port, after)) = port_in(line) else {
            return line.to_owned();
        };
        if !is_ours(port) {
            return line.to_owned();
        }
        if !self.0.contains_key(port) {
            let kind = if line.starts_with("a=rtcp:") {
                "rtcp"
            } else {
                "rtp"
            };
            let made = format!("{side}{section}.{kind}");
            let mut wanted = name_in(hint).map_or_else(|| made.clone(), str::to_owned);
            for again in 2.. {
                if self.0.values().all(|known| *known != wanted) {
                    break;
                }
                wanted = format!("{made}.{again}");
            }
            self.0.insert(port.to_owned(), wanted);
        }
        format!("{before}{{{}}}{after}", self.0[port])
    }
}

/// The port in an m= or a=rtcp line, with what stands before and after.
fn port_in(line: &str) -> Option<(&str, &str, &str)> {
    let start = if line.starts_with("m=") {
        line.find(' ')? + 1
    } else {
        "a=rtcp:".len()
    };
    if !line.starts_with("m=") && !line.starts_with("a=rtcp:") {
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
