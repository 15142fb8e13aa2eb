//! The worker thread's loop: wait, commands, relay, tick, events.
//!
//! Everything in a turn is bounded, so that neither a flood of packets nor of commands starves the other.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::{Command as FlowCommand, PortId};
use patchcord_media::{Packet, Plane, Rx};
use patchcord_offload::Table;

use crate::backend::{Backend, DATAGRAM};
use crate::clock::monotonic;
use crate::limits::Room;
use crate::lowering::Lowering;
use crate::mmsg::Mmsg;
use crate::outbox::Outbox;
use crate::socket::Place;
use crate::stats::WorkerStats;
use crate::steer::Steer;
use crate::twin::{self, Stray, Twins};
use crate::uring::Uring;
use crate::worker::{BackendKind, Command, LaneReport, Lower, Shared, WorkerConfig};
use crate::xsk::Xsk;

/// How often flows are looked at without a packet.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Runs a worker until it is stopped; says through `opened` whether its backend could be opened.
pub(crate) fn run(
    config: &WorkerConfig,
    shared: &Arc<Shared>,
    plane: Plane,
    lower: Lower,
    opened: &SyncSender<io::Result<Vec<LaneReport>>>,
) -> io::Result<()> {
    if let Some(core) = config.core
        && !pin(core)
    {
        tracing::warn!(
            worker = config.id,
            core,
            "cannot pin the worker to its core"
        );
    }
    let Lower {
        table,
        intake,
        lanes,
    } = lower;
    let result = match config.backend {
        BackendKind::Uring => {
            let backend = Uring::open(config, shared);
            start(backend, config, shared, plane, table, opened)
        }
        BackendKind::Mmsg => start(Mmsg::open(shared), config, shared, plane, table, opened),
        BackendKind::Steer => {
            let backend = Steer::open(intake, shared);
            start(backend, config, shared, plane, table, opened)
        }
        BackendKind::Xsk => {
            let backend = Xsk::open(config, lanes, shared);
            start(backend, config, shared, plane, table, opened)
        }
    };
    if let Err(error) = &result {
        tracing::error!(worker = config.id, %error, "the worker ended");
    }
    shared.notify.ring();
    result
}

/// Pins this thread to a core, if it is one that the process may use.
fn pin(core: usize) -> bool {
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    let core = allowed.into_iter().find(|allowed| allowed.id == core);
    core.is_some_and(core_affinity::set_for_current)
}

fn start<B: Backend>(
    backend: io::Result<B>,
    config: &WorkerConfig,
    shared: &Arc<Shared>,
    mut plane: Plane,
    table: Option<Table>,
    opened: &SyncSender<io::Result<Vec<LaneReport>>>,
) -> io::Result<()> {
    let backend = match backend {
        Ok(backend) => backend,
        Err(error) => {
            let _nobody_waits = opened.send(Err(error));
            return Ok(());
        }
    };
    let _nobody_waits = opened.send(Ok(backend.lanes()));
    let lowering = Lowering::new(table, config.patience, &mut plane);
    let mut turns = Turns {
        config,
        shared,
        stats: Arc::clone(&shared.stats),
        backend,
        plane,
        outbox: Outbox::new(Arc::clone(shared)),
        twins: Twins::default(),
        lowering,
        strays: Vec::new(),
        now: monotonic(),
        next_tick: monotonic() + TICK,
        cursor: 0,
    };
    while turns.turn()?.is_continue() {}
    turns.backend.close()?;
    shared.stats.ports.set(0);
    shared.stats.twins.set(0);
    Ok(())
}

/// What the loop works on.
struct Turns<'a, B> {
    config: &'a WorkerConfig,
    shared: &'a Shared,
    stats: Arc<WorkerStats>,
    backend: B,
    plane: Plane,
    outbox: Outbox,
    twins: Twins,
    lowering: Lowering,
    /// What was taken out of new twins whose port's own socket still holds older packets.
    strays: Vec<(PortId, Stray)>,
    now: Time,
    next_tick: Time,
    /// The slot where twins were closed last for want of room.
    cursor: u32,
}

impl<B: Backend> Turns<'_, B> {
    fn turn(&mut self) -> io::Result<ControlFlow<()>> {
        let sleep = self.shared.may_sleep();
        self.backend.wait(sleep)?;
        self.shared.awake();
        self.outbox.release();
        self.stats.turns.add(1);
        // Before the packets that woke it: a reply that tells a port is sent after its commands are
        // queued, so who sends there at once finds it programmed.
        self.commands()?;
        self.now = self.backend.relay(&mut self.plane, &mut self.outbox)?;
        self.take_over()?;
        if !self.outbox.latched.is_empty() {
            self.moved()?;
        }
        if self.lowering.is_due(self.now) {
            self.lower()?;
        }
        if self.now >= self.next_tick {
            self.next_tick = self.now + TICK;
            self.tick()?;
        }
        if self.config.connect && !B::STEERED {
            self.open_twins()?;
        }
        self.outbox.notify();
        Ok(if self.shared.stopping() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    fn commands(&mut self) -> io::Result<()> {
        if self.shared.commands.is_empty() {
            return Ok(());
        }
        self.now = monotonic();
        // All of them: who was told of a port may send there already, and it is among the last. What is
        // queued meanwhile has its turn next, and how much can be queued is bounded.
        let mut count = 0;
        for _ in 0..self.shared.commands.len() {
            let Some(command) = self.shared.commands.pop() else {
                break;
            };
            self.command(command)?;
            count += 1;
        }
        self.shared.carried_out(count);
        self.send_own()
    }

    /// Gives the kernel what control sends.
    fn send_own(&mut self) -> io::Result<()> {
        if self.outbox.sends.is_empty() {
            return Ok(());
        }
        self.backend.send_copies(&mut self.plane, &mut self.outbox)
    }

    fn command(&mut self, command: Command) -> io::Result<()> {
        self.stats.commands.add(1);
        match command {
            Command::Attach { port, place } => {
                let known = self.owns(port) && port.slot() < self.config.max_ports;
                let fits = matches!(place, Place::Steered(_)) == B::STEERED;
                if !known || !fits || self.backend.is_attached(port) {
                    self.refuse(port);
                    return Ok(());
                }
                self.stats.ports.add(1);
                self.backend.attach(port, place)
            }
            Command::Detach { port } => {
                if !self.owns(port) || !self.backend.is_attached(port) {
                    self.refuse(port);
                    return Ok(());
                }
                self.send_own()?;
                self.raise(port);
                self.plane.command(self.now, FlowCommand::Clear(port));
                self.twins.clear(port);
                self.lowering.clear(port, &self.stats);
                self.match_twin(port)?;
                self.stats.ports.set(self.stats.ports.get() - 1);
                self.backend.detach(port)
            }
            Command::CatchUp { port } => {
                if self.lowering.has(port) && !self.plane.catch_up(port) {
                    self.raise(port);
                }
                Ok(())
            }
            Command::Flow(command) => self.flow(command),
        }
    }

    fn flow(&mut self, command: FlowCommand) -> io::Result<()> {
        let port = command.port();
        if !self.owns(port) || !self.backend.is_attached(port) {
            self.refuse(port);
            return Ok(());
        }
        if !matches!(command, FlowCommand::Send { .. }) {
            self.raise(port);
        }
        match &command {
            FlowCommand::Set(spec) => {
                self.lowering.set(self.now, port);
                self.twins.set(self.now, port, spec.accepts, &spec.stats);
                self.backend.set_tos(port, spec.tos)?;
                for door in spec.doors.iter().flat_map(|doors| &doors.ports) {
                    self.backend.set_tos(*door, spec.tos)?;
                }
            }
            FlowCommand::Clear(_) => {
                self.twins.clear(port);
                self.lowering.clear(port, &self.stats);
            }
            FlowCommand::Send { to, bytes, .. } => {
                patchcord_media::Outbox::copy(&mut self.outbox, bytes, port, *to);
                return Ok(());
            }
        }
        self.plane.command(self.now, command);
        self.match_twin(port)
    }

    fn owns(&self, port: PortId) -> bool {
        port.worker() == self.config.id
    }

    fn refuse(&self, port: PortId) {
        tracing::debug!(
            worker = self.config.id,
            ?port,
            "a command names no port of this worker"
        );
        self.stats.commands_refused.add(1);
    }

    /// The kernel lets go of what depends on the flow at `port`, before that changes.
    fn raise(&mut self, port: PortId) {
        let Self { plane, stats, .. } = self;
        self.lowering.raise(self.now, port, plane, stats);
    }

    /// Flows latched to another peer: their twins are closed.
    fn moved(&mut self) -> io::Result<()> {
        while let Some(port) = self.outbox.latched.pop() {
            self.raise(port);
            self.match_twin(port)?;
        }
        Ok(())
    }

    /// Closes the port's twin unless it is connected to the flow's peer.
    fn match_twin(&mut self, port: PortId) -> io::Result<()> {
        if let Some(peer) = self.backend.paired(port)
            && self.plane.peer(port) != Some(peer)
        {
            self.close_twin(port, false)?;
        }
        Ok(())
    }

    fn close_twin(&mut self, port: PortId, refused: bool) -> io::Result<()> {
        if self.backend.paired(port).is_some() {
            self.relay_strays(port)?;
            self.stats.twins.set(self.stats.twins.get() - 1);
            let late = self.backend.unpair(port, refused)?;
            self.twins.closed(self.now, port, refused);
            self.strays
                .extend(late.into_iter().map(|late| (port, late)));
            self.relay_strays(port)?;
        }
        Ok(())
    }

    /// Gives flows to the kernel, whose first packet of each follows the last one of ours.
    fn lower(&mut self) -> io::Result<()> {
        self.backend.flush()?;
        let Self { plane, stats, .. } = self;
        self.lowering.look(self.now, plane, stats, |port| {
            let local = Endpoint::from(self.backend.local_addr(port)?);
            (!local.addr.is_unspecified()).then_some(local)
        });
        Ok(())
    }

    fn tick(&mut self) -> io::Result<()> {
        self.plane.tick(self.now, &mut self.outbox);
        self.send_own()?;
        self.moved()?;
        let Self { plane, stats, .. } = self;
        self.lowering.tick(self.now, plane, stats);
        while let Some(port) = self.backend.refused().pop() {
            self.close_twin(port, true)?;
        }
        Ok(())
    }

    /// Opens a few of the twins that are due.
    fn open_twins(&mut self) -> io::Result<()> {
        match self.room() {
            Room::Plenty => {}
            Room::Enough => return Ok(()),
            Room::Short => return self.close_some_twins(),
        }
        let mut looks = twin::LOOKS;
        for _ in 0..twin::PER_TURN {
            let Some(port) = self.twins.due(self.now, &mut looks) else {
                break;
            };
            self.open_twin(port)?;
        }
        Ok(())
    }

    fn room(&self) -> Room {
        let ports = self.stats.ports.get() as usize;
        self.backend
            .room(self.config.max_ports.saturating_sub(ports))
    }

    /// Closes a few twins, going round the ports, because ports come first.
    fn close_some_twins(&mut self) -> io::Result<()> {
        let mut looks = twin::LOOKS;
        while looks > 0 && self.stats.twins.get() > 0 && self.room() == Room::Short {
            looks -= 1;
            self.cursor = (self.cursor + 1) % (self.config.max_ports as u32).max(1);
            if let Some(port) = PortId::new(self.config.id, self.cursor) {
                self.close_twin(port, true)?;
            }
        }
        Ok(())
    }

    fn open_twin(&mut self, port: PortId) -> io::Result<()> {
        let (Some(local), None) = (self.backend.local_addr(port), self.backend.paired(port)) else {
            return Ok(());
        };
        let peer = self.plane.peer(port);
        let Some(peer) = peer.filter(|_| !self.lowering.has(port)) else {
            self.twins.enqueue(self.now, port);
            return Ok(());
        };
        match twin::open(local, peer, self.plane.tos(port).unwrap_or(0)) {
            Ok(opened) => {
                let strays = opened.strays.into_iter().map(|stray| (port, stray));
                self.strays.extend(strays);
                let Some(socket) = opened.socket else {
                    self.stats.twins_failed.add(1);
                    self.twins.closed(self.now, port, true);
                    return self.relay_strays(port);
                };
                self.backend.pair(port, socket, peer)?;
                self.stats.twins.add(1);
                self.stats.twins_opened.add(1);
                Ok(())
            }
            Err(error) => {
                tracing::debug!(worker = self.config.id, ?port, %error, "no connected twin");
                self.stats.twins_failed.add(1);
                self.twins.closed(self.now, port, true);
                Ok(())
            }
        }
    }

    /// Twins whose port's own socket is empty take over.
    fn take_over(&mut self) -> io::Result<()> {
        while let Some(port) = self.backend.caught_up().pop() {
            self.relay_strays(port)?;
            self.backend.listen(port)?;
        }
        Ok(())
    }

    /// Relays what was taken out of the port's twin, in the order in which it came.
    fn relay_strays(&mut self, port: PortId) -> io::Result<()> {
        let strays = self.strays.extract_if(.., |(of, _)| *of == port);
        for (_, mut stray) in strays {
            let len = stray.bytes.len().min(DATAGRAM);
            let mut batch = [Rx {
                port,
                source: Some(stray.source),
                truncated: stray.bytes.len() > len,
                packet: Packet::new(&mut stray.bytes, len),
            }];
            self.plane.process(self.now, &mut batch, &mut self.outbox);
            self.outbox.detach(&batch);
            self.backend
                .send_copies(&mut self.plane, &mut self.outbox)?;
        }
        Ok(())
    }
}
