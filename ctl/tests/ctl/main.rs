//! `patchctl` as a person or a script runs it.
#![forbid(unsafe_code)]

mod commands;
mod daemon;
mod relay;
mod terminal;
mod tool;
