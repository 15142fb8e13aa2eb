//! Once calls stand, a worker allocates nothing: neither for a packet nor for a turn.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};

use crate::rig::{Rig, each};

/// The number of the worker that is watched, which no other test uses.
const WATCHED: u8 = 77;

/// Its thread.
static THREAD: AtomicI32 = AtomicI32::new(0);

/// What it has allocated.
static ALLOCATED: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's allocator, counting for one thread.
struct Counting;

// SAFETY: every call is passed on unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: passed on from the caller.
        unsafe { System.realloc(start, layout, size) }
    }
}

fn count() {
    // SAFETY: `gettid` takes nothing and cannot fail.
    if THREAD.load(Relaxed) != 0 && THREAD.load(Relaxed) == unsafe { libc::gettid() } {
        ALLOCATED.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_worker_allocates_nothing_for_packets() {
    each(|case| {
        let mut config = case.config();
        config.id = WATCHED;
        let mut rig = Rig::with(case, config);
        let (a, b) = (rig.port(), rig.port());
        let (alice, bob) = (case.peer(), case.peer());
        rig.call(&a, alice.addr(), &b, bob.addr());
        let mut n = 0;
        let mut exchange = || {
            alice.rtp(n, a.addr);
            bob.rtp(n, b.addr);
            bob.expect(n, b.addr);
            alice.expect(n, a.addr);
            n += 1;
        };
        rig.twins(2, &mut exchange);
        (0..100).for_each(|_| exchange());
        THREAD.store(thread_of_watched(), Relaxed);
        let before = ALLOCATED.load(Relaxed);
        (0..1000).for_each(|_| exchange());
        let allocated = ALLOCATED.load(Relaxed) - before;
        THREAD.store(0, Relaxed);
        assert_eq!(allocated, 0, "in 2,000 packets");
        rig.stop();
    });
}

fn thread_of_watched() -> i32 {
    let threads = fs::read_dir("/proc/self/task").expect("procfs");
    let named = |entry: &fs::DirEntry| {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        name.trim() == format!("worker-{WATCHED}")
    };
    let thread = threads.flatten().find(named).expect("the worker's thread");
    thread
        .file_name()
        .to_string_lossy()
        .parse()
        .expect("a number")
}
