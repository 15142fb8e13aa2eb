//! SIPp plays the signalling of one phone; the media is a [`Phone`] of the harness.
//!
//! Its message log tells what it received. A scenario waits for a MESSAGE as its cue to go on, which
//! the test sends when it has seen what it wanted to see, so that no scenario guesses at time.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use patchcord_tests::{Family, Host, Phone, Program, Sdp, Site, until, wait_for};

use crate::proxy;

/// How long a step of a call may take.
pub(crate) const STEP: Duration = Duration::from_secs(15);

/// A SIPp and what it has received.
pub(crate) struct Sipp {
    name: String,
    host: Arc<Host>,
    program: Program,
    messages: PathBuf,
}

/// A received SIP message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Start line and header fields.
    pub(crate) head: String,
    /// What follows them.
    pub(crate) body: String,
}

impl Message {
    /// The value of a header field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    }

    /// Its SDP.
    pub(crate) fn sdp(&self) -> Sdp {
        assert!(!self.body.is_empty(), "no SDP in\n{}", self.head);
        Sdp::parse(&self.body)
    }
}

impl Sipp {
    /// Starts `scenario` at `host`: as a caller of `service`, or as a callee who waits.
    pub(crate) fn start(
        site: &Site,
        host: &Arc<Host>,
        scenario: &str,
        service: &str,
        phone: &Phone,
    ) -> Self {
        let options = [
            "-key".to_owned(),
            "rtp_port".to_owned(),
            phone.address().port().to_string(),
        ];
        Self::start_with(site, host, scenario, service, &options)
    }

    /// Where it runs, and looks for the files that its scenario names.
    pub(crate) fn directory(site: &Site, host: &Host, scenario: &str) -> PathBuf {
        let directory = format!("{scenario}-{}", host.address(Family::V4));
        let directory = site.scratch.path().join(directory);
        std::fs::create_dir_all(&directory).expect("the scratch is writable");
        directory
    }

    /// The same with the options given.
    pub(crate) fn start_with(
        site: &Site,
        host: &Arc<Host>,
        scenario: &str,
        service: &str,
        options: &[String],
    ) -> Self {
        let own = host.address(Family::V4);
        let directory = Self::directory(site, host, scenario);
        let name = format!("{scenario}-{own}");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/scenarios");
        let file = file.join(scenario).with_extension("xml");
        let messages = directory.join("messages.log");
        let mut command = [
            "sipp",
            "-nostdin",
            "-m",
            "1",
            "-p",
            "5060",
            "-timeout_error",
            "-timeout",
            "40s",
        ]
        .map(str::to_owned)
        .to_vec();
        let paths = [
            ("-i", own.to_string()),
            ("-sf", file.display().to_string()),
            ("-s", service.to_owned()),
            ("-cid_str", format!("{}-%u@{own}", std::process::id())),
            ("-message_file", messages.display().to_string()),
            (
                "-error_file",
                directory.join("errors.log").display().to_string(),
            ),
        ];
        for (option, value) in paths {
            command.extend([option.to_owned(), value]);
        }
        command.extend(["-trace_msg".to_owned(), "-trace_err".to_owned()]);
        command.extend(options.iter().cloned());
        command.push(proxy::address().to_string());
        let log = site.scratch.path().join(format!("{name}.log"));
        let program = Program::start_in(&host.netns, &name, &command, &log, &directory);
        let mut sipp = Self {
            name,
            host: Arc::clone(host),
            program,
            messages,
        };
        sipp.wait_until_bound();
        sipp
    }

    /// What it has received so far.
    pub(crate) fn received(&self) -> Vec<Message> {
        let log = std::fs::read(&self.messages).unwrap_or_default();
        parse(&String::from_utf8_lossy(&log))
    }

    /// Waits for the `nth` (from 0) message whose start line begins with `start` and whose CSeq ends
    /// with `method`.
    pub(crate) fn wait_nth(&self, nth: usize, start: &str, method: &str) -> Message {
        let what = format!(
            "{} to receive {start} for {method}, number {nth}",
            self.name
        );
        wait_for(&what, STEP, || {
            let mut found = self.received().into_iter().filter(|message| {
                let of = message
                    .header("CSeq")
                    .is_some_and(|cseq| cseq.ends_with(method));
                message.head.starts_with(start) && of
            });
            found.nth(nth)
        })
    }

    /// Waits for the first such message.
    pub(crate) fn wait(&self, start: &str, method: &str) -> Message {
        self.wait_nth(0, start, method)
    }

    /// Gives the cue to go on.
    ///
    /// It repeats the headers of the INVITE, from which a callee still builds its response.
    pub(crate) fn cue(&self) {
        self.cue_with("");
    }

    /// Gives the cue to say `sdp` next.
    pub(crate) fn tell(&self, sdp: &Sdp) {
        self.cue_with(sdp.text());
    }

    fn cue_with(&self, body: &str) {
        let received = self.received();
        let last = received
            .iter()
            .rfind(|message| message.head.starts_with("INVITE"));
        let last = last.or(received.last()).expect("a call has begun");
        let headers = last.head.split_once("\r\n").expect("there are headers").1;
        let kept = headers.lines().filter(|line| {
            ["Via:", "From:", "To:", "Call-ID:", "CSeq:", "Record-Route:"]
                .iter()
                .any(|name| line.starts_with(name))
        });
        let kept = kept.collect::<Vec<_>>().join("\r\n");
        // Two that are the same would be one to SIPp, repeated.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (number, length) = (NEXT.fetch_add(1, Ordering::Relaxed), body.len());
        let message = format!(
            "MESSAGE sip:cue SIP/2.0\r\n{kept}\r\nX-Number: {number}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let own = self.host.address(Family::V4);
        let socket = self
            .host
            .netns
            .run(|| UdpSocket::bind("0.0.0.0:0"))
            .expect("a port is free");
        socket
            .send_to(message.as_bytes(), (own, 5060))
            .expect("SIPp listens");
    }

    /// Waits until its scenario has run to its end, as written.
    pub(crate) fn finish(mut self) {
        let status = self.program.wait(STEP);
        let errors = self.messages.with_file_name("errors.log");
        let errors = std::fs::read_to_string(errors).unwrap_or_default();
        assert!(
            status.success(),
            "{} failed with {status}: {errors}",
            self.name
        );
    }

    fn wait_until_bound(&mut self) {
        let what = format!("{} to listen", self.name);
        until(&what, STEP, || {
            assert!(
                self.program.is_running(),
                "{} ended: {}",
                self.name,
                self.program.log()
            );
            self.host.netns.has_udp(5060)
        });
    }
}

/// The messages received, out of SIPp's message log.
fn parse(log: &str) -> Vec<Message> {
    let mut messages = Vec::new();
    for part in log
        .split("-----------------------------------------------")
        .skip(1)
    {
        let Some((title, text)) = part.split_once(":\n\n") else {
            continue;
        };
        if !title.contains("message received") {
            continue;
        }
        let (head, rest) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut message = Message {
            head: format!("{head}\r\n"),
            body: String::new(),
        };
        // The log adds line feeds of its own.
        let length = message
            .header("Content-Length")
            .and_then(|length| length.parse().ok());
        rest.get(..length.unwrap_or(0))
            .unwrap_or(rest)
            .clone_into(&mut message.body);
        messages.push(message);
    }
    messages
}
