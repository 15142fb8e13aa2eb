//! What rtpengine's command line has beyond what Patchcord gives a meaning to.
//!
//! Arguments are put into one form, `--long=value`, before the option parser sees them. An option
//! that is rtpengine's, or nobody's, is left out and reported; it never keeps the relay from starting.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::{ArgAction, CommandFactory};

use super::Cli;
use crate::config::nearest;

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arity {
    Flag,
    Value,
}

/// Turns the arguments into ones that only hold known options, and one warning for each other.
pub fn normalise(args: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, Vec<String>) {
    let mut args = args.into_iter();
    let mut reader = Reader {
        known: Known::new(),
        out: vec![args.next().unwrap_or_else(|| "patchcord".into())],
        warnings: Vec::new(),
    };
    let mut rest = args.peekable();
    while let Some(arg) = rest.next() {
        let Some(text) = arg.to_str().map(str::to_owned) else {
            reader
                .warnings
                .push(format!("{} is not UTF-8 and ignored", arg.display()));
            continue;
        };
        let mut value = || rest.next_if(|next| !is_option(next));
        if let Some(long) = text.strip_prefix("--") {
            reader.long(long, &mut value);
        } else if text.len() > 1
            && let Some(cluster) = text.strip_prefix('-')
        {
            reader.cluster(cluster, &mut value);
        } else {
            reader.warnings.push(format!(
                "argument `{text}` belongs to no option and is ignored"
            ));
        }
    }
    (reader.out, reader.warnings)
}

/// A value may be a negative number, but no option.
fn is_option(arg: &OsString) -> bool {
    arg.to_str()
        .is_some_and(|a| a.len() > 1 && a.starts_with('-') && a.parse::<i64>().is_err())
}

struct Reader {
    known: Known,
    out: Vec<OsString>,
    warnings: Vec<String>,
}

impl Reader {
    fn long(&mut self, text: &str, value: &mut dyn FnMut() -> Option<OsString>) {
        let (name, given) = match text.split_once('=') {
            Some((name, given)) => (name, Some(OsString::from(given))),
            None => (text, None),
        };
        if name.is_empty() {
            return;
        }
        if let Some(arity) = self.known.own.get(name).copied() {
            self.keep(name, arity, given, value);
            return;
        }
        let foreign = FOREIGN
            .iter()
            .find(|(long, ..)| *long == name)
            .map(|(.., arity)| *arity);
        let log_level = name.starts_with("log-level-").then_some(Arity::Value);
        if let Some(arity) = foreign.or(log_level) {
            self.drop_foreign(name, arity, given.is_some(), value);
            return;
        }
        if given.is_none() {
            value();
        }
        let hint = nearest(name, self.known.own.keys().map(String::as_str));
        let hint = hint
            .map(|n| format!("; did you mean --{n}?"))
            .unwrap_or_default();
        self.warnings
            .push(format!("unknown option --{name} is ignored{hint}"));
    }

    /// `-fEL7` is `-f -E -L 7`.
    fn cluster(&mut self, cluster: &str, value: &mut dyn FnMut() -> Option<OsString>) {
        let mut rest = cluster.chars();
        while let Some(short) = rest.next() {
            let tail = rest.as_str();
            let own = self.known.short.get(&short).cloned();
            let foreign = FOREIGN.iter().find(|(_, s, _)| *s == Some(short));
            let arity = own.as_ref().map(|(_, a)| *a).or(foreign.map(|(.., a)| *a));
            let attached = (arity == Some(Arity::Value) && !tail.is_empty())
                .then(|| OsString::from(tail.strip_prefix('=').unwrap_or(tail)));
            let ends = attached.is_some();
            match (own, foreign) {
                (Some((long, arity)), _) => self.keep(&long, arity, attached, value),
                (None, Some((long, _, arity))) => {
                    self.drop_foreign(long, *arity, ends, value);
                }
                (None, None) => {
                    self.warnings
                        .push(format!("unknown option -{short} is ignored"));
                }
            }
            if ends {
                break;
            }
        }
    }

    fn keep(
        &mut self,
        name: &str,
        arity: Arity,
        given: Option<OsString>,
        value: &mut dyn FnMut() -> Option<OsString>,
    ) {
        let mut option = OsString::from(format!("--{name}"));
        if arity == Arity::Value
            && let Some(value) = given.or_else(value)
        {
            option.push("=");
            option.push(value);
        }
        self.out.push(option);
    }

    fn drop_foreign(
        &mut self,
        name: &str,
        arity: Arity,
        has_value: bool,
        value: &mut dyn FnMut() -> Option<OsString>,
    ) {
        if arity == Arity::Value && !has_value {
            value();
        }
        self.warnings
            .push(format!("rtpengine's option --{name} has no effect here"));
    }
}

/// The options that the parser knows.
struct Known {
    own: BTreeMap<String, Arity>,
    short: BTreeMap<char, (String, Arity)>,
}

impl Known {
    fn new() -> Self {
        let mut known = Self {
            own: BTreeMap::new(),
            short: BTreeMap::new(),
        };
        let mut command = Cli::command();
        command.build();
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
            let arity = if takes { Arity::Value } else { Arity::Flag };
            known.own.insert(long.to_owned(), arity);
            if let Some(short) = arg.get_short() {
                known.short.insert(short, (long.to_owned(), arity));
            }
        }
        known
    }
}

const F: Arity = Arity::Flag;
const V: Arity = Arity::Value;

/// rtpengine's options that have no effect here: long, short, whether a value follows.
const FOREIGN: &[(&str, Option<char>, Arity)] = &[
    ("codecs", None, F),
    ("thread-stack", None, V),
    ("log-facility", None, V),
    ("log-facility-cdr", None, V),
    ("log-facility-rtcp", None, V),
    ("log-facility-dtmf", None, V),
    ("log-name", None, V),
    ("log-format", None, V),
    ("split-logs", None, F),
    ("max-log-line-length", None, V),
    ("log-mark-prefix", None, V),
    ("log-mark-suffix", None, V),
    ("log-srtp-keys", None, F),
    ("debug-srtp", None, F),
    ("software-id", None, V),
    ("reject-invalid-sdp", None, F),
    ("media-num-threads", None, V),
    ("codec-num-threads", None, V),
    ("http-threads", None, V),
    ("kernel-num-threads", None, V),
    ("kernel-slots", None, V),
    ("poller-size", None, V),
    ("poller-per-thread", None, F),
    ("timer-accuracy", None, V),
    ("max-recv-iters", None, V),
    ("socket-cpu-affinity", None, V),
    ("io-uring", None, F),
    ("io-uring-buffers", None, V),
    ("scheduling", None, V),
    ("priority", None, V),
    ("idle-scheduling", None, V),
    ("idle-priority", None, V),
    ("no-fallback", Some('F'), F),
    ("nftables-chain", None, V),
    ("nftables-base-chain", None, V),
    ("nftables-append", None, F),
    ("nftables-family", None, V),
    ("xtables", None, F),
    ("nftables-start", None, F),
    ("nftables-stop", None, F),
    ("nftables-status", None, F),
    ("iptables-chain", None, V),
    ("save-interface-ports", Some('S'), F),
    ("listen-udp", Some('u'), V),
    ("listen-tcp", Some('l'), V),
    ("listen-https", None, V),
    ("https-cert", None, V),
    ("https-key", None, V),
    ("http-buf-size", None, V),
    ("http-idle-timeout", None, V),
    ("janus-secret", None, V),
    ("control-pmtu", None, V),
    ("ng-client-timeout", None, V),
    ("ng-client-retries", None, V),
    ("b2b-url", Some('b'), V),
    ("xmlrpc-format", Some('x'), V),
    ("dtls-rsa-key-size", None, V),
    ("dtls-ciphers", None, V),
    ("dtls-signature", None, V),
    ("redis", Some('r'), V),
    ("redis-write", Some('w'), V),
    ("redis-subscribe", None, V),
    ("subscribe-keyspace", Some('k'), V),
    ("redis-num-threads", None, V),
    ("redis-expires", None, V),
    ("redis-format", None, V),
    ("no-redis-required", Some('q'), F),
    ("redis-allowed-errors", None, V),
    ("redis-disable-time", None, V),
    ("redis-cmd-timeout", None, V),
    ("redis-connect-timeout", None, V),
    ("redis-resolve-on-reconnect", None, F),
    ("redis-tcp-keepalive-time", None, V),
    ("redis-tcp-keepalive-intvl", None, V),
    ("redis-tcp-keepalive-probes", None, V),
    ("active-switchover", None, F),
    ("recording-dir", None, V),
    ("recording-method", None, V),
    ("recording-format", None, V),
    ("record-egress", None, F),
    ("record-both", None, F),
    ("vsc-start-rec", None, V),
    ("vsc-stop-rec", None, V),
    ("vsc-start-stop-rec", None, V),
    ("vsc-pause-rec", None, V),
    ("vsc-pause-resume-rec", None, V),
    ("vsc-start-pause-resume-rec", None, V),
    ("dtmf-log-dest", None, V),
    ("dtmf-log-ng-tcp", None, F),
    ("dtmf-no-suppress", None, F),
    ("dtmf-digit-delay", None, V),
    ("dtmf-no-log-injects", None, F),
    ("jitter-buffer", None, V),
    ("jb-clock-drift", None, F),
    ("jb-adaptive", None, F),
    ("jb-adaptive-min", None, V),
    ("jb-adaptive-max", None, V),
    ("dtx-delay", None, V),
    ("max-dtx", None, V),
    ("dtx-buffer", None, V),
    ("dtx-lag", None, V),
    ("dtx-shift", None, V),
    ("dtx-cn-params", None, V),
    ("amr-dtx", None, V),
    ("evs-dtx", None, V),
    ("silence-detect", None, V),
    ("cn-payload", None, V),
    ("transcode-config", None, V),
    ("evs-lib-path", None, V),
    ("codec-chain-lib-path", None, V),
    ("codec-chain-runners", None, V),
    ("codec-chain-concurrency", None, V),
    ("codec-chain-async", None, V),
    ("codec-chain-nonblock", None, F),
    ("codec-chain-interval", None, V),
    ("codec-chain-opus-application", None, V),
    ("codec-chain-opus-complexity", None, V),
    ("audio-player", None, V),
    ("audio-buffer-length", None, V),
    ("audio-buffer-delay", None, V),
    ("player-cache", None, F),
    ("kernel-player", None, V),
    ("kernel-player-media", None, V),
    ("preload-media-files", None, V),
    ("media-files-reload", None, V),
    ("media-files-expire", None, V),
    ("expiry-timer", None, V),
    ("mysql-host", None, V),
    ("mysql-port", None, V),
    ("mysql-user", None, V),
    ("mysql-pass", None, V),
    ("mysql-query", None, V),
    ("preload-db-media", None, V),
    ("db-media-reload", None, V),
    ("db-media-expire", None, V),
    ("db-media-cache", None, V),
    ("preload-db-cache", None, V),
    ("db-cache-reload", None, V),
    ("db-cache-expire", None, V),
    ("moh-max-duration", None, V),
    ("moh-max-repeats", None, V),
    ("moh-attr-name", None, V),
    ("moh-prevent-double-hold", None, F),
    ("graphite", Some('g'), V),
    ("graphite-interval", Some('G'), V),
    ("graphite-prefix", None, V),
    ("graphite-timeout", None, V),
    ("homer", None, V),
    ("homer-protocol", None, V),
    ("homer-id", None, V),
    ("homer-disable-rtcp-stats", None, F),
    ("homer-enable-ng", None, F),
    ("homer-ng-capture-proto", None, V),
    ("mqtt-host", None, V),
    ("mqtt-port", None, V),
    ("mqtt-tls-alpn", None, V),
    ("mqtt-id", None, V),
    ("mqtt-keepalive", None, V),
    ("mqtt-user", None, V),
    ("mqtt-pass", None, V),
    ("mqtt-cafile", None, V),
    ("mqtt-capath", None, V),
    ("mqtt-certfile", None, V),
    ("mqtt-keyfile", None, V),
    ("mqtt-publish-qos", None, V),
    ("mqtt-publish-topic", None, V),
    ("mqtt-publish-interval", None, V),
    ("mqtt-publish-scope", None, V),
    ("mos", None, V),
    ("measure-rtp", None, F),
    ("ssrc-reporting", None, V),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_foreign_option_hides_one_of_ours() {
        let known = Known::new();
        for (long, short, _) in FOREIGN {
            assert!(!known.own.contains_key(*long), "--{long}");
            assert!(
                short.is_none_or(|s| !known.short.contains_key(&s)),
                "-{short:?}"
            );
        }
    }

    #[test]
    fn every_foreign_option_is_left_out_with_its_value() {
        for (long, short, arity) in FOREIGN {
            let mut args = vec![
                OsString::from("patchcord"),
                OsString::from(format!("--{long}")),
            ];
            if let Some(short) = short {
                args.push(format!("-{short}").into());
            }
            if *arity == Arity::Value {
                args.insert(2, "value".into());
                if short.is_some() {
                    args.push("value".into());
                }
            }
            let count = 1 + usize::from(short.is_some());
            let (left, warnings) = normalise(args);
            assert_eq!(
                (left.len(), warnings.len()),
                (1, count),
                "--{long}: {warnings:?}"
            );
        }
    }
}
