#!/usr/bin/env bash
# The tests need a Chromium (Debian's where apt may be used, Playwright's own where it can be downloaded) and exiftool.
set -euo pipefail
cd "$(dirname "$0")/.."

has_browser() {
  command -v chromium >/dev/null 2>&1 \
    || (cd end2end && node -e 'process.exit(require("fs").existsSync(require("@playwright/test").chromium.executablePath()) ? 0 : 1)')
}

has_exiftool() { command -v exiftool >/dev/null 2>&1; }

may_use_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

apt_install() {
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

if ! has_exiftool && may_use_apt; then
  scripts/step "installing exiftool with apt"
  apt_install libimage-exiftool-perl || true
fi
if ! has_browser; then
  if may_use_apt; then
    scripts/step "installing Chromium with apt"
    apt_install chromium fonts-dejavu-core || true
  else
    scripts/step "downloading Chromium with Playwright"
    (cd end2end && npx playwright install chromium) || true
  fi
fi

missing=0
has_exiftool || {
  echo "The metadata tests need exiftool: Debian: sudo apt-get install libimage-exiftool-perl, elsewhere: https://exiftool.org." >&2
  missing=1
}
has_browser || {
  echo "The end-to-end tests need Chromium: Debian: sudo apt-get install chromium, elsewhere: npx playwright install chromium." >&2
  missing=1
}
exit "$missing"
