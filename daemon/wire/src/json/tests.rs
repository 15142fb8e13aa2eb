use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Value<'_>, ErrorKind> {
    decode(text.as_bytes(), Limits::REQUEST)
        .map(|(value, _)| value)
        .map_err(|error| error.kind)
}

fn written(value: &Value<'_>) -> String {
    let mut out = Vec::new();
    encode(value, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn a_request_is_read_in_its_order_and_written_back_alike() {
    let text = r#"{"supports":["load limit"],"command":"offer","TOS":-1,"a":{"":0}}"#;
    assert_eq!(written(&read(text).expect("valid")), text);
}

#[test]
fn strings_without_escapes_are_borrowed_and_others_not() {
    assert!(matches!(
        read(r#""spam""#),
        Ok(Value::Str(Cow::Borrowed(b"spam")))
    ));
    assert!(matches!(read(r#""a\r\nb""#), Ok(Value::Str(Cow::Owned(text))) if text == b"a\r\nb"));
}

#[test]
fn what_follows_the_value_is_not_looked_at() {
    assert_eq!(
        decode(br#"{"a":1} {"#, Limits::REQUEST).map(|(_, length)| length),
        Ok(7)
    );
}

#[test]
fn values_that_bencode_has_not_become_those_it_has() {
    assert_eq!(read("true"), Ok(Value::Int(1)));
    assert_eq!(read("1.5"), Ok(Value::owned("1.5")));
    assert_eq!(
        read("18446744073709551615"),
        Ok(Value::owned("18446744073709551615"))
    );
    assert_eq!(
        read(r#"{"a":null,"b":[null,2]}"#)
            .map(|value| written(&value))
            .as_deref(),
        Ok(r#"{"b":[2]}"#)
    );
}

#[test]
fn limits_hold_as_in_bencode() {
    assert_eq!(read(&"[".repeat(65_507)), Err(ErrorKind::TooDeep));
    assert_eq!(read(&r#"{"a":"#.repeat(10_000)), Err(ErrorKind::TooDeep));
    assert!(read(&["[".repeat(16), "]".repeat(16)].concat()).is_ok());
    assert_eq!(
        read(&["[", &"0,".repeat(32_000), "0]"].concat()),
        Err(ErrorKind::TooMany)
    );
}

#[test]
fn a_message_cut_off_anywhere_is_truncated() {
    let text = r#"{"command":"offer","flags":["trust-address"],"TOS":184,"sdp":"v=0\r\n"}"#;
    assert!(read(text).is_ok());
    for length in 0..text.len() {
        assert_eq!(
            read(&text[..length]),
            Err(ErrorKind::Truncated),
            "cut at {length}"
        );
    }
}

#[test]
fn errors_say_where() {
    let error = decode(b"{\n  \"a\" 1}", Limits::REQUEST).expect_err("no colon");
    assert_eq!(
        error,
        Error {
            line: 2,
            column: 7,
            kind: ErrorKind::Syntax
        }
    );
}

#[test]
fn bytes_that_are_not_utf8_are_written_as_latin1() {
    assert_eq!(
        written(&Value::str(&b"caf\xe9 \x01\"\\\x7f"[..])),
        r#""caf\u00e9 \u0001\"\\\u007f""#
    );
    assert_eq!(written(&Value::str("café")), r#""café""#);
}

proptest! {
    #[test]
    fn text_reads_back(text in any::<String>(), key in any::<String>(), number in any::<i64>()) {
        let mut dict = Dict::new();
        dict.push(key.clone().into_bytes(), Value::owned(text.clone()));
        dict.push(&b"n"[..], Value::Int(number));
        let value = Value::Dict(dict);
        let json = written(&value);
        prop_assert_eq!(read(&json), Ok(value));
        // And serde_json agrees about what it says.
        let theirs: serde_json::Value = serde_json::from_str(&json).expect("valid JSON");
        prop_assert_eq!(theirs["n"].as_i64(), Some(number));
        if key != "n" {
            prop_assert_eq!(theirs[&key].as_str(), Some(text.as_str()));
        }
    }

    #[test]
    fn arbitrary_bytes_are_written_as_valid_json(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        let json = written(&Value::owned(text.clone()));
        let theirs: String = serde_json::from_str(&json).expect("valid JSON");
        if std::str::from_utf8(&text).is_ok() {
            prop_assert_eq!(theirs.as_bytes(), text);
        } else {
            let latin1: String = text.iter().copied().map(char::from).collect();
            prop_assert_eq!(theirs, latin1);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok((_, length)) = decode(&text, Limits::REQUEST) {
            prop_assert!(length <= text.len());
        }
    }

    #[test]
    fn bytes_that_look_like_json_never_panic(
        text in proptest::collection::vec(proptest::sample::select(b"{}[]\",:\\u0123ntrue".to_vec()), 0..200),
    ) {
        if let Ok((value, _)) = decode(&text, Limits::REQUEST) {
            let again = written(&value);
            prop_assert_eq!(read(&again), Ok(value));
        }
    }
}
