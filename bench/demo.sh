#!/usr/bin/env bash
# `make demo`: a relay, a real call through it with a tone from each side, and its live counters.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked --bin patchcord --bin patchctl --bin patchload
target=$(cargo metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release
# Ports of its own, so that a relay of `make run` is not disturbed.
ng=127.0.0.1:2323
log=$(mktemp)

clean() {
    trap - EXIT INT TERM
    for pid in ${load:-} ${relay:-}; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -f "$log"
}
trap clean EXIT
trap 'clean; exit 130' INT TERM

"$target/patchcord" --config-file=none --interface=127.0.0.1 --listen-ng=$ng --listen-http=127.0.0.1:9723 \
    --port-min=42000 --port-max=42999 --num-threads=1 --delete-delay=0 --foreground --log-stderr >"$log" 2>&1 &
relay=$!

echo "A call: the offerer sends 440 Hz, the answerer 1000 Hz."
"$target/patchload" demo --ng $ng --relay-pid $relay --seconds 4 &
load=$!
sleep 2.5
echo
echo "The relay, while they speak:"
"$target/patchctl" --relay udp:$ng calls || { cat "$log" >&2; exit 1; }
echo
echo "What each heard:"
status=0
wait "$load" || status=$?
load=""
echo
"$target/patchctl" --relay udp:$ng status || true
[ $status = 0 ] && echo "The demo call was heard on both sides." || cat "$log" >&2
exit $status
