# Every task of the project. CI calls only these.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Caches lie outside the checkout, so that a fresh clone builds quickly.
export CATTO_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cattocdn
export CARGO_TARGET_DIR ?= $(CATTO_CACHE)/target
MODELS := $(or $(CATTO_MODELS_DIR),$(shell sed -n "s/^CATTO_MODELS_DIR=//p" .env 2>/dev/null),models)
DIST := dist
export PATH := $(CATTO_CACHE)/tools/bin:$(PATH)

.PHONY: help
help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: run
run: build models start ## Set up whatever is missing, build, and start the site

.PHONY: start
start: ## Start what is built, in the foreground, with the environment as it is
	@test -x $(DIST)/cattocdn || { echo "Nothing is built yet: run \`make build\` or \`make run\`." >&2; exit 1; }
	exec $(DIST)/cattocdn serve

.PHONY: build
build: setup ## Build the server, the browser's half and the styles into dist/
	@scripts/step "building the server (release; the first time takes minutes)"
	cargo build --quiet --locked --release --package server
	scripts/step "building the browser's half"
	cargo build --quiet --locked --profile wasm-release --package frontend --target wasm32-unknown-unknown
	node scripts/build_site.mjs --wasm "$(CARGO_TARGET_DIR)/wasm32-unknown-unknown/wasm-release/frontend.wasm" --out $(DIST)/site
	install -m 755 "$(CARGO_TARGET_DIR)/release/cattocdn" $(DIST)/cattocdn

.PHONY: setup
setup: ## Check what must be there, and install the pinned build tools once
	@scripts/check_prerequisites.sh
	scripts/install_tools.sh

.PHONY: models
models: ## Fetch and convert the two screening models once
	@python3 server/models/fetch_models.py --out $(MODELS) --cache "$(CATTO_CACHE)/models"

.PHONY: test
test: test-setup lint wasm-deps deploy-test build models ## Run every check and test: formatting, lints, unit, integration, fuzzing, an attack, end to end
	@scripts/step "unit and integration tests"
	CATTO_TEST_MODELS_DIR="$(abspath $(MODELS))" CATTO_TEST_SITE_DIR="$(abspath $(DIST))/site" \
		cargo test --quiet --locked --release --package server --package imaging --package probe --package tools
	cargo test --quiet --locked --release --package app --features ssr
	$(MAKE) --no-print-directory fuzz
	$(MAKE) --no-print-directory attack ATTACK_SECONDS=60
	$(MAKE) --no-print-directory e2e

.PHONY: test-setup
test-setup: setup
	@scripts/install_test_tools.sh

.PHONY: fuzz
fuzz: setup ## Fuzz what meets strangers' bytes, ten seconds a target
	@scripts/fuzz.sh 10

.PHONY: fuzz-long
fuzz-long: FUZZ_SECONDS ?= 600
fuzz-long: setup ## The same for FUZZ_SECONDS (600) a target
	@scripts/fuzz.sh $(FUZZ_SECONDS)

.PHONY: attack
attack: ATTACK_SECONDS ?= 3600
attack: build models ## Attack what is built for an hour (ATTACK_SECONDS), in 256 MiB of memory, and show what it took
	@scripts/step "attacking the built server on this machine for $(ATTACK_SECONDS) s"
	node scripts/attack.mjs --seconds $(ATTACK_SECONDS)

.PHONY: stand-in
stand-in: setup
	@cargo build --quiet --locked --release --package tools --bin aws_stand_in

.PHONY: e2e
e2e: stand-in ## Run the end-to-end tests against what is built
	@scripts/step "end-to-end tests in Chromium"
	cd end2end && CATTO_STAND_IN="$(CARGO_TARGET_DIR)/release/aws_stand_in" npx playwright test

.PHONY: deploy-test
deploy-test: ## Check what is deployed: edge function, Cloudflare's rules, image, CloudFormation template
	@scripts/step "deployment files"
	node deploy/embed_viewer_request.mjs --check
	node --test --test-reporter=spec deploy/*.test.mjs
	export PYTHONPATH=$$(scripts/install_cfn_lint.sh)
	python3 deploy/template_test.py
	python3 -c 'import sys; from cfnlint.runner import main; sys.exit(main())' --regions us-east-1 --template deploy/template.yaml

.PHONY: lint
lint: setup ## Check formatting and lints
	@scripts/step "formatting and lints"
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path fuzz/Cargo.toml
	(cd end2end && npx tsc --noEmit)
	cargo clippy --quiet --locked --release --package server --package imaging --package probe --package tools --package trim --all-targets -- --deny warnings
	cargo clippy --quiet --locked --release --package app --features ssr --all-targets -- --deny warnings
	cargo clippy --quiet --locked --profile wasm-release --package frontend --target wasm32-unknown-unknown -- --deny warnings

.PHONY: wasm-deps
wasm-deps: ## Check that no server crate reaches the browser
	@tree=$$(cargo tree --quiet --locked --package frontend --target wasm32-unknown-unknown --edges normal --prefix none)
	! grep -E '^(axum|hyper|sqlx|rten|webp|aws-[a-z0-9-]+|tokio|leptos_axum) ' <<<"$$tree"

.PHONY: fmt
fmt: ## Format the code
	@cargo fmt --all

.PHONY: image
image: ## Build the container image (needs Docker or Podman)
	@engine=$$(command -v docker || command -v podman) || { echo "Neither Docker nor Podman is installed." >&2; exit 1; }
	DOCKER_BUILDKIT=1 "$$engine" build --tag cattocdn .

.PHONY: bench
bench: build models ## Measure upload latency, memory, start time and asset sizes of what is built
	@node scripts/bench.mjs

.PHONY: simulate-cost
simulate-cost: setup models ## Screen a month of uploads, half of them abuse, in each mode, and count the paid calls
	@scripts/step "building the simulation"
	cargo build --quiet --locked --release --package tools --bin month
	CATTO_MODELS_DIR="$(abspath $(MODELS))" "$(CARGO_TARGET_DIR)/release/month"

.PHONY: simulate
simulate: setup ## Replay a week of traffic through two levels of simulated caches, and count what reaches the server
	@scripts/step "building the simulation"
	cargo build --quiet --locked --release --package tools --bin simulate
	"$(CARGO_TARGET_DIR)/release/simulate"

.PHONY: screenshots
screenshots: stand-in ## Take pictures of every page, narrow and wide, light and dark, into end2end/screenshots
	@cd end2end && CATTO_STAND_IN="$(CARGO_TARGET_DIR)/release/aws_stand_in" npx playwright test --config screenshots.config.ts

.PHONY: clean
clean: ## Delete what was built (not the data, not the models, not the caches)
	@rm -rf $(DIST)
