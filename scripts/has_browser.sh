#!/usr/bin/env bash
# Tells whether a browser for the tests is there, from Debian or from Playwright:
# has_browser.sh chromium|firefox
set -euo pipefail
cd "$(dirname "$0")/../end2end"

# `end2end/browser.ts` takes Debian's from the same places.
case $1 in
  chromium) debian=/usr/bin/chromium ;;
  firefox) debian=/usr/bin/firefox-esr ;;
  *) exit 2 ;;
esac
[ -x "$debian" ] || node -e '
  const browser = require("@playwright/test")[process.argv[1]];
  process.exit(require("fs").existsSync(browser.executablePath()) ? 0 : 1);
' "$1"
