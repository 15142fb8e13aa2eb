//! Debian's Kamailio with its stock rtpengine module, in the core beside the relay.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use patchcord_tests::{Family, Host, Program, Site, until};

/// How long Kamailio may take to start.
const STARTING: Duration = Duration::from_secs(15);
/// Between two attempts of something that Kamailio may not hear yet.
const RETRY: Duration = Duration::from_millis(100);

/// The script of this directory, and the one that Debian ships.
#[derive(Clone, Copy)]
pub(crate) enum Script {
    /// `kamailio.cfg` beside this file.
    Plain,
    /// The same, with these words of its script more for the relay.
    With(&'static str),
    /// `kamailio-web.cfg` beside this file: browsers too, with these switches of it.
    Web(&'static [&'static str]),
    /// The same without a switch, with these words of its script more for the relay.
    WebWith(&'static str),
    /// Kamailio's own default, with its switches for NAT and rtpengine on.
    Stock,
}

/// A running Kamailio.
pub(crate) struct Proxy {
    program: Program,
    command: Vec<String>,
}

impl Proxy {
    /// Starts it and waits until it answers.
    pub(crate) fn start(site: &Site, script: Script) -> Self {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let (plain, web) = (ours.join("kamailio.cfg"), ours.join("kamailio-web.cfg"));
        let file = match script {
            Script::Plain => plain.display().to_string(),
            Script::With(words) => with(site, &plain, words),
            Script::Web(_) => web.display().to_string(),
            Script::WebWith(words) => with(site, &web, words),
            Script::Stock => "/etc/kamailio/kamailio.cfg".to_owned(),
        };
        let run = site.scratch.path().display();
        let mut command = ["kamailio", "-DD", "-E", "-e", "-m", "32", "-M", "4"]
            .map(str::to_owned)
            .to_vec();
        command.extend([
            "-f".to_owned(),
            file,
            "-l".to_owned(),
            format!("udp:{}", address()),
            "-Y".to_owned(),
            run.to_string(),
        ]);
        match script {
            Script::Stock => {
                command.extend(["-A", "WITH_NAT", "-A", "WITH_RTPENGINE"].map(str::to_owned));
            }
            Script::Web(switches) => {
                let defined = switches.iter().flat_map(|switch| ["-A", switch]);
                command.extend(defined.map(str::to_owned));
            }
            Script::Plain | Script::With(_) | Script::WebWith(_) => {}
        }
        if matches!(script, Script::Web(_) | Script::WebWith(_)) {
            let socket = SocketAddr::new(address().ip(), 8080);
            command.extend(["-l".to_owned(), format!("tcp:{socket}")]);
        }
        let program = run_it(site, &command);
        let mut proxy = Self { program, command };
        proxy.wait_until_ready(site);
        proxy
    }

    /// Ends it without a goodbye.
    pub(crate) fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again, forgetful of all it knew.
    pub(crate) fn restart(&mut self, site: &Site) {
        self.program.kill();
        // Kamailio's cookies are made of its process ids and a count from zero. In a PID namespace
        // of its own it would be given the same again, and the relay would take what it asks for
        // the repetition of what its predecessor asked.
        let spend = "for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done; exec \"$@\"";
        let mut command = ["sh", "-c", spend, "sh"].map(str::to_owned).to_vec();
        command.extend(self.command.iter().cloned());
        self.program = run_it(site, &command);
        self.wait_until_ready(site);
    }

    fn wait_until_ready(&mut self, site: &Site) {
        // Before that it answers phones but sends their media past the relay.
        self.program
            .wait_for_log("support for it enabled", STARTING);
        until("Kamailio to answer OPTIONS", STARTING, || {
            ask(&site.hosts[0], "OPTIONS", "", "").is_some()
        });
    }
}

/// Where the proxy listens.
pub(crate) fn address() -> SocketAddr {
    SocketAddr::new(Site::relay(Family::V4, 0), 5060)
}

/// Registers `user` at `host`, as its phone would.
pub(crate) fn register(host: &Host, user: &str) {
    let contact = SocketAddr::new(host.address(Family::V4), 5060);
    let reply = ask(
        host,
        "REGISTER",
        &format!("Contact: <sip:{user}@{contact}>\r\nExpires: 600\r\n"),
        user,
    );
    assert!(
        reply.is_some_and(|reply| reply.starts_with("SIP/2.0 200")),
        "{user} is not registered"
    );
}

/// A copy of a script that gives the relay more words.
fn with(site: &Site, script: &Path, words: &str) -> String {
    const WORDS: &str = "replace-origin replace-session-connection";
    let text = std::fs::read_to_string(script).expect("it is beside this file");
    assert!(text.contains(WORDS), "nothing to add to");
    let text = text.replace(WORDS, &format!("{WORDS} {words}"));
    let copy = site.scratch.file("kamailio.cfg", text);
    copy.display().to_string()
}

fn run_it(site: &Site, command: &[String]) -> Program {
    let log = site.scratch.path().join("kamailio.log");
    // Each start is waited for by what it says.
    drop(std::fs::remove_file(&log));
    Program::start(&site.core, "kamailio", command, &log)
}

/// One request from `host` outside of any dialogue; the first reply.
fn ask(host: &Host, method: &str, headers: &str, user: &str) -> Option<String> {
    // From the port of its contact, to which the stock script sends what comes for the phone.
    let port = if user.is_empty() { 0 } else { 5060 };
    let socket = host.netns.run(move || UdpSocket::bind(("0.0.0.0", port)));
    let socket = socket.expect("the port is free");
    socket
        .set_read_timeout(Some(RETRY))
        .expect("a valid timeout");
    let (proxy, own) = (address(), SocketAddr::new(host.address(Family::V4), 0));
    let at = if user.is_empty() {
        String::new()
    } else {
        format!("{user}@")
    };
    let port = socket.local_addr().expect("it is bound").port();
    let request = format!(
        "{method} sip:{proxy} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {}:{port};branch=z9hG4bK-{port}-{method};rport\r\n\
         From: <sip:{at}{proxy}>;tag=test\r\n\
         To: <sip:{at}{proxy}>\r\n\
         Call-ID: {method}-{user}-{port}\r\n\
         CSeq: 1 {method}\r\n\
         Max-Forwards: 70\r\n{headers}Content-Length: 0\r\n\r\n",
        own.ip()
    );
    socket.send_to(request.as_bytes(), proxy).ok()?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}
