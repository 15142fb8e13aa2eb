//! Where local UDP ports come from. Control asks for them and gives them back; who opens sockets is elsewhere.

use std::fmt;

use patchcord_contract::Time;
use patchcord_media::flow::PortId;

/// How many ports a transport needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// An even RTP port and the odd RTCP port after it.
    Pair,
    /// One even port: RTP and RTCP muxed (RFC 5761), or bytes that have no RTCP.
    Single,
}

/// What is asked of [`Ports::lease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Index into [`Settings::interfaces`](crate::Settings::interfaces).
    pub interface: usize,
    /// How many ports.
    pub count: Count,
    /// The worker that owns the call's other ports; `None` for its first, which then decides.
    pub worker: Option<u8>,
}

/// One leased port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasedPort {
    /// Its name towards the workers.
    pub id: PortId,
    /// Its UDP port number, host byte order.
    pub port: u16,
}

/// What a transport holds: an even port, and the odd one after it if RTCP has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// RTP, or everything when muxed.
    pub rtp: LeasedPort,
    /// RTCP of a split transport.
    pub rtcp: Option<LeasedPort>,
}

/// The interface has no port left (NG `Ran out of ports`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPorts;

impl fmt::Display for NoPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ran out of ports")
    }
}

impl std::error::Error for NoPorts {}

/// A keeper of local ports.
///
/// A port is given back alone, not by lease: a transport that turns out muxed returns its RTCP port
/// and keeps the other. A port given back rests before it is leased again, so that late packets of
/// an old call never reach a new one.
pub trait Ports {
    /// Leases what `want` describes, already open; an interface without a free port refuses.
    fn lease(&mut self, now: Time, want: Want) -> Result<Lease, NoPorts>;

    /// Takes one port back.
    fn release(&mut self, now: Time, port: LeasedPort);
}
