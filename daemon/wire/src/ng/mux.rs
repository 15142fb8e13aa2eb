//! `rtcp-mux`: one value for each side, made of a list that may contradict itself (RFC 5761).

/// What the far side, which gets the rewritten SDP, is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MuxOnward {
    /// What the sender of the SDP offered: the default.
    #[default]
    Mirror,
    /// Never offered; two ports (`demux`).
    Separate,
    /// Offered even if the sender did not; a second port is there until it is accepted (`offer`).
    Offer,
    /// Written as if it were accepted already; no RTCP port at all (`require`).
    Require,
}

/// What becomes of rtcp-mux that the sender of the SDP offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MuxInward {
    /// Accepted if the far side accepts: the default.
    #[default]
    Mirror,
    /// Accepted whatever the far side does (`accept`, `demux`).
    Accept,
    /// Refused (`reject`).
    Reject,
}

/// What `rtcp-mux` asks for, towards each side.
///
/// Where words contradict each other, the strongest counts: onward `require` over `offer` over
/// `demux` over the default; inward `reject` over `accept` and `demux`. On an answer only inward
/// words could change anything that is still open; proxies send the others nevertheless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtcpMux {
    /// Towards the receiver of the rewritten SDP.
    pub onward: MuxOnward,
    /// Towards the sender of the SDP.
    pub inward: MuxInward,
}

impl RtcpMux {
    /// Adds a word of the list, normalised; `false` if it is unknown.
    pub(crate) fn add(&mut self, word: &[u8]) -> bool {
        match word {
            b"offer" => self.raise(MuxOnward::Offer),
            b"require" => self.raise(MuxOnward::Require),
            b"demux" => {
                self.raise(MuxOnward::Separate);
                self.accept();
            }
            b"accept" => self.accept(),
            b"reject" => self.inward = MuxInward::Reject,
            _ => return false,
        }
        true
    }

    fn raise(&mut self, onward: MuxOnward) {
        if onward as u8 > self.onward as u8 {
            self.onward = onward;
        }
    }

    fn accept(&mut self) {
        if self.inward == MuxInward::Mirror {
            self.inward = MuxInward::Accept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mux(words: &str) -> RtcpMux {
        let mut mux = RtcpMux::default();
        for word in words.split_whitespace() {
            assert!(mux.add(word.as_bytes()), "{word} is known");
        }
        mux
    }

    #[test]
    fn order_of_words_does_not_matter() {
        assert_eq!(mux("offer require"), mux("require offer"));
        assert_eq!(mux("demux offer"), mux("offer demux"));
        assert_eq!(mux("accept reject"), mux("reject accept"));
    }

    #[test]
    fn the_strongest_word_counts() {
        assert_eq!(mux("offer require demux").onward, MuxOnward::Require);
        assert_eq!(mux("demux offer").onward, MuxOnward::Offer);
        assert_eq!(mux("demux reject").inward, MuxInward::Reject);
    }

    #[test]
    fn demux_accepts_inward_and_separates_onward() {
        assert_eq!(
            mux("demux"),
            RtcpMux {
                onward: MuxOnward::Separate,
                inward: MuxInward::Accept
            }
        );
        assert_eq!(mux("accept").onward, MuxOnward::Mirror);
    }

    #[test]
    fn unknown_words_change_nothing() {
        let mut mux = RtcpMux::default();
        assert!(!mux.add(b"maybe"));
        assert_eq!(mux, RtcpMux::default());
    }
}
