//! What the plane decided about a batch, until the backend has carried it out.

use std::ops::Range;
use std::sync::Arc;

use patchcord_contract::{Endpoint, Reason};
use patchcord_media::flow::{Event, PortId};
use patchcord_media::{Plane, Rx};

use crate::link::frame;
use crate::worker::Shared;

/// Bytes of copies that can wait for the kernel: 64 full packets to eight sinks each.
const COPIES: usize = 1 << 20;

/// Room in front of a copy, for the headers that a backend may write there; whole words.
pub(crate) const HEADROOM: usize = frame::HEADROOM.next_multiple_of(8);

/// A packet to send.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Its bytes.
    pub(crate) what: What,
    /// The port it leaves from.
    pub(crate) via: PortId,
    /// Where it goes.
    pub(crate) to: Endpoint,
}

/// Where the bytes of a packet to send are.
#[derive(Debug)]
pub(crate) enum What {
    /// The first bytes of a packet of the batch.
    Received {
        /// Which one.
        index: usize,
        /// How many of its bytes.
        len: usize,
    },
    /// In the outbox.
    Copy(Range<usize>),
}

/// The plane's results. Bytes in it never move until [`Outbox::release`]: the kernel may have their address.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// To send, in order.
    pub(crate) sends: Vec<Outgoing>,
    /// Ports whose flow latched to another peer.
    pub(crate) latched: Vec<PortId>,
    copies: Vec<u8>,
    unsent: Vec<PortId>,
    shared: Arc<Shared>,
    news: bool,
}

impl Outbox {
    /// An empty one, whose events go to `shared`.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            sends: Vec::with_capacity(1024),
            latched: Vec::with_capacity(64),
            copies: Vec::with_capacity(COPIES),
            unsent: Vec::with_capacity(64),
            shared,
            news: false,
        }
    }

    /// The bytes of a copy.
    pub(crate) fn copied(&self, range: &Range<usize>) -> &[u8] {
        &self.copies[range.clone()]
    }

    /// A copy with the room in front of it.
    pub(crate) fn copied_with_headroom(&self, range: &Range<usize>) -> &[u8] {
        &self.copies[range.start - HEADROOM..range.end]
    }

    /// The same, to write.
    pub(crate) fn copied_mut(&mut self, range: &Range<usize>) -> &mut [u8] {
        &mut self.copies[range.start - HEADROOM..range.end]
    }

    /// Whether the copies should be given to the kernel before the next batch adds to them.
    pub(crate) fn is_crowded(&self) -> bool {
        self.copies.len() > COPIES / 2
    }

    /// Forgets the copies: the kernel has read all it was given.
    pub(crate) fn release(&mut self) {
        self.copies.clear();
    }

    /// Counts the copies that found no room.
    pub(crate) fn settle(&mut self, plane: &mut Plane) {
        for via in self.unsent.drain(..) {
            self.shared.stats.send_full.add(1);
            plane.unsent(via, Reason::SendFull);
        }
    }

    /// Turns what is to be sent out of `batch` into copies, so that the batch's buffers are free.
    pub(crate) fn detach(&mut self, batch: &[Rx<'_>]) {
        for at in 0..self.sends.len() {
            let Outgoing {
                what: What::Received { index, len },
                via,
                ..
            } = &self.sends[at]
            else {
                continue;
            };
            let (bytes, via) = (&batch[*index].packet.bytes()[..*len], *via);
            let kept = self.keep(bytes);
            if kept.is_none() {
                self.unsent.push(via);
            }
            self.sends[at].what = What::Copy(kept.unwrap_or_default());
        }
        self.sends
            .retain(|send| !matches!(&send.what, What::Copy(range) if range.is_empty()));
    }

    /// Tells the daemon, once a turn, that there are events.
    pub(crate) fn notify(&mut self) {
        if std::mem::take(&mut self.news) {
            self.shared.notify.ring();
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Option<Range<usize>> {
        let start = self.copies.len() + HEADROOM;
        if start + bytes.len() > COPIES {
            return None;
        }
        self.copies.resize(start, 0);
        self.copies.extend_from_slice(bytes);
        Some(start..self.copies.len())
    }
}

impl patchcord_media::Outbox for Outbox {
    #[inline]
    fn forward(&mut self, index: usize, len: usize, via: PortId, to: Endpoint) {
        self.sends.push(Outgoing {
            what: What::Received { index, len },
            via,
            to,
        });
    }

    fn copy(&mut self, bytes: &[u8], via: PortId, to: Endpoint) {
        match self.keep(bytes) {
            Some(range) => self.sends.push(Outgoing {
                what: What::Copy(range),
                via,
                to,
            }),
            None => self.unsent.push(via),
        }
    }

    fn event(&mut self, event: Event) {
        if let Event::Latched { port, .. } = &event {
            self.latched.push(*port);
        }
        let events = &self.shared.events;
        let is_punt = matches!(event, Event::Punted { .. });
        // The last quarter is for news that no peer repeats.
        if is_punt && events.len() >= events.capacity() / 4 * 3 {
            self.shared.stats.events_dropped.add(1);
            return;
        }
        match events.push(event) {
            Ok(()) => self.news = true,
            Err(_) => self.shared.stats.events_dropped.add(1),
        }
    }
}
