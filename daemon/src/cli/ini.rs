//! rtpengine.conf: an INI file whose keys are the long options, and whose lists use semicolons.

use std::ffi::OsString;

use crate::config::{InterfaceText, Many};

/// Options that have no value on the command line, but `true`, `yes` or 1 in the file.
const SWITCHES: &[&str] = &[
    "foreground",
    "log-stderr",
    "no-log-timestamps",
    "sip-source",
];

/// The command line that says the same as `section`, and the interfaces of `interfaces`' sections.
pub fn arguments(
    content: &str,
    section: &str,
    interfaces: Option<&str>,
) -> (Vec<OsString>, Vec<InterfaceText>) {
    let mut args = Vec::new();
    let mut prefix = interfaces.map(str::to_owned);
    for (key, value) in entries(content, |name| name == section) {
        match key {
            "interfaces-config" => prefix = prefix.or(Some(value.to_owned())),
            _ if SWITCHES.contains(&key) => {
                if matches!(
                    value.to_ascii_lowercase().as_str(),
                    "true" | "yes" | "on" | "1" | ""
                ) {
                    args.push(format!("--{key}").into());
                }
            }
            _ if key.starts_with("listen-") || key == "interface" => {
                let list = value
                    .split(';')
                    .map(str::trim)
                    .filter(|one| !one.is_empty());
                args.extend(list.map(|one| OsString::from(format!("--{key}={one}"))));
            }
            _ => args.push(format!("--{key}={value}").into()),
        }
    }
    let interfaces = prefix
        .map(|prefix| sections(content, &prefix))
        .unwrap_or_default();
    (args, interfaces)
}

/// Sections `[PREFIX-NAME]` with `address`, `advertised`, `port-min` and so on.
fn sections(content: &str, prefix: &str) -> Vec<InterfaceText> {
    let wanted = format!("{prefix}-");
    let names = content
        .lines()
        .filter_map(section_name)
        .filter_map(|n| n.strip_prefix(&*wanted));
    let mut all = Vec::new();
    for name in names {
        let mut interface = InterfaceText {
            name: Some(name.to_owned()),
            ..InterfaceText::default()
        };
        let full = format!("{wanted}{name}");
        let mut target = None;
        for (key, value) in entries(content, |section| section == full) {
            match key {
                "name" => interface.name = Some(value.to_owned()),
                "address" => interface.address = Many::split(value).0,
                "advertised" => interface.advertised = Many::split(value).0,
                "port-min" => interface.port_min = value.parse().ok(),
                "port-max" => interface.port_max = value.parse().ok(),
                "alias" => target = Some(value.to_owned()),
                _ => {}
            }
        }
        // `alias` in a section makes the section's name stand for another interface.
        if let Some(target) = target {
            interface.alias = vec![name.to_owned()];
            interface.name = Some(target);
        }
        all.push(interface);
    }
    all
}

fn section_name(line: &str) -> Option<&str> {
    line.trim()
        .strip_prefix('[')?
        .split(']')
        .next()
        .map(str::trim)
}

/// Keys and values of the sections that `wanted` picks.
fn entries(content: &str, wanted: impl Fn(&str) -> bool) -> Vec<(&str, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in content.lines().map(str::trim) {
        if let Some(name) = section_name(line) {
            inside = wanted(name);
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            found.push((key.trim(), value.trim()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = "\
# a comment
[rtpengine]
table = 0
no-fallback = false
interface = internal/10.0.0.1;external/10.0.0.1!203.0.113.9
listen-ng = 127.0.0.1:2223
timeout = 60
log-stderr = yes
foreground = false
interfaces-config = if

[rtpengine-testing]
timeout = 5

[if-pub]
address = 192.0.2.1
advertised = 198.51.100.1
port-min = 20000
port-max = 20999

[if-outside]
alias = pub
";

    #[test]
    fn the_section_becomes_a_command_line() {
        let (args, _) = arguments(CONF, "rtpengine", None);
        let args: Vec<_> = args.iter().map(|a| a.to_str().expect("ASCII")).collect();
        assert_eq!(
            args,
            [
                "--table=0",
                "--no-fallback=false",
                "--interface=internal/10.0.0.1",
                "--interface=external/10.0.0.1!203.0.113.9",
                "--listen-ng=127.0.0.1:2223",
                "--timeout=60",
                "--log-stderr",
            ]
        );
        let (other, _) = arguments(CONF, "rtpengine-testing", None);
        assert_eq!(other, [OsString::from("--timeout=5")]);
    }

    #[test]
    fn interface_sections_become_interfaces() {
        let (_, interfaces) = arguments(CONF, "rtpengine", None);
        assert_eq!(interfaces.len(), 2);
        assert_eq!(interfaces[0].address, ["192.0.2.1"]);
        assert_eq!(
            (interfaces[0].port_min, interfaces[0].port_max),
            (Some(20_000), Some(20_999))
        );
        assert!(interfaces[1].is_alias());
        assert_eq!(interfaces[1].name.as_deref(), Some("pub"));
    }
}
