//! The agent: its sections, its role, and what its owner says to it.

use patchcord_contract::{Endpoint, Time};
use rand_chacha::rand_core::CryptoRng;

use super::candidate::{Fate, Local};
use super::checklist::{Checklist, Generation, Outcome, Rtcp, foundation};
use super::session::{Session, Trickle};
use super::{
    Announced, Candidate, Component, Credentials, ListId, LocalId, Output, Place, Selected,
};

/// One leg's connectivity.
#[derive(Clone, Debug)]
pub struct Agent {
    pub(super) mode: Mode,
    pub(super) peer: Mode,
    pub(super) role: Role,
    pub(super) tie: u64,
    pub(super) locals: Vec<Local>,
    pub(super) lists: Vec<Checklist>,
    /// When the next new check may be sent.
    pub(super) pace: Time,
    /// The section whose turn it is.
    pub(super) turn: usize,
    pub(super) disbelieved: u64,
}

/// How much of ICE an agent does (RFC 8445 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Checks.
    Full,
    /// Answers checks.
    Lite,
}

/// Who nominates (RFC 8445 §6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This side.
    Controlling,
    /// The other.
    Controlled,
}

impl Role {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }
}

/// What an agent works with while something happens.
pub(super) struct Turn<'a> {
    pub(super) now: Time,
    pub(super) random: &'a mut dyn CryptoRng,
    pub(super) out: &'a mut Output,
}

impl Agent {
    /// An agent without sections. Who makes the first offer is controlling, unless the peer turns out
    /// to be lite.
    pub fn new(mode: Mode, role: Role, random: &mut dyn CryptoRng) -> Self {
        Self {
            mode,
            peer: Mode::Full,
            role,
            tie: random.next_u64(),
            locals: Vec::new(),
            lists: Vec::new(),
            pace: Time::ZERO,
            turn: 0,
            disbelieved: 0,
        }
    }

    /// A further section with credentials of its own.
    pub fn add_list(&mut self, random: &mut dyn CryptoRng) -> ListId {
        let id = u16::try_from(self.lists.len());
        let id = id.expect("an owner keeps to a few hundred sections");
        let ours = Credentials::draw(random);
        self.lists.push(Checklist::new(ours, Rtcp::Muxed));
        ListId(id)
    }

    /// A further local candidate. The first of component 2 gives the section that component.
    pub fn add_local(&mut self, list: ListId, component: Component, place: Place) -> LocalId {
        let at = self.vacancy();
        let id = LocalId(u16::try_from(at).expect("an agent has fewer ports than there are"));
        let local = Local {
            list,
            component,
            place,
            foundation: foundation(&self.locals, &place),
            fate: Fate::Alive,
        };
        if at == self.locals.len() {
            self.locals.push(local);
        } else {
            self.locals[at] = local;
        }
        let role = self.role;
        let checklist = self.list_mut(list);
        if component == Component::Rtcp {
            checklist.rtcp = Rtcp::Separate;
        }
        checklist.current.meet(id, &local, role);
        id
    }

    /// Where a new local candidate is kept: in the place of one that is gone and in no pair, if any.
    fn vacancy(&self) -> usize {
        let sessions = || self.lists.iter().flat_map(Checklist::sessions);
        let is_used = |id: LocalId| {
            sessions().any(|session| {
                let mut pairs = session.pairs.iter();
                pairs.any(|p| p.local == id) || session.early.iter().any(|e| e.local == id)
            })
        };
        let vacant = |(at, local): &(usize, &Local)| {
            local.fate == Fate::Retired && !is_used(LocalId(*at as u16))
        };
        let mut locals = self.locals.iter().enumerate();
        locals.find(vacant).map_or(self.locals.len(), |(at, _)| at)
    }

    /// A section begins as if it were new: nothing is known of the peer, nothing is in use.
    pub fn reset(&mut self, list: ListId, random: &mut dyn CryptoRng, out: &mut Output) {
        let ours = Credentials::draw(random);
        let checklist = self.list_mut(list);
        checklist.current = Session::new(ours);
        checklist.previous = None;
        checklist.outcome = Outcome::Open;
        self.report(out);
    }

    /// A section of a further answerer: our credentials are those that the offer named.
    pub fn adopt(&mut self, list: ListId, ours: Credentials) {
        self.list_mut(list).current.ours = ours;
    }

    /// Another peer answered the offer that our credentials were in: it takes the first one's place.
    pub fn replace_peer(&mut self, list: ListId) {
        let ours = self.list(list).current.ours.clone();
        self.list_mut(list).restart(ours);
        self.meet_all(list);
    }

    fn meet_all(&mut self, list: ListId) {
        let ListId(at) = list;
        let session = &mut self.lists[usize::from(at)].current;
        for (at, local) in self.locals.iter().enumerate() {
            if local.list == list {
                session.meet(LocalId(at as u16), local, self.role);
            }
        }
    }

    /// A local candidate is gone: nothing is sent from there, nothing is heard there.
    pub fn retire(&mut self, id: LocalId, out: &mut Output) {
        let local = &mut self.locals[usize::from(id.0)];
        local.fate = Fate::Retired;
        let list = local.list;
        self.list_mut(list).forget(id);
        self.report(out);
    }

    /// RTCP is muxed: component 2 is given up.
    pub fn mux(&mut self, list: ListId, out: &mut Output) {
        self.list_mut(list).rtcp = Rtcp::Muxed;
        for at in 0..self.locals.len() {
            let local = &mut self.locals[at];
            if (local.list, local.component) == (list, Component::Rtcp) {
                local.fate = Fate::Retired;
                self.list_mut(list).forget(LocalId(at as u16));
            }
        }
        self.report(out);
    }

    /// The peer said whether it is lite. Of a full and a lite agent the full one controls.
    pub fn set_peer(&mut self, peer: Mode) {
        self.peer = peer;
        match (self.mode, peer) {
            (Mode::Full, Mode::Lite) => self.take_role(Role::Controlling),
            (Mode::Lite, Mode::Full) => self.take_role(Role::Controlled),
            (Mode::Full, Mode::Full) | (Mode::Lite, Mode::Lite) => {}
        }
    }

    /// Whether these are other credentials than the peer's known ones: then it restarts (RFC 8445 §9).
    pub fn is_restart(&self, list: ListId, ufrag: &[u8], pwd: &[u8]) -> bool {
        let known = &self.list(list).current.theirs;
        known
            .as_ref()
            .is_some_and(|known| (known.ufrag(), known.pwd()) != (ufrag, pwd))
    }

    /// Begins anew with other credentials of ours; media goes on by the pair in use.
    pub fn restart(&mut self, list: ListId, random: &mut dyn CryptoRng) {
        let ours = Credentials::draw(random);
        self.list_mut(list).restart(ours);
        self.meet_all(list);
    }

    /// The peer's credentials. Checks that came before them are taken up now.
    pub fn describe(
        &mut self,
        now: Time,
        list: ListId,
        ufrag: &[u8],
        pwd: &[u8],
        random: &mut dyn CryptoRng,
        out: &mut Output,
    ) {
        let session = &mut self.list_mut(list).current;
        if session.theirs.is_some() {
            return;
        }
        session.theirs = Some(Credentials::new(ufrag, pwd));
        session.started = Some(now);
        let mut turn = Turn { now, random, out };
        for early in std::mem::take(&mut session.early) {
            if *early.ufrag == *ufrag {
                self.heard(&mut turn, Generation::Current, &early);
            }
        }
        self.drive(&mut turn);
    }

    /// The peer cannot answer yet: what it said is an offer that rings. Nothing fails meanwhile.
    pub fn hold(&mut self, list: ListId) {
        self.list_mut(list).current.started = None;
    }

    /// The peer has its answer, and can be expected from now on.
    pub fn expect(&mut self, now: Time, list: ListId) {
        self.list_mut(list).current.started.get_or_insert(now);
    }

    /// A candidate of the peer. Those beyond [`super::MAX_REMOTES`] are not taken.
    pub fn add_remote(
        &mut self,
        now: Time,
        list: ListId,
        candidate: Candidate,
        random: &mut dyn CryptoRng,
        out: &mut Output,
    ) {
        let ListId(at) = list;
        let session = &mut self.lists[usize::from(at)].current;
        session.name(candidate, &self.locals, list, self.role);
        self.drive(&mut Turn { now, random, out });
    }

    /// The peer has no further candidates (RFC 8838 §8.2).
    pub fn end_of_candidates(&mut self, list: ListId) {
        self.list_mut(list).current.trickle = Trickle::Ended;
    }

    /// Time has come that [`Self::next`] said.
    pub fn tick(&mut self, now: Time, random: &mut dyn CryptoRng, out: &mut Output) {
        self.drive(&mut Turn { now, random, out });
    }

    /// Our candidates for a section, those that SDP has to say.
    pub fn candidates(&self, list: ListId) -> impl Iterator<Item = Announced> {
        let locals = self.locals.iter().enumerate();
        let alive = locals.filter(move |(_, l)| l.list == list && l.fate == Fate::Alive);
        alive.map(|(at, local)| Announced {
            id: LocalId(at as u16),
            foundation: local.foundation,
            component: local.component,
            priority: local.priority(),
            place: local.place,
        })
    }

    /// Whether every component of a section has a nominated pair.
    pub fn is_connected(&self, list: ListId) -> bool {
        self.list(list).is_connected()
    }

    /// Our credentials for a section, those that SDP has to say.
    pub fn credentials(&self, list: ListId) -> &Credentials {
        &self.list(list).current.ours
    }

    /// The peer's credentials for a section.
    pub fn peer_credentials(&self, list: ListId) -> Option<&Credentials> {
        self.list(list).current.theirs.as_ref()
    }

    /// The way that a component's packets go.
    pub fn selected(&self, list: ListId, component: Component) -> Option<Selected> {
        self.list(list).selected(component)
    }

    /// Sources whose packets at a local candidate are the peer's: they checked us with our password,
    /// or answered a check with theirs.
    pub fn admitted(&self, local: LocalId) -> impl Iterator<Item = Endpoint> {
        let list = self.list(self.locals[usize::from(local.0)].list);
        let pairs = list.sessions().flat_map(|session| &session.pairs);
        let proven = pairs
            .filter(move |pair| pair.local == local)
            .filter(|pair| pair.heard.is_some() || pair.proven.is_some())
            .map(|pair| pair.remote);
        let early = list.sessions().flat_map(|session| &session.early);
        let early = early.filter(move |early| early.local == local);
        proven.chain(early.map(|early| early.source))
    }

    /// The mode of this side.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The role of this side.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Datagrams that changed nothing: malformed, forged, or late.
    pub const fn disbelieved(&self) -> u64 {
        self.disbelieved
    }

    pub(super) fn list(&self, ListId(id): ListId) -> &Checklist {
        &self.lists[usize::from(id)]
    }

    pub(super) fn list_mut(&mut self, ListId(id): ListId) -> &mut Checklist {
        &mut self.lists[usize::from(id)]
    }

    pub(super) fn report(&mut self, out: &mut Output) {
        for (at, list) in self.lists.iter_mut().enumerate() {
            list.report(ListId(at as u16), out);
        }
    }

    /// Takes a role; nominations made in the other one are void.
    pub(super) fn take_role(&mut self, role: Role) {
        if role == self.role {
            return;
        }
        self.role = role;
        let sessions = self.lists.iter_mut().flat_map(Checklist::sessions_mut);
        for session in sessions {
            session.forget_nominations();
        }
    }
}
