#!/usr/bin/env bash
# The paper's model on Tai-Chi-HD at 128 pixels, from a copy of the data to its row in Table 2.
#
#   recipes/taichi128.sh RAW WORK [DEVICE]
#
# Disk: 8.7 GB for the store (133,000 (every second of 265,000) frames at 65.5 kB), under 1 GB for runs and tables.
# Time: preparing takes 0.4 hours of one core (99 frames a second, measured). Training was not measured on a GPU: by operations
# (5 TFLOP a step, 120,000 steps) some 11 hours on one GPU that does 15 TFLOP/s, and an eighth of that on eight with a batch
# eight times as large (torchrun, docs/training.md).
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" taichi 128 "$@"
