//! The text form of a case.
//!
//! ```text
//! # What is shown.
//! settings {"interfaces": ["pub/203.0.113.1", "priv/10.0.0.1!198.51.100.7"]}
//!
//! offer {"from-tag": "a", "replace": ["origin"]}
//! v=0
//! ...
//! ----
//! v=0
//! ...
//! ```
//!
//! A step is a command with its dictionary as JSON, then the body, then what is expected. The call-id
//! is `c`, the from-tag `a`, an answer's to-tag `b` unless said. Expected is the reply: its SDP, before
//! it `key: value` lines for what else it says. A port is written as a name in braces: the first time
//! it names the port that came out, later it has to be the same one. Names differ if ports do. Keys of
//! ours are written in the same way.
//! `tick SECONDS` lets time pass, `flows` shows what the workers were told.

/// A case file.
pub(crate) struct Case {
    /// Lines before the first step: comments.
    pub(crate) head: String,
    /// The settings, JSON.
    pub(crate) settings: Option<String>,
    /// The steps.
    pub(crate) steps: Vec<Step>,
}

/// One step.
pub(crate) struct Step {
    /// The command word.
    pub(crate) command: String,
    /// What follows it on its line.
    pub(crate) argument: String,
    /// The body, lines without ends.
    pub(crate) given: Vec<String>,
    /// What is expected, lines without ends.
    pub(crate) expected: Vec<String>,
}

const COMMANDS: [&str; 9] = [
    "offer", "answer", "delete", "query", "list", "cli", "ping", "tick", "flows",
];

impl Case {
    /// Reads a file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut case = Self {
            head: String::new(),
            settings: None,
            steps: Vec::new(),
        };
        let mut expecting = false;
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if case.steps.is_empty() && (line.starts_with('#') || line.is_empty()) {
                if line.starts_with('#') {
                    case.head.push_str(line);
                    case.head.push('\n');
                }
            } else if word == "settings" {
                case.settings = Some(rest.to_owned());
            } else if COMMANDS.contains(&word) {
                expecting = false;
                case.steps.push(Step {
                    command: word.to_owned(),
                    argument: rest.to_owned(),
                    given: Vec::new(),
                    expected: Vec::new(),
                });
            } else if line == "----" {
                expecting = true;
            } else if let Some(step) = case.steps.last_mut() {
                let part = if expecting {
                    &mut step.expected
                } else {
                    &mut step.given
                };
                part.push(line.to_owned());
            } else {
                return Err(format!("not a step: {line}"));
            }
        }
        for step in &mut case.steps {
            for part in [&mut step.given, &mut step.expected] {
                while part.last().is_some_and(String::is_empty) {
                    part.pop();
                }
            }
        }
        if case.head.is_empty() || case.steps.is_empty() {
            return Err("a case needs a comment and a step".to_owned());
        }
        Ok(case)
    }

    /// Says where what came out differs from what is expected.
    pub(crate) fn compare(&self, played: &[Vec<String>]) -> Result<(), String> {
        for (number, (step, out)) in self.steps.iter().zip(played).enumerate() {
            if step.expected != *out {
                let Step {
                    command, argument, ..
                } = step;
                return Err(format!(
                    "step {} ({command} {argument})\n--- expected\n{}\n--- came out\n{}",
                    number + 1,
                    step.expected.join("\n"),
                    out.join("\n")
                ));
            }
        }
        Ok(())
    }

    /// The file with what came out in the place of what was expected.
    pub(crate) fn blessed(&self, played: &[Vec<String>]) -> String {
        let mut text = self.head.clone();
        if let Some(settings) = &self.settings {
            text.extend(["settings ", settings, "\n"]);
        }
        for (step, out) in self.steps.iter().zip(played) {
            let line = format!("{} {}", step.command, step.argument);
            text.extend(["\n", line.trim_end(), "\n"]);
            for line in &step.given {
                text.extend([line, "\n"]);
            }
            text.push_str("----\n");
            for line in out {
                text.extend([line, "\n"]);
            }
        }
        text
    }
}
