//! The hook behind the driver, where a frame is the kernel's own kind of packet: it knows whether its
//! checksum is still to be completed, and its VLAN tag stands beside it.

use core::ffi::c_void;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::{BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, TC_ACT_OK, TC_ACT_SHOT};
use aya_ebpf::helpers::generated;
use aya_ebpf::programs::TcContext;
use patchcord_contract::{Entry, Hop, Way};

use crate::forward::{Hook, Verdict, forward};
use crate::frame;
use crate::packet::{Bytes, ETHERNET, IPV6, IS_IPV4, IS_IPV6, Packet, UDP, parse};
use crate::ports::port;
use crate::route;

/// What the program returns to leave a frame to whoever is next, and the kernel in the end.
const NEXT: i32 = -1;
/// How much of a frame has to lie in one piece.
const HEAD: u32 = (ETHERNET + IPV6 + UDP + 12) as u32;
/// A frame addressed to this machine.
const HOST: u32 = 0;

/// The program for tcx. Its entry names no type of the kernel, as `aya_ebpf::macros::classifier` would:
/// `__sk_buff` has pointers to two types that are only declared, and the order in which the compiler
/// writes such declarations into BTF follows addresses, so that the object would not always be the same.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
extern "C" fn patchcord_tc(context: *mut c_void) -> i32 {
    run(TcContext::new(context.cast()))
}

#[inline(always)]
fn run(context: TcContext) -> i32 {
    // SAFETY: the context is the program's own.
    let skb = unsafe { &*context.skb.skb };
    let is_odd = skb.vlan_present != 0 || skb.gso_size != 0 || skb.pkt_type != HOST;
    if is_odd {
        return NEXT;
    }
    if skb.data_end - skb.data < HEAD {
        let most = if skb.len < HEAD { skb.len } else { HEAD };
        // SAFETY: the context is the program's own.
        if unsafe { generated::bpf_skb_pull_data(context.skb.skb, most) } != 0 {
            return NEXT;
        }
    }
    let mut hook = Tc(context);
    let Some(packet) = parse(hook.bytes()) else {
        return NEXT;
    };
    let Some(port) = port(packet.local) else {
        return NEXT;
    };
    match forward(&mut hook, &packet, port) {
        Verdict::Up => NEXT,
        Verdict::Drop => TC_ACT_SHOT as i32,
        Verdict::Sent(action) => action as i32,
    }
}

struct Tc(TcContext);

impl Hook for Tc {
    const KEEPS_PARTIAL: bool = true;
    const NUMBER: u8 = 2;

    #[inline(always)]
    fn leaves(interface: u32, _: Way) -> (u32, u16) {
        (interface, 0)
    }

    #[inline(always)]
    fn bytes(&self) -> Bytes {
        Bytes {
            start: self.0.data(),
            end: self.0.data_end(),
        }
    }

    #[inline(always)]
    fn context(&self) -> *mut c_void {
        self.0.as_ptr()
    }

    #[inline(always)]
    fn send(&mut self, packet: &Packet, entry: &Entry, next: &Hop) -> Option<Verdict> {
        // The outermost tag stands beside the frame: one that lies in it is a second one.
        if packet.link != ETHERNET {
            return None;
        }
        let is_v4 = route::is_v4(entry.to);
        if is_v4 == packet.is_v6 {
            let kind = if is_v4 { IS_IPV4 } else { IS_IPV6 };
            // SAFETY: the context is the program's own.
            if unsafe { generated::bpf_skb_change_proto(self.0.skb.skb, kind, 0) } != 0 {
                return None;
            }
        }
        // The frame is another from here on: what does not fit now must not go up.
        if self.write(packet, entry, next).is_none() {
            return Some(Verdict::Drop);
        }
        // SAFETY: a helper that takes numbers.
        let action = unsafe { generated::bpf_redirect(next.interface, 0) };
        Some(Verdict::Sent(action as u32))
    }
}

impl Tc {
    #[inline(always)]
    fn write(&self, packet: &Packet, entry: &Entry, next: &Hop) -> Option<()> {
        let (_, ip) = frame::headers(entry, 0);
        let at = ETHERNET + ip + 6;
        if packet.may_be_partial {
            // What a device completes covers the ports by itself; the kernel knows which it is.
            let zero_stays = BPF_F_MARK_MANGLED_0 as u64;
            self.sum(at, entry.addresses, zero_stays | BPF_F_PSEUDO_HDR as u64)?;
            self.sum(at, entry.ports, zero_stays)?;
        } else {
            let checksum: *mut u16 = self.bytes().at(at)?;
            // SAFETY: within the frame.
            unsafe { checksum.write_unaligned(frame::checksum(packet, entry)) };
            self.account(packet, entry);
        }
        let bytes = self.bytes();
        frame::link(bytes, next, route::is_v4(entry.to))?;
        frame::internet(bytes, ETHERNET, entry, packet.len)
    }

    /// Where a device has summed up the whole packet, its sum is kept right. A checksum that is right makes up for
    /// the ports and, since it covers them too, for the addresses.
    #[inline(always)]
    fn account(&self, packet: &Packet, entry: &Entry) {
        let change = if packet.checksum == 0 {
            entry.ports
        } else {
            !entry.addresses
        };
        // SAFETY: the context is the program's own.
        let _has_none =
            unsafe { generated::bpf_csum_update(self.0.skb.skb, change.to_be() as u32) };
    }

    /// Adds a change to the UDP checksum.
    #[inline(always)]
    fn sum(&self, at: usize, change: u16, flags: u64) -> Option<()> {
        let (at, change) = (at as u32, change.to_be() as u64);
        // SAFETY: the context is the program's own.
        let done = unsafe { generated::bpf_l4_csum_replace(self.0.skb.skb, at, 0, change, flags) };
        (done == 0).then_some(())
    }
}

const _: () = assert!(TC_ACT_OK == 0);
