//! How the peer's true address is found and checked, and which ports are kept.

/// `endpoint-learning`, for this call instead of the configured mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointLearning {
    /// Never.
    Off,
    /// From the first packet.
    Immediate,
    /// From the first packet after the learning window.
    Delayed,
    /// The best match to the SDP within the window.
    Heuristic,
}

/// What happens to packets from another source than the one learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceCheck {
    /// They are forwarded.
    #[default]
    Lenient,
    /// They are dropped (`strict-source`).
    Strict,
    /// They become the source (`media-handover`, which beats `strict-source`).
    Handover,
}

/// Whether local ports stay when the peer's ports change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortLatching {
    /// Kept for ICE peers, else by what changed.
    #[default]
    Default,
    /// Kept (`port-latching`).
    Keep,
    /// New ones (`no-port-latching`, which beats the other).
    Renew,
}

/// `media-echo`: what becomes of media instead of forwarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEcho {
    /// Discarded in both directions.
    Blackhole,
    /// What comes from the far side goes back to it.
    Forward,
    /// What comes from the sender of this SDP goes back to it.
    Backwards,
    /// Both are reflected.
    Both,
}

/// Learning, source checks and ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearningOptions {
    /// The mode asked for; `None` is the configured one. The flag `asymmetric` makes it
    /// [`EndpointLearning::Off`] whatever else was said.
    pub mode: Option<EndpointLearning>,
    /// What happens to strangers' packets.
    pub source_check: SourceCheck,
    /// Whether local ports are kept.
    pub port_latching: PortLatching,
    /// Reflection instead of forwarding.
    pub echo: Option<MediaEcho>,
}

impl LearningOptions {
    pub(crate) fn add_mode(&mut self, word: &[u8]) -> bool {
        self.mode = Some(match word {
            b"off" | b"no" | b"none" => EndpointLearning::Off,
            b"immediate" => EndpointLearning::Immediate,
            b"delayed" => EndpointLearning::Delayed,
            b"heuristic" => EndpointLearning::Heuristic,
            _ => return false,
        });
        true
    }

    pub(crate) fn add_echo(&mut self, word: &[u8]) -> bool {
        self.echo = Some(match word {
            b"blackhole" | b"sinkhole" => MediaEcho::Blackhole,
            b"both" => MediaEcho::Both,
            _ if is_forward(word) => MediaEcho::Forward,
            _ if is_backward(word) => MediaEcho::Backwards,
            _ => return false,
        });
        true
    }

    pub(crate) fn check(&mut self, wanted: SourceCheck) {
        if self.source_check != SourceCheck::Handover {
            self.source_check = wanted;
        }
    }

    pub(crate) fn latch(&mut self, wanted: PortLatching) {
        if self.port_latching != PortLatching::Renew {
            self.port_latching = wanted;
        }
    }
}

pub(crate) fn is_forward(word: &[u8]) -> bool {
    matches!(word, b"forward" | b"fwd" | b"fw" | b"forwards")
}

pub(crate) fn is_backward(word: &[u8]) -> bool {
    matches!(
        word,
        b"backward" | b"backwards" | b"reverse" | b"back" | b"bkw" | b"bk"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handover_beats_strict_source_in_either_order() {
        for order in [
            [SourceCheck::Strict, SourceCheck::Handover],
            [SourceCheck::Handover, SourceCheck::Strict],
        ] {
            let mut learning = LearningOptions::default();
            for wanted in order {
                learning.check(wanted);
            }
            assert_eq!(learning.source_check, SourceCheck::Handover);
        }
    }

    #[test]
    fn directions_of_echo_have_many_names() {
        for (word, echo) in [("bk", MediaEcho::Backwards), ("fwd", MediaEcho::Forward)] {
            let mut learning = LearningOptions::default();
            assert!(learning.add_echo(word.as_bytes()));
            assert_eq!(learning.echo, Some(echo));
        }
        assert!(!LearningOptions::default().add_echo(b"sideways"));
    }
}
