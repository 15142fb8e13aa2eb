//! What proxies and operators read: quality, counters, timeouts by the last packet.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::Time;
use patchcord_control::{
    Clock, Control, Count, EndReason, Ended, Lease, LeasedPort, NoPorts, Outcome, Ports, Seed,
    Settings, Want,
};
use patchcord_media::flow::{Command, PortId};
use patchcord_media::stats::PortStats;
use patchcord_wire::ng::{Reply, Request};
use patchcord_wire::value::{Dict, Value};

struct Numbers(u32);

impl Ports for Numbers {
    fn lease(&mut self, _now: Time, want: Want) -> Result<Lease, NoPorts> {
        let mut port = || {
            self.0 += 1;
            let id = PortId::new(0, self.0).expect("few ports");
            LeasedPort {
                id,
                port: 30_000 + self.0 as u16 - 1,
            }
        };
        let rtp = port();
        let rtcp = (want.count == Count::Pair).then(port);
        Ok(Lease { rtp, rtcp })
    }

    fn release(&mut self, _now: Time, _port: LeasedPort) {}
}

/// An answered call; the caller's RTP port has the counters `heard`.
struct Call {
    control: Control,
    ports: Numbers,
    clock: Clock,
    heard: Arc<PortStats>,
}

impl Call {
    fn new() -> Self {
        let ip: IpAddr = [203, 0, 113, 1].into();
        let mut call = Self {
            control: Control::new(Settings::with_address(ip.into()), &Seed::of_number(1)),
            ports: Numbers(0),
            clock: Clock {
                now: Time::from_secs(1000),
                wall_us: 1_700_000_000_000_000,
            },
            heard: Arc::default(),
        };
        let (_, commands) = call.request(&signalling("offer", "198.51.100.1"));
        call.request(&signalling("answer", "198.51.100.9"));
        call.heard = commands
            .iter()
            .find_map(|command| match command {
                Command::Set(spec) if spec.admission.advertised.port == 4000 => {
                    Some(Arc::clone(&spec.stats))
                }
                Command::Set(_) | Command::Clear(_) | Command::Send { .. } => None,
            })
            .expect("the caller's RTP port has a flow");
        call
    }

    fn request(&mut self, request: &Dict<'static>) -> (Reply<'static>, Vec<Command>) {
        let value = Value::Dict(request.clone());
        let (parsed, warnings) = Request::parse(&value);
        let mut commands = Vec::new();
        let parsed = parsed.expect("complete");
        match self.control.request(
            self.clock,
            &parsed,
            &warnings,
            &mut self.ports,
            &mut commands,
        ) {
            Outcome::Reply(reply) => (reply, commands),
            Outcome::Process(process) => panic!("not about the process: {process:?}"),
        }
    }

    fn pass(&mut self, seconds: u64) -> Vec<Ended> {
        let mut commands = Vec::new();
        let mut ended = Vec::new();
        for _ in 0..seconds {
            self.clock.now = self.clock.now + Duration::from_secs(1);
            self.clock.wall_us += 1_000_000;
            ended.extend(
                self.control
                    .tick(self.clock, &mut self.ports, &mut commands),
            );
        }
        ended
    }

    /// What the worker counts when the caller's stream has had so many packets.
    fn count(&self, packets: u64, lost: u32) {
        let stream = &self.heard.ssrcs[0];
        stream.used.set(1);
        stream.ssrc.set(0x1234_5678);
        stream.clock_rate.set(8000);
        stream.jitter_q4.set(16 * 80);
        stream.rtt_us.set(20_000);
        stream.traffic.packets.set(packets);
        stream.traffic.bytes.set(packets * 172);
        stream.lost.set(lost);
        self.heard.rtp_in.packets.set(packets);
        self.heard.rtp_in.bytes.set(packets * 172);
        self.heard.last_packet.set(self.clock.now.0);
    }

    fn entry(&mut self, command: &'static str, path: &str) -> Option<Value<'static>> {
        let request = Dict::new()
            .with("command", command)
            .with("call-id", "c")
            .with("from-tag", "a");
        let (reply, _) = self.request(&request);
        let Reply::Ok { extra, .. } = reply else {
            panic!("{reply:?}")
        };
        let mut parts = path.split('/');
        let entries = extra.entries().into_owned();
        let mut value = entries.get_exact(parts.next()?.as_bytes())?.clone();
        for part in parts {
            value = match &value {
                Value::List(list) => list.get(part.parse::<usize>().ok()?)?.clone(),
                Value::Dict(dict) => dict.get_exact(part.as_bytes())?.clone(),
                Value::Str(_) | Value::Int(_) => return None,
            };
        }
        Some(value)
    }
}

fn signalling(command: &'static str, ip: &str) -> Dict<'static> {
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n",
        if command == "offer" { 4000 } else { 5000 }
    );
    Dict::new()
        .with("command", command)
        .with("call-id", "c")
        .with("from-tag", "a")
        .with("to-tag", if command == "offer" { "" } else { "b" })
        .with("sdp", sdp)
}

#[test]
fn a_proxy_finds_the_score_by_tag_and_by_ssrc() {
    let mut call = Call::new();
    call.pass(3);
    call.count(250, 0);
    call.pass(5);
    let by_tag = call.entry("query", "tags/a/medias/0/ingress SSRCs/0/average MOS/MOS");
    assert_eq!(
        by_tag,
        Some(Value::Int(44)),
        "ten milliseconds of jitter cost little"
    );
    let ssrc = call.entry("query", "tags/a/medias/0/streams/0/SSRC");
    assert_eq!(ssrc, Some(Value::Int(0x1234_5678)));
    for (key, wanted) in [
        ("MOS", 44),
        ("round-trip time", 20_000),
        ("jitter", 10),
        ("packet loss", 0),
        ("samples", 1),
    ] {
        let found = call.entry("query", &format!("SSRC/{}/average MOS/{key}", 0x1234_5678));
        assert_eq!(found, Some(Value::Int(wanted)), "{key}");
    }
}

#[test]
fn the_worst_moment_is_remembered_with_its_time() {
    let mut call = Call::new();
    for (packets, lost) in [(250, 0), (450, 50), (700, 50)] {
        call.count(packets, lost);
        call.pass(5);
    }
    let entry = |call: &mut Call, key: &str| {
        call.entry("delete", &format!("SSRC/305419896/lowest MOS/{key}"))
            .expect("sampled")
    };
    assert_eq!(entry(&mut call, "packet loss"), Value::Int(20));
    let at = entry(&mut call, "reported at").as_int().expect("a time");
    assert!(
        (1_700_000_006..=1_700_000_010).contains(&at),
        "in the second interval: {at}"
    );
    let entries = call
        .entry("query", "SSRC/305419896/MOS progression/entries")
        .expect("a list");
    assert_eq!(entries.as_list().map(<[_]>::len), Some(3));
}

#[test]
fn a_call_too_short_for_a_sample_still_has_a_score() {
    let mut call = Call::new();
    call.count(40, 0);
    let found = call.entry("delete", "SSRC/305419896/average MOS/MOS");
    assert_eq!(found, Some(Value::Int(44)));
    assert_eq!(
        call.entry("query", "totals/RTP/packets"),
        Some(Value::Int(40))
    );
}

#[test]
fn packets_keep_a_call_alive_and_silence_ends_it_by_the_last_one() {
    let mut call = Call::new();
    call.pass(50);
    call.count(1, 0);
    assert_eq!(call.pass(59), [], "59 s after the last packet");
    let ended = call.pass(1);
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].reason, EndReason::Timeout);
    assert_eq!(ended[0].duration, Duration::from_secs(110));
    let totals = call.control.totals();
    assert_eq!((totals.packets, totals.one_way, totals.silent), (1, 1, 0));
    assert_eq!(totals.ended_by(EndReason::Timeout), 1);
}

#[test]
fn a_final_timeout_ends_a_call_however_alive() {
    let mut call = Call::new();
    let mut settings = call.control.settings().clone();
    settings.timeouts.total = Some(Duration::from_secs(20));
    call.control.reconfigure(settings);
    for _ in 0..19 {
        call.count(100, 0);
        assert_eq!(call.pass(1), []);
    }
    call.count(100, 0);
    let ended = call.pass(1);
    assert_eq!(
        ended.first().map(|ended| ended.reason),
        Some(EndReason::FinalTimeout)
    );
}
