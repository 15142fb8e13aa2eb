//! From a dictionary to a request: each key is looked up once and lands in its typed place.
//!
//! Templates are read first, then `rtpp-flags`, so that the message's own keys win over them. Of a key
//! given twice, in whatever spellings, the first counts. An empty text is as good as none.

use std::borrow::Cow;
use std::net::IpAddr;

use smallvec::SmallVec;

use crate::ng::Command;
use crate::ng::address::{self, Family, InterfaceChoice, Tos};
use crate::ng::bundle::BundleOnward;
use crate::ng::codec::CodecOp;
use crate::ng::dtmf::DtmfMode;
use crate::ng::error::NgError;
use crate::ng::flags::Flag;
use crate::ng::ice::IceMode;
use crate::ng::keys::{AddressKey, KEYS, Key, NumberKey, RawKey, TextKey, WordsKey};
use crate::ng::mux::MuxOnward;
use crate::ng::offer_answer::{AliasKey, DropTraffic, LoadLimitReply, OfferAnswer, SipMessageKind};
use crate::ng::recording::{AudioPlayer, Switch};
use crate::ng::replace::RtcpAttribute;
use crate::ng::request::{DEFAULT_LIST_LIMIT, Delete, Query, Request};
use crate::ng::rtpp_flags;
use crate::ng::security::{ProtoChoice, Sdes, SdesUse};
use crate::ng::spelling::{self, Name};
use crate::ng::templates::Templates;
use crate::ng::text::Words;
use crate::ng::warnings::{WarningKind, Warnings};
use crate::proto::Proto;
use crate::value::{Dict, Value};

/// Keys of an ordinary request, with room to spare.
const USUAL_KEYS: usize = 24;

/// Keys that are read before all others, in this order.
const EARLY: [Key; 2] = [Key::Raw(RawKey::Template), Key::RtppFlags];
/// Most templates in one message; they may nest, so this bounds the depth too.
const MAX_TEMPLATES: usize = 16;

/// Understands a request, with the templates that it and its command ask for.
pub(super) fn request<'a>(
    body: &Value<'a>,
    templates: Option<&'a Templates>,
) -> (Result<Request<'a>, NgError>, Warnings) {
    let command = body
        .as_dict()
        .and_then(|dict| dict.get_exact(b"command").or_else(|| dict.get("command")))
        .and_then(Value::as_bytes)
        .ok_or(NgError::NoCommand)
        .and_then(|word| Command::parse(word).ok_or(NgError::UnrecognizedCommand));
    let command = match command {
        Ok(command) if is_implemented(command) => command,
        Ok(Command::Ping) => return (Ok(Request::Ping), Warnings::new()),
        Ok(Command::Statistics) => return (Ok(Request::Statistics), Warnings::new()),
        Ok(command) => return (Ok(Request::Unsupported(command)), Warnings::new()),
        Err(error) => return (Err(error), Warnings::new()),
    };
    let mut draft = Draft {
        templates,
        ..Draft::default()
    };
    draft.template_if_any(Templates::DEFAULT);
    draft.template_if_any(command.as_str().as_bytes());
    if let Some(dict) = body.as_dict() {
        draft.dict(dict);
    }
    let warnings = std::mem::take(&mut draft.warnings);
    (draft.finish(command), warnings)
}

/// Whether the rest of the dictionary matters.
const fn is_implemented(command: Command) -> bool {
    matches!(
        command,
        Command::Offer
            | Command::Answer
            | Command::Delete
            | Command::Query
            | Command::List
            | Command::Cli
    )
}

/// What was understood so far.
#[derive(Default)]
pub(super) struct Draft<'a> {
    pub(super) message: Box<OfferAnswer<'a>>,
    pub(super) warnings: Warnings,
    /// Whether the single words of `rtpp-flags` asked for a profile.
    pub(super) profile: rtpp_flags::Profile,
    templates: Option<&'a Templates>,
    /// Those read so far: none is read twice, so that none contains itself.
    expanded: SmallVec<[&'a [u8]; 4]>,
    limit: Option<i64>,
    code: Option<Cow<'a, [u8]>>,
    call_id: Option<Cow<'a, [u8]>>,
    from_tag: Option<Cow<'a, [u8]>>,
    sdp: Option<Cow<'a, [u8]>>,
    body: Option<Cow<'a, [u8]>>,
}

impl<'a> Draft<'a> {
    fn dict(&mut self, dict: &Dict<'a>) {
        let mut known: SmallVec<[(Key, &[u8], &Value<'a>); USUAL_KEYS]> = SmallVec::new();
        // What the message's own keys win over is read first.
        let mut early = [false; EARLY.len()];
        for (name, value) in dict {
            match KEYS.get(name) {
                None => self.warnings.add(WarningKind::UnknownKey, name, b""),
                Some(Key::Elsewhere | Key::Command) => {}
                Some(key) if !is_repeatable(key) && known.iter().any(|(seen, ..)| *seen == key) => {
                    self.warnings.add(WarningKind::DuplicateKey, name, b"");
                }
                Some(key) => {
                    if let Some(rank) = EARLY.iter().position(|early| *early == key) {
                        early[rank] = true;
                    }
                    known.push((key, name, value));
                }
            }
        }
        for (first, _) in EARLY.iter().zip(early).filter(|(_, is_there)| *is_there) {
            for (_, name, value) in known.iter().filter(|(key, ..)| key == first) {
                self.key(*first, name, value);
            }
        }
        for (key, name, value) in known {
            if !EARLY.contains(&key) {
                self.key(key, name, value);
            }
        }
    }

    /// Reads a template that need not exist.
    fn template_if_any(&mut self, name: &[u8]) {
        let text = self.templates.and_then(|templates| templates.get(name));
        let is_new = |text: &&[u8]| !self.expanded.contains(text);
        let Some(text) = text.filter(is_new) else {
            return;
        };
        if self.expanded.len() == MAX_TEMPLATES {
            return self.unknown(b"template", b"nested too deep");
        }
        self.expanded.push(text);
        rtpp_flags::read(self, b"template", &Value::str(text));
    }

    /// Reads a template that somebody asked for.
    fn template(&mut self, name: &[u8]) {
        if self.templates.and_then(|all| all.get(name)).is_none() {
            self.unknown(b"template", name);
        }
        self.template_if_any(name);
    }

    /// Puts the value of a key in its place.
    pub(super) fn key(&mut self, key: Key, name: &[u8], value: &Value<'a>) {
        match key {
            Key::Text(key) => self.text(key, name, value),
            Key::Words(key) => self.words(key, name, value),
            Key::Number(key) => self.number(key, name, value),
            Key::Address(key) => self.address(key, name, value),
            Key::Raw(key) => self.raw(key, name, value),
            Key::RtppFlags => rtpp_flags::read(self, name, value),
            Key::Command | Key::Elsewhere => {}
        }
    }

    fn text(&mut self, key: TextKey, name: &[u8], value: &Value<'a>) {
        let text = match value {
            Value::Str(text) => text.clone(),
            Value::Int(number) => Cow::Owned(number.to_string().into_bytes()),
            Value::List(_) | Value::Dict(_) => return self.unknown(name, b"not a string"),
        };
        if text.is_empty() {
            return;
        }
        let message = &mut *self.message;
        *match key {
            TextKey::CallId => &mut self.call_id,
            TextKey::FromTag => &mut self.from_tag,
            TextKey::ToTag => &mut message.to_tag,
            TextKey::ViaBranch => &mut message.via_branch,
            TextKey::Sdp => &mut self.sdp,
            TextKey::Label => &mut message.label,
            TextKey::ToLabel => &mut message.to_label,
            TextKey::SetLabel => &mut message.set_label,
            TextKey::Metadata => &mut message.metadata,
            TextKey::XmlrpcCallback => &mut message.xmlrpc_callback,
            TextKey::Instance => &mut message.instance,
            TextKey::Body => &mut self.body,
            TextKey::Code => &mut self.code,
            TextKey::Trigger => &mut message.dtmf_mut().trigger,
            TextKey::TriggerEnd => &mut message.dtmf_mut().trigger_end,
            TextKey::DtmfLogDest => &mut message.dtmf_mut().log_destination,
            TextKey::RecordingFile => &mut message.recording.file,
            TextKey::RecordingDir => &mut message.recording.directory,
            TextKey::RecordingPattern => &mut message.recording.pattern,
        } = Some(text);
    }

    fn words(&mut self, key: WordsKey, name: &[u8], value: &Value<'a>) {
        if let Value::Dict(_) = value {
            return self.unknown(name, b"not a list");
        }
        if let Value::Int(number) = value {
            let word = number.to_string();
            if !self.word(key, word.as_bytes()) {
                self.unknown(name, word.as_bytes());
            }
        }
        for word in Words::new(value) {
            if !self.spelled_word(key, &word) {
                self.unknown(name, &word);
            }
        }
    }

    /// Takes a word in any spelling.
    pub(super) fn spelled_word(&mut self, key: WordsKey, word: &[u8]) -> bool {
        Name::new(word.trim_ascii()).is_some_and(|word| self.word(key, word.as_bytes()))
    }

    /// Takes a normalised word; `false` if the key does not know it.
    fn word(&mut self, key: WordsKey, word: &[u8]) -> bool {
        let message = &mut *self.message;
        match key {
            WordsKey::Supports => {
                let known = word == b"load-limit";
                if known {
                    message.load_limit = LoadLimitReply::Result;
                }
                known
            }
            WordsKey::SipMessageType => set(&mut message.sip.kind, SipMessageKind::parse(word)),
            WordsKey::AliasKey => set(&mut message.alias_key, alias_key(word)),
            WordsKey::DropTraffic => {
                let wanted = drop_traffic(word);
                if message.drop_traffic == Some(DropTraffic::Stop) {
                    return wanted.is_some();
                }
                set(&mut message.drop_traffic, wanted)
            }
            WordsKey::Replace => message.rewrite.add_replace(word),
            WordsKey::SdpMediaRemove => message.rewrite.add_media_remove(word),
            WordsKey::EndpointLearning => message.learning.add_mode(word),
            WordsKey::MediaEcho => message.learning.add_echo(word),
            WordsKey::RtcpMux => message.rtcp_mux.add(word),
            WordsKey::GenerateRtcp => set(&mut message.generate_rtcp, Switch::parse(word)),
            WordsKey::Osrtp => message.osrtp.add(word),
            WordsKey::Ice => message.ice.add(word),
            WordsKey::IceLite => message.ice.add_lite(word),
            WordsKey::Dtls => message.dtls.add(word),
            WordsKey::DtlsFingerprint => message.dtls.set_fingerprint(word),
            WordsKey::Passthrough => set(&mut message.passthrough, Switch::parse(word)),
            WordsKey::Bundle => message.bundle.add(word),
            WordsKey::T38 => message.t38.add(word),
            WordsKey::DtmfSecurity => set(&mut message.dtmf_mut().security, DtmfMode::parse(word)),
            WordsKey::DtmfSecurityTrigger => set(
                &mut message.dtmf_mut().trigger_security,
                DtmfMode::parse(word),
            ),
            WordsKey::DtmfSecurityTriggerEnd => set(
                &mut message.dtmf_mut().trigger_end_security,
                DtmfMode::parse(word),
            ),
            WordsKey::RecordCall => set(&mut message.recording.record, Switch::parse(word)),
            WordsKey::AudioPlayer => set(&mut message.recording.player, AudioPlayer::parse(word)),
        }
    }

    fn number(&mut self, key: NumberKey, name: &[u8], value: &Value<'a>) {
        let message = &mut *self.message;
        if key == NumberKey::Frequency {
            message.dtmf_mut().frequencies = Words::new(value)
                .filter_map(|word| crate::value::decimal(&word))
                .chain(value.as_int().filter(|_| matches!(value, Value::Int(_))))
                .filter_map(|number| u32::try_from(number).ok())
                .collect();
            return;
        }
        let Some(number) = value.as_int() else {
            return self.unknown(name, value.as_bytes().unwrap_or(b"not a number"));
        };
        match key {
            NumberKey::SipCode => message.sip.code = u16::try_from(number).ok(),
            NumberKey::DeleteDelay => message.delete_delay = u32::try_from(number).ok(),
            NumberKey::Tos => message.tos = Tos::from(number),
            NumberKey::Ptime => message.codecs.ptime = u16::try_from(number).ok(),
            NumberKey::PtimeReverse => message.codecs.ptime_reverse = u16::try_from(number).ok(),
            NumberKey::T38Version => message.t38.version = u8::try_from(number).ok(),
            NumberKey::Volume => message.dtmf_mut().volume = i32::try_from(number).ok(),
            NumberKey::TriggerEndTime => {
                message.dtmf_mut().trigger_end_time = u32::try_from(number).ok();
            }
            NumberKey::TriggerEndDigits => {
                message.dtmf_mut().trigger_end_digits = u32::try_from(number).ok();
            }
            NumberKey::DtmfDelay => message.dtmf_mut().delay = u32::try_from(number).ok(),
            NumberKey::DelayBuffer => message.dtmf_mut().delay_buffer = u32::try_from(number).ok(),
            NumberKey::Limit => self.limit = Some(number),
            NumberKey::Frequency => {}
        }
    }

    fn address(&mut self, key: AddressKey, name: &[u8], value: &Value<'a>) {
        let addressing = &mut self.message.addressing;
        let understood = match key {
            AddressKey::ReceivedFrom => set(&mut addressing.received_from, last_ip(value)),
            AddressKey::MediaAddress => set(&mut addressing.media_address, last_ip(value)),
            AddressKey::AddressFamily => set(
                &mut addressing.family,
                value.as_bytes().and_then(Family::parse),
            ),
            AddressKey::Direction => {
                addressing.interfaces.directions(Words::new(value));
                matches!(value, Value::Str(_) | Value::List(_))
            }
            AddressKey::Interface | AddressKey::FromInterface => {
                choose(&mut addressing.interfaces.from, named(value))
            }
            AddressKey::ToInterface => choose(&mut addressing.interfaces.to, named(value)),
            AddressKey::Peer | AddressKey::OutboundPeer => {
                choose(&mut addressing.interfaces.to, towards(value))
            }
            AddressKey::InboundPeer => choose(&mut addressing.interfaces.from, towards(value)),
        };
        if !understood {
            self.unknown(name, value.as_bytes().unwrap_or(b"not understood"));
        }
    }

    fn raw(&mut self, key: RawKey, name: &[u8], value: &Value<'a>) {
        let message = &mut *self.message;
        match key {
            RawKey::Flags => {
                for word in Words::new(value) {
                    self.flag(&word);
                }
            }
            RawKey::Sdes => {
                for word in Words::new(value) {
                    if !self.message.sdes.add(&word) {
                        self.unknown(name, &word);
                    }
                }
            }
            RawKey::Template => {
                for word in Words::new(value) {
                    self.template(word.trim_ascii());
                }
            }
            RawKey::TransportProtocol => {
                let text = value.as_bytes().unwrap_or_default();
                if !self.transport_protocol(text) {
                    self.unknown(name, text);
                }
            }
            RawKey::SdpAttr => {
                let (attr, warnings) = (&mut message.rewrite.sdp_attr, &mut self.warnings);
                attr.read(value, &mut |word| {
                    warnings.add(WarningKind::UnknownValue, name, word);
                });
            }
            RawKey::Extmap => self.extmap(name, value),
            RawKey::Codec => self.codecs(name, value),
            RawKey::MusicOnHold => message.recording.music_on_hold = Some(value.clone()),
            RawKey::RecordingDetail => {
                message
                    .recording
                    .details
                    .push((Cow::Owned(name.to_vec()), value.clone()));
            }
        }
    }

    /// Sets the profile from its full name or `accept`.
    pub(super) fn transport_protocol(&mut self, text: &[u8]) -> bool {
        let proto = Proto::parse(text);
        let accept = spelling::same(text, b"accept");
        if proto != Proto::Other || accept {
            self.message.proto = if accept {
                ProtoChoice::Accept
            } else {
                ProtoChoice::To(proto)
            };
        }
        proto != Proto::Other || accept
    }

    fn extmap(&mut self, name: &[u8], value: &Value<'a>) {
        let Value::Dict(ops) = value else {
            return self.unknown(name, b"not a dictionary");
        };
        for (op, names) in ops {
            let op_name = Name::new(op);
            let list = op_name
                .as_ref()
                .and_then(|op| self.message.extmap.list(op.as_bytes()));
            match list {
                Some(list) => list.extend(Words::new(names)),
                None => self.unknown(name, op),
            }
        }
    }

    fn codecs(&mut self, name: &[u8], value: &Value<'a>) {
        let Value::Dict(ops) = value else {
            return self.unknown(name, b"not a dictionary");
        };
        for (op, codecs) in ops {
            match Name::new(op).and_then(|op| CodecOp::parse(op.as_bytes())) {
                Some(op) => {
                    self.message
                        .codecs
                        .ops
                        .extend(Words::new(codecs).map(|codec| (op, codec)));
                }
                None => self.unknown(name, op),
            }
        }
    }

    /// Warns about a value that is not understood.
    pub(super) fn unknown(&mut self, name: &[u8], word: &[u8]) {
        self.warnings.add(WarningKind::UnknownValue, name, word);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a command that is not here is unsupported, also one that comes later"
    )]
    fn finish(mut self, command: Command) -> Result<Request<'a>, NgError> {
        Ok(match command {
            Command::Ping => Request::Ping,
            Command::Statistics => Request::Statistics,
            Command::Offer => Request::Offer(self.offer_answer()?),
            Command::Answer => {
                let message = self.offer_answer()?;
                if message.to_tag.is_none() {
                    return Err(NgError::NoToTag);
                }
                Request::Answer(message)
            }
            Command::Delete => Request::Delete(self.delete()?),
            Command::Query => Request::Query(Query {
                call_id: self.call_id.take().ok_or(NgError::NoCallId)?,
                from_tag: self.from_tag.take(),
                to_tag: self.message.to_tag.take(),
                via_branch: self.message.via_branch.take(),
                flags: self.message.flags,
            }),
            Command::List => Request::List {
                limit: match self.limit {
                    None => DEFAULT_LIST_LIMIT,
                    Some(limit) if limit < 0 => return Err(NgError::InvalidLimit),
                    Some(limit) => u32::try_from(limit).unwrap_or(u32::MAX),
                },
            },
            Command::Cli => Request::Cli(self.body.take().ok_or(NgError::NoBody)?),
            other => Request::Unsupported(other),
        })
    }

    fn delete(mut self) -> Result<Delete<'a>, NgError> {
        let message = &mut *self.message;
        Ok(Delete {
            call_id: self.call_id.take().ok_or(NgError::NoCallId)?,
            from_tag: self.from_tag.take(),
            to_tag: message
                .to_tag
                .take()
                .filter(|_| message.flags.has(Flag::ToTag)),
            via_branch: message.via_branch.take(),
            delay: message.delete_delay,
            metadata: message.metadata.take(),
            flags: message.flags,
        })
    }

    fn offer_answer(mut self) -> Result<Box<OfferAnswer<'a>>, NgError> {
        if let (ProtoChoice::Unchanged, Some(proto)) = (self.message.proto, self.profile.proto()) {
            self.message.proto = ProtoChoice::To(proto);
        }
        if self.message.flags.has(Flag::WebRtc) {
            self.web_rtc();
        }
        let mut message = self.message;
        message.sdp = self.sdp.take().ok_or(NgError::NoSdp)?;
        message.call_id = self.call_id.take().ok_or(NgError::NoCallId)?;
        message.from_tag = self.from_tag.take().ok_or(NgError::NoFromTag)?;
        if let Some(code) = self.code.take() {
            message.dtmf_mut().code = Some(code);
        }
        Ok(message)
    }

    /// Sets what `WebRTC` stands for, where the message does not say otherwise itself.
    fn web_rtc(&mut self) {
        let message = &mut *self.message;
        if message.proto == ProtoChoice::Unchanged {
            message.proto = ProtoChoice::To(Proto::UdpTlsRtpSavpf);
        }
        if message.ice.mode == IceMode::Default {
            message.ice.mode = IceMode::Force;
        }
        if message.rtcp_mux.onward == MuxOnward::Mirror {
            message.rtcp_mux.onward = MuxOnward::Require;
        }
        if message.rewrite.rtcp_attribute == RtcpAttribute::Port {
            message.rewrite.rtcp_attribute = RtcpAttribute::Omit;
        }
        if message.sdes == Sdes::default() {
            message.sdes.usage = SdesUse::Off;
        }
        if message.bundle.onward == BundleOnward::None {
            message.bundle.onward = BundleOnward::Require;
        }
        message.flags.insert(Flag::TrickleIce);
        message.flags.insert(Flag::GenerateMid);
    }
}

/// Whether several of the key add up: each recording detail is a key of its own.
const fn is_repeatable(key: Key) -> bool {
    matches!(key, Key::Raw(RawKey::RecordingDetail))
}

/// Stores what was understood; `false` if nothing was.
fn set<T>(place: &mut Option<T>, understood: Option<T>) -> bool {
    let known = understood.is_some();
    if known {
        *place = understood;
    }
    known
}

fn choose<'a>(place: &mut InterfaceChoice<'a>, choice: Option<InterfaceChoice<'a>>) -> bool {
    let known = choice.is_some();
    if let Some(choice) = choice {
        *place = choice;
    }
    known
}

fn named<'a>(value: &Value<'a>) -> Option<InterfaceChoice<'a>> {
    Words::new(value).next().map(InterfaceChoice::named)
}

fn towards<'a>(value: &Value<'a>) -> Option<InterfaceChoice<'a>> {
    last_ip(value).map(InterfaceChoice::Towards)
}

/// The address in `[family, address]`, `family address` or `address`.
fn last_ip(value: &Value<'_>) -> Option<IpAddr> {
    let last = Words::new(value).last()?;
    address::ip(last.rsplit(|byte| *byte == b' ').next()?)
}

fn alias_key(word: &[u8]) -> Option<AliasKey> {
    Some(match word {
        b"off" | b"no" | b"none" => AliasKey::Off,
        b"sdp" => AliasKey::Sdp,
        b"address" => AliasKey::Address,
        _ => return None,
    })
}

fn drop_traffic(word: &[u8]) -> Option<DropTraffic> {
    Some(match word {
        b"start" => DropTraffic::Start,
        b"stop" => DropTraffic::Stop,
        _ => return None,
    })
}

#[cfg(test)]
mod templates;
#[cfg(test)]
mod tests;
