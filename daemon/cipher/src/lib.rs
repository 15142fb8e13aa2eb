//! AES counter mode, AES-GCM and HMAC-SHA1 for many packets side by side.
//!
//! Every call takes a batch of jobs, each with a key of its own, because a packet alone leaves most of
//! a CPU idle: SHA-1 is one long chain, and sixteen chains run as fast as one. A [`Tier`] says which
//! instructions are used; the best is found at run time and every other can be asked for. What the
//! kernels compute, the portable tier computes too, with RustCrypto's crates.

mod aes;
mod gcm;
mod hmac;
mod nearer;
mod portable;
#[cfg(target_arch = "x86_64")]
mod scheduler;
mod tier;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use aes::{AesKey, CtrJob, apply};
pub use gcm::{GcmKey, TAG};
pub use hmac::{DIGEST, MacJob, MacKey, authenticate};
pub use nearer::prefetch;
pub use tier::Tier;
