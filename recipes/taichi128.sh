#!/usr/bin/env bash
# The paper's model on Tai-Chi-HD at 128 pixels, from a copy of the data to its row in Table 2.
#
#   recipes/taichi128.sh RAW WORK [DEVICE]
#
# Disk: 13.1 GB for the store (133,000 frames, every second of 265,000, at 98.3 kB with flow over three lags), under 1 GB for runs and tables.
# Time: flow takes 0.7 hours of one core (99 frames a second over one lag, measured; half as many over three); decoding all 265,000 takes minutes (2,365 frames a second of 256 pixels a side, measured).
# Training: 11 hours of one GPU, 1.4 of eight, by operations. Scoring: 8 to 17 hours of one core. What both rest on: see dataset.sh.
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" taichi 128 "$@"
