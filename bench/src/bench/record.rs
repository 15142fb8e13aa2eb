//! What was measured where: machine, kernel, commit, date, command; and the results in the README.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Load;

const README: &str = "bench/README.md";

/// The line before the results of this name, and the one behind them.
fn markers(name: &str) -> [String; 2] {
    [
        format!("<!-- {name}: begin, written by make bench -->"),
        format!("<!-- {name}: end -->"),
    ]
}

/// The circumstances of a run.
pub(crate) struct Setting {
    facts: Vec<(&'static str, String)>,
}

impl Setting {
    pub(crate) fn find(rounds: u32, load: Load, load_before: &str, awake: bool) -> Self {
        let facts = vec![
            ("date", output("date", &["-u", "+%F %H:%M UTC"])),
            (
                "commit",
                output("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
            ),
            ("machine", machine()),
            ("kernel", read("/proc/sys/kernel/osrelease")),
            ("rtpengine", rtpengine()),
            (
                "load average",
                format!("{load_before} before, {} after", load_average()),
            ),
            (
                "idle cores",
                if awake { "kept awake" } else { "may halt" }.into(),
            ),
            (
                "load",
                format!(
                    "{} calls; steady at {} packets/s for {:?}; {rounds} rounds",
                    load.calls, load.steady, load.seconds
                ),
            ),
            ("command", command(std::env::args().skip(2))),
        ];
        Self { facts }
    }

    pub(crate) fn to_json(&self) -> Value {
        self.facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect()
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.facts {
            writeln!(f, "- {name}: {value}")?;
        }
        Ok(())
    }
}

/// Replaces the results of this name in the README by these.
pub(crate) fn write(name: &str, setting: &Setting, results: &str) -> Result<()> {
    let path = Path::new(README);
    let text =
        fs::read_to_string(path).with_context(|| format!("{README}, from the top folder"))?;
    let results = format!("\n\n{setting}\n{results}\n");
    let replaced =
        replace(name, &text, &results).with_context(|| format!("no markers in {README}"))?;
    fs::write(path, replaced).with_context(|| README.to_owned())
}

fn replace(name: &str, text: &str, results: &str) -> Option<String> {
    let [begin, end] = markers(name);
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{results}{end}{after}"))
}

/// The three load averages.
pub(crate) fn load_average() -> String {
    read("/proc/loadavg")
        .split(' ')
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The command as a person types it, without where the binaries happen to lie.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["bench/run.sh".to_owned()];
    let mut arguments = arguments.filter(|a| a != "--json");
    while let Some(argument) = arguments.next() {
        if argument == "--patchcord" {
            arguments.next();
        } else {
            words.push(argument);
        }
    }
    words.join(" ")
}

fn machine() -> String {
    let info = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = info.lines().find(|l| l.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = info.lines().filter(|l| l.starts_with("processor")).count();
    let model = field("model name").unwrap_or_else(|| "unknown processor".into());
    let detail = field("model\t").map_or(String::new(), |m| format!(", model {m}"));
    format!("{model}{detail}, {cores} cores")
}

fn rtpengine() -> String {
    // It tells its version on standard error.
    let told = Command::new("rtpengine").arg("--version").output();
    let told = told
        .map(|o| [o.stdout, o.stderr].concat())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&told)
        .trim()
        .replace("Version: ", "");
    format!("{text}, userspace, --num-threads=1")
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn output(command: &str, arguments: &[&str]) -> String {
    let out = Command::new(command).args(arguments).output();
    out.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_no_place_of_the_machine() {
        let words = [
            "--patchcord",
            "/somewhere/patchcord",
            "--rounds",
            "5",
            "--record",
        ];
        let told = command(words.into_iter().map(str::to_owned));
        assert_eq!(told, "bench/run.sh --rounds 5 --record");
    }

    #[test]
    fn only_the_text_between_the_markers_is_replaced() {
        let [begin, end] = markers("results");
        let [others, _] = markers("srtp");
        let text = format!("a {begin} old {end} {others} z");
        assert_eq!(
            replace("results", &text, " new "),
            Some(format!("a {begin} new {end} {others} z"))
        );
        assert_eq!(replace("results", "no markers", "new"), None);
    }
}
