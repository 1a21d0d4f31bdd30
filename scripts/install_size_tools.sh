#!/usr/bin/env bash
# Installs what `make bench-size` measures with into the cache if it is not there yet, and prints
# the folder for PYTHONPATH: SSIMULACRA2, which scores pictures; Pillow, which decodes them; and
# CMake, with which oximg is built where the machine has none.
set -euo pipefail
exec "$(dirname "$0")/install_python_packages.sh" bench-size 11 "Scoring pictures" --no-deps \
  ssimulacra2==0.3.0 numpy==2.4.6 scipy==1.17.1 Pillow==13.0.0 cmake==4.4.5
