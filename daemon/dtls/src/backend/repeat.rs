//! The last flight, and when it is sent again (RFC 6347 §4.2.4).
//!
//! Every record gets its number here, the first time too, so that numbers never repeat.

use std::time::Duration;

use patchcord_contract::Time;

use super::reseal::Sealer;
use crate::record::{HELLO_VERIFY_REQUEST, Handshake, records};

/// The longest time between two tries.
const LONGEST: Duration = Duration::from_secs(8);

/// A flight as the library wrote it, and its timer.
pub(super) struct Repeater {
    first: Duration,
    wait: Duration,
    flight: Vec<Vec<u8>>,
    deadline: Option<Time>,
    /// The next record number of either epoch.
    next: [u64; 2],
    pub(super) sealer: Option<Sealer>,
}

impl Repeater {
    /// `first`: how long the first answer is waited for. `number`: that of the first record.
    pub(super) fn new(first: Duration, number: u64) -> Self {
        let first = first.max(Duration::from_millis(1));
        Self {
            first,
            wait: first,
            flight: Vec::new(),
            deadline: None,
            next: [number, 0],
            sealer: None,
        }
    }

    /// Takes what the library wrote, keeps it as the flight that counts, and gives what is to be sent.
    /// The timer starts unless the library repeated itself, or asks to be heard first, which is the
    /// client's to repeat.
    pub(super) fn sent(&mut self, now: Time, written: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let repeated = written.len() == self.flight.len() && first(&written) == first(&self.flight);
        self.flight = written;
        if !repeated {
            self.wait = self.first;
        }
        self.deadline = (!self.asks_to_verify()).then(|| now + self.wait);
        self.stamped()
    }

    /// Takes what the library wrote in passing: alerts, or its last flight again.
    pub(super) fn passing(&mut self, written: &[Vec<u8>]) -> Vec<Vec<u8>> {
        written
            .iter()
            .map(|datagram| self.stamp(datagram))
            .collect()
    }

    /// The flight once more, with the next wait twice as long.
    pub(super) fn again(&mut self, now: Time) -> Vec<Vec<u8>> {
        self.wait = (self.wait * 2).min(LONGEST);
        self.deadline = Some(now + self.wait);
        self.stamped()
    }

    /// The flight once more, at the peer's bidding: its timer stays as it is.
    pub(super) fn stamped(&mut self) -> Vec<Vec<u8>> {
        let flight = std::mem::take(&mut self.flight);
        let stamped = flight.iter().map(|datagram| self.stamp(datagram)).collect();
        self.flight = flight;
        stamped
    }

    /// The peer has answered the last flight, or it is the last of all.
    pub(super) fn stop(&mut self) {
        self.deadline = None;
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Whether the flight is a HelloVerifyRequest.
    pub(super) fn asks_to_verify(&self) -> bool {
        first(&self.flight).is_some_and(|first| first.kind == HELLO_VERIFY_REQUEST)
    }

    /// Whether the flight has protected records that cannot be given another number.
    pub(super) fn is_stuck(&self) -> bool {
        let protected = |datagram: &Vec<u8>| records(datagram).any(|record| record.epoch() > 0);
        self.sealer.is_none() && self.flight.iter().any(protected)
    }

    fn stamp(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(datagram.len());
        let mut rest = records(datagram);
        for record in rest.by_ref() {
            let start = out.len();
            let epoch = usize::from(record.epoch() > 0);
            let number = self.next[epoch];
            let resealed = match (&self.sealer, epoch) {
                (Some(sealer), 1) => sealer.reseal(record.bytes, number),
                _ => None,
            };
            match resealed {
                Some(resealed) => out.extend_from_slice(&resealed),
                None => out.extend_from_slice(record.bytes),
            }
            if epoch == 0 {
                out[start + 5..start + 11].copy_from_slice(&number.to_be_bytes()[2..]);
            }
            self.next[epoch] += 1;
        }
        out.extend_from_slice(rest.rest());
        out
    }
}

/// The first message of a flight.
fn first(flight: &[Vec<u8>]) -> Option<Handshake<'_>> {
    let mut all = flight.iter().flat_map(|datagram| records(datagram));
    all.find_map(|record| record.handshakes().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(5);

    fn hello(kind: u8, message: u8) -> Vec<u8> {
        let mut bytes = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 12];
        bytes.extend([kind, 0, 0, 0, 0, message, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    fn numbers(datagrams: &[Vec<u8>]) -> Vec<u64> {
        let all = datagrams.iter().flat_map(|datagram| records(datagram));
        all.map(|record| record.sequence()).collect()
    }

    #[test]
    fn no_record_number_is_used_twice() {
        let mut repeater = Repeater::new(Duration::from_millis(200), 0);
        let flight = vec![[hello(1, 0), hello(1, 0)].concat()];
        let first = repeater.sent(START, flight);
        assert_eq!(numbers(&first), [0, 1]);
        assert_eq!(numbers(&repeater.again(START)), [2, 3]);
        let next = repeater.sent(START, vec![hello(11, 1)]);
        assert_eq!(numbers(&next), [4]);
    }

    #[test]
    fn each_wait_is_twice_the_last_up_to_a_limit() {
        let mut repeater = Repeater::new(Duration::from_secs(1), 0);
        repeater.sent(START, vec![hello(1, 0)]);
        let waits: Vec<_> = (0..5)
            .map(|_| {
                let wait = repeater.deadline().expect("a timer").since(START);
                repeater.again(START);
                wait.as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 8]);
    }

    #[test]
    fn a_new_flight_starts_with_the_first_wait() {
        let mut repeater = Repeater::new(Duration::from_secs(1), 0);
        repeater.sent(START, vec![hello(1, 0)]);
        repeater.again(START);
        repeater.sent(START, vec![hello(1, 0)]);
        assert_eq!(repeater.deadline(), Some(START + Duration::from_secs(2)));
        repeater.sent(START, vec![hello(11, 1)]);
        assert_eq!(repeater.deadline(), Some(START + Duration::from_secs(1)));
        repeater.stop();
        assert_eq!(repeater.deadline(), None);
    }

    #[test]
    fn a_request_to_verify_is_not_sent_again_by_the_clock() {
        let mut repeater = Repeater::new(Duration::from_secs(1), 0);
        repeater.sent(START, vec![hello(HELLO_VERIFY_REQUEST, 0)]);
        assert_eq!(repeater.deadline(), None);
        assert_eq!(numbers(&repeater.stamped()), [1]);
    }
}
