#!/usr/bin/env bash
# Before the tests that start the relay: builds it and patchload, hands over its path, and says aloud what will be
# skipped, for the output of a test that skips itself is not shown.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${PATCHCORD_BIN:-}" ] && [ "${PATCHCORD_TEST_RELAY:-patchcord}" = patchcord ]; then
    # The whole workspace's, as `tests/run.sh` builds them: fewer would be built with other features.
    binary=$(cargo build --quiet --locked --workspace --bins --message-format json |
        sed -n 's/.*"executable":"\([^"]*patchcord\)".*/\1/p' | tail -1)
    echo "PATCHCORD_BIN=$binary" >>"$NEXTEST_ENV"
fi

if ! unshare --net --pid --fork true 2>/dev/null; then
    echo "SKIPPED: every test of net and peers, because namespaces are refused (run as root, or with CAP_SYS_ADMIN)" >&2
fi

for program in chromium firefox-esr pulseaudio ffmpeg turnserver nft; do
    command -v $program >/dev/null 2>&1 ||
        echo "SKIPPED: the tests of web that need $program, which is missing (tests/setup.sh installs it)" >&2
done
[ -e tests/peers/web/page/node_modules/jssip/package.json ] ||
    echo "SKIPPED: every test of web, because JsSIP is missing (tests/setup.sh installs it)" >&2
