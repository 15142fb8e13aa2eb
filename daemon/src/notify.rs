//! What systemd is told: readiness, state, and that the control loop turns.

use std::time::Duration;

use patchcord_contract::Time;
use sd_notify::NotifyState;

/// The line to systemd; silent where nobody listens.
#[derive(Debug)]
pub struct Notify {
    /// How often the watchdog has to be fed.
    feed: Option<Duration>,
    fed: Time,
    said: String,
    said_at: Time,
}

/// The state line is told at most this often.
const STATUS: Duration = Duration::from_secs(2);

impl Notify {
    /// Reads what systemd expects.
    pub fn new(now: Time) -> Self {
        let feed = sd_notify::watchdog_enabled().map(|limit| limit / 3);
        Self {
            feed,
            fed: now,
            said: String::new(),
            said_at: Time::ZERO,
        }
    }

    /// Requests are answered.
    pub fn ready() {
        tell(&[NotifyState::Ready]);
    }

    /// The configuration is being read again; [`Self::ready`] ends it.
    pub fn reloading() {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The process ends.
    pub fn stopping() {
        tell(&[NotifyState::Stopping]);
    }

    /// Feeds the watchdog when it is time, and tells the state if it changed.
    pub fn tick(&mut self, now: Time, status: impl FnOnce() -> String) {
        if self.feed.is_some_and(|feed| now.since(self.fed) >= feed) {
            self.fed = now;
            tell(&[NotifyState::Watchdog]);
        }
        if now.since(self.said_at) >= STATUS {
            self.said_at = now;
            let status = status();
            if status != self.said {
                tell(&[NotifyState::Status(&status)]);
                self.said = status;
            }
        }
    }

    /// The longest the control loop may wait without feeding the watchdog.
    pub fn patience(&self) -> Duration {
        self.feed
            .unwrap_or(Duration::from_secs(1))
            .min(Duration::from_secs(1))
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
