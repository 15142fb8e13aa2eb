//! RTP header extensions changed in place: elements cut, renumbered, put in (RFC 8285).

use crate::rtp::{Form, HEADER, Rtp, RtpError};

/// `a=extmap` URI of the name of a media section (RFC 9143 §15).
pub const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// `a=extmap` URI of the name of an RTP stream within its section (RFC 8852 §3.1).
pub const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
/// `a=extmap` URI of the name of the stream that a redundancy stream repairs (RFC 8852 §3.2).
pub const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
/// `a=extmap` URI of a number that counts the packets of a whole transport, for congestion control.
pub const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// Bytes of an extension that can be written anew; browsers' have a few dozen.
const LONGEST: usize = 1024;
/// The largest id that the one-byte form has room for.
const LARGEST_SHORT: u8 = 14;

/// What is changed. An element that would have the id of the one put in is gone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rewrite<'e> {
    /// Elements with these ids go.
    pub cut: &'e [u8],
    /// Elements with the first id have the second.
    pub renumber: &'e [(u8, u8)],
    /// An element that is put in, at the end.
    pub put: Option<(u8, &'e [u8])>,
}

/// Why a packet cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// It is no RTP.
    #[error(transparent)]
    Rtp(#[from] RtpError),
    /// It has a header extension of another form than RFC 8285's, and can have no second.
    #[error("the packet has a header extension of another form")]
    Foreign,
    /// The buffer ends before the packet would, or the extension is longer than any that is used.
    #[error("no room for the header extension")]
    Room,
}

impl Rewrite<'_> {
    /// Changes the packet in the first `len` bytes of `buffer`; returns its new length. After an error
    /// it is as it was.
    pub fn apply(&self, buffer: &mut [u8], len: usize) -> Result<usize, RewriteError> {
        let packet = buffer.get(..len).ok_or(RewriteError::Room)?;
        let rtp = Rtp::parse_protected(packet)?;
        let at = HEADER + 4 * rtp.csrcs().len();
        let end = rtp.header_len();
        let (profile, form) = match rtp.extension() {
            None => (0, Form::OneByte),
            Some((profile, _)) => match Form::of(profile) {
                Some(form) => (profile, form),
                None if self.put.is_some() => return Err(RewriteError::Foreign),
                None => return Ok(len),
            },
        };
        if self.put.is_none() && !rtp.elements().any(|element| self.changes(element.id)) {
            return Ok(len);
        }
        let mut block = [0; LONGEST];
        let form = self.form(&rtp, form);
        let written = self.write(&rtp, form, &mut block)?;
        let new_end = at + written.map_or(0, |bytes| 4 + bytes);
        let new_len = len - end + new_end;
        if new_len > buffer.len() {
            return Err(RewriteError::Room);
        }
        if new_end != end {
            buffer.copy_within(end..len, new_end);
        }
        match written {
            None => buffer[0] &= !0x10,
            Some(bytes) => {
                buffer[0] |= 0x10;
                let profile = match form {
                    Form::OneByte => 0xbede,
                    Form::TwoByte if profile == 0xbede => 0x1000,
                    Form::TwoByte => 0x1000 | profile & 0x0f,
                };
                buffer[at..at + 2].copy_from_slice(&profile.to_be_bytes());
                buffer[at + 2..at + 4].copy_from_slice(&((bytes / 4) as u16).to_be_bytes());
                buffer[at + 4..new_end].copy_from_slice(&block[..bytes]);
            }
        }
        Ok(new_len)
    }

    /// Takes the header extension out of the packet in the first `len` bytes of `buffer`, if it has one of
    /// RFC 8285's forms; returns its new length.
    pub fn remove(buffer: &mut [u8], len: usize) -> Result<usize, RewriteError> {
        let packet = buffer.get(..len).ok_or(RewriteError::Room)?;
        let rtp = Rtp::parse_protected(packet)?;
        let (at, end) = (HEADER + 4 * rtp.csrcs().len(), rtp.header_len());
        if rtp
            .extension()
            .and_then(|(profile, _)| Form::of(profile))
            .is_none()
        {
            return Ok(len);
        }
        buffer.copy_within(end..len, at);
        buffer[0] &= !0x10;
        Ok(len - (end - at))
    }

    fn changes(&self, id: u8) -> bool {
        self.cut.contains(&id)
            || self
                .renumber
                .iter()
                .any(|(from, to)| *from == id && to != from)
    }

    /// The id that an element has afterwards, if it stays.
    fn id(&self, id: u8) -> Option<u8> {
        if self.cut.contains(&id) {
            return None;
        }
        let renumbered = self.renumber.iter().find(|(from, _)| *from == id);
        let id = renumbered.map_or(id, |(_, to)| *to);
        (self.put.is_none_or(|(put, _)| put != id) && id != 0).then_some(id)
    }

    /// The form that has room for everything: the packet's own if possible.
    fn form(&self, rtp: &Rtp<'_>, own: Form) -> Form {
        let is_short = |id: u8, data: &[u8]| id <= LARGEST_SHORT && matches!(data.len(), 1..=16);
        let kept = rtp
            .elements()
            .filter_map(|element| Some((self.id(element.id)?, element.data)));
        match own {
            Form::OneByte if kept.chain(self.put).all(|(id, data)| is_short(id, data)) => own,
            Form::OneByte | Form::TwoByte => Form::TwoByte,
        }
    }

    /// Writes the elements; returns their bytes with the padding to whole words, or none.
    fn write(
        &self,
        rtp: &Rtp<'_>,
        form: Form,
        block: &mut [u8; LONGEST],
    ) -> Result<Option<usize>, RewriteError> {
        let kept = rtp
            .elements()
            .filter_map(|element| Some((self.id(element.id)?, element.data)));
        let mut at = 0;
        for (id, data) in kept.chain(self.put) {
            let (head, len) = match form {
                Form::OneByte => ([id << 4 | (data.len() as u8).wrapping_sub(1) & 15, 0], 1),
                Form::TwoByte => ([id, data.len() as u8], 2),
            };
            let room = block.get_mut(at..at + len + data.len());
            let (first, rest) = room.ok_or(RewriteError::Room)?.split_at_mut(len);
            first.copy_from_slice(&head[..len]);
            rest.copy_from_slice(data);
            at += len + data.len();
        }
        Ok((at > 0).then(|| at.next_multiple_of(4)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet with a CSRC, elements in a form, and four bytes of payload.
    fn packet(profile: u16, elements: &[(u8, &[u8])]) -> Vec<u8> {
        let mut packet = vec![0x81, 96, 0, 7, 0, 0, 0, 160, 1, 2, 3, 4, 9, 9, 9, 9];
        if !elements.is_empty() {
            packet[0] |= 0x10;
            let mut words = Vec::new();
            for (id, data) in elements {
                if profile == 0xbede {
                    words.push(id << 4 | (data.len() as u8 - 1));
                } else {
                    words.extend([*id, data.len() as u8]);
                }
                words.extend(*data);
            }
            words.resize(words.len().next_multiple_of(4), 0);
            packet.extend(profile.to_be_bytes());
            packet.extend((words.len() as u16 / 4).to_be_bytes());
            packet.extend(words);
        }
        packet.extend(b"load");
        packet
    }

    fn rewritten(packet: &[u8], rewrite: &Rewrite<'_>) -> Result<Vec<u8>, RewriteError> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + 300, 0xee);
        let len = rewrite.apply(&mut buffer, packet.len())?;
        buffer.truncate(len);
        Ok(buffer)
    }

    const NOTHING: Rewrite<'static> = Rewrite {
        cut: &[],
        renumber: &[],
        put: None,
    };

    #[test]
    fn a_name_is_put_in_where_there_was_no_extension() {
        let put = Rewrite {
            put: Some((3, b"audio")),
            ..NOTHING
        };
        let wanted = packet(0xbede, &[(3, b"audio")]);
        assert_eq!(rewritten(&packet(0, &[]), &put), Ok(wanted));
    }

    #[test]
    fn a_name_takes_the_place_of_what_has_its_id() {
        let put = Rewrite {
            put: Some((3, b"1")),
            ..NOTHING
        };
        let before = packet(0xbede, &[(3, b"audio"), (1, b"x")]);
        let wanted = packet(0xbede, &[(1, b"x"), (3, b"1")]);
        assert_eq!(rewritten(&before, &put), Ok(wanted));
    }

    #[test]
    fn the_last_element_takes_the_extension_with_it() {
        let cut = Rewrite {
            cut: &[3],
            ..NOTHING
        };
        let before = packet(0xbede, &[(3, b"audio")]);
        assert_eq!(rewritten(&before, &cut), Ok(packet(0, &[])));
    }

    #[test]
    fn ids_are_exchanged_in_one_go() {
        let swap = Rewrite {
            renumber: &[(1, 2), (2, 1)],
            ..NOTHING
        };
        for profile in [0xbede, 0x1000, 0x1005] {
            let before = packet(profile, &[(1, b"a"), (2, b"b")]);
            let wanted = packet(profile, &[(2, b"a"), (1, b"b")]);
            assert_eq!(rewritten(&before, &swap), Ok(wanted));
        }
    }

    #[test]
    fn what_the_short_form_has_no_room_for_takes_the_long_one() {
        let long = [b'm'; 17];
        for put in [(3, &long[..]), (15, b"m"), (255, b"m")] {
            let rewrite = Rewrite {
                put: Some(put),
                ..NOTHING
            };
            let before = packet(0xbede, &[(1, b"x")]);
            let wanted = packet(0x1000, &[(1, b"x"), put]);
            assert_eq!(rewritten(&before, &rewrite), Ok(wanted));
        }
    }

    #[test]
    fn an_extension_of_another_form_stays_as_it_is() {
        let before = packet(0x5555, &[(1, b"x")]);
        let cut = Rewrite {
            cut: &[1],
            ..NOTHING
        };
        assert_eq!(rewritten(&before, &cut), Ok(before.clone()));
        let put = Rewrite {
            put: Some((1, b"y")),
            ..NOTHING
        };
        assert_eq!(rewritten(&before, &put), Err(RewriteError::Foreign));
    }

    #[test]
    fn a_packet_that_would_not_fit_stays_as_it_was() {
        let before = packet(0xbede, &[(1, b"x")]);
        let mut buffer = before.clone();
        let put = Rewrite {
            put: Some((2, b"four")),
            ..NOTHING
        };
        assert_eq!(
            put.apply(&mut buffer, before.len()),
            Err(RewriteError::Room)
        );
        assert_eq!(put.apply(&mut buffer, 999), Err(RewriteError::Room));
        assert_eq!(buffer, before);
    }

    #[test]
    fn an_extension_is_taken_out_whole() {
        let before = packet(0xbede, &[(1, b"x"), (2, b"four")]);
        let mut buffer = before.clone();
        let len = Rewrite::remove(&mut buffer, before.len());
        let wanted = packet(0, &[]);
        assert_eq!(len, Ok(wanted.len()));
        assert_eq!(buffer[..wanted.len()], wanted);
        for same in [packet(0, &[]), packet(0x5555, &[(1, b"x")])] {
            let mut buffer = same.clone();
            assert_eq!(Rewrite::remove(&mut buffer, same.len()), Ok(same.len()));
            assert_eq!(buffer, same);
        }
    }

    fn elements(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let rtp = Rtp::parse_protected(packet).expect("well-formed");
        rtp.elements().map(|e| (e.id, e.data.to_vec())).collect()
    }

    fn any_packet() -> impl Strategy<Value = Vec<u8>> {
        let element = (1_u8..=14, prop::collection::vec(any::<u8>(), 1..=16));
        let profile = prop_oneof![Just(0xbede_u16), Just(0x1000), Just(0x100f)];
        (profile, prop::collection::vec(element, 0..9)).prop_map(|(profile, elements)| {
            let elements: Vec<_> = elements.iter().map(|(id, data)| (*id, &data[..])).collect();
            packet(profile, &elements)
        })
    }

    proptest! {
        #[test]
        fn only_what_is_named_changes(
            before in any_packet(),
            cut in prop::collection::vec(1_u8..=16, 0..3),
            from in 1_u8..=14,
            to in 1_u8..=255,
            put in prop::option::of((1_u8..=255, prop::collection::vec(any::<u8>(), 0..=40))),
        ) {
            let rewrite = Rewrite {
                cut: &cut,
                renumber: &[(from, to)],
                put: put.as_ref().map(|(id, data)| (*id, &data[..])),
            };
            let after = rewritten(&before, &rewrite).expect("there is room");
            let (old, new) = (
                Rtp::parse_protected(&before).expect("well-formed"),
                Rtp::parse_protected(&after).expect("still well-formed"),
            );
            prop_assert_eq!(old.payload(), new.payload());
            prop_assert_eq!(&before[1..16], &after[1..16]);
            prop_assert!(old.csrcs().eq(new.csrcs()));
            let mut wanted: Vec<(u8, Vec<u8>)> = elements(&before)
                .into_iter()
                .filter(|(id, _)| !cut.contains(id))
                .map(|(id, data)| (if id == from { to } else { id }, data))
                .filter(|(id, _)| put.as_ref().is_none_or(|(put, _)| put != id))
                .collect();
            wanted.extend(put);
            prop_assert_eq!(elements(&after), wanted);
        }

        #[test]
        fn no_bytes_make_it_panic(
            before in prop::collection::vec(any::<u8>(), 0..120),
            room in 0_usize..40,
        ) {
            let mut buffer = before.clone();
            buffer.resize(before.len() + room, 0);
            let rewrite = Rewrite { cut: &[1], renumber: &[(2, 30)], put: Some((4, b"mid")) };
            if let Ok(len) = rewrite.apply(&mut buffer, before.len()) {
                let after = Rtp::parse_protected(&buffer[..len]).expect("still RTP");
                prop_assert_eq!(after.element(4), Some(&b"mid"[..]));
            } else {
                prop_assert_eq!(&buffer[..before.len()], &before[..]);
            }
        }
    }
}
