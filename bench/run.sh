#!/usr/bin/env bash
# `make bench`: builds, prepares the network and the scheduler, runs `patchload bench`, cleans up.
# Arguments go to patchload, e.g. `bench/run.sh --rounds 5 --record`, `bench/run.sh --webrtc`.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/packages.sh

[ "$(id -u)" = 0 ] || { echo "make bench needs root: network namespaces and packet sockets" >&2; exit 2; }
[ "$(nproc)" -ge 2 ] || { echo "make bench needs two cores: generator and relay" >&2; exit 2; }
missing=()
command -v ip >/dev/null || missing+=(iproute2)
command -v rtpengine >/dev/null || missing+=(rtpengine-daemon)
[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
cargo build --release --locked --bin patchcord --bin patchload
target=$(cargo metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

# Generator and relay outweigh whatever else runs, and softirqs keep pace with them: without this a
# busy machine measures its scheduler. They stay below ksoftirqd at nice -20 (88761), though: a relay
# that outweighs it takes the core from it, does its work in a context of its own, and is billed for
# it, which no relay does on a machine of its own. A missing controller only means more noise.
group=""
if [ -e /sys/fs/cgroup/cpu/cpu.shares ]; then
    group=/sys/fs/cgroup/cpu/pcb
    mkdir -p $group && echo 65536 >$group/cpu.shares || group=""
elif [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    group=/sys/fs/cgroup/pcb
    { mkdir -p $group && echo 6400 >$group/cpu.weight; } 2>/dev/null || group=""
    # A thread of the generator's leaves the group, which only threaded ones permit.
    [ -z "$group" ] || echo threaded >$group/cgroup.type || true
fi
[ -n "$group" ] || echo "no cpu cgroup to use: other work on this machine will show" >&2
softirqs=$(pgrep ksoftirqd || true)
# What a core has not got to yet: the kernel keeps 1,000 packets, which last for three milliseconds at the rates of
# the hooks. A virtual machine is taken away for longer now and then; cards queue a few thousand, too.
backlog=$(sysctl -n net.core.netdev_max_backlog)

clean() {
    trap - EXIT INT TERM
    [ -z "${load:-}" ] || kill "$load" 2>/dev/null || true
    bench/netns.sh down
    sysctl -qw net.core.netdev_max_backlog="$backlog" || true
    [ -z "$softirqs" ] || renice -n 0 -p $softirqs >/dev/null 2>&1 || true
    if [ -n "$group" ]; then
        while read -r pid; do
            echo "$pid" >"${group%/pcb}/cgroup.procs" 2>/dev/null || true
        done <"$group/cgroup.procs"
        rmdir "$group" || true
    fi
}
trap clean EXIT
trap 'clean; exit 130' INT TERM

[ -z "$group" ] || echo $$ >"$group/cgroup.procs" || true
[ -z "$softirqs" ] || renice -n -20 -p $softirqs >/dev/null 2>&1 || true
sysctl -qw net.core.netdev_max_backlog=4096
bench/netns.sh up 1
"$target/release/patchload" bench --patchcord "$target/release/patchcord" "$@" &
load=$!
wait "$load"
