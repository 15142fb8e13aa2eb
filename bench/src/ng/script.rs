//! What is asked of the relay: set calls up, tear them down, or both in one go.

use anyhow::{Context, Result};
use patchcord_wire::ng::client::{RequestBuilder, Response};

use super::call::{Call, Style, expect_ok};
use super::client::Script;
use crate::io::Side;

/// Where one call is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Offered,
    Answered,
    Deleted,
}

/// How far to take each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Offer and answer.
    Established,
    /// Offer, answer, delete.
    Deleted,
}

/// Sets calls up, and deletes each again if so asked.
pub(crate) struct SetUp<'a> {
    calls: &'a mut [Call],
    style: &'a Style,
    until: Until,
    stages: Vec<Stage>,
}

impl<'a> SetUp<'a> {
    pub(crate) fn new(calls: &'a mut [Call], style: &'a Style, until: Until) -> Self {
        let stages = vec![Stage::Offered; calls.len()];
        Self {
            calls,
            style,
            until,
            stages,
        }
    }
}

impl Script for SetUp<'_> {
    fn jobs(&self) -> usize {
        self.calls.len()
    }

    fn first(&mut self, job: usize) -> RequestBuilder<'_> {
        self.calls[job].offer(self.style)
    }

    fn reply(&mut self, job: usize, reply: &Response<'_>) -> Result<Option<RequestBuilder<'_>>> {
        let call = &mut self.calls[job];
        match self.stages[job] {
            Stage::Offered => {
                call.learn(Side::Offerer, reply).context("offer")?;
                self.stages[job] = Stage::Answered;
                Ok(Some(call.answer(self.style)))
            }
            Stage::Answered => {
                call.learn(Side::Answerer, reply).context("answer")?;
                self.stages[job] = Stage::Deleted;
                Ok((self.until == Until::Deleted).then(|| call.delete()))
            }
            Stage::Deleted => expect_ok(reply).context("delete").map(|()| None),
        }
    }
}

/// Deletes calls.
pub(crate) struct TearDown<'a>(pub(crate) &'a [Call]);

impl Script for TearDown<'_> {
    fn jobs(&self) -> usize {
        self.0.len()
    }

    fn first(&mut self, job: usize) -> RequestBuilder<'_> {
        self.0[job].delete()
    }

    fn reply(&mut self, _: usize, reply: &Response<'_>) -> Result<Option<RequestBuilder<'_>>> {
        expect_ok(reply).context("delete").map(|()| None)
    }
}
