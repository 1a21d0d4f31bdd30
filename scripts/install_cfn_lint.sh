#!/usr/bin/env bash
# Installs cfn-lint, which checks the CloudFormation template, into the cache if it is not there
# yet, and prints the folder for PYTHONPATH.
set -euo pipefail
exec "$(dirname "$0")/install_python_packages.sh" cfn-lint 10 \
  "The check of the CloudFormation template" cfn-lint==1.58.0 PyYAML==6.0.3
