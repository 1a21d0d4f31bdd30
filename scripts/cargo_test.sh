#!/usr/bin/env bash
# Runs tests with Cargo: cargo_test.sh WORD COMMON… FIRST… [-- SECOND…]
#
# `cargo test` is called once with COMMON and FIRST and, where there is a `--`, once more with COMMON
# and SECOND. COMMON are the two arguments after WORD. Only tests that have WORD in their name are
# run, or all if WORD is empty. Where no test has it, Cargo alone would call that a success.
set -euo pipefail
cd "$(dirname "$0")/.."

word=$1
common=("$2" "$3")
shift 3

calls=("")
for argument in "$@"; do
  if [ "$argument" = -- ]; then
    calls+=("")
  else
    calls[-1]+=" $argument"
  fi
done

scripts/step "building the tests"
found=0
for call in "${calls[@]}"; do
  # The arguments hold no spaces.
  # shellcheck disable=SC2086
  names=$(cargo test --quiet "${common[@]}" $call -- $word --list)
  found=$((found + $(grep -c ': test$' <<<"$names" || true)))
done
if [ "$found" = 0 ]; then
  echo "No test has \"$word\" in its name." >&2
  exit 1
fi
scripts/step "running $found tests"
for call in "${calls[@]}"; do
  # shellcheck disable=SC2086
  cargo test --quiet "${common[@]}" $call -- $word
done
