#!/usr/bin/env bash
# The paper's model on Poking-Plants at 64 pixels, from a copy of the data to its row in Table 1.
#
#   recipes/plants64.sh RAW WORK [DEVICE]
#
# Disk: 0.7 GB for the store (43,000 frames at 16.4 kB), under 1 GB for runs and tables.
# Time: preparing takes 0.1 hours of one core (83 frames a second, measured). Training was not measured on a GPU: by operations
# (1.2 TFLOP a step, 120,000 steps) some 3 hours on one GPU that does 15 TFLOP/s, and an eighth of that on eight with a batch
# eight times as large (torchrun, docs/training.md).
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" plants 64 "$@"
