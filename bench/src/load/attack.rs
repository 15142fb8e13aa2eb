//! An attacker on the path: packets that no honest endpoint sends, mixed into secure streams.
//!
//! They have the right addresses and look like the stream's own, so that only the keys tell them apart.
//! None may come out of the relay; what does shows in the books as doubled or wrong.

use clap::ValueEnum;

/// What the attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// Sends again what the endpoint has just sent
    Replay,
    /// Sends what the endpoint is about to send, with a flipped bit
    Flip,
    /// Sends random bytes under a sequence number far ahead
    Far,
    /// Sends what the endpoint is about to send, unprotected
    Plain,
    /// All of these in turn
    All,
}

impl Attack {
    /// What `All` goes through.
    const EACH: [Self; 4] = [Self::Replay, Self::Flip, Self::Far, Self::Plain];
}

/// A packet about to be sent.
pub(crate) struct Victim<'a> {
    /// As it is before it is protected.
    pub(crate) plain: &'a [u8],
    /// As it is sent.
    pub(crate) sealed: &'a [u8],
}

/// Makes the packets.
pub(crate) struct Attacker {
    attack: Attack,
    /// Forged packets for each good one.
    each: f64,
    due: f64,
    turn: usize,
    random: u64,
}

impl Attacker {
    /// An attacker whose packets are `share` of all, between 0 and 0.9.
    pub(crate) fn new(attack: Attack, share: f64) -> Self {
        Self {
            attack,
            each: share / (1.0 - share),
            due: 0.0,
            turn: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// A good packet is sent.
    pub(crate) fn count(&mut self) {
        self.due += self.each;
    }

    /// Whether a forged packet is due, and which.
    pub(crate) fn next(&mut self) -> Option<Attack> {
        if self.due < 1.0 {
            return None;
        }
        self.due -= 1.0;
        self.turn += 1;
        Some(match self.attack {
            Attack::All => Attack::EACH[self.turn % Attack::EACH.len()],
            one @ (Attack::Replay | Attack::Flip | Attack::Far | Attack::Plain) => one,
        })
    }

    /// Writes a forged packet; returns its length.
    pub(crate) fn forge(&mut self, attack: Attack, victim: &Victim<'_>, out: &mut [u8]) -> usize {
        let source = if attack == Attack::Plain {
            victim.plain
        } else {
            victim.sealed
        };
        let out = &mut out[..source.len()];
        out.copy_from_slice(source);
        match attack {
            Attack::Replay | Attack::Plain | Attack::All => {}
            Attack::Flip => {
                // Not the first two bytes: it is to look like a packet of this stream's kind.
                let bit = 16 + self.random() as usize % (8 * (out.len() - 2));
                out[bit / 8] ^= 1 << (bit % 8);
            }
            Attack::Far => {
                let seq = u16::from_be_bytes([out[2], out[3]]);
                let ahead = 1000 + (self.random() % 60_000) as u16;
                out[2..4].copy_from_slice(&seq.wrapping_add(ahead).to_be_bytes());
                for byte in &mut out[12..] {
                    *byte = self.random() as u8;
                }
            }
        }
        out.len()
    }

    /// xorshift64*: forged bytes differ, quality does not matter.
    fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 20] = [7; 20];
    const SEALED: [u8; 30] = [9; 30];

    fn forged(attack: Attack) -> Vec<u8> {
        let mut attacker = Attacker::new(attack, 0.3);
        let victim = Victim {
            plain: &PLAIN,
            sealed: &SEALED,
        };
        let mut out = [0; 64];
        let len = attacker.forge(attack, &victim, &mut out);
        out[..len].to_vec()
    }

    #[test]
    fn forged_packets_are_their_share_of_all() {
        for share in [0.1, 0.3, 0.6] {
            let mut attacker = Attacker::new(Attack::All, share);
            let (mut good, mut bad) = (0, 0);
            while good < 10_000 {
                good += 1;
                attacker.count();
                while attacker.next().is_some() {
                    bad += 1;
                }
            }
            let got = f64::from(bad) / f64::from(good + bad);
            assert!((got - share).abs() < 0.001, "{got}");
        }
    }

    #[test]
    fn each_attack_does_what_it_says() {
        assert_eq!(forged(Attack::Replay), SEALED);
        assert_eq!(forged(Attack::Plain), PLAIN);
        let bits = |bytes: &[u8]| -> u32 {
            let differ = bytes.iter().zip(SEALED).map(|(a, b)| (a ^ b).count_ones());
            differ.sum()
        };
        assert_eq!(bits(&forged(Attack::Flip)), 1);
        let far = forged(Attack::Far);
        assert_ne!(far[2..4], SEALED[2..4]);
        assert_eq!(far[4..12], SEALED[4..12]);
        assert_ne!(far[12..], SEALED[12..]);
    }

    #[test]
    fn all_of_them_have_their_turn() {
        let mut attacker = Attacker::new(Attack::All, 0.5);
        let mut seen = Vec::new();
        for _ in 0..4 {
            attacker.count();
            seen.extend(attacker.next());
        }
        assert!(Attack::EACH.iter().all(|attack| seen.contains(attack)));
    }
}
