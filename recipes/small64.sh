#!/usr/bin/env bash
# small64, the package's model of the paper's form, on clips that may be redistributed.
#
#   recipes/small64.sh VIDEOS WORK [WEIGHTS]
#
# VIDEOS   a folder with the clips named in docs/base.md, small64
# WORK     where the store, the run and the report go; running the script again goes on from there
# WEIGHTS  a folder with the public SqueezeNet 1.1 weights (and RAFT-small and LPIPS, for the report)
#
# About an hour and a half on one core. The clips yes, thanks, school and want are held out (want shows a person seen nowhere else).
set -euo pipefail
videos=$1 work=$2
if [ $# -gt 2 ]; then export POKE2VID_WEIGHTS=$3; fi

poke2vid prepare "$videos" --out "$work/store" --resolution 64 --test yes --test thanks --test school --test want
resume=""
if compgen -G "$work/run/checkpoints/step-*.safetensors" >/dev/null; then resume=--resume; fi
poke2vid train --preset small64 --data "$work/store" --out "$work/run" --threads 1 $resume
poke2vid evaluate "$work/run" --data "$work/store" --out "$work/report" --clips 150

# What goes into the package (poke2vid/assets): the weights without the optimiser, and where they come from.
python - "$work/run" "$work/small64.safetensors" <<'PYTHON'
import sys
from pathlib import Path

from poke2vid.model.files import load_model, save_model

trained = load_model(Path(sys.argv[1]))
origin = {key: trained.about[key] for key in ("train", "step", "code", "store")}
origin["trained_on"] = (
    "Intel American Sign Language samples (CC BY 4.0), SLEAP single_fly and small_robot (Clear BSD), OpenCV tree (Apache-2.0)"
)
save_model(Path(sys.argv[2]), trained.model, origin)
PYTHON
