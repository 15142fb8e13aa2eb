//! `get` and `set`: the parameters that change without a restart.

use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Form};
use crate::table::{Align, Table};

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Seconds, 0 is never.
    SecondsOrNever,
    Seconds,
    /// Calls, -1 is no limit.
    Calls,
    /// A TOS byte.
    Byte,
    /// 0 to 7, as in syslog.
    Level,
}

/// A parameter that the relay knows.
#[derive(Debug)]
struct Param {
    name: &'static str,
    unit: Unit,
    about: &'static str,
}

const PARAMS: [Param; 8] = [
    Param {
        name: "timeout",
        unit: Unit::SecondsOrNever,
        about: "no packet from anyone",
    },
    Param {
        name: "silent-timeout",
        unit: Unit::SecondsOrNever,
        about: "the same while on hold",
    },
    Param {
        name: "offer-timeout",
        unit: Unit::SecondsOrNever,
        about: "an offer without answer",
    },
    Param {
        name: "final-timeout",
        unit: Unit::SecondsOrNever,
        about: "the longest life of a call",
    },
    Param {
        name: "delete-delay",
        unit: Unit::Seconds,
        about: "forwarding after a delete",
    },
    Param {
        name: "max-sessions",
        unit: Unit::Calls,
        about: "calls at a time",
    },
    Param {
        name: "tos",
        unit: Unit::Byte,
        about: "TOS byte of media",
    },
    Param {
        name: "log-level",
        unit: Unit::Level,
        about: "how much is logged",
    },
];

const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
];

impl Param {
    /// Its word in the relay's grammar.
    fn word(&self) -> String {
        fold(self.name)
    }
}

/// Prints one parameter, or all.
pub(crate) fn get(client: &mut Client, name: Option<&str>, form: Form) -> Result<(), Failure> {
    let wanted: Vec<&Param> = match name {
        Some(name) => vec![find(name)?],
        None => PARAMS.iter().collect(),
    };
    let mut values = Map::new();
    let mut table = Table::new(&[
        ("parameter", Align::Left),
        ("value", Align::Left),
        ("of", Align::Left),
    ]);
    for param in wanted {
        let text = client.cli(&format!("list {}", param.word()))?;
        let number = last_number(&text);
        values.insert(
            param.name.to_owned(),
            number.map_or_else(|| json!(text.trim()), Value::from),
        );
        let shown =
            number.map_or_else(|| text.trim().to_owned(), |number| show(param.unit, number));
        table.row([param.name.to_owned(), shown, param.about.to_owned()]);
    }
    match form {
        Form::Json => output::json(&Value::Object(values)),
        Form::People => output::text(table),
    }
}

/// Changes a parameter and prints what the relay says of it.
pub(crate) fn set(client: &mut Client, name: &str, value: &str, form: Form) -> Result<(), Failure> {
    let param = find(name)?;
    let number = read(param.unit, value)
        .ok_or_else(|| Failure::Usage(format!("`{value}` is no {}", expectation(param))))?;
    let text = client.cli(&format!("set {} {number}", param.word()))?;
    match form {
        Form::Json => output::json(&json!({param.name: number})),
        Form::People => output::line(text.trim_end()),
    }
}

fn find(name: &str) -> Result<&'static Param, Failure> {
    let folded = fold(name);
    PARAMS
        .iter()
        .find(|param| param.word() == folded)
        .ok_or_else(|| {
            let names: Vec<_> = PARAMS.iter().map(|param| param.name).collect();
            Failure::Usage(format!(
                "there is no live parameter `{name}`; there are {}",
                names.join(", ")
            ))
        })
}

/// A name without what people spell differently.
fn fold(name: &str) -> String {
    name.chars()
        .filter(|char| !matches!(char, '-' | '_'))
        .collect::<String>()
        .to_ascii_lowercase()
}

/// The number that a line such as `TIMEOUT=60` or `TOS = 184` ends with.
fn last_number(text: &str) -> Option<i64> {
    let text = text.trim_end();
    let digits = text.chars().rev().take_while(char::is_ascii_digit).count();
    let (rest, digits) = text.split_at(text.len() - digits);
    let number: i64 = digits.parse().ok()?;
    Some(if rest.ends_with('-') { -number } else { number })
}

fn show(unit: Unit, number: i64) -> String {
    match (unit, number) {
        (Unit::SecondsOrNever, 0) => "off".to_owned(),
        (Unit::SecondsOrNever | Unit::Seconds, seconds) => format!("{seconds} s"),
        (Unit::Calls, -1) => "off (no limit)".to_owned(),
        (Unit::Calls | Unit::Byte, number) => number.to_string(),
        (Unit::Level, number) => {
            let name = usize::try_from(number)
                .ok()
                .and_then(|level| LEVELS.get(level));
            name.map_or_else(|| number.to_string(), |name| format!("{number} ({name})"))
        }
    }
}

fn read(unit: Unit, text: &str) -> Option<i64> {
    let is_off = matches!(text, "off" | "none" | "never" | "unlimited");
    match unit {
        Unit::SecondsOrNever if is_off => return Some(0),
        Unit::Calls if is_off => return Some(-1),
        Unit::Level => {
            let name = if text == "warning" { "warn" } else { text };
            if let Some(level) = LEVELS.iter().position(|level| *level == name) {
                return i64::try_from(level).ok();
            }
        }
        Unit::SecondsOrNever | Unit::Seconds | Unit::Calls | Unit::Byte => {}
    }
    let allowed = match unit {
        Unit::SecondsOrNever | Unit::Seconds => 0..=i64::from(u32::MAX),
        Unit::Calls => -1..=i64::from(u32::MAX),
        Unit::Byte => 0..=255,
        Unit::Level => 0..=7,
    };
    text.parse().ok().filter(|number| allowed.contains(number))
}

fn expectation(param: &Param) -> String {
    match param.unit {
        Unit::SecondsOrNever => "number of seconds (or `off`)".to_owned(),
        Unit::Seconds => "number of seconds".to_owned(),
        Unit::Calls => "number of calls (or `off`)".to_owned(),
        Unit::Byte => "TOS byte: 0 to 255".to_owned(),
        Unit::Level => format!("log level: 0 to 7, or one of {}", LEVELS.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_however_they_are_spelled() {
        for name in [
            "silent-timeout",
            "silenttimeout",
            "silent_timeout",
            "SilentTimeout",
        ] {
            assert_eq!(find(name).expect("a parameter").name, "silent-timeout");
        }
        let failure = find("colour").expect_err("no parameter");
        assert!(matches!(&failure, Failure::Usage(why) if why.contains("max-sessions")));
    }

    #[test]
    fn the_relays_lines_end_with_the_value() {
        assert_eq!(last_number("TIMEOUT=60\n"), Some(60));
        assert_eq!(last_number("Delete delay = 30\n"), Some(30));
        assert_eq!(last_number("Maximum sessions configured: -1\n"), Some(-1));
        assert_eq!(last_number("what?"), None);
    }

    #[test]
    fn values_are_read_in_the_words_they_are_shown_in() {
        assert_eq!(read(Unit::SecondsOrNever, "off"), Some(0));
        assert_eq!(read(Unit::Seconds, "off"), None);
        assert_eq!(read(Unit::Calls, "off"), Some(-1));
        assert_eq!(read(Unit::Calls, "-2"), None);
        assert_eq!(read(Unit::Level, "debug"), Some(7));
        assert_eq!(read(Unit::Level, "8"), None);
        assert_eq!(read(Unit::Byte, "184"), Some(184));
        assert_eq!(show(Unit::SecondsOrNever, 0), "off");
        assert_eq!(show(Unit::Level, 6), "6 (info)");
    }
}
