//! What became of calls.

use std::time::Duration;

use serde_json::{Value, json};

/// What became of all calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// From the relay's answer to the first packet that could be opened, of each section; sorted.
    pub(crate) media: Vec<Duration>,
    /// From the relay's answer to keys, of each transport; sorted.
    pub(crate) keys: Vec<Duration>,
    /// Sections that had none in time.
    pub(crate) silent: usize,
    /// Packets that came to a browser and were no section's there, or not as sent.
    pub(crate) wrong: u64,
    /// Calls whose sections were bundled.
    pub(crate) bundled: usize,
    /// From the first offer to the last delete.
    pub(crate) elapsed: Duration,
}

impl Outcome {
    pub(crate) fn to_json(&self) -> Value {
        let times = |times: &[Duration]| json!({"count": times.len(), "median": quantile(times, 0.5), "p95": quantile(times, 0.95)});
        json!({
            "bundled": self.bundled,
            "keys_ms": times(&self.keys),
            "media_ms": times(&self.media),
            "silent": self.silent,
            "wrong": self.wrong,
            "seconds": self.elapsed.as_secs_f64(),
        })
    }
}

/// Milliseconds at a quantile of sorted times.
pub(crate) fn quantile(times: &[Duration], q: f64) -> f64 {
    let at = (times.len() as f64 * q) as usize;
    let time = times.get(at.min(times.len().saturating_sub(1)));
    time.map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_there_is() {
        let times: Vec<_> = (1..=20).map(Duration::from_millis).collect();
        assert_eq!(
            (quantile(&times, 0.5), quantile(&times, 0.95)),
            (11.0, 20.0)
        );
        assert!(quantile(&[], 0.5).abs() < 1e-9);
    }
}
