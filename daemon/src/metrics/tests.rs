//! What a scrape shows of counters that are known.

use std::time::Duration;

use super::*;
use crate::config::PortRange;

#[test]
fn every_metric_has_help_and_a_type() {
    let text = scrape(|_| {});
    let mut described = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a name and a text");
            assert!(help.ends_with('.'), "{line}");
            described.insert(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            let base = ["_bucket", "_sum", "_count"]
                .into_iter()
                .find_map(|tail| name.strip_suffix(tail))
                .filter(|base| described.contains(base));
            assert!(
                described.contains(base.unwrap_or(name)),
                "{line} is not described"
            );
            assert!(
                name.starts_with("patchcord_") || name.starts_with("process_"),
                "{line}"
            );
        }
    }
    assert!(described.len() > 35, "{}", described.len());
}

#[test]
fn every_packet_received_has_one_verdict() {
    let text = scrape(|relay| {
        let plane = &relay.workers[0].1;
        for _ in 0..10 {
            plane.received.count(100);
        }
        for _ in 0..6 {
            plane.interfaces[0].forwarded[Proto::Rtp as usize].count(172);
        }
        plane.interfaces[0].dropped[Reason::NoPeer as usize].add(2);
        plane.unassigned.dropped[Reason::NoFlow as usize].add(1);
        plane.punts.add(1);
        // A copy that could not be sent is not a packet received.
        plane.interfaces[0].dropped[Reason::SendFull as usize].add(5);
    });
    let sum = |name: &str| -> u64 { values(&text, name).map(|(_, value)| value).sum() };
    assert_eq!(sum("patchcord_received_packets_total"), 10);
    assert_eq!(sum("patchcord_packets_total"), 10);
    assert_eq!(sum("patchcord_bytes_total"), 6 * 172);
    assert_eq!(sum("patchcord_send_failures_total"), 5);
    let no_peer = values(&text, "patchcord_packets_total")
        .find(|(labels, _)| labels.contains("reason=\"no_peer\"") && labels.contains("pub"))
        .expect("a series for each reason");
    assert_eq!(no_peer.1, 2);
    assert!(no_peer.0.contains("tier=\"worker\"") && no_peer.0.contains("verdict=\"drop\""));
}

#[test]
fn latency_buckets_add_up() {
    let text = scrape(|relay| {
        for us in [5, 15, 3_000_000] {
            let took = Duration::from_micros(us);
            relay
                .figures
                .request(Some(Command::Offer), Transport::Udp, Outcome::Ok, took);
        }
    });
    let of = |labels: &str| {
        let name = "patchcord_ng_request_seconds_bucket";
        values(&text, name)
            .find(|(l, _)| l.contains(labels))
            .expect("a bucket")
            .1
    };
    assert_eq!(of("le=\"0.00001\""), 1);
    assert_eq!(of("le=\"0.00002\""), 2);
    assert_eq!(of("le=\"1\""), 2);
    assert_eq!(of("le=\"+Inf\""), 3);
    let requests: Vec<_> = values(&text, "patchcord_ng_requests_total").collect();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].1, 3);
}

fn scrape(count: impl FnOnce(&Relay)) -> String {
    let relay = Relay {
        figures: Arc::new(Figures::new(1)),
        workers: vec![(Arc::default(), Arc::new(PlaneStats::new(1)))],
        backend: "mmsg",
        started: 1.0,
        descriptors: 1_000,
    };
    let address = [192, 0, 2, 1].into();
    relay.figures.interfaces.store(Arc::new(vec![Interface {
        name: "pub".to_owned(),
        aliases: Vec::new(),
        address,
        advertised: address,
        range: PortRange {
            min: 30_000,
            max: 30_001,
        },
    }]));
    count(&relay);
    Metrics::new(relay)
        .expect("registers")
        .text()
        .expect("encodes")
}

fn values<'t>(text: &'t str, name: &str) -> impl Iterator<Item = (&'t str, u64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{'))
            .then(|| (labels, value.parse::<f64>().expect("a number") as u64))
    })
}
