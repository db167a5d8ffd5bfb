"""Training loop of E_phi on pokes with known causes; may be stopped and resumed at any step."""

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from poke2vid import __version__
from poke2vid.data.shards import PokeShard
from poke2vid.files import digest_of, write_json
from poke2vid.media import viz
from poke2vid.media.pictures import to_uint8
from poke2vid.model.files import CHECKPOINT_FORMAT, FIELDS, VERSION, load_player
from poke2vid.model.touch_encoder import FIELD_SIDE, TouchEncoder
from poke2vid.model.touch_video import TouchVideo
from poke2vid.processes import alone_in
from poke2vid.train import checkpoint, settings
from poke2vid.train.batches import batches
from poke2vid.train.distributed import require_one_process
from poke2vid.train.field_config import FieldConfig, to_json
from poke2vid.train.field_data import FieldBatch, FieldBatches
from poke2vid.train.field_trainer import FieldScores, FieldTrainer, objectness, predict, scores
from poke2vid.train.film_data import FilmBatch, FilmBatches
from poke2vid.train.log import RunLog
from poke2vid.train.precision import Precision, faster, kept
from poke2vid.train.still_data import StillBatch, StillBatches
from poke2vid.train.stopping import Interrupted, Signals, deadline_of
from poke2vid.train.swing_loss import SwingScores, swing_scores
from poke2vid.types import InputError, Split

SCORED_SCENES = 60  # at most, per family and sampling step
SCORED_FILMS = 48  # per family: the last ones, of the store that was named last
SCORED_STILLS = 96
SHOWN = 6
FREE = (
    "mask", "found", "background", "along", "swing", "lively", "motion", "films", "stills", "learning_rate", "matrix_rate",
    "clip_gradient", "steps", "precision", "checkpoint_every", "sample_every", "keep_checkpoints",
)  # fmt: skip


def train_fields(
    config: FieldConfig, stores: Sequence[Path], run: Path, *, resume: bool = False, init: Path | None = None,
    workers: int = 0, max_minutes: float | None = None, precision: str | None = None, cutouts: Path | None = None,
    photographs: Path | None = None, quiet: bool = False,
) -> Path:  # fmt: skip
    """Trains E_phi and returns the last checkpoint.

    Args:
        stores: stores of pokes, together one training set.
        resume: go on from the run's newest checkpoint; its config must be the one given, except for the `FREE` fields.
        init: a model that sees what it touches, or a run, whose weights a new run starts from.
        workers: processes that prepare batches; the batches do not depend on their number.
        max_minutes: stop, saved, after this long; the schedule stays that of the whole run.
        precision: "fp32", "bf16" or "auto", which times both for a few steps; None takes the config's. A resumed run
            keeps its own.
        cutouts: a folder of pictures with transparency, which stills are made of.
        photographs: a folder of backgrounds for them, in addition to those in installed packages.

    Raises:
        InputError: for a store, run folder or setting that does not fit, or a loss that is no longer finite.
        Interrupted: after SIGINT or SIGTERM, when the run is saved.
    """
    from poke2vid.data.poke_store import PokeStore  # imported here: it needs pydantic

    require_one_process("a model that sees what it touches")
    deadline_of(max_minutes)  # refuses less than no time before anything is read
    # Fields, films and stills
    opened = [PokeStore.open(path) for path in stores]
    shards = [shard for store in opened for shard in store.shards]
    fields = FieldBatches(shards, config)
    films = FilmBatches(shards, config)
    if config.films and not len(films):
        raise InputError("no store holds a film of a single pull or push; simulate with --films, or set films to 0.")
    stills = _stills(cutouts, photographs, config)
    # Trainer, new or resumed
    config = replace(
        config,
        precision=_precision(precision, config, fields, films, stills, checkpoint.newest(run) if resume else None),
    )
    trainer = FieldTrainer(config)
    origin = {"code": __version__, "stores": [store.digest for store in opened], "kind": FIELDS}
    if stills:
        origin["cutouts"] = stills["train"].cutouts.digest
    with contextlib.ExitStack() as stack:
        stack.enter_context(alone_in(run))
        _begin(run, resume, init, trainer, origin)
        deadline, signals = deadline_of(max_minutes), stack.enter_context(Signals())
        log = stack.enter_context(RunLog(run, first_step=trainer.step, num_steps=config.steps, quiet=quiet))
        _introduce(log, trainer, fields, init, origin)
        unseen, played = _by_family(shards, config), _films_by_family(shards, config)
        began, saved = time.monotonic(), checkpoint.newest(run)
        for batch in batches(fields, trainer.step, config.steps, workers):
            # One step
            waited = time.monotonic() - began
            values = trainer.advance(
                batch, films[trainer.step] if config.films else None, stills["train"][trainer.step] if stills else None
            )
            step, seconds = trainer.step, time.monotonic() - began
            log.numbers(step, {**values, "pokes_per_second": len(batch.p) / seconds, "data_share": waited / seconds})
            # Scores and pictures on held-out data
            if step % config.sample_every == 0 or step == config.steps:
                _judge(log, trainer, unseen, played, batch)
                if stills:
                    _judge_stills(log, trainer, stills["test"])
            # Checkpoint, when due or stopping
            late, told = time.monotonic() > deadline, signals.received
            if step % config.checkpoint_every == 0 or step == config.steps or late or told:
                saved = _save(run, trainer, config, origin)
            if late or told:
                break
            began = time.monotonic()
    if signals.received and trainer.step < config.steps:
        raise Interrupted(f"stopped at step {trainer.step}; go on with --resume")
    assert saved is not None
    return saved


def _introduce(
    log: RunLog, trainer: FieldTrainer, batches: FieldBatches, init: Path | None, origin: dict[str, Any]
) -> None:
    """Writes settings and sizes into a run's log."""
    log.say(json.dumps(to_json(trainer.config)))
    fields, parameters = sum(len(s.pokes) for s in batches.scenes), sum(p.numel() for p in trainer.net.parameters())
    log.say(f"{len(batches.scenes)} scenes, {fields} fields; {parameters:,} parameters.")
    if drawn := origin.get("drawn"):
        log.say(f"as drawn, for {init} has no such weights: {', '.join(drawn)}.")


def _stills(cutouts: Path | None, photographs: Path | None, config: FieldConfig) -> dict[Split, StillBatches]:
    """Stills of both splits; empty without cut-outs."""
    if (cutouts is None) != (config.stills == 0):
        raise InputError(
            f"{config.stills} stills a step and {'no' if cutouts is None else 'a'} folder of cut-outs do not go together; "
            "give both --cutouts FOLDER and --set stills=4, or neither."
        )
    if cutouts is None:
        if photographs is not None:
            raise InputError(
                "photographs stand behind cut-outs here; give --cutouts FOLDER too, or leave --backgrounds away."
            )
        return {}
    from poke2vid.data.cutouts import Cutouts  # imported here: only stills decode pictures
    from poke2vid.simulator.looks.photographs import Photographs

    found = Photographs.find(photographs)
    return {split: StillBatches(Cutouts.find(cutouts, found, split), config, split) for split in ("train", "test")}


def _precision(
    asked: str | None, config: FieldConfig, batches: FieldBatches, films: FilmBatches, stills: dict[Split, StillBatches],
    found: Path | None,
) -> Precision:  # fmt: skip
    """Precision of a run: its own if resumed, else the one asked for ("auto": the faster here), else the config's.

    Raises:
        InputError: for an unknown name.
    """
    if found is not None:
        about = checkpoint.read(found)[1]
        _require_fields(about, found.parent.parent)
        return kept(asked, _config_of(about).precision)
    if asked is None:
        return config.precision
    shown = batches[0], films[0] if config.films else None, stills["train"][0] if stills else None
    return faster(asked, lambda precision: _steps_of(replace(config, precision=precision), *shown))


def _steps_of(
    config: FieldConfig, batch: FieldBatch, films: FilmBatch | None, stills: StillBatch | None
) -> Callable[[], object]:
    """A training step for timing, on a network of its own."""
    trainer = FieldTrainer(config)
    return lambda: trainer.advance(batch, films, stills)


def _require_fields(about: dict[str, Any], run: Path) -> None:
    """Raises InputError for a run of another kind."""
    if about.get("kind") != FIELDS:
        raise InputError(f"{run} is another kind of run; choose its own preset.")


def _config_of(about: dict[str, Any]) -> FieldConfig:
    return settings.read(FieldConfig, about["train"])


def _save(run: Path, trainer: FieldTrainer, config: FieldConfig, origin: dict[str, Any]) -> Path:
    about = {
        "format": CHECKPOINT_FORMAT, "version": VERSION, "train": to_json(config), "step": trainer.step, **origin,
    }  # fmt: skip
    return checkpoint.write(run, trainer.tensors(), about, trainer.step, config.keep_checkpoints)


def _begin(run: Path, resume: bool, init: Path | None, trainer: FieldTrainer, origin: dict[str, Any]) -> None:
    """Begins a new run, perhaps from trained weights, or loads the run's newest checkpoint into the trainer."""
    found = checkpoint.newest(run)
    if not resume:
        if found is not None:
            raise InputError(f"{run} already holds a run; continue it with --resume or choose another --out.")
        if init is not None:
            start = load_player(init)
            if not isinstance(start.model, TouchVideo):
                raise InputError(
                    f"{start.path} is a model of the paper's form; start from one that sees what it touches."
                )
            origin.setdefault("cutouts", start.about.get("cutouts"))
            origin["drawn"] = trainer.begin_from(start.model.touch_encoder.state_dict())
            origin["init"] = digest_of(start.model.state_dict(), {})
        write_json(run / "config.json", to_json(trainer.config))
        return
    if found is None:
        raise InputError(f"{run} holds no checkpoint to resume from; start without --resume.")
    tensors, about = checkpoint.read(found)
    _require_fields(about, run)
    free = {name: getattr(trainer.config, name) for name in FREE}
    if replace(_config_of(about), **free) != trainer.config:
        raise InputError(
            f"{run} was trained with other settings; repeat its preset and --set options, or choose another --out. "
            f"Only {', '.join(FREE)} may change on the way."
        )
    origin["init"], origin["earlier_stores"] = about.get("init"), _earlier(about, origin["stores"])
    origin.setdefault("cutouts", about.get("cutouts"))
    trainer.load(tensors, int(about["step"]))
    if trainer.step >= trainer.config.steps:
        raise InputError(f"{run} is complete: all {trainer.step} steps are done.")
    write_json(run / "config.json", to_json(trainer.config))


def _earlier(about: dict[str, Any], stores: list[str]) -> list[list[str]]:
    """Sets of stores that earlier parts of the run have read: pokes may be added during a run."""
    before = list(about.get("earlier_stores", []))
    return before if about["stores"] == stores else [*before, about["stores"]]


def _by_family(shards: Sequence[PokeShard], config: FieldConfig) -> dict[str, list[FieldBatch]]:
    """Held-out scenes by family, not augmented; a family without any is left out."""
    found: dict[str, list[FieldBatch]] = {}
    for family in sorted({shard.family for shard in shards if shard.split == "test"}):
        try:
            chosen = FieldBatches([shard for shard in shards if shard.family == family], config, split="test")
        except InputError:
            continue
        found[family] = chosen.every(-(-len(chosen.scenes) // SCORED_SCENES))
    return found


def _films_by_family(shards: Sequence[PokeShard], config: FieldConfig) -> dict[str, list[FilmBatch]]:
    """Held-out films by family, if motion in time is learnt."""
    families = sorted({shard.family for shard in shards if shard.split == "test"}) if config.films else []
    found = {}
    for family in families:
        films = FilmBatches([shard for shard in shards if shard.family == family], config, split="test")
        if len(films):
            films.films = films.films[-SCORED_FILMS:]
            found[family] = films.every()
    return found


def _judge(
    log: RunLog, trainer: FieldTrainer, unseen: dict[str, list[FieldBatch]], played: dict[str, list[FilmBatch]],
    batch: FieldBatch,
) -> None:  # fmt: skip
    """Logs scores and pictures of the mean weights on held-out scenes, and pictures of the batch."""
    net, config = trainer.mean.eval(), trainer.config
    for family, held in unseen.items():
        found = scores(net, held, config)
        log.say(
            f"step {trainer.step} {family}: far {found.far:.3f} near {found.near:.3f} touched {found.touched:.2f} px "
            f"background {found.background:.3f} px explained {found.explained:.2f} mask {found.mask:.2f}"
        )
        _keep_scores(log, trainer.step, family, found)
        log.picture(trainer.step, f"held-out-{family}", field_grid(net, held[:SHOWN], config))
    for family, films in played.items():
        timed = swing_scores(net, films, config)
        log.say(
            f"step {trainer.step} {family} films: held {timed.held:.3f} free {timed.free:.3f} (untold {timed.free_untold:.3f}) "
            f"curve {timed.curve:.3f} ({timed.curve_untold:.3f}) impulse {timed.impulse:.3f} ({timed.impulse_untold:.3f})"
        )
        _keep_scores(log, trainer.step, family, timed)
    log.picture(trainer.step, "train", field_grid(net, [batch], config))


@torch.no_grad()
def _judge_stills(log: RunLog, trainer: FieldTrainer, unseen: StillBatches) -> None:
    """Logs how well the mean weights find cut-outs that no step has seen."""
    shares, shown = [], []
    for k in range(-(-SCORED_STILLS // trainer.config.stills)):
        stills = unseen[k]
        o = objectness(trainer.mean.eval(), stills, trainer.config).float()
        said, true = o > 0, stills.inside > 0.5
        shares.append(((said & true).sum((1, 2)) + 1) / ((said | true).sum((1, 2)) + 1))
        shown += [(stills.x_0[j], o[j].sigmoid(), stills.inside[j]) for j in range(len(o))]
    mask = float(torch.cat(shares).mean())
    log.say(f"step {trainer.step} stills: mask {mask:.2f}")
    with (log.run / "scores.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"step": trainer.step, "family": "stills", "mask": mask}) + "\n")
    shown = shown[: 2 * SHOWN]
    enlarged = max(1, trainer.config.touch.resolution // FIELD_SIDE)
    rows = [[to_uint8(x_0[None])[0] for x_0, _, _ in shown]]
    for row in (1, 2):
        rows.append([viz.enlarge(to_uint8((2 * o[row] - 1).expand(3, -1, -1)[None])[0], enlarged) for o in shown])
    log.picture(trainer.step, "held-out-stills", viz.grid(rows))


def _keep_scores(log: RunLog, step: int, family: str, found: FieldScores | SwingScores) -> None:
    with (log.run / "scores.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"step": step, "family": family, **asdict(found)}) + "\n")


@torch.no_grad()
def field_grid(net: TouchEncoder, batches: Sequence[FieldBatch], config: FieldConfig) -> viz.Picture:
    """Columns of x_0 with its touch, the true field and the predicted one, as colours."""
    rows: list[list[np.ndarray]] = [[], [], []]
    for batch in batches:
        u = predict(net, batch, config).u
        for k in range(min(2 if len(batches) > 1 else 2 * SHOWN, len(u))):
            x = to_uint8(batch.x_0[batch.owner[k]][None])[0]
            large = viz.enlarge(x, max(1, 2 * FIELD_SIDE // x.shape[0]))
            rows[0].append(_with_touches(large, batch, k))
            true, said = batch.flow[k].numpy(force=True), u[k].numpy(force=True)
            largest = max(1.0, float(np.abs(true).max()))
            rows[1].append(viz.enlarge(viz.flow_colours(true, largest), large.shape[0] // FIELD_SIDE))
            rows[2].append(viz.enlarge(viz.flow_colours(said, largest), large.shape[0] // FIELD_SIDE))
    return viz.grid(rows)


def _with_touches(picture: np.ndarray, batch: FieldBatch, k: int) -> np.ndarray:
    from poke2vid.geometry import Affine, transform
    from poke2vid.types import Poke

    side = picture.shape[0]
    to_picture = Affine.resize((FIELD_SIDE, FIELD_SIDE), (side, side))
    pokes = [
        transform(Poke(tuple(at.tolist()), tuple(p.tolist())), to_picture)
        for at, p, given in zip(batch.at[k], batch.p[k], batch.given[k], strict=True)
        if given
    ]
    return viz.draw_pokes([picture], pokes)[0]
