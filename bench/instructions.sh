#!/usr/bin/env bash
# `make bench-instructions`: instruction counts of the core under callgrind against the committed
# ones in bench/instructions.txt. `bench/instructions.sh record` writes them anew.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v valgrind >/dev/null; then
    apt-get update -q && apt-get install -y --no-install-recommends valgrind
fi
exec cargo bench --locked -p patchcord-bench --bench core -- --instructions "${1:-check}"
