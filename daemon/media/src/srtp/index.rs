//! The packet index: rollover counter and sequence number, 48 bits (RFC 3711 §3.3.1).

/// Tries for a stream that is known already: how many rollovers may have been missed.
const MISSED: u64 = 2;
/// Tries for a stream that is new here: how many rollovers it may have behind it.
const JOINED: u64 = 8;

/// The index that `sequence` most probably has, after `highest`. A stream begins with the rollover
/// counter at zero, and nothing comes before it.
#[inline]
pub(super) fn estimate(highest: Option<u64>, sequence: u16) -> u64 {
    let Some(highest) = highest else {
        return u64::from(sequence);
    };
    let (rollovers, last) = (highest >> 16, highest as u16);
    let rollovers = match (last < 1 << 15, sequence > last) {
        (true, true) if sequence - last > 1 << 15 => rollovers.saturating_sub(1),
        (false, false) if last - (1 << 15) > sequence => rollovers + 1,
        (_, _) => rollovers,
    };
    rollovers << 16 | u64::from(sequence)
}

/// What the index may be if the packet does not verify under `guess`.
///
/// Only what is ahead: going back would accept what was recorded earlier under the same key, which is
/// what replay protection is for. A peer that lost its counter has to agree new keys.
pub(super) fn alternatives(highest: Option<u64>, guess: u64) -> impl Iterator<Item = u64> {
    let tries = if highest.is_some() { MISSED } else { JOINED };
    (1..=tries).map(move |rollovers| guess + (rollovers << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_begins_with_its_sequence_number() {
        assert_eq!(estimate(None, 0), 0);
        assert_eq!(estimate(None, 65_535), 65_535);
    }

    #[test]
    fn the_nearest_index_is_taken() {
        for highest in [3 << 16, (3 << 16) + 9, (4 << 16) - 1, (3 << 16) + 0x8000] {
            for offset in [-0x7fff_i64, -1, 0, 1, 0x7fff] {
                let index = highest + offset;
                assert_eq!(estimate(Some(highest as u64), index as u16), index as u64);
            }
        }
    }

    #[test]
    fn before_the_beginning_there_is_nothing() {
        assert_eq!(estimate(Some(5), 65_000), 65_000);
        assert_eq!(estimate(Some((1 << 16) + 5), 65_000), 65_000);
    }

    #[test]
    fn what_is_tried_lies_ahead() {
        let tried: Vec<u64> = alternatives(Some(9), 10).collect();
        assert_eq!(tried, [10 + (1 << 16), 10 + (2 << 16)]);
        assert_eq!(alternatives(None, 7).last(), Some(7 + (8 << 16)));
    }
}
