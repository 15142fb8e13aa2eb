//! baresip as a phone: it says a tone of its own, records what it hears, and is driven over TCP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use patchcord_tests::{Family, Host, Program, Site, tone, wait_for, wav};
use serde_json::{Value, json};

use crate::proxy;
use crate::sipp::STEP;

/// Where its control module listens, in its own namespace.
const CONTROL: ([u8; 4], u16) = ([127, 0, 0, 1], 4444);
/// The recording that has to be of the tone: at the end of what was heard, in seconds.
const LISTENED: f64 = 0.5;
/// How long a tone may take to come or go in a recording.
const HEARING: Duration = Duration::from_secs(15);

/// A running baresip.
pub(crate) struct Baresip {
    program: Program,
    control: TcpStream,
    buffer: Vec<u8>,
    events: Vec<Value>,
    directory: PathBuf,
    user: String,
}

impl Baresip {
    /// Starts `user` at `host`, saying a tone of `hertz` in its calls, and waits until it is
    /// registered. It answers what comes in.
    ///
    /// `attributes` are what its account says of media, such as `mediaenc` and `medianat`.
    pub(crate) fn start(
        site: &Site,
        host: &Host,
        user: &str,
        hertz: u32,
        attributes: &str,
    ) -> Self {
        Self::start_with(site, host, user, hertz, attributes, "")
    }

    /// The same with `more` at the end of its configuration.
    pub(crate) fn start_with(
        site: &Site,
        host: &Host,
        user: &str,
        hertz: u32,
        attributes: &str,
        more: &str,
    ) -> Self {
        let directory = site.scratch.path().join(user);
        let write = |name: &str, text: String| site.scratch.file(&format!("{user}/{name}"), text);
        write(
            "config",
            config(host, hertz, &directory.display().to_string()) + more,
        );
        write("contacts", String::new());
        let proxy = proxy::address();
        write(
            "accounts",
            format!(
                "<sip:{user}@{proxy}>;outbound=\"sip:{proxy}\";regint=600;answermode=auto;\
                 audio_codecs=pcmu;ptime=20{}{attributes}\n",
                if attributes.is_empty() { "" } else { ";" }
            ),
        );
        let command = ["baresip", "-4", "-f", &directory.display().to_string()].map(str::to_owned);
        let log = directory.join("log");
        let program = Program::start_in(&host.netns, user, &command, &log, &directory);
        let control = host.netns.run(|| {
            wait_for("baresip's control port", STEP, || {
                TcpStream::connect(SocketAddr::from(CONTROL)).ok()
            })
        });
        control
            .set_nonblocking(true)
            .expect("a socket may not block");
        let (buffer, events, user) = (Vec::new(), Vec::new(), user.to_owned());
        let mut phone = Self {
            program,
            control,
            buffer,
            events,
            directory,
            user,
        };
        phone.program.wait_for_log("200 OK", STEP);
        phone
    }

    /// Gives it a command of its menu.
    pub(crate) fn command(&mut self, command: &str, parameters: &str) {
        let message = json!({"command": command, "params": parameters}).to_string();
        let message = format!("{}:{message},", message.len());
        self.control
            .write_all(message.as_bytes())
            .expect("baresip reads");
    }

    /// Calls another user of the proxy.
    pub(crate) fn dial(&mut self, user: &str) {
        self.command("dial", &format!("sip:{user}@{}", proxy::address()));
    }

    /// Waits for an event of that type and takes it.
    pub(crate) fn wait_event(&mut self, kind: &str) -> Value {
        let what = format!("{} to report {kind}", self.user);
        wait_for(&what, STEP, || {
            self.pump();
            assert!(self.program.is_running(), "baresip ended");
            let at = self.events.iter().position(|event| event["type"] == kind)?;
            Some(self.events.remove(at))
        })
    }

    /// RTP packets of its call that it has received and counted.
    ///
    /// After a re-INVITE it decodes on, but no longer records: then this tells what it gets.
    pub(crate) fn received(&mut self) -> u32 {
        self.command("audio_debug", "");
        let what = format!("{} to tell of its audio", self.user);
        wait_for(&what, STEP, || {
            self.pump();
            let told = |event: &Value| {
                event["data"]
                    .as_str()
                    .is_some_and(|d| d.contains("Audio stream"))
            };
            let at = self.events.iter().position(told)?;
            let report = self.events.remove(at);
            // Nobody is listed as long as nothing has come.
            let count = report["data"]
                .as_str()?
                .split_once("rcvd=")
                .map_or("0", |told| told.1);
            count.lines().next()?.parse().ok()
        })
    }

    /// Waits until the end of its recording is a tone of `hertz`.
    pub(crate) fn wait_to_hear(&self, hertz: u32) {
        let what = format!("{} to hear {hertz} Hz", self.user);
        wait_for(&what, HEARING, || self.hears(hertz).then_some(()));
    }

    /// Whether the end of its recording is a tone of `hertz`.
    pub(crate) fn hears(&self, hertz: u32) -> bool {
        let Some((rate, samples)) = self.recording() else {
            return false;
        };
        let wanted = (f64::from(rate) * LISTENED) as usize;
        samples.len() >= wanted
            && tone::is_heard(
                &samples[samples.len() - wanted..],
                rate.into(),
                hertz.into(),
            )
    }

    /// The last file that its decoder filter has written.
    fn recording(&self) -> Option<(u32, Vec<i16>)> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.directory)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with("dec.wav"))
            .collect();
        files.sort();
        wav::parse(&std::fs::read(files.last()?).ok()?)
    }

    /// Reads what its control module has sent: JSON in netstrings.
    fn pump(&mut self) {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = self.control.read(&mut chunk) {
            self.buffer.extend(&chunk[..length]);
        }
        while let Some(colon) = self.buffer.iter().position(|&octet| octet == b':') {
            let length = std::str::from_utf8(&self.buffer[..colon])
                .ok()
                .and_then(|l| l.parse().ok());
            let length: usize = length.expect("a netstring begins with its length");
            let Some(text) = self.buffer.get(colon + 1..colon + 1 + length) else {
                return;
            };
            let event = serde_json::from_slice(text).expect("baresip speaks JSON");
            self.events.push(event);
            self.buffer.drain(..colon + length + 2);
        }
    }
}

fn config(host: &Host, hertz: u32, directory: &str) -> String {
    let address = host.address(Family::V4);
    let modules = [
        "account",
        "contact",
        "menu",
        "ctrl_tcp",
        "g711",
        "ausine",
        "aubridge",
        "sndfile",
        "srtp",
        "dtls_srtp",
        "ice",
    ];
    let mut text = format!(
        "module_path /usr/lib/baresip/modules\n\
         sip_listen {address}:5060\n\
         statmode_default off\n\
         audio_source ausine,{hertz}\n\
         audio_player aubridge,nil\n\
         audio_alert aubridge,nil\n\
         ausrc_srate 48000\n\
         ausrc_channels 2\n\
         audio_buffer 20-160\n\
         rtp_ports 4000-4100\n\
         rtp_timeout 0\n\
         ctrl_tcp_listen {}\n\
         snd_path {directory}\n",
        SocketAddr::from(CONTROL)
    );
    for module in modules {
        let kind = if matches!(module, "account" | "contact" | "menu" | "ctrl_tcp") {
            "_app"
        } else {
            ""
        };
        text += "module";
        text += kind;
        text += " ";
        text += module;
        text += ".so\n";
    }
    text
}
