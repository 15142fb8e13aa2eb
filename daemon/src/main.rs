//! The process `patchcord`.
#![forbid(unsafe_code)]

mod config;

fn main() {
    let _ = config::resolve;
}
