# What a person types. Everything else is cargo's.
CARGO ?= cargo
PROFILE ?= release

.PHONY: run test test-quick test-net test-peers test-web test-ways demo bench bench-instructions fuzz soak lint docs setup clean-namespaces

## Builds the relay and starts it on its embedded defaults: loopback, NG on 127.0.0.1:2223, HTTP on 127.0.0.1:9623.
run:
	$(CARGO) build --release --bin patchcord --bin patchctl
	exec env $$(sed -n 's/^Environment=//p' systemd/patchcord.service) "$${CARGO_TARGET_DIR:-target}"/release/patchcord

## Installs what the tests need, through apt and only if missing, and passes them all.
test: setup
	./tests/run.sh all

## Unit, golden and simulation tests only: seconds.
test-quick:
	./tests/run.sh quick

## The real daemon in network namespaces.
test-net: setup
	./tests/run.sh net

## Real SIP peers through a real proxy.
test-peers: setup
	./tests/run.sh peers

## Real browsers through a real proxy.
test-web: setup
	./tests/run.sh web

## Namespaces, peers and browsers once more by AF_XDP, steering, each hook of the kernel, and recvmmsg.
test-ways: setup
	./tests/run.sh ways

## Starts a relay, places a real call through it and checks both tones.
demo:
	./bench/demo.sh

## Highest rate, cost per packet, latency and call rate against Debian's rtpengine-daemon.
bench:
	./bench/run.sh

## Instruction counts under callgrind against the committed ones.
bench-instructions:
	./bench/instructions.sh

## A minute of fresh fuzzing for each target.
fuzz:
	./tests/fuzz/run.sh

## Calls come and go for minutes; counters add up, memory and descriptors stay flat.
soak:
	./bench/soak.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked

setup:
	./tests/setup.sh
