//! `codec` and `ptime`: which codecs each side sees, in rtpengine's `name/rate/...` notation.

use std::borrow::Cow;

/// What is done with a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecOp {
    /// Removed from the outgoing SDP.
    Strip,
    /// Kept in spite of `strip` or `mask`.
    Except,
    /// As `except`, and sets the order.
    Offer,
    /// Added if missing, and transcoded.
    Transcode,
    /// Hidden from the far side, accepted from the near side.
    Mask,
    /// As `mask`, but offered too.
    Accept,
    /// As `mask`, and the transcoder is engaged.
    Consume,
    /// Taken as not offered by the near side.
    Ignore,
    /// Sets encoder options.
    Set,
}

impl CodecOp {
    /// Reads an operation, normalised.
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"strip" => Self::Strip,
            b"except" => Self::Except,
            b"offer" => Self::Offer,
            b"transcode" => Self::Transcode,
            b"mask" => Self::Mask,
            b"accept" => Self::Accept,
            b"consume" => Self::Consume,
            b"ignore" => Self::Ignore,
            b"set" => Self::Set,
            _ => return None,
        })
    }
}

/// A codec in the notation `name/rate/channels/bitrate/ptime/fmtp/options`; missing parts are empty or 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodecSpec<'s> {
    /// The encoding name, case-sensitive; or `all`, `full`, `any`.
    pub name: &'s [u8],
    /// Clock rate in Hz.
    pub rate: u32,
    /// Channels.
    pub channels: u8,
    /// Bits per second.
    pub bitrate: u32,
    /// Packet time in milliseconds.
    pub ptime: u16,
    /// The `a=fmtp` parameters.
    pub fmtp: &'s [u8],
    /// Encoder options.
    pub options: &'s [u8],
}

impl<'s> CodecSpec<'s> {
    /// Takes the notation apart. Numbers that are none count as missing.
    pub fn parse(text: &'s [u8]) -> Self {
        let mut parts = text.splitn(7, |byte| *byte == b'/');
        let mut part = || parts.next().unwrap_or_default();
        Self {
            name: part(),
            rate: number(part()),
            channels: number(part()),
            bitrate: number(part()),
            ptime: number(part()),
            fmtp: part(),
            options: part(),
        }
    }
}

fn number<T: std::str::FromStr + Default>(text: &[u8]) -> T {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// What `codec`, `ptime` and `ptime-reverse` ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codecs<'a> {
    /// The operations in the order of the request, each with the codec as written.
    pub ops: Vec<(CodecOp, Cow<'a, [u8]>)>,
    /// Packet time towards the receiver of the rewritten SDP, in milliseconds.
    pub ptime: Option<u16>,
    /// Packet time towards the sender of this SDP, in milliseconds.
    pub ptime_reverse: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parts_are_empty() {
        let spec = CodecSpec::parse(b"opus/48000/2///useinbandfec=1/a/b");
        assert_eq!(spec.name, b"opus");
        assert_eq!(
            (spec.rate, spec.channels, spec.bitrate, spec.ptime),
            (48_000, 2, 0, 0)
        );
        assert_eq!(spec.fmtp, b"useinbandfec=1");
        assert_eq!(spec.options, b"a/b");
        assert_eq!(
            CodecSpec::parse(b"PCMA"),
            CodecSpec {
                name: b"PCMA",
                ..CodecSpec::default()
            }
        );
        assert_eq!(CodecSpec::parse(b"").name, b"");
    }

    #[test]
    fn numbers_out_of_range_count_as_missing() {
        let spec = CodecSpec::parse(b"x/99999999999/300/-1/70000");
        assert_eq!(
            (spec.rate, spec.channels, spec.bitrate, spec.ptime),
            (0, 0, 0, 0)
        );
    }
}
