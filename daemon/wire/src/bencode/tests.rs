use std::collections::BTreeMap;

use bencode_oracle::Value as OracleValue;
use proptest::prelude::*;

use super::*;
use crate::value::Dict;

fn read(text: &[u8]) -> Result<Value<'_>, ErrorKind> {
    decode(text, Limits::REQUEST)
        .map(|(value, _)| value)
        .map_err(|error| error.kind)
}

fn written(value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out
}

#[test]
fn a_request_is_read_in_its_order_and_written_back_alike() {
    let text = b"d8:supportsl10:load limite7:command5:offer3:TOSi-1e1:ad0:i0eee";
    let value = read(text).expect("valid");
    assert_eq!(written(&value), text);
    let keys: Vec<_> = value
        .as_dict()
        .expect("dictionary")
        .iter()
        .map(|(key, _)| key.as_ref())
        .collect();
    assert_eq!(keys, [&b"supports"[..], b"command", b"TOS", b"a"]);
}

#[test]
fn strings_are_borrowed() {
    let text = b"4:spam".to_vec();
    assert!(matches!(
        read(&text),
        Ok(Value::Str(Cow::Borrowed(b"spam")))
    ));
}

#[test]
fn what_follows_the_value_is_not_looked_at() {
    assert_eq!(
        decode(b"i5e garbage", Limits::REQUEST),
        Ok((Value::Int(5), 3))
    );
}

#[test]
fn duplicate_keys_stay_and_the_first_counts() {
    let value = read(b"d1:ai1e1:ai2ee").expect("valid");
    assert_eq!(value.as_dict().map(Dict::len), Some(2));
    assert_eq!(value.get("a"), Some(&Value::Int(1)));
}

#[test]
fn leading_zeros_and_minus_zero_are_tolerated() {
    assert_eq!(read(b"i007e"), Ok(Value::Int(7)));
    assert_eq!(read(b"i-0e"), Ok(Value::Int(0)));
    assert_eq!(read(b"i-007e"), Ok(Value::Int(-7)));
    assert_eq!(read(b"03:abc"), Ok(Value::str("abc")));
}

#[test]
fn integers_reach_the_ends_of_64_bits_and_no_further() {
    assert_eq!(read(b"i9223372036854775807e"), Ok(Value::Int(i64::MAX)));
    assert_eq!(read(b"i-9223372036854775808e"), Ok(Value::Int(i64::MIN)));
    for bad in [
        "i9223372036854775808e",
        "i-9223372036854775809e",
        "i99999999999999999999999e",
    ] {
        assert_eq!(read(bad.as_bytes()), Err(ErrorKind::BadNumber), "{bad}");
    }
}

#[test]
fn malformed_numbers_are_refused() {
    for bad in [
        "ie", "i-e", "i--1e", "i+1e", "i1.5e", "i 1e", "i1-e", "1-:a", "1x:a",
    ] {
        assert_eq!(read(bad.as_bytes()), Err(ErrorKind::BadNumber), "{bad}");
    }
}

#[test]
fn errors_say_where() {
    fn at(text: &[u8]) -> Result<Value<'_>, (usize, ErrorKind)> {
        let decoded = decode(text, Limits::REQUEST);
        decoded
            .map(|(value, _)| value)
            .map_err(|error| (error.at, error.kind))
    }
    assert_eq!(at(b"d1:ai1x"), Err((6, ErrorKind::BadNumber)));
    assert_eq!(at(b"d1:a?"), Err((4, ErrorKind::BadStart)));
    assert_eq!(at(b"di1ei2ee"), Err((1, ErrorKind::BadKey)));
    assert_eq!(at(b"l3:ab"), Err((5, ErrorKind::Truncated)));
    assert_eq!(at(b""), Err((0, ErrorKind::Truncated)));
}

#[test]
fn giant_lengths_are_refused_without_being_believed() {
    for digits in ["99999999", "9223372036854775807", "18446744073709551615"] {
        assert_eq!(
            read(format!("{digits}:abc").as_bytes()),
            Err(ErrorKind::Truncated)
        );
    }
    assert_eq!(read(b"18446744073709551616:abc"), Err(ErrorKind::BadNumber));
    let nines = vec![b'9'; 65_507];
    assert_eq!(read(&nines), Err(ErrorKind::BadNumber));
    let zeros = vec![b'0'; 65_507];
    assert_eq!(read(&zeros), Err(ErrorKind::BadNumber));
}

#[test]
fn a_datagram_of_nothing_but_nesting_is_refused_at_the_cap() {
    for open in [&b"l"[..], b"d1:a"] {
        let text = open.repeat(65_507 / open.len());
        let error = decode(&text, Limits::REQUEST).expect_err("too deep");
        let at = usize::from(Limits::REQUEST.depth) * open.len();
        assert_eq!(
            error,
            Error {
                at,
                kind: ErrorKind::TooDeep
            }
        );
    }
    let deepest = [b"l".repeat(16), b"e".repeat(16)].concat();
    assert!(read(&deepest).is_ok());
}

#[test]
fn a_datagram_of_empty_strings_is_refused_at_the_cap() {
    let text = [b"l".to_vec(), b"0:".repeat(32_000), b"e".to_vec()].concat();
    assert_eq!(read(&text), Err(ErrorKind::TooMany));
    let fits = [b"l".to_vec(), b"0:".repeat(4095), b"e".to_vec()].concat();
    assert!(read(&fits).is_ok());
}

#[test]
fn a_message_cut_off_anywhere_is_truncated() {
    let text = b"d7:command5:offer5:flagsl10:trust-addre3:TOSi184e5:codecd4:maskl3:alleee";
    assert!(read(text).is_ok());
    for length in 0..text.len() {
        assert_eq!(
            read(&text[..length]),
            Err(ErrorKind::Truncated),
            "cut at {length}"
        );
    }
}

fn values() -> impl Strategy<Value = Value<'static>> {
    let text = proptest::collection::vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        text.clone().prop_map(Value::owned)
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            proptest::collection::vec((text.clone(), inner), 0..8).prop_map(|entries| {
                Value::Dict(
                    entries
                        .into_iter()
                        .map(|(key, value)| (Cow::Owned(key), value))
                        .collect(),
                )
            }),
        ]
    })
}

/// The value with dictionaries as the oracle has them: sorted, keys unique.
fn oracle(value: &Value<'_>) -> OracleValue {
    match value {
        Value::Str(text) => OracleValue::ByteStr(text.to_vec().into()),
        Value::Int(number) => {
            OracleValue::Int(u64::try_from(*number).map_or_else(|_| (*number).into(), Into::into))
        }
        Value::List(members) => OracleValue::List(members.iter().map(oracle).collect()),
        Value::Dict(dict) => OracleValue::Dict(
            dict.iter()
                .map(|(key, value)| (key.to_vec().into(), oracle(value)))
                .collect(),
        ),
    }
}

/// The value with the dictionaries in the oracle's order and without duplicates.
fn sorted(value: Value<'static>) -> Value<'static> {
    match value {
        Value::List(members) => Value::List(members.into_iter().map(sorted).collect()),
        Value::Dict(dict) => {
            let entries: BTreeMap<_, _> = dict
                .iter()
                .map(|(key, value)| (key.clone(), sorted(value.clone())))
                .collect();
            Value::Dict(entries.into_iter().collect())
        }
        leaf @ (Value::Str(_) | Value::Int(_)) => leaf,
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in values()) {
        let text = written(&value);
        let length = text.len();
        prop_assert_eq!(decode(&text, Limits::REQUEST), Ok((value, length)));
    }

    #[test]
    fn the_oracle_reads_and_writes_the_same(value in values().prop_map(sorted)) {
        let text = written(&value);
        let theirs: OracleValue = bencode_oracle::from_slice(&text).expect("oracle reads it");
        prop_assert_eq!(&theirs, &oracle(&value));
        prop_assert_eq!(bencode_oracle::to_vec(&theirs).expect("oracle writes it"), text);
    }

    #[test]
    fn arbitrary_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok((_, length)) = decode(&text, Limits::REQUEST) {
            prop_assert!(length <= text.len());
        }
    }

    #[test]
    fn bytes_that_look_like_bencode_never_panic(
        text in proptest::collection::vec(proptest::sample::select(b"dlie0123456789:-a".to_vec()), 0..200),
    ) {
        if let Ok((value, length)) = decode(&text, Limits::REQUEST) {
            let again = written(&value);
            prop_assert_eq!(decode(&again, Limits::REQUEST), Ok((value, again.len())));
            prop_assert!(length <= text.len());
        }
    }
}
