//! What happened since start, by how calls ended, and what there is now.

use std::time::Duration;

use crate::Spans;

macro_rules! end_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a call is over.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum EndReason {
            $($(#[$doc])* $name,)*
        }

        impl EndReason {
            /// All of them, in counter order: `ALL[r as usize] == r`.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The label used in metrics, logs and `patchctl`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

end_reasons! {
    /// A `delete`.
    Terminated = "terminated",
    /// `terminate` by an operator.
    ForceTerminated = "force_terminated",
    /// No packet for the media timeout.
    Timeout = "timeout",
    /// No packet for the silent timeout, on hold.
    SilentTimeout = "silent_timeout",
    /// Never answered.
    OfferTimeout = "offer_timeout",
    /// It reached the longest life a call may have.
    FinalTimeout = "final_timeout",
}

/// Counters since start; they only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls made by an offer.
    pub calls: u64,
    /// Calls refused by a load limit.
    pub refused: u64,
    /// Calls over, indexed by [`EndReason`].
    pub ended: [u64; EndReason::ALL.len()],
    /// Time that ended calls lasted, all together.
    pub duration: Duration,
    /// RTP and RTCP packets that ended calls relayed.
    pub packets: u64,
    /// Bytes of those packets.
    pub bytes: u64,
    /// Packets of ended calls that were not forwarded.
    pub dropped: u64,
    /// Ended calls with media in one direction only.
    pub one_way: u64,
    /// Ended calls without a single packet.
    pub silent: u64,
    /// What came of ICE.
    pub ice: IceTotals,
    /// What came of handshakes.
    pub dtls: DtlsTotals,
}

/// Handshakes since start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DtlsTotals {
    /// Those that came to nothing.
    pub failed: u64,
    /// How long those took that made keys.
    pub took: Spans,
}

/// Outcomes of ICE since start, by section of a leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceTotals {
    /// All components had a nominated pair.
    pub connected: u64,
    /// No pair worked in time.
    pub failed: u64,
    /// Pairs in use were lost: consent expired, or the port was given back.
    pub lost: u64,
    /// Conflicts of roles in which we gave way.
    pub conflicts: u64,
    /// From when both ends had each other's credentials to nominated pairs.
    pub took: Spans,
}

impl Totals {
    /// Calls over for one reason.
    pub const fn ended_by(&self, reason: EndReason) -> u64 {
        self.ended[reason as usize]
    }
}

/// What there is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Calls.
    pub calls: usize,
    /// Of these, calls deleted but still forwarding for their delete delay.
    pub deleting: usize,
    /// Legs of all calls.
    pub legs: usize,
    /// Media sections of all legs.
    pub sections: usize,
    /// Local ports in use.
    pub ports: usize,
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its NG `call-id`.
    pub id: patchcord_wire::ids::CallId,
    /// Why.
    pub reason: EndReason,
    /// How long it lasted.
    pub duration: Duration,
}
