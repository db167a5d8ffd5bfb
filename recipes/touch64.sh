#!/usr/bin/env bash
# A model that knows what it touches, at 64 pixels, from nothing: pokes with known causes, then E_phi.
#
#   recipes/touch64.sh WORK [STEPS] [SCENES] [PHOTOS]
#
# WORK     where stores, run and report go; running the script again goes on from there
# STEPS    of 64 pokes; 60000 if left out: about ten hours of one core (1.5 steps a second with bf16 where the CPU has it)
# SCENES   of each family, six pokes each: 4000 if left out, an hour of one core and 6 GB
# PHOTOS   a folder of photographs to stand behind the scenes, beside those that scikit-image and scikit-learn carry
#
# It needs poke2vid[simulator], scikit-image and scikit-learn, and no data. The held-out scores are in WORK/run/scores.jsonl.
set -euo pipefail
work=$1 steps=${2:-60000} scenes=${3:-4000}
photos=()
if [ $# -gt 3 ]; then photos=(--backgrounds "$4"); fi

poke2vid simulate figures plants objects --scenes "$scenes" --pokes 6 --test-scenes 64 --films 25 --frames 34 \
    --looks wild "${photos[@]}" --store --out "$work/wild"
poke2vid simulate figures plants objects --scenes "$((scenes / 4))" --pokes 6 --test-scenes 64 --seed 1 --store --out "$work/plain"
resume=""
if compgen -G "$work/run/checkpoints/step-*.safetensors" >/dev/null; then resume=--resume; fi
if [ ! -e "$work/run/checkpoints/step-$(printf %08d "$steps").safetensors" ]; then
    poke2vid train --preset fields64 --data "$work/wild" --data "$work/plain" --out "$work/run" --threads 1 --workers 0 \
        --set steps="$steps" $resume
fi

# What goes into the package: the weights in half precision, without the optimisers, and where they come from.
python - "$work/run" "$work/touch64.safetensors" <<'PYTHON'
import sys
from pathlib import Path

from poke2vid.model.files import load_player, save_touch_video

trained = load_player(Path(sys.argv[1]))
origin = {key: trained.about.get(key) for key in ("train", "step", "code", "stores", "init")}
origin["trained_on"] = "simulated plants, figures and objects (recipes/touch64.sh); no clip of anybody"
save_touch_video(Path(sys.argv[2]), trained.model, origin)
PYTHON
