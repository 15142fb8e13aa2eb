//! The process `patchcord`.
#![forbid(unsafe_code)]

mod config;
mod ng;
mod ports;

fn main() {
    let _ = config::resolve;
}
