//! Packet sockets (`packet(7)`): raw transmit past the queueing discipline, and a memory-mapped
//! receive ring (TPACKET_V3) whose blocks change hands through one status word each.

#![expect(unsafe_code, reason = "a memory-mapped ring shared with the kernel")]

use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

/// Bytes of a block: some two hundred frames of a voice call.
const BLOCK: usize = 1 << 16;
/// Blocks in a ring: 32 MiB, a quarter of a second at half a million packets a second.
const BLOCKS: usize = 512;
/// A partly filled block is handed over after this many milliseconds.
const RETIRE_MS: u32 = 1;

// Offsets in `struct tpacket_block_desc` with `struct tpacket_hdr_v1`, <linux/if_packet.h>.
const STATUS: usize = 8;
const PACKETS: usize = 12;
const FIRST: usize = 16;

/// Where and which protocol: an Ethernet device of the current namespace.
#[derive(Clone, Copy)]
pub(crate) struct Tap<'a> {
    /// Device name.
    pub(crate) device: &'a str,
    /// Ethertype to receive: IPv4 or IPv6.
    pub(crate) ethertype: u16,
}

/// A frame in the ring.
pub(crate) struct Frame<'a> {
    /// From the Ethernet header on.
    pub(crate) bytes: &'a [u8],
    /// When the kernel got it, nanoseconds since 1970.
    pub(crate) stamp: u64,
    /// The sender left the transport checksum to the device: only the pseudo header is summed.
    pub(crate) partial_checksum: bool,
}

/// A packet socket for sending only.
pub(crate) fn transmitter(tap: Tap<'_>) -> Result<OwnedFd> {
    let socket = packet_socket()?;
    set(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &1_i32).context("qdisc bypass")?;
    set(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &4_194_304_i32).context("send buffer")?;
    // Protocol 0: receives nothing.
    bind(&socket, tap.device, 0)?;
    Ok(socket)
}

/// A packet socket with a receive ring, and the mapping.
pub(crate) struct Ring {
    socket: OwnedFd,
    map: NonNull<u8>,
    next: usize,
}

impl Ring {
    /// Opens a ring on what arrives at the device; what leaves it is not seen.
    pub(crate) fn open(tap: Tap<'_>) -> Result<Self> {
        let socket = packet_socket()?;
        let version = libc::tpacket_versions::TPACKET_V3 as i32;
        set(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version).context("TPACKET_V3")?;
        let ring = libc::tpacket_req3 {
            tp_block_size: BLOCK as u32,
            tp_block_nr: BLOCKS as u32,
            tp_frame_size: 2048,
            tp_frame_nr: (BLOCK / 2048 * BLOCKS) as u32,
            tp_retire_blk_tov: RETIRE_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &ring).context("receive ring")?;
        let map = map_ring(&socket).context("mapping the receive ring")?;
        let ring = Self {
            socket,
            map,
            next: 0,
        };
        bind(&ring.socket, tap.device, tap.ethertype)?;
        Ok(ring)
    }

    /// Shows every frame that is there to `see` and gives the blocks back.
    pub(crate) fn take(&mut self, mut see: impl FnMut(Frame<'_>)) -> usize {
        let mut seen = 0;
        for _ in 0..BLOCKS {
            let Some(count) = self.block(&mut see) else {
                break;
            };
            seen += count;
        }
        seen
    }

    /// Handles the next block if the kernel has handed it over.
    fn block(&mut self, see: &mut impl FnMut(Frame<'_>)) -> Option<usize> {
        // SAFETY: `next` is below BLOCKS, so the block lies within the mapping of BLOCK * BLOCKS bytes.
        let base = unsafe { self.map.add(self.next * BLOCK) };
        // SAFETY: the offset is within the block.
        let status = unsafe { base.add(STATUS) }.cast::<AtomicU32>();
        // SAFETY: the status word is 4-aligned inside the block and is only ever accessed atomically
        // on this side; the mapping outlives the borrow of self.
        let status = unsafe { status.as_ref() };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // The slice starts behind the status word, so that it does not overlap the atomic.
        // SAFETY: the offset is within the block.
        let rest = unsafe { base.add(PACKETS) };
        // SAFETY: TP_STATUS_USER hands the whole block to us until the status is stored back below;
        // the kernel does not write it meanwhile, and the slice's last use is before that store.
        let bytes = unsafe { std::slice::from_raw_parts(rest.as_ptr(), BLOCK - PACKETS) };
        let seen = walk(bytes, see);
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % BLOCKS;
        Some(seen)
    }

    /// Frames that found the ring full since the last call: loss of the generator, not of the relay.
    pub(crate) fn overruns(&self) -> u32 {
        let mut stats = libc::tpacket_stats_v3 {
            tp_packets: 0,
            tp_drops: 0,
            tp_freeze_q_cnt: 0,
        };
        let mut len = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
        // SAFETY: `stats` is writable and `len` holds its size.
        let done = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut len,
            )
        };
        if done == 0 { stats.tp_drops } else { 0 }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length and nothing borrows it: `&mut self` is unique.
        unsafe { libc::munmap(self.map.as_ptr().cast(), BLOCK * BLOCKS) };
    }
}

/// Goes through the frames of a block; `bytes` begins at the block's packet count.
fn walk(bytes: &[u8], see: &mut impl FnMut(Frame<'_>)) -> usize {
    let word =
        |at: usize| -> Option<u32> { Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?)) };
    let count = word(0).unwrap_or(0) as usize;
    let mut at = (word(FIRST - PACKETS).unwrap_or(0) as usize).wrapping_sub(PACKETS);
    for _ in 0..count {
        // struct tpacket3_hdr: next offset, sec, nsec, captured length, length, status, mac, net.
        let header = (|| {
            let mac = word(at + 24)? & 0xffff;
            let frame = bytes
                .get(at + mac as usize..)?
                .get(..word(at + 12)? as usize)?;
            let stamp = u64::from(word(at + 4)?) * 1_000_000_000 + u64::from(word(at + 8)?);
            Some((word(at)? as usize, frame, stamp, word(at + 20)?))
        })();
        let Some((next, frame, stamp, status)) = header else {
            break;
        };
        let partial_checksum = status & libc::TP_STATUS_CSUMNOTREADY != 0;
        see(Frame {
            bytes: frame,
            stamp,
            partial_checksum,
        });
        at += next;
    }
    count
}

fn packet_socket() -> Result<OwnedFd> {
    // SAFETY: socket takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    ensure!(
        fd >= 0,
        "packet socket (needs CAP_NET_RAW): {}",
        io::Error::last_os_error()
    );
    // SAFETY: the descriptor is open, new, and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn set<T>(socket: &OwnedFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    // SAFETY: `value` is readable for the length given and the call keeps no pointer.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const *value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn bind(socket: &OwnedFd, device: &str, ethertype: u16) -> Result<()> {
    let name = CString::new(device).context("device name")?;
    // SAFETY: `name` is a terminated string that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    ensure!(
        index != 0,
        "no network device {device}: {}",
        io::Error::last_os_error()
    );
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: i32::try_from(index).context("device index")?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: `address` is a sockaddr_ll, readable for `len` bytes during the call.
    let done = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) };
    ensure!(
        done == 0,
        "binding to {device}: {}",
        io::Error::last_os_error()
    );
    Ok(())
}

fn map_ring(socket: &OwnedFd) -> io::Result<NonNull<u8>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
    let fd: RawFd = socket.as_raw_fd();
    // SAFETY: a new mapping at an address of the kernel's choice; it touches no memory of ours.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), BLOCK * BLOCKS, access, flags, fd, 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(at.cast()).ok_or_else(|| io::Error::other("mapped at null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_with_lying_offsets_ends_the_walk() {
        let mut block = vec![0_u8; 256];
        block[0] = 3; // three packets
        block[FIRST - PACKETS] = 60; // the first 60 bytes into the block
        let at = 60 - PACKETS;
        block[at] = 80; // the second 80 bytes on
        block[at + 12] = 4; // four bytes captured
        block[at + 24] = 32; // 32 bytes into the packet
        block[at + 32..at + 36].copy_from_slice(b"abcd");
        block[at + 80 + 12..at + 80 + 16].copy_from_slice(&u32::MAX.to_ne_bytes());
        let mut seen = Vec::new();
        walk(&block, &mut |f| seen.push(f.bytes.to_vec()));
        assert_eq!(seen, [b"abcd".to_vec()]);
    }
}
