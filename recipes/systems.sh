#!/usr/bin/env bash
# The paper's Tables 1 to 4 on one joint store: simulated plants and figures to train on, real clips to score Tables 1 and 2.
#
#   recipes/systems.sh WORK REAL [SEEDS] [DEVICE]
#
# WORK     where stores, runs, results and tables go; running the script again goes on from there
# REAL     a folder of real videos (and frame folders), which no row is trained on
# SEEDS    training runs of every row; 2 if left out
# DEVICE   cpu if left out
#
# KEPT=FOLDER takes rows that were measured there before and adds new ones: with docs/tables/rows and REAL as listed in
# docs/tables/real-clips.md, only what this repository's tables lack is trained.
#
# VIDEOS=N simulates N videos of each family instead of 1000 (TEST_VIDEOS=N for 40), SETTINGS holds more options of `poke2vid tables`: to try it in minutes,
# VIDEOS=4 TEST_VIDEOS=2 SETTINGS="--clips 4 --distribution-clips 4 --set-system hold=1 --set-system fall=0 --set stage_1_steps=1 --set stage_2_steps=1".
#
# Every row trains for 45 minutes of one core without AVX-512 (a newer one needs half of it): Tables 1 and 2 have six (SAVP, IVRNN,
# SRVP, Hao et al., the paper's model with its own G and with a motion decoder), Tables 3 and 4 five more, so eight hours a seed;
# none of them converges. On top of it come 20 minutes for the store, and for scoring 10 to 13 minutes a row of Tables 1 and 2 and 5
# to 9 of the others: two to three hours a seed. The disk holds 8 GB. LPIPS and FVD need public weights (POKE2VID_WEIGHTS;
# DOWNLOAD=1 fetches what is missing). Real clips are thinned to 12.5 frames a second: hands and people take longer to get anywhere
# than a simulated pull.
set -euo pipefail
work=$1 real=$2 seeds=${3:-2} device=${4:-cpu}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
lags=(--lag 1 --lag 3 --lag 6 --lag 10)

poke2vid simulate plants figures --videos "${VIDEOS:-1000}" --test-videos "${TEST_VIDEOS:-40}" --frames 30 --resolution 64 "${lags[@]}" --store --out "$work/joint"
poke2vid prepare "$real" --resolution 64 --fps 12.5 "${lags[@]}" --test '*' --out "$work/real"
common=(--preset ablation_motion64 --seeds "$seeds" --device "$device" --data "$work/joint" --clips 300 --distribution-clips 200 ${KEPT:+--kept "$KEPT"} ${SETTINGS:-})
# FVD needs 200 real clips of ten videos; more of them take an hour of one core a row.
# Clips in turn from each real video, as their lengths differ a hundredfold, poked where the flow back confirms the flow.
poke2vid tables --suite 1,2 "${common[@]}" --evenly --confirmed --test "$work/real" --beside touch64 ${DOWNLOAD:+--download} --out "$work/systems"
# The full model is a row of all four.
mkdir -p "$work/ablations/runs"
for run in "$work"/systems/runs/full-*; do
    if [ -d "$run" ] && [ ! -e "$work/ablations/runs/${run##*/}" ]; then ln -s "$(realpath "$run")" "$work/ablations/runs/"; fi
done
poke2vid tables --suite 3,4 "${common[@]}" ${DOWNLOAD:+--download} --out "$work/ablations"
