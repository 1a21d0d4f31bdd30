#!/usr/bin/env bash
# Installs Python packages into a folder of their own in the cache if they are not there yet, and
# prints that folder for PYTHONPATH. It is a plain folder and no virtual environment, because that
# also works where Python comes without pip.
#
# install_python_packages.sh NAME MINOR WHAT ARGUMENT…
# NAME begins the folder's name. WHAT needs Python 3.MINOR or newer. The arguments are pip's:
# packages in exact versions, and options.
set -euo pipefail
cd "$(dirname "$0")/.."

name=$1
minor=$2
what=$3
shift 3

python_version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# The folder is named by all versions, so that another one means another folder.
versions=$(printf '%s\n' "$@" | cksum | cut -d ' ' -f 1)
folder="$CATTO_CACHE/$name-python$python_version-$versions"

if [ ! -d "$folder" ]; then
  python3 -c "import sys; sys.exit(sys.version_info < (3, $minor))" || {
    echo "$what needs Python 3.$minor or newer, and this is $python_version." >&2
    exit 1
  }
  scripts/step "installing $*"
  mkdir -p "$CATTO_CACHE"
  work=$(mktemp -d "$CATTO_CACHE/$name-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  pip=(python3 -m pip)
  if ! "${pip[@]}" --version >/dev/null 2>&1; then
    python3 -m venv "$work/venv" >/dev/null || {
      echo "python3 has neither pip nor virtual environments. On Debian: apt-get install python3-pip (or python3-venv)" >&2
      exit 1
    }
    pip=("$work/venv/bin/python" -m pip)
  fi
  "${pip[@]}" --disable-pip-version-check install --quiet --root-user-action ignore \
    --only-binary :all: --target "$work/site" "$@" >&2
  # The folder is put in place as a whole. If the move fails, another run may have put it there
  # first, which is as good.
  mv -T "$work/site" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
echo "$folder"
