//! Command lines of existing units, containers and scripts, and what becomes of them.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::{Config, Learning, Machine, resolve};

/// A command line, the relay it makes as (key, value) pairs, and how many warnings it earns.
struct Row {
    line: &'static str,
    says: &'static [(&'static str, &'static str)],
    warnings: usize,
}

const TABLE: &[Row] = &[
    Row {
        line: "",
        says: &[("ng", "127.0.0.1:2223"), ("interface", "default/127.0.0.1")],
        warnings: 0,
    },
    // Debian's unit.
    Row {
        line: "-f -E --no-log-timestamps --pidfile /run/rtpengine.pid --config-file=none --table 0",
        says: &[
            ("pidfile", "/run/rtpengine.pid"),
            ("timestamps", "false"),
            ("target", "Stderr"),
        ],
        warnings: 1,
    },
    // A container that bridges two networks.
    Row {
        line: "--interface=priv/10.0.0.5 --interface=pub/10.0.0.5!203.0.113.7 --listen-ng=2223 \
               --port-min=23000 --port-max=32768 --log-level=7 --foreground --log-stderr --table=-1",
        says: &[
            ("interface", "priv/10.0.0.5 pub/10.0.0.5!203.0.113.7"),
            ("ng", "0.0.0.0:2223 [::]:2223"),
            ("ports", "23000-32768"),
            ("level", "DEBUG"),
        ],
        warnings: 0,
    },
    // Short forms, attached and apart, in a cluster.
    Row {
        line: "-i 192.0.2.1 -n 127.0.0.1:22222 -N [::1]:22223 -m 30000 -M 35000 -o30 -s 300 -a 7200 \
               -d 5 -T 184 --rtcp-interval 2500 --dtls-mtu=900 --dtls-cert-cipher=RSA --dtls-passive -fEL6 -t -1 -p /tmp/p",
        says: &[
            ("interface", "default/192.0.2.1"),
            ("ng", "127.0.0.1:22222"),
            ("ng-tcp", "[::1]:22223"),
            ("ports", "30000-35000"),
            ("timeouts", "30 300 3600 7200 5"),
            ("tos", "184"),
            ("rtcp-interval", "2500"),
            ("dtls", "Rsa 900 true"),
            ("level", "INFO"),
        ],
        warnings: 0,
    },
    // Several listeners in one option, as the file writes them.
    Row {
        line: "--listen-ng=127.0.0.1:2223;192.0.2.10:2223 --listen-http=8080 --listen-cli 127.0.0.1:9900",
        says: &[
            ("ng", "127.0.0.1:2223 192.0.2.10:2223"),
            ("http", "0.0.0.0:8080 [::]:8080"),
            ("cli", "127.0.0.1:9900"),
        ],
        warnings: 0,
    },
    // Options of features that are not here, with their values, in every form.
    Row {
        line: "--redis=127.0.0.1:6379/5 -r 127.0.0.1:6379/5 --recording-dir /var/spool -F \
               --dtls-passive --homer=192.0.2.9:9060 --log-level-ice=7 --listen-udp 2222 --num-threads=3",
        says: &[("workers", "3")],
        warnings: 7,
    },
    Row {
        line: "--endpoint-learning=immediate --max-sessions=500 --offer-timeout=120 --sip-source \
               --num-threads=0",
        says: &[
            ("learning", "Immediate"),
            ("calls", "Some(500)"),
            ("timeouts", "60 3600 120 0 30"),
            ("sip-source", "true"),
            ("workers", "4"),
        ],
        warnings: 0,
    },
    Row {
        line: "--max-sessions=-1 --max-sessions -1",
        says: &[("calls", "None")],
        warnings: 0,
    },
    Row {
        line: "--max-sessions -1",
        says: &[("calls", "None")],
        warnings: 0,
    },
    // Nobody's options.
    Row {
        line: "--warp-speed 9 --warp=9 -Z stray --timeout=7",
        says: &[("timeouts", "7 3600 3600 0 30")],
        warnings: 4,
    },
    // Ours win over rtpengine's.
    Row {
        line: "--set timeouts.media=8 --timeout=7",
        says: &[("timeouts", "8 3600 3600 0 30")],
        warnings: 0,
    },
    Row {
        line: "-i alias=default -i 192.0.2.1",
        says: &[("interface", "default/192.0.2.1")],
        warnings: 0,
    },
];

#[test]
fn existing_command_lines_start_the_relay_they_meant() {
    for row in TABLE {
        let (config, warnings) = config(row.line).unwrap_or_else(|e| panic!("{}: {e}", row.line));
        for (key, wanted) in row.says {
            assert_eq!(&shown(&config, key), wanted, "{key} of: {}", row.line);
        }
        assert_eq!(warnings.len(), row.warnings, "{}: {warnings:?}", row.line);
    }
}

#[test]
fn a_typo_in_our_own_settings_is_refused_with_a_suggestion() {
    let error = config("--set port.min=3").expect_err("a typo");
    assert_eq!(
        error,
        "--set port.min=3: unknown section `port`; did you mean `ports.min`?"
    );
    let error = config("--set ports.min").expect_err("no value");
    assert_eq!(error, "--set ports.min: no value; write SECTION.KEY=VALUE");
    let error = config("--port-min=lots").expect_err("no number");
    assert!(
        error.starts_with("--port-min: `ports.min`: invalid type"),
        "{error}"
    );
    let error = config("--port-min=50000").expect_err("above the default maximum");
    assert_eq!(
        error,
        "--port-min: the lowest port 50000 is above the highest 39999"
    );
}

#[test]
fn the_environment_stands_between_the_file_and_the_command_line() {
    let with = |line: &str, environment: &[(&str, &str)]| {
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let parsed = parse(words(line)).expect("parses");
        parsed.cli.sources(environment).map_err(|e| e.to_string())
    };
    let sources = with(
        "--config-file=none",
        &[("PATCHCORD_TIMEOUTS_DELETE_DELAY", "9")],
    );
    assert_eq!(
        sources.expect("good").layers.text.timeouts.delete_delay,
        Some(9)
    );
    let sources = with(
        "--config-file=none -d 8",
        &[("PATCHCORD_TIMEOUTS_DELETE_DELAY", "9")],
    );
    assert_eq!(
        sources.expect("good").layers.text.timeouts.delete_delay,
        Some(8)
    );
    let error = with("--config-file=none", &[("PATCHCORD_PORTS_MIN", "many")]).expect_err("bad");
    assert!(
        error.starts_with("environment PATCHCORD_PORTS_MIN: "),
        "{error}"
    );
    // A container platform's own variables for a service of this name.
    let foreign = [
        ("PATCHCORD_SERVICE_HOST", "10.0.0.1"),
        ("PATCHCORD_PORT", "udp://10.0.0.1:1"),
    ];
    let sources = with("--config-file=none", &foreign).expect("only warnings");
    assert_eq!(sources.warnings.len(), 2);
}

#[test]
fn a_missing_file_is_an_error_only_if_it_was_named() {
    let error = config("--config /nonexistent/patchcord.toml").expect_err("no file");
    assert!(
        error.starts_with("/nonexistent/patchcord.toml: No such file"),
        "{error}"
    );
    assert!(config("--config-file=none").is_ok());
}

#[test]
fn a_rtpengine_conf_is_read_as_it_stands() {
    let dir = std::env::temp_dir().join(format!("patchcord-conf-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join("rtpengine.conf");
    let content = "[rtpengine]\ntable = 0\ninterface = any\nlisten-ng = localhost:2223\n\
                   timeout = 33\nrecording-method = proc\ntemplates = words\n\n\
                   [words]\nWebRTC = ICE=force generate-mid\n";
    std::fs::write(&path, content).expect("written");
    let (config, warnings) = config(&format!("--config-file={} -f", path.display())).expect("good");
    std::fs::remove_dir_all(&dir).expect("removed");
    assert_eq!(shown(&config, "timeouts"), "33 3600 3600 0 30");
    assert_eq!(shown(&config, "interface"), "default/192.0.2.10");
    let template = config.templates.get(b"webrtc");
    assert_eq!(template, Some(&b"ICE=force generate-mid"[..]));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

fn words(line: &str) -> impl Iterator<Item = OsString> {
    std::iter::once("patchcord")
        .chain(line.split_whitespace())
        .map(OsString::from)
}

fn config(line: &str) -> Result<(Config, Vec<String>), String> {
    let line = if line.contains("--config") {
        line.to_owned()
    } else {
        format!("{line} --config-file=none")
    };
    let parsed = parse(words(&line)).map_err(|e| e.to_string())?;
    let sources = parsed.cli.sources([]).map_err(|e| e.to_string())?;
    let machine = Machine {
        cores: 4,
        uring: true,
        devices: vec![
            ("lo".to_owned(), [127, 0, 0, 1].into()),
            ("eth0".to_owned(), [192, 0, 2, 10].into()),
        ],
        lookup: |_| vec![[127, 0, 0, 1].into()],
    };
    let config = resolve(&sources.layers, &machine).map_err(|e| e.to_string())?;
    let mut warnings = parsed.warnings;
    warnings.extend(sources.warnings);
    Ok((config, warnings))
}

fn shown(config: &Config, key: &str) -> String {
    let listeners = |list: &[crate::config::Listener]| {
        list.iter()
            .map(|l| l.addr.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let seconds = |d: Option<Duration>| d.map_or(0, |d| d.as_secs());
    match key {
        "ng" => listeners(&config.listen.ng),
        "ng-tcp" => listeners(&config.listen.ng_tcp),
        "http" => listeners(&config.listen.http),
        "cli" => listeners(&config.listen.cli),
        "interface" => config
            .interfaces
            .iter()
            .map(|i| {
                if i.advertised == i.address {
                    format!("{}/{}", i.name, i.address)
                } else {
                    format!("{}/{}!{}", i.name, i.address, i.advertised)
                }
            })
            .collect::<Vec<_>>()
            .join(" "),
        "ports" => {
            let range = config.interfaces[0].range;
            format!("{}-{}", range.min, range.max)
        }
        "timeouts" => {
            let t = config.timeouts;
            let all = [t.media, t.silent, t.offer, t.total, Some(t.delete_delay)];
            all.map(|d| seconds(d).to_string()).join(" ")
        }
        "tos" => config.media.tos.to_string(),
        "dtls" => {
            let dtls = &config.dtls;
            format!("{:?} {} {}", dtls.certificate, dtls.mtu, dtls.passive)
        }
        "rtcp-interval" => config.media.rtcp_interval.as_millis().to_string(),
        "level" => config.log.level.0.to_string(),
        "timestamps" => config.log.timestamps.to_string(),
        "target" => format!("{:?}", config.log.target),
        "pidfile" => config
            .process
            .pidfile
            .as_ref()
            .map(|p| p.display().to_string())
            .unwrap_or_default(),
        "workers" => config.workers.count.to_string(),
        "calls" => format!("{:?}", config.limits.calls),
        "learning" => format!("{:?}", config.media.learning),
        "sip-source" => config.media.sip_source.to_string(),
        other => panic!("{other}"),
    }
}

#[test]
fn modes_of_learning_are_rtpengines_words() {
    for (word, mode) in [
        ("heuristic", Learning::Heuristic),
        ("delayed", Learning::Delayed),
        ("immediate", Learning::Immediate),
        ("off", Learning::Off),
    ] {
        let (config, _) = config(&format!("--endpoint-learning={word}")).expect("known");
        assert_eq!(config.media.learning, mode);
    }
}

/// A line of an rtpengine.conf: known keys and sections with known and odd values, or whatever.
fn any_line() -> impl Strategy<Value = String> {
    const HEADS: [&str; 5] = ["[rtpengine]", "[if-a]", "[words]", "[", "[]"];
    const KEYS: [&str; 14] = [
        "interface",
        "listen-ng",
        "listen-http",
        "port-min",
        "timeout",
        "num-threads",
        "templates",
        "interfaces-config",
        "address",
        "alias",
        "log-level",
        "tos",
        "max-load",
        "foreground",
    ];
    const VALUES: [&str; 10] = [
        "",
        "-1",
        "65536",
        "words",
        "if",
        "a/192.0.2.1!x;b/::1",
        "2223",
        "[::]:1",
        "yes",
        "\u{fffd} =;#",
    ];
    let pair = (prop::sample::select(&KEYS), prop::sample::select(&VALUES));
    prop_oneof![
        2 => prop::sample::select(&HEADS).prop_map(str::to_owned),
        6 => pair.prop_map(|(key, value)| format!("{key} = {value}")),
        1 => ".*",
    ]
}

proptest! {
    #[test]
    fn whatever_stands_in_a_rtpengine_conf_is_understood_or_refused(
        lines in prop::collection::vec(any_line(), 0..16),
    ) {
        let content = lines.join("\n");
        let said = ini::read(&content, "rtpengine", None, None);
        let line = std::iter::once("patchcord".into()).chain(said.args);
        if let Err(refusal) = parse(line) {
            prop_assert!(!refusal.to_string().is_empty());
        }
    }
}
