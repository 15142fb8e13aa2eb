//! The control loop and what it listens to.
//!
//! Reading order: [`turn`] (what is ready), [`handler`] (from bytes to bytes), [`cache`] (repeated
//! requests), [`process`] (what is about the process), [`mailbox`] (what the edges ask).

mod cache;
mod handler;
mod mailbox;
mod process;
mod turn;
mod udp;

pub use cache::Cache;
pub use handler::Handler;
pub use mailbox::{Answer, Ask, Mailbox, Refused};
pub use process::{Process, settings};
pub use turn::Turn;
pub use udp::Listener;
