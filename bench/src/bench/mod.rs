//! placeholder
use anyhow::{Result, bail};
#[derive(clap::Args, Debug)]
pub(crate) struct Options {}
pub(crate) fn run(_: &Options) -> Result<crate::report::Report> {
    bail!("later")
}
