#!/usr/bin/env bash
# The paper's model on Poking-Plants at 64 pixels, from a copy of the data to its row in Table 1.
#
#   recipes/plants64.sh RAW WORK [DEVICE]
#
# Disk: 0.7 GB for the store (43,000 frames, at 16.4 kB), under 1 GB for runs and tables.
# Time: flow takes 0.1 hours of one core (83 frames a second, measured); decoding four times another 0.2 (270 frames a second of a million pixels, measured beside a training).
# Training: 3 hours of one GPU, 0.4 of eight, by operations. Scoring: 8 to 17 hours of one core. What both rest on: see dataset.sh.
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" plants 64 "$@"
