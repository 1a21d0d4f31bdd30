#!/usr/bin/env bash
# Installs what `make bench-size` measures with into the cache if it is not there yet, and prints
# the folder for PYTHONPATH: SSIMULACRA2, which scores pictures; Pillow, which decodes them; and
# CMake, with which oximg is built where the machine has none. It is a plain folder and no virtual
# environment, because that also works where Python comes without pip.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(ssimulacra2==0.3.0 numpy==2.4.6 scipy==1.17.1 Pillow==13.0.0 cmake==4.4.5)
python_version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# The folder is named by all versions, so that another one means another folder.
versions=$(printf '%s\n' "${packages[@]}" | cksum | cut -d ' ' -f 1)
folder="$CATTO_CACHE/bench-size/python$python_version-$versions"

if [ ! -d "$folder" ]; then
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Scoring pictures needs Python 3.11 or newer, and this is $python_version." >&2
    exit 1
  }
  scripts/step "installing ${packages[*]}"
  mkdir -p "$CATTO_CACHE/bench-size"
  work=$(mktemp -d "$CATTO_CACHE/bench-size/install-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  pip=(python3 -m pip)
  if ! "${pip[@]}" --version >/dev/null 2>&1; then
    python3 -m venv "$work/venv" >/dev/null || {
      echo "python3 has neither pip nor virtual environments. On Debian: apt-get install python3-pip (or python3-venv)" >&2
      exit 1
    }
    pip=("$work/venv/bin/python" -m pip)
  fi
  "${pip[@]}" --disable-pip-version-check install --quiet --root-user-action ignore --no-deps \
    --only-binary :all: --target "$work/site" "${packages[@]}" >&2
  # The folder is put in place as a whole. If the move fails, another run may have put it there
  # first, which is as good.
  mv -T "$work/site" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
echo "$folder"
