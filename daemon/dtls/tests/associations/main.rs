//! Associations against each other, against OpenSSL's own programs, and in the pool.
#![cfg(feature = "openssl")]
#![forbid(unsafe_code)]

mod foreign;
mod handshakes;
mod loss;
mod noise;
mod pair;
mod restart;
mod threads;
