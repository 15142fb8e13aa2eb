//! Keys of our endpoints and of the relay, exchanged in SDP (RFC 4568).

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use patchcord_media::srtp::{Keys, Suite};
use patchcord_wire::sdp::base64::{self, Padding};
use patchcord_wire::sdp::{Crypto, Sdp};

/// What protects the media of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Security {
    /// Plain RTP.
    #[default]
    Plain,
    /// SRTP, keyed by SDES.
    Sdes(Suite),
}

impl Security {
    /// The `<proto>` of the m-line.
    pub(crate) fn proto(self) -> &'static str {
        match self {
            Self::Plain => "RTP/AVP",
            Self::Sdes(_) => "RTP/SAVP",
        }
    }

    /// A fresh key, if one is needed.
    pub(crate) fn fresh(self) -> Option<Arc<Keys>> {
        let Self::Sdes(suite) = self else { return None };
        let mut master = [0; 46];
        let master = &mut master[..suite.key_len() + suite.salt_len()];
        getrandom::fill(master).expect("the kernel has random bytes");
        let keys = Keys::from_inline(suite, master).expect("the suite's own lengths");
        Some(Arc::new(keys))
    }

    /// By name: `plain`, or that of a crypto suite.
    pub(crate) fn from_name(name: &str) -> Result<Self> {
        if name.eq_ignore_ascii_case("plain") {
            return Ok(Self::Plain);
        }
        Suite::from_name(name).map(Self::Sdes).with_context(|| {
            let known: Vec<_> = Suite::ALL.iter().map(|suite| suite.name()).collect();
            format!("not `plain` nor one of {}", known.join(", "))
        })
    }
}

/// The `a=crypto` line that tells these keys under this tag.
pub(crate) fn line(tag: u32, keys: &Keys) -> String {
    let mut inline = Vec::new();
    base64::encode(keys.inline(), Padding::Without, &mut inline);
    let inline = String::from_utf8_lossy(&inline);
    format!("a=crypto:{tag} {} inline:{inline}\r\n", keys.suite().name())
}

/// The line of `suite` in media section `index` of `body`: its tag, and the relay's keys.
pub(crate) fn find(body: &[u8], index: usize, suite: Suite) -> Result<(u32, Arc<Keys>)> {
    let broken = |what, e| anyhow!("the relay's SDP, {what}: {e:?}");
    let sdp = Sdp::parse(body).map_err(|e| broken("body", e))?;
    let section = sdp
        .media(index)
        .context("the relay's SDP lacks a media section")?;
    for crypto in section.all::<Crypto<'_>>() {
        let crypto = crypto.map_err(|e| broken("crypto line", e))?;
        if std::str::from_utf8(crypto.suite)
            .ok()
            .and_then(Suite::from_name)
            != Some(suite)
        {
            continue;
        }
        ensure!(
            crypto.parameters.is_empty(),
            "the relay's crypto line has parameters"
        );
        let key = crypto.inline_keys().next().context("a line without keys")?;
        let key = key.map_err(|e| broken("key", e))?;
        let mut master = [0; 47];
        let len =
            base64::decode(key.key_salt, &mut master).context("the relay's key is no base64")?;
        let keys = Keys::from_inline(suite, &master[..len])?;
        return Ok((crypto.tag, Arc::new(keys)));
    }
    Err(anyhow!("the relay does not offer {suite}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_their_line() {
        for suite in Suite::ALL {
            let keys = Security::Sdes(suite).fresh().expect("keys");
            let body = format!(
                "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n\
                 a=crypto:4 UNHEARD_OF inline:AAAA\r\n{}",
                line(7, &keys)
            );
            let (tag, found) = find(body.as_bytes(), 0, suite).expect("found");
            assert_eq!(tag, 7);
            assert_eq!(found, keys);
        }
    }

    #[test]
    fn names_are_those_of_the_suites() {
        assert_eq!(
            Security::from_name("Plain").expect("known"),
            Security::Plain
        );
        let gcm = Security::from_name("aead_aes_128_gcm").expect("known");
        assert_eq!(gcm, Security::Sdes(Suite::AeadAes128Gcm));
        assert!(Security::from_name("AES").is_err());
    }

    #[test]
    fn two_fresh_keys_differ() {
        let security = Security::Sdes(Suite::AesCm128Sha1_80);
        assert_ne!(security.fresh(), security.fresh());
    }
}
