#!/usr/bin/env bash
# small64 on simulated plants and figures, from small64 on, and its row in PokeBench.
#
#   recipes/simulated64.sh WORK [SCENES]
#
# WORK     where store, run, bench and report go; running the script again goes on from there
# SCENES   of each family in the bench that are scored; all 100 if left out: about half an hour a row and core
#
# Seven minutes for the store, under an hour for the training, a quarter of an hour for building the bench, on one core each.
# It needs poke2vid[simulator] and no data. LPIPS is in the report where its public weights are found (POKE2VID_WEIGHTS).
set -euo pipefail
work=$1
model=$work/simulated64

poke2vid simulate plants figures --videos 1000 --test-videos 40 --frames 30 --resolution 64 \
    --lag 3 --lag 6 --lag 10 --store --out "$work/store"
start=(--init base)
if compgen -G "$model/checkpoints/step-*.safetensors" >/dev/null; then start=(--resume); fi
if [ ! -e "$model/checkpoints/step-00005500.safetensors" ]; then
    poke2vid train --preset simulated64 --data "$work/store" --out "$model" --threads 1 "${start[@]}"
fi
poke2vid bench build pokebench-v1 --out "$work/bench"
poke2vid bench run "$model" "$(dirname "$0")/../poke2vid/assets/small64.safetensors" --bench "$work/bench" --out "$work/report" \
    --workers 2 ${2:+--scenes "$2"}
