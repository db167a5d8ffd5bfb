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
# A poke each, held.
poke flower flower.jpg 230,150 -40,-10
poke robot robot.jpg 320,60 50,-10
poke person person.jpg 190,340 -30,-20
# And a script: poke, drag to the other side, let go, poke again elsewhere.
poke2vid animate "$examples/robot.jpg" --script "$examples/robot-pokes.json" -o "$out/robot-session.mp4" -o "$out/robot-session.gif"
echo
echo "Videos, grids and numbers are in $out"
