//! Golden errors: what an operator reads for each mistake, and that good text means what it says.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

fn machine() -> Machine {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    Machine {
        cores: 4,
        uring: true,
        devices: vec![
            ("lo".to_owned(), ip("127.0.0.1")),
            ("lo".to_owned(), ip("::1")),
            ("eth0".to_owned(), ip("192.0.2.10")),
            ("eth0".to_owned(), ip("fe80::1")),
            ("eth0".to_owned(), ip("2001:db8::10")),
        ],
        lookup: |host| match host {
            "localhost" => vec![IpAddr::from([127, 0, 0, 1])],
            _ => Vec::new(),
        },
    }
}

fn load(content: &str) -> Result<Config, String> {
    let mut layers = Layers::default();
    layers
        .file("patchcord.toml", content)
        .map_err(|e| e.to_string())?;
    resolve(&layers, &machine()).map_err(|e| e.to_string())
}

fn good(content: &str) -> Config {
    load(content).expect("a good configuration")
}

fn bad(content: &str) -> String {
    load(content).expect_err("a mistake")
}

#[test]
fn nothing_at_all_is_loopback_with_both_families() {
    let config = good("");
    let addresses: Vec<_> = config
        .interfaces
        .iter()
        .map(|i| i.address.to_string())
        .collect();
    assert_eq!(addresses, ["127.0.0.1", "::1"]);
    let ng = Listener {
        addr: "127.0.0.1:2223".parse().expect("an address"),
        required: false,
    };
    assert_eq!(config.listen.ng, [ng]);
    assert_eq!(
        (config.workers.count, config.workers.backend),
        (4, Backend::Uring)
    );
    assert_eq!(config.timeouts.total, None);
}

#[test]
fn the_sample_says_every_key_with_its_default() {
    assert_eq!(good(SAMPLE), good(""));
    let spoken: String = SAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let mut layers = Layers::default();
    layers
        .file("sample", &spoken)
        .expect("the sample parses once uncommented");
    let missing: Vec<_> = KEYS
        .iter()
        .map(Key::path)
        .filter(|path| !layers.is_set(path))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
    let mut config = resolve(&layers, &machine()).expect("and makes sense");
    // Written out, a default listener is asked for, and the pidfile has no default to write.
    let listen = &mut config.listen;
    for listener in [&mut listen.ng, &mut listen.ng_tcp, &mut listen.http]
        .into_iter()
        .flatten()
    {
        listener.required = false;
    }
    config.process.pidfile = None;
    assert_eq!(config, good(""));
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest() {
    let error = bad("[ports]\nmin = 30000\nmaxx = 40000\n");
    assert!(
        error.starts_with("patchcord.toml:3: unknown field `maxx`"),
        "{error}"
    );
    assert!(error.ends_with("did you mean `max`?"), "{error}");
}

#[test]
fn an_unknown_section_names_the_nearest() {
    let error = bad("\n[timeout]\nmedia = 3\n");
    assert!(
        error.starts_with("patchcord.toml:2: unknown field `timeout`"),
        "{error}"
    );
    assert!(error.ends_with("did you mean `timeouts`?"), "{error}");
}

#[test]
fn a_key_in_the_wrong_section_names_the_right_one() {
    let error = bad("[media]\ndelete-delay = 3\n");
    assert!(
        error.ends_with("did you mean `timeouts.delete-delay`?"),
        "{error}"
    );
}

#[test]
fn an_unknown_interface_key_names_its_line() {
    let error = bad("[[interface]]\nname = \"a\"\nadress = \"127.0.0.1\"\n");
    assert!(
        error.starts_with("patchcord.toml:3: unknown field `adress`"),
        "{error}"
    );
    assert!(error.ends_with("did you mean `address`?"), "{error}");
}

#[test]
fn a_value_of_the_wrong_kind_names_its_line() {
    let error = bad("[workers]\npin = 3\n");
    assert!(
        error.starts_with("patchcord.toml:2: invalid type"),
        "{error}"
    );
    let error = bad("[log]\nlevel = \"loud\"\n");
    assert!(
        error.starts_with("patchcord.toml:2: expected `error`"),
        "{error}"
    );
    let error = bad("[workers]\nbackend = \"urnig\"\n");
    assert!(
        error.starts_with("patchcord.toml:2: unknown variant `urnig`"),
        "{error}"
    );
    assert!(error.ends_with("did you mean `uring`?"), "{error}");
}

#[test]
fn broken_toml_names_its_line() {
    let error = bad("[ports]\nmin = = 3\n");
    assert!(error.starts_with("patchcord.toml:2: "), "{error}");
}

#[test]
fn a_range_upside_down_is_refused_at_its_line() {
    assert_eq!(
        bad("[ports]\nmin = 40000\nmax = 30000\n"),
        "patchcord.toml:3: the lowest port 40000 is above the highest 30000"
    );
    assert_eq!(
        bad("[[interface]]\naddress = \"192.0.2.10\"\nport-min = 9\nport-max = 8\n"),
        "patchcord.toml:4: the lowest port 9 is above the highest 8"
    );
    assert!(bad("[ports]\nmin = 30001\nmax = 30002\n").contains("holds no even port"));
}

#[test]
fn the_same_address_twice_under_a_name_is_refused() {
    let error = bad("interface = [\n \"a/192.0.2.10\",\n \"a/192.0.2.10\",\n]\n");
    assert_eq!(
        error,
        "patchcord.toml:3: interface `a` has the address 192.0.2.10 twice"
    );
}

#[test]
fn one_address_under_two_names_shares_its_ports() {
    let config = good("interface = [\"in/10.0.0.1\", \"out/10.0.0.1!203.0.113.9\"]");
    assert_eq!(config.interfaces[1].advertised.to_string(), "203.0.113.9");
    assert_eq!(config.interfaces[0].range, config.interfaces[1].range);
}

#[test]
fn ranges_that_half_overlap_on_one_address_are_refused() {
    let error = bad(
        "[[interface]]\nname = \"a\"\naddress = \"10.0.0.1\"\nport-max = 35000\n\
                     [[interface]]\nname = \"b\"\naddress = \"10.0.0.1\"\n",
    );
    assert!(
        error.starts_with("patchcord.toml:5: ports 30000-39999 of `b` overlap"),
        "{error}"
    );
}

#[test]
fn listeners_that_overlap_are_refused() {
    let error = bad("[listen]\nng-tcp = 2300\nhttp = \"127.0.0.1:2300\"\n");
    assert!(
        error.starts_with("patchcord.toml:3: 127.0.0.1:2300 is already taken"),
        "{error}"
    );
    good("[listen]\nng = 2300\nng-tcp = 2300\n");
}

#[test]
fn a_rest_longer_than_wished_is_refused() {
    let error = bad("[ports]\nrest-min-ms = 5000\n");
    assert_eq!(
        error,
        "patchcord.toml:2: rest-min-ms 5000 is above rest-ms 2000"
    );
}

#[test]
fn every_contradiction_is_told_at_once() {
    let error = bad("[ports]\nmin = 2\nmax = 1\n[workers]\ncount = 0\n");
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn devices_any_and_hosts_are_addresses() {
    let of = |text: &str| -> Vec<String> {
        let config = good(&format!("interface = [\"{text}\"]"));
        config
            .interfaces
            .iter()
            .map(|i| i.address.to_string())
            .collect()
    };
    assert_eq!(of("eth0"), ["192.0.2.10", "2001:db8::10"]);
    assert_eq!(of("any"), ["192.0.2.10", "2001:db8::10"]);
    assert_eq!(of("localhost"), ["127.0.0.1"]);
    let error = bad("interface = [\"eht0\"]");
    assert!(error.ends_with("did you mean `eth0`?"), "{error}");
}

#[test]
fn advertised_follows_the_family() {
    let config = good(
        "[[interface]]\naddress = [\"10.0.0.1\", \"2001:db8::1\"]\nadvertised = \"203.0.113.9\"",
    );
    let shown: Vec<_> = config
        .interfaces
        .iter()
        .map(|i| i.advertised.to_string())
        .collect();
    assert_eq!(shown, ["203.0.113.9", "2001:db8::1"]);
    let error = bad("[[interface]]\naddress = \"10.0.0.1\"\nadvertised = \"2001:db8::1\"");
    assert!(
        error.starts_with("patchcord.toml:3: interface `default` advertises"),
        "{error}"
    );
}

#[test]
fn an_alias_needs_its_interface() {
    let config = good("interface = [\"priv/10.0.0.1\", \"internal=priv\"]");
    assert_eq!(config.interfaces[0].aliases, ["internal"]);
    let error = bad("interface = [\"priv/10.0.0.1\", \"internal=prov\"]");
    assert!(error.ends_with("did you mean `priv`?"), "{error}");
}

#[test]
fn set_and_environment_say_where_they_went_wrong() {
    let set = |path: &str, value: &str| {
        let mut layers = Layers::default();
        layers
            .set("--set", path, value)
            .map_err(|e| e.to_string())?;
        resolve(&layers, &machine()).map_err(|e| e.to_string())
    };
    assert_eq!(set("ports.min", "31000").map(|c| c.ports.prewarm), Ok(0));
    let error = set("ports.mim", "1").expect_err("a typo");
    assert_eq!(
        error,
        "--set: unknown key `ports.mim`; did you mean `ports.min`?"
    );
    let error = set("port.min", "1").expect_err("a typo");
    assert_eq!(
        error,
        "--set: unknown section `port`; did you mean `ports.min`?"
    );
    let error = set("prewarm", "1").expect_err("no section");
    assert_eq!(
        error,
        "--set: `prewarm` is not `section.key`; did you mean `ports.prewarm`?"
    );
    let error = set("ports.min", "lots").expect_err("no number");
    assert!(
        error.starts_with("--set: `ports.min`: invalid type: string \"lots\""),
        "{error}"
    );
    let error = set("ports.max", "3").expect_err("below the default minimum");
    assert_eq!(error, "--set: the lowest port 30000 is above the highest 3");
    let listeners = set("listen.ng", "2300").expect("a bare port").listen.ng;
    let shown: Vec<_> = listeners
        .iter()
        .map(|l| (l.addr.to_string(), l.required))
        .collect();
    assert_eq!(
        shown,
        [
            ("0.0.0.0:2300".to_owned(), true),
            ("[::]:2300".to_owned(), false)
        ]
    );
    let two = set("interface", "a/10.0.0.1;b/10.0.0.2").expect("a list");
    assert_eq!(two.interfaces.len(), 2);
    assert_eq!(
        set("media.learning", "off").map(|c| c.media.learning),
        Ok(Learning::Off)
    );
}

#[test]
fn forbidden_io_uring_is_refused_only_when_asked_for() {
    let machine = Machine {
        uring: false,
        ..machine()
    };
    let with = |content: &str| {
        let mut layers = Layers::default();
        layers.file("patchcord.toml", content).expect("parses");
        resolve(&layers, &machine)
    };
    assert_eq!(with("").map(|c| c.workers.backend), Ok(Backend::Mmsg));
    let error = with("[workers]\nbackend = \"uring\"")
        .expect_err("refused")
        .to_string();
    assert!(
        error.starts_with("patchcord.toml:2: the kernel refuses io_uring"),
        "{error}"
    );
}

#[test]
fn xsk_is_chosen_by_name_and_goes_with_xdp_only() {
    let with = |content: &str| {
        let mut layers = Layers::default();
        layers.file("patchcord.toml", content).expect("parses");
        resolve(&layers, &machine())
    };
    let chosen = with("[workers]\nbackend = \"xsk\"\nbusy-poll = true").expect("it may be");
    assert_eq!(chosen.workers.backend, Backend::Xsk);
    assert!(chosen.workers.busy_poll);
    let error = |content| with(content).expect_err("refused").to_string();
    let slept = error("[workers]\nbackend = \"mmsg\"\nbusy-poll = true");
    assert!(
        slept.starts_with("patchcord.toml:3: backend mmsg sleeps"),
        "{slept}"
    );
    let behind = error("[workers]\nbackend = \"xsk\"\n[offload]\nhook = \"tc\"");
    assert!(
        behind.starts_with("patchcord.toml:4: what XDP hands"),
        "{behind}"
    );
    let steered = error("[workers]\nbackend = \"xsk\"\nsteer = \"sk_lookup\"");
    assert!(
        steered.starts_with("patchcord.toml:3: what XDP hands"),
        "{steered}"
    );
}

#[test]
fn ten_thousand_ports_are_five_thousand_pairs() {
    assert_eq!(
        PortRange {
            min: 30_000,
            max: 39_999
        }
        .pairs()
        .count(),
        5_000
    );
    assert_eq!(
        PortRange {
            min: 30_001,
            max: 30_004
        }
        .pairs()
        .collect::<Vec<_>>(),
        [30_002]
    );
    assert_eq!(
        PortRange {
            min: 65_534,
            max: 65_535
        }
        .pairs()
        .collect::<Vec<_>>(),
        [65_534]
    );
}

#[test]
fn templates_are_flag_strings_by_any_name() {
    let config = good("[templates]\ndefault = \"replace-origin\"\n\"my own\" = \"ICE=remove\"");
    assert_eq!(config.templates.get(b"My Own"), Some(&b"ICE=remove"[..]));
    let mut layers = Layers::default();
    layers
        .file("one", "[templates]\na = \"1\"\nb = \"2\"")
        .expect("valid");
    layers
        .set("--set", "templates.b", "replace-origin")
        .expect("any name goes");
    let config = resolve(&layers, &machine()).expect("valid");
    assert_eq!(config.templates.get(b"a"), Some(&b"1"[..]));
    assert_eq!(config.templates.get(b"b"), Some(&b"replace-origin"[..]));
    assert_eq!(
        bad("[templates]\na = 1"),
        "patchcord.toml:2: invalid type: integer `1`, expected a string"
    );
    let live: Vec<_> = layers.text.differences(&Text::default());
    assert_eq!(
        live.iter().map(Key::path).collect::<Vec<_>>(),
        ["templates.*"]
    );
    assert_eq!(live[0].reload, Reload::Live);
}

/// Values that are of another kind, or beyond what their key takes.
const ODD: [&str; 12] = [
    "-1",
    "0",
    "65536",
    "18446744073709551616",
    "1e400",
    "true",
    "\"\"",
    "\"any/192.0.2.1!x\"",
    "\"127.0.0.1:99999\"",
    "[]",
    "[[\"\"], 7]",
    "{ a = 1 }",
];

/// A line of the sample as it is, one with another value, or whatever.
fn any_line() -> impl Strategy<Value = String> {
    let sample = include_str!("../../../systemd/patchcord.toml");
    let lines: Vec<&str> = sample
        .lines()
        .map(|line| line.trim_start_matches(['#', ' ']))
        .filter(|line| line.starts_with('[') || line.contains(" = "))
        .collect();
    assert!(lines.len() > 40, "the sample names the keys");
    let changed = (
        prop::sample::select(lines.clone()),
        prop::sample::select(&ODD),
    );
    prop_oneof![
        4 => prop::sample::select(lines).prop_map(str::to_owned),
        4 => changed.prop_map(|(line, odd)| {
            let (key, _) = line.split_once(" = ").unwrap_or((line, ""));
            format!("{key} = {odd}")
        }),
        1 => ".*",
    ]
}

proptest! {
    #[test]
    fn whatever_stands_in_a_file_is_understood_or_complained_about(
        lines in prop::collection::vec(any_line(), 0..12),
    ) {
        if let Err(complaint) = load(&lines.join("\n")) {
            prop_assert!(!complaint.is_empty());
        }
    }
}
