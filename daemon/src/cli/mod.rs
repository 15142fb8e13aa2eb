//! The command line: Patchcord's own options, and rtpengine's with the meaning they have there.

mod compat;
mod ini;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;
use clap::builder::Styles;
use clap::builder::styling::AnsiColor;

use crate::config::{Complaint, Complaints, InterfaceText, Layers, Many, Target, Text};

/// Where the configuration is looked for when none is named.
pub const DEFAULT_FILE: &str = "/etc/patchcord/patchcord.toml";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  patchcord                                     loopback only, NG on 127.0.0.1:2223
  patchcord --config /etc/patchcord/patchcord.toml
  patchcord --check-config --config my.toml     say what is wrong with it, and exit
  patchcord --set ports.min=20000 --set log.level=debug
  patchcord --interface=pub/192.0.2.10!198.51.100.10 --listen-ng=10.0.0.1:2223 -f -E

Any key of the file can also stand in the environment: PATCHCORD_PORTS_MIN=20000.
rtpengine's other options are accepted and reported as without effect.";

/// A media relay that SIP proxies control over the NG protocol.
#[expect(
    clippy::struct_field_names,
    reason = "the fields are named as rtpengine's options"
)]
#[derive(Debug, Parser)]
#[command(name = "patchcord", version, styles = STYLES, after_help = EXAMPLES)]
#[command(disable_version_flag = true, args_override_self = true)]
pub struct Cli {
    /// Configuration file [default: /etc/patchcord/patchcord.toml, if there]
    #[arg(long, value_name = "FILE", env = "PATCHCORD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Sets any key: `ports.min=20000`; repeatable
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Checks the configuration and exits
    #[arg(long)]
    pub check_config: bool,
    /// Prints the sample configuration, every key with its default, and exits
    #[arg(long)]
    pub print_sample: bool,
    /// Prints the version and exits
    #[arg(short, long)]
    pub version: bool,

    /// Local media address, `[name/]address[!advertised]` or `alias=name`; repeatable
    #[arg(short, long, value_name = "INTERFACE", help_heading = COMPAT)]
    pub interface: Vec<String>,
    /// NG over UDP: `port`, `address:port` or `[v6]:port`; repeatable
    #[arg(short = 'n', long, value_name = "LISTENER", help_heading = COMPAT)]
    pub listen_ng: Vec<String>,
    /// NG over TCP
    #[arg(short = 'N', long, value_name = "LISTENER", help_heading = COMPAT)]
    pub listen_tcp_ng: Vec<String>,
    /// HTTP and WebSocket
    #[arg(long, value_name = "LISTENER", help_heading = COMPAT)]
    pub listen_http: Vec<String>,
    /// One command line per TCP connection
    #[arg(short = 'c', long, value_name = "LISTENER", help_heading = COMPAT)]
    pub listen_cli: Vec<String>,
    /// Lowest media port
    #[arg(short = 'm', long, value_name = "PORT", help_heading = COMPAT)]
    pub port_min: Option<String>,
    /// Highest media port
    #[arg(short = 'M', long, value_name = "PORT", help_heading = COMPAT)]
    pub port_max: Option<String>,
    /// Threads that forward packets
    #[arg(long, value_name = "N", help_heading = COMPAT)]
    pub num_threads: Option<String>,
    /// What of the media the kernel carries itself: auto, native, generic, tc, none
    #[arg(long, value_name = "HOOK")]
    pub offload: Option<String>,
    /// How packets find their worker: sk_lookup (one socket is all ports), ports, auto
    #[arg(long, value_name = "HOW")]
    pub steer: Option<String>,
    /// Seconds without media until a call ends
    #[arg(short = 'o', long, value_name = "SECONDS", help_heading = COMPAT)]
    pub timeout: Option<String>,
    /// The same for held calls
    #[arg(short = 's', long, value_name = "SECONDS", help_heading = COMPAT)]
    pub silent_timeout: Option<String>,
    /// Longest life of a call
    #[arg(short = 'a', long, value_name = "SECONDS", help_heading = COMPAT)]
    pub final_timeout: Option<String>,
    /// Seconds an offer may stay unanswered
    #[arg(long, value_name = "SECONDS", help_heading = COMPAT)]
    pub offer_timeout: Option<String>,
    /// Seconds from delete to the end of forwarding
    #[arg(short = 'd', long, value_name = "SECONDS", help_heading = COMPAT)]
    pub delete_delay: Option<String>,
    /// TOS byte of relayed packets
    #[arg(short = 'T', long, value_name = "BYTE", help_heading = COMPAT)]
    pub tos: Option<String>,
    /// Milliseconds between two RTCP reports of its own, for generate-RTCP
    #[arg(long, value_name = "MS", help_heading = COMPAT)]
    pub rtcp_interval: Option<String>,
    /// Key of the certificate for DTLS: prime256v1 or RSA
    #[arg(long, value_name = "KIND", help_heading = COMPAT)]
    pub dtls_cert_cipher: Option<String>,
    /// Longest datagram of a DTLS handshake
    #[arg(long, value_name = "BYTES", help_heading = COMPAT)]
    pub dtls_mtu: Option<String>,
    /// Peers begin DTLS that leave it to the relay
    #[arg(long, help_heading = COMPAT)]
    pub dtls_passive: bool,
    /// TOS byte of UDP replies
    #[arg(long, value_name = "BYTE", help_heading = COMPAT)]
    pub control_tos: Option<String>,
    /// Calls at once; -1 is no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = COMPAT)]
    pub max_sessions: Option<String>,
    /// No new calls above this load average
    #[arg(long, value_name = "LOAD", help_heading = COMPAT)]
    pub max_load: Option<String>,
    /// No new calls above this use of the processors, percent
    #[arg(long, value_name = "PERCENT", help_heading = COMPAT)]
    pub max_cpu: Option<String>,
    /// No new calls above so many bytes of media a second
    #[arg(long, value_name = "BYTES", help_heading = COMPAT)]
    pub max_bandwidth: Option<String>,
    /// How a peer's address is found: heuristic, delayed, immediate, off
    #[arg(long, value_name = "MODE", help_heading = COMPAT)]
    pub endpoint_learning: Option<String>,
    /// Believe the SIP packet's source before the address in SDP
    #[arg(long, help_heading = COMPAT)]
    pub sip_source: bool,
    /// Stay in the foreground, as Patchcord always does
    #[arg(short = 'f', long, help_heading = COMPAT)]
    pub foreground: bool,
    /// File for the process id
    #[arg(short = 'p', long, value_name = "FILE", help_heading = COMPAT)]
    pub pidfile: Option<PathBuf>,
    /// 0 to 7, or error, warn, info, debug, trace
    #[arg(short = 'L', long, value_name = "LEVEL", help_heading = COMPAT)]
    pub log_level: Option<String>,
    /// Log to stderr instead of the journal
    #[arg(short = 'E', long, help_heading = COMPAT)]
    pub log_stderr: bool,
    /// No time at the beginning of lines on stderr
    #[arg(long, help_heading = COMPAT)]
    pub no_log_timestamps: bool,
    /// Kernel table; without effect, there is no kernel module
    #[arg(short = 't', long, value_name = "N", allow_hyphen_values = true, help_heading = COMPAT)]
    pub table: Option<String>,
    /// A rtpengine.conf or a TOML file; `none` reads no file at all
    #[arg(long, value_name = "FILE", help_heading = COMPAT)]
    pub config_file: Option<PathBuf>,
    /// Section of that rtpengine.conf
    #[arg(long, value_name = "SECTION", default_value = "rtpengine", help_heading = COMPAT)]
    pub config_section: String,
    /// Prefix of its sections that hold interfaces
    #[arg(long, value_name = "PREFIX", help_heading = COMPAT)]
    pub interfaces_config: Option<String>,
    /// Section of that rtpengine.conf that holds signalling templates
    #[arg(long, value_name = "SECTION", help_heading = COMPAT)]
    pub templates: Option<String>,
}

const COMPAT: &str = "As in rtpengine";

/// The command line as far as it was understood, and what was not.
#[derive(Debug)]
pub struct Parsed {
    /// What was understood.
    pub cli: Cli,
    /// One line for each option without effect.
    pub warnings: Vec<String>,
}

/// The configuration's layers, and what its sources said that has no effect.
#[derive(Debug, Default)]
pub struct Sources {
    /// The layers.
    pub layers: Layers,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// What has no effect.
    pub warnings: Vec<String>,
}

/// Reads the command line. Only Patchcord's own options can be wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, clap::Error> {
    let (args, mut warnings) = compat::normalise(args);
    let cli = Cli::try_parse_from(args)?;
    if cli.table.as_ref().is_some_and(|table| table != "-1") {
        warnings.push("--table has no effect here: there is no kernel module".to_owned());
    }
    Ok(Parsed { cli, warnings })
}

impl Cli {
    /// Reads the file and lays environment and command line over it.
    pub fn sources(
        &self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Sources, Complaints> {
        let mut sources = Sources::default();
        let mut wrong = Vec::new();
        self.read_file(&mut sources, &mut wrong);
        for (name, value) in environment {
            if let Err(complaint) = set_from_environment(&mut sources.layers, &name, &value) {
                match complaint {
                    // Orchestrators put names of their own under a service's prefix.
                    Foreign::Key(text) => sources.warnings.push(text),
                    Foreign::Value(complaint) => wrong.push(complaint),
                }
            }
        }
        self.lay_options(&mut sources.layers, "--", &mut wrong);
        for setting in &self.set {
            let place = format!("--set {setting}");
            let result = match setting.split_once('=') {
                Some((path, value)) => sources.layers.set(&place, path.trim(), value.trim()),
                None => Err(Complaint {
                    place,
                    text: "no value".to_owned(),
                    hint: Some("write SECTION.KEY=VALUE".to_owned()),
                }),
            };
            wrong.extend(result.err());
        }
        if wrong.is_empty() {
            Ok(sources)
        } else {
            Err(Complaints(wrong))
        }
    }

    fn read_file(&self, sources: &mut Sources, wrong: &mut Vec<Complaint>) {
        let (path, required) = match (&self.config, &self.config_file) {
            (Some(path), _) | (None, Some(path)) => (path.clone(), true),
            (None, None) => (PathBuf::from(DEFAULT_FILE), false),
        };
        if path == Path::new("none") {
            return;
        }
        let name = path.display().to_string();
        let content = match std::fs::read_to_string(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return,
            Err(error) => {
                wrong.push(Complaint {
                    place: name,
                    text: error.to_string(),
                    hint: None,
                });
                return;
            }
        };
        sources.file = Some(path.clone());
        if self.config.is_none() && path.extension().is_some_and(|e| e == "conf" || e == "ini") {
            self.lay_ini(sources, &name, &content, wrong);
        } else {
            wrong.extend(sources.layers.file(&name, &content).err());
        }
    }

    /// A rtpengine.conf says the same things as the command line, under the same names.
    fn lay_ini(
        &self,
        sources: &mut Sources,
        name: &str,
        content: &str,
        wrong: &mut Vec<Complaint>,
    ) {
        let ini::Said {
            args,
            interfaces,
            templates,
        } = ini::read(
            content,
            &self.config_section,
            self.interfaces_config.as_deref(),
            self.templates.as_deref(),
        );
        let text = Text {
            templates,
            ..Text::default()
        };
        sources.layers.put(name, &[], text);
        match parse(std::iter::once("patchcord".into()).chain(args)) {
            Ok(parsed) => {
                let says = |text: String| format!("{name}: {text}");
                sources
                    .warnings
                    .extend(parsed.warnings.into_iter().map(says));
                parsed
                    .cli
                    .lay_options(&mut sources.layers, &format!("{name}: "), wrong);
            }
            Err(error) => wrong.push(Complaint {
                place: name.to_owned(),
                text: error.kind().to_string(),
                hint: None,
            }),
        }
        if !interfaces.is_empty() {
            let mut all = sources.layers.text.interface.clone().unwrap_or_default();
            all.extend(interfaces);
            let text = Text {
                interface: Some(all),
                ..Text::default()
            };
            sources.layers.put(name, &["interface"], text);
        }
    }

    /// Lays the options that have keys over the layers.
    fn lay_options(&self, layers: &mut Layers, prefix: &str, wrong: &mut Vec<Complaint>) {
        let mut set = |option: &str, path: &str, value: &Option<String>| {
            if let Some(value) = value {
                let place = format!("{prefix}{option}");
                wrong.extend(layers.set(&place, path, value).err());
            }
        };
        set("port-min", "ports.min", &self.port_min);
        set("port-max", "ports.max", &self.port_max);
        set(
            "num-threads",
            "workers.count",
            &self.num_threads.as_ref().map(|n| threads(n)),
        );
        set("offload", "offload.hook", &self.offload);
        set("steer", "workers.steer", &self.steer);
        set("timeout", "timeouts.media", &self.timeout);
        set("silent-timeout", "timeouts.silent", &self.silent_timeout);
        set("final-timeout", "timeouts.final", &self.final_timeout);
        set("offer-timeout", "timeouts.offer", &self.offer_timeout);
        set("delete-delay", "timeouts.delete-delay", &self.delete_delay);
        set("tos", "media.tos", &self.tos);
        set("rtcp-interval", "media.rtcp-interval", &self.rtcp_interval);
        let cipher = self.dtls_cert_cipher.as_ref();
        let cipher = cipher.map(|name| name.to_ascii_lowercase());
        set("dtls-cert-cipher", "dtls.certificate", &cipher);
        set("dtls-mtu", "dtls.mtu", &self.dtls_mtu);
        set("control-tos", "listen.tos", &self.control_tos);
        set("max-sessions", "limits.calls", &self.max_sessions);
        set("max-load", "limits.load", &self.max_load);
        set("max-cpu", "limits.cpu", &self.max_cpu);
        set("max-bandwidth", "limits.bandwidth", &self.max_bandwidth);
        set(
            "endpoint-learning",
            "media.learning",
            &self.endpoint_learning,
        );
        set("log-level", "log.level", &self.log_level);
        let mut put = |option: &str, path: &str, text: Text| {
            layers.put(&format!("{prefix}{option}"), &[path], text);
        };
        let mut listeners =
            |option, path, list: &[String], place: fn(&mut Text) -> &mut Option<Many>| {
                if !list.is_empty() {
                    let mut text = Text::default();
                    *place(&mut text) = Some(Many::split(&list.join(";")));
                    put(option, path, text);
                }
            };
        listeners("listen-ng", "listen.ng", &self.listen_ng, |t| {
            &mut t.listen.ng
        });
        listeners("listen-tcp-ng", "listen.ng-tcp", &self.listen_tcp_ng, |t| {
            &mut t.listen.ng_tcp
        });
        listeners("listen-http", "listen.http", &self.listen_http, |t| {
            &mut t.listen.http
        });
        listeners("listen-cli", "listen.cli", &self.listen_cli, |t| {
            &mut t.listen.cli
        });
        let mut text = Text::default();
        if !self.interface.is_empty() {
            let all = self.interface.iter().flat_map(|list| list.split(';'));
            let all = all
                .filter(|one| !one.trim().is_empty())
                .map(InterfaceText::parse);
            text.interface = Some(all.collect());
            put("interface", "interface", text);
        }
        let mut text = Text::default();
        text.process.pidfile.clone_from(&self.pidfile);
        text.log.target = self.log_stderr.then_some(Target::Stderr);
        text.log.timestamps = self.no_log_timestamps.then_some(false);
        text.media.sip_source = self.sip_source.then_some(true);
        text.dtls.passive = self.dtls_passive.then_some(true);
        layers.put(prefix, &[], text);
    }
}

/// rtpengine takes 0 and -1 for "as many as there are cores".
fn threads(text: &str) -> String {
    match text.trim() {
        "0" | "-1" => "auto".to_owned(),
        number => number.to_owned(),
    }
}

enum Foreign {
    Key(String),
    Value(Complaint),
}

/// `PATCHCORD_SECTION_KEY`; other variables are none of ours.
fn set_from_environment(layers: &mut Layers, name: &str, value: &str) -> Result<(), Foreign> {
    let Some(rest) = name.strip_prefix("PATCHCORD_") else {
        return Ok(());
    };
    if rest == "CONFIG" {
        return Ok(());
    }
    let rest = rest.to_ascii_lowercase();
    let path = match rest.split_once('_') {
        Some((section, key)) => format!("{section}.{}", key.replace('_', "-")),
        None => rest,
    };
    let place = format!("environment {name}");
    let known = path == "interface"
        || path.starts_with("templates.")
        || crate::config::KEYS.iter().any(|key| key.path() == path);
    let result = layers.set(&place, &path, value);
    result.map_err(|c| {
        if known {
            Foreign::Value(c)
        } else {
            Foreign::Key(c.to_string())
        }
    })
}

#[cfg(test)]
mod tests;
