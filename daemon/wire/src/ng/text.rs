//! Words of string values: a list of strings or one comma-separated string, cut without copying.

use std::borrow::Cow;

use crate::value::Value;

/// Bytes that are borrowed from the datagram unless they had to be rewritten.
pub(crate) type Text<'a> = Cow<'a, [u8]>;

/// The strings of a value: those of a list, or the parts of one string between separators.
pub(crate) struct Words<'v, 'a> {
    list: std::slice::Iter<'v, Value<'a>>,
    /// What is left of a single string; `None` when it is used up.
    string: Option<Text<'a>>,
    separator: u8,
}

impl<'v, 'a> Words<'v, 'a> {
    /// Members of a list, or what stands between commas.
    pub(crate) fn new(value: &'v Value<'a>) -> Self {
        Self::separated(value, b',')
    }

    /// Members of a list, or what stands between `separator`s.
    pub(crate) fn separated(value: &'v Value<'a>, separator: u8) -> Self {
        match value {
            Value::List(list) => Self {
                list: list.iter(),
                string: None,
                separator,
            },
            Value::Str(text) => Self {
                list: [].iter(),
                string: Some(text.clone()),
                separator,
            },
            Value::Int(_) | Value::Dict(_) => Self {
                list: [].iter(),
                string: None,
                separator,
            },
        }
    }

    /// Members of a list, or the whole string as it is.
    pub(crate) fn whole(value: &'v Value<'a>) -> Self {
        // A line of SDP cannot hold a NUL, so nothing is cut.
        Self::separated(value, 0)
    }
}

impl<'a> Iterator for Words<'_, 'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Text<'a>> {
        loop {
            let word = match self.string.take() {
                Some(text) => match split_once(&text, &[self.separator]) {
                    Some((word, rest)) => {
                        self.string = Some(rest);
                        word
                    }
                    None => text,
                },
                None => match self.list.next()? {
                    Value::Str(text) => text.clone(),
                    Value::Int(number) => Cow::Owned(number.to_string().into_bytes()),
                    Value::List(_) | Value::Dict(_) => continue,
                },
            };
            if !word.is_empty() {
                return Some(word);
            }
        }
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
    fn flags_spell_equals_and_space() {
        let unescaped = |text: &'static str| unescape(Cow::Borrowed(text.as_bytes()));
        assert_eq!(unescaped("fmtp:101..0-15").as_ref(), b"fmtp:101 0-15");
        assert_eq!(unescaped("minptime--10").as_ref(), b"minptime=10");
        assert_eq!(unescaped("a---b").as_ref(), b"a=-b");
        assert!(matches!(unescaped("plain-text.x"), Cow::Borrowed(_)));
    }
}
