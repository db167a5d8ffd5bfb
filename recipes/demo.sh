#!/usr/bin/env bash
# The README's first command: pokes the bundled pictures and leaves videos, grids and numbers.
#
#   recipes/demo.sh OUT
#
# Offline and without a GPU; a few seconds.
set -euo pipefail
out=${1:-demo-output}
examples=$(dirname "$0")/../poke2vid/assets/examples
mkdir -p "$out"

poke() { # NAME PICTURE X,Y DX,DY
    poke2vid animate "$examples/$2" --at "$3" --shift "$4" --frames 25 \
        -o "$out/$1.mp4" -o "$out/$1.gif" -o "$out/$1-grid.png" -o "$out/$1.json"
}
POKES
echo
echo "Videos, grids and numbers are in $out"
