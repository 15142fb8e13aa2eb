//! `ICE` and `ICE-lite` (RFC 8445).

use crate::ng::learning::{is_backward, is_forward};

/// What is done to ICE in the rewritten SDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IceMode {
    /// Ours if the SDP had ICE, else none.
    #[default]
    Default,
    /// Taken out (`remove`).
    Remove,
    /// Ours, even if none was offered (`force`).
    Force,
    /// Ours as the last candidates beside the others (`optional`).
    Optional,
    /// Ours as relayed candidates beside the others' (`force-relay`).
    ForceRelay,
}

/// Towards which side we are a lite agent (RFC 8445 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceLite {
    /// Neither.
    Off,
    /// The receiver of the rewritten SDP.
    Forward,
    /// The sender of this SDP.
    Backward,
    /// Both.
    Both,
}

/// What `ICE` and `ICE-lite` ask for. The last word of each counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ice {
    /// What is done to the SDP.
    pub mode: IceMode,
    /// Lite towards whom; `None` keeps what was said before in the call.
    pub lite: Option<IceLite>,
}

impl Ice {
    pub(crate) fn add(&mut self, word: &[u8]) -> bool {
        self.mode = match word {
            b"remove" => IceMode::Remove,
            b"force" => IceMode::Force,
            b"optional" => IceMode::Optional,
            b"force-relay" => IceMode::ForceRelay,
            b"default" => IceMode::Default,
            b"no-lite" => return self.add_lite(b"off"),
            b"lite" => return self.add_lite(b"forward"),
            _ => match word.strip_prefix(b"lite-") {
                Some(word) => return self.add_lite(word),
                None => return false,
            },
        };
        true
    }

    pub(crate) fn add_lite(&mut self, word: &[u8]) -> bool {
        self.lite = Some(match word {
            b"off" | b"no" | b"none" => IceLite::Off,
            b"both" => IceLite::Both,
            b"offer" => IceLite::Forward,
            b"answer" => IceLite::Backward,
            _ if is_forward(word) => IceLite::Forward,
            _ if is_backward(word) => IceLite::Backward,
            _ => return false,
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ice(words: &str) -> Ice {
        let mut ice = Ice::default();
        for word in words.split_whitespace() {
            assert!(ice.add(word.as_bytes()), "{word} is known");
        }
        ice
    }

    #[test]
    fn lite_stands_in_the_list_beside_the_mode() {
        let words = [
            ("lite", IceLite::Forward),
            ("no-lite", IceLite::Off),
            ("lite-off", IceLite::Off),
            ("lite-both", IceLite::Both),
            ("lite-forward", IceLite::Forward),
            ("lite-offer", IceLite::Forward),
            ("lite-backward", IceLite::Backward),
            ("lite-answer", IceLite::Backward),
        ];
        for (word, lite) in words {
            let expected = Ice {
                mode: IceMode::Force,
                lite: Some(lite),
            };
            assert_eq!(ice(&format!("force {word}")), expected);
            assert_eq!(ice(&format!("{word} force")), expected);
        }
    }

    #[test]
    fn the_last_word_counts() {
        assert_eq!(ice("force remove").mode, IceMode::Remove);
        assert_eq!(ice("force-relay optional").mode, IceMode::Optional);
        assert_eq!(ice("force default").mode, IceMode::Default);
        assert_eq!(ice("lite no-lite").lite, Some(IceLite::Off));
    }

    #[test]
    fn unknown_words_change_nothing() {
        for word in [&b"maybe"[..], b"lite-maybe", b"lite-"] {
            let mut ice = Ice::default();
            assert!(!ice.add(word));
            assert_eq!(ice, Ice::default());
        }
    }
}
