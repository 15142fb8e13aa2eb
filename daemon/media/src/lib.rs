//! The hot path: a flow and a packet give a verdict.
#![forbid(unsafe_code)]

pub mod flow;
pub mod stats;
