//! The value tree that bencode and JSON share: byte strings, integers, lists, ordered dictionaries.

use std::borrow::Cow;
use std::fmt;

use crate::ng::spelling;

/// How deep and how large a value may be when it is read from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nested lists and dictionaries, the outermost counted.
    pub depth: u8,
    /// Values in total, dictionary keys counted as well.
    pub elements: u32,
}

impl Limits {
    /// For requests: no proxy sends more than a few hundred values, nested four deep.
    pub const REQUEST: Self = Self {
        depth: 16,
        elements: 4096,
    };
    /// For replies, read by our own clients: a `list` or `query` of thousands of calls must fit.
    pub const REPLY: Self = Self {
        depth: 24,
        elements: 1 << 20,
    };
}

/// A value, borrowed from the bytes it was read from where that is possible.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A byte string; not necessarily UTF-8.
    Str(Cow<'a, [u8]>),
    /// An integer.
    Int(i64),
    /// A list.
    List(Vec<Value<'a>>),
    /// A dictionary, in the order it was read or built.
    Dict(Dict<'a>),
}

/// A dictionary that keeps its order. With a duplicate key the first entry counts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Dict<'a>(Vec<(Cow<'a, [u8]>, Value<'a>)>);

impl<'a> Value<'a> {
    /// A string value.
    pub fn str(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Str(Cow::Borrowed(text.as_ref()))
    }

    /// A string value that owns its bytes.
    pub fn owned(text: impl Into<Vec<u8>>) -> Self {
        Self::Str(Cow::Owned(text.into()))
    }

    /// The bytes of a string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Str(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// A string that is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// An integer, or a string that holds one in decimal.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Str(text) => decimal(text),
            Self::List(_) | Self::Dict(_) => None,
        }
    }

    /// The members of a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(members) = self {
            Some(members)
        } else {
            None
        }
    }

    /// A dictionary.
    pub fn as_dict(&self) -> Option<&Dict<'a>> {
        if let Self::Dict(dict) = self {
            Some(dict)
        } else {
            None
        }
    }

    /// The entry of a dictionary under `key` in any accepted spelling; `None` if this is no dictionary.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_dict()?.get(key)
    }

    /// The value without borrowed parts.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            Self::Int(number) => Value::Int(number),
            Self::List(members) => {
                Value::List(members.into_iter().map(Value::into_owned).collect())
            }
            Self::Dict(dict) => Value::Dict(dict.into_owned()),
        }
    }
}

impl<'a> Dict<'a> {
    /// An empty dictionary.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// An empty dictionary with room for `entries`.
    pub fn with_capacity(entries: usize) -> Self {
        Self(Vec::with_capacity(entries))
    }

    /// Appends an entry, even if the key is there already.
    pub fn push(&mut self, key: impl Into<Cow<'a, [u8]>>, value: Value<'a>) {
        self.0.push((key.into(), value));
    }

    /// Appends an entry and returns the dictionary, to build literals.
    #[must_use]
    pub fn with(mut self, key: &'a str, value: impl Into<Value<'a>>) -> Self {
        self.push(key.as_bytes(), value.into());
        self
    }

    /// The first entry whose key equals `key` in any accepted spelling (case, space, hyphen, underscore).
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.0
            .iter()
            .find(|(name, _)| spelling::same(name, key.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The first entry whose key is exactly `key`.
    pub fn get_exact(&self, key: &[u8]) -> Option<&Value<'a>> {
        self.0
            .iter()
            .find(|(name, _)| name.as_ref() == key)
            .map(|(_, value)| value)
    }

    /// The entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (Cow<'a, [u8]>, Value<'a>)> {
        self.0.iter()
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The dictionary without borrowed parts.
    pub fn into_owned(self) -> Dict<'static> {
        Dict(
            self.0
                .into_iter()
                .map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_owned()))
                .collect(),
        )
    }
}

/// Reads a decimal integer, sign and leading zeros allowed, nothing else beside it.
pub(crate) fn decimal(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    // Accumulated below zero, because i64::MIN has no positive counterpart.
    let below = digits.iter().try_fold(0_i64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_sub(digit)
    })?;
    if negative {
        Some(below)
    } else {
        below.checked_neg()
    }
}

impl<'a, 'd> IntoIterator for &'d Dict<'a> {
    type Item = &'d (Cow<'a, [u8]>, Value<'a>);
    type IntoIter = std::slice::Iter<'d, (Cow<'a, [u8]>, Value<'a>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a> FromIterator<(Cow<'a, [u8]>, Value<'a>)> for Dict<'a> {
    fn from_iter<I: IntoIterator<Item = (Cow<'a, [u8]>, Value<'a>)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::str(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(text: &'a [u8]) -> Self {
        Self::str(text)
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::owned(text)
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(text: Vec<u8>) -> Self {
        Self::owned(text)
    }
}

impl<'a> From<Cow<'a, [u8]>> for Value<'a> {
    fn from(text: Cow<'a, [u8]>) -> Self {
        Self::Str(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u64> for Value<'_> {
    /// Counters above `i64::MAX` saturate: bencode has no larger integer that peers could read.
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Int(i64::from(number))
    }
}

impl<'a> From<Vec<Value<'a>>> for Value<'a> {
    fn from(members: Vec<Value<'a>>) -> Self {
        Self::List(members)
    }
}

impl<'a> From<Dict<'a>> for Value<'a> {
    fn from(dict: Dict<'a>) -> Self {
        Self::Dict(dict)
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(text) => write!(f, "{:?}", text.escape_ascii().to_string()),
            Self::Int(number) => write!(f, "{number}"),
            Self::List(members) => f.debug_list().entries(members).finish(),
            Self::Dict(dict) => dict.fmt(f),
        }
    }
}

impl fmt::Debug for Dict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.0
                    .iter()
                    .map(|(key, value)| (key.escape_ascii().to_string(), value)),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_any_accepted_spelling() {
        let dict = Dict::new().with("call ID", "a").with("last_signal", 7_i64);
        assert_eq!(dict.get("call-id").and_then(Value::as_str), Some("a"));
        assert_eq!(dict.get("last signal").and_then(Value::as_int), Some(7));
        assert_eq!(dict.get("call"), None);
        assert_eq!(dict.get_exact(b"call-id"), None);
    }

    #[test]
    fn the_first_of_duplicate_keys_counts() {
        let dict = Dict::new().with("limit", 1_i64).with("limit", 2_i64);
        assert_eq!(dict.get("limit").and_then(Value::as_int), Some(1));
    }

    #[test]
    fn decimals_cover_all_of_i64_and_nothing_else() {
        assert_eq!(decimal(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(decimal(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(decimal(b"9223372036854775808"), None);
        assert_eq!(decimal(b"-9223372036854775809"), None);
        assert_eq!(decimal(b"0030"), Some(30));
        assert_eq!(decimal(b"-0"), Some(0));
        for bad in ["", "-", "+", "--1", "1 ", " 1", "0x1", "1.0", "1e3"] {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
