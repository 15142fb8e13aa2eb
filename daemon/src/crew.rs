//! The workers as the control loop sees them: slots for ports, commands in order, events out.
//!
//! Commands are queued in the order they were decided and none is ever lost. What a full queue does
//! not take waits here, in order, and as long as anything waits new calls are refused.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use patchcord_contract::Time;
use patchcord_engine::{Command, Full, MediaSocket, Place, QueueDepths, Worker};
use patchcord_media::flow::{self, Event, PortId};
use patchcord_offload::{Refused, Steering};

use crate::config::Interface;
use crate::ports::Door;
use crate::steering;

/// Room a worker's queue must have for a new call to be taken: a request of the largest size fits.
const ROOM: usize = 4_096;

/// How often it is looked whether ports that others had are free.
const LOOK_AROUND: Duration = Duration::from_secs(30);

/// How long a worker may take to carry out what was queued before requests are answered all the same.
const SETTLING: Duration = Duration::from_millis(50);

/// The workers.
#[derive(Debug)]
pub struct Crew {
    members: Vec<Member>,
    /// Ports to close once the flow commands of the request at hand are queued.
    closing: Vec<PortId>,
    /// Where ports are addresses without sockets.
    steering: Option<Steering>,
    /// When it was looked which ports others have.
    looked: Time,
}

#[derive(Debug)]
struct Member {
    worker: Worker,
    /// Slots that were used and are free, the longest free first.
    free: VecDeque<u32>,
    /// The lowest slot never used.
    next: u32,
    /// Slots there are.
    most: u32,
    /// The addresses of steered ports, by slot.
    steered: Vec<Option<SocketAddr>>,
    /// Commands that found the queue full.
    waiting: VecDeque<Command>,
    /// Whether it has to be woken for what was queued.
    touched: bool,
    /// Whether a flow that the kernel may carry is among what was queued.
    changed: bool,
}

impl Crew {
    /// The crew of these workers, each with slots for `ports` ports.
    pub fn new(workers: Vec<Worker>, ports: usize, steering: Option<Steering>) -> Self {
        let most = u32::try_from(ports)
            .unwrap_or(u32::MAX)
            .min(PortId::MAX_SLOT + 1);
        let member = |worker| Member {
            worker,
            free: VecDeque::new(),
            next: 0,
            most,
            steered: Vec::new(),
            waiting: VecDeque::new(),
            touched: false,
            changed: false,
        };
        Self {
            members: workers.into_iter().map(member).collect(),
            closing: Vec::new(),
            steering,
            looked: Time::ZERO,
        }
    }

    /// Takes the ports of an interface that is added, where that takes more than opening them.
    pub fn claim(&mut self, interface: &Interface) -> Result<(), Refused> {
        match &mut self.steering {
            Some(steering) => steering::claim(steering, interface),
            None => Ok(()),
        }
    }

    /// Looks anew, now and then, which ports others have: where there is nothing to bind, nothing else tells.
    pub fn look_around(&mut self, now: Time) {
        if let Some(steering) = &mut self.steering
            && now.since(self.looked) >= LOOK_AROUND
        {
            self.looked = now;
            steering.look();
        }
    }

    /// Queues everything decided so far; [`Self::wake`] makes it happen. Empties `commands`.
    pub fn submit(&mut self, commands: &mut Vec<flow::Command>) {
        for command in commands.drain(..) {
            let worker = command.port().worker();
            self.queue(worker, Command::Flow(command));
        }
        for port in std::mem::take(&mut self.closing) {
            self.queue(port.worker(), Command::Detach { port });
            let member = &mut self.members[usize::from(port.worker())];
            member.free.push_back(port.slot() as u32);
            let steered = member.steered.get_mut(port.slot()).and_then(Option::take);
            if let (Some(steering), Some(addr)) = (&self.steering, steered) {
                steering.close(addr);
            }
        }
        for member in &mut self.members {
            member.retry();
        }
    }

    /// Has the workers take in what the kernel has counted at these ports, and waits for it.
    pub fn catch_up(&mut self, ports: impl Iterator<Item = PortId>) {
        if !self.members.iter().any(|member| member.worker.has_table()) {
            return;
        }
        for port in ports {
            self.queue(port.worker(), Command::CatchUp { port });
        }
        self.wake();
    }

    /// Wakes the workers that something was queued for since the last time. When it returns, no packet goes
    /// where it went before: a worker reads its commands before the packets that woke it, and a change to what
    /// the kernel may carry is waited for.
    pub fn wake(&mut self) {
        for member in &mut self.members {
            if std::mem::take(&mut member.touched) {
                member.worker.flush();
            }
        }
        for member in &mut self.members {
            if std::mem::take(&mut member.changed)
                && member.worker.has_table()
                && !member.worker.settle(SETTLING)
            {
                tracing::warn!("a worker is slow: the kernel may still carry a call as it was");
            }
        }
    }

    /// Whether every worker can take the commands of a new call.
    pub fn has_room(&self) -> bool {
        self.members
            .iter()
            .all(|m| m.waiting.is_empty() && m.worker.room() >= ROOM)
    }

    /// The next event of `worker`.
    pub fn event(&self, worker: usize) -> Option<Event> {
        self.members[worker].worker.try_event()
    }

    /// What becomes readable when `worker` has events.
    pub fn events_fd(&self, worker: usize) -> BorrowedFd<'_> {
        self.members[worker].worker.events_fd()
    }

    /// How many workers there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// The workers.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.members.iter().map(|member| &member.worker)
    }

    /// How full a worker's queues are, what waits outside included.
    pub fn depths(&self) -> impl Iterator<Item = QueueDepths> {
        self.members.iter().map(|member| {
            let depths = member.worker.queue_depths();
            QueueDepths {
                commands: depths.commands + member.waiting.len(),
                ..depths
            }
        })
    }

    /// The first worker that ended by itself, if any.
    pub fn missing(&self) -> Option<usize> {
        self.members
            .iter()
            .position(|member| !member.worker.is_running())
    }

    /// Ends all workers and closes their ports; says why if one had failed.
    pub fn stop(self) -> io::Result<()> {
        // All are told before the first is waited for: a worker with thousands of ports takes its time.
        self.members.iter().for_each(|m| m.worker.ask_to_stop());
        let mut result = Ok(());
        for member in self.members {
            result = result.and(member.worker.stop());
        }
        result
    }

    /// Opens an address at a worker, by a socket or by steering.
    fn place(&mut self, worker: u8, addr: SocketAddr) -> io::Result<Place> {
        match &mut self.steering {
            Some(steering) => steering.open(addr, worker).map(|()| Place::Steered(addr)),
            None => MediaSocket::bind(addr).map(Place::Socket),
        }
    }

    fn queue(&mut self, worker: u8, command: Command) {
        let member = &mut self.members[usize::from(worker)];
        member.touched = true;
        member.changed |= match &command {
            Command::Flow(flow::Command::Send { .. }) | Command::Attach { .. } => false,
            Command::Flow(_) | Command::Detach { .. } | Command::CatchUp { .. } => true,
        };
        if !member.waiting.is_empty() {
            member.waiting.push_back(command);
        } else if let Err(Full(command)) = member.worker.send(command) {
            member.waiting.push_back(command);
        }
    }
}

impl Member {
    /// Remembers the address of a port that is steered.
    fn steer(&mut self, port: PortId, place: &Place) {
        if let Place::Steered(addr) = place {
            if self.steered.len() <= port.slot() {
                self.steered.resize(port.slot() + 1, None);
            }
            self.steered[port.slot()] = Some(*addr);
        }
    }

    /// Queues what waits, as far as there is room.
    fn retry(&mut self) {
        while let Some(command) = self.waiting.pop_front() {
            self.touched = true;
            if let Err(Full(command)) = self.worker.send(command) {
                self.waiting.push_front(command);
                break;
            }
        }
    }

    /// A free slot. The lowest numbers are used again first come first served, which keeps the
    /// worker's table dense and lets a late event of a closed port find nobody for a while.
    fn slot(&mut self) -> Option<u32> {
        self.free.pop_front().or_else(|| {
            let slot = (self.next < self.most).then_some(self.next)?;
            self.next += 1;
            Some(slot)
        })
    }
}

impl Door for Crew {
    fn open(&mut self, worker: u8, addr: SocketAddr) -> io::Result<PortId> {
        let place = self.place(worker, addr)?;
        let member = &mut self.members[usize::from(worker)];
        let port = member.slot().and_then(|slot| PortId::new(worker, slot));
        let Some(port) = port else {
            if let Some(steering) = &mut self.steering {
                steering.close(addr);
            }
            return Err(io::Error::other("the worker has no slot left"));
        };
        member.steer(port, &place);
        self.queue(worker, Command::Attach { port, place });
        Ok(port)
    }

    fn close(&mut self, port: PortId) {
        self.closing.push(port);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use patchcord_engine::{BackendKind, WorkerConfig};

    use super::*;

    #[test]
    fn what_a_full_queue_refuses_waits_in_order() {
        let config = WorkerConfig {
            commands: 4,
            ..WorkerConfig::new(0, BackendKind::Mmsg)
        };
        let worker = Worker::spawn(config).expect("starts");
        let stats = worker.stats();
        let mut crew = Crew::new(vec![worker], 16, None);
        let port = crew
            .open(0, SocketAddr::from(([127, 0, 0, 1], 0)))
            .expect("a free port");
        let mut commands: Vec<_> = (0..1_000).map(|_| flow::Command::Clear(port)).collect();
        crew.close(port);
        crew.submit(&mut commands);
        crew.wake();
        assert!(commands.is_empty());
        // Attach, 1,000 times Clear, Detach: out of order, a Clear would name a port that is gone.
        let mut turns = 0;
        while stats.commands.get() + stats.commands_refused.get() < 1_002 {
            crew.submit(&mut Vec::new());
            crew.wake();
            #[expect(clippy::disallowed_methods, reason = "waits for another thread")]
            std::thread::sleep(Duration::from_millis(1));
            turns += 1;
            assert!(turns < 10_000, "{} carried out", stats.commands.get());
        }
        assert_eq!((stats.commands_refused.get(), stats.ports.get()), (0, 0));
        crew.stop().expect("ends");
    }

    #[test]
    fn a_settled_worker_has_carried_out_what_was_queued() {
        for backend in [BackendKind::Mmsg, BackendKind::Uring] {
            let config = WorkerConfig::new(0, backend);
            let worker = Worker::spawn(config).expect("starts");
            let stats = worker.stats();
            let mut crew = Crew::new(vec![worker], 16, None);
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let port = crew.open(0, any).expect("a free port");
            for round in 1..500 {
                crew.submit(&mut vec![flow::Command::Clear(port)]);
                crew.wake();
                assert!(crew.members[0].worker.settle(Duration::from_mins(1)));
                assert_eq!(stats.commands.get(), 1 + round);
            }
            crew.stop().expect("ends");
        }
    }

    #[test]
    fn a_crew_that_is_behind_has_no_room() {
        let config = WorkerConfig {
            commands: 4,
            ..WorkerConfig::new(0, BackendKind::Mmsg)
        };
        let small = Crew::new(vec![Worker::spawn(config).expect("starts")], 16, None);
        assert!(
            !small.has_room(),
            "a request of the largest size would not fit"
        );
        let config = WorkerConfig::new(0, BackendKind::Mmsg);
        let usual = Crew::new(vec![Worker::spawn(config).expect("starts")], 16, None);
        assert!(usual.has_room());
        small.stop().expect("ends");
        usual.stop().expect("ends");
    }

    #[test]
    fn slots_are_used_up_to_their_number_and_then_again() {
        let config = WorkerConfig {
            max_ports: 2,
            ..WorkerConfig::new(0, BackendKind::Mmsg)
        };
        let mut crew = Crew::new(vec![Worker::spawn(config).expect("starts")], 2, None);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = crew.open(0, any).expect("a slot");
        crew.open(0, any).expect("a slot");
        assert!(crew.open(0, any).is_err());
        crew.close(first);
        crew.submit(&mut Vec::new());
        assert_eq!(
            crew.open(0, any).expect("the slot that is free again"),
            first
        );
        crew.stop().expect("ends");
    }
}
