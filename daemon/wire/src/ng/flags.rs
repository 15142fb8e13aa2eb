//! The simple switches of `flags`, and the words whose meaning is part of something larger.

use crate::ng::address::AddressSource;
use crate::ng::dtmf::DtmfMode;
use crate::ng::learning::{PortLatching, SourceCheck};
use crate::ng::recording::{AudioPlayer, Switch};
use crate::ng::replace::RtcpAttribute;
use crate::ng::set::member_enum;
use crate::ng::spelling::Table;

pub use crate::ng::flag_table::{FLAGS, FlagInfo, Mark, Status};

member_enum! {
    /// A switch that is there or not.
    pub enum Flag {
        /// `asymmetric`: the peer is not where it sends from; never learn.
        Asymmetric,
        /// `unidirectional`: one-way RTP streams may be offloaded.
        Unidirectional,
        /// `NAT-wait`: nothing is sent to an endpoint that has sent nothing.
        NatWait,
        /// `pierce-NAT`: empty packets go to the signalled address until traffic arrives.
        PierceNat,
        /// `loop-protect`: a private attribute marks SDP that has been here.
        LoopProtect,
        /// `generate-mid`: `a=mid` is added where it is missing.
        GenerateMid,
        /// `original-sendrecv`: media directions stay as received.
        OriginalSendrecv,
        /// `allow-no-codec-media`: a section left without codecs is refused.
        AllowNoCodecMedia,
        /// `provisional`: a final reply is treated as a provisional one.
        Provisional,
        /// `new-branch`: an unknown to-tag makes a party of its own.
        NewBranch,
        /// `to-tag`: in `delete`, the to-tag narrows.
        ToTag,
        /// `reset`: what the peer refused before is offered again.
        Reset,
        /// `no-redis-update`: this message leaves the stored state alone.
        NoRedisUpdate,
        /// `debug`: the call is logged in full.
        Debug,
        /// `trickle-ICE`: trickling is advertised.
        TrickleIce,
        /// `fragment`: the SDP is a trickle fragment.
        Fragment,
        /// `ice2`: the option is advertised.
        Ice2,
        /// `reject-ICE`: ICE is refused towards the offerer at once.
        RejectIce,
        /// `RTCP-mirror`: RTCP of subscribers goes back to the source.
        RtcpMirror,
        /// `recrypt`: SRTP is always decrypted and encrypted, never passed on.
        Recrypt,
        /// `no-tls-id`: no `a=tls-id`.
        NoTlsId,
        /// `allow-transcoding`: a subscribe answer may refuse codecs.
        AllowTranscoding,
        /// `force-transcoding`: also between equal codecs.
        ForceTranscoding,
        /// `allow-asymmetric-codecs`: answers may have other payload numbers.
        AllowAsymmetricCodecs,
        /// `single-codec`: an answer keeps its first codec only.
        SingleCodec,
        /// `static-codecs`: the negotiated list is frozen.
        StaticCodecs,
        /// `reuse-codecs`: codecs are not negotiated again.
        ReuseCodecs,
        /// `inject-DTMF`: DTMF may be injected.
        InjectDtmf,
        /// `detect-DTMF`: in-band DTMF is detected.
        DetectDtmf,
        /// `block-DTMF`: DTMF is dropped.
        BlockDtmf,
        /// `block-media`: media is dropped.
        BlockMedia,
        /// `block-egress`: others are silent during playback.
        BlockEgress,
        /// `block-short`: undersized packets are dropped.
        BlockShort,
        /// `no-jitter-buffer`: no jitter buffer in this call.
        NoJitterBuffer,
        /// `exclude-recording`: this party is not recorded.
        ExcludeRecording,
        /// `skip-recording-db`: recordings are not stored in the database.
        SkipRecordingDb,
        /// `discard-recording`: recordings are thrown away.
        DiscardRecording,
        /// `early-media`: the player may play before the answer.
        EarlyMedia,
        /// `mix`: sources are mixed into one section.
        Mix,
        /// `inactive`: subscriptions begin inactive.
        Inactive,
        /// `bidirectional`: subscriptions both ways.
        Bidirectional,
        /// `directional`: from-tag selects.
        Directional,
        /// `unsubscribe`: former subscriptions end.
        Unsubscribe,
        /// `egress`: what a party is sent, not what it sends.
        Egress,
        /// `SIPREC`: labels for a recording server are returned.
        Siprec,
        /// `all`: every party.
        All,
        /// `pause`: recording pauses instead of ending.
        Pause,
        /// `fatal`: an unknown call is an error.
        Fatal,
        /// `fast`: the reply has no statistics.
        Fast,
        /// `WebRTC`: the alias was used; what it stands for is set as well.
        WebRtc,
    }
}

/// What a member of `flags` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlagWord {
    /// A simple switch.
    Set(Flag),
    /// Accepted, and without effect.
    Nothing,
    /// Which address is taken for the sender's.
    Source(AddressSource),
    /// What happens to strangers.
    Check(SourceCheck),
    /// Whether ports stay.
    Latching(PortLatching),
    /// How `a=rtcp` is written.
    Rtcp(RtcpAttribute),
    /// Every codec is accepted.
    AlwaysTranscode,
    /// Every header extension is stripped.
    StripExtmap,
    /// Padding in `a=crypto`.
    PadCrypto,
    /// Whether media passes untouched.
    Passthrough(Switch),
    /// Whether the call is recorded.
    Record(Switch),
    /// Whether RTCP is ours.
    GenerateRtcp(Switch),
    /// The player.
    Player(AudioPlayer),
    /// DTMF mode, if none is given.
    Dtmf(DtmfMode),
    /// The interface of the next side (`internal`, `external`).
    Interface(&'static str),
    /// The WebRTC set.
    WebRtc,
}

/// Every whole word of `flags`; words with a prefix are taken apart in `parse`.
pub(crate) static WORDS: Table<FlagWord, 512> = Table::new(&[
    ("trust-address", FlagWord::Source(AddressSource::Sdp)),
    (
        "sip-source-address",
        FlagWord::Source(AddressSource::Signalling),
    ),
    ("symmetric", FlagWord::Nothing),
    ("force", FlagWord::Nothing),
    ("repacketize", FlagWord::Nothing),
    ("force-answer", FlagWord::Nothing),
    ("symmetric-codecs", FlagWord::Nothing),
    ("asymmetric-codecs", FlagWord::Nothing),
    ("reorder-codecs", FlagWord::Nothing),
    ("asymmetric", FlagWord::Set(Flag::Asymmetric)),
    ("unidirectional", FlagWord::Set(Flag::Unidirectional)),
    ("strict-source", FlagWord::Check(SourceCheck::Strict)),
    ("media-handover", FlagWord::Check(SourceCheck::Handover)),
    ("port-latching", FlagWord::Latching(PortLatching::Keep)),
    ("no-port-latching", FlagWord::Latching(PortLatching::Renew)),
    ("nat-wait", FlagWord::Set(Flag::NatWait)),
    ("pierce-nat", FlagWord::Set(Flag::PierceNat)),
    ("loop-protect", FlagWord::Set(Flag::LoopProtect)),
    ("generate-mid", FlagWord::Set(Flag::GenerateMid)),
    ("original-sendrecv", FlagWord::Set(Flag::OriginalSendrecv)),
    ("no-rtcp-attribute", FlagWord::Rtcp(RtcpAttribute::Omit)),
    ("full-rtcp-attribute", FlagWord::Rtcp(RtcpAttribute::Full)),
    (
        "allow-no-codec-media",
        FlagWord::Set(Flag::AllowNoCodecMedia),
    ),
    (
        "allow-empty-codec-media",
        FlagWord::Set(Flag::AllowNoCodecMedia),
    ),
    (
        "allow-no-codecs-media",
        FlagWord::Set(Flag::AllowNoCodecMedia),
    ),
    (
        "allow-empty-codecs-media",
        FlagWord::Set(Flag::AllowNoCodecMedia),
    ),
    (
        "allow-no-codec-medias",
        FlagWord::Set(Flag::AllowNoCodecMedia),
    ),
    (
        "allow-empty-codec-medias",
        FlagWord::Set(Flag::AllowNoCodecMedia),
    ),
    ("provisional", FlagWord::Set(Flag::Provisional)),
    ("new-branch", FlagWord::Set(Flag::NewBranch)),
    ("to-tag", FlagWord::Set(Flag::ToTag)),
    ("reset", FlagWord::Set(Flag::Reset)),
    ("no-redis-update", FlagWord::Set(Flag::NoRedisUpdate)),
    ("debug", FlagWord::Set(Flag::Debug)),
    ("debugging", FlagWord::Set(Flag::Debug)),
    ("trickle-ice", FlagWord::Set(Flag::TrickleIce)),
    ("fragment", FlagWord::Set(Flag::Fragment)),
    ("ice2", FlagWord::Set(Flag::Ice2)),
    ("reject-ice", FlagWord::Set(Flag::RejectIce)),
    ("ice-reject", FlagWord::Set(Flag::RejectIce)),
    ("rtcp-mirror", FlagWord::Set(Flag::RtcpMirror)),
    ("mirror-rtcp", FlagWord::Set(Flag::RtcpMirror)),
    ("generate-rtcp", FlagWord::GenerateRtcp(Switch::On)),
    ("recrypt", FlagWord::Set(Flag::Recrypt)),
    ("pad-crypto", FlagWord::PadCrypto),
    ("passthrough", FlagWord::Passthrough(Switch::On)),
    ("passthru", FlagWord::Passthrough(Switch::On)),
    ("no-passthrough", FlagWord::Passthrough(Switch::Off)),
    ("no-passthru", FlagWord::Passthrough(Switch::Off)),
    ("no-tls-id", FlagWord::Set(Flag::NoTlsId)),
    ("strip-extmap", FlagWord::StripExtmap),
    ("always-transcode", FlagWord::AlwaysTranscode),
    ("allow-transcoding", FlagWord::Set(Flag::AllowTranscoding)),
    ("force-transcoding", FlagWord::Set(Flag::ForceTranscoding)),
    (
        "allow-asymmetric-codec",
        FlagWord::Set(Flag::AllowAsymmetricCodecs),
    ),
    (
        "allow-asymmetric-codecs",
        FlagWord::Set(Flag::AllowAsymmetricCodecs),
    ),
    ("single-codec", FlagWord::Set(Flag::SingleCodec)),
    ("static-codec", FlagWord::Set(Flag::StaticCodecs)),
    ("static-codecs", FlagWord::Set(Flag::StaticCodecs)),
    ("reuse-codec", FlagWord::Set(Flag::ReuseCodecs)),
    ("reuse-codecs", FlagWord::Set(Flag::ReuseCodecs)),
    ("no-codec-renegotiation", FlagWord::Set(Flag::ReuseCodecs)),
    ("inject-dtmf", FlagWord::Set(Flag::InjectDtmf)),
    ("detect-dtmf", FlagWord::Set(Flag::DetectDtmf)),
    ("block-dtmf", FlagWord::Set(Flag::BlockDtmf)),
    ("dtmf-security", FlagWord::Dtmf(DtmfMode::Drop)),
    ("block-media", FlagWord::Set(Flag::BlockMedia)),
    ("block-egress", FlagWord::Set(Flag::BlockEgress)),
    ("block-short", FlagWord::Set(Flag::BlockShort)),
    ("block-shorts", FlagWord::Set(Flag::BlockShort)),
    ("block-short-packet", FlagWord::Set(Flag::BlockShort)),
    ("block-short-packets", FlagWord::Set(Flag::BlockShort)),
    ("no-jitter-buffer", FlagWord::Set(Flag::NoJitterBuffer)),
    ("record-call", FlagWord::Record(Switch::On)),
    ("no-record-call", FlagWord::Record(Switch::Off)),
    ("exclude-recording", FlagWord::Set(Flag::ExcludeRecording)),
    ("skip-recording-db", FlagWord::Set(Flag::SkipRecordingDb)),
    (
        "skip-recording-database",
        FlagWord::Set(Flag::SkipRecordingDb),
    ),
    ("discard-recording", FlagWord::Set(Flag::DiscardRecording)),
    ("early-media", FlagWord::Set(Flag::EarlyMedia)),
    ("audio-player", FlagWord::Player(AudioPlayer::Transcoding)),
    ("player", FlagWord::Player(AudioPlayer::Transcoding)),
    ("no-audio-player", FlagWord::Player(AudioPlayer::Off)),
    ("no-player", FlagWord::Player(AudioPlayer::Off)),
    ("mix", FlagWord::Set(Flag::Mix)),
    ("mixed", FlagWord::Set(Flag::Mix)),
    ("inactive", FlagWord::Set(Flag::Inactive)),
    ("bidirectional", FlagWord::Set(Flag::Bidirectional)),
    ("directional", FlagWord::Set(Flag::Directional)),
    ("unsubscribe", FlagWord::Set(Flag::Unsubscribe)),
    ("egress", FlagWord::Set(Flag::Egress)),
    ("siprec", FlagWord::Set(Flag::Siprec)),
    ("all", FlagWord::Set(Flag::All)),
    ("pause", FlagWord::Set(Flag::Pause)),
    ("fatal", FlagWord::Set(Flag::Fatal)),
    ("fast", FlagWord::Set(Flag::Fast)),
    ("internal", FlagWord::Interface("internal")),
    ("external", FlagWord::Interface("external")),
    ("webrtc", FlagWord::WebRtc),
    ("web-rtc", FlagWord::WebRtc),
]);
