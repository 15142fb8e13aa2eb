//! Two ICE agents in virtual time, over networks that misbehave.
#![forbid(unsafe_code)]

mod checks;
mod hostile;
mod meeting;
mod net;
mod staying;
