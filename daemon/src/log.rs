//! The log: to the journal if the process runs under it, else to stderr. Its level changes live.

use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{self, Level, Target};
use crate::lines::Lines;

type Sink = Box<dyn Layer<Registry> + Send + Sync>;

/// A handle to the log's level.
#[derive(Clone, Debug)]
pub struct Log {
    filter: reload::Handle<LevelFilter, Registry>,
    level: Arc<AtomicU8>,
    /// Where lines wait for stderr, unless the journal has them.
    lines: Option<Lines>,
}

impl Log {
    /// Starts the log of this process.
    pub fn start(settings: &config::Log) -> std::io::Result<Self> {
        let (mut log, filter) = Self::new(settings.level);
        let sink = match journal(settings.target) {
            Some(journal) => journal,
            None => stderr(
                settings,
                log.lines.insert(Lines::start(std::io::stderr())?).clone(),
            ),
        };
        tracing_subscriber::registry()
            .with(sink.with_filter(filter))
            .init();
        Ok(log)
    }

    fn new(level: Level) -> (Self, reload::Layer<LevelFilter, Registry>) {
        let (filter, handle) = reload::Layer::new(LevelFilter::from_level(level.0));
        let level = Arc::new(AtomicU8::new(level.number()));
        (
            Self {
                filter: handle,
                level,
                lines: None,
            },
            filter,
        )
    }

    /// The level in force.
    pub fn level(&self) -> Level {
        let number = self.level.load(Relaxed).to_string();
        Level::parse(&number).unwrap_or(Level(tracing::Level::INFO))
    }

    /// Changes it.
    pub fn set_level(&self, level: Level) {
        // Fails only if the subscriber is gone, and with it the log.
        let _gone = self.filter.reload(LevelFilter::from_level(level.0));
        self.level.store(level.number(), Relaxed);
        tracing::info!(level = %level.0, "log level");
    }

    /// One step louder or quieter.
    pub fn step(&self, louder: bool) {
        self.set_level(self.level().step(louder));
    }

    /// Waits until what was logged is written.
    pub fn flush(&self) {
        if let Some(lines) = &self.lines {
            lines.flush();
        }
    }
}

fn journal(target: Target) -> Option<Sink> {
    let wanted = match target {
        Target::Journald => true,
        Target::Auto => stderr_is_the_journal(),
        Target::Stderr => false,
    };
    let layer = wanted.then(tracing_journald::layer)?.ok()?;
    Some(layer.with_syslog_identifier("patchcord".to_owned()).boxed())
}

fn stderr(settings: &config::Log, lines: Lines) -> Sink {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(lines)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    if settings.timestamps {
        layer.boxed()
    } else {
        layer.without_time().boxed()
    }
}

/// systemd names the stream that it connected stderr to; if it still is stderr, the journal reads it.
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}
