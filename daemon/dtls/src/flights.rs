//! What has been sent, counted by looking at it: flights, datagrams, and what was sent again.

use crate::record::{CHANGE_CIPHER_SPEC, SERVER_HELLO, records};

/// Counters of what left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flights {
    /// Flights, each counted once.
    pub sent: u32,
    /// Flights that were sent again.
    pub repeated: u32,
    /// Datagrams.
    pub datagrams: u32,
    /// One above the highest message number that left.
    next_message: u32,
    ciphered: bool,
    answered: bool,
}

impl Flights {
    /// Takes note of what one input brought forth.
    pub(crate) fn note(&mut self, batch: &[Vec<u8>]) {
        let before = (self.next_message, self.ciphered);
        let mut any = false;
        for datagram in batch {
            any = true;
            self.datagrams = self.datagrams.saturating_add(1);
            for record in records(datagram) {
                self.ciphered |= record.content() == CHANGE_CIPHER_SPEC;
                for handshake in record.handshakes() {
                    self.answered |= handshake.kind == SERVER_HELLO;
                    self.next_message = self.next_message.max(u32::from(handshake.message) + 1);
                }
            }
        }
        if any && before == (self.next_message, self.ciphered) {
            self.repeated = self.repeated.saturating_add(1);
        } else if any {
            self.sent = self.sent.saturating_add(1);
        }
    }

    /// A handshake begun again counts its messages anew.
    pub(crate) fn begin_again(&mut self) {
        self.next_message = 0;
        self.ciphered = false;
        self.answered = false;
    }

    /// Whether a ServerHello has left: its client was believed.
    pub(crate) const fn answered(&self) -> bool {
        self.answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(kind: u8, message: u8) -> Vec<u8> {
        let mut bytes = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12];
        bytes.extend([kind, 0, 0, 0, 0, message, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_flight_sent_again_is_no_new_flight() {
        let mut flights = Flights::default();
        let first = [handshake(1, 0)];
        let second = [handshake(11, 1), handshake(16, 2)];
        for batch in [&first[..], &first, &second, &second, &[]] {
            flights.note(batch);
        }
        let counted = (flights.sent, flights.repeated, flights.datagrams);
        assert_eq!(counted, (2, 2, 6));
    }

    #[test]
    fn a_server_hello_is_noticed() {
        let mut flights = Flights::default();
        flights.note(&[handshake(3, 0)]);
        assert!(!flights.answered());
        flights.note(&[handshake(2, 1)]);
        assert!(flights.answered());
    }
}
