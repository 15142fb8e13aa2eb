//! The configuration as text: every key optional, so that layers can be laid over each other.
//!
//! One table declares all keys; merging, comparing for a reload, and the spelling suggestions follow
//! from it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::value::{Hook, InterfaceText, Level, Many, OrAuto, Target};

/// Whether a changed key takes effect on a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// At once.
    Live,
    /// Only when the process starts again.
    Restart,
}

/// One key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The section it stands in.
    pub section: &'static str,
    /// Its field name; the text's spelling has hyphens.
    field: &'static str,
    /// Whether a reload changes it.
    pub reload: Reload,
}

/// Stands for all templates, whose keys are the operator's.
const TEMPLATES: Key = Key {
    section: "templates",
    field: "*",
    reload: Reload::Live,
};

impl Key {
    /// The key as written in the file.
    pub fn name(&self) -> String {
        self.field.trim_start_matches("r#").replace('_', "-")
    }

    /// `section.key`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name())
    }
}

macro_rules! sections {
    ($(
        $(#[$section_doc:meta])*
        $Section:ident $section:ident {
            $( $(#[$doc:meta])* $key:ident: $ty:ty, $reload:ident; )*
        }
    )*) => {
        $(
            $(#[$section_doc])*
            #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
            #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
            pub struct $Section {
                $( $(#[$doc])* pub $key: Option<$ty>, )*
            }
        )*

        /// The whole text of one layer, or of all layers merged.
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
        pub struct Text {
            /// The interfaces; a layer that names any replaces those of the layers below.
            pub interface: Option<Vec<InterfaceText>>,
            /// Flag strings by name; layers add theirs to those of the layers below.
            pub templates: BTreeMap<String, String>,
            $( $(#[$section_doc])* pub $section: $Section, )*
        }

        /// Every key but `interface` and the templates, in the order of the sample file.
        pub const KEYS: &[Key] = &[
            $( $( Key {
                section: stringify!($section),
                field: stringify!($key),
                reload: Reload::$reload,
            }, )* )*
        ];

        impl Text {
            /// This layer laid over `below`.
            pub fn over(self, mut below: Self) -> Self {
                below.templates.extend(self.templates);
                Self {
                    templates: below.templates,
                    interface: self.interface.or(below.interface),
                    $( $section: $Section {
                        $( $key: self.$section.$key.or(below.$section.$key), )*
                    }, )*
                }
            }

            /// The keys in which the two differ, `interface` apart; all templates are one.
            pub fn differences(&self, other: &Self) -> Vec<Key> {
                let mut changed = KEYS.iter().copied();
                let mut differing = Vec::new();
                $( $(
                    let key = changed.next().expect("one key per field, by the same table");
                    if self.$section.$key != other.$section.$key {
                        differing.push(key);
                    }
                )* )*
                if self.templates != other.templates {
                    differing.push(TEMPLATES);
                }
                differing
            }
        }
    };
}

sections! {
    /// Where requests are taken.
    ListenText listen {
        /// NG over UDP.
        ng: Many, Restart;
        /// NG over TCP.
        ng_tcp: Many, Restart;
        /// HTTP and WebSocket: NG, metrics, health.
        http: Many, Restart;
        /// One command line per TCP connection, as rtpengine-ctl sends it.
        cli: Many, Restart;
        /// TOS byte of UDP replies.
        tos: u8, Restart;
    }
    /// The local media ports.
    PortsText ports {
        /// Lowest port, for interfaces without a range of their own.
        min: u16, Restart;
        /// Highest port.
        max: u16, Restart;
        /// How long a closed port should rest before it is leased again, ms.
        rest_ms: u64, Live;
        /// How long it must rest, ms.
        rest_min_ms: u64, Live;
        /// Sockets kept open while nobody leases them.
        warm: usize, Live;
        /// Ports opened at start.
        prewarm: usize, Restart;
    }
    /// The threads that forward packets.
    WorkersText workers {
        /// How many; `auto` is one a core.
        count: OrAuto<usize>, Restart;
        /// `uring`, `mmsg`, `xsk`, or `auto`: `uring` where the kernel permits it, else `mmsg`.
        backend: OrAuto<super::Backend>, Restart;
        /// `sk_lookup`, `ports`, or `auto`: `sk_lookup` where it is of use and permitted.
        steer: super::Steer, Restart;
        /// Whether each thread stays on its core.
        pin: bool, Restart;
        /// Whether sockets are connected once their peer is latched.
        connect: bool, Restart;
        /// Packet buffers a worker has: 2 KiB each, 4 KiB with `xsk`.
        buffers: usize, Restart;
        /// Whether workers ask drivers for packets without a pause; with `xsk` only.
        busy_poll: bool, Restart;
    }
    /// What the kernel's own program carries.
    OffloadText offload {
        /// `native`, `generic`, `tc`, `none`, or `auto`: what is best for each interface.
        hook: Hook, Restart;
        /// Interfaces; without any, those that the media addresses are on.
        interfaces: Many, Restart;
        /// Flows that the kernel carries at most; 0 is as many as there are ports.
        entries: usize, Restart;
        /// Seconds before a flow is given to the kernel, or looked at again: 0 for tests.
        patience: f64, Restart;
        /// The share of packets that goes to a worker all the same, 0 to 1: for tests.
        decline: f64, Restart;
    }
    /// When calls end by themselves.
    TimeoutsText timeouts {
        /// Seconds without any packet.
        media: u64, Live;
        /// The same for calls that are muted or held.
        silent: u64, Live;
        /// Seconds an offer may stay unanswered.
        offer: u64, Live;
        /// Seconds any call may last; 0 is forever.
        r#final: u64, Live;
        /// Seconds between a delete and the end of forwarding.
        delete_delay: u64, Live;
    }
    /// What is refused, and when.
    LimitsText limits {
        /// Calls at once; -1 is no limit.
        calls: i64, Live;
        /// No new calls above this load average of the last minute; 0 is no limit.
        load: f64, Live;
        /// Nor above this busy share of all processors, percent.
        cpu: f64, Live;
        /// Nor above so many bytes of media received a second.
        bandwidth: u64, Live;
        /// Memory for the answers kept for repeated requests, MiB.
        cookie_cache_mib: usize, Live;
        /// Largest HTTP body, KiB.
        http_body_kib: usize, Restart;
        /// Longest a request over HTTP may take to come and be answered, seconds; over TCP twice that.
        http_timeout: u64, Restart;
        /// Seconds after which a connection that asks nothing is closed; 0 is never.
        idle_timeout: u64, Restart;
        /// Connections at once, of each kind: HTTP, NG over TCP, command lines.
        connections: usize, Restart;
    }
    /// Defaults for the media of new calls.
    MediaText media {
        /// TOS byte of relayed packets.
        tos: u8, Live;
        /// How a peer's true address is found: `heuristic`, `delayed`, `immediate`, `off`.
        learning: super::Learning, Live;
        /// Whether the SIP packet's source address replaces the address in the SDP.
        sip_source: bool, Live;
        /// Milliseconds between two RTCP reports of our own, at least; up to a second is added.
        rtcp_interval: u64, Live;
    }
    /// Keys by DTLS.
    DtlsText dtls {
        /// The key of the certificate that is shown: `p256` or `rsa`.
        certificate: super::CertificateKey, Restart;
        /// The longest datagram of a handshake, 576 to 1472 bytes.
        mtu: u16, Live;
        /// Whether peers begin that leave it to us.
        passive: bool, Live;
    }
    /// The log.
    LogText log {
        /// `error`, `warn`, `info`, `debug`, `trace`, or 0 to 7.
        level: Level, Live;
        /// `auto`, `journald` or `stderr`; `auto` is the journal if it is listening.
        target: Target, Restart;
        /// Whether lines on stderr begin with the time.
        timestamps: bool, Restart;
    }
    /// The process.
    ProcessText process {
        /// File that holds the process id while it runs.
        pidfile: std::path::PathBuf, Restart;
        /// Whether a drained relay exits once its last call has ended.
        exit_when_drained: bool, Live;
    }
}

impl Text {
    /// The sections' names, `interface` and `templates` among them.
    pub fn sections() -> Vec<&'static str> {
        let mut names = vec!["interface", TEMPLATES.section];
        names.extend(KEYS.iter().map(|key| key.section));
        names.dedup();
        names
    }

    /// The keys of `section`, as written in the file.
    pub fn keys_of(section: &str) -> Vec<String> {
        KEYS.iter()
            .filter(|key| key.section == section)
            .map(Key::name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_layer_wins_key_by_key() {
        let below: Text = toml::from_str("[ports]\nmin = 10\nmax = 20").expect("valid");
        let above: Text = toml::from_str("[ports]\nmax = 30").expect("valid");
        let merged = above.over(below);
        assert_eq!((merged.ports.min, merged.ports.max), (Some(10), Some(30)));
    }

    #[test]
    fn differences_name_the_key_that_changed() {
        let old: Text = toml::from_str("[timeouts]\nmedia = 60\n[ports]\nmin = 10").expect("valid");
        let new: Text = toml::from_str("[timeouts]\nmedia = 90\n[ports]\nmin = 12").expect("valid");
        let keys: Vec<_> = old
            .differences(&new)
            .iter()
            .map(|k| (k.path(), k.reload))
            .collect();
        assert_eq!(
            keys,
            [
                ("ports.min".to_owned(), Reload::Restart),
                ("timeouts.media".to_owned(), Reload::Live)
            ]
        );
    }

    #[test]
    fn keywords_are_spelled_without_their_escape() {
        assert!(Text::keys_of("timeouts").contains(&"final".to_owned()));
    }
}
