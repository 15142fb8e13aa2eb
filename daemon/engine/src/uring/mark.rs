//! What a completion is about, in its 64 bits of user data.

use patchcord_media::flow::PortId;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Receiving on a port's own socket.
    Own,
    /// Receiving on a port's twin.
    Twin,
    /// Taking a packet out of a twin that is closed.
    Late,
    /// Looking whether a port's own socket is empty.
    Peek,
    /// Sending from a port's own socket.
    SendOwn,
    /// Sending from a port's twin.
    SendTwin,
    /// Setting a socket option.
    Option,
    /// Cancelling a receive.
    Cancel,
    /// The worker's wake-up.
    Wake,
    /// The tick.
    Timer,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Own,
        Self::Twin,
        Self::Late,
        Self::Peek,
        Self::SendOwn,
        Self::SendTwin,
        Self::Option,
        Self::Cancel,
        Self::Wake,
        Self::Timer,
    ];
}

/// The port's slot in bits 0–23, the kind in 24–31, the socket's generation in 32–63.
///
/// A slot's next socket has another generation, so that what comes late for the last one is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) u64);

impl Mark {
    /// A mark for a port.
    #[inline]
    pub(super) fn new(kind: Kind, port: PortId, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | (kind as u64) << 24 | port.slot() as u64)
    }

    /// A mark for no port.
    pub(super) fn bare(kind: Kind) -> Self {
        Self((kind as u64) << 24)
    }

    /// What the request was for.
    #[inline]
    pub(super) fn kind(self) -> Kind {
        Kind::ALL[usize::from((self.0 >> 24) as u8)]
    }

    /// The port's slot.
    #[inline]
    pub(super) fn slot(self) -> u32 {
        self.0 as u32 & PortId::MAX_SLOT
    }

    /// The socket's generation.
    #[inline]
    pub(super) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_what_it_was_made_of() {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            for slot in [0, 1, PortId::MAX_SLOT] {
                let port = PortId::new(7, slot).expect("a slot");
                for generation in [0, 1, u32::MAX] {
                    let mark = Mark::new(kind, port, generation);
                    assert_eq!(
                        (mark.kind(), mark.slot(), mark.generation()),
                        (kind, slot, generation)
                    );
                }
            }
            assert_eq!(Mark::bare(kind).kind(), kind);
        }
    }
}
