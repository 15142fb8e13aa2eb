//! Records and handshake fragments as they lie in a datagram (RFC 6347 §4.1, §4.2.2). Nothing is
//! decrypted here.

/// Bytes of a record's header.
pub const HEADER: usize = 13;
/// Bytes of a handshake fragment's header.
pub const FRAGMENT_HEADER: usize = 12;

/// Content type of a change of cipher.
pub const CHANGE_CIPHER_SPEC: u8 = 20;
/// Content type of an alert.
pub const ALERT: u8 = 21;
/// Content type of handshake fragments.
pub const HANDSHAKE: u8 = 22;
/// Content type of application data.
pub const APPLICATION_DATA: u8 = 23;

/// The handshake message that a client begins with.
pub const CLIENT_HELLO: u8 = 1;
/// The server's answer to it.
pub const SERVER_HELLO: u8 = 2;
/// The server's request to show that the client hears it.
pub const HELLO_VERIFY_REQUEST: u8 = 3;

/// A record with the plain header of DTLS 1.0 and 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'b> {
    /// Header and fragment.
    pub bytes: &'b [u8],
}

impl<'b> Record<'b> {
    /// The content type.
    pub const fn content(&self) -> u8 {
        self.bytes[0]
    }

    /// The epoch: 0 until the change of cipher.
    pub const fn epoch(&self) -> u16 {
        u16::from_be_bytes([self.bytes[3], self.bytes[4]])
    }

    /// The sequence number, 48 bits.
    pub fn sequence(&self) -> u64 {
        number(&self.bytes[5..11])
    }

    /// What follows the header.
    pub fn fragment(&self) -> &'b [u8] {
        &self.bytes[HEADER..]
    }

    /// The handshake fragments of a plain handshake record, up to the first broken one.
    pub fn handshakes(&self) -> Handshakes<'b> {
        let plain = self.content() == HANDSHAKE && self.epoch() == 0;
        Handshakes {
            rest: if plain { self.fragment() } else { &[] },
        }
    }
}

/// The records of a datagram, up to the first whose header is not one or lies about its length.
pub fn records(datagram: &[u8]) -> Records<'_> {
    Records { rest: datagram }
}

/// See [`records`].
#[derive(Clone, Debug)]
pub struct Records<'b> {
    rest: &'b [u8],
}

impl<'b> Records<'b> {
    /// What has not been read: empty at the end of a sound datagram.
    pub const fn rest(&self) -> &'b [u8] {
        self.rest
    }
}

impl<'b> Iterator for Records<'b> {
    type Item = Record<'b>;

    fn next(&mut self) -> Option<Record<'b>> {
        let header = self.rest.first_chunk::<HEADER>()?;
        let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
        // The versions count down: 1.0 is FEFF, 1.2 is FEFD; 1.3 keeps 1.2's in plain records.
        let sound = (20..=26).contains(&header[0]) && header[1] == 0xfe && header[2] >= 0xfc;
        if !sound {
            return None;
        }
        let (bytes, rest) = self.rest.split_at_checked(HEADER + len)?;
        self.rest = rest;
        Some(Record { bytes })
    }
}

/// A fragment of a handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake<'b> {
    /// The message's type.
    pub kind: u8,
    /// The message's number in the handshake.
    pub message: u16,
    /// Bytes of the whole message.
    pub len: usize,
    /// Where the fragment lies in it.
    pub offset: usize,
    /// The fragment.
    pub body: &'b [u8],
}

/// See [`Record::handshakes`].
#[derive(Clone, Debug)]
pub struct Handshakes<'b> {
    rest: &'b [u8],
}

impl<'b> Iterator for Handshakes<'b> {
    type Item = Handshake<'b>;

    fn next(&mut self) -> Option<Handshake<'b>> {
        let (header, rest) = self.rest.split_at_checked(FRAGMENT_HEADER)?;
        let (body, rest) = rest.split_at_checked(number(&header[9..12]) as usize)?;
        let handshake = Handshake {
            kind: header[0],
            message: u16::from_be_bytes([header[4], header[5]]),
            len: number(&header[1..4]) as usize,
            offset: number(&header[6..9]) as usize,
            body,
        };
        if handshake.offset + body.len() > handshake.len {
            return None;
        }
        self.rest = rest;
        Some(handshake)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content: u8, epoch: u8, fragment: &[u8]) -> Vec<u8> {
        let mut bytes = vec![content, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 1, 2, 0];
        bytes.push(fragment.len() as u8);
        bytes.extend_from_slice(fragment);
        bytes
    }

    #[test]
    fn records_are_read_one_after_the_other() {
        let datagram = [record(HANDSHAKE, 0, b"abc"), record(ALERT, 1, b"de")].concat();
        let all: Vec<_> = records(&datagram).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].content(), all[0].epoch()), (HANDSHAKE, 0));
        assert_eq!(all[0].fragment(), b"abc");
        assert_eq!((all[1].epoch(), all[1].sequence()), (1, 0x0102));
    }

    #[test]
    fn a_record_that_claims_more_than_there_is_ends_the_datagram() {
        let mut datagram = [record(HANDSHAKE, 0, b"abc"), record(ALERT, 1, b"de")].concat();
        datagram.pop();
        let mut records = records(&datagram);
        assert!(records.next().is_some());
        assert!(records.next().is_none());
        assert_eq!(records.rest().len(), 14);
    }

    #[test]
    fn other_versions_and_types_are_no_records() {
        for (at, byte) in [(0, 19), (0, 27), (1, 3), (2, 1)] {
            let mut datagram = record(HANDSHAKE, 0, b"abc");
            datagram[at] = byte;
            assert_eq!(records(&datagram).count(), 0, "{at}");
        }
    }

    #[test]
    fn a_fragment_beyond_its_message_is_refused() {
        let mut fragment = vec![1, 0, 0, 4, 0, 0, 0, 0, 2, 0, 0, 2, 7, 8];
        let sound = record(HANDSHAKE, 0, &fragment);
        let read: Vec<_> = records(&sound).flat_map(|r| r.handshakes()).collect();
        assert_eq!(
            (read[0].len, read[0].offset, read[0].body),
            (4, 2, &[7, 8][..])
        );
        fragment[3] = 3;
        let broken = record(HANDSHAKE, 0, &fragment);
        assert_eq!(records(&broken).flat_map(|r| r.handshakes()).count(), 0);
    }
}
