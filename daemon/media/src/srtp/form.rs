//! Where the parts of a protected packet stand (RFC 3711 §3.1, §3.4; RFC 7714 §7, §9).
//!
//! | | |
//! |---|---|
//! | SRTP | header, payload, MKI, tag |
//! | SRTCP | header, body, E and index, MKI, tag |
//! | AEAD SRTP | header, payload, tag, MKI |
//! | AEAD SRTCP | header, body, tag, E and index, MKI |

use patchcord_contract::Reason;
use patchcord_wire::rtp::Rtp;

use super::Protocol;
use super::keys::Keys;

/// Bytes of the E bit and the SRTCP index.
pub(super) const WORD: usize = 4;
/// Bytes of an RTCP packet that stay in the clear: its header and SSRC.
pub(super) const RTCP_CLEAR: usize = 8;
/// The longest tag.
pub(super) const MAX_TAG: usize = 16;

/// What the packets of one protocol carry beside their plain bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    protocol: Protocol,
    is_aead: bool,
    pub(super) tag: usize,
    mki: usize,
}

/// The parts of a packet, as offsets. The body ends where the first field behind it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// Where the body ends.
    pub(super) body: usize,
    /// Where the tag begins.
    pub(super) tag: usize,
    /// Where E and index begin; SRTCP only.
    pub(super) word: usize,
    /// Where the MKI begins.
    pub(super) mki: usize,
}

/// What a packet's clear header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Where what may be encrypted begins.
    pub(super) clear: usize,
    pub(super) ssrc: u32,
    /// RTP's sequence number.
    pub(super) sequence: u16,
}

impl Form {
    pub(super) fn new(keys: &Keys, protocol: Protocol) -> Self {
        let suite = keys.suite();
        let tag = match protocol {
            Protocol::Rtp if !keys.parameters().authenticates_rtp => 0,
            Protocol::Rtp => suite.rtp_tag_len(),
            Protocol::Rtcp => suite.rtcp_tag_len(),
        };
        Self {
            protocol,
            is_aead: suite.is_aead(),
            tag,
            mki: keys.mki().map_or(0, <[u8]>::len),
        }
    }

    /// Bytes that protection adds.
    #[inline]
    pub(super) const fn overhead(&self) -> usize {
        self.tag
            + self.mki
            + match self.protocol {
                Protocol::Rtp => 0,
                Protocol::Rtcp => WORD,
            }
    }

    /// The parts of a packet whose body ends at `body`.
    #[inline]
    pub(super) const fn parts(&self, body: usize) -> Parts {
        let word = match self.protocol {
            Protocol::Rtp => 0,
            Protocol::Rtcp => WORD,
        };
        if self.is_aead {
            Parts {
                body,
                tag: body,
                word: body + self.tag,
                mki: body + self.tag + word,
            }
        } else {
            Parts {
                body,
                word: body,
                mki: body + word,
                tag: body + word + self.mki,
            }
        }
    }
}

/// Reads the clear header of a packet whose body ends at `body`.
#[inline]
pub(super) fn head(protocol: Protocol, packet: &[u8], body: usize) -> Result<Head, Reason> {
    let packet = &packet[..body];
    match protocol {
        Protocol::Rtp => {
            let rtp = Rtp::parse_protected(packet).map_err(|_| Reason::SrtpShort)?;
            Ok(Head {
                clear: rtp.header_len(),
                ssrc: rtp.ssrc().0,
                sequence: rtp.sequence(),
            })
        }
        Protocol::Rtcp => {
            let [_, _, _, _, a, b, c, d, ..] = *packet else {
                return Err(Reason::SrtpShort);
            };
            Ok(Head {
                clear: RTCP_CLEAR,
                ssrc: u32::from_be_bytes([a, b, c, d]),
                sequence: 0,
            })
        }
    }
}
