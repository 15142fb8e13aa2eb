//! What is at a local endpoint, found by number: an address has a place, and its port a number there.

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use patchcord_contract::{Addr, Endpoint, Locals, Port};

/// The kernel's `BPF_F_MMAPABLE`: the relay reads and writes without a system call.
pub(crate) const MMAPABLE: u32 = 1 << 10;

/// The addresses that ports are at.
#[map]
static LOCALS: Array<Locals> = Array::with_max_entries(1, MMAPABLE);

/// What is at each local address and port, as [`Locals::number`] puts them. Sized when the program is loaded.
#[map]
static PORTS: Array<Port> = Array::with_max_entries(1, MMAPABLE);

/// What is at a local endpoint, if anything ever was at its address. Whoever finds a slot there reads an entry that
/// does not change: it is used again only long after it is not found any more.
#[inline(always)]
pub(crate) fn port(local: Endpoint) -> Option<Port> {
    let port = PORTS.get_ptr(Locals::number(place(local.addr)?, local.port))?;
    // SAFETY: the map's memory, of which either half is an aligned integer and read at once.
    unsafe {
        Some(Port {
            slot: (&raw const (*port).slot).read_volatile(),
            worker: (&raw const (*port).worker).read_volatile(),
        })
    }
}

/// The place of a local address.
#[inline(always)]
fn place(addr: Addr) -> Option<u32> {
    let locals = LOCALS.get_ptr(0)?;
    let wanted = halves(addr);
    for place in 0..Locals::MOST {
        // SAFETY: within the map's memory, which the relay only adds to; half of a new one is nobody's address.
        let known = unsafe { (&raw const (*locals).0[place]).cast::<[u64; 2]>().read_volatile() };
        if known == wanted {
            return Some(place as u32);
        }
        if known == [0; 2] {
            return None;
        }
    }
    None
}

/// The halves of an address as they lie in memory.
#[inline(always)]
pub(crate) fn halves(addr: Addr) -> [u64; 2] {
    let (chunks, _) = addr.0.as_chunks::<8>();
    let mut halves = [0; 2];
    for (half, chunk) in halves.iter_mut().zip(chunks) {
        *half = u64::from_ne_bytes(*chunk);
    }
    halves
}
