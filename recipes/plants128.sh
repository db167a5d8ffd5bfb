#!/usr/bin/env bash
# The paper's model on Poking-Plants at 128 pixels, from a copy of the data to its row in Table 2.
#
#   recipes/plants128.sh RAW WORK [DEVICE]
#
# Disk: 4.2 GB for the store (43,000 frames, at 98.3 kB with flow over three lags), under 1 GB for runs and tables.
# Time: flow takes 0.2 hours of one core (99 frames a second over one lag, measured; half as many over three); decoding four times another 0.2 (270 frames a second of a million pixels, measured beside a training).
# Training: 11 hours of one GPU, 1.4 of eight, by operations. Scoring: 8 to 17 hours of one core. What both rest on: see dataset.sh.
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" plants 128 "$@"
