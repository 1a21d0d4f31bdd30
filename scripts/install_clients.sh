#!/usr/bin/env bash
# Installs clients of other image hosts and readers of feeds and embeds into the cache if they are not there yet, from npm and PyPI
# and in exact versions, and prints two folders: one with their node_modules, one for PYTHONPATH.
set -euo pipefail
cd "$(dirname "$0")/.."

folder="$CATTO_CACHE/clients"
if ! cmp --silent scripts/clients/package-lock.json "$folder/.installed"; then
  scripts/step "installing clients of other image hosts"
  mkdir -p "$folder"
  cp scripts/clients/package.json scripts/clients/package-lock.json "$folder"
  npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  cp scripts/clients/package-lock.json "$folder/.installed"
fi
echo "$folder"
# fleep comes without a wheel.
scripts/install_python_packages.sh clients 11 "The test of other hosts' clients" \
  litterbox-api==0.0.1 imgur-python==0.2.4 imgbb-sdk==2.1.0 imgbbpy==0.1.3 catboxpy==0.1.1.1 \
  feedparser==6.0.14 micawber==0.8.0 \
  requests==2.34.2 aiohttp==3.14.5 httpx==0.28.1 --no-binary fleep
