//! What of a datagram reaches a library: sound records, a few at a time, and of a path that nobody
//! vouched for no plain alert, which anyone could have sent (RFC 6347 §4.1.2.7).

use crate::record::{ALERT, APPLICATION_DATA, HANDSHAKE, Record, records};

/// Records that are looked at in a datagram; a handshake flight has no more in 65,507 bytes.
const MAX_RECORDS: usize = 64;
/// Records that dimpl takes at a time.
const AT_A_TIME: usize = 8;

/// The parts of a datagram that may go on, and the plain alert that may not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sieved {
    /// Each at most [`AT_A_TIME`] records.
    pub(crate) parts: Vec<Vec<u8>>,
    /// The description of a plain fatal alert that was held back.
    pub(crate) held_alert: Option<u8>,
}

/// Passes a datagram through. `trusted`: the path is known to be the peer's, by ICE.
pub(crate) fn sieve(datagram: &[u8], trusted: bool) -> Sieved {
    let mut sieved = Sieved::default();
    if is_short_header(datagram) {
        sieved.parts.push(datagram.to_vec());
        return sieved;
    }
    let mut part = Vec::new();
    let mut in_part = 0;
    let mut rest = records(datagram);
    for record in rest.by_ref().take(MAX_RECORDS) {
        if let Some(description) = fatal(&record).filter(|_| !trusted) {
            sieved.held_alert = Some(description);
            continue;
        }
        if record.content() == APPLICATION_DATA && record.epoch() == 0 {
            continue;
        }
        if in_part == AT_A_TIME {
            sieved.parts.push(std::mem::take(&mut part));
            in_part = 0;
        }
        part.extend_from_slice(record.bytes);
        in_part += 1;
    }
    // DTLS 1.3 may put short records behind a ServerHello.
    if is_short_header(rest.rest()) {
        part.extend_from_slice(rest.rest());
    }
    if !part.is_empty() {
        sieved.parts.push(part);
    }
    sieved
}

/// Whether a datagram could be a protected record of DTLS 1.3 (RFC 9147 §4).
fn is_short_header(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first >> 5 == 1)
}

/// The description, if this is a plain alert.
fn fatal(record: &Record<'_>) -> Option<u8> {
    let plain = record.content() == ALERT && record.epoch() == 0;
    plain.then(|| record.fragment().get(1).copied().unwrap_or(0))
}

/// The description of the first plain fatal alert in a datagram.
pub(crate) fn plain_alert(datagram: &[u8]) -> Option<u8> {
    records(datagram)
        .take(MAX_RECORDS)
        .filter(|record| record.fragment().first() == Some(&2))
        .find_map(|record| fatal(&record))
}

/// Whether a datagram is nothing but plain handshake records or a change of cipher: such of a
/// handshake that is not ours must not reach a connection that stands.
pub(crate) fn is_plain(datagram: &[u8]) -> bool {
    records(datagram)
        .next()
        .is_some_and(|record| record.epoch() == 0 && record.content() <= HANDSHAKE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content: u8, epoch: u8, fragment: &[u8]) -> Vec<u8> {
        let mut bytes = vec![content, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0, 0];
        bytes.push(fragment.len() as u8);
        bytes.extend_from_slice(fragment);
        bytes
    }

    #[test]
    fn sound_datagrams_pass_as_they_are() {
        let datagram = [record(22, 0, b"abc"), record(20, 0, &[1])].concat();
        assert_eq!(sieve(&datagram, false).parts, [datagram]);
    }

    #[test]
    fn garbage_behind_a_record_is_cut_off() {
        let sound = record(22, 0, b"abc");
        let datagram = [sound.clone(), vec![0x80; 40]].concat();
        assert_eq!(sieve(&datagram, false).parts, [sound]);
        assert_eq!(sieve(&[0x80; 100], true), Sieved::default());
    }

    #[test]
    fn a_plain_alert_passes_only_on_a_trusted_path() {
        let hello = record(22, 0, b"abc");
        let datagram = [record(ALERT, 0, &[2, 40]), hello.clone()].concat();
        let held = sieve(&datagram, false);
        assert_eq!((held.parts, held.held_alert), (vec![hello], Some(40)));
        let passed = sieve(&datagram, true);
        assert_eq!((passed.parts, passed.held_alert), (vec![datagram], None));
    }

    #[test]
    fn a_protected_alert_is_for_the_library_to_judge() {
        let datagram = record(ALERT, 1, &[0; 32]);
        assert_eq!(sieve(&datagram, false).parts, [datagram]);
    }

    #[test]
    fn many_records_come_a_few_at_a_time() {
        let datagram = record(22, 0, b"abc").repeat(100);
        let parts = sieve(&datagram, true).parts;
        assert_eq!(parts.len(), MAX_RECORDS / AT_A_TIME);
        assert!(parts.iter().all(|part| records(part).count() == AT_A_TIME));
    }
}
