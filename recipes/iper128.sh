#!/usr/bin/env bash
# The paper's model on iPER at 128 pixels, from a copy of the data to its row in Table 2.
#
#   recipes/iper128.sh RAW WORK [DEVICE]
#
# Disk: 15.0 GB for the store (229,000 frames, at 65.5 kB), under 1 GB for runs and tables.
# Time: flow takes 0.6 hours of one core (99 frames a second, measured); decoding comes on top. Training: see dataset.sh.
set -euo pipefail
exec "$(dirname "$0")/dataset.sh" iper 128 "$@"
