//! What an operator is shown of a section's DTLS.

use patchcord_contract::Endpoint;

use super::Role;
use crate::call::{Dtls, Path, Stage, Standing};

impl Dtls {
    /// What the section waits for, in words; `None` once every port has keys, or nothing is waited for.
    pub(crate) fn waits_for(&self, by_ice: bool) -> Option<&'static str> {
        match self.standing {
            Standing::Heard => return Some("our answer to go out"),
            Standing::Held => return Some("the peer, which holds the connection"),
            Standing::Idle => return None,
            Standing::Offered | Standing::Agreed => {}
        }
        let path = self.paths.iter().find(|path| path.keys.is_none())?;
        Some(match (&path.stage, path.role) {
            (Stage::Waiting, Role::Client) if by_ice => "a path by ICE",
            (Stage::Waiting, Role::Client) => "an address of the peer",
            (Stage::Waiting, Role::Server) => "the peer's first flight",
            (Stage::Running, Role::Client) if path.source == Endpoint::NONE => {
                "an answer to our first flight"
            }
            (Stage::Running, _) => "the handshake to end",
            (Stage::Postponed, _) => "the fingerprint in the peer's answer",
            (Stage::Connected, _) => return None,
            (Stage::Failed(_), _) => "nothing: the handshake failed",
            (Stage::Closed, _) => "nothing: the peer closed",
        })
    }
}

impl Path {
    /// The word for how far it came.
    pub(crate) const fn state(&self) -> &'static str {
        match self.stage {
            Stage::Waiting => "waiting",
            Stage::Running => "handshaking",
            Stage::Postponed => "postponed",
            Stage::Connected => "connected",
            Stage::Failed(_) => "failed",
            Stage::Closed => "closed",
        }
    }

    /// Why it failed.
    pub(crate) fn failure(&self) -> Option<&str> {
        match &self.stage {
            Stage::Failed(failure) => Some(&failure.text),
            Stage::Waiting
            | Stage::Running
            | Stage::Postponed
            | Stage::Connected
            | Stage::Closed => None,
        }
    }
}
