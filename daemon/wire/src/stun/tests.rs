use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

/// RFC 5769 §2.1: a request with all attributes of a connectivity check.
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae\
    802200105354554e207465737420636c69656e74\
    002400046e0001ff80290008932ff9b151263b36\
    000600096576746a3a68367659202020\
    000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2\
    80280004e57a3bcf";
/// RFC 5769 §2.2: its response, IPv4.
const RESPONSE_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae\
    8022000b7465737420766563746f7220\
    002000080001a147e112a643\
    000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7\
    80280004c07d4c96";
/// RFC 5769 §2.3: its response, IPv6.
const RESPONSE_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae\
    8022000b7465737420766563746f7220\
    002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9\
    00080014a382954e4be67bf11784c97c8292c275bfe3ed41\
    80280004c8fb0b4c";
/// RFC 5769 §2.4: a request under a long-term credential, without FINGERPRINT.
const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e\
    00060012e3839ee38388e383aae38383e382afe382b90000\
    0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341\
    0014000b6578616d706c652e6f726700\
    00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const ID: TransactionId = TransactionId([
    0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
]);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.bytes().collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hexadecimal is ASCII");
        u8::from_str_radix(pair, 16).expect("hexadecimal")
    };
    digits.chunks(2).map(byte).collect()
}

#[test]
fn the_sample_request_is_read_and_verified() {
    let bytes = bytes(REQUEST);
    let message = Message::parse(&bytes).expect("RFC 5769 §2.1");
    assert_eq!(
        (message.class, message.method),
        (Class::Request, Method::BINDING)
    );
    assert_eq!(message.transaction, ID);
    assert_eq!(message.software, Some(&b"STUN test client"[..]));
    assert_eq!(message.priority, Some(0x6e00_01ff));
    assert_eq!(message.role, Some(Role::Controlled(0x932f_f9b1_5126_3b36)));
    assert_eq!(message.ufrags(), Some((&b"evtj"[..], &b"h6vY"[..])));
    assert!(message.unknown.is_empty() && message.is_sealed());
    assert!(message.verify(&Key::new(PASSWORD)));
    assert!(!message.verify(&Key::new(b"VOkJxbRl1RmTxUk/WvJxBu")));
}

#[test]
fn the_sample_responses_are_read_and_verified() {
    let samples = [
        (RESPONSE_V4, "192.0.2.1:32853"),
        (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ];
    for (hex, mapped) in samples {
        let bytes = bytes(hex);
        let message = Message::parse(&bytes).expect("RFC 5769 §2.2, §2.3");
        assert_eq!(message.class, Class::Success);
        assert_eq!(message.mapped, Some(mapped.parse().expect("an address")));
        assert_eq!(message.software, Some(&b"test vector"[..]));
        assert!(message.verify(&Key::new(PASSWORD)) && message.is_sealed());
    }
}

#[test]
fn a_long_term_request_verifies_under_its_digested_key() {
    let bytes = bytes(LONG_TERM);
    let message = Message::parse(&bytes).expect("RFC 5769 §2.4");
    assert!(message.is_signed() && !message.is_sealed());
    assert!(message.unknown.is_empty());
    // MD5 of "マトリックス:example.org:TheMatrIX".
    let digest = 0xe8ca_7ad5_9d5e_b051_8e31_2911_d2da_b2a9_u128.to_be_bytes();
    assert!(message.verify(&Key::new(&digest)));
}

#[test]
fn a_changed_bit_anywhere_is_noticed() {
    let good = bytes(REQUEST);
    let key = Key::new(PASSWORD);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let believed = Message::parse(&bad).is_ok_and(|m| m.is_sealed() && m.verify(&key));
        assert!(!believed, "bit {bit}");
    }
}

#[test]
fn a_message_cut_short_or_continued_is_refused() {
    let good = bytes(REQUEST);
    for len in 0..good.len() {
        assert!(Message::parse(&good[..len]).is_err(), "{len} bytes");
    }
    let mut long = good.clone();
    long.extend([0; 4]);
    let error = Message::parse(&long).expect_err("four bytes too many");
    assert_eq!(error, StunErrorKind::BadLength.at(2));
}

/// Any attributes behind a header, unsigned.
fn raw(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0];
    bytes.extend(MAGIC);
    bytes.extend(ID.0);
    for (kind, value) in attributes {
        bytes.extend(kind.to_be_bytes());
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let len = (bytes.len() - HEADER) as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

#[test]
fn attributes_of_others_are_ignored_unless_they_must_be_understood() {
    let bytes = raw(&[
        (0xc057, b"goog"),
        (0xc001, &[0; 8]),
        (0x7fff, b""),
        (0x0003, b"x"),
        (0x8023, b""),
    ]);
    let message = Message::parse(&bytes).expect("well-formed");
    assert_eq!(message.unknown[..], [0x7fff, 0x0003]);
}

#[test]
fn an_integrity_of_the_newer_kind_is_tolerated() {
    let mut buffer = [0; 256];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID);
    writer.username(b"a", b"b");
    let len = writer.finish(&Key::new(b"k")).expect("room");
    let mut bytes = buffer[..len - 8].to_vec();
    bytes.extend([0, 0x1c, 0, 32]);
    bytes.extend([0xaa; 32]);
    let length = (bytes.len() - HEADER) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let message = Message::parse(&bytes).expect("well-formed");
    assert!(message.unknown.is_empty() && message.verify(&Key::new(b"k")));
}

#[test]
fn what_follows_the_integrity_does_not_count() {
    let mut buffer = [0; 256];
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID);
    let len = writer.finish(&Key::new(b"k")).expect("room");
    let mut bytes = buffer[..len - 8].to_vec();
    bytes.extend([0, 0x25, 0, 0, 0, 0x24, 0, 4, 1, 2, 3, 4]);
    let length = (bytes.len() - HEADER) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let message = Message::parse(&bytes).expect("well-formed");
    assert!(message.verify(&Key::new(b"k")));
    assert!(!message.use_candidate && message.priority.is_none());
}

#[test]
fn the_first_of_two_equal_attributes_counts() {
    let bytes = raw(&[(0x24, &[0, 0, 0, 1]), (0x24, &[0, 0, 0, 2])]);
    let message = Message::parse(&bytes).expect("well-formed");
    assert_eq!(message.priority, Some(1));
}

#[test]
fn values_of_the_wrong_size_are_refused() {
    let bad: [(u16, &[u8]); 7] = [
        (0x24, b"abc"),
        (0x8029, b"abcd"),
        (0x802a, b""),
        (0x20, &[0, 3, 0, 0, 0, 0, 0, 0]),
        (0x20, &[0, 1, 0, 0, 0, 0, 0]),
        (0x09, &[0, 0, 7, 0]),
        (0x08, &[0; 19]),
    ];
    for attribute in bad {
        let bytes = raw(&[attribute]);
        let error = Message::parse(&bytes).expect_err("a wrong size");
        assert_eq!(
            error,
            StunErrorKind::BadAttribute.at(HEADER),
            "{attribute:?}"
        );
    }
}

#[test]
fn nothing_may_follow_the_fingerprint() {
    let mut buffer = [0; 64];
    let writer = Writer::new(&mut buffer, Class::Indication, Method::BINDING, ID);
    let len = writer.finish_unsigned().expect("room");
    assert!(Message::parse(&buffer[..len]).is_ok_and(|m| m.is_sealed() && !m.is_signed()));
    let mut bytes = buffer[..len].to_vec();
    bytes.extend([0x80, 0x22, 0, 0]);
    // The checksum speaks of a message that ends with itself, so this one is right and not last.
    bytes[3] += 4;
    let error = Message::parse(&bytes).expect_err("an attribute too many");
    assert_eq!(error.kind, StunErrorKind::BadFingerprint);
}

#[test]
fn a_heap_of_attributes_is_refused_early() {
    let many: Vec<(u16, &[u8])> = vec![(0xc000, b""); 65];
    assert!(Message::parse(&raw(&many[..64])).is_ok());
    let error = Message::parse(&raw(&many)).expect_err("too many");
    assert_eq!(error.kind, StunErrorKind::TooMany);
}

#[test]
fn errors_name_what_was_not_understood() {
    let mut buffer = [0; 128];
    let mut writer = Writer::new(&mut buffer, Class::Error, Method::BINDING, ID);
    writer
        .error(ErrorCode::UNKNOWN_ATTRIBUTE)
        .unknown(&[0x7fff, 3]);
    let len = writer.finish(&Key::new(b"k")).expect("room");
    let message = Message::parse(&buffer[..len]).expect("our own");
    assert_eq!(message.error, Some(ErrorCode::UNKNOWN_ATTRIBUTE));
    assert!(
        buffer[..len]
            .windows(8)
            .any(|w| w == [0, 0x0a, 0, 4, 0x7f, 0xff, 0, 3])
    );
}

#[test]
fn what_does_not_fit_is_noticed() {
    let mut buffer = [0; 128];
    let whole = write(&mut buffer, &Content::sample()).expect("room");
    for len in 0..whole {
        assert_eq!(
            write(&mut vec![0; len], &Content::sample()),
            None,
            "{len} bytes"
        );
    }
    assert_eq!(write(&mut vec![0; whole], &Content::sample()), Some(whole));
    let mut buffer = vec![0; 100_000];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID);
    writer.software(&vec![b'x'; 65_530]);
    assert_eq!(
        writer.finish(&Key::new(b"k")),
        None,
        "no length field says that much"
    );
}

#[derive(Clone, Debug)]
struct Content {
    ufrags: (Vec<u8>, Vec<u8>),
    priority: u32,
    use_candidate: bool,
    role: Role,
    mapped: SocketAddr,
    code: u16,
}

impl Content {
    fn sample() -> Self {
        Self {
            ufrags: (b"abcd".to_vec(), b"efghi".to_vec()),
            priority: 1,
            use_candidate: true,
            role: Role::Controlling(7),
            mapped: SocketAddr::from(([192, 0, 2, 1], 9)),
            code: 487,
        }
    }
}

fn write(buffer: &mut [u8], content: &Content) -> Option<usize> {
    let mut writer = Writer::new(buffer, Class::Success, Method::BINDING, ID);
    writer
        .username(&content.ufrags.0, &content.ufrags.1)
        .priority(content.priority)
        .role(content.role)
        .mapped(content.mapped)
        .error(ErrorCode {
            code: content.code,
            reason: b"why",
        });
    if content.use_candidate {
        writer.use_candidate();
    }
    writer.finish(&Key::new(PASSWORD))
}

prop_compose! {
    fn content()(
        ufrags in ("[a-zA-Z0-9+/]{1,256}", "[a-zA-Z0-9+/:]{0,256}"),
        priority: u32,
        use_candidate: bool,
        (controlling, tie) in any::<(bool, u64)>(),
        ip: std::net::IpAddr,
        port: u16,
        code in 300_u16..700,
    ) -> Content {
        Content {
            ufrags: (ufrags.0.into_bytes(), ufrags.1.into_bytes()),
            priority,
            use_candidate,
            role: if controlling { Role::Controlling(tie) } else { Role::Controlled(tie) },
            mapped: SocketAddr::new(ip, port),
            code,
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(content in content()) {
        let mut buffer = [0; 1024];
        let len = write(&mut buffer, &content).expect("room");
        let message = Message::parse(&buffer[..len]).expect("our own");
        prop_assert!(message.verify(&Key::new(PASSWORD)) && message.is_sealed());
        prop_assert_eq!(message.ufrags(), Some((&content.ufrags.0[..], &content.ufrags.1[..])));
        prop_assert_eq!(message.priority, Some(content.priority));
        prop_assert_eq!(message.use_candidate, content.use_candidate);
        prop_assert_eq!(message.role, Some(content.role));
        prop_assert_eq!(message.mapped, Some(content.mapped));
        prop_assert_eq!(message.error.map(|e| e.code), Some(content.code));
    }

    #[test]
    fn any_bytes_are_read_or_refused(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = raw(&[]);
        bytes.extend(tail);
        let len = (bytes.len() - HEADER) as u16;
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert!(!message.verify(&Key::new(PASSWORD)));
        }
    }
}
