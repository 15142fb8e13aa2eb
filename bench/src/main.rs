//! `patchload`: calls and packets for a media relay, ours or another that speaks the NG protocol.
//!
//! It sets calls up as a proxy would ([`ng`]), sends RTP through them at a pace ([`load`]) by
//! sockets or raw frames ([`io`]), checks every packet that comes out, and says what the relay
//! spent on it ([`process`]). [`modes`] are the questions it can answer; `bench` asks them all of
//! several relays in turn and compares.
#![deny(unsafe_code)]

mod bench;
mod cli;
mod io;
mod load;
mod modes;
mod ng;
mod os;
mod process;
mod progress;
mod report;
mod rig;
mod web;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run() {
        Ok(report) => report.print(cli.json),
        Err(e) => {
            report::complain(&e);
            ExitCode::from(2)
        }
    }
}
