//! Writes a dictionary in either encoding as it is told, without a tree in between.

use std::net::IpAddr;

use crate::ng::Format;
use crate::value::Value;
use crate::{bencode, digits, json};

/// A writer of one value. Keys stand before values; a `begin` has its `end`, which the ways that take a closure
/// see to.
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

    /// Which encoding it writes.
    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// Appends entries or members that are written already, in the same encoding: bencode, which parts them by
    /// nothing.
    pub(crate) fn written(&mut self, bencode: &[u8]) {
        self.out.extend_from_slice(bencode);
    }

    /// Writes a dictionary with the entries of `fill`.
    pub fn dict(&mut self, fill: impl FnOnce(&mut Self)) {
        self.begin_dict();
        fill(self);
        self.end_dict();
    }

    /// Writes a list with the members of `fill`.
    pub fn list(&mut self, fill: impl FnOnce(&mut Self)) {
        self.begin_list();
        fill(self);
        self.end_list();
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

    /// Writes a key. Most are constants, and their lengths with them.
    #[inline]
    pub fn key(&mut self, key: &str) {
        match self.format {
            Format::Bencode => bencode::encode_str(key.as_bytes(), self.out),
            Format::Json => self.key_bytes(key.as_bytes()),
        }
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

    /// Writes an integer; one above `i64::MAX` saturates: bencode has no larger that peers could read.
    pub fn uint(&mut self, number: u64) {
        self.int(i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// Writes an address as a string, IPv6 as in RFC 5952.
    pub fn ip(&mut self, ip: IpAddr) {
        if let IpAddr::V4(v4) = ip {
            let mut text = [0; 15];
            let text = digits::v4(v4, &mut text);
            self.bytes(text);
        } else {
            self.bytes(&digits::ip(ip));
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
    #[inline]
    pub fn entry(&mut self, key: &str, text: &str) {
        self.key(key);
        self.bytes(text.as_bytes());
    }

    /// Writes a key and a string that may not be UTF-8.
    #[inline]
    pub fn bytes_entry(&mut self, key: &str, text: &[u8]) {
        self.key(key);
        self.bytes(text);
    }

    /// Writes a key and an integer, saturating as [`uint`](Self::uint) does.
    #[inline]
    pub fn uint_entry(&mut self, key: &str, number: u64) {
        self.key(key);
        self.uint(number);
    }

    /// Writes a key and a dictionary with the entries of `fill`.
    pub fn dict_entry(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.dict(fill);
    }

    /// Writes a key and a list with the members of `fill`.
    pub fn list_entry(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.list(fill);
    }

    /// Writes a key and an integer.
    #[inline]
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
    fn addresses_and_large_numbers_are_written() {
        for format in [Format::Bencode, Format::Json] {
            let mut out = Vec::new();
            Writer::new(format, &mut out).list(|out| {
                for ip in ["0.0.0.0", "192.0.2.100", "255.255.255.255", "2001:db8::1"] {
                    out.ip(ip.parse().expect("an address"));
                }
                out.uint(u64::MAX);
                out.dict(|out| {
                    out.bytes_entry("b", b"x");
                    out.uint_entry("u", 10);
                    out.list_entry("l", |_| ());
                    out.dict_entry("d", |_| ());
                });
            });
            let text = String::from_utf8(out).expect("ASCII");
            assert_eq!(
                text,
                if format == Format::Json {
                    r#"["0.0.0.0","192.0.2.100","255.255.255.255","2001:db8::1",9223372036854775807,{"b":"x","u":10,"l":[],"d":{}}]"#
                } else {
                    "l7:0.0.0.011:192.0.2.10015:255.255.255.25511:2001:db8::1i9223372036854775807ed1:b1:x1:ui10e1:lle1:ddeee"
                }
            );
        }
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
