//! The system calls that std and socket2 do not offer, each behind a safe function.
//!
//! Invariant of the unsafe files below: every pointer handed to the kernel is made from a live borrow
//! immediately before the call, and no call keeps one past its return, except the receive ring's
//! mapping, which lives exactly as long as its owner.

pub(crate) mod clock;
pub(crate) mod idle;
pub(crate) mod mmsg;
pub(crate) mod netns;
pub(crate) mod pin;
pub(crate) mod ring;
pub(crate) mod soak;
