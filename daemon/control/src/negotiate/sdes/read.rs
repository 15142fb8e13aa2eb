//! Which crypto lines of a section can be used (RFC 4568 §5.1.2, §6.3, §7.1.2).

use std::sync::Arc;

use patchcord_media::srtp::{Keys, Parameters, Suite};
use patchcord_wire::sdp::{
    AttrKind, Crypto, InlineKey, LineKind, Section, SessionParameter, base64,
};
use smallvec::SmallVec;
use zeroize::Zeroize;

use crate::call::Line;

/// Most lines of a section that are looked at.
const MAX_LINES: usize = 32;
/// Room for the longest master key with its salt, and one byte to see that there is more.
const MAX_INLINE: usize = 32 + 14 + 1;

/// The lines of a section.
#[derive(Debug, Default)]
pub(in crate::negotiate) struct Read {
    /// Those that can be used, in the order of the section; each tag once.
    pub(in crate::negotiate) lines: Vec<Line>,
    /// Why others cannot.
    pub(in crate::negotiate) notes: SmallVec<[&'static str; 1]>,
}

/// Why a line cannot be used.
const BROKEN: &str = "SDES: a broken crypto line was skipped";
const UNKNOWN: &str = "SDES: a crypto line of an unknown suite was skipped";
const BAD_KEY: &str = "SDES: a crypto line with a bad key was skipped";
const BAD_PARAMETER: &str = "SDES: a crypto line with an unsupported parameter was skipped";
const SAME_TAG: &str = "SDES: a crypto line with the tag of another was skipped";
const MORE_KEYS: &str = "SDES: of several keys in a crypto line only the first is used";
const TOO_MANY: &str = "SDES: more crypto lines than are looked at";

/// Reads the crypto lines of a section.
pub(in crate::negotiate) fn read(section: &Section<'_, '_>) -> Read {
    let mut read = Read::default();
    for (count, line) in section
        .lines_of(LineKind::Attr(AttrKind::Crypto))
        .enumerate()
    {
        if count == MAX_LINES {
            read.note(TOO_MANY);
            break;
        }
        match line.parse::<Crypto<'_>>() {
            Ok(crypto) => read.take(&crypto),
            Err(_) => read.note(BROKEN),
        }
    }
    read
}

impl Read {
    fn take(&mut self, crypto: &Crypto<'_>) {
        if self.lines.iter().any(|line| line.tag == crypto.tag) {
            self.note(SAME_TAG);
            return;
        }
        match usable(crypto) {
            Ok(line) => self.lines.push(line),
            Err(note) => self.note(note),
        }
        if crypto.inline_keys().nth(1).is_some() {
            self.note(MORE_KEYS);
        }
    }

    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

fn usable(crypto: &Crypto<'_>) -> Result<Line, &'static str> {
    let name = std::str::from_utf8(crypto.suite).map_err(|_| UNKNOWN)?;
    let suite = Suite::from_name(name).ok_or(UNKNOWN)?;
    let inline = crypto.inline_keys().next();
    let inline = inline.and_then(Result::ok).ok_or(BAD_KEY)?;
    let keys = keys(suite, &inline).ok_or(BAD_KEY)?;
    let keys = parameters(crypto)
        .and_then(|parameters| keys.with_parameters(parameters).ok())
        .ok_or(BAD_PARAMETER)?;
    Ok(Line {
        tag: crypto.tag,
        spelling: (name != suite.name()).then(|| crypto.suite.into()),
        keys: Arc::new(keys),
    })
}

fn keys(suite: Suite, inline: &InlineKey<'_>) -> Option<Keys> {
    let mut master = [0; MAX_INLINE];
    let len = base64::decode(inline.key_salt, &mut master);
    let keys = len.and_then(|len| Keys::from_inline(suite, &master[..len]).ok());
    master.zeroize();
    let mut keys = keys?;
    if let Some(mki) = inline.mki {
        keys = keys.with_mki(&mki.bytes()?).ok()?;
    }
    if let Some(lifetime) = inline.lifetime {
        keys = keys.with_lifetime(lifetime.packets()).ok()?;
    }
    Some(keys)
}

/// What is left out; `None` if a parameter asks for what we do not do. A key derivation rate would
/// derive keys anew, FEC before SRTP and keys of its own for FEC would need FEC to be known; a window
/// size is a hint. What begins with `-` may be ignored.
fn parameters(crypto: &Crypto<'_>) -> Option<Parameters> {
    let mut parameters = Parameters::default();
    for parameter in crypto.session_parameters() {
        match parameter {
            SessionParameter::Kdr(0)
            | SessionParameter::Wsh(_)
            | SessionParameter::Other([b'-', ..] | b"FEC_ORDER=FEC_SRTP") => {}
            SessionParameter::UnencryptedSrtp => parameters.encrypts_rtp = false,
            SessionParameter::UnencryptedSrtcp => parameters.encrypts_rtcp = false,
            SessionParameter::UnauthenticatedSrtp => parameters.authenticates_rtp = false,
            SessionParameter::Kdr(_) | SessionParameter::Other(_) => return None,
        }
    }
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use patchcord_wire::sdp::Sdp;

    use super::*;

    const KEY: &str = "rimCP2dqWTGHu199g/krKFLNGBH/TWwW1xSpjVaP";

    fn lines(lines: &[String]) -> Read {
        let mut body = "v=0\r\ns=-\r\nm=audio 4000 RTP/SAVP 0\r\n".to_owned();
        for line in lines {
            body.extend(["a=crypto:", line, "\r\n"]);
        }
        let sdp = Sdp::parse(body.as_bytes()).expect("a body");
        read(&sdp.media(0).expect("a section"))
    }

    fn refused(line: &str, note: &str) {
        let read = lines(&[
            line.to_owned(),
            format!("9 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"),
        ]);
        let tags: Vec<_> = read.lines.iter().map(|line| line.tag).collect();
        assert_eq!(tags, [9], "the next line is taken instead of {line}");
        assert_eq!(read.notes.as_slice(), [note], "{line}");
    }

    #[test]
    fn a_bad_line_is_skipped_and_the_next_one_taken() {
        refused("AES_CM_128_HMAC_SHA1_80", BROKEN);
        refused(&format!("1 AES_CM_129_HMAC_SHA1_80 inline:{KEY}"), UNKNOWN);
        refused("1 AES_CM_128_HMAC_SHA1_80 inline:rimC*", BAD_KEY);
        refused("1 AES_CM_128_HMAC_SHA1_80 inline:rimC", BAD_KEY);
        refused(
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}AAAA"),
            BAD_KEY,
        );
        refused(&format!("1 AEAD_AES_128_GCM inline:{KEY}"), BAD_KEY);
        refused(
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|256:1"),
            BAD_KEY,
        );
        refused(
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|0"),
            BAD_KEY,
        );
        refused(&format!("1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}"), BAD_KEY);
        for parameter in [
            "KDR=1",
            "KDR=24",
            "KDR=x",
            "FEC_ORDER=SRTP_FEC",
            "FEC_KEY=inline:AAAA",
            "WSH=x",
            "NEW",
        ] {
            let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} {parameter}");
            refused(&line, BAD_PARAMETER);
        }
    }

    #[test]
    fn parameters_that_change_nothing_are_taken() {
        let line = format!(
            "1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=0 WSH=64 FEC_ORDER=FEC_SRTP -NEW=1"
        );
        let read = lines(&[line]);
        assert_eq!(read.lines[0].keys.parameters(), Parameters::default());
        assert!(read.notes.is_empty());
    }

    #[test]
    fn an_aead_suite_is_refused_without_its_tag() {
        let key = "A".repeat(38);
        let read = lines(&[format!(
            "1 AEAD_AES_128_GCM inline:{key} UNAUTHENTICATED_SRTP"
        )]);
        assert_eq!(read.notes.as_slice(), [BAD_PARAMETER]);
    }

    #[test]
    fn mki_lifetime_and_spelling_are_kept() {
        let read = lines(&[
            format!("3 aes_cm_128_hmac_sha1_80 inline:{KEY}|2^20|513:4 UNENCRYPTED_SRTCP"),
            format!("3 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"),
        ]);
        let line = &read.lines[0];
        assert_eq!(line.tag, 3);
        assert_eq!(
            line.spelling.as_deref(),
            Some(&b"aes_cm_128_hmac_sha1_80"[..])
        );
        assert_eq!(line.keys.mki(), Some(&[0, 0, 2, 1][..]));
        assert_eq!(line.keys.lifetime(), Some(1 << 20));
        assert!(!line.keys.parameters().encrypts_rtcp);
        assert_eq!(
            (read.lines.len(), read.notes.as_slice()),
            (1, &[SAME_TAG][..])
        );
    }

    #[test]
    fn of_several_keys_the_first_is_used() {
        let read = lines(&[format!(
            "1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:1;inline:{}|2:1",
            "A".repeat(40)
        )]);
        assert_eq!(read.lines[0].keys.mki(), Some(&[1][..]));
        assert_eq!(read.notes.as_slice(), [MORE_KEYS]);
    }

    #[test]
    fn lines_are_printed_without_keys() {
        let read = lines(&[format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")]);
        assert_eq!(
            format!("{:?}", read.lines),
            "[Line(1 AES_CM_128_HMAC_SHA1_80)]"
        );
    }
}
