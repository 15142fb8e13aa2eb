//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench;
use crate::io::Io;
use crate::io::frame::Mac;
use crate::io::packet::{PacketIo, Wire};
use crate::io::udp::{Place, UdpIo};
use crate::load::Name;
use crate::load::attack::{Attack, Attacker};
use crate::load::payload::{LONGEST, Payload};
use crate::modes;
use crate::ng::call::Style;
use crate::ng::client::{Client, Relay, Wait};
use crate::ng::sdes::Security;
use crate::ng::sdp::Rtcp;
use crate::os::pin;
use crate::os::soak::Soak;
use crate::process::Process;
use crate::report::Report;
use crate::rig::{Parts, Rig};

const EXAMPLES: &str = "Examples:
  One call with a tone from each side, against a relay on this machine:
    patchload demo

  100 calls, 10,000 packets a second for 5 seconds, every byte checked:
    patchload run --calls 100 --pps 10000 --seconds 5

  The highest rate that loses at most 0.1 %, and what a packet costs the relay:
    patchload max --calls 500 --relay-pid $(pidof patchcord)

  SRTP from the caller, plain RTP to the callee, and an attacker on the path:
    patchload run --security AES_CM_128_HMAC_SHA1_80,plain --attack all --share 30

  How many calls a second can be set up and deleted, 16 requests in flight:
    patchload setup --calls 5000 --relay-pid $(pidof rtpengine)

  500 calls from browsers to plain phones, audio and video in a bundle:
    patchload webrtc --calls 500 --relay-pid $(pidof patchcord)

  Media of bundles, SRTP to plain RTP and back, every byte checked:
    patchload run --bundle --security AES_CM_128_HMAC_SHA1_80,plain --pps 50000

  Over raw frames between namespaces, as `make bench` does:
    patchload max --io packet --ng-netns relay \\
      --wire a/veth0,02:00:00:00:00:0a,02:00:00:00:00:01,10.77.1.2 \\
      --wire b/veth0,02:00:00:00:00:0b,02:00:00:00:00:02,10.77.2.2

Exit status: 0 all checks held, 1 one failed, 2 no result.";

/// Calls and packets for a media relay that speaks the NG protocol.
#[derive(Parser, Debug)]
#[command(name = "patchload", version, after_long_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Hold one rate and check every packet
    Run(modes::run::Options),
    /// Search for the highest rate under a loss bound
    Max(modes::max::Options),
    /// Measure how fast calls are set up and deleted
    Setup(modes::setup::Options),
    /// Set many calls up, hold them, tear them down; memory and descriptors must come back
    Hold(modes::hold::Options),
    /// Drown the relay at twice its highest rate and see how soon it serves again
    Overload(modes::overload::Options),
    /// Place one call with a tone from each side and listen for them
    Demo(modes::demo::Options),
    /// Measure the generator itself, endpoints wired back to back
    Bare(modes::bare::Options),
    /// Place calls from browsers to plain phones: ICE, DTLS, SRTP
    Webrtc(modes::webrtc::Options),
    /// Compare relays in network namespaces (root; see bench/README.md)
    Bench(bench::Options),
}

impl Cli {
    /// Runs what was asked for.
    pub(crate) fn run(&self) -> Result<Report> {
        match &self.command {
            Command::Run(options) => modes::run::run(options),
            Command::Max(options) => modes::max::run(options),
            Command::Setup(options) => modes::setup::run(options),
            Command::Hold(options) => modes::hold::run(options),
            Command::Overload(options) => modes::overload::run(options),
            Command::Demo(options) => modes::demo::run(options),
            Command::Bare(options) => modes::bare::run(options),
            Command::Webrtc(options) => modes::webrtc::run(options),
            Command::Bench(options) => bench::run(options),
        }
    }
}

/// How packets get out and in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Datagram sockets: unprivileged, works on loopback
    Udp,
    /// Raw frames on two devices: needs root and two --wire
    Packet,
}

/// The relay and the calls.
#[derive(Args, Clone, Debug)]
pub(crate) struct RigOptions {
    /// Where the relay listens for NG
    #[arg(long, default_value = "127.0.0.1:2223", value_name = "ADDR:PORT")]
    ng: SocketAddr,
    /// Network namespace of the relay's NG port
    #[arg(long, value_name = "NAME")]
    ng_netns: Option<String>,
    /// Process to watch: CPU per packet, memory, descriptors
    #[arg(long, value_name = "PID")]
    relay_pid: Option<u32>,
    /// The core that process is pinned to, which then is watched by a thread that takes what is left of it
    #[arg(long, value_name = "N")]
    relay_core: Option<usize>,
    /// NG requests in flight
    #[arg(long, default_value_t = 16, value_name = "N")]
    window: usize,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    call: CallOptions,
}

/// Our endpoints.
#[derive(Args, Clone, Debug)]
pub(crate) struct NetworkOptions {
    /// How packets get out and in
    #[arg(long, value_enum, default_value_t = Way::Udp)]
    io: Way,
    /// Address of our endpoints; a second one for the answering side (udp)
    #[arg(
        long,
        default_value = "127.0.0.1",
        value_name = "IP",
        value_delimiter = ','
    )]
    ip: Vec<IpAddr>,
    /// Network namespace of our endpoints, or its path; a second one for the answering side (udp)
    #[arg(long, value_name = "NETNS", value_delimiter = ',')]
    netns: Vec<String>,
    /// Sockets on each side, shared by the calls (udp)
    #[arg(long, default_value_t = 16, value_name = "N")]
    endpoints: usize,
    /// Offering, then answering side: [NETNS/]DEVICE,OUR-MAC,RELAY-MAC,IP (packet)
    #[arg(long, value_parser = wire, value_name = "WIRE")]
    wire: Vec<Wire>,
    /// Pin the generator to this core
    #[arg(long, value_name = "N")]
    core: Option<usize>,
}

/// Somebody on the path who sends packets of his own into secure streams.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct AttackOptions {
    /// Attack secure streams; fails if anything of it comes out
    #[arg(long, value_enum)]
    attack: Option<Attack>,
    /// The attacker's share of all packets, in percent
    #[arg(long, default_value_t = 30.0, value_parser = percent, requires = "attack", value_name = "PERCENT")]
    share: f64,
}

impl AttackOptions {
    /// The attacker, if there is to be one.
    pub(crate) fn attacker(self) -> Option<Attacker> {
        self.attack
            .map(|attack| Attacker::new(attack, self.share / 100.0))
    }
}

/// What the calls are like.
#[derive(Args, Clone, Debug)]
struct CallOptions {
    /// Relay interface of the offering side (`direction`)
    #[arg(long, requires = "to_interface", value_name = "NAME")]
    from_interface: Option<String>,
    /// Relay interface of the answering side
    #[arg(long, requires = "from_interface", value_name = "NAME")]
    to_interface: Option<String>,
    /// Word for the `flags` list; may be repeated
    #[arg(long = "flag", value_name = "WORD")]
    flags: Vec<String>,
    /// Word for the `rtcp-mux` list of offers; may be repeated
    #[arg(long = "rtcp-mux", value_name = "WORD")]
    rtcp_mux: Vec<String>,
    /// Further key of offers and answers; may be repeated
    #[arg(long = "set", value_parser = key_value, value_name = "KEY=VALUE")]
    keys: Vec<(String, String)>,
    /// Where our endpoints take RTCP
    #[arg(long, value_enum, default_value_t)]
    rtcp: Rtcp,
    /// What protects the media: `plain` or a crypto suite (SDES); a second one for the answering side
    #[arg(long, default_value = "plain", value_parser = Security::from_name, value_delimiter = ',', value_name = "SUITE")]
    security: Vec<Security>,
    /// Audio and video, bundled on the offering side where the relay can
    #[arg(long)]
    bundle: bool,
    /// Bytes of RTP payload
    #[arg(long, default_value_t = 160, value_name = "BYTES")]
    size: usize,
    /// Take the payloads of this recording (pcap, pcapng) instead
    #[arg(long, value_name = "FILE", conflicts_with = "size")]
    pcap: Option<PathBuf>,
    /// Milliseconds of media a packet, as told in SDP
    #[arg(long, default_value_t = 20, value_name = "MS")]
    ptime: u32,
    /// RTP payload type
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=127))]
    payload_type: u8,
    /// Seconds in which new RTP streams introduce themselves before anything is measured
    #[arg(long, default_value = "0.5", value_parser = seconds, value_name = "SECONDS")]
    warm_up: Duration,
}

impl RigOptions {
    /// Opens what the options describe and waits for the relay.
    pub(crate) fn open(&self) -> Result<Rig> {
        let payload = match &self.call.pcap {
            Some(path) => Payload::recorded(path)?,
            None => Payload::pattern(self.call.size)?,
        };
        let wait = match self.network.io {
            Way::Udp => Wait::Asleep,
            Way::Packet => Wait::Spinning,
        };
        let relay = Relay {
            ng: self.ng,
            netns: self.ng_netns.clone(),
            wait,
        };
        let mut client = Client::connect(&relay)?;
        client.wait_until_up(Duration::from_secs(2))?;
        let mut rig = Rig::new(Parts {
            client,
            io: self.network.open()?,
            style: self.call.style()?,
            payload,
            relay: self.relay_pid.map(Process::new).transpose()?,
            window: self.window,
            warm_up: self.call.warm_up,
        });
        rig.soak = self.relay_core.map(Soak::start).transpose()?;
        Ok(rig)
    }

    /// The milliseconds of media in a packet.
    pub(crate) fn ptime(&self) -> u32 {
        self.call.ptime.max(1)
    }
}

impl NetworkOptions {
    /// Opens the endpoints.
    pub(crate) fn open(&self) -> Result<Io> {
        if let Some(core) = self.core {
            pin::this_thread(core)?;
        }
        match self.io {
            Way::Udp => {
                ensure!(
                    (1..=2).contains(&self.ip.len()),
                    "--ip takes one or two addresses"
                );
                let place = |i: usize| Place {
                    ip: self.ip[i.min(self.ip.len() - 1)],
                    netns: self.netns.get(i).or(self.netns.last()).cloned(),
                };
                Ok(Io::Udp(UdpIo::open(&[place(0), place(1)], self.endpoints)?))
            }
            Way::Packet => {
                let wires = <[Wire; 2]>::try_from(self.wire.clone()).ok();
                Ok(Io::Packet(PacketIo::open(
                    wires.context("--io packet takes two --wire")?,
                )?))
            }
        }
    }
}

impl CallOptions {
    fn style(&self) -> Result<Style> {
        let security = match self.security[..] {
            [both] => [both; 2],
            [offerer, answerer] => [offerer, answerer],
            _ => bail!("--security takes one or two suites"),
        };
        let tag = |side: &Security| match side {
            Security::Plain => 0,
            Security::Sdes(suite) => suite.rtp_tag_len(),
        };
        let name = if self.bundle { Name::LEN } else { 0 };
        let longest = LONGEST - name - security.iter().map(tag).max().unwrap_or(0);
        ensure!(
            self.size <= longest,
            "a payload has at most {longest} bytes beside its tag"
        );
        Ok(Style {
            interfaces: self
                .from_interface
                .clone()
                .zip(self.to_interface.clone())
                .map(Into::into),
            flags: self.flags.clone(),
            rtcp_mux: self.rtcp_mux.clone(),
            keys: self.keys.clone(),
            ptime: self.ptime,
            payload_type: self.payload_type,
            security,
            rtcp: self.rtcp,
            bundle: self.bundle,
        })
    }
}

/// A time in seconds, fractions allowed.
pub(crate) fn seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().context("not a number")?;
    ensure!(
        (0.001..=86_400.0).contains(&seconds),
        "between a millisecond and a day"
    );
    Ok(Duration::from_secs_f64(seconds))
}

/// A rate in packets a second.
pub(crate) fn rate(text: &str) -> Result<f64> {
    let rate: f64 = text.parse().context("not a number")?;
    ensure!(
        (1.0..=10e6).contains(&rate),
        "between one and ten million packets a second"
    );
    Ok(rate)
}

fn percent(text: &str) -> Result<f64> {
    let percent: f64 = text.parse().context("not a number")?;
    ensure!((0.0..=90.0).contains(&percent), "between 0 and 90");
    Ok(percent)
}

fn key_value(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').context("want KEY=VALUE")?;
    Ok((key.into(), value.into()))
}

fn wire(text: &str) -> Result<Wire> {
    let parts: Vec<_> = text.split(',').collect();
    let [place, ours, gateway, ip] = parts[..] else {
        bail!("want [NETNS/]DEVICE,OUR-MAC,RELAY-MAC,IP");
    };
    let (netns, device) = match place.split_once('/') {
        Some((netns, device)) => (Some(netns.to_owned()), device),
        None => (None, place),
    };
    Ok(Wire {
        netns,
        device: device.to_owned(),
        ours: mac(ours)?,
        gateway: mac(gateway)?,
        ip: ip
            .parse()
            .with_context(|| format!("not an IP address: {ip}"))?,
    })
}

fn mac(text: &str) -> Result<Mac> {
    let octets: Result<Vec<u8>, _> = text
        .split(':')
        .map(|octet| u8::from_str_radix(octet, 16))
        .collect();
    let mac = octets.ok().and_then(|octets| Mac::try_from(octets).ok());
    mac.with_context(|| format!("not an Ethernet address: {text}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wire_names_namespace_device_and_addresses() {
        let got = wire("ns/veth0,02:00:00:00:00:0a,02:00:00:00:00:01,fd00::2").expect("a wire");
        assert_eq!((got.netns.as_deref(), &*got.device), (Some("ns"), "veth0"));
        assert_eq!(got.ours, [2, 0, 0, 0, 0, 10]);
        assert!(got.ip.is_ipv6());
        for bad in [
            "veth0",
            "veth0,02:00,02:00:00:00:00:01,1.2.3.4",
            "a,b,c,d,e",
        ] {
            assert!(wire(bad).is_err(), "{bad}");
        }
    }
}
