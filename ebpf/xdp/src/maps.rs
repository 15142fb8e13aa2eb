//! What the program and the relay share. Sizes are set when the program is loaded.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, DevMapHash, HashMap, XskMap};
use patchcord_contract::{Entry, Lane, Queue, Settings, Tally, Way};

use crate::ports::MMAPABLE;

/// Flows, by their slots.
#[map]
pub(crate) static ENTRIES: Array<Entry> = Array::with_max_entries(1, MMAPABLE);

/// What was counted of them, by the same.
#[map]
pub(crate) static TALLIES: Array<Tally> = Array::with_max_entries(1, MMAPABLE);

/// Interfaces that packets may leave by, by the index that a route names.
#[map]
pub(crate) static WAYS: HashMap<u32, Way> = HashMap::with_max_entries(64, 0);

/// The same for XDP, by the index of the interface that frames are given to.
#[map]
pub(crate) static DEVICES: DevMapHash = DevMapHash::with_max_entries(64, 0);

/// A number that changes with news of links, routes and neighbours.
#[map]
pub(crate) static NEWS: Array<u32> = Array::with_max_entries(1, 0);

/// The lane of each receive queue that has one.
#[map]
pub(crate) static LANES: HashMap<Queue, Lane> = HashMap::with_max_entries(1, 0);

/// The sockets that lanes lead to.
#[map]
pub(crate) static SOCKETS: XskMap = XskMap::with_max_entries(1, 0);

/// Read-only for the program, so that the verifier removes what they switch off.
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings {
    decline: 0,
    loopback: 1,
    ttl: 64,
    hop_limit: 64,
    lanes: 0,
    zero: [0; 5],
};

/// The settings as they were when the program was loaded.
#[inline(always)]
pub(crate) fn settings() -> Settings {
    // SAFETY: a static; volatile, because its value is replaced after compilation.
    unsafe { core::ptr::read_volatile(&raw const SETTINGS) }
}
