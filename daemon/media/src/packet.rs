//! A received datagram as the plane sees it: bytes in a borrowed buffer.

use patchcord_contract::Endpoint;

use crate::flow::PortId;

/// A datagram in a buffer that may be longer, so that an SRTP tag finds room behind it.
#[derive(Debug)]
pub struct Packet<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Packet<'a> {
    /// The first `len` bytes of `buffer` are the packet.
    ///
    /// # Panics
    /// If `len` is longer than the buffer.
    pub fn new(buffer: &'a mut [u8], len: usize) -> Self {
        assert!(len <= buffer.len(), "a packet lies within its buffer");
        Self { buffer, len }
    }

    /// The packet.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// The packet, to be changed in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }

    /// Its length.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it is a datagram of zero bytes.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Cuts the end off; a longer `len` than the packet's changes nothing.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

/// A datagram received at a port.
#[derive(Debug)]
pub struct Rx<'a> {
    /// Where it arrived.
    pub port: PortId,
    /// Where it came from. `None`: through a socket connected to [`Plane::peer`](crate::Plane::peer),
    /// whose source the kernel has checked.
    pub source: Option<Endpoint>,
    /// What it is.
    pub packet: Packet<'a>,
    /// Whether the kernel cut it to the buffer's length.
    pub truncated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_only_gets_shorter() {
        let mut buffer = [1, 2, 3, 4];
        let mut packet = Packet::new(&mut buffer, 3);
        packet.truncate(4);
        assert_eq!(packet.bytes(), [1, 2, 3]);
        packet.truncate(1);
        assert_eq!((packet.bytes(), packet.len()), ([1].as_slice(), 1));
    }
}
