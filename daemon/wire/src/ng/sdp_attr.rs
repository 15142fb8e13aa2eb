//! `sdp-attr`: attribute lines added, removed and substituted as text, by section.

use std::borrow::Cow;

use crate::ng::spelling;
use crate::ng::text::{self, Text, Words};
use crate::value::Value;

/// Which sections an edit applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttrSection {
    /// The session level, before the first `m=` (`none`, `global`, `session`).
    Global,
    /// Every `audio` section.
    Audio,
    /// Every `video` section.
    Video,
    /// Every `image` section.
    Image,
    /// Every `message` section.
    Message,
    /// Every section that is none of these.
    Other,
}

/// One edit. Texts come without `a=`; `remove` and `from` match an attribute's name, name and value
/// tag, or whole line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttrEdit<'a> {
    /// Adds `a=<0>`.
    Add(Cow<'a, [u8]>),
    /// Removes each line that matches.
    Remove(Cow<'a, [u8]>),
    /// Turns each line that matches into `a=<to>`.
    Substitute {
        /// What to look for.
        from: Cow<'a, [u8]>,
        /// What to write instead.
        to: Cow<'a, [u8]>,
    },
}

/// All edits, in the order of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SdpAttr<'a> {
    /// The edits with their sections.
    pub edits: Vec<(AttrSection, AttrEdit<'a>)>,
}

#[derive(Clone, Copy)]
enum Op {
    Add,
    Remove,
    Substitute,
}

impl<'a> SdpAttr<'a> {
    /// Whether there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Reads `{section: {op: [...]}}`, or `{op: {section: [...]}}` as flag strings tend to have it.
    /// `unknown` gets each word that means nothing.
    pub(crate) fn read(&mut self, value: &Value<'a>, unknown: &mut dyn FnMut(&[u8])) {
        let Some(outer) = value.as_dict() else {
            return unknown(b"not a dictionary");
        };
        for (outer_name, inner) in outer {
            let Some(inner) = inner.as_dict() else {
                unknown(outer_name);
                continue;
            };
            for (inner_name, members) in inner {
                let either = section(outer_name)
                    .zip(op(inner_name))
                    .or_else(|| section(inner_name).zip(op(outer_name)));
                match either {
                    Some((section, op)) => self.members(section, op, members, unknown),
                    None => unknown(if section(outer_name).is_some() {
                        inner_name
                    } else {
                        outer_name
                    }),
                }
            }
        }
    }

    /// Reads the rest of a flag `sdp-attr-<op>-<section>-<text>`; `false` if it means nothing.
    pub(crate) fn flag(&mut self, rest: &Text<'a>) -> bool {
        let Some((op_name, rest)) = text::split_once(rest, b"-") else {
            return false;
        };
        let Some((section_name, line)) = text::split_once(&rest, b"-") else {
            return false;
        };
        match (op(&op_name), section(&section_name)) {
            (Some(op), Some(section)) => self.edit(section, op, text::unescape(line)),
            _ => false,
        }
    }

    fn members(
        &mut self,
        section: AttrSection,
        op: Op,
        members: &Value<'a>,
        unknown: &mut dyn FnMut(&[u8]),
    ) {
        match members {
            Value::List(list) if matches!(op, Op::Substitute) => {
                for pair in list {
                    self.substitute(section, pair, unknown);
                }
            }
            // One line is taken whole, because commas belong to it.
            Value::Str(line) => self.line(section, op, line, unknown),
            Value::List(_) => {
                for line in Words::new(members) {
                    self.line(section, op, &line, unknown);
                }
            }
            Value::Dict(pairs) if matches!(op, Op::Substitute) => {
                for (from, to) in pairs {
                    if let Value::Str(to) = to {
                        self.push_substitute(section, from.clone(), to.clone());
                    }
                }
            }
            Value::Dict(_) | Value::Int(_) => unknown(b"not a list"),
        }
    }

    fn line(
        &mut self,
        section: AttrSection,
        op: Op,
        line: &Text<'a>,
        unknown: &mut dyn FnMut(&[u8]),
    ) {
        if !self.edit(section, op, line.clone()) {
            unknown(line);
        }
    }

    /// A member of a `substitute` list: a list of two, or one string.
    fn substitute(
        &mut self,
        section: AttrSection,
        pair: &Value<'a>,
        unknown: &mut dyn FnMut(&[u8]),
    ) {
        match pair {
            Value::Str(line) => self.line(section, Op::Substitute, line, unknown),
            Value::List(two) => match two.as_slice() {
                [Value::Str(from), Value::Str(to)] => {
                    self.push_substitute(section, from.clone(), to.clone());
                }
                _ => unknown(b"not a pair"),
            },
            Value::Int(_) | Value::Dict(_) => unknown(b"not a pair"),
        }
    }

    fn edit(&mut self, section: AttrSection, op: Op, line: Cow<'a, [u8]>) -> bool {
        if line.is_empty() {
            return false;
        }
        match op {
            Op::Add => self.edits.push((section, AttrEdit::Add(line))),
            Op::Remove => self.edits.push((section, AttrEdit::Remove(line))),
            Op::Substitute => {
                let Some((from, to)) = text::split_once(&line, b">") else {
                    return false;
                };
                self.push_substitute(section, from, to);
            }
        }
        true
    }

    fn push_substitute(&mut self, section: AttrSection, from: Cow<'a, [u8]>, to: Cow<'a, [u8]>) {
        self.edits
            .push((section, AttrEdit::Substitute { from, to }));
    }
}

fn section(name: &[u8]) -> Option<AttrSection> {
    let known: [(&str, AttrSection); 8] = [
        ("none", AttrSection::Global),
        ("global", AttrSection::Global),
        ("session", AttrSection::Global),
        ("audio", AttrSection::Audio),
        ("video", AttrSection::Video),
        ("image", AttrSection::Image),
        ("message", AttrSection::Message),
        ("other", AttrSection::Other),
    ];
    known
        .into_iter()
        .find(|(word, _)| spelling::same(word.as_bytes(), name))
        .map(|(_, found)| found)
}

fn op(name: &[u8]) -> Option<Op> {
    let known = [
        ("add", Op::Add),
        ("remove", Op::Remove),
        ("substitute", Op::Substitute),
    ];
    known
        .into_iter()
        .find(|(word, _)| spelling::same(word.as_bytes(), name))
        .map(|(_, found)| found)
}
