//! The generator against a relay that errs on purpose: what it reports must be what was done.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use patchcord_wire::ng::{self, Reply};
use patchcord_wire::sdp::Sdp;
use patchcord_wire::value::Value;
use serde_json::Value as Json;

/// Streams start at this sequence number and introduce themselves with five packets.
const FIRST: u16 = 65_500;
const INTRODUCTION: u16 = 5;

/// What the relay does to a packet.
#[derive(Clone, Copy)]
enum Deed {
    Forward,
    Drop,
    Twice,
    FlipPayload,
    FlipHeader,
    WrongPort,
    /// Held back until the next packet of this port has left.
    Later,
}

/// Done to every tenth packet of each stream, from the first after the introduction.
fn deed(misdeed: Deed, packet: &[u8]) -> Deed {
    let seq = u16::from_be_bytes([packet[2], packet[3]]).wrapping_sub(FIRST);
    if seq >= INTRODUCTION && seq % 10 == 5 {
        misdeed
    } else {
        Deed::Forward
    }
}

struct Relay {
    ng: SocketAddr,
    stop: Arc<AtomicBool>,
    misdeeds: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    fn start(misdeed: Deed) -> Self {
        let socket = socket();
        let ng = socket.local_addr().expect("bound");
        let stop = Arc::new(AtomicBool::new(false));
        let misdeeds = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&misdeeds));
        let thread = thread::spawn(move || serve(&socket, misdeed, &stopped, &counted));
        Self {
            ng,
            stop,
            misdeeds,
            thread: Some(thread),
        }
    }

    /// Runs `patchload run` against it: exit status, the step as reported, misdeeds done.
    fn judge(&self) -> (bool, Json, u64) {
        let out = Command::new(env!("CARGO_BIN_EXE_patchload"))
            .args([
                "run",
                "--json",
                "--calls",
                "3",
                "--pps",
                "1200",
                "--seconds",
                "1",
            ])
            .args(["--endpoints", "2", "--ng", &self.ng.to_string()])
            .output()
            .expect("patchload runs");
        let errors = String::from_utf8_lossy(&out.stderr);
        let report: Json = serde_json::from_slice(&out.stdout).expect(&errors);
        (
            out.status.success(),
            report["step"].clone(),
            self.misdeeds.load(Relaxed),
        )
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the relay's thread");
        }
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_nonblocking(true).expect("a flag");
    socket
}

/// A relay's port: its socket, the peer it sends to, and a packet held back.
struct Port {
    socket: UdpSocket,
    peer: SocketAddr,
    held: Option<Vec<u8>>,
}

fn serve(control: &UdpSocket, misdeed: Deed, stop: &AtomicBool, misdeeds: &AtomicU64) {
    let mut calls: HashMap<Vec<u8>, Vec<Port>> = HashMap::new();
    let elsewhere = socket();
    let mut buffer = vec![0; 65_535];
    while !stop.load(Relaxed) {
        let mut idle = true;
        if let Some((len, from)) = receive(control, &mut buffer) {
            let reply = answer(&mut calls, &buffer[..len]);
            control.send_to(&reply, from).expect("sent");
            idle = false;
        }
        for call in calls.values_mut().filter(|call| call.len() == 2) {
            for (i, j) in [(0, 1), (1, 0)] {
                while let Some((len, _)) = receive(&call[i].socket, &mut buffer) {
                    idle = false;
                    let did = deed(misdeed, &buffer[..len]);
                    misdeeds.fetch_add(u64::from(!matches!(did, Deed::Forward)), Relaxed);
                    forward(&mut call[j], did, &mut buffer[..len], &elsewhere);
                }
            }
        }
        if idle {
            thread::yield_now();
        }
    }
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    match socket.recv_from(buffer) {
        Ok(got) => Some(got),
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::WouldBlock | ErrorKind::ConnectionRefused
            ) =>
        {
            None
        }
        Err(e) => panic!("receiving: {e}"),
    }
}

fn forward(port: &mut Port, deed: Deed, packet: &mut [u8], elsewhere: &UdpSocket) {
    let send = |bytes: &[u8]| port.socket.send_to(bytes, port.peer).expect("sent");
    match deed {
        Deed::Drop => return,
        Deed::Later => {
            port.held = Some(packet.to_vec());
            return;
        }
        Deed::FlipPayload => packet[100] ^= 1,
        Deed::FlipHeader => packet[6] ^= 1,
        Deed::Forward | Deed::Twice | Deed::WrongPort => {}
    }
    if let Deed::WrongPort = deed {
        elsewhere.send_to(packet, port.peer).expect("sent");
        return;
    }
    send(packet);
    if let Deed::Twice = deed {
        send(packet);
    }
    if let Some(held) = port.held.take() {
        port.socket.send_to(&held, port.peer).expect("sent");
    }
}

/// Offers open the answerer's port, answers the offerer's; everything else is agreed to.
fn answer(calls: &mut HashMap<Vec<u8>, Vec<Port>>, datagram: &[u8]) -> Vec<u8> {
    let request = ng::parse(datagram).expect("a request");
    let text = |key: &str| {
        request
            .body
            .get(key)
            .and_then(Value::as_bytes)
            .unwrap_or_default()
    };
    let reply = match text("command") {
        b"ping" => Reply::Pong,
        b"offer" | b"answer" => {
            let sender = media(text("sdp"));
            let call = calls.entry(text("call-id").to_vec()).or_default();
            // The port opened for the offerer's offer faces the answerer, who is not known yet; it
            // keeps the offerer's place until then.
            let peer = call
                .first_mut()
                .map_or(sender, |port| std::mem::replace(&mut port.peer, sender));
            let port = Port {
                socket: socket(),
                peer,
                held: None,
            };
            let local = port.socket.local_addr().expect("bound");
            call.push(port);
            let sdp = format!(
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n\
                 c=IN IP4 127.0.0.1\r\n",
                local.port()
            );
            Reply::sdp(sdp.into_bytes())
        }
        _ => Reply::ok(),
    };
    reply.to_bytes(Some(request.cookie), request.format)
}

fn media(body: &[u8]) -> SocketAddr {
    let sdp = Sdp::parse(body).expect("SDP");
    let section = sdp.media(0).expect("a section");
    let port = section.media().expect("an m-line").port;
    let connection = section
        .connection()
        .expect("a c-line")
        .expect("well-formed");
    SocketAddr::new(connection.address.ip().expect("an address"), port)
}

fn count(step: &Json, key: &str) -> u64 {
    step[key].as_u64().expect(key)
}

/// Runs against a relay with one vice; the books must show as many misdeeds as were done.
fn convict(misdeed: Deed, found: impl FnOnce(&Json) -> u64) -> Json {
    let relay = Relay::start(misdeed);
    let (passed, step, misdeeds) = relay.judge();
    assert!(!passed, "a bad relay must not pass: {step:#}");
    assert_eq!(misdeeds, 120, "a tenth of 1200");
    assert_eq!(found(&step), misdeeds, "{step:#}");
    assert_eq!(count(&step, "sent"), 1200);
    step
}

#[test]
fn a_faithful_relay_passes() {
    let (passed, step, _) = Relay::start(Deed::Forward).judge();
    assert!(passed, "{step:#}");
    assert_eq!((count(&step, "received"), count(&step, "wrong")), (1200, 0));
}

#[test]
fn drops_are_reported_as_lost() {
    let step = convict(Deed::Drop, |step| count(step, "lost"));
    assert_eq!(count(&step, "received"), 1080);
}

#[test]
fn second_copies_are_reported_as_duplicates() {
    let step = convict(Deed::Twice, |step| count(step, "duplicated"));
    assert_eq!(count(&step, "received"), 1200);
}

#[test]
fn a_flipped_payload_bit_is_reported_as_wrong_payload() {
    convict(Deed::FlipPayload, |step| {
        count(&step["wrong_by"], "payload")
    });
}

#[test]
fn a_flipped_timestamp_bit_is_reported_as_wrong_header() {
    convict(Deed::FlipHeader, |step| count(&step["wrong_by"], "header"));
}

#[test]
fn a_strange_source_is_reported_as_wrong_path() {
    convict(Deed::WrongPort, |step| count(&step["wrong_by"], "path"));
}

#[test]
fn overtaken_packets_are_reported_as_reordered() {
    let step = convict(Deed::Later, |step| count(step, "reordered"));
    assert_eq!(count(&step, "received"), 1200);
}
