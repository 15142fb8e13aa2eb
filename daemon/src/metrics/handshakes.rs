//! What came of ICE and DTLS, and how long it took.

use patchcord_control::Spans;
use patchcord_dtls::pool::FAILURES;
use patchcord_media::stats::Cell;

use super::family::Family;
use crate::figures::{Figures, SpanFigures};

/// All of it.
pub(super) fn families(figures: &Figures) -> Vec<Family> {
    let [associations, fell_back, refused] = &figures.dtls_pool;
    let counter = |name: &str, help: &str, cell: &Cell| {
        Family::counter(name, help).with(&[], cell.get() as f64)
    };
    vec![
        outcomes(
            "patchcord_ice_total",
            "Outcomes of ICE towards a leg, by section.",
            ["connected", "failed", "lost", "role_conflict"].into_iter(),
            &figures.ice,
        ),
        spans(
            "patchcord_ice_seconds",
            "From when both ends had each other's credentials to pairs in use, by section.",
            &figures.ice_took,
        ),
        outcomes(
            "patchcord_dtls_total",
            "Outcomes of DTLS handshakes: keys, or why there are none.",
            std::iter::once("connected").chain(FAILURES),
            &figures.dtls,
        ),
        spans(
            "patchcord_dtls_seconds",
            "How long handshakes took that made keys.",
            &figures.dtls_took,
        ),
        Family::gauge("patchcord_dtls_associations", "DTLS associations.")
            .with(&[], associations.get() as f64),
        counter(
            "patchcord_dtls_fallbacks_total",
            "Handshakes begun again with the other library.",
            fell_back,
        ),
        counter(
            "patchcord_dtls_refused_total",
            "Associations refused because there were too many.",
            refused,
        ),
        lost(&figures.dtls_lost),
    ]
}

/// Peers send again what is lost here.
fn lost(cells: &[Cell; 3]) -> Family {
    let help =
        "DTLS datagrams lost inside the relay: for no association, or because a queue was full.";
    let mut family = Family::counter("patchcord_dtls_lost_datagrams_total", help);
    for (cause, cell) in ["no_association", "out_queue", "in_queue"]
        .iter()
        .zip(cells)
    {
        family.add(&[("cause", cause)], cell.get() as f64);
    }
    family
}

fn outcomes(
    name: &str,
    help: &str,
    words: impl Iterator<Item = &'static str>,
    cells: &[Cell],
) -> Family {
    let mut family = Family::counter(name, help);
    for (word, cell) in words.zip(cells) {
        family.add(&[("outcome", word)], cell.get() as f64);
    }
    family
}

/// A distribution of times.
fn spans(name: &str, help: &str, figures: &SpanFigures) -> Family {
    let counts = figures.counts.each_ref().map(Cell::get);
    let bounds = Spans::BOUNDS.iter().map(|ms| *ms as f64 / 1_000.0);
    let sum = figures.sum_us.get() as f64 / 1_000_000.0;
    let mut family = Family::histogram(name, help);
    family.add_buckets(&[], bounds, &counts, sum);
    family
}
