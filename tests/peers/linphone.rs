//! linphonec as a phone: it plays a tone from a file, records into one, and reads commands from a file.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use patchcord_tests::{Family, Host, Program, Sdp, Site, tone, until, wav};

use crate::proxy;

/// What of a recording has to be of the tone, in seconds; the rest is ringing and silence.
const LISTENED: f64 = 0.5;
/// How long its file of the tone lasts, in seconds.
const PLAYED: u32 = 30;
/// Samples a second of what it plays.
const RATE: u32 = 8000;
/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(30);

/// How its media gets its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// In the SDP.
    Srtp,
    /// By a handshake.
    Dtls,
}

/// A running linphonec.
pub(crate) struct Linphone {
    program: Program,
    directory: PathBuf,
}

impl Linphone {
    /// Starts `user` at `host`, saying a tone of `hertz` in its calls, all of them encrypted. It answers
    /// what comes in. `more` is the end of its configuration.
    pub(crate) fn start(
        site: &Site,
        host: &Host,
        user: &str,
        hertz: u32,
        encryption: Encryption,
        more: &str,
    ) -> Self {
        let directory = site.scratch.path().join(user);
        let samples: Vec<i16> = (0..PLAYED * RATE)
            .map(|at| {
                let turn = f64::from(at) * f64::from(hertz) / f64::from(RATE);
                ((turn * std::f64::consts::TAU).sin() * 8000.0) as i16
            })
            .collect();
        let file =
            |name: &str, contents: &[u8]| site.scratch.file(&format!("{user}/{name}"), contents);
        // Without the directory of its database it listens to nobody.
        file(".local/share/linphone/here", b"");
        file("said.wav", &wav::write(RATE, &samples));
        let text = config(host, user, encryption) + more;
        let configuration = file("linphonerc", text.as_bytes());
        let at = directory.display();
        let first = format!("soundcard use files\nplay {at}/said.wav\nrecord {at}/heard.wav\n");
        let commands = file("commands", first.as_bytes());
        // It captures only, for want of a screen.
        let camera = if more.contains("[video]") { "-C" } else { "" };
        let line = format!(
            "tail -n +1 -f {} | HOME={at} linphonec -a {camera} -d 6 -l {at}/told -c {}",
            commands.display(),
            configuration.display()
        );
        let command = ["sh", "-c", &line].map(str::to_owned);
        let log = directory.join("log");
        // What it says is buffered, so it cannot be waited for.
        proxy::register(host, user);
        let program = Program::start_in(&host.netns, user, &command, &log, &directory);
        until("linphonec to listen", STARTING, || {
            host.netns
                .run(|| UdpSocket::bind(("0.0.0.0", 5060)).is_err())
        });
        Self { program, directory }
    }

    /// Gives it a command.
    pub(crate) fn command(&mut self, command: &str) {
        let commands = OpenOptions::new()
            .append(true)
            .open(self.directory.join("commands"));
        let mut commands = commands.expect("it is there");
        writeln!(commands, "{command}").expect("it is writable");
        assert!(self.program.is_running(), "linphonec ended");
    }

    /// Calls another user of the proxy.
    pub(crate) fn dial(&mut self, user: &str) {
        self.command(&format!("call sip:{user}@{}", proxy::address()));
    }

    /// The SDP of the last message that began like this, received or sent, out of its log.
    pub(crate) fn told(&self, start: &str) -> Option<Sdp> {
        let log = std::fs::read(self.directory.join("told")).ok()?;
        let log = String::from_utf8_lossy(&log);
        let (_, message) = log.rsplit_once(&format!("\n{start}"))?;
        let (_, body) = message.split_once("\r\n\r\n")?;
        Some(Sdp::parse(body.split("\n\n").next()?))
    }

    /// Whether it has recorded a tone of `hertz`. A recording is complete once its call is over.
    pub(crate) fn heard(&self, hertz: u32) -> bool {
        let bytes = std::fs::read(self.directory.join("heard.wav"));
        let Some((rate, samples)) = bytes.ok().and_then(|bytes| wav::parse(&bytes)) else {
            return false;
        };
        let window = (f64::from(rate) * LISTENED) as usize;
        let mut windows = samples.chunks_exact(window);
        windows.any(|window| tone::is_heard(window, rate.into(), hertz.into()))
    }
}

fn config(host: &Host, user: &str, encryption: Encryption) -> String {
    let encryption = match encryption {
        Encryption::Srtp => "srtp",
        Encryption::Dtls => "dtls",
    };
    let own = host.address(Family::V4);
    let mut text = format!(
        "[sip]\nsip_port=5060\nsip_tcp_port=-2\nregister_only_when_network_is_up=0\n\
         contact=\"{user}\" <sip:{user}@{own}>\n\
         media_encryption={encryption}\nmedia_encryption_mandatory=1\n\
         [rtp]\naudio_rtp_port=21000\n"
    );
    // Every codec that it is not told of is added and used.
    let codecs = [
        ("PCMU", 8000, 1),
        ("opus", 48000, 0),
        ("speex", 16000, 0),
        ("speex", 8000, 0),
    ];
    for (number, (name, rate, enabled)) in codecs.into_iter().enumerate() {
        text += &[
            format!("[audio_codec_{number}]\nmime={name}\n"),
            format!("rate={rate}\nchannels=1\nenabled={enabled}\n"),
        ]
        .concat();
    }
    text
}
