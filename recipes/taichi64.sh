#!/usr/bin/env bash
# The paper's model on Tai-Chi-HD at 64 pixels, from a copy of the data to its row in Table 1.
#
#   recipes/taichi64.sh RAW WORK [DEVICE]
#
# Disk: 2.2 GB for the store (133,000 frames, every second of 265,000, at 16.4 kB), under 1 GB for runs and tables.
# Time: flow takes 0.4 hours of one core (83 frames a second, measured); decoding all 265,000 takes minutes (2,365 frames a second of 256 pixels a side, measured).
# Training: 3 hours of one GPU, 0.4 of eight, by operations. Scoring: 8 to 17 hours of one core. What both rest on: see dataset.sh.
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" taichi 64 "$@"
