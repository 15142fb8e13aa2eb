//! Numbers and addresses as text, written where they belong, without `fmt`: they are a good part of what a
//! reply is made of.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

/// Appends a decimal number.
pub fn push(number: u64, out: &mut Vec<u8>) {
    let digit = |n: u64| b'0' + (n % 10) as u8;
    match number {
        0..10 => out.push(digit(number)),
        10..100 => out.extend_from_slice(&[digit(number / 10), digit(number)]),
        100..1000 => {
            out.extend_from_slice(&[digit(number / 100), digit(number / 10), digit(number)]);
        }
        _ => push_long(number, out),
    }
}

fn push_long(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    while number > 0 {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[start..]);
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
