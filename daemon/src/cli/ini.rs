//! rtpengine.conf: an INI file whose keys are the long options, and whose lists use semicolons.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::config::{InterfaceText, Many};

/// Options that have no value on the command line, but `true`, `yes` or 1 in the file.
const SWITCHES: &[&str] = &[
    "foreground",
    "log-stderr",
    "no-log-timestamps",
    "sip-source",
    "dtls-passive",
];

/// What stands in an INI file.
#[derive(Debug, Default)]
pub struct Said {
    /// The command line that says the same as the section.
    pub args: Vec<OsString>,
    /// The interfaces that have sections of their own.
    pub interfaces: Vec<InterfaceText>,
    /// The signalling templates.
    pub templates: BTreeMap<String, String>,
}

/// Reads `section`, and the sections of interfaces and templates that it or the command line names.
pub fn read(
    content: &str,
    section: &str,
    interfaces: Option<&str>,
    templates: Option<&str>,
) -> Said {
    let mut args = Vec::new();
    let mut prefix = interfaces.map(str::to_owned);
    let mut named = templates.map(str::to_owned);
    for (key, value) in entries(content, |name| name == section) {
        match key {
            "interfaces-config" => prefix = prefix.or(Some(value.to_owned())),
            "templates" => named = named.or(Some(value.to_owned())),
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
    let templates = named.map(|named| entries(content, |name| name == named));
    let templates = templates.unwrap_or_default().into_iter();
    Said {
        args,
        interfaces,
        templates: templates
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect(),
    }
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
        let args = read(CONF, "rtpengine", None, None).args;
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
        let other = read(CONF, "rtpengine-testing", None, None).args;
        assert_eq!(other, [OsString::from("--timeout=5")]);
    }

    #[test]
    fn interface_sections_become_interfaces() {
        let interfaces = read(CONF, "rtpengine", None, None).interfaces;
        assert_eq!(interfaces.len(), 2);
        assert_eq!(interfaces[0].address, ["192.0.2.1"]);
        assert_eq!(
            (interfaces[0].port_min, interfaces[0].port_max),
            (Some(20_000), Some(20_999))
        );
        assert!(interfaces[1].is_alias());
        assert_eq!(interfaces[1].name.as_deref(), Some("pub"));
    }

    #[test]
    fn templates_stand_in_the_section_that_is_named() {
        let conf = "[rtpengine]\ntemplates = flags\n[flags]\nWebRTC = ICE=force SDES=off\ndefault=x\n\
                    [others]\nWebRTC = y\n";
        let said = read(conf, "rtpengine", None, None);
        assert_eq!(said.templates["WebRTC"], "ICE=force SDES=off");
        assert_eq!(said.templates["default"], "x");
        assert!(said.args.is_empty(), "the option is no argument");
        let other = read(conf, "rtpengine", None, Some("others"));
        assert_eq!(other.templates["WebRTC"], "y", "the command line wins");
        assert!(
            read("[flags]\na=b\n", "rtpengine", None, None)
                .templates
                .is_empty()
        );
    }
}
