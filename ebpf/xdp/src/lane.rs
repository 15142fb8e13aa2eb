//! Packets of media ports that the forwarder does not finish: into the memory of the worker whose port it is, past
//! the kernel's stack, if the socket of the queue that they came in by is that worker's. All others go up.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::programs::XdpContext;
use patchcord_contract::{Endpoint, Port, Queue};

use crate::maps::{LANES, SOCKETS, settings};
use crate::packet::{Bytes, Packet};
use crate::route::{is_v4, words};

/// What becomes of a frame that holds `packet` for `port`.
#[inline(always)]
pub(crate) fn hand_over(context: &XdpContext, bytes: Bytes, packet: &Packet, port: Port) -> u32 {
    attempt(context, bytes, packet, port).unwrap_or(xdp_action::XDP_PASS)
}

#[inline(always)]
fn attempt(context: &XdpContext, bytes: Bytes, packet: &Packet, port: Port) -> Option<u32> {
    if settings().lanes == 0 {
        return None;
    }
    let worker = port.worker.checked_sub(1)?;
    // SAFETY: two words of the program's own context. Each by itself: the verifier knows no read of both at once,
    // which the compiler would make of them.
    let queue = unsafe {
        Queue {
            interface: (&raw const (*context.ctx).ingress_ifindex).read_volatile(),
            queue: (&raw const (*context.ctx).rx_queue_index).read_volatile(),
        }
    };
    // SAFETY: a lane is never changed in place: it goes, and a new one comes.
    let lane = unsafe { LANES.get(&queue) }?;
    let to: [u8; 6] = bytes.read(0)?;
    // What is for another station, or from where nothing may come, is the kernel's to judge (RFC 1122 §3.2.1.3).
    if worker != lane.worker as u32 || to != lane.address || is_odd(packet.source) {
        return None;
    }
    SOCKETS.redirect(lane.socket, 0).ok()
}

/// Whether no packet can come from there, or only one whose answer needs to know by which interface it came.
#[inline(always)]
fn is_odd(source: Endpoint) -> bool {
    let [a, b, c, d] = words(source.addr).map(u32::from_be);
    if is_v4(source) {
        // This network, loopback, groups and what is reserved, the broadcast included.
        let first = d >> 24;
        return first == 0 || first == 127 || first >= 224;
    }
    let is_low = a | b | c == 0;
    // Unspecified, loopback and mapped; link-local; groups.
    is_low || a | b == 0 && c == 0xffff || a >> 22 == 0xfe80 >> 6 || a >> 24 == 0xff
}
