#!/usr/bin/env bash
# The base and its smaller sister touch64, models that know what they touch, from nothing: pokes with known causes, E_phi at 64
# pixels, at 128 with films, and for each how things move from films alone.
#
#   recipes/touch128.sh WORK [STEPS] [SCENES] [PICTURES]
#
# WORK     where stores, runs and the model go; running the script again goes on from there
# STEPS    of 64 pokes, half of them at each size; 60000 if left out: some fifteen hours of one core (about a second each with bf16)
# SCENES   of each family, six pokes each, and as many plants again; 4000 if left out: two hours of one core, 15 GB
# PICTURES what recipes/pictures.py has fetched: photographs to stand behind the scenes, beside those that scikit-image and
#          scikit-learn carry, and cut-outs, which teach where objects end in photographs; without it the base is worse on these
#
# It needs poke2vid[simulator], scikit-image and scikit-learn, and no data but PICTURES. Held-out scores are in WORK/*/scores.jsonl.
set -euo pipefail
work=$1 steps=${2:-60000} scenes=${3:-4000}
photos=() stills=()
if [ $# -gt 3 ]; then
    photos=(--backgrounds "$4/backgrounds")
    stills=(--cutouts "$4/cutouts" "${photos[@]}" --set stills=6 --set found=0.4)
fi
wild=(--looks wild "${photos[@]}" --store)

poke2vid simulate figures plants objects cabinets --scenes "$scenes" --pokes 6 --test-scenes 64 --films 100 --frames 34 "${wild[@]}" --out "$work/wild"
poke2vid simulate plants --scenes "$scenes" --pokes 6 --test-scenes 8 --films 100 --frames 34 --seed 1 "${wild[@]}" --out "$work/plants"
poke2vid simulate objects figures plants cabinets --scenes "$((1 + scenes / 6))" --pokes 3 --test-scenes 24 --films 1 --frames 40 --seed 2 \
    "${wild[@]}" --out "$work/films"
poke2vid simulate objects figures plants cabinets --scenes "$((1 + scenes / 33))" --pokes 3 --test-scenes 1 --films 1 --frames 100 --seed 3 \
    "${wild[@]}" --out "$work/long"

train() { # preset, run, steps, the run that a new one starts from or nothing, more options
    local preset=$1 run=$2 steps=$3 from=$4 stores=() begin=()
    shift 4
    if [ -e "$run/checkpoints/step-$(printf %08d "$steps").safetensors" ]; then return; fi
    for store in wild plants films; do stores+=(--data "$work/$store"); done
    case $preset in time*) for _ in 1 2 3; do stores+=(--data "$work/long"); done ;; esac # four seconds show what comes to rest where
    if compgen -G "$run/checkpoints/step-*.safetensors" >/dev/null; then begin=(--resume); elif [ -n "$from" ]; then begin=(--init "$from"); fi
    poke2vid train --preset "$preset" "${stores[@]}" --out "$run" --threads 1 --workers 0 --set steps="$steps" "${begin[@]}" "$@"
}
train fields64 "$work/run64" "$((steps / 2))" "" --set films=6 "${stills[@]}"
train fields128 "$work/run128" "$((steps / 2))" "$work/run64" --set films=6 "${stills[@]}"
train time64 "$work/time64" "$((1 + steps / 60))" "$work/run64"
train time128 "$work/time128" "$((1 + steps / 60))" "$work/run128"

# What goes into the package: the weights in a byte each, without the optimisers, and the graphs without the weights.
python - "$work" <<'PYTHON'
import sys
from pathlib import Path

from poke2vid.export.run import export_model
from poke2vid.export.skeleton import write_skeleton
from poke2vid.model.files import load_player, save_touch_video

work = Path(sys.argv[1])
for side in (64, 128):
    trained, name = load_player(work / f"time{side}"), f"touch{side}"
    origin = {key: trained.about.get(key) for key in ("train", "step", "code", "stores", "cutouts", "init")}
    origin["trained_on"] = (
        "simulated plants, figures, objects and cabinets, perhaps stills of cut-outs (recipes/touch128.sh); no clip of anybody"
    )
    save_touch_video(work / f"{name}.safetensors", trained.model, origin)
    export_model(work / f"{name}.safetensors", work / f"graphs{side}", half=False)
    write_skeleton(work / f"graphs{side}", work / f"{name}-onnx")
PYTHON
echo "models: $work/touch128.safetensors, $work/touch64.safetensors; graphs without weights: $work/touch128-onnx, $work/touch64-onnx"
