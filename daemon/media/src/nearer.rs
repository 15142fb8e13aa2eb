//! Asks for the memory that a batch of packets will need, before the first of them needs it.
//!
//! A call's state is cold when its packet comes, and what it leads to is found only through it. So the
//! batch is gone through level by level, and the misses of one level wait for each other's end together
//! instead of one packet's after another's.

use patchcord_cipher::prefetch as ask;

use crate::packet::Rx;
use crate::stats::SSRCS;
use crate::table::{Flow, Guard, Route, Table};

/// Asks for what these packets need, beyond the flows they arrive at.
#[inline]
pub(crate) fn prefetch(table: &Table, chunk: &[Rx<'_>]) {
    let flows = || chunk.iter().filter_map(|rx| table.get(rx.port));
    let mut has_keys = false;
    for flow in flows() {
        let stats = &*flow.stats;
        ask(&stats.last_packet);
        ask(&stats.ssrcs[usize::from(flow.recent) % SSRCS].last_seq);
        if flow.receive == Guard::Srtp {
            ask(&flow.cold.receiver);
            has_keys = true;
        }
        if let Some(far) = far(table, flow) {
            ask(&far.peer);
        }
    }
    for flow in flows() {
        if let Some(far) = far(table, flow) {
            ask(&far.stats.rtp_out);
            if far.peer.guard == Guard::Srtp {
                ask(&far.cold.sender);
                has_keys = true;
            }
        }
    }
    if has_keys {
        keys(table, chunk);
    }
}

/// Asks for the keys.
#[cold]
fn keys(table: &Table, chunk: &[Rx<'_>]) {
    for flow in chunk.iter().filter_map(|rx| table.get(rx.port)) {
        if let Some(receiver) = &flow.cold.receiver {
            receiver.prefetch();
        }
        if let Some(sender) = far(table, flow).and_then(|far| far.cold.sender.as_ref()) {
            sender.prefetch();
        }
    }
}

/// Where what arrives leaves from, if it is one port.
#[inline]
fn far<'t>(table: &'t Table, flow: &Flow) -> Option<&'t Flow> {
    match flow.rtp {
        Route::One(sink) => table.get(sink.via),
        Route::Nowhere | Route::Fan => None,
    }
}
