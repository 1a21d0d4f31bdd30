#!/usr/bin/env bash
# The tests need moto's server, from PyPI, and a Chromium: Debian's where apt may be used, Playwright's own where it can be
# downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."

# moto and what it needs, in pinned versions, in a folder of their own; again when the list or the Python changes.
moto="$CATTO_CACHE/moto"
wanted=$(python3 --version; cat server/tests/it/support/moto.txt)
if [ "$(cat "$moto/.installed" 2>/dev/null)" != "$wanted" ]; then
  scripts/step "installing moto's server for the tests"
  pip=(python3 -m pip)
  if ! "${pip[@]}" --version >/dev/null 2>&1; then
    python3 -m venv "$CATTO_CACHE/pip"
    pip=("$CATTO_CACHE/pip/bin/python" -m pip)
  fi
  rm -rf "$moto"
  PIP_ROOT_USER_ACTION=ignore "${pip[@]}" install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --target "$moto" --requirement server/tests/it/support/moto.txt
  printf '%s\n' "$wanted" >"$moto/.installed"
fi

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
