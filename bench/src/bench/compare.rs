//! Medians, ratios and limits.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::browsers::Browsers;
use super::measures::{Kind, Limit, Measure};
use super::relay::Contestant;
use super::visit::Visit;
use crate::modes::overload::RECOVERY;
use crate::report::Report;

/// One measure of one relay over all rounds.
#[derive(Clone, Copy, Debug)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self {
            median,
            least,
            most,
        })
    }
}

/// All of it, ready to be shown.
pub(crate) struct Comparison {
    kind: Kind,
    relays: Vec<Contestant>,
    /// By measure, then by relay.
    spreads: Vec<Vec<Option<Spread>>>,
    /// By relay: packets lost, wrong, doubled or out of order at the steady rate, all rounds.
    faults: Vec<u64>,
    /// By relay: rounds in which the generator could not hold its rate, so that the figures are not
    /// the relay's.
    starved: Vec<usize>,
    /// By relay: rounds in which the highest rate was the generator's.
    bound: Vec<usize>,
    /// By relay: the slowest recovery from overload, in milliseconds; nothing if it never came.
    recovery: Vec<Option<u128>>,
}

impl Comparison {
    /// Compares; the last relay is the reference.
    pub(crate) fn new(kind: Kind, relays: &[Contestant], visits: &[(Contestant, Visit)]) -> Self {
        let of = |relay: &Contestant| {
            let relay = *relay;
            visits
                .iter()
                .filter(move |(c, _)| *c == relay)
                .map(|(_, visit)| visit)
        };
        let spread = |m: &Measure, r| Spread::of(of(r).filter_map(|v| (m.of)(v)).collect());
        let faults = |r| of(r).map(faults).sum();
        let starved = |r| of(r).filter(|v| is_starved(kind, v)).count();
        let bound = |r| {
            let highest = of(r).filter_map(|v| v.highest.as_ref());
            highest.filter(|found| found.is_generator_bound()).count()
        };
        let recovery = |r| {
            let each = of(r).map(|v| v.overload.as_ref()?.recovered);
            let each: Option<Vec<_>> = each.collect();
            each.and_then(|all| all.into_iter().max())
                .map(|t| t.as_millis())
        };
        Self {
            kind,
            relays: relays.to_vec(),
            spreads: kind
                .measures()
                .iter()
                .map(|m| relays.iter().map(|r| spread(m, r)).collect())
                .collect(),
            faults: relays.iter().map(faults).collect(),
            starved: relays.iter().map(starved).collect(),
            bound: relays.iter().map(bound).collect(),
            recovery: relays.iter().map(recovery).collect(),
        }
    }

    fn ratio(&self, measure: usize, relay: usize) -> Option<f64> {
        let own = self.spreads[measure][relay]?;
        let reference = (*self.spreads[measure].last()?)?;
        (reference.median != 0.0).then(|| own.median / reference.median)
    }

    /// The ratio to the bare program at the same hook.
    fn ratio_to_bare(&self, measure: usize, relay: usize) -> Option<f64> {
        let hook = self.relays[relay].hook()?;
        let is_bare = |other: &Contestant| other.is_bare() && other.hook() == Some(hook);
        let bare = self.relays.iter().position(is_bare)?;
        let (own, bare) = (self.spreads[measure][relay]?, self.spreads[measure][bare]?);
        (bare.median != 0.0 && !self.relays[relay].is_bare()).then(|| own.median / bare.median)
    }

    /// The relay that the limits are about, if it and a reference took part: the default one, and of those in
    /// the kernel the fastest.
    fn judged(&self) -> Option<usize> {
        self.relays.last().filter(|r| !r.is_ours())?;
        if self.kind != Kind::Hooks {
            return self.relays.iter().position(|r| *r == Contestant::Uring);
        }
        let rate = |relay: usize| self.spreads[0][relay].map_or(0.0, |s| s.median);
        (0..self.relays.len())
            .filter(|relay| self.relays[*relay].hook().is_some() && !self.relays[*relay].is_bare())
            .max_by(|a, b| rate(*a).total_cmp(&rate(*b)))
    }

    /// Fails where a limit is missed.
    pub(crate) fn check(&self, report: &mut Report) {
        for (relay, rounds) in self.relays.iter().zip(&self.starved) {
            report.check(*rounds == 0, || {
                let name = relay.name();
                format!(
                    "{name}: the generator fell behind in {rounds} rounds, the machine is too busy"
                )
            });
        }
        let Some(judged) = self.judged() else { return };
        for (i, measure) in self.kind.measures().iter().enumerate() {
            let Some(limit) = measure.limit else { continue };
            report.check(self.holds(limit, i, judged), || {
                let known = |n: Option<f64>| n.map_or("unknown".into(), |r| format!("{r:.3}"));
                let figure = known(self.spreads[i][judged].map(|s| s.median));
                let ratio = known(self.ratio_of(limit, i, judged));
                format!("{}: {figure}, ratio {ratio}, want {limit}", measure.name)
            });
        }
        report.check(self.faults[judged] == 0, || {
            format!(
                "{} packets lost, wrong, doubled or reordered",
                self.faults[judged]
            )
        });
        if self.kind.has_overload() {
            report.check(self.recovers(judged), || {
                "service does not come back after overload".into()
            });
        }
    }

    fn holds(&self, limit: Limit, measure: usize, relay: usize) -> bool {
        let figure = self.spreads[measure][relay].map(|s| s.median);
        figure.is_some_and(|figure| limit.holds(figure, self.ratio_of(limit, measure, relay)))
    }

    /// The ratio that the limit is about.
    fn ratio_of(&self, limit: Limit, measure: usize, relay: usize) -> Option<f64> {
        match limit {
            Limit::OfBareAtMost(_) => self.ratio_to_bare(measure, relay),
            Limit::AtLeast(_)
            | Limit::AtMost(_)
            | Limit::ItselfAtLeast(_)
            | Limit::ItselfAtMost(_) => self.ratio(measure, relay),
        }
    }

    fn recovers(&self, relay: usize) -> bool {
        self.recovery[relay].is_some_and(|ms| ms <= RECOVERY.as_millis())
    }

    pub(crate) fn to_json(&self) -> Value {
        let rows = self.kind.measures().iter().enumerate().map(|(i, measure)| {
            let cells = self.relays.iter().enumerate().map(|(r, relay)| {
                let spread = self.spreads[i][r].map(|s| [s.median, s.least, s.most]);
                json!({ "relay": relay.name(), "median_least_most": spread,
                        "ratio": self.ratio(i, r), "ratio_to_bare": self.ratio_to_bare(i, r) })
            });
            json!({ "measure": measure.name, "limit": measure.limit.map(|limit| limit.to_string()),
                    "relays": cells.collect::<Vec<_>>() })
        });
        json!({ "measures": rows.collect::<Vec<_>>(), "faults": self.faults,
                "starved_rounds": self.starved, "generator_bound_rounds": self.bound,
                "recovery_ms": self.recovery.iter().map(|ms| ms.map(|n| n as u64))
                    .collect::<Vec<_>>() })
    }

    fn verdict(&self, holds: bool, relay: usize) -> &'static str {
        match (self.judged() == Some(relay), holds) {
            (false, _) => "",
            (true, true) => " PASS",
            (true, false) => " MISS",
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut head = vec![String::new()];
        head.extend(self.relays.iter().map(|r| r.name().to_owned()));
        head.push("limit".into());
        let mut rows = vec![head];
        for (i, measure) in self.kind.measures().iter().enumerate() {
            let mut row = vec![measure.name.to_owned()];
            row.extend((0..self.relays.len()).map(|r| self.cell(i, r)));
            row.push(
                measure
                    .limit
                    .map_or(String::new(), |limit| limit.to_string()),
            );
            rows.push(row);
        }
        let mut faults = vec!["lost, wrong, doubled, reordered there".to_owned()];
        let mut recovery = vec!["full service after overload within, ms".to_owned()];
        for r in 0..self.relays.len() {
            faults.push(format!(
                "{}{}",
                self.faults[r],
                self.verdict(self.faults[r] == 0, r)
            ));
            let ms = self.recovery[r].map_or("never".into(), |ms| ms.to_string());
            recovery.push(format!("{ms}{}", self.verdict(self.recovers(r), r)));
        }
        faults.push("0".into());
        recovery.push(format!("<= {}", RECOVERY.as_millis()));
        rows.push(faults);
        if self.kind.has_overload() {
            rows.push(recovery);
        }
        rows
    }

    fn cell(&self, measure: usize, relay: usize) -> String {
        let (m, Some(s)) = (&self.kind.measures()[measure], self.spreads[measure][relay]) else {
            return "–".into();
        };
        let d = m.digits;
        let spread = format!("{:.d$} ({:.d$}–{:.d$})", s.median, s.least, s.most);
        if relay + 1 == self.relays.len() {
            return spread;
        }
        let ratio = self.ratio(measure, relay);
        let mut ratio = ratio.map_or(String::new(), |ratio| format!(" x {ratio:.2}"));
        if let Some(to_bare) = self.ratio_to_bare(measure, relay) {
            let _ = write!(ratio, ", {to_bare:.2} of bare");
        }
        if measure == 0 && self.bound[relay] > 0 {
            ratio.push_str(" (generator)");
        }
        let verdict = m.limit.map_or("", |limit| {
            self.verdict(self.holds(limit, measure, relay), relay)
        });
        format!("{spread}{ratio}{verdict}")
    }
}

/// A hook may be faster than the generator, which is told in the table.
fn is_starved(kind: Kind, visit: &Visit) -> bool {
    let highest = visit.highest.as_ref().filter(|_| kind != Kind::Hooks);
    visit.steady.is_generator_bound() || highest.is_some_and(|h| h.best.is_generator_bound())
}

fn faults(visit: &Visit) -> u64 {
    let t = &visit.steady.tally;
    let browsers = visit.browsers.as_ref().map_or(0, Browsers::faults);
    t.lost() + t.wrong() + t.duplicated + t.reordered + browsers
}

impl fmt::Display for Comparison {
    /// A Markdown table, which also reads well on a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let width = |column: usize| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or_default()
        };
        for (i, row) in rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                write!(f, "| {cell:<width$} ", width = width(column))?;
            }
            writeln!(f, "|")?;
            if i == 0 {
                for column in 0..row.len() {
                    write!(f, "|{:-<width$}", "", width = width(column) + 2)?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let median = |v: &[f64]| Spread::of(v.to_vec()).map(|s| s.median);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
