//! What the program needs of the kernel and of the process, by name.

use std::fs;

/// `CAP_NET_ADMIN`: attaching to interfaces.
const NET_ADMIN: u32 = 12;
/// `CAP_NET_RAW`: frames and headers of our own.
const NET_RAW: u32 = 13;
/// `CAP_SYS_ADMIN`: everything.
const SYS_ADMIN: u32 = 21;
/// `CAP_PERFMON`: arithmetic with pointers into packets.
const PERFMON: u32 = 38;
/// `CAP_BPF`: loading programs.
const BPF: u32 = 39;

/// The oldest kernel with tcx, and with everything else.
const KERNEL: (u32, u32) = (6, 6);

/// What the forwarder needs.
const FORWARDER: [(u32, &str); 3] = [
    (BPF, "CAP_BPF"),
    (PERFMON, "CAP_PERFMON"),
    (NET_ADMIN, "CAP_NET_ADMIN"),
];

/// What handing packets to workers needs.
const LANES: [(u32, &str); 4] = [
    (BPF, "CAP_BPF"),
    (PERFMON, "CAP_PERFMON"),
    (NET_ADMIN, "CAP_NET_ADMIN"),
    (NET_RAW, "CAP_NET_RAW"),
];

/// What steering needs.
const STEERING: [(u32, &str); 3] = [
    (BPF, "CAP_BPF"),
    (NET_ADMIN, "CAP_NET_ADMIN"),
    (NET_RAW, "CAP_NET_RAW"),
];

/// What is missing here for the program to be loaded and attached, in the operator's words.
pub fn missing() -> Vec<String> {
    lacking_here(&FORWARDER)
}

/// The same for packets to be handed to workers as well.
pub fn missing_for_lanes() -> Vec<String> {
    lacking_here(&LANES)
}

/// The same for one socket to be all ports of a worker.
pub fn missing_for_steering() -> Vec<String> {
    lacking_here(&STEERING)
}

fn lacking_here(needed: &[(u32, &str)]) -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    lacking(&status, release.trim(), needed)
}

fn lacking(status: &str, release: &str, needed: &[(u32, &str)]) -> Vec<String> {
    let mut missing = Vec::new();
    let word = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let held = word.and_then(|word| u64::from_str_radix(word.trim(), 16).ok());
    let has = |capability: u32| held.is_none_or(|held| held >> capability & 1 == 1);
    for &(capability, name) in needed {
        let is_implied = matches!(capability, BPF | PERFMON) && has(SYS_ADMIN);
        if !has(capability) && !is_implied {
            missing.push(name.to_owned());
        }
    }
    if version(release).is_some_and(|version| version < KERNEL) {
        let (major, minor) = KERNEL;
        missing.push(format!(
            "Linux {major}.{minor} or later (this is {release})"
        ));
    }
    missing
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(capabilities: u64, release: &str) -> Vec<String> {
        lacking(
            &format!("Name:\tx\nCapEff:\t{capabilities:016x}\n"),
            release,
            &FORWARDER,
        )
    }

    #[test]
    fn handing_packets_over_needs_one_more() {
        let all_else = 1_u64 << NET_ADMIN | 1 << BPF | 1 << PERFMON;
        let status = format!("CapEff:\t{all_else:016x}\n");
        assert_eq!(lacking(&status, "6.18.1", &LANES), ["CAP_NET_RAW"]);
    }

    #[test]
    fn steering_needs_raw_sockets_and_no_arithmetic() {
        let of = |held: u64| lacking(&format!("CapEff:\t{held:x}\n"), "6.18.1", &STEERING);
        assert_eq!(of(1 << BPF | 1 << NET_ADMIN), ["CAP_NET_RAW"]);
        assert!(of(1 << BPF | 1 << NET_ADMIN | 1 << NET_RAW).is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        let most = 1 << NET_ADMIN | 1 << BPF;
        assert_eq!(with(most, "6.18.1-cloud"), ["CAP_PERFMON"]);
        assert_eq!(
            with(0, "6.1.0-40-amd64"),
            [
                "CAP_BPF",
                "CAP_PERFMON",
                "CAP_NET_ADMIN",
                "Linux 6.6 or later (this is 6.1.0-40-amd64)",
            ]
        );
    }

    #[test]
    fn an_administrator_lacks_nothing() {
        let administrator = 1 << NET_ADMIN | 1 << SYS_ADMIN;
        assert!(with(administrator, "6.6.0").is_empty());
    }
}
