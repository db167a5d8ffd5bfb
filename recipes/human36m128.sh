#!/usr/bin/env bash
# The paper's model on Human3.6m at 128 pixels, from a copy of the data to its row in Table 2.
#
#   recipes/human36m128.sh RAW WORK [DEVICE]
#
# Disk: 29.5 GB for the store (some 450,000 (every eighth of 3.6 million) frames at 65.5 kB), under 1 GB for runs and tables.
# Time: preparing takes 1.3 hours of one core (99 frames a second, measured). Training was not measured on a GPU: by operations
# (5 TFLOP a step, 120,000 steps) some 11 hours on one GPU that does 15 TFLOP/s, and an eighth of that on eight with a batch
# eight times as large (torchrun, docs/training.md).
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" human36m 128 "$@"
