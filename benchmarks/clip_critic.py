"""D_T after a few steps, by its norm: can it tell true clips from the same clips with something taken away?

Not a timing. Every design sees the same clips in the same order; scores are on unseen clips. Taken away are: `still`,
all motion; `half`, every other step of it; `blur`, no motion but sharpness, which any critic should notice.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import torch
import typer
from material import make_store
from timing import RESULTS, Machine, table, write_results
from torch import Tensor, nn
from tqdm import tqdm

from poke2vid.data.store import Store
from poke2vid.losses import gradient_penalty, hinge_loss_fake, hinge_loss_real
from poke2vid.model.config import ModelConfig
from poke2vid.model.critics import ClipCritic, CriticConfig, Design
from poke2vid.train.config import DataConfig
from poke2vid.train.data import ClipBatches

LENGTH = 8
DESIGNS: tuple[Design, ...] = tuple(d for d in get_args(Design) if d != "released")  # whose width is its own
TAKEN = ("still", "half", "blur")


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for clip_critic.json and clip_critic.md.")] = RESULTS,
    num_steps: Annotated[int, typer.Option("--steps", min=1)] = 100,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Of the critics' first weights.")] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="Two steps, one seed: does it run?")] = False,
) -> None:
    """Train D_T of either design against clips made wrong on purpose."""
    num_steps, seeds = (2, 1) if quick else (num_steps, seeds)
    torch.set_num_threads(1)
    with Machine() as machine, tempfile.TemporaryDirectory() as place:
        store = Store.open(make_store(Path(place), 32, num_videos=4, num_frames=60, lags=(LENGTH,)))
        data = DataConfig(horizon=LENGTH, max_length=LENGTH, background_share=0.0, untouched_share=0.0, max_pokes=1)
        clips = ClipBatches(store, data, ModelConfig(resolution=32), batch=8, seed=0)
        unseen = ClipBatches(store, replace(data, augment=None), ModelConfig(resolution=32), batch=48, seed=1)[0].frames
        cases = [(d, p, t) for d in DESIGNS for p in (0.0, 0.1) for t in TAKEN]
        scores = {
            f"{design}, R1 {penalty}, {taken}": [
                told_apart(design, penalty, taken, clips, unseen, num_steps, seed) for seed in range(seeds)
            ]
            for design, penalty, taken in tqdm(cases, unit="case", disable=None)
        }
    rows = [
        (d, p, *(" / ".join(f"{s:.2f}" for s in scores[f"{d}, R1 {p}, {t}"]) for t in TAKEN))
        for d in DESIGNS
        for p in (0.0, 0.1)
    ]
    page = (
        f"# clip_critic\n\nD_T, {num_steps} steps old, 16 channels wide: how often an unseen clip has a higher logit than an "
        f"unseen one made wrong (AUC over {len(unseen)} clips of {LENGTH} frames of 32 pixels; 0.5 is chance; one number "
        "a seed).\n\n" + table(("design", "R1 weight", *TAKEN), rows)
    )
    write_results(out, "clip_critic", machine, {"steps": num_steps, "scores": scores}, page)


def told_apart(
    design: Design, penalty: float, taken: str, clips: ClipBatches, unseen: Tensor, num_steps: int, seed: int
) -> float:
    """AUC: share of all pairs in which an unseen true clip has a higher logit than an unseen wrong one."""
    torch.manual_seed(seed)
    critic = ClipCritic(CriticConfig(design=design, channels=16), resolution=32, length=LENGTH)
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.9, 0.99))
    for step in range(num_steps):
        frames = clips[step].frames
        real = frames[:, 1:].clone().requires_grad_()
        logits = critic(real).logits
        loss = hinge_loss_real(logits) + hinge_loss_fake(critic(made_wrong(frames, taken)).logits)
        if penalty:
            loss = loss + penalty * gradient_penalty(logits, real)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        right, wrong = (critic(x).logits.flatten(1).mean(dim=1) for x in (unseen[:, 1:], made_wrong(unseen, taken)))
    return float((right[:, None] > wrong[None]).float().mean())


def made_wrong(frames: Tensor, taken: str) -> Tensor:
    """x_1 ... x_T with something taken away, from x_0 ... x_T."""
    x = frames[:, 1:]
    if taken == "still":
        return frames[:, :1].expand_as(x)
    if taken == "half":
        return frames[:, [(i + 1) // 2 for i in range(1, frames.shape[1])]]
    return nn.functional.avg_pool2d(x.flatten(0, 1), 3, 1, 1).unflatten(0, x.shape[:2])


if __name__ == "__main__":
    typer.run(main)
