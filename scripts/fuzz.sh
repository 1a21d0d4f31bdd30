#!/usr/bin/env bash
# Fuzzes targets for a number of seconds each, after running every file that once broke them.
# Usage: fuzz.sh SECONDS [TARGET…]; without a target, all of them.
#
# The targets are built by plain Cargo on stable Rust, with the coverage that libFuzzer needs and
# without sanitizers. The code has no `unsafe`, so what can be found are panics, endless work and
# too much memory, and none of these needs a sanitizer.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(sniff decode animation composition vp8l multipart)

# libFuzzer itself is C++.
if ! command -v c++ >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    scripts/step "installing a C++ compiler with apt"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq g++ >/dev/null
  else
    echo "Fuzzing needs a C++ compiler. On Debian: sudo apt-get install g++" >&2
    exit 1
  fi
fi

host=$(rustc --version --verbose | sed -n 's/^host: //p')
folder="$CARGO_TARGET_DIR/fuzz"
scripts/step "building the fuzz targets"
# With debug assertions, overflows and failed assertions in decoders become panics, which the fuzzer
# finds. `--target` keeps build scripts free of the instrumentation.
CARGO_TARGET_DIR="$folder" CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true \
  RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
  cargo build --quiet --locked --release --manifest-path fuzz/Cargo.toml --target "$host" --bins

for target in "${targets[@]}"; do
  binary="$folder/$host/release/$target"
  # One input may take 20 s and the process 400 MB, ten times what the targets' limits allow on a
  # busy machine.
  options=(-timeout=20 -rss_limit_mb=400 -max_len=60000 "-artifact_prefix=fuzz/artifacts/$target/")
  # New inputs that reach more code are kept in the cache and not in the checkout.
  found="$CATTO_CACHE/fuzz/$target"
  log="$folder/$target.log"
  corpora=("fuzz/corpus/$target")
  [ "$target" != sniff ] || corpora+=(fuzz/corpus/decode fuzz/corpus/animation)
  mkdir -p "fuzz/artifacts/$target" "$found"
  scripts/step "fuzzing: $target, $seconds s"
  # Each file that once broke something is run as a whole, whatever its size.
  if [ -d "fuzz/regressions/$target" ] && ! "$binary" "${options[@]}" "fuzz/regressions/$target"/* >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "A file in fuzz/regressions/$target breaks $target again; the log above tells how." >&2
    exit 1
  fi
  if ! "$binary" "${options[@]}" -max_total_time="$seconds" "$found" "${corpora[@]}" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "The input that broke $target is in fuzz/artifacts/$target." >&2
    exit 1
  fi
  tail -n 1 "$log" >&2
done
