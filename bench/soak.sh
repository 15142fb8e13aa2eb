#!/usr/bin/env bash
# `make soak`: calls come and go for minutes (MINUTES=3); counters must add up, memory and
# descriptors must come back after every round.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${MINUTES:-3}
calls=${CALLS:-500}
cargo build --release --locked --bin patchcord --bin patchload
target=$(cargo metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release
ng=127.0.0.1:2423
log=$(mktemp)

clean() {
    trap - EXIT INT TERM
    for pid in ${load:-} ${relay:-}; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -f "$log"
}
trap clean EXIT
trap 'clean; exit 130' INT TERM

# Kept replies are bounded by memory instead of by their minute, so that they are as many after the first
# rounds as after the last.
"$target/patchcord" --config-file=none --set=limits.cookie-cache-mib=1 --interface=127.0.0.1 --listen-ng=$ng --port-min=20000 --port-max=60000 \
    --num-threads=1 --delete-delay=0 --foreground --log-stderr --log-level=4 >"$log" 2>&1 &
relay=$!
# A round is five seconds of media and some for set-up and tear-down. A machine with other work may
# deliver late; this is about what is left behind.
"$target/patchload" hold --ng $ng --relay-pid $relay --calls "$calls" --pps 10000 --seconds 5 \
    --loss 5 --settle 30 --rounds $((minutes * 10)) &
load=$!
status=0
wait "$load" || status=$?
load=""
kill -0 $relay 2>/dev/null || { echo "the relay died" >&2; status=1; }
[ $status = 0 ] || cat "$log" >&2
exit $status
