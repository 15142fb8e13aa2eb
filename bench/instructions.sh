#!/usr/bin/env bash
# Instruction counts of the core under callgrind against the committed ones.
#
#     bench/instructions.sh          the optimised build against bench/instructions.txt, 5 % either way
#     bench/instructions.sh quick    the tests' build against bench/instructions-quick.txt; more than 25 % above fails
#     bench/instructions.sh record   writes both anew
#
# Exit code 77: valgrind is missing and cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/packages.sh

if ! command -v valgrind >/dev/null; then
    install_packages valgrind >&2 || exit 77
fi

count() { cargo bench --locked -p patchcord-bench --bench core "$@"; }
case ${1:-check} in
    check) count -- --instructions check ;;
    quick) count --profile dev -- --instructions quick ;;
    record)
        count -- --instructions record
        count --profile dev -- --instructions record-quick
        ;;
    *)
        sed -n 's/^#  *\(bench.*\)/\1/p' "$0" >&2
        exit 2
        ;;
esac
