# All tasks of the project. CI calls nothing but these.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The caches lie outside the checkout, so that a fresh clone builds quickly.
export CATTO_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cattocdn
export CARGO_TARGET_DIR ?= $(CATTO_CACHE)/target
MODELS := $(or $(CATTO_MODELS_DIR),$(shell sed -n "s/^CATTO_MODELS_DIR=//p" .env 2>/dev/null),models)
DIST := dist

.PHONY: help
help: ## Show this list of tasks
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: run
run: build models start ## Set up what is missing, build everything, and start the site

.PHONY: start
start: ## Start what is built, in the foreground (Ctrl-C stops it)
	@test -x $(DIST)/cattocdn || { echo "Nothing is built yet. Please run \`make run\`, or \`make build\` first." >&2; exit 1; }
	exec $(DIST)/cattocdn serve

.PHONY: build
build: setup ## Build the server, the browser's code and the styles into dist/
	@scripts/step "building the server (release; the first time takes minutes)"
	cargo build --quiet --locked --release --package server
	scripts/step "building the browser's code"
	cargo build --quiet --locked --release --package glue
	cargo build --quiet --locked --profile wasm-release --package frontend --package frontend_upload --target wasm32-unknown-unknown
	node scripts/build_site.mjs --wasm "$(CARGO_TARGET_DIR)/wasm32-unknown-unknown/wasm-release" \
		--glue "$(CARGO_TARGET_DIR)/release/glue" --out $(DIST)/site
	install -m 755 "$(CARGO_TARGET_DIR)/release/cattocdn" $(DIST)/cattocdn

.PHONY: dev
dev: setup models ## Build for debugging, start the site, and do both again whenever a file changes
	@CATTO_MODELS_DIR="$(abspath $(MODELS))" exec node scripts/dev.mjs

.PHONY: setup
setup: ## Check that the machine has what is needed, and install the pinned build tools
	@scripts/check_prerequisites.sh
	scripts/install_tools.sh

.PHONY: models
models: ## Fetch the screening models and ONNX Runtime, if they are not there yet
	@python3 server/models/fetch_models.py --out $(MODELS) --cache "$(CATTO_CACHE)/models"

.PHONY: test
test: test-setup lint wasm-deps deploy-test build models ## Run all checks and tests: lints, unit, integration, fuzzing, a short attack, end to end
	@scripts/step "unit and integration tests"
	CATTO_TEST_MODELS_DIR="$(abspath $(MODELS))" CATTO_TEST_SITE_DIR="$(abspath $(DIST))/site" \
		cargo test --quiet --locked --release --package server --package imaging --package probe --package tools
	cargo test --quiet --locked --release --package app --features ssr
	$(MAKE) --no-print-directory fuzz
	$(MAKE) --no-print-directory attack ATTACK_SECONDS=60
	$(MAKE) --no-print-directory contract
	$(MAKE) --no-print-directory clients
	$(MAKE) --no-print-directory e2e

# Part of the name of the tests to run, for the three tasks below.
T ?=
CARGO_TEST := scripts/cargo_test.sh "$(T)" --locked --release

.PHONY: unit
unit: setup ## Run the unit tests, or with T=expiry those with that in their name
	@$(CARGO_TEST) --package server --package imaging --package probe --package tools --lib --bins \
		-- --package app --features ssr

.PHONY: it
it: setup ## Run the integration tests, or with T=expiry those with that in their name
	@scripts/needs.sh site models
	CATTO_TEST_MODELS_DIR="$(abspath $(MODELS))" CATTO_TEST_SITE_DIR="$(abspath $(DIST))/site" \
		$(CARGO_TEST) --package server --test it

.PHONY: test-setup
test-setup: setup
	@scripts/install_test_tools.sh

.PHONY: fuzz
fuzz: setup ## Fuzz the code that reads strangers' bytes, ten seconds for each target
	@scripts/fuzz.sh 10

.PHONY: fuzz-long
fuzz-long: FUZZ_SECONDS ?= 600
fuzz-long: setup ## Fuzz for FUZZ_SECONDS (600) for each target
	@scripts/fuzz.sh $(FUZZ_SECONDS)

.PHONY: attack
attack: ATTACK_SECONDS ?= 3600
attack: build models ## Attack the built server for ATTACK_SECONDS (3600) in 256 MiB of memory, and report (Linux only)
	@scripts/step "attacking the built server on this machine for $(ATTACK_SECONDS) s"
	node scripts/attack.mjs --seconds $(ATTACK_SECONDS)

.PHONY: contract
contract: ## Hold the built server to its contract: what is made up is answered as /openapi.json says
	@scripts/needs.sh server site models
	scripts/step "the contract"
	CATTO_MODELS_DIR="$(abspath $(MODELS))" node scripts/contract.mjs

.PHONY: clients
clients: ## Have clients of other image hosts upload to the built server (Linux only)
	@scripts/needs.sh server site models
	scripts/step "clients of other image hosts"
	CATTO_MODELS_DIR="$(abspath $(MODELS))" node scripts/clients.mjs

.PHONY: stand-in
stand-in: setup
	@cargo build --quiet --locked --release --package tools --bin aws_stand_in
	@cargo build --quiet --locked --release --package imaging --example publish_pictures

.PHONY: e2e
e2e: stand-in ## Run the end-to-end tests against the built server, or with T=upload those files
	@scripts/needs.sh server site models chromium firefox
	scripts/step "end-to-end tests in Chromium and Firefox"
	cd end2end && CATTO_STAND_IN="$(CARGO_TARGET_DIR)/release/aws_stand_in" \
		CATTO_PUBLISHER="$(CARGO_TARGET_DIR)/release/examples/publish_pictures" npx playwright test $(T)

.PHONY: deploy-test
deploy-test: ## Check the files for deploying: edge function, Cloudflare's rules, image, CloudFormation
	@scripts/step "deployment files"
	node deploy/embed_viewer_request.mjs --check
	node --test --test-reporter=spec deploy/*.test.mjs
	export PYTHONPATH=$$(scripts/install_cfn_lint.sh)
	python3 deploy/template_test.py
	python3 -c 'import sys; from cfnlint.runner import main; sys.exit(main())' --regions us-east-1 --template deploy/template.yaml

.PHONY: lint
lint: setup ## Check the formatting and the lints
	@scripts/step "formatting and lints"
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path fuzz/Cargo.toml
	(cd end2end && npx tsc --noEmit)
	cargo clippy --quiet --locked --release --package server --package imaging --package probe --package tools --package trim --package glue --all-targets -- --deny warnings
	cargo clippy --quiet --locked --release --package app --features ssr --all-targets -- --deny warnings
	cargo clippy --quiet --locked --profile wasm-release --package frontend --package frontend_upload --target wasm32-unknown-unknown -- --deny warnings

.PHONY: wasm-deps
wasm-deps: ## Check that no crate of the server reaches the browser
	@tree=$$(cargo tree --quiet --locked --package frontend --package frontend_upload --target wasm32-unknown-unknown --edges normal --prefix none)
	! grep -E '^(axum|hyper|sqlx|ort|webp|aws-[a-z0-9-]+|tokio|leptos_axum) ' <<<"$$tree"

.PHONY: fmt
fmt: ## Format the code
	@cargo fmt --all

.PHONY: image
image: ## Build the container image (needs Docker or Podman)
	@engine=$$(command -v docker || command -v podman) || { echo "Neither Docker nor Podman is installed." >&2; exit 1; }
	DOCKER_BUILDKIT=1 "$$engine" build --tag cattocdn .

.PHONY: bench
bench: build models ## Measure the built server: upload latency, memory, start time, asset sizes
	@node scripts/bench.mjs

# What the two tasks below look at.
FOLDER ?=

.PHONY: bench-size
bench-size: ## Measure how large and how good the image files are that pages fetch of the photographs in FOLDER=…
	@[ -d "$(FOLDER)" ] || { echo "Please name a folder of photographs: \`make bench-size FOLDER=photographs\`." >&2; exit 1; }
	python_path=$$(scripts/install_size_tools.sh)
	$(MAKE) --no-print-directory build models >&2
	scripts/needs.sh chromium
	CATTO_MODELS_DIR="$(abspath $(MODELS))" PYTHONPATH="$$python_path" \
		python3 scripts/bench_size.py $(if $(JSON),--json) "$(FOLDER)"

.PHONY: judge
judge: ## Judge the pictures in FOLDER=… as uploads are judged, and count what is accepted and why not
	@[ -d "$(FOLDER)" ] || { echo "Please name a folder of pictures: \`make judge FOLDER=pictures\`." >&2; exit 1; }
	$(MAKE) --no-print-directory setup models
	scripts/step "building the server"
	cargo build --quiet --locked --release --package server
	CATTO_MODELS_DIR="$(abspath $(MODELS))" "$(CARGO_TARGET_DIR)/release/cattocdn" judge "$(FOLDER)"

.PHONY: simulate-cost
simulate-cost: setup models ## Simulate a month of uploads, half of them abuse, in each mode, and count the paid calls
	@scripts/step "building the simulation"
	cargo build --quiet --locked --release --package tools --bin month
	CATTO_MODELS_DIR="$(abspath $(MODELS))" "$(CARGO_TARGET_DIR)/release/month"

.PHONY: simulate
simulate: setup ## Simulate a week of traffic through two levels of caches, and count what reaches the server
	@scripts/step "building the simulation"
	cargo build --quiet --locked --release --package tools --bin simulate
	"$(CARGO_TARGET_DIR)/release/simulate"

.PHONY: screenshots
screenshots: stand-in ## Take screenshots of every page into end2end/screenshots
	@cd end2end && CATTO_STAND_IN="$(CARGO_TARGET_DIR)/release/aws_stand_in" npx playwright test --config screenshots.config.ts

.PHONY: clean
clean: ## Delete what was built (but no data, models or caches)
	@rm -rf $(DIST)
