//! A received datagram as the plane sees it: bytes in a borrowed buffer.

use patchcord_contract::Endpoint;
use patchcord_wire::extension::{Rewrite, RewriteError};

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

    /// Bytes that may be added behind it.
    #[inline]
    pub const fn room(&self) -> usize {
        self.buffer.len() - self.len
    }

    /// Adds `bytes` bytes behind it, whatever stands there.
    ///
    /// # Panics
    /// If there is less [`Self::room`].
    #[inline]
    pub fn lengthen(&mut self, bytes: usize) {
        assert!(bytes <= self.room(), "a packet lies within its buffer");
        self.len += bytes;
    }

    /// The same packet for a while; what happens to the length of one does not happen to the other's.
    pub(crate) fn reborrow(&mut self) -> Packet<'_> {
        Packet {
            buffer: self.buffer,
            len: self.len,
        }
    }

    /// Changes the header extension of RTP, if that is possible. Where there is no room for what it becomes it
    /// goes: what it says must not be read as something else.
    pub(crate) fn rewrite(&mut self, rewrite: &Rewrite<'_>) -> Result<(), RewriteError> {
        self.len = match rewrite.apply(self.buffer, self.len) {
            Err(RewriteError::Room) => Rewrite::remove(self.buffer, self.len),
            other => other,
        }?;
        Ok(())
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
    fn a_packet_grows_within_its_buffer() {
        let mut buffer = [1, 2, 3, 4];
        let mut packet = Packet::new(&mut buffer, 3);
        assert_eq!(packet.room(), 1);
        packet.lengthen(1);
        assert_eq!(
            (packet.bytes(), packet.room()),
            ([1, 2, 3, 4].as_slice(), 0)
        );
    }

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
