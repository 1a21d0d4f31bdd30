#!/usr/bin/env bash
# Makes `style/nunito.woff2`, the font of all pages, anew: fetches Nunito, takes from it what the
# pages use, and prints by how much the fonts that stand in for it while it loads are to be scaled,
# for `style/_font.scss`. Whoever changes nothing here gets the same bytes again.
set -euo pipefail
cd "$(dirname "$0")/.."

export CATTO_CACHE=${CATTO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cattocdn}
PYTHONPATH=$(scripts/install_python_packages.sh font 10 "Making the font" \
  fonttools==4.68.0 brotli==1.2.1 uharfbuzz==0.57.0)
export PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Arimo is as wide as Arial.
for package in @fontsource-variable/nunito @fontsource/arimo @fontsource/roboto \
  @fontsource/dejavu-sans; do
  folder="$work/${package#*/}"
  mkdir "$folder"
  archive=$(cd "$work" && npm pack --silent "$package@5.3.0")
  tar --extract --gzip --strip-components 1 --directory "$folder" --file "$work/$archive"
done
python3 scripts/make_font.py "$work" style/nunito.woff2
