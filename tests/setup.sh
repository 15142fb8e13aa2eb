#!/usr/bin/env bash
# Installs what the tests need on Debian or Ubuntu, through apt and only if missing.
#
#     tests/setup.sh              real phones, browsers and a proxy for tests/peers, ip for tests/net, libsrtp
#     tests/setup.sh --yardstick  rtpengine-daemon too, for PATCHCORD_TEST_RELAY=rtpengine and make bench
set -euo pipefail
cd "$(dirname "$0")"
. ./packages.sh

# program it is missed by = package it comes in
needed=(
    ip=iproute2
    ethtool=ethtool
    unshare=util-linux
    setpriv=util-linux
    kamailio=kamailio # its rtpengine module is in the main package
    sipp=sip-tester
    baresip=baresip-core
    linphonec=linphone-cli
    chromium=chromium
    firefox-esr=firefox-esr
    pulseaudio=pulseaudio # without a sound device Firefox' WebAudio stands still
    turnserver=coturn
    ffmpeg=ffmpeg
    nft=nftables
    openssl=openssl
    pkg-config=pkg-config
)
[ "${1:-}" = --yardstick ] && needed+=(rtpengine=rtpengine-daemon)

missing=()
for pair in "${needed[@]}"; do
    command -v "${pair%%=*}" >/dev/null 2>&1 || [ -x "/usr/sbin/${pair%%=*}" ] || missing+=("${pair#*=}")
done
# Browsers signal over WebSocket.
ls /usr/lib/*/kamailio/modules/websocket.so >/dev/null 2>&1 || missing+=(kamailio-websocket-modules)
# JsSIP comes from npm, which some Node brings along and Debian's does not.
command -v npm >/dev/null 2>&1 || missing+=(npm)
# SRTP is compared with libsrtp, which is opened at run time.
ldconfig -p 2>/dev/null | grep -q 'libsrtp2\.so\.1 ' ||
    /sbin/ldconfig -p 2>/dev/null | grep -q 'libsrtp2\.so\.1 ' || missing+=(libsrtp2-dev)
# daemon/dtls links the system's OpenSSL.
pkg-config --exists openssl 2>/dev/null || missing+=(libssl-dev)

[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"

cd peers/web/page
# npm writes that file last.
[ node_modules/.package-lock.json -nt package-lock.json ] ||
    persistently "fetching JsSIP with npm" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error \
        --fetch-timeout=60000 >/dev/null ||
    echo "JsSIP cannot be installed: the tests with browsers will skip themselves" >&2
