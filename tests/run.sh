#!/usr/bin/env bash
# Runs a group of tests: quick | net | peers | web | all, or ways [WAY...]: what of integration and real peers leaves
# open how packets are carried, on each way or those named. Same cargo profile for all, so that nothing is built twice.
set -euo pipefail
cd "$(dirname "$0")/.."

# What tests say that skip themselves is said once more at the end: the output of one that passes is not shown.
PATCHCORD_TEST_SKIPS=$(mktemp)
export PATCHCORD_TEST_SKIPS
trap 'sort -u "$PATCHCORD_TEST_SKIPS" >&2; rm -f "$PATCHCORD_TEST_SKIPS"' EXIT

# Modules of tests that choose the way themselves: what the environment asks for changes nothing there.
chosen='uring|mmsg|steer|steering|xsk|native|generic|tc|offload'

# nextest prints which test failed, ends what hangs and runs binaries side by side; plain cargo does where
# it is missing, one test at a time, because some of them share the machine with real phones.
if cargo nextest --version >/dev/null 2>&1; then
    run() { cargo nextest run --locked --no-fail-fast "$@"; }
    only() { run "${@:2}" -E "test(/^$1/)"; }
    without() { run "${@:2}" -E "not test(/^$1/)"; }
    open() { run "$@" -E "not test(/(^|::)($chosen)::/)"; }
else
    plain() { cargo test --locked --no-fail-fast --lib --bins --tests "$@"; }
    run() { plain "$@" -- --test-threads=2; }
    only() { plain "${@:2}" -- --test-threads=1 "$1"; }
    without() { plain "${@:2}" -- --test-threads=2 --skip "$1"; }
    open() {
        local words skips=()
        IFS='|' read -ra words <<<"$chosen"
        for word in "${words[@]}"; do skips+=(--skip "$word::"); done
        plain "$@" -- --test-threads=2 "${skips[@]}"
    }
fi
bins() { cargo build --locked --workspace --bins; }
docs() { cargo test --locked --workspace --doc --quiet; }

case ${1:-all} in
    quick)
        bins
        docs
        run --workspace --exclude patchcord-tests
        run -p patchcord-tests --lib --test golden --test sim --test fuzz_corpus
        ;;
    net)
        bins
        run -p patchcord-tests --test net --test same
        ;;
    peers)
        bins
        without web:: -p patchcord-tests --test peers
        ;;
    web)
        bins
        only web:: -p patchcord-tests --test peers
        ;;
    ways)
        bins
        [ $# -gt 1 ] || set -- ways xsk steer tc native generic mmsg
        for way in "${@:2}"; do
            echo "tests/run.sh: packets go by $way" >&2
            PATCHCORD_TEST_WAY=$way open -p patchcord-tests --test net --test peers \
                || failed="${failed:-} $way"
        done
        [ -z "${failed:-}" ] || { echo "tests/run.sh: failed by$failed" >&2; exit 1; }
        ;;
    all)
        bins
        docs
        run --workspace
        ;;
    *)
        echo "usage: $0 quick|net|peers|web|all|ways [WAY...]" >&2
        exit 2
        ;;
esac
