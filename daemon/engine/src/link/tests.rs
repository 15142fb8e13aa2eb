//! The link layer between two namespaces joined by a veth, whose kernels are the judges.

use std::io::Write;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use patchcord_contract::Endpoint;
use socket2::{MaybeUninitSlice, MsgHdrMut, SockRef};

use super::frame::HEADROOM;
use super::netlink::Netlink;
use super::*;
use crate::clock::monotonic;

/// Port of the local endpoint.
const OURS: u16 = 30_000;

type Job = Box<dyn FnOnce() + Send>;

/// A namespace in which a thread of its own does what it is given.
struct Place {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    path: String,
}

impl Place {
    fn new() -> Option<Self> {
        let (jobs, inbox) = channel::<Job>();
        let (ready, made) = channel();
        let thread = Builder::new().spawn(move || {
            // SAFETY: a call that takes no pointers.
            let alone = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
            let path = std::fs::read_link("/proc/thread-self").expect("procfs is mounted");
            let path = format!("/proc/{}/ns/net", path.display());
            ready.send(alone.then_some(path)).expect("the maker waits");
            for job in inbox {
                job();
            }
        });
        let thread = thread.expect("a thread");
        let path = made.recv().expect("the thread tells")?;
        let place = Self {
            jobs: Some(jobs),
            thread: Some(thread),
            path,
        };
        place.ip("link set lo up");
        Some(place)
    }

    fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let job = Box::new(move || drop(done.send(work())));
        let jobs = self.jobs.as_ref().expect("until it ends");
        jobs.send(job).expect("it listens");
        result.recv().expect("the work panicked")
    }

    fn ip(&self, lines: &str) {
        let done = self.try_ip(lines);
        done.unwrap_or_else(|refusal| panic!("ip refused:\n{lines}\n{refusal}"));
    }

    fn try_ip(&self, lines: &str) -> Result<(), String> {
        let lines = lines.to_owned();
        self.run(move || {
            let mut child = Command::new("ip")
                .args(["-batch", "-"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("iproute2 is installed");
            let mut input = child.stdin.take().expect("piped");
            input.write_all(lines.as_bytes()).expect("it reads");
            drop(input);
            let output = child.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr);
            output
                .status
                .success()
                .then_some(())
                .ok_or(said.into_owned())
        })
    }

    /// A socket of a peer here.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's peer opens its own socket"
    )]
    fn peer(&self, addr: impl Into<IpAddr>) -> UdpSocket {
        let addr = SocketAddr::new(addr.into(), 40_000);
        let socket = self
            .run(move || UdpSocket::bind(addr))
            .expect("a free port");
        socket
            .set_read_timeout(Some(Duration::from_millis(300)))
            .expect("an option");
        let options = SockRef::from(&socket);
        if addr.is_ipv4() {
            options.set_recv_tos_v4(true).expect("an option");
        } else {
            options.set_recv_tclass_v6(true).expect("an option");
            options.set_recv_hoplimit_v6(true).expect("an option");
        }
        socket
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.jobs.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// The relay's namespace and its peer's: 192.0.2.1 and .2, 2001:db8::1 and ::2; and where the kernel has VLANs, the
/// same of 198.51.100.0/24 and 2001:db8:7::/64 in VLAN 7.
struct Stage {
    ours: Place,
    theirs: Place,
    pairs: &'static [(&'static str, &'static str)],
}

/// Runs a test where namespaces are permitted.
fn staged(test: impl FnOnce(&Stage)) {
    let (Some(ours), Some(theirs)) = (Place::new(), Place::new()) else {
        assert!(
            std::env::var_os("PATCHCORD_TEST_REQUIRE").is_none(),
            "namespaces are refused"
        );
        drop(writeln!(
            std::io::stderr(),
            "SKIPPED: namespaces are refused"
        ));
        return;
    };
    ours.ip(&format!(
        "link add near type veth peer name far netns {}",
        theirs.path
    ));
    let mut pairs = &PAIRS[..];
    for (place, link, number) in [(&ours, "near", 1), (&theirs, "far", 2)] {
        place.ip(&format!(
            "link set {link} address 02:00:00:00:00:0{number} addrgenmode none\n\
             address add 192.0.2.{number}/24 dev {link}\n\
             address add 2001:db8::{number}/64 dev {link} nodad\n\
             link set {link} up"
        ));
        let tagged = format!("link add link {link} name tagged addrgenmode none type vlan id 7");
        if let Err(refusal) = place.try_ip(&tagged) {
            drop(writeln!(std::io::stderr(), "SKIPPED: VLANs: {refusal}"));
            pairs = &PAIRS[..2];
            continue;
        }
        place.ip(&format!(
            "address add 198.51.100.{number}/24 dev tagged\n\
             address add 2001:db8:7::{number}/64 dev tagged nodad\n\
             link set tagged up"
        ));
    }
    ours.run(settle);
    test(&Stage {
        ours,
        theirs,
        pairs,
    });
}

/// Waits until the kernel has told all of what was set up: links come into operation a while later.
#[expect(clippy::disallowed_methods, reason = "a test waits for the kernel")]
fn settle() {
    let mut news = Netlink::open(libc::NETLINK_ROUTE, u32::MAX).expect("netlink");
    let mut quiet = 0;
    while quiet < 3 {
        std::thread::sleep(Duration::from_millis(50));
        quiet += 1;
        news.hear(|_, _| quiet = 0).expect("news");
    }
}

/// What leaves from the relay's namespace.
struct Outlet {
    hops: Hops,
    line: Line,
    raw: Raw,
}

impl Stage {
    fn outlet(&self) -> Outlet {
        self.ours.run(|| Outlet {
            hops: Hops::open().expect("netlink"),
            line: Line::open().expect("a packet socket"),
            raw: Raw::open().expect("raw sockets"),
        })
    }
}

impl Outlet {
    /// Where packets leave, once the kernel has found the neighbour.
    #[expect(clippy::disallowed_methods, reason = "a test waits for the kernel")]
    fn hop(&mut self, course: &Course) -> Hop {
        for _ in 0..400 {
            if let Some(hop) = self.hops.find(course) {
                return hop;
            }
            self.raw.send(course, b"who are you?").expect("sent");
            self.hops.tend(monotonic());
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no hop for {course:?}");
    }

    /// Whether a course stays without a hop, though the kernel was asked.
    fn has_none(&mut self, course: &Course) -> bool {
        (0..3).all(|_| {
            let none = self.hops.find(course).is_none();
            self.hops.tend(monotonic());
            none
        }) && !self.hops.has_questions()
    }

    fn frame(&mut self, course: &Course, hop: &Hop, tagged: bool, payload: &[u8]) {
        let mut buffer = vec![0; HEADROOM];
        buffer.extend(payload);
        let range = HEADROOM..buffer.len();
        let start = frame::write(&mut buffer, range, course, hop, tagged).expect("it fits");
        let frame = Frame {
            interface: if tagged { hop.under } else { hop.interface },
            bytes: &buffer[start..],
        };
        self.line.send(&[frame], |_, errno| panic!("error {errno}"));
    }
}

fn course(from: &str, to: &str) -> Course {
    let end = |text: &str, port| Endpoint::new(text.parse::<IpAddr>().expect("an address"), port);
    Course {
        from: end(from, OURS),
        to: end(to, 40_000),
        scope: 0,
        tos: 0xb8,
    }
}

const PAIRS: [(&str, &str); 4] = [
    ("192.0.2.1", "192.0.2.2"),
    ("2001:db8::1", "2001:db8::2"),
    ("198.51.100.1", "198.51.100.2"),
    ("2001:db8:7::1", "2001:db8:7::2"),
];

/// The next packet that says `payload`, where it came from, and its control messages' bytes, whose last ones are
/// the values.
fn received(socket: &UdpSocket, payload: &[u8]) -> (SocketAddr, Vec<u8>) {
    loop {
        let mut bytes = [MaybeUninit::new(0); 4096];
        let mut control = [MaybeUninit::new(0); 128];
        let mut name = socket2::SockAddr::from(SocketAddr::from(([0; 16], 0)));
        let mut parts = [MaybeUninitSlice::new(&mut bytes)];
        let mut message = MsgHdrMut::new()
            .with_addr(&mut name)
            .with_buffers(&mut parts)
            .with_control(&mut control);
        let len = SockRef::from(socket)
            .recvmsg(&mut message, 0)
            .unwrap_or_else(|error| panic!("{} bytes do not arrive: {error}", payload.len()));
        let told = message.control_len();
        // SAFETY: all bytes were initialised before the kernel wrote some.
        let [bytes, control] =
            [&bytes[..len], &control[..told]].map(|bytes| unsafe { bytes.assume_init_ref() });
        if bytes == payload {
            return (name.as_socket().expect("an address"), control.to_vec());
        }
    }
}

#[test]
fn a_frame_arrives_as_a_datagram_of_a_socket_would() {
    staged(|stage| {
        let mut outlet = stage.outlet();
        for (from, to) in stage.pairs {
            let course = course(from, to);
            let peer = stage.theirs.peer(course.to.addr.ip());
            let hop = outlet.hop(&course);
            let payload: Vec<u8> = (0..173).collect();
            outlet.frame(&course, &hop, false, &payload);
            let (source, by_frame) = received(&peer, &payload);
            assert_eq!(source, course.from.socket_addr());
            let mut sent = payload.clone();
            sent.push(1);
            outlet.raw.send(&course, &sent).expect("sent");
            let (source, by_raw) = received(&peer, &sent);
            assert_eq!(source, course.from.socket_addr());
            sent.push(2);
            let socket = stage.ours.peer(course.from.addr.ip());
            let options = SockRef::from(&socket);
            if course.is_v4() == Some(true) {
                options.set_tos_v4(0xb8).expect("an option");
            } else {
                options.set_tclass_v6(0xb8).expect("an option");
            }
            socket
                .send_to(&sent, course.to.socket_addr())
                .expect("sent");
            let (_, by_socket) = received(&peer, &sent);
            assert_eq!(by_frame, by_socket, "TOS and life of {course:?}");
            assert_eq!(by_raw, by_socket, "TOS and life of {course:?}");
        }
    });
}

#[test]
fn a_tag_is_the_relays_to_write_where_frames_leave_below_it() {
    staged(|stage| {
        let mut outlet = stage.outlet();
        for (from, to) in stage.pairs {
            let course = course(from, to);
            let peer = stage.theirs.peer(course.to.addr.ip());
            let hop = outlet.hop(&course);
            let is_tagged = from.starts_with("198") || from.starts_with("2001:db8:7");
            assert_eq!(hop.vlan, if is_tagged { 7 } else { 0 });
            assert_eq!(hop.under != hop.interface, is_tagged);
            outlet.frame(&course, &hop, true, b"tagged");
            received(&peer, b"tagged");
        }
    });
}

#[test]
fn a_neighbour_that_changes_its_address_is_followed() {
    staged(|stage| {
        let mut outlet = stage.outlet();
        for (from, to) in &PAIRS[..2] {
            let course = course(from, to);
            let peer = stage.theirs.peer(course.to.addr.ip());
            assert_eq!(outlet.hop(&course).to, [2, 0, 0, 0, 0, 2]);
            stage.theirs.ip("link set far address 02:00:00:00:00:09");
            stage.ours.ip(&format!(
                "neighbour replace {to} lladdr 02:00:00:00:00:09 nud reachable dev near"
            ));
            outlet.hops.tend(monotonic());
            let hop = outlet.hops.find(&course).expect("asked at once");
            assert_eq!(hop.to, [2, 0, 0, 0, 0, 9]);
            outlet.frame(&course, &hop, false, b"there");
            received(&peer, b"there");
            stage.ours.ip(&format!("neighbour del {to} dev near"));
            assert!(outlet.hops.find(&course).is_some(), "nothing was heard yet");
            outlet.hops.tend(monotonic());
            assert_eq!(outlet.hops.find(&course), None, "nobody knows where it is");
            stage.theirs.ip("link set far address 02:00:00:00:00:02");
        }
    });
}

#[test]
fn a_changed_route_is_found_a_second_later() {
    staged(|stage| {
        stage.ours.ip(
            "neighbour add 192.0.2.8 lladdr 02:00:00:00:00:08 dev near\n\
             neighbour add 192.0.2.9 lladdr 02:00:00:00:00:09 dev near\n\
             route add 203.0.113.0/24 via 192.0.2.8 mtu 1400",
        );
        let mut outlet = stage.outlet();
        let course = course("192.0.2.1", "203.0.113.7");
        let hop = outlet.hop(&course);
        assert_eq!((hop.to[5], hop.mtu), (8, 1400));
        stage
            .ours
            .ip("route replace 203.0.113.0/24 via 192.0.2.9 hoplimit 9");
        let now = monotonic();
        outlet.hops.tend(now);
        assert_eq!(outlet.hops.find(&course), None, "the kernel knows better");
        outlet.hops.tend(now + Duration::from_millis(900));
        assert_eq!(outlet.hops.find(&course), None, "changes come in groups");
        outlet.hops.tend(now + Duration::from_millis(1100));
        let hop = outlet.hops.find(&course).expect("asked again");
        assert_eq!((hop.to[5], hop.mtu, hop.life), (9, 1500, 9));
    });
}

#[test]
fn an_interface_that_goes_down_has_no_hops() {
    staged(|stage| {
        let mut outlet = stage.outlet();
        for (from, to) in stage.pairs {
            outlet.hop(&course(from, to));
        }
        stage.ours.ip("link set near down");
        let now = monotonic();
        outlet.hops.tend(now);
        for (from, to) in stage.pairs {
            assert_eq!(outlet.hops.find(&course(from, to)), None);
        }
        for late in 2..4 {
            outlet.hops.tend(now + Duration::from_secs(late));
            for (from, to) in stage.pairs {
                assert_eq!(outlet.hops.find(&course(from, to)), None);
            }
        }
        stage.ours.ip("link set near up");
        let course = course(PAIRS[0].0, PAIRS[0].1);
        assert_eq!(outlet.hop(&course).to, [2, 0, 0, 0, 0, 2]);
    });
}

#[test]
fn what_stays_on_the_machine_or_goes_to_many_is_the_kernels() {
    staged(|stage| {
        let mut outlet = stage.outlet();
        for (from, to) in [
            ("192.0.2.1", "192.0.2.1"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            let course = course(from, to);
            let peer = stage.ours.peer(course.to.addr.ip());
            assert!(outlet.has_none(&course), "{to}");
            outlet.raw.send(&course, b"hello").expect("sent");
            let (source, _) = received(&peer, b"hello");
            assert_eq!(source, course.from.socket_addr());
        }
        for (from, to) in [
            ("192.0.2.1", "224.0.0.9"),
            ("192.0.2.1", "255.255.255.255"),
            ("192.0.2.1", "192.0.2.255"),
            ("192.0.2.1", "203.0.113.1"),
            ("192.0.2.77", "192.0.2.2"),
            ("2001:db8::1", "ff02::9"),
            ("2001:db8::1", "2001:db9::1"),
            ("192.0.2.1", "2001:db8::2"),
        ] {
            assert!(outlet.has_none(&course(from, to)), "{from} to {to}");
        }
        let refused = outlet
            .raw
            .send(&course("192.0.2.1", "203.0.113.1"), b"hello");
        assert_eq!(refused, Err(libc::ENETUNREACH));
        let refused = outlet
            .raw
            .send(&course("192.0.2.1", "2001:db8::2"), b"hello");
        assert_eq!(refused, Err(libc::EAFNOSUPPORT));
    });
}

#[test]
fn a_neighbour_in_its_link_is_found_in_the_scope_of_the_port() {
    staged(|stage| {
        stage.ours.ip("address add fe80::77:1/64 dev near nodad");
        stage.theirs.ip("address add fe80::77:2/64 dev far nodad");
        let mut outlet = stage.outlet();
        let index = |place: &Place, link: &'static str| {
            let table = place.run(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6"));
            let table = table.expect("procfs is mounted");
            let line = table
                .lines()
                .find(|line| line.ends_with(link))
                .expect("the link");
            let number = line.split_whitespace().nth(1).expect("its index");
            u32::from_str_radix(number, 16).expect("a number")
        };
        let near = index(&stage.ours, "near");
        let far = index(&stage.theirs, "far");
        let mut course = course("fe80::77:1", "fe80::77:2");
        course.scope = near;
        let local = std::net::SocketAddrV6::new("fe80::77:2".parse().expect("v6"), 40_000, 0, far);
        #[expect(
            clippy::disallowed_methods,
            reason = "a test's peer opens its own socket"
        )]
        let peer = stage
            .theirs
            .run(move || UdpSocket::bind(local))
            .expect("a port");
        peer.set_read_timeout(Some(Duration::from_secs(2)))
            .expect("an option");
        let hop = outlet.hop(&course);
        assert_eq!(hop.interface, near);
        outlet.frame(&course, &hop, false, b"near");
        received(&peer, b"near");
    });
}

#[test]
fn policies_that_look_at_more_than_addresses_are_left_to_the_kernel() {
    staged(|stage| {
        let mut outlet = stage.outlet();
        let (four, six) = (
            course(PAIRS[0].0, PAIRS[0].1),
            course(PAIRS[1].0, PAIRS[1].1),
        );
        outlet.hop(&four);
        stage.ours.ip("rule add sport 30000-31000 blackhole");
        let later = |outlet: &mut Outlet| {
            let now = monotonic();
            outlet.hops.tend(now);
            outlet.hops.find(&four);
            outlet.hops.find(&six);
            outlet.hops.tend(now + Duration::from_secs(2));
            outlet.hops.tend(now + Duration::from_secs(2));
            outlet.hops.find(&four).is_some()
        };
        assert!(!later(&mut outlet), "a rule of ports");
        outlet.hop(&six);
        stage
            .ours
            .ip("rule del sport 30000-31000 blackhole\nrule add tos 0x10 blackhole");
        assert!(later(&mut outlet), "a rule of another class");
        stage.ours.ip("rule add tos 0x18 blackhole");
        assert!(!later(&mut outlet), "a rule of this class");
    });
}

#[test]
fn the_kernel_cuts_what_is_too_long() {
    staged(|stage| {
        let outlet = stage.outlet();
        for (from, to) in stage.pairs {
            let course = course(from, to);
            let peer = stage.theirs.peer(course.to.addr.ip());
            let payload = vec![7; 3_000];
            outlet.raw.send(&course, &payload).expect("sent");
            received(&peer, &payload);
        }
    });
}

#[test]
fn one_packet_of_many_is_left_to_the_kernel() {
    staged(|stage| {
        let mut outlet = stage.outlet();
        let course = course(PAIRS[0].0, PAIRS[0].1);
        outlet.hop(&course);
        let by_kernel = (0..4096)
            .filter(|_| outlet.hops.find(&course).is_none())
            .count();
        assert_eq!(by_kernel, 4);
    });
}

#[test]
fn what_is_asked_in_a_turn_is_bounded() {
    staged(|stage| {
        let places: Vec<_> = (10..60)
            .map(|n| format!("neighbour add 192.0.2.{n} lladdr 02:00:00:00:00:{n} dev near"))
            .collect();
        stage.ours.ip(&places.join("\n"));
        let mut outlet = stage.outlet();
        let courses: Vec<_> = (10..60)
            .map(|n| course("192.0.2.1", &format!("192.0.2.{n}")))
            .collect();
        let mut known = Vec::new();
        for _ in 0..8 {
            let found = courses
                .iter()
                .filter(|course| outlet.hops.find(course).is_some());
            known.push(found.count());
            outlet.hops.tend(monotonic());
        }
        assert_eq!(known, [0, 8, 16, 24, 32, 40, 48, 50]);
        assert!(!outlet.hops.has_questions());
    });
}
