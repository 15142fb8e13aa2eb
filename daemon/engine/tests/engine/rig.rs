//! A worker on loopback, its ports, and the peers that talk through it. With `xsk` the loopback interface is that
//! of a network namespace of the test's own, with the kernel program on it.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aya::programs::XdpMode;
use patchcord_contract::{Endpoint, Reason, Settings};
use patchcord_engine::{
    BackendKind, Command, Intake, Lower, MediaSocket, Place, Worker, WorkerConfig, WorkerStats,
    probe,
};
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Command as Flow, Event, Feedback, Handshakes, Learning, PortId,
    Reporting, Security, Sink, Spec, Stranger,
};
use patchcord_media::stats::PortStats;
use patchcord_offload::{
    Entrance, Lanes, Program, Sizes, Steering, missing_for_lanes, missing_for_steering,
};
use socket2::{MaybeUninitSlice, MsgHdrMut, SockRef};

/// A backend and a family to run a test with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) backend: BackendKind,
    pub(crate) v6: bool,
}

thread_local! {
    /// The kernel program that leads to this thread's workers.
    static PROGRAM: RefCell<Option<Program>> = const { RefCell::new(None) };
}

/// Runs `test` for each backend that may run here, with both families.
pub(crate) fn each(test: impl Fn(Case) + Sync) {
    each_with_sockets(&test);
    let missing = missing_for_steering();
    if missing.is_empty() {
        apart(|| match leave() {
            Ok(()) => with_both_families(BackendKind::Steer, &test),
            Err(why) => eprintln!("\n*** SKIPPED for steer: no namespace: {why} ***\n"),
        });
    } else {
        eprintln!("\n*** SKIPPED for steer: {} ***\n", missing.join(", "));
    }
}

/// Does it on a thread of its own: a namespace is a thread's.
fn apart(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let outcome = scope.spawn(work).join();
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Takes this thread into a network namespace of its own: what is steered is steered there alone, and no port
/// that the kernel chooses for a peer is one of the worker's.
fn leave() -> io::Result<()> {
    // SAFETY: a call that takes no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let lo = process::Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()?;
    assert!(lo.success(), "the loopback interface stays down");
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 60999")
}

/// Runs `test` for each backend whose ports have sockets, hence may have twins.
pub(crate) fn each_with_sockets(test: impl Fn(Case) + Sync) {
    with_both_families(BackendKind::Mmsg, &test);
    match probe::io_uring() {
        Ok(()) => with_both_families(BackendKind::Uring, &test),
        Err(why) => eprintln!("\n*** SKIPPED for uring: {why} ***\n"),
    }
    apart(|| match lead_to_workers() {
        Ok(()) => with_both_families(BackendKind::Xsk, &test),
        Err(why) => eprintln!("\n*** SKIPPED for xsk: {why} ***\n"),
    });
}

fn with_both_families(backend: BackendKind, test: impl Fn(Case)) {
    for v6 in [false, true] {
        eprintln!("{backend}, {}", if v6 { "IPv6" } else { "IPv4" });
        test(Case { backend, v6 });
    }
}

/// Moves this thread to a namespace of its own, whose loopback interface has addresses that packets may come from,
/// and attaches the kernel program to it; says why not where that is refused.
fn lead_to_workers() -> Result<(), String> {
    let missing = missing_for_lanes();
    if !missing.is_empty() {
        return Err(format!("missing: {}", missing.join(", ")));
    }
    leave().map_err(|error| format!("no network namespace: {error}"))?;
    for line in [
        "address add 192.0.2.1/32 dev lo",
        "address add 2001:db8::1/128 dev lo nodad",
    ] {
        let ip = process::Command::new("ip").args(line.split(' ')).status();
        if !ip.as_ref().is_ok_and(process::ExitStatus::success) {
            return Err(format!("ip {line}: {ip:?}"));
        }
    }
    let settings = Settings {
        loopback: 1,
        ttl: 64,
        hop_limit: 64,
        lanes: 1,
        ..Settings::default()
    };
    let sizes = Sizes {
        entries: 1,
        locals: 4,
        lanes: 1,
    };
    let refused = |error: &dyn std::error::Error| format!("the program: {error}");
    let mut program = Program::load(settings, sizes).map_err(|error| refused(&error))?;
    let xdp = program.xdp().map_err(|error| refused(&error))?;
    let attached = xdp.attach_to_if_index(1, XdpMode::Skb);
    let _until_the_program_goes = attached.map_err(|error| refused(&error))?;
    PROGRAM.set(Some(program));
    Ok(())
}

impl Case {
    /// A configuration for tests: few buffers, twins on.
    pub(crate) fn config(self) -> WorkerConfig {
        let mut config = WorkerConfig::new(1, self.backend);
        config.buffers = 256;
        config.max_ports = 2048;
        config
    }

    /// A free address of the family.
    pub(crate) fn any(self) -> SocketAddr {
        match (self.backend, self.v6) {
            (BackendKind::Xsk, true) => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 0).into(),
            (BackendKind::Xsk, false) => (Ipv4Addr::new(192, 0, 2, 1), 0).into(),
            (_, true) => (Ipv6Addr::LOCALHOST, 0).into(),
            (_, false) => (Ipv4Addr::LOCALHOST, 0).into(),
        }
    }

    /// The same backend with the other family.
    pub(crate) fn other(self) -> Self {
        Self {
            v6: !self.v6,
            ..self
        }
    }

    /// A peer's socket.
    pub(crate) fn peer(self) -> Peer {
        Peer::at(self.any())
    }
}

/// A worker under test.
pub(crate) struct Rig {
    pub(crate) worker: Worker,
    pub(crate) case: Case,
    steering: Option<Steering>,
    id: u8,
    next: u32,
}

/// A port of the worker.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) id: PortId,
    pub(crate) addr: SocketAddr,
    pub(crate) stats: Arc<PortStats>,
}

impl Rig {
    /// Starts a worker.
    pub(crate) fn new(case: Case) -> Self {
        Self::with(case, case.config())
    }

    /// Starts a worker with a configuration.
    pub(crate) fn with(case: Case, config: WorkerConfig) -> Self {
        let id = config.id;
        let mut lower = Lower {
            lanes: (case.backend == BackendKind::Xsk).then(|| lanes(id)),
            ..Lower::default()
        };
        let steering = (case.backend == BackendKind::Steer).then(|| {
            let mut steering = Steering::start(usize::from(id) + 1, 4).expect("it is permitted");
            let intake = Intake::open().expect("sockets");
            let seated = steering.seat(id, intake.v4(), intake.v6());
            seated.expect("the kernel steers to them");
            lower.intake = Some(intake);
            steering
        });
        let worker = Worker::spawn_with(config, lower).expect("the worker starts");
        Self {
            worker,
            case,
            steering,
            id,
            next: 0,
        }
    }

    /// Attaches a port.
    pub(crate) fn port(&mut self) -> Port {
        let mut addr = self.case.any();
        if self.steering.is_some() {
            addr.set_port(30_000 + self.next as u16);
        }
        let socket = MediaSocket::bind(addr).expect("a free port");
        let id = PortId::new(self.id, self.next).expect("a slot");
        self.next += 1;
        self.attach(id, socket)
    }

    /// Attaches a socket, or its address if packets are steered.
    pub(crate) fn attach(&self, id: PortId, socket: MediaSocket) -> Port {
        let addr = socket.local_addr();
        let place = self.place(socket);
        self.tell(Command::Attach { port: id, place });
        Port {
            id,
            addr,
            stats: Arc::default(),
        }
    }

    /// What a port is attached with.
    pub(crate) fn place(&self, socket: MediaSocket) -> Place {
        let Some(steering) = &self.steering else {
            return socket.into();
        };
        let addr = socket.local_addr();
        // If it was a port before, the test has detached it.
        steering.close(addr);
        steering.open(addr, self.id).expect("room for a port");
        Place::Steered(addr)
    }

    /// Sends a command.
    pub(crate) fn tell(&self, command: Command) {
        self.worker.send(command).expect("room in the queue");
        self.worker.flush();
    }

    /// Programs a flow.
    pub(crate) fn set(&self, spec: Spec) {
        self.tell(Command::Flow(Flow::Set(Arc::new(spec))));
    }

    /// Programs a call: what comes in at `a` leaves from `b` to `to_b`, and back.
    pub(crate) fn call(&self, a: &Port, to_a: SocketAddr, b: &Port, to_b: SocketAddr) {
        self.set(spec(a, to_a, b));
        self.set(spec(b, to_b, a));
        self.settle();
    }

    /// Waits until the worker has done all commands.
    pub(crate) fn settle(&self) {
        wait("commands are done", || {
            self.worker.queue_depths().commands == 0
        });
        let turns = self.stats().turns.get();
        wait("a turn has ended", || {
            self.worker.flush();
            self.stats().turns.get() > turns + 1
        });
    }

    /// The worker's counters.
    pub(crate) fn stats(&self) -> Arc<WorkerStats> {
        self.worker.stats()
    }

    /// All events so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        std::iter::from_fn(|| self.worker.try_event()).collect()
    }

    /// Talks until so many twins are open; where there are none, a while.
    pub(crate) fn twins(&self, open: u64, mut talk: impl FnMut()) {
        let stats = self.stats();
        if self.case.backend == BackendKind::Steer {
            (0..50).for_each(|_| talk());
            assert_eq!(stats.twins_opened.get(), 0);
            return;
        }
        for _ in 0..2000 {
            if stats.twins.get() == open {
                return;
            }
            talk();
            pause();
        }
        panic!("{} twins, expected {open}", stats.twins.get());
    }

    /// Stops the worker, which must have all its buffers back.
    pub(crate) fn stop(self) {
        let stats = self.stats();
        self.worker.stop().expect("a clean end");
        assert_eq!(stats.buffers_out.get(), 0, "all buffers are back");
        assert_eq!(
            (stats.ports.get(), stats.twins.get()),
            (0, 0),
            "all sockets are closed"
        );
    }
}

/// The one queue of this thread's loopback interface, for that worker.
fn lanes(worker: u8) -> Lanes {
    let queue = Entrance {
        interface: "lo".into(),
        index: 1,
        queue: 0,
        address: [0; 6],
        place: 0,
    };
    PROGRAM.with_borrow(|program| {
        let program = program.as_ref().expect("attached");
        program.lanes(worker, vec![queue]).expect("its maps")
    })
}

/// A flow at `port` from the peer at `advertised` that leaves from `via`.
pub(crate) fn spec(port: &Port, advertised: SocketAddr, via: &Port) -> Spec {
    let sink = Sink {
        via: via.id,
        feedback: Feedback::Keep,
        edit: None,
    };
    Spec {
        port: port.id,
        accepts: Accepts::Muxed,
        admission: Admission {
            advertised: Endpoint::from(advertised),
            learning: Learning::Immediate,
            stranger: Stranger::Forward,
            epoch: 0,
        },
        handshakes: Handshakes::default(),
        receive: Security::Plain,
        send: Security::Plain,
        clocks: Clocks::default(),
        rtp: [sink].into_iter().collect(),
        rtcp: [sink].into_iter().collect(),
        reporting: Reporting::Relayed,
        bundle: None,
        doors: None,
        tos: 0,
        blocked: false,
        interface: 0,
        stats: Arc::clone(&port.stats),
    }
}

/// A peer.
pub(crate) struct Peer(pub(crate) UdpSocket);

impl Peer {
    /// A peer at an address.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's peer opens its own socket"
    )]
    pub(crate) fn at(addr: SocketAddr) -> Self {
        let socket = UdpSocket::bind(addr).expect("a free port");
        // Behind generic XDP a packet takes several times its room.
        SockRef::from(&socket)
            .set_recv_buffer_size(1 << 20)
            .expect("an option");
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        Self(socket)
    }

    /// Its address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }

    /// Sends bytes.
    pub(crate) fn send(&self, bytes: &[u8], to: SocketAddr) {
        assert_eq!(self.0.send_to(bytes, to).expect("sent"), bytes.len());
    }

    /// Sends the `n`th RTP packet.
    pub(crate) fn rtp(&self, n: u16, to: SocketAddr) {
        self.send(&rtp(n), to);
    }

    /// The next packet and where it came from.
    pub(crate) fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut bytes = vec![0; 65_536];
        let (len, from) = uninterrupted(|| self.0.recv_from(&mut bytes)).expect("a packet");
        bytes.truncate(len);
        (bytes, from)
    }

    /// Expects the `n`th RTP packet from `from`.
    pub(crate) fn expect(&self, n: u16, from: SocketAddr) {
        let (bytes, source) = self.receive();
        assert_eq!((bytes, source), (rtp(n), from), "packet {n}");
    }

    /// Expects that nothing is there.
    pub(crate) fn expect_nothing(&self) {
        self.0
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a timeout");
        let nothing = uninterrupted(|| self.0.recv_from(&mut [0; 2048])).expect_err("no packet");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        self.0
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
    }
}

impl Peer {
    /// Throws away what has arrived; says whether there was nothing.
    pub(crate) fn drained(&self) -> bool {
        self.0.set_nonblocking(true).expect("an option");
        let packets = std::iter::from_fn(|| self.0.recv_from(&mut [0; 2048]).ok()).count();
        self.0.set_nonblocking(false).expect("an option");
        packets == 0
    }

    /// Asks the kernel to tell the TOS of what arrives.
    pub(crate) fn report_tos(&self, case: Case) {
        let socket = SockRef::from(&self.0);
        let set = if case.v6 {
            socket.set_recv_tclass_v6(true)
        } else {
            socket.set_recv_tos_v4(true)
        };
        set.expect("an option");
    }

    /// The next packet and its TOS.
    pub(crate) fn receive_tos(&self) -> (Vec<u8>, u8) {
        let mut bytes = [MaybeUninit::new(0); 2048];
        let mut control = [MaybeUninit::new(0); 64];
        let mut parts = [MaybeUninitSlice::new(&mut bytes)];
        let mut message = MsgHdrMut::new()
            .with_buffers(&mut parts)
            .with_control(&mut control);
        let len = SockRef::from(&self.0)
            .recvmsg(&mut message, 0)
            .expect("a packet");
        // A control message is its length, level and type, 16 bytes together, and its value.
        assert!(message.control_len() > 16, "the TOS is told");
        let read = |bytes: &[MaybeUninit<u8>]| -> Vec<u8> {
            let mut copy = vec![0; bytes.len()];
            copy.iter_mut().zip(bytes).for_each(|(to, from)| {
                // SAFETY: every byte of both arrays was initialised before the kernel wrote some.
                *to = unsafe { from.assume_init() };
            });
            copy
        };
        (read(&bytes[..len]), read(&control)[16])
    }
}

/// The `n`th packet of an RTP stream of 160 bytes of payload.
pub(crate) fn rtp(n: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44];
    packet[2..4].copy_from_slice(&n.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(n) * 160).to_be_bytes());
    packet.extend((0..160).map(|i| (i as u8) ^ (n as u8)));
    packet
}

/// Packets that `port` did not forward because of `reason`.
pub(crate) fn drops(port: &Port, reason: Reason) -> u32 {
    port.stats.drops[reason as usize].get()
}

/// Does it again if a signal interrupted it.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A moment.
#[expect(clippy::disallowed_methods, reason = "a test waits for another thread")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}

/// Waits until `done`.
#[expect(clippy::disallowed_methods, reason = "a test waits for another thread")]
pub(crate) fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
