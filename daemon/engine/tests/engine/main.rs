//! A real worker on loopback, with each backend that may run here and both families.
#![expect(clippy::print_stderr, reason = "a skipped backend is said loudly")]

mod allocation;
mod handshakes;
mod hostile;
mod ports;
mod relay;
mod rig;
mod twin;
