#!/usr/bin/env bash
# Runs a group of tests: quick | net | peers | all. Same cargo profile for all, so that nothing is built twice.
set -euo pipefail
cd "$(dirname "$0")/.."

group=${1:-all}

# nextest prints which test failed and runs binaries side by side; plain cargo does where it is missing.
run() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --locked --no-fail-fast "$@"
    else
        cargo test --locked --no-fail-fast "$@"
    fi
}

quick() { run --workspace --exclude patchcord-tests; run -p patchcord-tests --lib --test golden --test sim --test fuzz_corpus; }
net() { cargo build --locked --workspace --bins; run -p patchcord-tests --test net; }
peers() { cargo build --locked --workspace --bins; run -p patchcord-tests --test peers; }

case $group in
    quick) quick ;;
    net) net ;;
    peers) peers ;;
    all)
        cargo build --locked --workspace --bins
        run --workspace
        ;;
    *)
        echo "usage: $0 quick|net|peers|all" >&2
        exit 2
        ;;
esac
