#!/usr/bin/env bash
# Installs cfn-lint, which checks the CloudFormation template, once and into the cache; prints its folder for PYTHONPATH.
# A plain folder and no virtual environment: that works with Python's own pip and without.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(cfn-lint==1.58.0 PyYAML==6.0.3)
python_version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
folder="$CATTO_CACHE/${packages[0]/==/-}-python$python_version"

if [ ! -d "$folder" ]; then
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "The check of the CloudFormation template needs Python 3.10 or newer; this is $python_version." >&2
    exit 1
  }
  scripts/step "installing ${packages[0]}"
  mkdir -p "$CATTO_CACHE"
  work=$(mktemp -d "$CATTO_CACHE/cfn-lint-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  pip=(python3 -m pip)
  if ! "${pip[@]}" --version >/dev/null 2>&1; then
    python3 -m venv "$work/venv" >/dev/null || {
      echo "python3 has neither pip nor virtual environments: Debian: apt-get install python3-pip or python3-venv." >&2
      exit 1
    }
    pip=("$work/venv/bin/python" -m pip)
  fi
  "${pip[@]}" --disable-pip-version-check install --quiet --root-user-action ignore --only-binary :all: --target "$work/site" "${packages[@]}" >&2
  # The folder appears whole or not at all; another run may have been quicker.
  mv -T "$work/site" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
echo "$folder"
