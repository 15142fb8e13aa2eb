//! `offer` and `answer`: everything that the two commands can ask for, typed.

use std::borrow::Cow;

use crate::ng::address::{Addressing, Tos};
use crate::ng::bundle::{Bundle, Extmap};
use crate::ng::codec::Codecs;
use crate::ng::dtmf::Dtmf;
use crate::ng::flags::Flag;
use crate::ng::ice::Ice;
use crate::ng::learning::{EndpointLearning, LearningOptions};
use crate::ng::mux::RtcpMux;
use crate::ng::recording::{Recording, Switch};
use crate::ng::replace::Rewrite;
use crate::ng::security::{Dtls, Osrtp, ProtoChoice, Sdes};
use crate::ng::set::Set;
use crate::ng::t38::T38;

/// How a client wants to hear that a limit is reached (`supports`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadLimitReply {
    /// As an error whose text is always the one about parallel sessions.
    #[default]
    Error,
    /// As the result `load limit` with the limit's own text in `message`.
    Result,
}

/// What the SIP message was (`sip-message-type`, `sip-code`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SipMessage {
    /// Request or reply, where that was said.
    pub kind: Option<SipMessageKind>,
    /// The status code of a reply, where that was said.
    pub code: Option<u16>,
}

/// Request or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SipMessageKind {
    /// A SIP request.
    Request,
    /// A SIP reply.
    Reply,
}

impl SipMessageKind {
    /// Reads a kind, normalised.
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"request" | b"sip-request" => Self::Request,
            b"reply" | b"sip-reply" | b"response" | b"sip-response" => Self::Reply,
            _ => return None,
        })
    }
}

/// `alias-key`: how an offer from a new tag may turn out to be from a known party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AliasKey {
    /// Never.
    Off,
    /// By an equal SDP.
    Sdp,
    /// By an equal first media address and port.
    Address,
}

/// `drop-traffic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropTraffic {
    /// All RTP of the call is discarded.
    Start,
    /// It is forwarded again; beats the other.
    Stop,
}

/// An `offer` or an `answer`. In an answer the tags are those of the dialogue: `from_tag` is still the offerer's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferAnswer<'a> {
    /// The call; never empty.
    pub call_id: Cow<'a, [u8]>,
    /// The tag of the SIP From header.
    pub from_tag: Cow<'a, [u8]>,
    /// The tag of the SIP To header; always there in an answer.
    pub to_tag: Option<Cow<'a, [u8]>>,
    /// Tells forked branches apart.
    pub via_branch: Option<Cow<'a, [u8]>>,
    /// The body to rewrite; never empty.
    pub sdp: Cow<'a, [u8]>,

    /// The simple switches.
    pub flags: Set<Flag>,
    /// How a reached limit is reported.
    pub load_limit: LoadLimitReply,
    /// What the SIP message was.
    pub sip: SipMessage,
    /// A name for the sending party (`label`, `from-label`).
    pub label: Option<Cow<'a, [u8]>>,
    /// A name for the other party (`to-label`).
    pub to_label: Option<Cow<'a, [u8]>>,
    /// A name to assign (`set-label`).
    pub set_label: Option<Cow<'a, [u8]>>,
    /// Kept with the call, returned by query.
    pub metadata: Option<Cow<'a, [u8]>>,
    /// Seconds between `delete` and the end of the call, for this call.
    pub delete_delay: Option<u32>,
    /// TOS of what leaves.
    pub tos: Tos,
    /// How parties are recognised under new tags.
    pub alias_key: Option<AliasKey>,
    /// Whether RTP is discarded.
    pub drop_traffic: Option<DropTraffic>,
    /// Where the timeout callback goes.
    pub xmlrpc_callback: Option<Cow<'a, [u8]>>,
    /// Identifies the relay that sent the request, against loops.
    pub instance: Option<Cow<'a, [u8]>>,

    /// What changes in the SDP beside addresses, ports and protocols.
    pub rewrite: Rewrite<'a>,
    /// Addresses and interfaces.
    pub addressing: Addressing<'a>,
    /// Learning and source checks.
    pub learning: LearningOptions,
    /// The protocol towards the far side.
    pub proto: ProtoChoice,
    /// RTCP on the RTP port.
    pub rtcp_mux: RtcpMux,
    /// Whether RTCP is ours instead of relayed (`generate-RTCP`).
    pub generate_rtcp: Option<Switch>,
    /// Opportunistic SRTP.
    pub osrtp: Osrtp,
    /// ICE.
    pub ice: Ice,
    /// SDES.
    pub sdes: Sdes<'a>,
    /// DTLS.
    pub dtls: Dtls,
    /// Whether media passes without being decoded or decrypted (`passthrough`).
    pub passthrough: Option<Switch>,
    /// Bundling.
    pub bundle: Bundle,
    /// Header extensions.
    pub extmap: Extmap<'a>,
    /// Codecs and packet times.
    pub codecs: Codecs<'a>,
    /// Fax.
    pub t38: T38,
    /// DTMF, if anything is said of it.
    pub dtmf: Option<Box<Dtmf<'a>>>,
    /// Recording and playback.
    pub recording: Recording<'a>,
}

impl<'a> OfferAnswer<'a> {
    /// What is said of DTMF, to say more.
    pub(crate) fn dtmf_mut(&mut self) -> &mut Dtmf<'a> {
        self.dtmf.get_or_insert_default()
    }

    /// The learning mode asked for; `None` is the configured one.
    pub fn endpoint_learning(&self) -> Option<EndpointLearning> {
        if self.flags.has(Flag::Asymmetric) {
            Some(EndpointLearning::Off)
        } else {
            self.learning.mode
        }
    }

    /// Whether the message was a final reply, which pins the to-tag unless `provisional` says otherwise.
    pub fn is_final_reply(&self) -> bool {
        self.sip.kind != Some(SipMessageKind::Request)
            && self.sip.code.is_some_and(|code| code >= 200)
            && !self.flags.has(Flag::Provisional)
    }
}
