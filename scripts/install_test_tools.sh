#!/usr/bin/env bash
# The tests need cfn-lint, and a Chromium: Debian's where apt may be used, Playwright's own where it can be downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_cfn_lint.sh >/dev/null

has_browser() {
  command -v chromium >/dev/null 2>&1 \
    || (cd end2end && node -e 'process.exit(require("fs").existsSync(require("@playwright/test").chromium.executablePath()) ? 0 : 1)')
}

has_browser && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  scripts/step "installing Chromium with apt"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-dejavu-core >/dev/null
else
  scripts/step "downloading Chromium with Playwright"
  (cd end2end && npx playwright install chromium) || true
fi
has_browser || {
  echo "The end-to-end tests need Chromium: Debian: sudo apt-get install chromium, elsewhere: npx playwright install chromium." >&2
  exit 1
}
