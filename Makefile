# Tasks. Each checks for what it needs first, and installs it from Debian's packages where it may.

CARGO := cargo
# Figures and sandbox run optimised; tests and lints share the development build.
RELEASE := --release --locked

# The same random cases every time, so that a failure is the change's. Another seed explores others.
export PROPTEST_RNG_SEED ?= 20261125

.PHONY: help run test lint bench doc build proofs need

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

need:
	@tools/need cc:build-essential
	@tools/need-rust

run: need ## Emulators and controller on this machine, until Ctrl-C
	$(CARGO) run $(RELEASE) -p ncp -- sandbox

build: need
	$(CARGO) build --workspace --all-targets --locked

# Documentation tests run first: a runner's last line is read as the outcome, and should have tests in it.
test: build ## All tests, the proofs by foreign clients, and the lints
	$(CARGO) test --workspace --locked --doc
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		set -x; $(CARGO) nextest run --workspace --locked; \
	else \
		set -x; $(CARGO) test --workspace --locked --lib --bins --tests; \
	fi
	tools/client-proofs
	@$(MAKE) --no-print-directory lint

proofs: build
	tools/client-proofs

lint: need ## Format, clippy, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		set -x; $(CARGO) deny --locked check; \
	else \
		echo 'cargo-deny is not installed: licences and advisories were not checked'; \
	fi

bench: need ## The figures of docs/performance.md; BENCH="--instances 10000 --json FILE" for more
	$(CARGO) run $(RELEASE) -p ncp-benches -- $(BENCH)

doc: need ## Generated pages, and the API documentation under target/doc
	$(CARGO) run --locked -q -p ncp -- config doc > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked
