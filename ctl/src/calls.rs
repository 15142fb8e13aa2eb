//! The list of calls: fetched in pages, filtered, ordered, one line each.

use std::cmp::Reverse;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{Calls, Sort};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Form};
use crate::table::{Align, Table, bytes, count, shorten, span};

/// Calls asked for at a time: the answer has to fit a datagram.
const PAGE: usize = 100;
/// Characters of a call-id that are shown.
const ID_WIDTH: usize = 48;
/// Characters of tags and addresses that are shown.
const NAMES_WIDTH: usize = 40;

/// One call in the list, as `json calls` has it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Summary {
    pub(crate) call_id: String,
    pub(crate) state: String,
    pub(crate) seconds: u64,
    /// Since the last answer.
    #[serde(rename = "answered seconds")]
    pub(crate) answered: Option<u64>,
    pub(crate) tags: Vec<String>,
    pub(crate) peers: Vec<String>,
    pub(crate) medias: u64,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) lost: u64,
    pub(crate) dropped: u64,
}

impl Summary {
    /// Whether its id, a tag or an address contains the text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut names = [&self.call_id]
            .into_iter()
            .chain(&self.tags)
            .chain(&self.peers);
        names.any(|name| name.contains(text))
    }

    /// Lost packets, per cent of those expected.
    pub(crate) fn loss(&self) -> f64 {
        self.lost as f64 * 100.0 / (self.lost + self.packets).max(1) as f64
    }
}

/// Prints the calls that are wanted.
pub(crate) fn run(client: &mut Client, wanted: &Calls, form: Form) -> Result<(), Failure> {
    let all = fetch(client)?;
    let total = all.len();
    let chosen = choose(all, wanted);
    if form == Form::Json {
        let documents: Vec<_> = chosen.into_iter().map(|(_, document)| document).collect();
        return output::json(&json!({"calls": documents}));
    }
    let summaries: Vec<_> = chosen.into_iter().map(|(summary, _)| summary).collect();
    output::text(render(&summaries, total))
}

/// All calls with the relay's own words about them.
pub(crate) fn fetch(client: &mut Client) -> Result<Vec<(Summary, Value)>, Failure> {
    let mut calls = Vec::new();
    let mut known = HashSet::new();
    for page in 0.. {
        let document = client.document(&format!("json calls {} {PAGE}", page * PAGE))?;
        let entries = entries(document)?;
        let length = entries.len();
        let before = known.len();
        for entry in entries {
            let summary: Summary = serde_json::from_value(entry.clone()).map_err(unreadable)?;
            // Calls that end between two pages move the others.
            if known.insert(summary.call_id.clone()) {
                calls.push((summary, entry));
            }
        }
        if length < PAGE || known.len() == before {
            break;
        }
    }
    Ok(calls)
}

fn entries(mut document: Value) -> Result<Vec<Value>, Failure> {
    if let Some(Value::Array(entries)) = document.get_mut("calls").map(Value::take) {
        return Ok(entries);
    }
    let why = "the relay's list of calls has no `calls`; is it a Patchcord of another version?";
    Err(Failure::Refused(why.to_owned()))
}

/// For an answer whose shape is not the one that is known.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is an argument of map_err"
)]
pub(crate) fn unreadable(error: serde_json::Error) -> Failure {
    let version = env!("CARGO_PKG_VERSION");
    Failure::Refused(format!(
        "the relay's answer is not what patchctl {version} expects ({error}); `patchctl version` \
         compares the two, --json shows the answer as it is"
    ))
}

fn choose(mut calls: Vec<(Summary, Value)>, wanted: &Calls) -> Vec<(Summary, Value)> {
    if let Some(filter) = &wanted.filter {
        calls.retain(|(summary, _)| summary.matches(filter));
    }
    calls.sort_by(|(a, _), (b, _)| a.call_id.cmp(&b.call_id));
    match wanted.sort {
        Sort::Age => calls.sort_by_key(|(call, _)| call.seconds),
        Sort::Id => {}
        Sort::Packets => calls.sort_by_key(|(call, _)| Reverse(call.packets)),
        Sort::Loss => calls.sort_by(|(a, _), (b, _)| b.loss().total_cmp(&a.loss())),
        Sort::Dropped => calls.sort_by_key(|(call, _)| Reverse(call.dropped)),
    }
    calls.truncate(wanted.limit);
    calls
}

fn render(calls: &[Summary], total: usize) -> String {
    if total == 0 {
        return "No calls.\n".to_owned();
    }
    if calls.is_empty() {
        return format!("None of the {total} calls matches.\n");
    }
    let (left, right) = (Align::Left, Align::Right);
    let mut table = Table::new(&[
        ("call", left),
        ("state", left),
        ("age", right),
        ("parties", left),
        ("packets", right),
        ("bytes", right),
        ("loss", right),
        ("dropped", right),
    ]);
    for call in calls {
        let names = if call.peers.is_empty() {
            &call.tags
        } else {
            &call.peers
        };
        table.row([
            shorten(&call.call_id, ID_WIDTH),
            call.state.clone(),
            span(call.seconds),
            shorten(&names.join(" ↔ "), NAMES_WIDTH),
            count(call.packets),
            bytes(call.bytes),
            format!("{:.1} %", call.loss()),
            count(call.dropped),
        ]);
    }
    let shown = calls.len();
    let more = if shown < total {
        format!("{shown} of {total} calls\n")
    } else {
        String::new()
    };
    format!("{table}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_line() {
        let call = Summary {
            call_id: "3c26700c@phone".into(),
            state: "answered".into(),
            seconds: 187,
            peers: vec!["192.0.2.7:4000".into(), "198.51.100.9:5004".into()],
            packets: 18_700,
            bytes: 3_216_400,
            lost: 19,
            dropped: 3,
            ..Summary::default()
        };
        let expected = "\
call            state       age  parties                             packets   bytes   loss  dropped
3c26700c@phone  answered  3m07s  192.0.2.7:4000 ↔ 198.51.100.9:5004   18 700  3.2 MB  0.1 %        3
1 of 2 calls
";
        assert_eq!(render(&[call], 2), expected);
    }

    #[test]
    fn no_line_is_explained() {
        assert_eq!(render(&[], 0), "No calls.\n");
        assert_eq!(render(&[], 7), "None of the 7 calls matches.\n");
    }

    #[test]
    fn a_filter_looks_at_ids_tags_and_addresses() {
        let call = |id: &str, tag: &str, peer: &str| Summary {
            call_id: id.into(),
            tags: vec![tag.into()],
            peers: vec![peer.into()],
            ..Summary::default()
        };
        let calls = [
            call("one", "x", "192.0.2.1:4"),
            call("two", "one", ""),
            call("c", "", "y"),
        ];
        let found = |text: &str| calls.iter().filter(|call| call.matches(text)).count();
        assert_eq!(
            (found("one"), found("192.0.2.1"), found("y"), found("z")),
            (2, 1, 1, 0)
        );
    }

    #[test]
    fn each_order_puts_first_what_is_looked_for() {
        let calls = [
            ("a", 30, 500, 1, 0),
            ("b", 10, 900, 90, 5),
            ("c", 20, 100, 80, 9),
        ]
        .map(|(id, seconds, packets, lost, dropped)| {
            let call_id = id.to_owned();
            let call = Summary {
                call_id,
                seconds,
                packets,
                lost,
                dropped,
                ..Summary::default()
            };
            (call, Value::Null)
        });
        let first = |sort| {
            let wanted = Calls {
                filter: None,
                sort,
                limit: 1,
            };
            choose(calls.to_vec(), &wanted)[0].0.call_id.clone()
        };
        let orders = [
            Sort::Age,
            Sort::Id,
            Sort::Packets,
            Sort::Loss,
            Sort::Dropped,
        ];
        assert_eq!(orders.map(first), ["b", "a", "b", "c", "c"]);
    }
}
