//! The core: whether a frame is finished here, and by which entry. Nothing is written and nothing counted
//! before everything is known to work.

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_get_prandom_u32, generated};
use patchcord_contract::{Endpoint, Entry, Hop, Mismatch, Port, Step, Tally, Time, Way};

use crate::maps::{ENTRIES, TALLIES, settings};
use crate::packet::Packet;
use crate::ports::halves;
use crate::route;

/// Where the program is attached: what differs between XDP and tc.
pub(crate) trait Hook {
    /// The frame's bytes; those of an earlier call are void once the frame was changed.
    fn bytes(&self) -> crate::packet::Bytes;
    /// What the kernel's helpers know the frame by.
    fn context(&self) -> *mut c_void;
    /// Whether checksums that a device has to complete are told apart and kept so.
    const KEEPS_PARTIAL: bool;
    /// What tells it from the other.
    const NUMBER: u8;
    /// The interface that a frame is given to where a route names this one, and the tag that it gets first.
    fn leaves(interface: u32, way: Way) -> (u32, u16);
    /// Writes the packet as the entry has it and sends it; `None` if the frame is as it was.
    fn send(&mut self, packet: &Packet, entry: &Entry, next: &Hop) -> Option<Verdict>;
}

/// What becomes of a frame.
pub(crate) enum Verdict {
    /// The kernel goes on with it.
    Up,
    /// It ends here.
    Drop,
    /// It leaves, and this is what the hook returns.
    Sent(u32),
}

/// Judges a frame that holds `packet` for `port`.
#[inline(always)]
pub(crate) fn forward<H: Hook>(hook: &mut H, packet: &Packet, port: Port) -> Verdict {
    attempt(hook, packet, port).unwrap_or(Verdict::Up)
}

#[inline(always)]
fn attempt<H: Hook>(hook: &mut H, packet: &Packet, port: Port) -> Option<Verdict> {
    let slot = port.slot.checked_sub(1)?;
    if !packet.is_rtp(hook.bytes())? {
        return None;
    }
    let entry = ENTRIES.get(slot)?;
    let tally = TALLIES.get_ptr_mut(slot)?;
    if is_declined() {
        return None;
    }
    if !is_same(entry.source, packet.source) {
        return stranger(entry, tally, packet.len);
    }
    // SAFETY: the map's memory; other processors may write it as well, in whole words.
    let step = unsafe { &*tally }.step(packet.stamp)?;
    if packet.may_be_partial && !H::KEEPS_PARTIAL {
        return None;
    }
    // An IPv6 packet must have the checksum that this one came without.
    if packet.checksum == 0 && !route::is_v4(entry.to) {
        return None;
    }
    // SAFETY: a helper without arguments.
    let now = Time(unsafe { generated::bpf_ktime_get_ns() });
    let next = route::find(hook, entry, tally, packet.len, now)?;
    let verdict = hook.send(packet, entry, &next)?;
    if let Verdict::Sent(_) = verdict {
        count(tally, packet, step, now);
    }
    Some(verdict)
}

/// A packet from elsewhere than the entry's source.
#[inline(always)]
fn stranger(entry: &Entry, tally: *mut Tally, len: u16) -> Option<Verdict> {
    match entry.mismatch {
        Mismatch::Punt => None,
        Mismatch::Drop => {
            // SAFETY: the map's memory, aligned, and only ever added to.
            unsafe {
                add(&raw mut (*tally).strangers, 1);
                add(&raw mut (*tally).stranger_bytes, len as u64);
            }
            Some(Verdict::Drop)
        }
    }
}

/// Counts a packet that left.
#[inline(always)]
fn count(tally: *mut Tally, packet: &Packet, step: Step, now: Time) {
    // SAFETY: the map's memory, aligned. Processors that carry one flow at once may mix up its stream state,
    // never its counters.
    unsafe {
        add(&raw mut (*tally).packets, 1);
        add(&raw mut (*tally).bytes, packet.len as u64);
        (*tally).follow(now, packet.stamp, step);
    }
}

/// Adds to a counter that several processors may write. The compiler's own atomics stop at loads and stores for
/// this target.
///
/// # Safety
/// `cell` is aligned and the map's.
#[inline(always)]
unsafe fn add(cell: *mut u64, n: u64) {
    // SAFETY: as the caller promises; nothing else is written.
    unsafe {
        asm!(
            "lock *(u64 *)({cell} + 0) += {n}",
            cell = in(reg) cell,
            n = in(reg) n,
            options(nostack),
        );
    }
}

/// Whether chance sends the packet up: a test of the law that this changes nothing.
#[inline(always)]
fn is_declined() -> bool {
    let decline = settings().decline;
    // SAFETY: a helper without arguments.
    decline != 0 && unsafe { bpf_get_prandom_u32() } < decline
}

/// Equality in whole words.
#[inline(always)]
fn is_same(a: Endpoint, b: Endpoint) -> bool {
    a.port == b.port && halves(a.addr) == halves(b.addr)
}
