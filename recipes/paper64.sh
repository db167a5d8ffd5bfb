#!/usr/bin/env bash
# The paper's model at 64 pixels, both stages, on any folder of videos.
#
#   recipes/paper64.sh VIDEOS WORK [DEVICE]
#
# Running it again goes on where it stopped. Needs VGG-19's public weights for the paper's L_rec (PERCEPTUAL=squeeze or
# PERCEPTUAL=none chooses another). On a GPU: recipes/paper64.sh videos work cuda
set -euo pipefail
videos=$1 work=$2 device=${3:-cpu}

poke2vid prepare "$videos" --out "$work/store" --resolution 64
resume=""
if compgen -G "$work/run/checkpoints/step-*.safetensors" >/dev/null; then resume=--resume; fi
poke2vid train --preset paper64 --perceptual "${PERCEPTUAL:-vgg19}" --data "$work/store" --out "$work/run" --device "$device" $resume
poke2vid evaluate "$work/run" --data "$work/store" --out "$work/report"
