#!/usr/bin/env bash
# The paper's model on Human3.6m at 64 pixels, from a copy of the data to its row in Table 1.
#
#   recipes/human36m64.sh RAW WORK [DEVICE]
#
# Disk: 7.4 GB for the store (some 450,000 (every eighth of 3.6 million) frames at 16.4 kB), under 1 GB for runs and tables.
# Time: preparing takes 1.5 hours of one core (83 frames a second, measured). Training was not measured on a GPU: by operations
# (1.2 TFLOP a step, 120,000 steps) some 3 hours on one GPU that does 15 TFLOP/s, and an eighth of that on eight with a batch
# eight times as large (torchrun, docs/training.md).
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" human36m 64 "$@"
