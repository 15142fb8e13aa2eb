//! The only place where control and engine meet: opens everything, starts the threads, ends them.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use patchcord_control::{Control, Seed};
use patchcord_engine::{
    BackendKind, LaneReport, Lower, Worker, WorkerConfig, limits, monotonic, probe,
};
use patchcord_offload::{Choice, Hook, Offload, Plan, Steering};

use crate::cli::{Cli, Sources};
use crate::clock;
use crate::config::{Backend, Config, Listener};
use crate::crew::Crew;
use crate::edge::{self, Doors, Edge};
use crate::figures::Figures;
use crate::handshakes::Handshakes;
use crate::log::Log;
use crate::metrics::{Metrics, Relay};
use crate::ng::{self, Cache, Handler, Mailbox, Process, Turn};
use crate::ports::Pool;
use crate::signals::Signals;
use crate::steering::{self, Chosen};

/// Interfaces that a worker can count by, so that some can be added to a running relay.
const INTERFACES: usize = 255;

/// Runs the relay until a signal ends it.
pub fn run(
    cli: Cli,
    sources: Sources,
    config: Config,
    log: Log,
    signals: Signals,
) -> anyhow::Result<()> {
    let ranges = config.interfaces.iter().map(|i| i.range.pairs().count());
    let ports = 2 * ranges.sum::<usize>();
    let mut listeners = Vec::new();
    open(&config.listen.ng, "listen.ng", |addr| {
        listeners.push(ng::Listener::bind(addr, config.listen.tos)?);
        Ok(())
    })?;
    // Behind the listeners: their ports are not for media.
    let (mut steering, chosen) = steering::start(&config)?;
    let backend = backend(&config, steering.is_some());
    let room = make_room(&config, backend, ports)?;
    let doors = doors(&config)?;
    let pidfile = config
        .process
        .pidfile
        .clone()
        .map(PidFile::write)
        .transpose()?;
    let mut offload = lower_tier(&config, ports)?;
    let (lower, steered) = (offload.as_mut(), steering.as_mut());
    let workers = spawn(&config, backend, room.slots, lower, steered)?;
    let lanes = lanes_of(&config, &workers);
    let figures = Arc::new(Figures::new(workers.len()));
    figures
        .interfaces
        .store(Arc::new(config.interfaces.clone()));
    let started = clock::read();
    let metrics = Arc::new(Metrics::new(Relay {
        figures: Arc::clone(&figures),
        workers: workers.iter().map(|w| (w.stats(), w.totals())).collect(),
        backend: backend.as_str(),
        started: started.wall_us as f64 / 1e6,
        descriptors: room.descriptors,
    })?);
    let mailbox = Arc::new(Mailbox::new().context("an eventfd for the edges")?);
    let edge = Edge {
        mailbox: Arc::clone(&mailbox),
        metrics,
        figures: Arc::clone(&figures),
        body: config.limits.http_body,
        patience: config.limits.http_timeout,
        idle: config.limits.idle_timeout,
    };
    announce(&config, &sources, &listeners, &doors, backend, &chosen);
    let connections = config.limits.connections;
    let process = Process {
        started,
        cli,
        file: sources.file,
        text_at_start: sources.layers.text.clone(),
        text: sources.layers.text,
        log,
        descriptors: room.descriptors,
        slots: room.slots,
        attached: offload
            .as_ref()
            .map_or_else(Vec::new, |offload| offload.attached().to_vec()),
        steering: chosen,
        lanes,
        config,
    };
    let crew = Crew::new(workers, process.slots, steering);
    let handler = handler(crew, figures, process, &secret()?)?;
    let turn = Turn::new(handler, listeners, mailbox, signals).context("the control loop")?;
    let edges = edge.start(doors, connections).context("the edge thread")?;
    let result = turn.run().context("the control loop");
    edges.stop();
    drop(offload);
    drop(pidfile);
    tracing::info!("ended");
    result
}

/// What keys are drawn from: the operating system's own randomness.
fn secret() -> anyhow::Result<Seed> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("randomness for keys")?;
    let seed = Seed::new(bytes);
    bytes.fill(0);
    Ok(seed)
}

fn handler(
    crew: Crew,
    figures: Arc<Figures>,
    process: Process,
    secret: &Seed,
) -> anyhow::Result<Handler> {
    let config = &process.config;
    let seed = RandomState::new().build_hasher().finish();
    let count = crew.len();
    let mut pool = Pool::new(crew, count, &config.interfaces, &config.ports, seed);
    let now = monotonic();
    if config.ports.prewarm > 0 {
        let opened = pool.warm_up(now, config.ports.prewarm);
        pool.door().submit(&mut Vec::new());
        pool.door().wake();
        tracing::info!(opened, "ports opened ahead");
    }
    let mut control = Control::new(ng::settings(config, &config.interfaces), secret);
    let cache = Cache::new(now, config.limits.cookie_cache);
    let wall = clock::read().wall_secs();
    let mut handshakes =
        Handshakes::start(process.config.dtls, wall).context("the thread of handshakes")?;
    handshakes
        .identify(wall, &mut control)
        .context("a certificate for DTLS")?;
    Ok(Handler::new(
        control, pool, cache, figures, process, handshakes,
    ))
}

/// What the process may hold.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Open descriptors.
    descriptors: usize,
    /// Ports that a worker has slots for.
    slots: usize,
}

/// Makes room for every port, a connected twin of each, and as much again for interfaces added later;
/// for the ports alone if that is all that is permitted.
fn make_room(config: &Config, backend: BackendKind, ports: usize) -> anyhow::Result<Room> {
    let slots = slots(ports);
    let wanted = 2 * slots + limits::RESERVED;
    raise_hard_limit(wanted as u64);
    let descriptors = limits::raise_descriptors().context("the limit of open descriptors")?;
    // A steered port is no descriptor.
    if descriptors >= wanted || backend == BackendKind::Steer {
        return Ok(Room { descriptors, slots });
    }
    if let Err(shortage) = limits::check(backend, config.workers.count, ports, descriptors) {
        if shortage.fit < 64 {
            bail!("{shortage}");
        }
        tracing::warn!("{shortage}");
    } else {
        tracing::info!(
            descriptors,
            wanted,
            "few descriptors: connected sockets may be left out"
        );
    }
    Ok(Room {
        descriptors,
        slots: ports,
    })
}

/// Slots for every port, and as many again for interfaces added later.
fn slots(ports: usize) -> usize {
    2 * ports + 1_024
}

/// A privileged process may raise its own limit; for any other the limit stays what it is.
fn raise_hard_limit(wanted: u64) {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && hard < wanted
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted)
    {
        tracing::debug!(%error, hard, wanted, "the limit of open descriptors stays");
    }
}

fn backend(config: &Config, is_steered: bool) -> BackendKind {
    match config.workers.backend {
        _ if is_steered => BackendKind::Steer,
        Backend::Uring => BackendKind::Uring,
        Backend::Mmsg => BackendKind::Mmsg,
        Backend::Xsk => BackendKind::Xsk,
    }
}

/// The kernel's own program, where it is wanted. What was asked for by name has to work.
fn lower_tier(config: &Config, ports: usize) -> anyhow::Result<Option<Offload>> {
    let settings = &config.offload;
    let takes_lanes = config.workers.backend == Backend::Xsk;
    if settings.hook == Choice::None && !takes_lanes {
        return Ok(None);
    }
    let plan = Plan {
        choice: settings.hook,
        interfaces: settings.interfaces.clone(),
        workers: config.workers.count,
        entries: if settings.hook == Choice::None {
            1
        } else {
            entries(settings.entries.unwrap_or(ports), config.workers.count)
        },
        addresses: config.addresses(),
        hands_over: takes_lanes,
        decline: settings.decline,
    };
    let offload = match Offload::start(&plan) {
        Ok(offload) => offload,
        Err(refused) if takes_lanes => bail!("workers.backend = xsk: {refused}"),
        Err(refused) if settings.hook == Choice::Auto => {
            tracing::warn!("no offload to the kernel: {refused}");
            return Ok(None);
        }
        Err(refused) => bail!("offload.hook = {}: {refused}", settings.hook),
    };
    if offload.attached().is_empty() {
        tracing::info!("no offload to the kernel: media is on the loopback interface only");
    }
    for attached in offload.attached() {
        let hook = attached.hook.map_or("none", Hook::as_str);
        tracing::info!(
            interface = attached.interface,
            hook,
            why = attached.why,
            "offload"
        );
    }
    Ok(Some(offload))
}

/// Entries for all workers, each of whom has a share.
fn entries(wanted: usize, workers: usize) -> u32 {
    let wanted = wanted.max(workers).min(1 << 20);
    u32::try_from(wanted).unwrap_or(1 << 20)
}

/// Says which receive queues lead to which worker, and whose packets take the longer way.
fn lanes_of(config: &Config, workers: &[Worker]) -> Vec<(usize, LaneReport)> {
    let mut lanes = Vec::new();
    for (worker, member) in workers.iter().enumerate() {
        for lane in member.lanes() {
            let (interface, queue) = (&lane.interface, lane.queue);
            let zero_copy = lane.is_zero_copy;
            tracing::info!(interface, queue, worker, zero_copy, "xsk");
            lanes.push((worker, lane.clone()));
        }
        if config.workers.backend == Backend::Xsk && member.lanes().is_empty() {
            tracing::warn!(
                worker,
                "no receive queue is left for this worker: its packets go through the kernel's stack; \
                 workers.count should be the number of queues"
            );
        }
    }
    lanes
}

fn spawn(
    config: &Config,
    backend: BackendKind,
    slots: usize,
    offload: Option<&mut Offload>,
    mut steering: Option<&mut Steering>,
) -> anyhow::Result<Vec<Worker>> {
    let (tables, lanes) = offload.map_or_else(Default::default, |offload| {
        (offload.take_tables(), offload.take_lanes())
    });
    let (mut tables, mut lanes) = (tables.into_iter(), lanes.into_iter());
    let spawn = |id: usize| {
        let defaults = WorkerConfig::new(id as u8, backend);
        let config = WorkerConfig {
            core: config.workers.pin.then(|| core(id)),
            interfaces: INTERFACES,
            max_ports: slots,
            buffers: config.workers.buffers,
            // A connected socket hears and sends nothing that goes past the stack.
            connect: config.workers.connect && backend != BackendKind::Xsk,
            busy_poll: config.workers.busy_poll,
            patience: config.offload.patience,
            ..defaults
        };
        let lower = Lower {
            lanes: lanes.next(),
            ..steering::lower(id, tables.next(), steering.as_deref_mut())?
        };
        Worker::spawn_with(config, lower)
            .with_context(|| format!("worker {id} with backend {backend}"))
    };
    (0..config.workers.count).map(spawn).collect()
}

/// Workers go round the cores that the process may use.
fn core(id: usize) -> usize {
    let cores = allowed_cores();
    cores.get(id % cores.len().max(1)).copied().unwrap_or(id)
}

fn allowed_cores() -> Vec<usize> {
    let set = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0));
    let Ok(set) = set else { return Vec::new() };
    let all = 0..nix::sched::CpuSet::count();
    all.filter(|core| set.is_set(*core).unwrap_or(false))
        .collect()
}

/// Opens what was asked for or fails; what is only a default may be taken by someone else.
fn open(
    listeners: &[Listener],
    key: &str,
    mut bind: impl FnMut(SocketAddr) -> io::Result<()>,
) -> anyhow::Result<()> {
    for listener in listeners {
        match bind(listener.addr) {
            Ok(()) => {}
            Err(error) if listener.required => {
                return Err(error)
                    .with_context(|| format!("{key}: cannot listen on {}", listener.addr));
            }
            Err(error) => {
                tracing::warn!(key, addr = %listener.addr, %error, "default listener not opened");
            }
        }
    }
    Ok(())
}

fn doors(config: &Config) -> anyhow::Result<Doors> {
    let mut doors = Doors::default();
    let kinds = [
        ("listen.ng-tcp", &config.listen.ng_tcp, &mut doors.ng),
        ("listen.http", &config.listen.http, &mut doors.http),
        ("listen.cli", &config.listen.cli, &mut doors.cli),
    ];
    for (key, listeners, opened) in kinds {
        open(listeners, key, |addr| {
            opened.push(edge::listen(addr)?);
            Ok(())
        })?;
    }
    Ok(doors)
}

fn announce(
    config: &Config,
    sources: &Sources,
    listeners: &[ng::Listener],
    doors: &Doors,
    backend: BackendKind,
    steering: &Chosen,
) {
    let file = sources
        .file
        .as_deref()
        .unwrap_or(Path::new("none, built-in defaults"));
    let tcp = |list: &[std::net::TcpListener]| {
        let addresses = list.iter().filter_map(|l| l.local_addr().ok());
        addresses
            .map(|addr| addr.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let udp: Vec<_> = listeners.iter().map(|l| l.local().to_string()).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %file.display(),
        workers = config.workers.count,
        backend = backend.as_str(),
        ng = udp.join(" "),
        ng_tcp = tcp(&doors.ng),
        http = tcp(&doors.http),
        "patchcord starts"
    );
    if backend == BackendKind::Mmsg
        && let Err(refused) = probe::io_uring()
    {
        tracing::warn!("backend mmsg, which costs more, because {refused}");
    }
    tracing::info!(how = %steering.how, why = steering.why, "steering");
    for i in &config.interfaces {
        let (min, max) = (i.range.min, i.range.max);
        tracing::info!(name = i.name, address = %i.address, advertised = %i.advertised, min, max, "interface");
    }
    if !config.interfaces.iter().any(|i| !i.address.is_loopback()) {
        tracing::warn!("media only on loopback: name an interface, --interface=ADDRESS");
    }
}

/// The file that holds the process id as long as the process runs.
#[derive(Debug)]
struct PidFile(std::path::PathBuf);

impl PidFile {
    fn write(path: std::path::PathBuf) -> anyhow::Result<Self> {
        std::fs::write(&path, format!("{}\n", std::process::id()))
            .with_context(|| format!("pidfile {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "pidfile not removed");
        }
    }
}
