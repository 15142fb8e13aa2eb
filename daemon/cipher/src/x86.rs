//! The kernels for x86-64. All of them are safe functions that ask for instructions; who calls one
//! holds a [`Tier`](crate::Tier), which exists only where the instructions do.

pub(crate) mod aes;
pub(crate) mod ghash;
pub(crate) mod lanes;
pub(crate) mod memory;
pub(crate) mod ni;
pub(crate) mod wide;
