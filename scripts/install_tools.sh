#!/usr/bin/env bash
# Installs the pinned build tools if they are not there yet: the Rust toolchain, its target for
# WASM, and the Node packages of end2end/package.json.
set -euo pipefail
cd "$(dirname "$0")/.."

toolchain=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
if ! rustup run "$toolchain" rustc --version >/dev/null 2>&1; then
  scripts/step "installing Rust $toolchain"
  rustup toolchain install "$toolchain" --profile minimal --component rustfmt --component clippy
fi
if ! rustup target list --installed --toolchain "$toolchain" | grep -qx wasm32-unknown-unknown; then
  scripts/step "adding the target wasm32-unknown-unknown"
  rustup target add wasm32-unknown-unknown --toolchain "$toolchain"
fi

stamp=end2end/node_modules/.installed
if ! cmp --silent end2end/package-lock.json "$stamp"; then
  scripts/step "installing the Node packages"
  (cd end2end && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error)
  cp end2end/package-lock.json "$stamp"
fi
