//! What the kernel program is told once: how packets leave, and by which interfaces.

/// Longest UDP payload that a worker takes whole. What is longer is its to count as truncated.
pub const LONGEST: u16 = 2048 - 64;

/// What holds for all packets; fixed when the program is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// Of 2^32 packets that could be forwarded, so many go up instead: 0 but in tests.
    pub decline: u32,
    /// Index of the loopback interface, from which routes are looked up as for packets of our own.
    pub loopback: u32,
    /// Time to live of what leaves over IPv4, as the kernel's own packets have it.
    pub ttl: u8,
    /// Hop limit of what leaves over IPv6.
    pub hop_limit: u8,
    /// 1 if there are lanes: packets that are not forwarded may be handed to a worker.
    pub lanes: u8,
    /// No bytes without a name.
    pub zero: [u8; 5],
}

const _: () = assert!(size_of::<Settings>() == 16);

/// How to leave by an interface that a route names; who is not listed is left to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Way {
    /// The interface that the frame is given to: the same, or the one below a VLAN.
    pub interface: u32,
    /// The VLAN tag to put on, in host byte order; 0: none.
    pub vlan: u16,
    /// 1 if a frame that came in there may be sent back by `XDP_TX`, which some drivers need the far side's
    /// help for.
    pub bounces: u8,
    /// 1 if the program may hand frames of other interfaces to it.
    pub takes: u8,
}

const _: () = assert!(size_of::<Way>() == 8);
