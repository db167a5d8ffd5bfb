#!/usr/bin/env bash
# The paper's model on iPER at 64 pixels, from a copy of the data to its row in Table 1.
#
#   recipes/iper64.sh RAW WORK [DEVICE]
#
# Disk: 3.8 GB for the store (229,000 frames, at 16.4 kB), under 1 GB for runs and tables.
# Time: flow takes 0.8 hours of one core (83 frames a second, measured); decoding another 0.2 (270 frames a second of 1024 pixels a side, measured beside a training).
# Training: 3 hours of one GPU, 0.4 of eight, by operations. Scoring: 8 to 17 hours of one core. What both rest on: see dataset.sh.
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" iper 64 "$@"
