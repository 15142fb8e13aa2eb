//! `replace` and what else is done to session lines, `a=rtcp` and whole sections of the SDP.

use crate::ng::sdp_attr::SdpAttr;
use crate::ng::set::{Set, member_enum};
use crate::ng::spelling::Table;

member_enum! {
    /// A member of `replace`: a session line that becomes ours.
    pub enum Replace {
        /// The address of `o=`.
        Origin,
        /// The whole `o=`, frozen for each receiving endpoint.
        OriginFull,
        /// The user name of `o=`, stable for each receiving endpoint.
        Username,
        /// `s=`, stable for each receiving endpoint.
        SessionName,
        /// The version of `o=`: raised when the outgoing body differs from the one before.
        SdpVersion,
        /// The version of `o=`, raised always.
        ForceIncrementSdpVersion,
        /// 0.0.0.0 of a held section becomes a real address.
        ZeroAddress,
    }
}

/// `None` marks words that proxies send and that have no effect: `c=` is always rewritten.
static WORDS: Table<Option<Replace>, 32> = Table::new(&[
    ("origin", Some(Replace::Origin)),
    ("session-connection", None),
    ("origin-full", Some(Replace::OriginFull)),
    ("username", Some(Replace::Username)),
    ("session-name", Some(Replace::SessionName)),
    ("sdp-version", Some(Replace::SdpVersion)),
    ("sdp-ver", Some(Replace::SdpVersion)),
    (
        "force-increment-sdp-ver",
        Some(Replace::ForceIncrementSdpVersion),
    ),
    (
        "force-increment-sdp-version",
        Some(Replace::ForceIncrementSdpVersion),
    ),
    ("zero-address", Some(Replace::ZeroAddress)),
]);

/// How `a=rtcp` is written (RFC 3605).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtcpAttribute {
    /// The port, where RTCP has a port of its own.
    #[default]
    Port,
    /// Port, network type and address (`full-rtcp-attribute`).
    Full,
    /// Not at all (`no-rtcp-attribute`, which beats the other).
    Omit,
}

member_enum! {
    /// The media type of an `m=` line (RFC 8866 §5.14).
    pub enum MediaType {
        /// `audio`
        Audio,
        /// `video`
        Video,
        /// `text`
        Text,
        /// `image`: fax
        Image,
        /// `message`: MSRP
        Message,
        /// `application`: data channels
        Application,
        /// Any type that is none of these.
        Other,
    }
}

impl MediaType {
    /// The type of an `m=` line.
    pub fn parse(text: &[u8]) -> Self {
        Self::named(text).unwrap_or(Self::Other)
    }

    fn named(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"audio" => Self::Audio,
            b"video" => Self::Video,
            b"text" => Self::Text,
            b"image" => Self::Image,
            b"message" => Self::Message,
            b"application" => Self::Application,
            b"other" => Self::Other,
            _ => return None,
        })
    }
}

/// What is changed in the SDP beside addresses, ports and protocols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite<'a> {
    /// Session lines that become ours.
    pub replace: Set<Replace>,
    /// How `a=rtcp` is written.
    pub rtcp_attribute: RtcpAttribute,
    /// Sections dropped from the outgoing offer, by media type (`sdp-media-remove`).
    pub media_remove: Set<MediaType>,
    /// Attribute lines added, removed and substituted at the very end (`sdp-attr`).
    pub sdp_attr: SdpAttr<'a>,
}

impl Rewrite<'_> {
    pub(crate) fn add_replace(&mut self, word: &[u8]) -> bool {
        let Some(known) = WORDS.find(word) else {
            return false;
        };
        if let Some(replace) = known {
            self.replace.insert(replace);
        }
        true
    }

    pub(crate) fn add_media_remove(&mut self, word: &[u8]) -> bool {
        MediaType::named(word)
            .map(|media| self.media_remove.insert(media))
            .is_some()
    }

    pub(crate) fn set_rtcp_attribute(&mut self, wanted: RtcpAttribute) {
        if self.rtcp_attribute != RtcpAttribute::Omit {
            self.rtcp_attribute = wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_connection_is_known_and_does_nothing() {
        let mut rewrite = Rewrite::default();
        assert!(rewrite.add_replace(b"session-connection"));
        assert_eq!(rewrite, Rewrite::default());
        assert!(!rewrite.add_replace(b"everything"));
    }

    #[test]
    fn omitting_the_rtcp_attribute_beats_writing_it_in_full() {
        for order in [
            [RtcpAttribute::Omit, RtcpAttribute::Full],
            [RtcpAttribute::Full, RtcpAttribute::Omit],
        ] {
            let mut rewrite = Rewrite::default();
            for wanted in order {
                rewrite.set_rtcp_attribute(wanted);
            }
            assert_eq!(rewrite.rtcp_attribute, RtcpAttribute::Omit);
        }
    }
}
