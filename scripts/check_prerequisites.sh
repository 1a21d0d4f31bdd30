#!/usr/bin/env bash
# Checks that the machine has what the build needs, and tells all problems at once, each with its
# remedy.
set -uo pipefail

problems=()
need() { command -v "$1" >/dev/null 2>&1 || problems+=("$1 is missing: $2"); }

need rustup "install it from https://rustup.rs"
need cargo "comes with rustup; open a new shell or source ~/.cargo/env"
need cc "Debian: apt-get install gcc libc6-dev"
need node "version 18 or newer; Debian: apt-get install nodejs npm, or https://nodejs.org"
need npm "Debian: apt-get install npm"
# The AVIF encoder's assembler code for x86_64 makes it four times as quick.
if [ "$(uname -m)" = x86_64 ]; then
  if ! command -v nasm >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    scripts/step "installing nasm with apt"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nasm >/dev/null
  fi
  need nasm "version 2.14 or newer; Debian: apt-get install nasm"
fi
need python3 "version 3.9 or newer; Debian: apt-get install python3 python3-venv"

if command -v node >/dev/null 2>&1; then
  major=$(node --version | sed -E 's/^v([0-9]+).*/\1/')
  [ "$major" -ge 18 ] || problems+=("node is $(node --version): version 18 or newer is needed")
fi
if command -v python3 >/dev/null 2>&1; then
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' \
    || problems+=("$(python3 --version) is too old: version 3.9 or newer is needed")
  python3 -c 'import pip' 2>/dev/null || python3 -c 'import ensurepip, venv' 2>/dev/null \
    || problems+=("python3 has neither pip nor virtual environments: Debian: apt-get install python3-pip or python3-venv")
fi

if [ ${#problems[@]} -gt 0 ]; then
  echo "The build needs something that this machine does not have:" >&2
  printf '  - %s\n' "${problems[@]}" >&2
  exit 1
fi
