//! An association and, while it is being restarted, its successor (RFC 8842 §5.1): keys stay in use
//! until others are there.

use patchcord_contract::Time;
use patchcord_wire::sdp::Fingerprint;

use crate::association::{Association, Options, Output, State, Status};
use crate::sieve::is_plain;

/// An association with a number by which news of it is told from news of its successor.
struct Numbered {
    generation: u32,
    association: Association,
}

/// One or two associations on one path.
pub struct Succession {
    standing: Numbered,
    rising: Option<Numbered>,
}

impl Succession {
    /// With a first association.
    pub fn new(generation: u32, options: Options, fingerprints: &[Fingerprint]) -> Self {
        let association = Association::new(options, fingerprints);
        Self {
            standing: Numbered {
                generation,
                association,
            },
            rising: None,
        }
    }

    /// Begins anew. What stands goes on until its successor is connected; what does not stand yet,
    /// or no more, is given up at once, as is an unfinished successor.
    pub fn restart(&mut self, generation: u32, options: Options, fingerprints: &[Fingerprint]) {
        let next = Numbered {
            generation,
            association: Association::new(options, fingerprints),
        };
        if matches!(self.standing.association.state(), State::Connected { .. }) {
            self.rising = Some(next);
        } else {
            self.standing = next;
            self.rising = None;
        }
    }

    fn newest(&mut self) -> &mut Association {
        &mut self
            .rising
            .as_mut()
            .unwrap_or(&mut self.standing)
            .association
    }

    /// See [`Association::start`]; of the newest.
    pub fn start(&mut self, now: Time) {
        self.newest().start(now);
    }

    /// See [`Association::expect`]; of the newest.
    pub fn expect(&mut self, now: Time, fingerprints: &[Fingerprint]) {
        self.newest().expect(now, fingerprints);
        self.succeed();
    }

    /// See [`Association::datagram`]. What is plain belongs to the handshake under way; what is
    /// protected is shown to both, and only one can read it.
    pub fn datagram(&mut self, now: Time, datagram: &[u8]) {
        if self.rising.is_none() || !is_plain(datagram) {
            self.standing.association.datagram(now, datagram);
        }
        if let Some(rising) = &mut self.rising {
            rising.association.datagram(now, datagram);
        }
        self.succeed();
    }

    /// See [`Association::next_timeout`].
    pub fn next_timeout(&self) -> Option<Time> {
        self.all()
            .filter_map(|one| one.association.next_timeout())
            .min()
    }

    /// See [`Association::timeout`].
    pub fn timeout(&mut self, now: Time) {
        self.standing.association.timeout(now);
        if let Some(rising) = &mut self.rising {
            rising.association.timeout(now);
        }
        self.succeed();
    }

    /// See [`Association::close`]; of both.
    pub fn close(&mut self, now: Time) {
        self.standing.association.close(now);
        if let Some(rising) = &mut self.rising {
            rising.association.close(now);
        }
    }

    /// The next thing that came out, and of which association.
    pub fn poll(&mut self) -> Option<(u32, Output)> {
        let Self { standing, rising } = self;
        let next = |one: &mut Numbered| Some((one.generation, one.association.poll()?));
        if let Some(output) = next(standing) {
            return Some(output);
        }
        let output = rising.as_mut().and_then(next);
        // A successor that failed goes once its news are told.
        if output.is_none() && rising.as_ref().is_some_and(is_over) {
            *rising = None;
        }
        output
    }

    /// All that can be seen: of what stands, and of its successor.
    pub fn status(&self) -> impl Iterator<Item = (u32, Status)> {
        self.all()
            .map(|one| (one.generation, one.association.status()))
    }

    fn all(&self) -> impl Iterator<Item = &Numbered> {
        std::iter::once(&self.standing).chain(&self.rising)
    }

    /// A successor that is connected takes over. The peer has dropped the old keys when it made the
    /// new ones, so there is nobody to say goodbye to.
    fn succeed(&mut self) {
        let connected =
            |one: &mut Numbered| matches!(one.association.state(), State::Connected { .. });
        if let Some(next) = self.rising.take_if(connected) {
            self.standing = next;
        }
    }
}

fn is_over(one: &Numbered) -> bool {
    one.association.state().is_final()
}
