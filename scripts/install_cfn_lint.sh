#!/usr/bin/env bash
# Installs cfn-lint, which checks the CloudFormation template, into the cache if it is not there
# yet, and prints the folder for PYTHONPATH. It is a plain folder and no virtual environment,
# because that also works where Python comes without pip.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(cfn-lint==1.58.0 PyYAML==6.0.3)
python_version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
folder="$CATTO_CACHE/${packages[0]/==/-}-python$python_version"

if [ ! -d "$folder" ]; then
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "The check of the CloudFormation template needs Python 3.10 or newer, and this is $python_version." >&2
    exit 1
  }
  scripts/step "installing ${packages[0]}"
  mkdir -p "$CATTO_CACHE"
  work=$(mktemp -d "$CATTO_CACHE/cfn-lint-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  pip=(python3 -m pip)
  if ! "${pip[@]}" --version >/dev/null 2>&1; then
    python3 -m venv "$work/venv" >/dev/null || {
      echo "python3 has neither pip nor virtual environments. On Debian: apt-get install python3-pip (or python3-venv)" >&2
      exit 1
    }
    pip=("$work/venv/bin/python" -m pip)
  fi
  "${pip[@]}" --disable-pip-version-check install --quiet --root-user-action ignore --only-binary :all: --target "$work/site" "${packages[@]}" >&2
  # The folder is put in place as a whole. If the move fails, another run may have put it there
  # first, which is as good.
  mv -T "$work/site" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
echo "$folder"
