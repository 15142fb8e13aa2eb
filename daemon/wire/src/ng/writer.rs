//! Writes a dictionary in either encoding as it is told, without a tree in between.

use crate::ng::Format;
use crate::value::Value;
use crate::{bencode, json};

/// A writer of one value. Nesting is the caller's: each `begin` has its `end`, keys stand before values.
pub struct Writer<'o> {
    format: Format,
    out: &'o mut Vec<u8>,
    /// Where the value begins in `out`.
    start: usize,
}

impl<'o> Writer<'o> {
    /// A writer that appends to `out`.
    pub const fn new(format: Format, out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        Self { format, out, start }
    }

    /// Opens a dictionary.
    pub fn begin_dict(&mut self) {
        self.open(b'd', b'{');
    }

    /// Closes a dictionary.
    pub fn end_dict(&mut self) {
        self.close(b'}');
    }

    /// Opens a list.
    pub fn begin_list(&mut self) {
        self.open(b'l', b'[');
    }

    /// Closes a list.
    pub fn end_list(&mut self) {
        self.close(b']');
    }

    /// Writes a key.
    pub fn key(&mut self, key: &str) {
        self.key_bytes(key.as_bytes());
    }

    /// Writes a key that may not be UTF-8, such as a tag.
    pub fn key_bytes(&mut self, key: &[u8]) {
        self.bytes(key);
        if self.format == Format::Json {
            self.out.push(b':');
        }
    }

    /// Writes a string.
    pub fn bytes(&mut self, text: &[u8]) {
        match self.format {
            Format::Bencode => bencode::encode_str(text, self.out),
            Format::Json => {
                self.separate();
                json::encode_str(text, self.out);
            }
        }
    }

    /// Writes an integer.
    pub fn int(&mut self, number: i64) {
        match self.format {
            Format::Bencode => bencode::encode_int(number, self.out),
            Format::Json => {
                self.separate();
                json::encode_int(number, self.out);
            }
        }
    }

    /// Writes a value with all that is in it.
    pub fn value(&mut self, value: &Value<'_>) {
        if self.format == Format::Json {
            self.separate();
        }
        self.format.encode(value, self.out);
    }

    /// Writes a key and a string.
    pub fn entry(&mut self, key: &str, text: &str) {
        self.key(key);
        self.bytes(text.as_bytes());
    }

    /// Writes a key and an integer.
    pub fn int_entry(&mut self, key: &str, number: i64) {
        self.key(key);
        self.int(number);
    }

    fn open(&mut self, bencode: u8, json: u8) {
        match self.format {
            Format::Bencode => self.out.push(bencode),
            Format::Json => {
                self.separate();
                self.out.push(json);
            }
        }
    }

    fn close(&mut self, json: u8) {
        self.out.push(if self.format == Format::Json {
            json
        } else {
            b'e'
        });
    }

    /// JSON's comma, needed exactly after a complete value inside a list or dictionary.
    fn separate(&mut self) {
        if matches!(
            self.out[self.start..].last(),
            Some(b'"' | b'}' | b']' | b'0'..=b'9')
        ) {
            self.out.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Limits;

    fn write(format: Format) -> Vec<u8> {
        // Earlier bytes in the buffer must not be taken for part of the value.
        let mut out = b"}".to_vec();
        let mut writer = Writer::new(format, &mut out);
        writer.begin_dict();
        writer.entry("a", "x");
        writer.int_entry("b", -3);
        writer.key("c");
        writer.begin_list();
        writer.begin_list();
        writer.end_list();
        writer.int(1);
        writer.bytes(b"\"");
        writer.begin_dict();
        writer.key_bytes(b"\xff");
        writer.value(&Value::Int(0));
        writer.end_dict();
        writer.end_list();
        writer.key("d");
        writer.value(&Value::List(vec![]));
        writer.end_dict();
        out.split_off(1)
    }

    #[test]
    fn both_encodings_are_well_formed_and_alike() {
        let bencode = write(Format::Bencode);
        assert_eq!(bencode, b"d1:a1:x1:bi-3e1:cllei1e1:\"d1:\xffi0eee1:dlee");
        assert!(bencode::decode(&bencode, Limits::REQUEST).is_ok());
        assert_eq!(
            String::from_utf8(write(Format::Json)).as_deref(),
            Ok(r#"{"a":"x","b":-3,"c":[[],1,"\"",{"\u00ff":0}],"d":[]}"#)
        );
    }
}
