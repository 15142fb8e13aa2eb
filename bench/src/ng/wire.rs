//! Temporary bencode until the wire crate has it.
use anyhow::{Context, Result, bail};
use std::borrow::Cow;
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Str(Cow<'a, [u8]>),
    Int(i64),
    List(Vec<Value<'a>>),
    Dict(Dict<'a>),
}
#[derive(Clone, Debug, Default)]
pub(crate) struct Dict<'a>(Vec<(Cow<'a, [u8]>, Value<'a>)>);
impl<'a> Dict<'a> {
    pub(crate) fn new() -> Self {
        Self::default()
    }
    pub(crate) fn with(mut self, k: &'a str, v: impl Into<Value<'a>>) -> Self {
        self.push(k.as_bytes(), v.into());
        self
    }
    pub(crate) fn push(&mut self, k: impl Into<Cow<'a, [u8]>>, v: Value<'a>) {
        self.0.push((k.into(), v));
    }
}
impl<'a> Value<'a> {
    pub(crate) fn get(&self, k: &str) -> Option<&Value<'a>> {
        if let Self::Dict(d) = self {
            d.0.iter()
                .find(|(n, _)| n.as_ref() == k.as_bytes())
                .map(|(_, v)| v)
        } else {
            None
        }
    }
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Str(s) = self {
            Some(s)
        } else {
            None
        }
    }
    pub(crate) fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Str(s) => Value::Str(Cow::Owned(s.into_owned())),
            Self::Int(i) => Value::Int(i),
            Self::List(l) => Value::List(l.into_iter().map(Value::into_owned).collect()),
            Self::Dict(d) => Value::Dict(Dict(
                d.0.into_iter()
                    .map(|(k, v)| (Cow::Owned(k.into_owned()), v.into_owned()))
                    .collect(),
            )),
        }
    }
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(s: &'a str) -> Self {
        Self::Str(Cow::Borrowed(s.as_bytes()))
    }
}
impl From<String> for Value<'_> {
    fn from(s: String) -> Self {
        Self::Str(Cow::Owned(s.into_bytes()))
    }
}
impl From<i64> for Value<'_> {
    fn from(s: i64) -> Self {
        Self::Int(s)
    }
}
impl<'a> From<Vec<Value<'a>>> for Value<'a> {
    fn from(s: Vec<Value<'a>>) -> Self {
        Self::List(s)
    }
}
fn put(v: &Value<'_>, out: &mut Vec<u8>) {
    match v {
        Value::Str(s) => {
            out.extend(format!("{}:", s.len()).bytes());
            out.extend_from_slice(s);
        }
        Value::Int(i) => out.extend(format!("i{i}e").bytes()),
        Value::List(l) => {
            out.push(b'l');
            l.iter().for_each(|v| put(v, out));
            out.push(b'e');
        }
        Value::Dict(d) => {
            out.push(b'd');
            for (k, v) in &d.0 {
                put(&Value::Str(k.clone()), out);
                put(v, out);
            }
            out.push(b'e');
        }
    }
}
pub(crate) fn encode(cookie: &str, request: Dict<'_>) -> Vec<u8> {
    let mut out = format!("{cookie} ").into_bytes();
    put(&Value::Dict(request), &mut out);
    out
}
pub(crate) fn decode(bytes: &[u8]) -> Result<Value<'_>> {
    let mut at = 0;
    get(bytes, &mut at)
}
fn get<'a>(b: &'a [u8], at: &mut usize) -> Result<Value<'a>> {
    let c = *b.get(*at).context("short")?;
    match c {
        b'i' => {
            let e = b[*at..].iter().position(|c| *c == b'e').context("int")? + *at;
            let v = std::str::from_utf8(&b[*at + 1..e])?.parse()?;
            *at = e + 1;
            Ok(Value::Int(v))
        }
        b'l' => {
            *at += 1;
            let mut l = vec![];
            while b.get(*at) != Some(&b'e') {
                l.push(get(b, at)?);
            }
            *at += 1;
            Ok(Value::List(l))
        }
        b'd' => {
            *at += 1;
            let mut d = Dict::new();
            while b.get(*at) != Some(&b'e') {
                let Value::Str(k) = get(b, at)? else {
                    bail!("key")
                };
                let v = get(b, at)?;
                d.push(k, v);
            }
            *at += 1;
            Ok(Value::Dict(d))
        }
        _ => {
            let e = b[*at..].iter().position(|c| *c == b':').context("str")? + *at;
            let n: usize = std::str::from_utf8(&b[*at..e])?.parse()?;
            *at = e + 1 + n;
            Ok(Value::Str(Cow::Borrowed(
                b.get(e + 1..e + 1 + n).context("short")?,
            )))
        }
    }
}
