//! Ports that the kernel is not to choose for others (`net.ipv4.ip_local_reserved_ports`, of both families). Who
//! asks for one by number gets it all the same.

use std::fs::{self, File};
use std::io;

const PATH: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// What was reserved, given back with the value; a relay that is killed leaves it.
#[derive(Debug)]
pub(crate) struct Reserved {
    ranges: Vec<(u16, u16)>,
    failure: Option<io::Error>,
}

impl Reserved {
    /// Nothing yet.
    pub(crate) fn none() -> Self {
        Self {
            ranges: Vec::new(),
            failure: None,
        }
    }

    /// Reserves a range, as far as it is not yet.
    pub(crate) fn add(&mut self, min: u16, max: u16) {
        let added = change(|ranges| {
            let is_reserved = |(first, last): &(u16, u16)| *first <= min && max <= *last;
            if ranges.iter().any(is_reserved) {
                return false;
            }
            ranges.push((min, max));
            true
        });
        match added {
            Ok(true) => self.ranges.push((min, max)),
            Ok(false) => {}
            Err(error) => self.failure = Some(error),
        }
    }

    /// Why a range could not be reserved.
    pub(crate) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let given_back = change(|ranges| {
            for own in &self.ranges {
                *ranges = without(ranges, *own);
            }
            !self.ranges.is_empty()
        });
        if let Err(error) = given_back {
            tracing::debug!(%error, "net.ipv4.ip_local_reserved_ports stays as it is");
        }
    }
}

/// Changes the list, if `change` says so; one relay at a time.
fn change(change: impl FnOnce(&mut Vec<(u16, u16)>) -> bool) -> io::Result<bool> {
    let lock = File::open(PATH)?;
    lock.lock()?;
    let mut ranges = read(&fs::read_to_string(PATH)?);
    let is_changed = change(&mut ranges);
    if is_changed {
        fs::write(PATH, write(&ranges))?;
    }
    Ok(is_changed)
}

/// The ranges of a list such as `80,30000-40000`.
fn read(text: &str) -> Vec<(u16, u16)> {
    let number = |text: &str| text.trim().parse().ok();
    let range = |item: &str| match item.split_once('-') {
        Some((first, last)) => Some((number(first)?, number(last)?)),
        None => number(item).map(|port| (port, port)),
    };
    text.split(',').filter_map(range).collect()
}

fn write(ranges: &[(u16, u16)]) -> String {
    let items = ranges.iter().map(|(first, last)| format!("{first}-{last}"));
    items.collect::<Vec<_>>().join(",") + "\n"
}

/// The ranges less one of them.
fn without(ranges: &[(u16, u16)], (min, max): (u16, u16)) -> Vec<(u16, u16)> {
    let parts = ranges.iter().flat_map(|&(first, last)| {
        let below = (first < min).then(|| (first, last.min(min.saturating_sub(1))));
        let above = (last > max).then(|| (first.max(max.saturating_add(1)), last));
        let is_apart = last < min || first > max;
        if is_apart {
            [Some((first, last)), None]
        } else {
            [below, above]
        }
    });
    parts.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was_less_ones_own() {
        let text = "80,30000-40000,50000\n";
        let ranges = read(text);
        assert_eq!(ranges, [(80, 80), (30_000, 40_000), (50_000, 50_000)]);
        assert_eq!(write(&ranges), "80-80,30000-40000,50000-50000\n");
        assert_eq!(read("\n"), []);
        assert_eq!(write(&[]), "\n");
        // The kernel joins ranges that meet.
        assert_eq!(
            without(&ranges, (35_000, 50_000)),
            [(80, 80), (30_000, 34_999)]
        );
        assert_eq!(without(&[(1, 9)], (3, 4)), [(1, 2), (5, 9)]);
        assert_eq!(without(&ranges, (0, u16::MAX)), []);
        assert_eq!(without(&ranges, (81, 29_999)), ranges);
    }
}
