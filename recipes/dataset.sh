#!/usr/bin/env bash
# A published data set to its rows in the paper's tables: prepared in its own split, the paper's model trained in both stages,
# scored, and printed beside the published numbers. plants64.sh, iper128.sh and the others call it.
#
#   recipes/dataset.sh NAME RESOLUTION RAW WORK [DEVICE]
#
# NAME        plants, iper, taichi or human36m; `poke2vid datasets` says what a copy looks like and where it is to be had
# RESOLUTION  64 (Table 1 and the ablations' size) or 128 (Table 2)
# RAW         the copy
# WORK        where store, runs and tables go; running the script again goes on from there
# DEVICE      cuda if left out; for a CPU the full size is out of reach: PRESET=ablation64 CLIPS=1000 recipes/... cpu,
#             with the motion decoder PRESET=ablation_motion64 SETTINGS="--set data.waypoints=[]" (the store has no flow at its lags)
#
# Training was not measured on a GPU: by operations (1.2 TFLOP a step at 64 pixels, some 5 at 128; 120,000 steps) 3 and 11 hours on
# one that does 15 TFLOP/s, and 0.4 and 1.4 on eight with a batch eight times as large. `tables` trains on one; on eight:
#   torchrun --standalone --nproc-per-node gpu -m poke2vid.cli train --preset paper64 --data WORK/store --out WORK/run --device cuda \
#       --set batch=80 --set stage_1_steps=2500 --set stage_2_steps=12500   (the same clips seen; docs/training.md)
#   poke2vid tables --suite 1 --preset paper64 --trained-only --beside WORK/run ... as below
# whose row then bears the folder's name, run; that of Ours says that it is not trained yet, and has the paper's numbers.
#
# Scoring takes 1.2 to 2.5 s of a core a clip and row (measured; its tracker stays on the CPU): 8000 clips of ours, a copy and the true
# frames take 8 to 17 hours of one core; CLIPS=1000 takes 1 to 2. What is measured is kept, so it can be stopped and gone on with.
#
# The systems that the paper compares with are trained on the same store where asked: SYSTEMS=published (by operations, in hours of
# such a GPU: SAVP 36, IVRNN 350, SRVP 900; Hao et al., for which we chose a length, 1 at 64 pixels and 4 at 128) or SYSTEMS=small
# (45 minutes of one core each).
#
# It needs VGG-19's public weights for L_rec, I3D's for FVD and LPIPS's (POKE2VID_WEIGHTS, or they are downloaded; DOWNLOAD= leaves
# out what is missing). SETTINGS holds more options of `poke2vid tables`, such as "--set batch=4".
set -euo pipefail
name=$1 resolution=$2 raw=$3 work=$4 device=${5:-cuda}
case $name in # as the tables call it
    plants) column=pp ;;
    human36m) column=h36m ;;
    iper | taichi) column=$name ;;
    *) echo "$name has no column in the paper's tables; take plants, iper, taichi or human36m." >&2; exit 2 ;;
esac
case $resolution in
    64) suite=1 lags=(--lag 10) ;;
    128) suite=2 lags=(--lag 2 --lag 5 --lag 10) ;; # Hao et al. learn from pairs of several distances
    *) echo "the paper's tables are of 64 and 128 pixels, not $resolution." >&2; exit 2 ;;
esac

poke2vid prepare "$raw" --dataset "$name" --out "$work/store" --resolution "$resolution" "${lags[@]}"
case ${SYSTEMS:-none} in
    none) systems=(--only Ours) ;;
    small) systems=() ;;
    published) systems=(--published) ;;
    *) echo "SYSTEMS is none, small or published, not $SYSTEMS." >&2; exit 2 ;;
esac
poke2vid tables --suite "$suite" --preset "${PRESET:-paper$resolution}" --set model.resolution="$resolution" \
    --seeds 1 --clips "${CLIPS:-8000}" --dataset "$column" --data "$work/store" --out "$work/tables" \
    --device "$device" "${systems[@]}" ${SETTINGS:-} ${DOWNLOAD---download}
