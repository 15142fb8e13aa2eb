#!/usr/bin/env bash
# Installs what the tests need on Debian or Ubuntu, through apt and only if missing.
#
#     tests/setup.sh              real phones, browsers and a proxy for tests/peers, ip for tests/net, libsrtp
#     tests/setup.sh --yardstick  rtpengine-daemon too, for PATCHCORD_TEST_RELAY=rtpengine and make bench
set -euo pipefail

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
page() {
    cd "$(dirname "$0")/peers/web/page"
    [ -e node_modules/jssip/package.json ] ||
        npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
        echo "JsSIP cannot be installed: the tests with browsers will skip themselves" >&2
}

[ ${#missing[@]} -gt 0 ] || {
    page
    exit 0
}

if ! command -v apt-get >/dev/null 2>&1; then
    echo "The tests need ${missing[*]}. This machine has no apt-get: install them by hand." >&2
    exit 1
fi

root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "The tests need ${missing[*]}: run this as root, or install them." >&2
        exit 1
    }
    root=(sudo)
fi

# Nothing that is installed for a test shall start serving on this machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
    "${root[@]}" chmod +x $policy
    trap '"${root[@]}" rm -f $policy' EXIT
fi

apt() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 "$@"; }
install() { apt install --no-install-recommends "${missing[@]}"; }

echo "Installing ${missing[*]}"
# The lists may be old or absent; only then are they fetched.
install || {
    apt update
    install
}
page
