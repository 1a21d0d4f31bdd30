#!/usr/bin/env bash
# Tells whether a browser for the tests is there, from Debian or from Playwright:
# has_browser.sh chromium|firefox
set -euo pipefail
cd "$(dirname "$0")/../end2end"

case $1 in
  chromium) command=chromium ;;
  firefox) command=firefox-esr ;;
esac
command -v "$command" >/dev/null 2>&1 || node -e '
  const browser = require("@playwright/test")[process.argv[1]];
  process.exit(require("fs").existsSync(browser.executablePath()) ? 0 : 1);
' "$1"
