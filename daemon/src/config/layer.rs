//! Where a value comes from. Later layers win: built-in defaults, the file, the environment, the
//! command line.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;

use super::complaint::{Complaint, nearest};
use super::text::Text;
use super::value::INTERFACE_KEYS;

/// The layers merged, and for each key the place that set it last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    /// The merged text.
    pub text: Text,
    places: BTreeMap<String, String>,
}

impl Layers {
    /// Lays a file's text over what is there. `name` is how messages call the file.
    pub fn file(&mut self, name: &str, content: &str) -> Result<(), Complaint> {
        let text: Text = toml::from_str(content).map_err(|e| explain(name, content, &e))?;
        self.places.extend(places(name, content));
        self.lay(text);
        Ok(())
    }

    /// Sets one key as the environment or `--set` does: the value is TOML, or else a plain string.
    pub fn set(&mut self, place: &str, path: &str, value: &str) -> Result<(), Complaint> {
        let complain = |text: String, hint: Option<String>| Complaint {
            place: place.to_owned(),
            text,
            hint,
        };
        let (section, key) = match path.split_once('.') {
            Some(parts) => parts,
            None if path == "interface" => ("interface", ""),
            None => {
                return Err(complain(
                    format!("`{path}` is not `section.key`"),
                    hint(path),
                ));
            }
        };
        let sections = Text::sections();
        if !sections.contains(&section) {
            let hint = nearest(section, sections).map(|s| format!("did you mean `{s}.{key}`?"));
            return Err(complain(
                format!("unknown section `{section}`"),
                hint.or(hint_key(key)),
            ));
        }
        let keys = Text::keys_of(section);
        let is_free = matches!(section, "interface" | "templates");
        if !is_free && !keys.iter().any(|known| known == key) {
            let known = keys.iter().map(String::as_str);
            let hint = nearest(key, known).map(|k| format!("did you mean `{section}.{k}`?"));
            return Err(complain(
                format!("unknown key `{path}`"),
                hint.or_else(|| Some(format!("`{section}` has {}", keys.join(", ")))),
            ));
        }
        let text = parse_one(section, key, value)
            .map_err(|e| complain(format!("`{path}`: {}", e.message().trim()), None))?;
        self.places.insert(path.to_owned(), place.to_owned());
        self.lay(text);
        Ok(())
    }

    /// Lays a ready text over what is there; `place` stands for the keys of `paths`.
    pub fn put(&mut self, place: &str, paths: &[&str], text: Text) {
        for path in paths {
            self.places.insert((*path).to_owned(), place.to_owned());
        }
        self.lay(text);
    }

    /// Where `path` was set, for a message.
    pub fn place(&self, path: &str) -> String {
        self.places
            .get(path)
            .cloned()
            .unwrap_or_else(|| format!("the default of {path}"))
    }

    /// Whether any layer says something about `path`.
    pub fn is_set(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    fn lay(&mut self, text: Text) {
        self.text = text.over(std::mem::take(&mut self.text));
    }
}

/// `--set` and the environment hold strings: TOML if they parse as it, plain text if not.
fn parse_one(section: &str, key: &str, value: &str) -> Result<Text, toml::de::Error> {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut top = toml::Table::new();
    if section == "interface" {
        let list = match parsed {
            toml::Value::String(text) => text
                .split(';')
                .filter(|part| !part.trim().is_empty())
                .map(|part| toml::Value::String(part.to_owned()))
                .collect(),
            toml::Value::Array(list) => list,
            one @ (toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Table(_)) => vec![one],
        };
        top.insert("interface".to_owned(), toml::Value::Array(list));
    } else {
        let inner = toml::Table::from_iter([(key.to_owned(), parsed)]);
        top.insert(section.to_owned(), toml::Value::Table(inner));
    }
    top.try_into()
}

fn hint(path: &str) -> Option<String> {
    nearest(path, Text::sections())
        .map(|s| format!("write `{s}.KEY`"))
        .or_else(|| hint_key(path))
}

/// The full path of a key that was written without, or with a wrong, section.
fn hint_key(key: &str) -> Option<String> {
    let paths: Vec<_> = super::text::KEYS
        .iter()
        .map(|k| (k.name(), k.path()))
        .collect();
    let (_, path) = paths.iter().find(|(name, _)| name == key)?;
    Some(format!("did you mean `{path}`?"))
}

/// Turns serde's complaint into one with a line and a suggestion.
fn explain(name: &str, content: &str, error: &toml::de::Error) -> Complaint {
    let place = match error.span() {
        Some(span) => format!("{name}:{}", line(content, &span)),
        None => name.to_owned(),
    };
    let message = error.message().lines().next().unwrap_or_default().trim();
    let hint = unknown_field(message).and_then(|(wrong, known)| {
        let other = hint_key(wrong).filter(|_| !known.contains(&wrong));
        match nearest(wrong, known.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => other,
        }
    });
    Complaint {
        place,
        text: message.to_owned(),
        hint,
    }
}

/// The field and the alternatives of serde's ``unknown field `x`, expected one of `a`, `b` ``.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let wrong = words.next()?;
    Some((wrong, words.collect()))
}

/// Where each key of a file stands.
fn places(name: &str, content: &str) -> Vec<(String, String)> {
    let Ok(document) = DeTable::parse(content) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (section, value) in document.get_ref() {
        let at = format!("{name}:{}", line(content, &section.span()));
        let section = section.get_ref().as_ref();
        if let Some(table) = value.get_ref().as_table() {
            for (key, _) in table {
                let at = format!("{name}:{}", line(content, &key.span()));
                found.push((format!("{section}.{}", key.get_ref()), at));
            }
        }
        for (i, entry) in value.get_ref().as_array().into_iter().flatten().enumerate() {
            let entry_at = format!("{name}:{}", line(content, &entry.span()));
            found.push((format!("{section}.{i}"), entry_at.clone()));
            for key in INTERFACE_KEYS {
                let line_of_key = entry.get_ref().as_table().and_then(|table| {
                    table
                        .iter()
                        .find(|(k, _)| k.get_ref() == key)
                        .map(|(k, _)| k.span())
                });
                let at = match line_of_key {
                    Some(span) => format!("{name}:{}", line(content, &span)),
                    None => entry_at.clone(),
                };
                found.push((format!("{section}.{i}.{key}"), at));
            }
        }
        found.push((section.to_owned(), at));
    }
    found
}

fn line(content: &str, span: &Range<usize>) -> usize {
    let before = content.get(..span.start).unwrap_or(content);
    before.matches('\n').count() + 1
}
