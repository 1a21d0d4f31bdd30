#!/usr/bin/env bash
# Installs what holds the server to its contract into the cache if it is not there yet, and prints
# the folder for PYTHONPATH: a validator of OpenAPI, and schemathesis, which makes up requests.
set -euo pipefail
exec "$(dirname "$0")/install_python_packages.sh" contract 10 "Holding the server to its contract" \
  schemathesis==4.32.5 openapi-spec-validator==0.9.0
