//! Any JSON document for people: scalars as lines, lists of objects as tables, the rest indented.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::table::{Align, Table, count};

/// Nesting that is shown; deeper documents are shown as JSON from there.
const DEPTH: usize = 6;

/// The document as text that ends its own lines.
pub(crate) fn render(document: &Value) -> String {
    let mut out = String::new();
    value(&mut out, document, 0);
    out
}

fn value(out: &mut String, document: &Value, depth: usize) {
    match document {
        Value::Object(entries) if depth < DEPTH => object(out, entries, depth),
        Value::Array(members) if depth < DEPTH => array(out, members, depth),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_)
        | Value::Array(_) => indented(out, depth, &format!("{}\n", scalar(document))),
    }
}

fn object(out: &mut String, entries: &Map<String, Value>, depth: usize) {
    let (nested, flat): (Vec<_>, Vec<_>) = entries.iter().partition(|(_, value)| is_nested(value));
    let width = flat
        .iter()
        .map(|(key, _)| label(key).chars().count())
        .max()
        .unwrap_or(0);
    for (key, value) in flat {
        indented(
            out,
            depth,
            &format!("{:<width$}  {}\n", label(key), scalar(value)),
        );
    }
    for (key, nested) in nested {
        indented(out, depth, &format!("{}\n", label(key)));
        value(out, nested, depth + 1);
    }
}

fn array(out: &mut String, members: &[Value], depth: usize) {
    let mut columns: Vec<(&str, Align)> = Vec::new();
    for (key, value) in members.iter().filter_map(Value::as_object).flatten() {
        if columns.iter().all(|(name, _)| name != key) {
            let align = if value.is_number() {
                Align::Right
            } else {
                Align::Left
            };
            columns.push((key, align));
        }
    }
    let header: Vec<_> = columns
        .iter()
        .map(|(name, align)| (label(name), *align))
        .collect();
    let mut table = Table::new(&header);
    for member in members.iter().filter_map(Value::as_object) {
        table.row(
            columns
                .iter()
                .map(|(name, _)| member.get(*name).map_or_else(String::new, cell)),
        );
    }
    if !table.is_empty() {
        indented(out, depth, &table.to_string());
    }
    for member in members.iter().filter(|member| !member.is_object()) {
        value(out, member, depth);
    }
}

/// Whether the value needs lines of its own: an object with entries, or a list of objects or lists.
fn is_nested(value: &Value) -> bool {
    match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(members) => members.iter().any(|one| one.is_object() || one.is_array()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A value in a cell; an object as `key 1, key 2`.
fn cell(value: &Value) -> String {
    let Value::Object(entries) = value else {
        return scalar(value);
    };
    let entries = entries
        .iter()
        .map(|(key, value)| format!("{} {}", label(key), cell(value)));
    entries.collect::<Vec<_>>().join(", ")
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), count),
        Value::String(text) => text.clone(),
        Value::Array(members) => members.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(_) => value.to_string(),
    }
}

fn label(key: &str) -> String {
    key.replace(['_', '-'], " ")
}

fn indented(out: &mut String, depth: usize, text: &str) {
    for line in text.lines() {
        let _infallible = writeln!(out, "{:width$}{line}", "", width = 2 * depth);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_of_objects_are_tables_under_their_name() {
        let document = json!({
            "interfaces": [
                {"name": "pub", "address": "192.0.2.1", "free": 9998, "drops": {"short": 1}},
                {"name": "priv", "free": 2, "v6": true},
            ],
            "uptime_seconds": 61,
            "backend": "uring",
        });
        let expected = "\
uptime seconds  61
backend         uring
interfaces
  name  address     free  drops    v6
  pub   192.0.2.1  9 998  short 1
  priv                 2           yes
";
        assert_eq!(render(&document), expected);
    }

    #[test]
    fn lists_of_words_stay_on_their_line() {
        assert_eq!(
            render(&json!({"tags": ["a", "b"], "none": []})),
            "tags  a, b\nnone  \n"
        );
    }

    #[test]
    fn a_deep_document_ends() {
        let mut document = json!(1);
        for _ in 0..100 {
            document = json!({"a": document});
        }
        let text = render(&document);
        assert!(
            text.lines().count() == DEPTH + 1 && text.contains(r#"{"a":{"a":"#),
            "{text}"
        );
    }
}
