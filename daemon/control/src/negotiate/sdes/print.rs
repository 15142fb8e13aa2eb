//! Writes crypto lines (RFC 4568 §9.1).

use patchcord_media::srtp::{Keys, Parameters};
use patchcord_wire::sdp::{Crypto, Mki, Writer, base64};

use crate::call::Line;

/// Writes lines of ours.
pub(in crate::negotiate) fn write(out: &mut Writer, lines: &[Line], padding: base64::Padding) {
    for line in lines {
        let name = line.suite().name().as_bytes();
        out.put(&Crypto {
            tag: line.tag,
            suite: line.spelling.as_deref().unwrap_or(name),
            keys: &key(&line.keys, padding),
            parameters: parameters(line.keys.parameters()).as_bytes(),
        });
    }
}

/// `inline:KEY|LIFETIME|MKI:LENGTH`
fn key(keys: &Keys, padding: base64::Padding) -> Vec<u8> {
    let mut text = b"inline:".to_vec();
    base64::encode(keys.inline(), padding, &mut text);
    if let Some(packets) = keys.lifetime() {
        let shown = if packets.is_power_of_two() {
            format!("|2^{}", packets.trailing_zeros())
        } else {
            format!("|{packets}")
        };
        text.extend_from_slice(shown.as_bytes());
    }
    if let Some(mki) = keys.mki() {
        text.push(b'|');
        Mki::print(mki, &mut text);
    }
    text
}

fn parameters(parameters: Parameters) -> String {
    let shown = [
        (!parameters.encrypts_rtp, "UNENCRYPTED_SRTP"),
        (!parameters.encrypts_rtcp, "UNENCRYPTED_SRTCP"),
        (!parameters.authenticates_rtp, "UNAUTHENTICATED_SRTP"),
    ];
    let shown = shown.into_iter().filter(|(shown, _)| *shown);
    shown.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use patchcord_media::srtp::Suite;
    use patchcord_wire::sdp::{Eol, Sdp};

    use super::*;
    use crate::negotiate::sdes::read::read;

    fn line(keys: Keys) -> Line {
        Line {
            tag: 4,
            spelling: None,
            keys: Arc::new(keys),
        }
    }

    fn plain(suite: Suite) -> Keys {
        let master: Vec<u8> = (0..(suite.key_len() + suite.salt_len()) as u8).collect();
        Keys::from_inline(suite, &master).expect("the suite's lengths")
    }

    fn written(line: &Line, padding: base64::Padding) -> String {
        let mut out = Writer::new(Eol::Lf, 0);
        write(&mut out, std::slice::from_ref(line), padding);
        String::from_utf8(out.finish()).expect("ASCII")
    }

    #[test]
    fn every_suite_reads_back_as_the_same_keys() {
        for suite in Suite::ALL {
            let bare = Parameters {
                encrypts_rtp: false,
                encrypts_rtcp: false,
                authenticates_rtp: suite.is_aead(),
            };
            let keys = plain(suite)
                .with_mki(&[1, 0, 2])
                .and_then(|keys| keys.with_lifetime(1000))
                .and_then(|keys| keys.with_parameters(bare))
                .expect("good keys");
            for padding in [base64::Padding::With, base64::Padding::Without] {
                let ours = line(keys.clone());
                let body = format!("v=0\nm=audio 1 RTP/SAVP 0\n{}", written(&ours, padding));
                let sdp = Sdp::parse(body.as_bytes()).expect("a body");
                let read = read(&sdp.media(0).expect("a section"));
                assert_eq!(read.lines, [ours], "{body}");
            }
        }
    }

    #[test]
    fn padding_is_written_where_it_is_asked_for() {
        let ours = line(plain(Suite::AeadAes128Gcm));
        let without = written(&ours, base64::Padding::Without);
        assert_eq!(
            without,
            "a=crypto:4 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw\n"
        );
        let with = written(&ours, base64::Padding::With);
        assert_eq!(with.trim_end(), format!("{}==", without.trim_end()));
    }

    #[test]
    fn lifetimes_are_powers_of_two_where_they_are() {
        let of = |packets| {
            let keys = plain(Suite::NullSha1_80)
                .with_lifetime(packets)
                .expect("one");
            written(&line(keys), base64::Padding::Without)
        };
        assert!(of(1 << 31).ends_with("|2^31\n"));
        assert!(of(1000).ends_with("|1000\n"));
    }
}
