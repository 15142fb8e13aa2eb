//! The hook in or right behind the driver. A frame there has no memory of how its checksum is to be
//! completed, so packets whose checksum may be partial go up.

use core::ffi::c_void;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use patchcord_contract::{Entry, Hop, Way};

use crate::forward::{Hook, Verdict, forward};
use crate::maps::DEVICES;
use crate::packet::{Bytes, Packet, parse};
use crate::ports::port;
use crate::{frame, lane, route};

/// The program for native and generic XDP.
#[xdp]
fn patchcord_xdp(context: XdpContext) -> u32 {
    let mut hook = Xdp(context);
    let Some(packet) = parse(hook.bytes()) else {
        return xdp_action::XDP_PASS;
    };
    let Some(port) = port(packet.local) else {
        return xdp_action::XDP_PASS;
    };
    match forward(&mut hook, &packet, port) {
        Verdict::Up => lane::hand_over(&hook.0, hook.bytes(), &packet, port),
        Verdict::Drop => xdp_action::XDP_DROP,
        Verdict::Sent(action) => action,
    }
}

struct Xdp(XdpContext);

impl Hook for Xdp {
    const KEEPS_PARTIAL: bool = false;
    const NUMBER: u8 = 1;

    #[inline(always)]
    fn leaves(_: u32, way: Way) -> (u32, u16) {
        (way.interface, way.vlan)
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
        let (link, ip) = frame::headers(entry, next.vlan);
        let shorter = packet.headers() as i32 - (link + ip) as i32;
        if shorter != 0 {
            // SAFETY: the context is the program's own.
            let moved = unsafe { generated::bpf_xdp_adjust_head(self.0.ctx, shorter) };
            if moved != 0 {
                return None;
            }
        }
        // The frame is another from here on: what does not fit now must not go up.
        if self.write(packet, entry, next, link).is_none() {
            return Some(Verdict::Drop);
        }
        let interface = next.interface;
        if next.bounces != 0 && interface == self.0.ingress_ifindex() as u32 {
            return Some(Verdict::Sent(xdp_action::XDP_TX));
        }
        let action = DEVICES
            .redirect(interface, 0)
            .unwrap_or(xdp_action::XDP_ABORTED);
        Some(Verdict::Sent(action))
    }
}

impl Xdp {
    #[inline(always)]
    fn write(&self, packet: &Packet, entry: &Entry, next: &Hop, link: usize) -> Option<()> {
        let (bytes, is_v4) = (self.bytes(), route::is_v4(entry.to));
        frame::link(bytes, next, is_v4)?;
        frame::internet(bytes, link, entry, packet.len)?;
        let (_, ip) = frame::headers(entry, next.vlan);
        let checksum: *mut u16 = bytes.at(link + ip + 6)?;
        // SAFETY: within the frame.
        unsafe { checksum.write_unaligned(frame::checksum(packet, entry)) };
        Some(())
    }
}
