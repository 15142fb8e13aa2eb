#!/usr/bin/env bash
# Three namespaces in a row: pcb-a (endpoints) - pcb-r (relay) - pcb-b (endpoints), joined by veth.
# Names and addresses are those of src/bench/lab.rs.
# Usage: netns.sh up RELAY_CORE | poll RELAY_CORE | unpoll | down
set -euo pipefail

down() {
    for ns in pcb-a pcb-r pcb-b; do
        [ -e "/run/netns/$ns" ] || continue
        # Whatever runs in our namespaces was started in them by us.
        ip netns pids "$ns" | xargs -r kill -KILL 2>/dev/null || true
        ip netns del "$ns"
    done
}

# One side: $1 is a or b, $2 its number, $3 the mask of the core that receives for the relay.
side() {
    local end="pcb-$1" relay="pcb-r$1" n=$2
    ip link add "$end" netns "pcb-$1" type veth peer name "$relay" netns pcb-r
    ip -n "pcb-$1" link set "$end" address "02:70:63:00:0$n:02"
    ip -n pcb-r link set "$relay" address "02:70:63:00:0$n:01"
    # The endpoints are frames of the generator; no stack of theirs may talk.
    ip netns exec "pcb-$1" sysctl -qw "net.ipv6.conf.$end.disable_ipv6=1"
    ip -n pcb-r addr add "10.77.$n.1/24" dev "$relay"
    ip -n pcb-r addr add "fd00:77:$n::1/64" dev "$relay" nodad
    ip -n "pcb-$1" link set "$end" up
    ip -n pcb-r link set "$relay" up
    # Not the device's own address: see src/io/packet.rs.
    for ip in "10.77.$n.2" "fd00:77:$n::2"; do
        ip -n pcb-r neigh replace "$ip" lladdr "02:70:63:00:0$n:0e" dev "$relay" nud permanent
    done
    # Packets towards the relay are received on the relay's core (RPS), as a NIC's queue would be;
    # a hand-over between cores would cost more than forwarding.
    ip netns exec pcb-r sh -c "for q in /sys/class/net/$relay/queues/rx-*; do echo $3 >\$q/rps_cpus; done"
}

ends() { printf '%s\n' "pcb-r pcb-ra" "pcb-r pcb-rb" "pcb-a pcb-a" "pcb-b pcb-b"; }

# Native XDP leaves by a veth only to an end that is polled, and is run by whoever polls: threads on the relay's
# core, as urgent as its softirqs. A link that is not polled is received in softirqs.
poll() {
    ends | while read -r ns link; do
        ip netns exec "$ns" ethtool -K "$link" gro on >/dev/null
        ip netns exec "$ns" sh -c "echo 1 >/sys/class/net/$link/threaded"
    done
    for pid in $(pgrep '^napi/pcb-'); do
        taskset -pc "$1" "$pid" >/dev/null
        renice -n -20 -p "$pid" >/dev/null
    done
}
unpoll() {
    ends | while read -r ns link; do
        ip netns exec "$ns" sh -c "echo 0 >/sys/class/net/$link/threaded"
        ip netns exec "$ns" ethtool -K "$link" gro off >/dev/null
    done
}

case "${1:-}" in
up)
    down
    mask=$(printf '%x' $((1 << ${2:?relay core})))
    for ns in pcb-a pcb-r pcb-b; do
        ip netns add "$ns"
        ip -n "$ns" link set lo up
    done
    side a 1 "$mask"
    side b 2 "$mask"
    ;;
poll) poll "${2:?relay core}" ;;
unpoll) unpoll ;;
down) down ;;
*)
    echo "usage: $0 up RELAY_CORE | poll RELAY_CORE | unpoll | down" >&2
    exit 2
    ;;
esac
