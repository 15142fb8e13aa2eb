#!/usr/bin/env bash
# Builds the kernel programs, or checks that the committed objects are what their source gives.
#
#     ebpf/build.sh            builds ebpf/xdp.o, ebpf/steer.o and, for benchmarks, ebpf/bare.o, and notes what they were
#                              built from in ebpf/xdp.sum
#     ebpf/build.sh --check    builds it elsewhere and compares, byte by byte; without the toolchain, or with
#                              another compiler, compares the sources with the note, and says so
#
# An object is the same bytes for one compiler, wherever it is built. Two recipes:
#   Debian 12 and later:  apt-get install rustc-web cargo-web rust-web-src llvm-22 llvm-22-dev
#                         PATH=/usr/lib/llvm-22/bin:$PATH cargo install bpf-linker --version 0.13.0 --locked \
#                             --no-default-features --features llvm-22
#   rustup:               rustup toolchain install nightly --component rust-src; cargo binstall bpf-linker
# bpf-linker's LLVM has to be of the compiler's major version, and not older.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD

check=
[ "${1:-}" = --check ] && check=1

# The objects, and the binaries that they are made of.
declare -A objects=([xdp.o]=patchcord [steer.o]=steer [bare.o]=bare)

# What they depend on.
sources() {
    (cd .. && LC_ALL=C find ebpf/xdp ebpf/contract -path '*/target' -prune -o -type f \
        \( -name '*.rs' -o -name Cargo.toml -o -name Cargo.lock \) -print | LC_ALL=C sort | xargs sha256sum)
}
digest() { sources | sha256sum | cut -d' ' -f1; }

note=$(cat xdp.sum 2>/dev/null || true)
noted_sources=$(sed -n 's/^sources //p' <<<"$note")
noted_compiler=$(sed -n 's/^compiler //p' <<<"$note")

compare_sources() {
    echo "SKIPPED: building the kernel programs again ($1); their sources are compared with the note"
    [ "$(digest)" = "$noted_sources" ] || {
        echo "ebpf/*.o are not built from these sources: run ebpf/build.sh" >&2
        exit 1
    }
    for object in "${!objects[@]}"; do
        [ "$(sha256sum <"$object" | cut -d' ' -f1)" = "$(sed -n "s/^object $object //p" <<<"$note")" ] || {
            echo "ebpf/$object is not the object of the note: run ebpf/build.sh" >&2
            exit 1
        }
    done
    exit 0
}

# The recipe at hand.
llvm=
for dir in /usr/lib/llvm-22/bin; do [ -x "$dir/llvm-strip" ] && llvm=$dir; done
PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
[ -n "$llvm" ] && PATH=$llvm:$PATH
if ! command -v bpf-linker >/dev/null 2>&1; then
    [ -n "$check" ] && compare_sources "no bpf-linker"
    echo "no bpf-linker: see the head of ebpf/build.sh" >&2
    exit 1
fi
if [ -x /usr/bin/rustc ] && [ -d /usr/src/rustc-"$(/usr/bin/rustc --version | cut -d' ' -f2)" ]; then
    cargo=(/usr/bin/cargo)
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
else
    cargo=(cargo +nightly)
    RUSTC=$(rustup which --toolchain nightly rustc)
    export RUSTC
fi
compiler=$("$RUSTC" --version)
[ -n "$check" ] && [ "$compiler" != "$noted_compiler" ] && compare_sources "$compiler, not $noted_compiler"

work=$here/xdp/target
if [ -n "$check" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi
sysroot=$("$RUSTC" --print sysroot)
version=$("$RUSTC" --version | cut -d' ' -f2)
flags=(
    '--cfg=bpf_target_arch="x86_64"'
    -Cdebuginfo=2
    -Ctarget-cpu=v3
    -Clink-arg=--btf
    -Clink-arg=--cpu-features=+allows-misaligned-mem-access
    "--remap-path-prefix=$(cd .. && pwd)=/src"
    "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/cargo"
    "--remap-path-prefix=$sysroot/lib/rustlib/src/rust=/rust"
    "--remap-path-prefix=/usr/src/rustc-$version=/rust"
)
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
(cd xdp && CARGO_TARGET_DIR=$work "${cargo[@]}" build --release --locked --quiet \
    --target bpfel-unknown-none -Z build-std=core)
strip=$(command -v llvm-strip || command -v llvm-objcopy)
case $strip in *objcopy) strip=("$strip" --strip-debug) ;; *) strip=("$strip" -g) ;; esac
for object in "${!objects[@]}"; do
    cp "$work/bpfel-unknown-none/release/${objects[$object]}" "$work/$object"
    "${strip[@]}" "$work/$object"
    if [ -n "$check" ]; then
        cmp "$work/$object" "$object" || {
            echo "ebpf/$object is not what its source gives: run ebpf/build.sh" >&2
            exit 1
        }
        echo "ebpf/$object is what its source gives ($compiler)"
    else
        cp "$work/$object" "$object"
        echo "ebpf/$object: $(stat -c %s "$object") bytes"
    fi
done
if [ -z "$check" ]; then
    {
        echo "compiler $compiler"
        echo "sources $(digest)"
        for object in xdp.o steer.o bare.o; do echo "object $object $(sha256sum <$object | cut -d' ' -f1)"; done
    } >xdp.sum
fi
