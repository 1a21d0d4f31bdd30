#!/usr/bin/env bash
# Checks that what a task needs is there, and names the command that makes what is not:
# needs.sh [site] [server] [models] [chromium] [firefox]
set -euo pipefail
cd "$(dirname "$0")/.."

missing=0
lack() {
  echo "$1 Please run \`$2\` first." >&2
  missing=1
}

for thing in "$@"; do
  case $thing in
    site) [ -f dist/site/favicon.svg ] || lack "The site is not built." "make build" ;;
    server) [ -x dist/cattocdn ] || lack "The server is not built." "make build" ;;
    models)
      models=${CATTO_MODELS_DIR:-$(sed -n 's/^CATTO_MODELS_DIR=//p' .env 2>/dev/null || true)}
      [ -f "${models:-models}/manifest.json" ] || lack "The screening models are missing." "make models"
      ;;
    chromium | firefox)
      scripts/has_browser.sh "$thing" || lack "The browser $thing is missing." "make test-setup"
      ;;
  esac
done
exit "$missing"
