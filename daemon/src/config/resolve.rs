//! From text to values: names become addresses, `auto` dies, contradictions are refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use patchcord_offload::Choice;

use super::complaint::{Complaint, Complaints};
use super::layer::Layers;
use super::text::Text;
use super::value::{Hook, InterfaceText, Level, Many};
use super::{
    Backend, Config, Dtls, Interface, Learning, Limits, Listen, Listener, Log, Media, Offload,
    PortRange, Ports, Process, Steer, Timeouts, Workers,
};

/// Seconds after which nobody waits any more: a year. Clocks end somewhere beyond.
const LONGEST: u64 = 31_536_000;
/// The name of interfaces that were not given one.
const DEFAULT_NAME: &str = "default";

/// What resolving has to know of the machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Cores to run on.
    pub cores: usize,
    /// Whether the kernel lets this process use io_uring.
    pub uring: bool,
    /// Network devices and their addresses.
    pub devices: Vec<(String, IpAddr)>,
    /// Looks a host name up.
    pub lookup: fn(&str) -> Vec<IpAddr>,
}

/// Resolves the merged layers, or says everything that is wrong with them.
pub fn resolve(layers: &Layers, machine: &Machine) -> Result<Config, Complaints> {
    let text = &layers.text;
    let mut wrong = Vec::new();
    let range = default_range(layers, &mut wrong);
    let interfaces = interfaces(layers, machine, range, &mut wrong);
    let config = Config {
        listen: listen(layers, machine, &mut wrong),
        offload: offload(layers, machine, &interfaces, &mut wrong),
        interfaces,
        ports: ports(layers, &mut wrong),
        workers: workers(layers, machine, &mut wrong),
        timeouts: timeouts(text),
        limits: limits(layers, &mut wrong),
        media: Media {
            tos: text.media.tos.unwrap_or(0),
            learning: text.media.learning.unwrap_or(Learning::Heuristic),
            sip_source: text.media.sip_source.unwrap_or(false),
            rtcp_interval: Duration::from_millis(text.media.rtcp_interval.unwrap_or(5_000)),
        },
        dtls: dtls(layers, &mut wrong),
        log: Log {
            level: text.log.level.unwrap_or(Level(tracing::Level::INFO)),
            target: text.log.target.unwrap_or_default(),
            timestamps: text.log.timestamps.unwrap_or(true),
        },
        process: Process {
            pidfile: text.process.pidfile.clone(),
            exit_when_drained: text.process.exit_when_drained.unwrap_or(false),
        },
        templates: text.templates.iter().collect(),
    };
    if wrong.is_empty() {
        Ok(config)
    } else {
        Err(Complaints(wrong))
    }
}

fn complain(wrong: &mut Vec<Complaint>, place: String, text: String, hint: Option<&str>) {
    wrong.push(Complaint {
        place,
        text,
        hint: hint.map(str::to_owned),
    });
}

fn default_range(layers: &Layers, wrong: &mut Vec<Complaint>) -> PortRange {
    let min = layers.text.ports.min.unwrap_or(30_000);
    let max = layers.text.ports.max.unwrap_or(39_999);
    let place = if layers.is_set("ports.max") {
        "ports.max"
    } else {
        "ports.min"
    };
    checked_range(min, max, layers.place(place), wrong)
}

fn checked_range(min: u16, max: u16, place: String, wrong: &mut Vec<Complaint>) -> PortRange {
    let range = PortRange { min, max };
    if min > max {
        complain(
            wrong,
            place,
            format!("the lowest port {min} is above the highest {max}"),
            None,
        );
    } else if min == 0 || range.pairs().next().is_none() {
        let text = format!("{min} to {max} holds no even port with an odd one after it");
        complain(wrong, place, text, None);
    }
    range
}

fn listen(layers: &Layers, machine: &Machine, wrong: &mut Vec<Complaint>) -> Listen {
    let text = &layers.text.listen;
    let mut one = |path: &str, given: Option<&Many>, default: &str| {
        let fallback = Many::split(default);
        listeners(layers, machine, path, given, &fallback, wrong)
    };
    let listen = Listen {
        ng: one("listen.ng", text.ng.as_ref(), "127.0.0.1:2223"),
        ng_tcp: one("listen.ng-tcp", text.ng_tcp.as_ref(), "127.0.0.1:2223"),
        http: one("listen.http", text.http.as_ref(), "127.0.0.1:9623"),
        cli: one("listen.cli", text.cli.as_ref(), ""),
        tos: text.tos.unwrap_or(0),
    };
    overlapping(layers, &[("listen.ng", &listen.ng)], wrong);
    let tcp = [
        ("listen.ng-tcp", &listen.ng_tcp),
        ("listen.http", &listen.http),
        ("listen.cli", &listen.cli),
    ];
    overlapping(layers, &tcp, wrong);
    listen
}

/// Listeners are `port`, `address:port`, `[v6]:port` or `host:port`; a bare port is every address.
fn listeners(
    layers: &Layers,
    machine: &Machine,
    path: &str,
    given: Option<&Many>,
    fallback: &Many,
    wrong: &mut Vec<Complaint>,
) -> Vec<Listener> {
    let required = given.is_some();
    let mut all = Vec::new();
    for text in &given.unwrap_or(fallback).0 {
        if text == "none" || text == "off" {
            continue;
        }
        let found = listener(text, machine);
        if found.is_empty() {
            let text = format!("`{text}` is not an address to listen on");
            complain(
                wrong,
                layers.place(path),
                text,
                Some("write `port`, `address:port` or `[v6]:port`"),
            );
        }
        all.extend(found.into_iter().map(|addr| {
            // A bare port means both families, and a machine may lack one.
            let required =
                required && !(addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && bare(text));
            Listener { addr, required }
        }));
    }
    all
}

fn bare(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn listener(text: &str, machine: &Machine) -> Vec<SocketAddr> {
    if let Ok(port) = text.parse::<u16>() {
        let any = [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ];
        return any
            .into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect();
    }
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return vec![addr];
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Vec::new();
    };
    let Ok(port) = port.parse::<u16>() else {
        return Vec::new();
    };
    match host {
        "" | "*" | "any" => listener(&port.to_string(), machine),
        _ => addresses(host, machine)
            .into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect(),
    }
}

fn overlapping(layers: &Layers, lists: &[(&str, &Vec<Listener>)], wrong: &mut Vec<Complaint>) {
    let all: Vec<_> = lists
        .iter()
        .flat_map(|(path, list)| list.iter().map(move |l| (*path, l)))
        .collect();
    for (i, (path, later)) in all.iter().enumerate() {
        let clash = all[..i].iter().find(|(_, earlier)| {
            let (a, b) = (earlier.addr, later.addr);
            let same_family = a.is_ipv4() == b.is_ipv4();
            let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
            a.port() == b.port() && a.port() != 0 && same_family && same_ip
        });
        if let Some((other, earlier)) = clash {
            let text = format!(
                "{} is already taken by {} of {other}",
                later.addr, earlier.addr
            );
            // The blame goes to what was written, not to a default.
            let at = if layers.is_set(path) { path } else { other };
            complain(
                wrong,
                layers.place(at),
                text,
                Some("give one of them another port"),
            );
        }
    }
}

fn interfaces(
    layers: &Layers,
    machine: &Machine,
    range: PortRange,
    wrong: &mut Vec<Complaint>,
) -> Vec<Interface> {
    let empty = Vec::new();
    let texts = layers.text.interface.as_ref().unwrap_or(&empty);
    let mut all = Vec::new();
    for (i, text) in texts
        .iter()
        .enumerate()
        .filter(|(_, text)| !text.is_alias())
    {
        interface(layers, machine, range, i, text, &mut all, wrong);
    }
    if all.is_empty() && wrong.is_empty() {
        all = loopback(machine, range);
    }
    for (i, text) in texts.iter().enumerate().filter(|(_, text)| text.is_alias()) {
        alias(layers, i, text, &mut all, wrong);
    }
    clashes(layers, texts, &all, wrong);
    if all.len() > usize::from(u8::MAX) {
        let text = format!("{} interface addresses, 255 is the most", all.len());
        complain(wrong, layers.place("interface"), text, None);
    }
    all
}

/// Both loopback addresses, as far as the machine has them.
fn loopback(machine: &Machine, range: PortRange) -> Vec<Interface> {
    let v6 = machine
        .devices
        .iter()
        .any(|(_, ip)| *ip == IpAddr::V6(Ipv6Addr::LOCALHOST));
    let v6 = v6.then_some(IpAddr::V6(Ipv6Addr::LOCALHOST));
    [Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), v6]
        .into_iter()
        .flatten()
        .map(|address| Interface {
            name: DEFAULT_NAME.to_owned(),
            aliases: Vec::new(),
            address,
            advertised: address,
            range,
        })
        .collect()
}

fn interface(
    layers: &Layers,
    machine: &Machine,
    range: PortRange,
    index: usize,
    text: &InterfaceText,
    all: &mut Vec<Interface>,
    wrong: &mut Vec<Complaint>,
) {
    let place = |key: &str| match layers.place(&format!("interface.{index}.{key}")) {
        place if place.starts_with("the default") => layers.place("interface"),
        place => place,
    };
    let name = text.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
    if text.address.is_empty() {
        complain(
            wrong,
            place("name"),
            format!("interface `{name}` has no `address`"),
            None,
        );
        return;
    }
    let range = match (text.port_min, text.port_max) {
        (None, None) => range,
        (min, max) => {
            let key = if max.is_some() {
                "port-max"
            } else {
                "port-min"
            };
            checked_range(
                min.unwrap_or(range.min),
                max.unwrap_or(range.max),
                place(key),
                wrong,
            )
        }
    };
    let advertised = named_addresses(&text.advertised, machine, &place("advertised"), wrong);
    let local = named_addresses(&text.address, machine, &place("address"), wrong);
    for ip in &advertised {
        if !local.is_empty() && !local.iter().any(|l| l.is_ipv4() == ip.is_ipv4()) {
            let text =
                format!("interface `{name}` advertises {ip} and has no address of that family");
            complain(wrong, place("advertised"), text, None);
        }
    }
    for address in local {
        let shown = advertised
            .iter()
            .find(|ip| ip.is_ipv4() == address.is_ipv4());
        all.push(Interface {
            name: name.clone(),
            aliases: text.alias.clone(),
            address,
            advertised: shown.copied().unwrap_or(address),
            range,
        });
    }
}

fn alias(
    layers: &Layers,
    index: usize,
    text: &InterfaceText,
    all: &mut [Interface],
    wrong: &mut Vec<Complaint>,
) {
    let name = text.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
    let mut found = false;
    for interface in all.iter_mut().filter(|i| i.name == name) {
        interface.aliases.extend(text.alias.iter().cloned());
        found = true;
    }
    if !found {
        let names: Vec<_> = all.iter().map(|i| i.name.as_str()).collect();
        let hint = super::nearest(&name, names).map(|n| format!("did you mean `{n}`?"));
        let place = match layers.place(&format!("interface.{index}")) {
            place if place.starts_with("the default") => layers.place("interface"),
            place => place,
        };
        let text = format!(
            "`{}` stands for `{name}`, which is no interface",
            text.alias.join("`, `")
        );
        complain(wrong, place, text, hint.as_deref());
    }
}

/// Names and addresses given twice, and ranges that half overlap on one address.
fn clashes(
    layers: &Layers,
    texts: &[InterfaceText],
    all: &[Interface],
    wrong: &mut Vec<Complaint>,
) {
    let place = |interface: &Interface| {
        let index = texts.iter().rposition(|t| {
            t.name.as_deref().unwrap_or(DEFAULT_NAME) == interface.name && !t.is_alias()
        });
        index
            .map(|i| layers.place(&format!("interface.{i}")))
            .filter(|place| !place.starts_with("the default"))
            .unwrap_or_else(|| layers.place("interface"))
    };
    for (i, later) in all.iter().enumerate() {
        for earlier in &all[..i] {
            let same = earlier.address == later.address;
            if same && earlier.name == later.name {
                let text = format!(
                    "interface `{}` has the address {} twice",
                    later.name, later.address
                );
                complain(wrong, place(later), text, None);
            } else if same && earlier.range != later.range && earlier.range.overlaps(later.range) {
                let text = format!(
                    "ports {}-{} of `{}` overlap ports {}-{} of `{}` on {}",
                    later.range.min,
                    later.range.max,
                    later.name,
                    earlier.range.min,
                    earlier.range.max,
                    earlier.name,
                    later.address
                );
                let hint = "make the ranges equal, then they are shared, or keep them apart";
                complain(wrong, place(later), text, Some(hint));
            }
            let taken = later.aliases.iter().find(|a| {
                earlier.name != later.name && (earlier.name == **a || earlier.aliases.contains(a))
            });
            if let Some(alias) = taken {
                let text = format!(
                    "`{alias}` names both `{}` and `{}`",
                    earlier.name, later.name
                );
                complain(wrong, place(later), text, None);
            }
        }
    }
}

fn named_addresses(
    names: &[String],
    machine: &Machine,
    place: &str,
    wrong: &mut Vec<Complaint>,
) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for name in names {
        let found = addresses(name, machine);
        if found.is_empty() {
            let devices = machine.devices.iter().map(|(name, _)| name.as_str());
            let hint = super::nearest(name, devices).map(|n| format!("did you mean `{n}`?"));
            let text = format!("`{name}` is no address, network device or host name known here");
            complain(wrong, place.to_owned(), text, hint.as_deref());
        }
        all.extend(found);
    }
    all
}

/// The addresses that an IP, a network device, `any` or a host name stands for.
fn addresses(name: &str, machine: &Machine) -> Vec<IpAddr> {
    let plain = name
        .strip_prefix('[')
        .and_then(|n| n.strip_suffix(']'))
        .unwrap_or(name);
    if let Ok(ip) = plain.parse() {
        return vec![ip];
    }
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    };
    let devices = machine.devices.iter().filter(|(_, ip)| usable(ip));
    if name == "any" {
        return devices
            .filter(|(_, ip)| !ip.is_loopback())
            .map(|(_, ip)| *ip)
            .collect();
    }
    let of_device: Vec<_> = devices
        .filter(|(device, _)| device == name)
        .map(|(_, ip)| *ip)
        .collect();
    if of_device.is_empty() {
        (machine.lookup)(plain)
    } else {
        of_device
    }
}

fn ports(layers: &Layers, wrong: &mut Vec<Complaint>) -> Ports {
    let text = &layers.text.ports;
    let rest = text.rest_ms.unwrap_or(2_000);
    let rest_min = text.rest_min_ms.unwrap_or(100);
    if rest_min > rest {
        let path = if layers.is_set("ports.rest-min-ms") {
            "ports.rest-min-ms"
        } else {
            "ports.rest-ms"
        };
        let text = format!("rest-min-ms {rest_min} is above rest-ms {rest}");
        complain(wrong, layers.place(path), text, None);
    }
    Ports {
        rest: Duration::from_millis(rest),
        rest_min: Duration::from_millis(rest_min),
        warm: text.warm.unwrap_or(16_384),
        prewarm: text.prewarm.unwrap_or(0),
    }
}

fn workers(layers: &Layers, machine: &Machine, wrong: &mut Vec<Complaint>) -> Workers {
    let text = &layers.text.workers;
    let count = text
        .count
        .map_or(machine.cores, |count| count.or_else(|| machine.cores));
    if count == 0 || count > 255 {
        let text = format!("{count} workers; 1 to 255 can be had");
        complain(
            wrong,
            layers.place("workers.count"),
            text,
            Some("write \"auto\" for one a core"),
        );
    }
    let best = || {
        if machine.uring {
            Backend::Uring
        } else {
            Backend::Mmsg
        }
    };
    let backend = text
        .backend
        .map_or_else(best, |backend| backend.or_else(best));
    if backend == Backend::Uring && !machine.uring {
        let text = "the kernel refuses io_uring to this process".to_owned();
        let hint = "write \"auto\" or \"mmsg\", or permit it (kernel.io_uring_disabled, seccomp)";
        complain(wrong, layers.place("workers.backend"), text, Some(hint));
    }
    let buffers = text.buffers.unwrap_or(4_096);
    if !(64..=32_768).contains(&buffers) || !buffers.is_power_of_two() {
        let text = format!("{buffers} buffers; a power of two from 64 to 32768 is needed");
        complain(wrong, layers.place("workers.buffers"), text, None);
    }
    let busy_poll = text.busy_poll.unwrap_or(false);
    if busy_poll && backend != Backend::Xsk {
        let text = format!("backend {} sleeps on its sockets", backend.as_str());
        let hint = "busy-poll is for backend \"xsk\"";
        complain(wrong, layers.place("workers.busy-poll"), text, Some(hint));
    }
    if backend == Backend::Xsk
        && layers
            .text
            .offload
            .hook
            .as_ref()
            .is_some_and(|Hook(hook)| *hook == Choice::Tc)
    {
        let text = "what XDP hands to the workers never gets to tc".to_owned();
        let hint = "with backend \"xsk\" the hook is \"native\", \"generic\", \"auto\" or \"none\"";
        complain(wrong, layers.place("offload.hook"), text, Some(hint));
    }
    if backend == Backend::Xsk && text.steer == Some(Steer::SkLookup) {
        let text = "what XDP hands to the workers needs no socket to be looked up".to_owned();
        let hint = "with backend \"xsk\" steer is \"ports\" or \"auto\"";
        complain(wrong, layers.place("workers.steer"), text, Some(hint));
    }
    Workers {
        count,
        backend,
        steer: text.steer.unwrap_or_default(),
        pin: text.pin.unwrap_or(true),
        connect: text.connect.unwrap_or(true),
        buffers,
        busy_poll,
    }
}

fn offload(
    layers: &Layers,
    machine: &Machine,
    interfaces: &[Interface],
    wrong: &mut Vec<Complaint>,
) -> Offload {
    let text = &layers.text.offload;
    let share = text.decline.unwrap_or(0.0);
    if !(0.0..=1.0).contains(&share) {
        let text = format!("{share} is no share; 0 to 1 is");
        complain(wrong, layers.place("offload.decline"), text, None);
    }
    let patience = text.patience.unwrap_or(0.2);
    if !(0.0..=60.0).contains(&patience) {
        let text = format!("{patience} is no number of seconds from 0 to 60");
        complain(wrong, layers.place("offload.patience"), text, None);
    }
    let named = text.interfaces.clone().map(|Many(names)| names);
    Offload {
        hook: text.hook.map_or(Choice::None, |Hook(choice)| choice),
        interfaces: named.unwrap_or_else(|| entrances(machine, interfaces)),
        entries: text.entries.filter(|entries| *entries > 0),
        patience: Duration::try_from_secs_f64(patience).unwrap_or_default(),
        decline: (share * f64::from(u32::MAX)) as u32,
    }
}

/// The devices that media comes in by. An address that stands on the loopback device, and is not its own, can
/// be reached by all others.
fn entrances(machine: &Machine, interfaces: &[Interface]) -> Vec<String> {
    let own = |address: IpAddr| {
        let mut devices = machine.devices.iter();
        devices.find(|(_, ip)| *ip == address)
    };
    let is_elsewhere = |ip: IpAddr| own(ip).is_some_and(|(name, _)| name == "lo");
    let mut remote = interfaces
        .iter()
        .map(|i| i.address)
        .filter(|ip| !ip.is_loopback());
    let mut names: Vec<String> = if remote.clone().any(is_elsewhere) {
        let others = machine.devices.iter().map(|(name, _)| name.clone());
        others.filter(|name| name != "lo").collect()
    } else {
        remote
            .by_ref()
            .filter_map(|ip| own(ip).map(|(name, _)| name.clone()))
            .collect()
    };
    names.sort();
    names.dedup();
    names
}

fn timeouts(text: &Text) -> Timeouts {
    let text = &text.timeouts;
    let seconds = |given: Option<u64>, default: u64| {
        Some(given.unwrap_or(default))
            .filter(|s| *s > 0)
            .map(Duration::from_secs)
    };
    Timeouts {
        media: seconds(text.media, 60),
        silent: seconds(text.silent, 3_600),
        offer: seconds(text.offer, 3_600),
        total: seconds(text.r#final, 0),
        delete_delay: Duration::from_secs(text.delete_delay.unwrap_or(30)),
    }
}

fn dtls(layers: &Layers, wrong: &mut Vec<Complaint>) -> Dtls {
    let text = &layers.text.dtls;
    let mtu = text.mtu.unwrap_or(1_200);
    if !(576..=1_472).contains(&mtu) {
        let text = "a datagram of a handshake has 576 to 1472 bytes".to_owned();
        complain(wrong, layers.place("dtls.mtu"), text, Some("leave it out"));
    }
    Dtls {
        certificate: text.certificate.unwrap_or_default(),
        mtu,
        passive: text.passive.unwrap_or(false),
    }
}

fn limits(layers: &Layers, wrong: &mut Vec<Complaint>) -> Limits {
    let text = &layers.text.limits;
    let mib = text.cookie_cache_mib.unwrap_or(64);
    let kib = text.http_body_kib.unwrap_or(1_024);
    if mib == 0 {
        let text =
            "without memory for answers a repeated request would be executed twice".to_owned();
        complain(
            wrong,
            layers.place("limits.cookie-cache-mib"),
            text,
            Some("write 1 or more"),
        );
    }
    let mut measure = |path: &str, given: Option<f64>| {
        let most = given.filter(|most| *most != 0.0);
        if most.is_some_and(|most| !most.is_finite() || most < 0.0) {
            let text = "a limit is a positive number".to_owned();
            complain(wrong, layers.place(path), text, Some("write 0 for none"));
        }
        most
    };
    Limits {
        calls: text.calls.and_then(|n| usize::try_from(n).ok()),
        load: measure("limits.load", text.load),
        cpu: measure("limits.cpu", text.cpu),
        bandwidth: text.bandwidth.filter(|most| *most > 0),
        cookie_cache: mib << 20,
        http_body: kib << 10,
        http_timeout: Duration::from_secs(text.http_timeout.unwrap_or(10).clamp(1, LONGEST)),
        idle_timeout: Some(text.idle_timeout.unwrap_or(600).min(LONGEST))
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs),
        connections: text.connections.unwrap_or(1_024),
    }
}
