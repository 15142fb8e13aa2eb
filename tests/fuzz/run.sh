#!/usr/bin/env bash
# A minute (or SECONDS_EACH) of fresh fuzzing for each target, from the committed corpora. Needs a nightly toolchain.
# `program` is the kernel's, run by BPF_PROG_TEST_RUN on mutated streams: that needs root, and no nightly.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${SECONDS_EACH:-60}
targets=${*:-bencode ng sdp rtp rtcp stun ice dtls plane bundle srtp calls program}
bin=${CARGO_HOME:-$HOME/.cargo}/bin
if [ "$targets" != program ]; then
    [ -x "$bin/cargo-fuzz" ] || cargo install --quiet --locked cargo-fuzz
    rustup toolchain list | grep -q '^nightly' || { echo "fuzzing needs a nightly toolchain: rustup toolchain install nightly" >&2; exit 1; }
fi

export RUSTUP_TOOLCHAIN=nightly
failed=()
for target in $targets; do
    echo "== $target, $seconds s"
    if [ "$target" = program ]; then
        (cd ../.. && env -u RUSTUP_TOOLCHAIN SECONDS_EACH="$seconds" cargo test --quiet --locked \
            -p patchcord-tests --test same -- --ignored fresh_streams) || failed+=("$target")
        continue
    fi
    mkdir -p "corpus/$target" fresh/"$target"
    # New inputs go to fresh/; what is worth keeping is minimised into corpus/ by hand.
    cargo fuzz run --fuzz-dir . --release "$target" "fresh/$target" "corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65507 -print_final_stats=1 ||
        failed+=("$target")
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}; the inputs are in artifacts/" >&2; exit 1; }
