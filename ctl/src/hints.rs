//! Why is there no audio? What the counters of a section mean, in sentences.

use patchcord_contract::Reason;

use crate::call::{Call, Leg, Port, Section, Ssrc};
use crate::table::{count, printable, span};

/// Seconds without a packet before anyone is called silent.
const SILENT: u64 = 5;
/// Seconds after the answer that a party has for its first packet before it is missed.
const PATIENCE: u64 = 2;
/// Per cent of loss that is heard.
const LOSS: f64 = 1.0;
/// Milliseconds of jitter that exceed a usual playout buffer.
const JITTER: u64 = 40;

/// What is worth knowing about a section, worst first.
pub(crate) fn of_section(call: &Call, leg: &Leg, section: &Section) -> Vec<String> {
    let Some(rtp) = section.rtp() else {
        return vec![format!(
            "no port: {} or the other side rejected this section",
            leg.name()
        )];
    };
    let mut hints = Vec::new();
    hints.extend(arrival(call, leg, section, rtp));
    hints.extend(nowhere(leg, section, rtp));
    hints.extend(section.ports.iter().flat_map(|port| drops(call, leg, port)));
    hints.extend(latch(leg, rtp));
    hints.extend(
        section
            .ssrcs
            .iter()
            .filter_map(|stream| quality(leg, stream)),
    );
    hints
}

/// Whether packets come at all.
fn arrival(call: &Call, leg: &Leg, section: &Section, rtp: &Port) -> Option<String> {
    let (name, place) = (leg.name(), rtp.local());
    if rtp.incoming.packets > 0 {
        let silence = call.now.saturating_sub(rtp.last_packet);
        return (silence >= SILENT && section.is("send")).then(|| {
            format!(
                "{name} has been silent for {} (was heard before)",
                span(silence)
            )
        });
    }
    if !section.is("initialized") {
        return Some(format!(
            "{name} has not answered yet: nothing is known of their side"
        ));
    }
    if !section.is("send") {
        return Some(format!(
            "nothing received from {name}, as announced: their SDP says they send nothing (on hold)"
        ));
    }
    if rtp.incoming.errors > 0 {
        return Some(format!(
            "nothing accepted from {name}: what came to {place} was dropped"
        ));
    }
    if let Some((what, cause)) = unready(section) {
        return Some(format!(
            "nothing received from {name} yet: {what} waits for {cause}"
        ));
    }
    // While it rings nobody owes a packet. Early media comes by an answer, too.
    let since = call.summary.answered?;
    (since >= PATIENCE).then(|| {
        format!(
            "nothing received from {name} yet: their packets do not reach {place} \
             (a firewall, or is that address not the one they can reach?)"
        )
    })
}

/// What has to come before media can, and what that waits for.
fn unready(section: &Section) -> Option<(&'static str, String)> {
    let ice = section.ice.as_ref().and_then(|ice| ice.waits_for.as_ref());
    let dtls = section
        .dtls
        .as_ref()
        .and_then(|dtls| dtls.waits_for.as_ref());
    let ice = ice.map(|cause| ("ICE", printable(cause)));
    ice.or_else(|| dtls.map(|cause| ("DTLS", printable(cause))))
}

/// Whether anything can be sent to the party.
fn nowhere(leg: &Leg, section: &Section, rtp: &Port) -> Option<String> {
    let name = leg.name();
    (section.is("initialized") && !rtp.endpoint.is_somewhere()).then(|| {
        format!(
            "nothing can be sent to {name}: their SDP has no address (hold at 0.0.0.0, or port 0)"
        )
    })
}

fn drops(call: &Call, leg: &Leg, port: &Port) -> Vec<String> {
    let known = Reason::ALL.iter().filter_map(|reason| {
        let number = *port.drops.get(reason.as_str())?;
        (number > 0).then(|| explain(*reason, number, call, leg, port))
    });
    let mut hints: Vec<String> = known.collect();
    for (word, number) in &port.drops {
        if *number > 0 && Reason::ALL.iter().all(|reason| reason.as_str() != word) {
            hints.push(format!(
                "{} packets at {} dropped: {word}",
                count(*number),
                port.local()
            ));
        }
    }
    let told: u64 = port.drops.values().sum();
    if told == 0 && port.incoming.errors > 0 {
        let number = count(port.incoming.errors);
        hints.push(format!("{number} packets at {} dropped", port.local()));
    }
    hints
}

fn explain(reason: Reason, number: u64, call: &Call, leg: &Leg, port: &Port) -> String {
    let (n, name, place, peer) = (count(number), leg.name(), port.local(), &port.endpoint);
    let other = call
        .peer_of(leg)
        .map_or_else(|| "the far side".to_owned(), Leg::name);
    match reason {
        Reason::NoFlow => format!("{n} packets came to {place} before or after its time in a call"),
        Reason::Empty => format!("{n} empty datagrams from {name}: a NAT keepalive, harmless"),
        Reason::Short => format!("{n} packets at {place} shorter than their own header"),
        Reason::Truncated => format!("{n} packets at {place} longer than a receive buffer"),
        Reason::NotRtp => format!("{n} packets at {place} are no RTP: what does {name} send?"),
        Reason::NotRtcp => {
            format!("{n} packets at the RTCP port {place} are no RTCP: does {name} mux unasked?")
        }
        Reason::BadHeader => format!("{n} RTP packets from {name} with a broken header"),
        Reason::BadRtcp => format!("{n} RTCP packets from {name} are malformed"),
        Reason::UnwantedRtcp => format!("{n} RTCP packets from {name}: {other} takes none"),
        Reason::WrongSource => format!(
            "strangers dropped by strict-source: {n} at {place} (expected from {peer}; if {name} \
             moved, do not use `strict-source`)"
        ),
        Reason::NoSink => {
            format!(
                "received but nobody takes it: {n} from {name}, {other} rejected or has not answered"
            )
        }
        Reason::NoPeer => format!(
            "received but the far side has no address (hold at 0.0.0.0, or no SDP from {other} yet): {n}"
        ),
        Reason::Blocked => format!("{n} packets from {name} blocked by a `block media` command"),
        Reason::Loop => {
            format!("{n} packets at {place} went in a loop: is the far address this relay's own?")
        }
        Reason::PuntLimit => format!("{n} packets at {place} above the rate for control traffic"),
        Reason::PuntFull => format!("{n} packets at {place}: control was too busy to look"),
        Reason::SendFailed => {
            format!(
                "{n} packets to {peer} refused by the kernel: no route, or port unreachable there"
            )
        }
        Reason::SendFull => format!("{n} packets to {peer} did not fit the kernel's send queue"),
        Reason::UnexpectedStun => {
            format!("{n} STUN packets from {name}, but no ICE was negotiated here")
        }
        Reason::UnexpectedDtls => {
            format!("{n} DTLS packets from {name}, but no DTLS-SRTP was negotiated here")
        }
        Reason::Feedback => {
            format!("{n} RTCP feedback packets that {other}'s profile does not carry")
        }
        Reason::RtcpTerminated => {
            format!("{n} RTCP packets from {name} read and kept: {other} gets our own, harmless")
        }
        Reason::NoSection => format!(
            "{n} bundled packets from {name} of no section that could be told: {name} sends neither \
             a MID nor a payload type that only one section has"
        ),
        Reason::UnknownMid => {
            format!("{n} bundled packets from {name} with a MID that is not in its SDP")
        }
        Reason::WrongPayload => {
            format!(
                "{n} bundled packets from {name} with a payload type that their section has not"
            )
        }
        Reason::NoKeys
        | Reason::SrtpAuth
        | Reason::SrtpReplay
        | Reason::SrtpOld
        | Reason::SrtpSsrc
        | Reason::SrtpShort
        | Reason::SrtpMki
        | Reason::SrtpLifetime
        | Reason::SrtpRoom
        | Reason::SrtpReuse => secure(reason, &n, &name, &other),
    }
}

/// What is wrong with secure media that `name` sent, or that was to be secured for `other`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "called with the reasons of secure media only"
)]
fn secure(reason: Reason, n: &str, name: &str, other: &str) -> String {
    match reason {
        Reason::NoKeys => {
            format!("{n} packets from {name} before the keys of both sides were known")
        }
        Reason::SrtpAuth => format!(
            "{n} SRTP packets from {name} with a wrong tag: plain RTP, another key or suite than \
             in {name}'s SDP, or forged"
        ),
        Reason::SrtpReplay => format!("{n} SRTP packets from {name} replayed or duplicated"),
        Reason::SrtpOld => format!("{n} SRTP packets from {name} came too late to tell a replay"),
        Reason::SrtpSsrc => {
            format!("{n} SRTP packets from {name} of more streams at a time than one port takes")
        }
        Reason::SrtpShort => {
            format!("{n} packets from {name} too short for SRTP: is it plain RTP?")
        }
        Reason::SrtpMki => format!("{n} SRTP packets from {name} with another MKI than in its SDP"),
        Reason::SrtpLifetime => {
            format!("{n} packets between {name} and {other}: a key is used up, they must re-INVITE")
        }
        Reason::SrtpRoom => {
            format!("{n} packets from {name} too long to be secured for {other}")
        }
        _ => format!(
            "{n} packets from {name} repeat a sequence number, which SRTP to {other} may not"
        ),
    }
}

/// Where the party really is.
fn latch(leg: &Leg, rtp: &Port) -> Option<String> {
    let is_elsewhere = rtp.is("confirmed") && rtp.endpoint != rtp.advertised;
    is_elsewhere.then(|| {
        format!(
            "{} sends from {}, not from {} as their SDP says (a NAT): packets go to the former",
            leg.name(),
            rtp.endpoint,
            rtp.advertised
        )
    })
}

fn quality(leg: &Leg, stream: &Ssrc) -> Option<String> {
    let jitter = stream.average.map_or(0, |average| average.jitter);
    if stream.loss() >= LOSS {
        let loss = stream.loss();
        return Some(format!(
            "{loss:.1} % of the packets from {} are lost on their way here",
            leg.name()
        ));
    }
    (jitter >= JITTER).then(|| {
        format!(
            "packets from {} come unevenly: jitter {jitter} ms",
            leg.name()
        )
    })
}

#[cfg(test)]
mod tests;
