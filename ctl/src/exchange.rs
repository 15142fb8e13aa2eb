//! `offer`, `answer` and `delete`: what a SIP proxy would send, from files and words.

use std::fs;
use std::io::{self, Read};

use patchcord_wire::ng::Command;
use patchcord_wire::ng::client::RequestBuilder;
use patchcord_wire::value::Value;

use crate::args::{Delete, Exchange};
use crate::failure::Failure;

/// The request for an offer or an answer; the flags travel unparsed, as Kamailio can send them.
pub(crate) fn request(
    command: Command,
    exchange: &Exchange,
) -> Result<RequestBuilder<'_>, Failure> {
    let mut request = RequestBuilder::new(command)
        .with("call-id", Value::str(&exchange.call_id))
        .with("from-tag", Value::str(&exchange.from_tag))
        .with("sdp", Value::owned(read_sdp(exchange)?));
    if let Some(tag) = &exchange.to_tag {
        request = request.with("to-tag", Value::str(tag));
    }
    if !exchange.flags.is_empty() {
        request = request.with("rtpp-flags", Value::owned(exchange.flags.join(" ")));
    }
    Ok(request)
}

/// The request for a deletion.
pub(crate) fn delete(delete: &Delete) -> RequestBuilder<'_> {
    let mut request =
        RequestBuilder::new(Command::Delete).with("call-id", Value::str(&delete.call_id));
    if let Some(tag) = &delete.from_tag {
        request = request.with("from-tag", Value::str(tag));
    }
    if let Some(tag) = &delete.to_tag {
        request = request
            .with("to-tag", Value::str(tag))
            .with_list("flags", ["to-tag"]);
    }
    if let Some(delay) = delete.delay {
        request = request.with("delete delay", Value::Int(i64::from(delay)));
    }
    request
}

fn read_sdp(exchange: &Exchange) -> Result<Vec<u8>, Failure> {
    let path = &exchange.sdp;
    if path.as_os_str() != "-" {
        let failed = |error| {
            Failure::Usage(format!(
                "cannot read the SDP from {}: {error}",
                path.display()
            ))
        };
        return fs::read(path).map_err(failed);
    }
    let mut sdp = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut sdp);
    read.map_err(|error| {
        Failure::Usage(format!("cannot read the SDP from standard input: {error}"))
    })?;
    Ok(sdp)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use patchcord_wire::ng::address::Tos;
    use patchcord_wire::ng::{Format, Request, parse};

    use super::*;

    fn exchange(sdp: &str) -> Exchange {
        Exchange {
            call_id: "c".into(),
            from_tag: "f".into(),
            to_tag: Some("t".into()),
            sdp: PathBuf::from(sdp),
            flags: vec![
                "replace-origin".into(),
                "direction=int".into(),
                "TOS=184".into(),
            ],
        }
    }

    #[test]
    fn the_relay_reads_the_flags_as_those_of_a_proxy_script() {
        let path = std::env::temp_dir().join(format!("patchctl-{}.sdp", std::process::id()));
        fs::write(&path, "v=0\r\n").expect("a writable directory for temporary files");
        let exchange = exchange(path.to_str().expect("a plain path"));
        let bytes = request(Command::Answer, &exchange)
            .expect("the file is there")
            .to_bytes(Some(b"7"), Format::Bencode);
        fs::remove_file(&path).expect("it was written above");
        let envelope = parse(&bytes).expect("a request");
        let (parsed, warnings) = Request::parse(&envelope.body);
        let Ok(Request::Answer(answer)) = parsed else {
            panic!("{parsed:?}")
        };
        assert_eq!(answer.sdp.as_ref(), b"v=0\r\n");
        assert_eq!(answer.tos, Tos::Set(184), "{answer:?}");
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let failure =
            request(Command::Offer, &exchange("/nowhere/a.sdp")).expect_err("no such file");
        assert!(matches!(&failure, Failure::Usage(why) if why.contains("/nowhere/a.sdp")));
    }

    #[test]
    fn a_deletion_of_one_dialogue_says_that_its_to_tag_counts() {
        let delete = Delete {
            call_id: "c".into(),
            from_tag: Some("f".into()),
            to_tag: Some("t".into()),
            delay: Some(0),
        };
        let bytes = super::delete(&delete).to_bytes(None, Format::Bencode);
        let text = String::from_utf8(bytes).expect("all of it is ASCII");
        assert!(text.contains("5:flagsl6:to-tage"), "{text}");
        assert!(text.contains("12:delete delayi0e"), "{text}");
    }
}
