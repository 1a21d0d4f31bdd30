#!/usr/bin/env bash
# Installs what the tests need: cfn-lint, moto's server and schemathesis from PyPI; exiftool,
# strace, unshare, pkill, openssl, ip, Varnish and nginx from Debian; clients of other image hosts
# from npm and PyPI; and Chromium and Firefox, from Debian where apt may be used, else from Playwright.
# What cannot be installed is named at the end, with the command that installs it.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_cfn_lint.sh >/dev/null
scripts/install_clients.sh >/dev/null
scripts/install_contract_tools.sh >/dev/null

# Each line names a command, the Debian package that has it, and the tests that need it.
debian_tools=(
  "exiftool libimage-exiftool-perl The metadata tests"
  "strace strace The durability tests"
  "unshare util-linux The full-disk test and that of other hosts' clients"
  "pkill procps The durability tests"
  "openssl openssl The tests of other hosts' clients"
  "ip iproute2 The tests of other hosts' clients"
  "varnishd varnish The two-cache tests"
  "nginx nginx-light The two-cache tests"
)

# Debian puts servers into a folder that is not in everybody's PATH.
PATH="$PATH:/usr/sbin"

# moto and what it needs are installed in pinned versions into a folder of their own, and again when
# the list of versions or the Python changes.
moto="$CATTO_CACHE/moto"
wanted=$(python3 --version; cat tools/src/stand_ins/moto.txt)
if [ "$(cat "$moto/.installed" 2>/dev/null)" != "$wanted" ]; then
  scripts/step "installing moto's server for the tests"
  pip=(python3 -m pip)
  if ! "${pip[@]}" --version >/dev/null 2>&1; then
    python3 -m venv "$CATTO_CACHE/pip"
    pip=("$CATTO_CACHE/pip/bin/python" -m pip)
  fi
  rm -rf "$moto"
  PIP_ROOT_USER_ACTION=ignore "${pip[@]}" install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --target "$moto" --requirement tools/src/stand_ins/moto.txt
  printf '%s\n' "$wanted" >"$moto/.installed"
fi

has() { command -v "$1" >/dev/null 2>&1; }

packages=()
for tool in "${debian_tools[@]}"; do
  read -r command package _ <<<"$tool"
  has "$command" || packages+=("$package")
done
browsers=()
scripts/has_browser.sh chromium || browsers+=("chromium fonts-dejavu-core")
scripts/has_browser.sh firefox || browsers+=(firefox-esr)

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

if [ "${#packages[@]}${#browsers[@]}" != 00 ] && [ "$(id -u)" = 0 ] && has apt-get; then
  scripts/step "installing ${packages[*]} ${browsers[*]} with apt"
  apt-get update -qq
  # What is missing afterwards is named below.
  [ "${#packages[@]}" = 0 ] || install "${packages[@]}" || true
  # Not every Debian knows every browser by that name; Playwright downloads what is missing.
  for browser in "${browsers[@]}"; do
    read -ra names <<<"$browser"
    install "${names[@]}" || true
  done
fi
for browser in chromium firefox; do
  if ! scripts/has_browser.sh "$browser"; then
    scripts/step "downloading $browser with Playwright"
    (cd end2end && npx playwright install "$browser") || true
  fi
done

missing=0
for tool in "${debian_tools[@]}"; do
  read -r command package user <<<"$tool"
  has "$command" || {
    echo "$user need $command. On Debian: sudo apt-get install $package" >&2
    missing=1
  }
done
scripts/has_browser.sh chromium || {
  echo "The end-to-end tests need Chromium. On Debian: sudo apt-get install chromium; elsewhere: npx playwright install chromium" >&2
  missing=1
}
scripts/has_browser.sh firefox || {
  echo "Some end-to-end tests need Firefox. On Debian: sudo apt-get install firefox-esr; elsewhere: npx playwright install firefox" >&2
  missing=1
}
exit "$missing"
