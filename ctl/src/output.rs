//! Standard output: text, bytes and JSON, with errors returned instead of a panic on a closed pipe.

use std::fmt::Display;
use std::io::{self, Write};

use patchcord_wire::json;
use patchcord_wire::value::Value;

use crate::failure::Failure;

/// Who reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A person: tables and sentences.
    People,
    /// A program: the relay's answer as JSON.
    Json,
}

/// Prints text that ends its own lines.
pub(crate) fn text(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Prints one line.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    self::text(format_args!("{text}\n"))
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Prints a JSON document, indented.
pub(crate) fn json(document: &serde_json::Value) -> Result<(), Failure> {
    line(format_args!("{document:#}"))
}

/// A reply as JSON; bytes that are not UTF-8 are read as Latin-1.
pub(crate) fn document(reply: &Value<'_>) -> serde_json::Value {
    let mut text = Vec::new();
    json::encode(reply, &mut text);
    serde_json::from_slice(&text).unwrap_or(serde_json::Value::Null)
}

#[cfg(test)]
mod tests {
    use patchcord_wire::value::Dict;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reply_is_json_in_its_own_order() {
        let reply = Dict::new()
            .with("result", "ok")
            .with("a", 1_i64)
            .with("sdp", "v=0\r\n");
        let document = document(&reply.into());
        assert_eq!(document, json!({"result": "ok", "a": 1, "sdp": "v=0\r\n"}));
        assert_eq!(
            document.to_string(),
            r#"{"result":"ok","a":1,"sdp":"v=0\r\n"}"#
        );
    }

    #[test]
    fn bytes_that_are_no_utf8_do_not_lose_the_reply() {
        let reply = Dict::new().with("sdp", &b"s=\xe9"[..]);
        assert_eq!(document(&reply.into()), json!({"sdp": "s=é"}));
    }
}
