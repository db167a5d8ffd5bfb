#!/usr/bin/env bash
# The paper's tables on simulated plants: every row trained, scored on the same clips, printed in the paper's layout.
#
#   recipes/tables.sh WORK [SUITES] [PRESET] [DEVICE]
#
# WORK     where store, runs, results and tables go; running the script again goes on from there
# SUITES   3,4 if left out: the ablations; all for every table (1 and 2 train the systems of others as well)
# PRESET   ablation64 if left out: a quarter of the paper's width and 2500 steps, which does not converge; paper64 is the paper's
# DEVICE   cpu if left out
#
# VIDEOS=N simulates N videos instead of 1000, TEST_VIDEOS=N so many for tests instead of 200, SETTINGS holds more options of
# `poke2vid tables`.
#
# As it stands: two minutes for the store (whose test videos hold two disjoint sets of 1000 clips), and on two cores an hour for twelve runs and half an hour for scoring them.
# LPIPS, MoViNet's column and the tables' FVD need public weights (POKE2VID_WEIGHTS); L_rec needs SqueezeNet's (or VGG-19's, for
# paper64). On a GPU: recipes/tables.sh work 3,4 paper64 cuda
set -euo pipefail
work=$1 suites=${2:-3,4} preset=${3:-ablation64} device=${4:-cpu}

poke2vid simulate plants --videos "${VIDEOS:-1000}" --test-videos "${TEST_VIDEOS:-200}" --frames 30 --resolution 64 --lag 10 --store --out "$work/store"
jobs=$([ "$device" = cpu ] && nproc || echo 1)
poke2vid tables --suite "$suites" --preset "$preset" --seeds 2 --jobs "$jobs" --device "$device" --data "$work/store" \
    --out "$work/tables" ${SETTINGS:-}
