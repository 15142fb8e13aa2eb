//! Opening packets in batches: digests side by side, decisions in order of arrival, ciphers side by
//! side.

use patchcord_cipher::{CtrJob, DIGEST, MacJob, Tier, apply, authenticate};
use patchcord_contract::{Reason, Time};
use smallvec::SmallVec;

use super::half::{Half, Identity};
use super::kdf::Cipher;
use super::receive::{Reading, Receiver};
use super::{Contexts, Protocol, vector};
use crate::flow::PortId;
use crate::packet::Packet;

/// Packets that are opened together; a longer batch is cut.
const TOGETHER: usize = 64;

/// A packet to be opened in place.
#[derive(Debug)]
pub struct Opening<'a, 'p> {
    port: PortId,
    protocol: Protocol,
    packet: &'a mut Packet<'p>,
    /// It is to be verified only, and left as it is.
    keeps: bool,
    outcome: Result<Identity, Reason>,
}

impl<'a, 'p> Opening<'a, 'p> {
    /// A packet of `protocol` that arrived at `port`.
    pub const fn new(port: PortId, protocol: Protocol, packet: &'a mut Packet<'p>) -> Self {
        Self {
            port,
            protocol,
            packet,
            keeps: false,
            outcome: Err(Reason::SrtpAuth),
        }
    }

    /// The same, to be verified only and left as it is; an AEAD packet is opened all the same.
    pub(crate) const fn keeping(self) -> Self {
        Self {
            keeps: true,
            ..self
        }
    }

    /// Where it arrived.
    pub(crate) const fn port(&self) -> PortId {
        self.port
    }

    /// Whether the packet was taken, and if not, why. One that was not stays as it was.
    pub fn outcome(&self) -> Result<(), Reason> {
        self.outcome.map(|_| ())
    }

    /// Which packet it is under its key.
    pub(crate) const fn identity(&self) -> Result<Identity, Reason> {
        self.outcome
    }
}

/// What is known of a job before its turn.
struct Plan {
    reading: Reading,
    /// The index that a digest is made for.
    index: Option<u64>,
    digest: [u8; DIGEST],
}

/// Opens the packets, in their order.
pub fn open<C>(now: Time, tier: Tier, contexts: &mut C, jobs: &mut [Opening<'_, '_>])
where
    C: Contexts<Receiver> + ?Sized,
{
    for jobs in jobs.chunks_mut(TOGETHER) {
        let mut plans: SmallVec<[Option<Plan>; TOGETHER]> = jobs
            .iter_mut()
            .map(|job| plan(now, contexts, job))
            .collect();
        digest(tier, contexts, jobs, &mut plans);
        for (job, plan) in jobs.iter_mut().zip(&plans) {
            decide(now, contexts, job, plan.as_ref());
        }
        decrypt(contexts, jobs, &plans);
    }
}

/// Splits the packet up and guesses its index. What cannot be a packet of this key ends here.
fn plan<C>(now: Time, contexts: &C, job: &mut Opening<'_, '_>) -> Option<Plan>
where
    C: Contexts<Receiver> + ?Sized,
{
    let receiver = contexts.context(job.port)?;
    match receiver.read(job.protocol, job.packet.bytes()) {
        Ok(reading) => {
            let guess = receiver.guess(now, job.protocol, &reading);
            Some(Plan {
                reading,
                index: guess.verdict.is_ok().then_some(guess.identity.index),
                digest: [0; DIGEST],
            })
        }
        Err(reason) => {
            job.outcome = Err(reason);
            None
        }
    }
}

/// Makes the digests for all guesses at once.
fn digest<C>(tier: Tier, contexts: &C, jobs: &[Opening<'_, '_>], plans: &mut [Option<Plan>])
where
    C: Contexts<Receiver> + ?Sized,
{
    let mut macs: SmallVec<[MacJob<'_>; TOGETHER]> = SmallVec::new();
    let mut owners: SmallVec<[u8; TOGETHER]> = SmallVec::new();
    for (at, (job, plan)) in jobs.iter().zip(plans.iter_mut()).enumerate() {
        let Some(plan) = plan else { continue };
        let Some(index) = plan.index.take() else {
            continue;
        };
        let Some(receiver) = contexts.context(job.port) else {
            continue;
        };
        let half = receiver.half(job.protocol);
        if let Some(mac) = half.mac_job(job.packet.bytes(), &plan.reading.parts, index) {
            plan.index = Some(index);
            macs.push(mac);
            owners.push(at as u8);
        }
    }
    authenticate(tier, &mut macs);
    for (mac, owner) in macs.iter().zip(owners) {
        if let Some(plan) = &mut plans[usize::from(owner)] {
            plan.digest = mac.digest;
        }
    }
}

/// Takes the packet or refuses it.
fn decide<C>(now: Time, contexts: &mut C, job: &mut Opening<'_, '_>, plan: Option<&Plan>)
where
    C: Contexts<Receiver> + ?Sized,
{
    let Some(receiver) = contexts.context_mut(job.port) else {
        job.outcome = Err(Reason::NoKeys);
        return;
    };
    if let Some(plan) = plan {
        let made = plan.index.map(|index| (index, plan.digest));
        let packet = job.packet.bytes_mut();
        job.outcome = receiver.take(now, job.protocol, packet, &plan.reading, made);
    }
    if let Err(reason) = job.outcome {
        receiver.refuse(job.protocol, job.packet.bytes(), reason);
    }
}

/// Decrypts what was taken, and cuts off what protected it.
fn decrypt<C>(contexts: &C, jobs: &mut [Opening<'_, '_>], plans: &[Option<Plan>])
where
    C: Contexts<Receiver> + ?Sized,
{
    let mut ctrs: SmallVec<[CtrJob<'_>; TOGETHER]> = SmallVec::new();
    for (job, plan) in jobs.iter_mut().zip(plans) {
        let (Ok(identity), Some(plan)) = (job.outcome, plan) else {
            continue;
        };
        let Some(receiver) = contexts.context(job.port) else {
            continue;
        };
        let half = receiver.half(job.protocol);
        if job.keeps && !matches!(half.session.cipher, Cipher::Gcm(_)) {
            continue;
        }
        let Reading { head, parts, .. } = &plan.reading;
        job.packet.truncate(parts.body);
        if identity.is_encrypted {
            let packet = job.packet.bytes_mut();
            ctrs.extend(cipher(half, job.protocol, packet, head.clear, identity));
        }
    }
    apply(&mut ctrs);
}

/// Encrypts or decrypts what is behind `clear`: later, with others, or at once if there is nothing to
/// gain by waiting. An AEAD has done it already, or does it with its tag.
pub(super) fn cipher<'a>(
    half: &'a Half,
    protocol: Protocol,
    packet: &'a mut [u8],
    clear: usize,
    identity: Identity,
) -> Option<CtrJob<'a>> {
    let salt = &half.session.salt.0;
    match &half.session.cipher {
        Cipher::Null | Cipher::Gcm(_) => None,
        Cipher::Counter(key) => Some(CtrJob {
            key,
            iv: vector::counter(salt, identity.ssrc, identity.index),
            data: &mut packet[clear..],
        }),
        Cipher::F8(f8) => {
            let iv = vector::f8(protocol, packet, identity.index, identity.word());
            vector::apply_f8(&f8.key, &f8.masked, iv, &mut packet[clear..]);
            None
        }
    }
}
