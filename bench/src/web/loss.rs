//! Datagrams that get lost, both ways, by a seeded draw.

/// Says of each datagram whether it arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    per_million: u64,
    state: u64,
}

impl Loss {
    /// Loses this share of all, drawn from `seed`.
    pub(crate) fn new(share: f64, seed: u64) -> Self {
        Self {
            per_million: (share * 1e6) as u64,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// Whether the next one arrives.
    pub(crate) fn spares(&mut self) -> bool {
        // xorshift64, which is enough to spread losses.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % 1_000_000 >= self.per_million
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_are_lost_as_were_asked_for() {
        for share in [0.0, 0.2, 1.0] {
            let mut loss = Loss::new(share, 7);
            let lost = (0..10_000).filter(|_| !loss.spares()).count();
            let wanted = (share * 10_000.0) as usize;
            assert!(lost.abs_diff(wanted) < 300, "{lost} of {wanted}");
        }
    }
}
