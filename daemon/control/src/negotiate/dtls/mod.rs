//! DTLS-SRTP in offer and answer (RFC 5763 §5, RFC 8122 §5, RFC 8842 §5): fingerprints, roles, and
//! whether what was agreed before goes on.
//!
//! We are an end of both sides' handshakes: neither leg sees the other's fingerprint.

use std::sync::Arc;

use patchcord_wire::ng::security::{Dtls as Wanted, DtlsMode, FingerprintHash};
use patchcord_wire::ng::{Flag, OfferAnswer};
use patchcord_wire::sdp::{self, Fingerprint, HashName, Setup, TlsId, Writer};

use super::draft::Draft;
use crate::call::{Dtls, LegId, Said, Section, Standing};
use crate::dtls::{Identity, Role};

/// Fingerprints of a section that are looked at.
const MOST: usize = 16;

/// Reads what a section says of DTLS; none without a fingerprint that can be used.
pub(super) fn read(section: &sdp::Section<'_, '_>) -> Option<Box<Said>> {
    let lines = section.all_or_inherit::<Fingerprint>();
    let fingerprints: Box<[_]> = lines.take(MOST).filter_map(Result::ok).collect();
    if fingerprints.is_empty() {
        return None;
    }
    let tls_id = section.get_or_inherit::<TlsId<'_>>().and_then(Result::ok);
    Some(Box::new(Said {
        setup: section.get_or_inherit::<Setup>().and_then(Result::ok),
        fingerprints,
        tls_id: tls_id.map(|TlsId(id)| id.into()),
    }))
}

/// Whether DTLS may be used at all, by request and by what there is to show.
pub(super) fn is_possible<P>(draft: &Draft<'_, P>, request: &OfferAnswer<'_>) -> bool {
    request.dtls.mode != DtlsMode::Off && draft.identity.is_some()
}

/// Takes an offered section that is keyed by DTLS; nothing begins before its answer.
pub(super) fn offered<P>(
    draft: &mut Draft<'_, P>,
    request: &OfferAnswer<'_>,
    offerer: LegId,
    index: usize,
    said: &Said,
) {
    let prefers = match request.dtls.mode {
        DtlsMode::Passive => Role::Server,
        DtlsMode::Default if draft.settings.dtls_passive => Role::Server,
        DtlsMode::Default | DtlsMode::Active | DtlsMode::Off => Role::Client,
    };
    let is_new = draft.call.leg(offerer).sections[index].dtls.is_none();
    let Some(dtls) = provide(draft, offerer, index) else {
        return;
    };
    if is_new || dtls.standing == Standing::Idle {
        dtls.standing = Standing::Heard;
    }
    if dtls.standing == Standing::Heard {
        dtls.role = prefers;
        dtls.hash = said.fingerprints[0].hash();
    }
}

/// Offers DTLS to a leg. Who was not asked before may begin at once, which makes us the server.
pub(super) fn offer<P>(draft: &mut Draft<'_, P>, wanted: Wanted, answerer: LegId, index: usize) {
    let is_agreed = draft.call.leg(answerer).sections[index].remote.is_agreed();
    let Some(dtls) = provide(draft, answerer, index) else {
        return;
    };
    if let Some(hash) = wanted.fingerprint {
        dtls.hash = hash_name(hash);
    }
    match dtls.standing {
        Standing::Agreed | Standing::Held | Standing::Offered => {}
        Standing::Heard | Standing::Idle if is_agreed => dtls.standing = Standing::Idle,
        Standing::Heard | Standing::Idle => {
            dtls.standing = Standing::Offered;
            dtls.role = Role::Server;
        }
    }
}

/// A leg does without DTLS, as far as is known yet: what it agreed to stands until the next answer.
pub(super) fn withdraw<P>(draft: &mut Draft<'_, P>, leg: LegId, index: usize) {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    if !section.remote.is_agreed() || section.shares() {
        section.dtls = None;
    }
}

/// Takes the answer of a leg that DTLS was offered to; whether it is keyed by it.
pub(super) fn answered<P>(
    draft: &mut Draft<'_, P>,
    answerer: LegId,
    index: usize,
    said: Option<&Said>,
) -> bool {
    if draft.call.leg(answerer).sections[index].shares() {
        end(draft, answerer, index);
        return said.is_some();
    }
    let Some(dtls) = &mut draft.call.leg_mut(answerer).sections[index].dtls else {
        return false;
    };
    let Some(said) = said else {
        dtls.standing = Standing::Idle;
        return false;
    };
    let role = match said.setup {
        Some(Setup::Active) => Some(Role::Server),
        // Who leaves it out waits (RFC 4145 §4); who leaves it to us waits as well.
        Some(Setup::Passive | Setup::Actpass) | None => Some(Role::Client),
        Some(Setup::Holdconn) => None,
    };
    agree(draft, answerer, index, said, role);
    true
}

/// An offered section is answered: what its offerer said counts from now on.
pub(super) fn accept<P>(
    draft: &mut Draft<'_, P>,
    request: &OfferAnswer<'_>,
    offerer: LegId,
    index: usize,
) {
    let section = &draft.call.leg(offerer).sections[index];
    let Some(dtls) = section.dtls.as_deref() else {
        return;
    };
    let latest = section.remote.latest();
    let Some(said) = latest.and_then(|description| description.dtls.clone()) else {
        return;
    };
    let role = match said.setup {
        Some(Setup::Actpass) => Some(dtls.role),
        Some(Setup::Passive) => Some(Role::Client),
        // Who leaves it out begins (RFC 4145 §4).
        Some(Setup::Active) | None => Some(Role::Server),
        Some(Setup::Holdconn) => None,
    };
    agree(draft, offerer, index, &said, role);
    let section = &mut draft.call.leg_mut(offerer).sections[index];
    if let (Some(hash), Some(dtls)) = (request.dtls.fingerprint, &mut section.dtls) {
        dtls.hash = hash_name(hash);
    }
}

/// Forgets what a leg agreed on, as if the offer to it had just been made.
pub(super) fn reopen(section: &mut Section) {
    if let Some(dtls) = &mut section.dtls {
        dtls.paths.clear();
        dtls.peer = Said::default();
        dtls.standing = Standing::Offered;
        dtls.role = Role::Server;
    }
}

/// A section of a leg is keyed in another way from now on.
pub(super) fn end<P>(draft: &mut Draft<'_, P>, leg: LegId, index: usize) {
    draft.call.leg_mut(leg).sections[index].dtls = None;
}

/// Puts in force what a leg said. Another certificate, another name or another role is another
/// association (RFC 8842 §4); anything else goes on with the one there is.
fn agree<P>(draft: &mut Draft<'_, P>, leg: LegId, index: usize, said: &Said, role: Option<Role>) {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    let Some(dtls) = section.dtls.as_deref_mut() else {
        return;
    };
    let Some(role) = role else {
        dtls.standing = Standing::Held;
        return;
    };
    let stood = matches!(dtls.standing, Standing::Agreed | Standing::Held);
    let knew = !dtls.peer.fingerprints.is_empty();
    if role != dtls.role || (knew && said.differs(&dtls.peer)) {
        dtls.epoch += 1;
        if stood && knew {
            dtls.tls_id = draft.random.tls_id();
        }
    }
    dtls.role = role;
    dtls.standing = Standing::Agreed;
    dtls.peer = said.clone();
}

/// What a section has of DTLS, made if need be.
fn provide<'d, P>(draft: &'d mut Draft<'_, P>, leg: LegId, index: usize) -> Option<&'d mut Dtls> {
    let section = &draft.call.leg(leg).sections[index];
    if section.shares() {
        // The association is that of whose ports they are.
        return None;
    }
    if section.dtls.is_none() {
        let made = new(draft.identity.clone()?, draft.random.tls_id());
        draft.call.leg_mut(leg).sections[index].dtls = Some(Box::new(made));
    }
    draft.call.leg_mut(leg).sections[index].dtls.as_deref_mut()
}

fn new(identity: Arc<Identity>, tls_id: [u8; 32]) -> Dtls {
    Dtls {
        identity,
        hash: HashName::Sha256,
        tls_id,
        standing: Standing::Idle,
        role: Role::Server,
        peer: Said::default(),
        epoch: 1,
        paths: smallvec::SmallVec::new(),
    }
}

/// What the receiver of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    setup: Setup,
    fingerprint: Fingerprint,
    tls_id: Option<[u8; 32]>,
}

impl Shown {
    /// What the receiver of an offer is told.
    pub(super) fn offer(dtls: &Dtls, request: &OfferAnswer<'_>) -> Self {
        Self::new(dtls, Setup::Actpass, !request.flags.has(Flag::NoTlsId))
    }

    /// What the offerer is told.
    pub(super) fn answer(dtls: &Dtls, request: &OfferAnswer<'_>) -> Self {
        let setup = match (dtls.standing, dtls.role) {
            (Standing::Held, _) => Setup::Holdconn,
            (_, Role::Client) => Setup::Active,
            (_, Role::Server) => Setup::Passive,
        };
        let named = dtls.peer.tls_id.is_some() && !request.flags.has(Flag::NoTlsId);
        Self::new(dtls, setup, named)
    }

    fn new(dtls: &Dtls, setup: Setup, named: bool) -> Self {
        Self {
            setup,
            fingerprint: dtls.identity.fingerprint(dtls.hash),
            tls_id: named.then_some(dtls.tls_id),
        }
    }

    /// Writes the lines.
    pub(super) fn write(&self, out: &mut Writer) {
        out.put(&self.setup);
        out.put(&self.fingerprint);
        if let Some(id) = &self.tls_id {
            out.put(&TlsId(id));
        }
    }
}

const fn hash_name(hash: FingerprintHash) -> HashName {
    match hash {
        FingerprintHash::Sha1 => HashName::Sha1,
        FingerprintHash::Sha224 => HashName::Sha224,
        FingerprintHash::Sha256 => HashName::Sha256,
        FingerprintHash::Sha384 => HashName::Sha384,
        FingerprintHash::Sha512 => HashName::Sha512,
    }
}
