//! The process `patchcord`.
#![forbid(unsafe_code)]

mod cli;
mod config;
mod ng;
mod ports;

fn main() {
    let _ = (config::resolve, cli::parse(Vec::new()).is_ok());
}
