//! Words of string values: a list of strings or one comma-separated string, cut without copying.

use std::borrow::Cow;

use crate::value::Value;

/// Bytes that are borrowed from the datagram unless they had to be rewritten.
pub(crate) type Text<'a> = Cow<'a, [u8]>;

/// Most words taken from one string; bencode and JSON lists have the decoder's own limit.
pub(crate) const MAX_WORDS: usize = 1024;

/// The strings of a value: those of a list, or the parts of one string between separators.
pub(crate) struct Words<'v, 'a> {
    list: std::slice::Iter<'v, Value<'a>>,
    string: Option<Parts<'v, 'a>>,
}

impl<'v, 'a> Words<'v, 'a> {
    /// Members of a list, or what stands between commas.
    pub(crate) fn new(value: &'v Value<'a>) -> Self {
        match value {
            Value::List(list) => Self {
                list: list.iter(),
                string: None,
            },
            Value::Str(text) => Self {
                list: [].iter(),
                string: Some(Parts::new(text, b',')),
            },
            Value::Int(_) | Value::Dict(_) => Self {
                list: [].iter(),
                string: None,
            },
        }
    }
}

impl<'a> Iterator for Words<'_, 'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Text<'a>> {
        if let Some(parts) = &mut self.string {
            return parts.next();
        }
        self.list.find_map(|member| match member {
            Value::Str(text) => (!text.is_empty()).then(|| text.clone()),
            Value::Int(number) => Some(Cow::Owned(number.to_string().into_bytes())),
            Value::List(_) | Value::Dict(_) => None,
        })
    }
}

/// What stands between separators in a text, empty parts left out; looks at each byte once.
pub(crate) struct Parts<'v, 'a> {
    text: &'v Text<'a>,
    at: usize,
    separator: u8,
    left: usize,
}

impl<'v, 'a> Parts<'v, 'a> {
    pub(crate) const fn new(text: &'v Text<'a>, separator: u8) -> Self {
        Self {
            text,
            at: 0,
            separator,
            left: MAX_WORDS,
        }
    }
}

impl<'a> Iterator for Parts<'_, 'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Text<'a>> {
        self.left = self.left.checked_sub(1)?;
        let is_part = |byte: &u8| *byte != self.separator;
        let start = self.at + self.text[self.at..].iter().position(is_part)?;
        let end = self.text[start..]
            .iter()
            .position(|byte| *byte == self.separator);
        self.at = end.map_or(self.text.len(), |length| start + length);
        Some(slice(self.text, start, self.at))
    }
}

/// `text` from `start` to `end`, borrowed if `text` is.
pub(crate) fn slice<'a>(text: &Text<'a>, start: usize, end: usize) -> Text<'a> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..end]),
        Cow::Owned(text) => Cow::Owned(text[start..end].to_vec()),
    }
}

/// What stands before and after the first `separator`.
pub(crate) fn split_once<'a>(text: &Text<'a>, separator: &[u8]) -> Option<(Text<'a>, Text<'a>)> {
    let at = text
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((
        slice(text, 0, at),
        slice(text, at + separator.len(), text.len()),
    ))
}

/// The text with `--` read as `=` and `..` as a space, which is how flags spell them.
pub(crate) fn unescape(text: Text<'_>) -> Text<'_> {
    let pair = |window: &[u8]| matches!(window, b"--" | b"..");
    if !text.windows(2).any(pair) {
        return text;
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let [first, tail @ ..] = rest {
        match rest {
            [b'-', b'-', tail @ ..] => {
                plain.push(b'=');
                rest = tail;
            }
            [b'.', b'.', tail @ ..] => {
                plain.push(b' ');
                rest = tail;
            }
            _ => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(value: &Value<'_>) -> Vec<String> {
        Words::new(value)
            .map(|word| String::from_utf8_lossy(&word).into_owned())
            .collect()
    }

    #[test]
    fn a_list_and_a_comma_separated_string_are_the_same() {
        let list = Value::List(vec![Value::str("offer"), Value::str("require")]);
        assert_eq!(words(&list), ["offer", "require"]);
        assert_eq!(words(&Value::str("offer,require")), ["offer", "require"]);
        assert_eq!(
            words(&Value::owned("offer,,require,")),
            ["offer", "require"]
        );
        assert_eq!(words(&Value::str("")), [""; 0]);
        assert_eq!(words(&Value::Int(3)), [""; 0]);
    }

    #[test]
    fn words_of_one_string_are_bounded() {
        let many = Value::owned("a,".repeat(30_000));
        assert_eq!(Words::new(&many).count(), MAX_WORDS);
    }

    #[test]
    fn flags_spell_equals_and_space() {
        let unescaped = |text: &'static str| unescape(Cow::Borrowed(text.as_bytes()));
        assert_eq!(unescaped("fmtp:101..0-15").as_ref(), b"fmtp:101 0-15");
        assert_eq!(unescaped("minptime--10").as_ref(), b"minptime=10");
        assert_eq!(unescaped("a---b").as_ref(), b"a=-b");
        assert!(matches!(unescaped("plain-text.x"), Cow::Borrowed(_)));
    }
}
