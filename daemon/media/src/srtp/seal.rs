//! Sealing packets in batches: each gets its index as it comes, ciphers and digests are made for all of
//! them side by side.

use patchcord_cipher::{CtrJob, MacJob, Tier, apply, authenticate};
use patchcord_contract::{Reason, Time};
use smallvec::SmallVec;

use super::form::{Head, WORD};
use super::half::Identity;
use super::kdf::Cipher;
use super::open::cipher;
use super::send::Sender;
use super::{Contexts, Protocol};
use crate::flow::PortId;
use crate::packet::Packet;

/// Packets that are sealed together; a longer batch is cut.
const TOGETHER: usize = 64;

/// A packet's place under its key: which one it is, and where its clear header ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assigned {
    head: Head,
    identity: Identity,
    /// Bytes that sealing will add.
    pub(crate) overhead: usize,
}

/// A packet to be sealed in place.
#[derive(Debug)]
pub struct Sealing<'a, 'p> {
    port: PortId,
    protocol: Protocol,
    packet: &'a mut Packet<'p>,
    assigned: Assigned,
}

impl<'a, 'p> Sealing<'a, 'p> {
    /// Gives a packet that is to leave from `port` its place under the key of `sender`.
    pub fn new(
        now: Time,
        sender: &mut Sender,
        port: PortId,
        protocol: Protocol,
        packet: &'a mut Packet<'p>,
    ) -> Result<Self, Reason> {
        let assigned = assign(now, sender, protocol, packet.bytes(), packet.room())?;
        Ok(Self::assigned(port, protocol, packet, assigned))
    }

    /// A packet that has its place.
    pub(crate) const fn assigned(
        port: PortId,
        protocol: Protocol,
        packet: &'a mut Packet<'p>,
        assigned: Assigned,
    ) -> Self {
        Self {
            port,
            protocol,
            packet,
            assigned,
        }
    }

    /// The packet.
    pub(crate) fn packet(&self) -> &[u8] {
        self.packet.bytes()
    }
}

/// Gives a packet its place under the key of `sender`; there are `room` bytes behind it.
pub(crate) fn assign(
    now: Time,
    sender: &mut Sender,
    protocol: Protocol,
    packet: &[u8],
    room: usize,
) -> Result<Assigned, Reason> {
    let (head, identity) = sender.assign(now, protocol, packet, room)?;
    Ok(Assigned {
        head,
        identity,
        overhead: sender.half(protocol).form.overhead(),
    })
}

/// Gives a packet that was opened under an equal key the place that it had: what leaves is what came.
pub(crate) fn reassign(
    now: Time,
    sender: &mut Sender,
    protocol: Protocol,
    packet: &[u8],
    room: usize,
    identity: Identity,
) -> Result<Assigned, Reason> {
    let overhead = sender.half(protocol).form.overhead();
    if overhead > room {
        return Err(Reason::SrtpRoom);
    }
    let head = super::form::head(protocol, packet, packet.len())?;
    sender.pass(now, protocol, identity);
    Ok(Assigned {
        head,
        identity,
        overhead,
    })
}

/// Seals the packets.
pub fn seal<C>(tier: Tier, contexts: &C, jobs: &mut [Sealing<'_, '_>])
where
    C: Contexts<Sender> + ?Sized,
{
    for jobs in jobs.chunks_mut(TOGETHER) {
        encrypt(contexts, jobs);
        digest(tier, contexts, jobs);
    }
}

/// Lengthens the packets, writes what they carry in the clear, and encrypts them.
fn encrypt<C>(contexts: &C, jobs: &mut [Sealing<'_, '_>])
where
    C: Contexts<Sender> + ?Sized,
{
    let mut ctrs: SmallVec<[CtrJob<'_>; TOGETHER]> = SmallVec::new();
    for job in jobs {
        let Some(sender) = contexts.context(job.port) else {
            continue;
        };
        let half = sender.half(job.protocol);
        let Assigned { head, identity, .. } = job.assigned;
        let parts = half.form.parts(job.packet.len());
        job.packet.lengthen(half.form.overhead());
        let packet = job.packet.bytes_mut();
        if let Some(mki) = sender.keys().mki() {
            packet[parts.mki..parts.mki + mki.len()].copy_from_slice(mki);
        }
        if matches!(half.session.cipher, Cipher::Gcm(_)) {
            half.seal_aead(packet, &head, &parts, identity);
        }
        if job.protocol == Protocol::Rtcp {
            packet[parts.word..parts.word + WORD].copy_from_slice(&identity.word().to_be_bytes());
        }
        if identity.is_encrypted {
            let packet = &mut packet[..parts.body];
            ctrs.extend(cipher(half, job.protocol, packet, head.clear, identity));
        }
    }
    apply(&mut ctrs);
}

/// Writes the tags.
fn digest<C>(tier: Tier, contexts: &C, jobs: &mut [Sealing<'_, '_>])
where
    C: Contexts<Sender> + ?Sized,
{
    let mut macs: SmallVec<[MacJob<'_>; TOGETHER]> = SmallVec::new();
    let mut tags: SmallVec<[(u8, usize, usize); TOGETHER]> = SmallVec::new();
    for (at, job) in jobs.iter().enumerate() {
        let Some(sender) = contexts.context(job.port) else {
            continue;
        };
        let form = &sender.half(job.protocol).form;
        let parts = form.parts(job.packet.len() - form.overhead());
        let half = sender.half(job.protocol);
        if let Some(mac) = half.mac_job(job.packet.bytes(), &parts, job.assigned.identity.index) {
            macs.push(mac);
            tags.push((at as u8, parts.tag, form.tag));
        }
    }
    authenticate(tier, &mut macs);
    let digests: SmallVec<[_; TOGETHER]> = macs.iter().map(|mac| mac.digest).collect();
    drop(macs);
    for (digest, (at, tag, len)) in digests.iter().zip(tags) {
        let packet = jobs[usize::from(at)].packet.bytes_mut();
        packet[tag..tag + len].copy_from_slice(&digest[..len]);
    }
}
