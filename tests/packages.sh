# Sourced by the scripts that install packages: install_packages NAME..., and persistently for what else is fetched.

# Seconds before a second try; three times as long before each further one.
pause=${PACKAGES_PAUSE:-5}

# persistently WHAT COMMAND...: mirrors stall, or are replaced while they are read, so a command that needs one is
# tried up to four times.
persistently() {
    local what=$1 wait=$pause try
    shift
    for try in 1 2 3; do
        "$@" && return 0
        echo "$what: try $try of 4 failed, again in $wait s" >&2
        sleep "$wait"
        wait=$((wait * 3))
    done
    "$@" && return 0
    echo "$what: failed four times, given up" >&2
    return 1
}

# Installs packages of Debian or Ubuntu. In a shell of its own, for the sake of its trap.
install_packages() (
    command -v apt-get >/dev/null 2>&1 || {
        echo "Needed: $*. This machine has no apt-get: install them by hand." >&2
        exit 1
    }
    root=()
    if [ "$(id -u)" != 0 ]; then
        { command -v sudo && { [ -t 0 ] || sudo -n true; }; } >/dev/null 2>&1 || {
            echo "Needed: $*. Run this as root, or install them." >&2
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
    quietly() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive "$@"; }
    apt() {
        quietly apt-get -qq -y -o DPkg::Lock::Timeout=300 \
            -o Acquire::Retries=3 -o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60 "$@"
    }
    install() { apt install --no-install-recommends "$@"; }
    # A try that was interrupted half way has left packages unpacked.
    afresh() { quietly dpkg --configure -a && apt update && install "$@"; }

    echo "Installing $*"
    # The lists may be old or absent; only then are they fetched.
    install "$@" || persistently "installing with apt-get" afresh "$@"
)
