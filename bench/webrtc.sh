#!/usr/bin/env bash
# `bench/run.sh --webrtc`: calls from browsers to plain phones, Patchcord and rtpengine in turn, each alone
# on one core of loopback, the generator on another. Arguments go to `patchload webrtc`.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:?the folder with patchcord and patchload}
shift
rounds=${ROUNDS:-3}
relay=""
stop() { [ -z "$relay" ] || { kill "$relay" 2>/dev/null; wait "$relay" 2>/dev/null; } || true; relay=""; }
trap stop EXIT

start() {
    case $1 in
    patchcord)
        taskset -c 0 "$bin/patchcord" --config-file=none --log-stderr --log-level=3 --num-threads=1 \
            --interface=127.0.0.1 --listen-ng=127.0.0.1:22240 --listen-tcp-ng=127.0.0.1:22241 \
            --listen-http=127.0.0.1:22242 --port-min=41000 --port-max=49000 &
        ;;
    rtpengine)
        taskset -c 0 rtpengine --config-file=none --foreground --log-stderr --log-level=3 --table=-1 --num-threads=1 \
            --interface=127.0.0.1 --listen-ng=127.0.0.1:22240 --port-min=41000 --port-max=49000 &
        ;;
    esac
    relay=$!
}

# The first is measured, the second is about patience.
for ((round = 1; round <= rounds; round++)); do
    for name in patchcord rtpengine; do
        command -v "$name" >/dev/null || [ "$name" = patchcord ] || continue
        start "$name"
        echo "== $name, round $round"
        "$bin/patchload" webrtc --ng 127.0.0.1:22240 --core 1 --relay-pid "$relay" --calls 500 "$@" || true
        echo "== $name, round $round, one call at a time"
        "$bin/patchload" webrtc --ng 127.0.0.1:22240 --core 1 --calls 100 --window 1 "$@" || true
        echo "== $name, round $round, a fifth of the datagrams lost"
        "$bin/patchload" webrtc --ng 127.0.0.1:22240 --core 1 --calls 100 --window 50 --loss 20 "$@" || true
        stop
    done
done
