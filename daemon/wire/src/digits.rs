//! Numbers and addresses as text, written where they belong, without `fmt`: they are a good part of what a
//! reply is made of.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

/// Digits of the longest number.
pub const LONGEST: usize = 20;

/// Every number of two digits, one behind the other.
const PAIRS: [u8; 200] = pairs();

const fn pairs() -> [u8; 200] {
    let mut pairs = [0; 200];
    let mut number = 0;
    while number < 100 {
        pairs[2 * number] = b'0' + (number / 10) as u8;
        pairs[2 * number + 1] = b'0' + (number % 10) as u8;
        number += 1;
    }
    pairs
}

/// A number below 100 in two digits.
#[inline]
pub const fn pair(number: u8) -> [u8; 2] {
    let at = 2 * number as usize;
    [PAIRS[at], PAIRS[at + 1]]
}

/// Appends a decimal number.
#[inline]
pub fn push(number: u64, out: &mut Vec<u8>) {
    match number {
        0..10 => out.push(b'0' + number as u8),
        10..100 => out.extend_from_slice(&pair(number as u8)),
        _ => push_long(number, out),
    }
}

fn push_long(number: u64, out: &mut Vec<u8>) {
    let mut buffer = [0; LONGEST];
    let start = end_with(number, &mut buffer);
    out.extend_from_slice(&buffer[start..]);
}

/// Writes a decimal number at the end of `buffer`, and returns where it begins there.
#[inline]
pub fn end_with(mut number: u64, buffer: &mut [u8]) -> usize {
    let mut start = buffer.len();
    while number >= 100 {
        start -= 2;
        buffer[start..start + 2].copy_from_slice(&pair((number % 100) as u8));
        number /= 100;
    }
    let [tens, ones] = pair(number as u8);
    start -= 1;
    buffer[start] = ones;
    if tens != b'0' {
        start -= 1;
        buffer[start] = tens;
    }
    start
}

/// An IPv4 address as text in `buffer`.
pub fn v4(ip: Ipv4Addr, buffer: &mut [u8; 15]) -> &[u8] {
    let mut length = 0;
    let mut put = |byte| {
        buffer[length] = byte;
        length += 1;
    };
    for (at, octet) in ip.octets().into_iter().enumerate() {
        if at > 0 {
            put(b'.');
        }
        if octet >= 100 {
            put(b'0' + octet / 100);
        }
        if octet >= 10 {
            put(b'0' + octet / 10 % 10);
        }
        put(b'0' + octet % 10);
    }
    &buffer[..length]
}

/// Appends an address, IPv6 as in RFC 5952.
pub fn push_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(v4(ip, &mut [0; 15])),
        IpAddr::V6(v6) => write!(out, "{v6}").expect("a Vec takes all bytes"),
    }
}

/// An address as text of its own.
pub fn ip(ip: IpAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(if ip.is_ipv4() { 15 } else { 39 });
    push_ip(ip, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_fmt_writes_them() {
        let edges = [0, 7, 9, 10, 99, 100, 101, 999, 1000, 65_535, u64::MAX];
        for number in edges.into_iter().chain(0..2000) {
            let mut out = b"x".to_vec();
            push(number, &mut out);
            assert_eq!(out, format!("x{number}").into_bytes());
        }
    }

    #[test]
    fn addresses_are_written_as_fmt_writes_them() {
        for text in [
            "0.0.0.0",
            "192.0.2.7",
            "255.255.255.255",
            "::",
            "2001:db8::1",
            "::ffff:192.0.2.1",
        ] {
            let address: IpAddr = text.parse().expect("an address");
            assert_eq!(ip(address), address.to_string().into_bytes());
        }
    }
}
