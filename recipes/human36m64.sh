#!/usr/bin/env bash
# The paper's model on Human3.6m at 64 pixels, from a copy of the data to its row in Table 1.
#
#   recipes/human36m64.sh RAW WORK [DEVICE]
#
# Disk: 4.3 GB for the store (some 264,000 frames, every eighth of 2.1 million, at 16.4 kB), under 1 GB for runs and tables.
# Time: flow takes 0.9 hours of one core (83 frames a second, measured); decoding all 2.1 million another 2.2 (270 frames a second of a million pixels, measured beside a training).
# Training: 3 hours of one GPU, 0.4 of eight, by operations. Scoring: 8 to 17 hours of one core. What both rest on: see dataset.sh.
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" human36m 64 "$@"
