"""Curves of released and pushed objects on films of unseen species: a model's beside the truth's.

    python benchmarks/let_go.py MODEL --store STORE [--films 40] [--out FILE]

STORE is a store of pokes with films that end 24 frames or more after the release (`poke2vid simulate ... --films 2
--frames 40 --store`). Every film of its test split is played as in a session: a pull by the poke's shift is held and
released when the film's is, a push is an impulse. Model and truth are both measured by their own field u on the object.
Of a release: the projection on the flow at the release, and the mean motion, as shares. Of a push: the touched place's
way to its farthest point, as a share. "Told" takes the scene's hertz and damping, where it has any, as the law of
rest; "untold" does not.
"""

import argparse
from pathlib import Path

import torch
from shown import show
from torch import Tensor
from tqdm import tqdm

from poke2vid.data.poke_store import PokeStore
from poke2vid.geometry import Affine
from poke2vid.model.files import load_player
from poke2vid.model.swing import rest_of
from poke2vid.model.touch_encoder import FIELD_SIDE
from poke2vid.model.touch_video import TouchVideo
from poke2vid.train.field_config import FieldConfig
from poke2vid.train.film_data import FilmBatch, FilmBatches
from poke2vid.train.swing_loss import AFTER, IMPULSE_FRAMES, THIN, let_go, pushed_path
from poke2vid.types import InputError, Poke, Rest


def played(model: TouchVideo, film: FilmBatch, rest: Rest) -> Tensor:
    """u of every frame of a film, played as in a session."""
    to_model = Affine.resize((FIELD_SIDE, FIELD_SIDE), (model.resolution, model.resolution))
    release = int(film.release[0])
    x, y = film.at[0].tolist()
    dx, dy = film.p[0].tolist()
    poke = Poke(to_model.point(x, y), to_model.vector(dx, dy), "shift" if release else "impulse")
    state = model.start(film.x_0)
    phi = model.drive(state, [poke], [model.touch(state, poke.location)])
    found = []
    for frame in range(1, int(film.frames[0]) + 1):
        touches = frame <= release if release else frame == 1
        state, _ = model.live_step(state, phi if touches else None, rest)
        found.append(state.sigma[0][0])
    return torch.stack(found)


@torch.inference_mode()
def measured(model: TouchVideo, films: list[FilmBatch]) -> dict[str, Tensor]:
    """Mean curves of the truth, told and untold: "let go" `3 2 a`, "pushed" `3 f`."""
    pulls, pushes = [], []
    for film in tqdm(films, unit="film"):
        usual = model.default_rest
        hertz = float(film.hertz[0])
        rests = (rest_of(hertz, float(film.damping[0])) if hertz else usual, usual)
        fields = [film.u[0, : int(film.frames[0])], *(played(model, film, rest) for rest in rests)]
        inside = (film.parts[0, None, ::THIN, ::THIN] > 0).float()
        thin = [u[..., ::THIN, ::THIN] for u in fields]
        release = int(film.release[0])
        if release:
            pulls.append(torch.stack([let_go(u, inside, release) for u in thin]))
        else:
            pushes.append(torch.stack([pushed_path(u, film.at[0], inside) for u in thin]))
    return {"let go": torch.stack(pulls).mean(dim=0), "pushed": torch.stack(pushes).mean(dim=0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model", type=Path)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--films", type=int, default=40, help="of each kind and family, at most")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    model = load_player(chosen.model).model
    if not isinstance(model, TouchVideo):
        raise InputError(f"{chosen.model} has no field of its own; give a model that sees what it touches.")
    shards = PokeStore.open(chosen.store).shards
    config = FieldConfig(touch=model.config.touch)
    lines = ["| | " + " | ".join(f"+{frames}" for frames in AFTER) + " | largest distance |"]
    lines.append("|---" * (len(AFTER) + 2) + "|")
    distances = []
    for family in sorted({shard.family for shard in shards}):
        films = FilmBatches([shard for shard in shards if shard.family == family], config, split="test").every(size=1)
        long = [film for film in films if int(film.release[0]) + AFTER[-1] <= int(film.frames[0])]
        pulls = [film for film in long if int(film.release[0])][: chosen.films]
        pushes = [film for film in long if not int(film.release[0])][: chosen.films]
        found = measured(model, [*pulls, *pushes])
        for number, quantity in enumerate(("projection", "mean motion")):
            truth, *others = found["let go"][:, number]
            for name, curve in zip(("truth", "told", "untold"), (truth, *others), strict=True):
                apart = "" if name == "truth" else f"{float((curve - truth).abs().max()):.2f}"
                cells = " | ".join(f"{value:.2f}" for value in curve.tolist())
                lines.append(f"| {family}, {len(pulls)} pulls, {quantity}, {name} | {cells} | {apart} |")
        truth, *others = found["pushed"]
        apart = [f"{float((curve - truth).abs().max()):.2f}" for curve in others]
        distances.append(
            f"{family}, {len(pushes)} pushes: largest distance of the touched place's way over {IMPULSE_FRAMES} frames "
            f"{apart[0]} told, {apart[1]} untold."
        )
    lines += ["", *distances]
    show(lines, chosen.out)


if __name__ == "__main__":
    main()
