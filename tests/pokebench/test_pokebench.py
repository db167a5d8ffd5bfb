"""PokeBench on disk: built, cut off and continued, read without physics, verified, refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import programs
import pytest
import simulated  # noqa: F401  before MuJoCo: it skips where that is missing
import torch

# isort: split
from poke2vid.files import MANIFEST, write_json
from poke2vid.geometry import warp
from poke2vid.media.encoding import write_lossless
from poke2vid.media.video import iterate_frames
from poke2vid.pokebench.build import SPECS, BenchSpec, SceneOrder, build_bench, spec_named
from poke2vid.pokebench.disk import Bench
from poke2vid.pokebench.plan import LENGTHS, WIDE
from poke2vid.pokebench.records import SceneRecord
from poke2vid.pokebench.scene import TrueScene
from poke2vid.simulator import film
from poke2vid.simulator.film import Order
from poke2vid.simulator.scene import INDIVIDUALS
from poke2vid.simulator.world import IMPULSE_FRAMES
from poke2vid.types import InputError

SPEC = BenchSpec("tiny", {"plants": 2}, 64, frames=16)  # fewer than ten frames to arrive in reject nearly every scene


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "tiny"
    build_bench(
        SPEC, path, workers=2, quiet=True
    )  # not in this process, whose types are checked at every call: sevenfold
    return path


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy"))


def first_scene_of(bench: Path, out: Path) -> Path:
    """A bench with one scene of another, which is scored in half of the time."""
    shutil.copytree(bench, out)
    manifest = Bench.open(bench).manifest
    first, *others = sorted(manifest.scenes)
    for name in others:
        shutil.rmtree(out / "scenes" / name)
    fields = {field: {first: getattr(manifest, field)[first]} for field in ("scenes", "files")}
    alone = manifest.model_copy(update={**fields, "places": {"plants": 1}})
    alone = alone.model_copy(update={"identity": alone.expected_identity()})
    write_json(out / MANIFEST, alone.model_dump(mode="json"))
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_every_scene_is_asked_thirteen_pokes(built):
    for scene in Bench.open(built).scenes():
        assert isinstance(scene, TrueScene)
        roles = [poke.role for poke in scene.pokes]
        assert roles == ["shift"] * 8 + ["impulse"] * 2 + ["background", "zero", "none"]
        first, second = scene.pokes[:4], scene.pokes[4:8]
        assert [poke.length for poke in first] == list(LENGTHS)
        assert first[0].at != second[0].at
        reached = [np.hypot(*poke.shift) for poke in first]
        assert np.diff(reached).min() > 0
        assert reached[-1] == pytest.approx(LENGTHS[-1] * 64, rel=0.12)


def test_the_target_of_a_shift_is_where_the_truth_arrives(built):
    for scene in Bench.open(built).scenes():
        for number, poke in enumerate(scene.pokes[:8]):
            x, y = (int(v) for v in poke.at)
            assert scene.part_ids[y, x] == poke.part > 0
            # The target is that of the ray through the pixel, which no driver draws; here it is a little off the drawn leaf.
            assert scene.flow(number, SPEC.arrive)[:, y, x] == pytest.approx(poke.shift, rel=0.02, abs=0.05)
            assert scene.flow(number, SPEC.frames)[:, y, x] == pytest.approx(poke.shift, abs=1.0)  # and is held


def test_a_touched_part_shows_all_around_the_point(built):
    """Else no tracker could follow it; a pixel is left for the drawing's own edges."""
    for scene in Bench.open(built).scenes():
        for poke in scene.pokes[:8]:
            x, y = (int(v) for v in poke.at)
            away = np.hypot(*(np.indices(scene.part_ids.shape) - np.array([y, x])[:, None, None]))
            assert (scene.part_ids[away < WIDE * 64 - 1] == poke.part).all()
            assert (scene.part_ids[away <= WIDE * 64] == poke.part).mean() > 0.7


def test_an_impulse_sets_the_touched_point_off_along_its_shift_with_the_stated_speed(built):
    shares = []
    for scene in Bench.open(built).scenes():
        for number, poke in enumerate(scene.pokes):
            if poke.role != "impulse":
                continue
            x, y = (int(v) for v in poke.at)
            went, asked = scene.flow(number, 1)[:, y, x], np.array(poke.shift)
            assert went @ asked > 0.9 * np.linalg.norm(went) * np.linalg.norm(asked)
            # During its one frame the force brings a point from rest to its speed; a plant's springs hold it back.
            shares.append(np.linalg.norm(went) / (0.5 * np.linalg.norm(asked) / IMPULSE_FRAMES))
    assert len(shares) == 4
    assert min(shares) > 0.2 and max(shares) < 1.1 and np.mean(shares) > 0.4


def test_after_a_poke_beside_the_object_or_none_nothing_moves(built):
    scene = Bench.open(built).scenes()[0]
    for number, poke in enumerate(scene.pokes):
        if poke.role in ("background", "zero", "none"):
            assert not scene.flow(number, 5).any() and scene.visible(number, 5).all()
            assert (scene.frames(number) == scene.first).all()
        if poke.role == "background":
            x, y = (int(v) for v in poke.at)
            assert scene.part_ids[y, x] == 0


def test_frames_and_flow_tell_the_same(built):
    """The true frame at T, brought back by exact flow, is the first frame where it is still seen."""
    scene = Bench.open(built).scenes()[0]
    number = 3
    frame, flow = scene.frames(number)[SPEC.arrive - 1], scene.flow(number, SPEC.arrive)
    assert scene.frames(number).shape == (SPEC.frames, 64, 64, 3)
    picture = torch.from_numpy(frame.astype(np.float32)).permute(2, 0, 1)[None]
    back = warp(picture, torch.from_numpy(flow)[None])[0].permute(1, 2, 0).numpy()
    moving = scene.visible(number, SPEC.arrive) & (np.hypot(*flow) > 1.5)
    assert moving.sum() > 20
    error, unmoved = (np.abs(p - scene.first)[moving].mean() for p in (back, frame.astype(np.float32)))
    assert error < 0.7 * unmoved


@pytest.mark.slow
def test_a_bench_is_the_same_for_any_workers_and_after_being_cut_off(built, tmp_path):
    other = tmp_path / "other"
    build_bench(SPEC, other, workers=1, quiet=True)
    assert contents(other) == contents(built)
    (other / "manifest.json").unlink()
    (other / "scenes" / "plants-001" / "futures.mkv").write_bytes(b"cut short")
    (other / "scenes" / ".work-plants-000").mkdir()
    build_bench(SPEC, other, workers=0, quiet=True)
    assert contents(other) == contents(built)


def test_a_whole_bench_verifies_and_every_damage_is_named(built, copied):
    assert Bench.open(built).verify() == []
    scene = copied / "scenes" / "plants-000"
    data = bytearray((scene / "truth.safetensors").read_bytes())
    data[-100] ^= 1
    (scene / "truth.safetensors").write_bytes(data)
    (copied / "scenes" / "plants-001" / "first.png").unlink()
    problems = Bench.open(copied).verify()
    assert len(problems) == 2
    assert "truth.safetensors does not match its checksum" in problems[0] and "first.png is missing" in problems[1]


def change(file: Path, edit: Callable[[Any], None]) -> None:
    values = json.loads(file.read_text())
    edit(values)
    file.write_text(json.dumps(values))


@pytest.mark.slow
def test_an_altered_record_or_manifest_is_noticed_and_never_scored(built, copied):
    record = copied / "scenes" / "plants-000" / "scene.json"
    change(record, lambda values: values["pokes"][0].update(shift=[9.0, 9.0]))
    problems = Bench.open(copied).verify()
    assert any("another scene" in problem for problem in problems)
    with pytest.raises(InputError, match=r"plants-000 holds another scene than the manifest says; .*\.$"):
        Bench.open(copied).scenes()
    change(copied / "scenes" / "plants-001" / "scene.json", lambda values: values["camera"].update(fovy=9.0))
    with pytest.raises(InputError, match=r"plants-001/scene.json is not the one that the manifest lists; .*\.$"):
        Bench.open(copied).scene("plants-001")
    build_bench(SPEC, copied, workers=2, quiet=True)  # and what the sentences advise helps
    assert contents(copied) == contents(built)
    manifest = copied / "manifest.json"
    values = json.loads(manifest.read_text())
    values["arrive"] = 5
    manifest.write_text(json.dumps(values))
    with pytest.raises(InputError, match="does not match its own identity"):
        Bench.open(copied)


def test_a_damaged_video_picture_or_truth_is_a_sentence_when_it_is_read(copied):
    def damage(name: str) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    folder, scene = copied / "scenes" / "plants-000", Bench.open(copied).scene("plants-000")
    damage("futures.mkv")
    with pytest.raises(InputError, match=r"futures\.mkv has \d+ bytes instead of \d+; .*bench build.*\.$"):
        scene.frames(3)
    assert scene.flow(3, 6).any()
    damage("first.png")
    with pytest.raises(InputError, match=r"first\.png has"):
        _ = scene.first
    damage("truth.safetensors")
    with pytest.raises(InputError, match=r"truth\.safetensors has"):
        Bench.open(copied).scene("plants-000").flow(3, 6)


def test_a_video_with_too_few_frames_is_a_sentence(copied):
    scene = Bench.open(copied).scene("plants-000")
    with pytest.raises(InputError, match=r"futures\.mkv holds 160 frames instead of 170; .*\.$"):
        replace(scene, num_frames=17).frames(3)


def test_two_machines_agree_on_a_scene_whose_shifts_differ_by_rounding_and_not_on_another_target(built):
    record = Bench.open(built).scene("plants-000").record

    def shifted(by: float) -> SceneRecord:
        pokes = [p.model_copy(update={"shift": (p.shift[0] + by, p.shift[1] - by)}) for p in record.pokes]
        return record.model_copy(update={"pokes": tuple(pokes), "states": "others", "physics": "MuJoCo 9", "files": {}})

    assert shifted(1e-7).identity == shifted(-1e-7).identity == record.identity
    assert shifted(0.02).identity != record.identity
    assert record.model_copy(update={"pokes": record.pokes[::-1]}).identity != record.identity
    assert record.model_copy(update={"seed": 3}).identity != record.identity


@pytest.mark.parametrize("hundredths", range(-3, 4))
def test_no_shift_of_four_decimals_lies_on_an_edge_of_the_identity(built, hundredths):
    record = Bench.open(built).scene("plants-000").record

    def identity(shift: float) -> str:
        poke = record.pokes[0].model_copy(update={"shift": (shift, 0.0)})
        return record.model_copy(update={"pokes": (poke,)}).identity

    edge = hundredths / 100 + 0.005  # has four decimals
    assert len({identity(edge + noise) for noise in (-1e-7, 0.0, 1e-7)}) == 1


def test_the_digest_of_a_scene_is_that_of_its_record(built):
    bench = Bench.open(built)
    assert {s.name: s.digest for s in bench.scenes()} == bench.manifest.files


def test_a_bench_is_not_continued_with_another_physics(copied, monkeypatch):
    monkeypatch.setattr("poke2vid.pokebench.build.PHYSICS", "MuJoCo 0.0")
    with pytest.raises(InputError, match="belongs to another benchmark or version"):
        build_bench(SPEC, copied, workers=0, quiet=True)


def test_a_bench_says_how_many_scenes_were_tried(built):
    manifest = Bench.open(built).manifest
    assert manifest.places == {"plants": 2} and set(manifest.rejected) == {"plants"}
    told = manifest.model_copy(
        update={"places": {"plants": 2, "objects": 3}, "rejected": {"plants": {}, "objects": {"no room": 4, "bad": 1}}}
    )
    assert told.acceptance == (
        "plants: 2 scenes tried for 2 places; objects: 8 scenes tried for 3 places (4 no room, 1 bad)"
    )


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_order_of_training_or_test_videos_meets_a_scene_of_a_bench(split):
    """Set seeds are 0 ... 15, and the last scene of the last of those sets lies below the first of all benchmarks."""
    last = Order("plants", split, film.STRIDE - 1, 60, 64, seed=15).scene_seed(film.ATTEMPTS - 1)
    first = SceneOrder(SPEC, "plants", 0).seed(0)
    assert last // INDIVIDUALS < first // INDIVIDUALS
    assert Order("plants", split, 0, 60, 64, seed=16).scene_seed(0) == first  # which is why 16 is refused


def test_a_bench_is_read_without_physics(built):
    program = (
        "import sys; sys.modules['mujoco'] = None\n"
        "from pathlib import Path; from poke2vid.pokebench.disk import Bench\n"
        f"scene = Bench.open(Path({str(built)!r})).scenes()[0]\n"
        "print(scene.flow(3, 6).shape, scene.frames(3).shape, scene.visible(3, 6).mean() > 0.9)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(2, 64, 64) (16, 64, 64, 3) True", done.stderr


def test_what_is_no_bench_is_refused(copied, tmp_path):
    with pytest.raises(InputError, match=r"not a finished benchmark.*bench build"):
        Bench.open(tmp_path)
    with pytest.raises(InputError, match=r"no benchmark 'pokebench-v9'.*pokebench-v1, cabinets-v1, mini"):
        spec_named("pokebench-v9")
    (tmp_path / "file").write_text("dear")
    with pytest.raises(InputError, match=r"file is a file; choose a folder for --out\.$"):
        build_bench(SPEC, tmp_path / "file", workers=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        build_bench(SPEC, tmp_path / "mine", workers=0)
    with pytest.raises(InputError, match="belongs to another benchmark"):
        build_bench(replace(SPEC, resolution=96), copied, workers=0, quiet=True)


@pytest.mark.slow
def test_the_command_line_verifies_and_scores(built, copied, tmp_path, monkeypatch):
    monkeypatch.delenv("POKE2VID_WEIGHTS", raising=False)

    run = partial(programs.poke2vid, "bench")
    assert run("verify", str(built)).stdout.strip() == f"{built} is whole."
    (copied / "scenes" / "plants-001" / "first.png").unlink()
    damaged = run("verify", str(copied))
    assert damaged.returncode == 2 and "first.png is missing" in damaged.stdout
    one = first_scene_of(built, tmp_path / "one")
    scored = run("run", "copy", "--bench", str(one), "--out", str(tmp_path / "report"))
    assert scored.returncode == 0, scored.stderr
    report = (tmp_path / "report" / "report.md").read_text()
    assert all(row in report for row in ("copy", "shift-patch", "oracle")) and "dis" in report
    assert "poke-EPE" in scored.stdout.strip().splitlines()[-1]
    unknown = run("run", "wobble", "--bench", str(built), "--out", str(tmp_path / "none"))
    assert unknown.returncode == 2 and "Traceback" not in unknown.stderr and "wobble" in unknown.stderr


def test_the_named_benchmarks_are_what_they_say():
    assert sum(SPECS["pokebench-v1"].scenes.values()) == 300 and SPECS["pokebench-v1"].resolution == 128
    assert sum(SPECS["mini"].scenes.values()) == 12 and SPECS["mini"].resolution == 64
    assert all((spec.frames, spec.arrive) == (25, 10) for spec in SPECS.values())


MINI = {  # the first digits of its scenes' identities at generation 2
    "figures-000": "d40f80a3", "figures-001": "a80b94ba", "figures-002": "c89f5dd4", "figures-003": "d8d632d2",
    "objects-000": "587b0216", "objects-001": "650a971f", "objects-002": "bb7d7c4a", "objects-003": "d431a93b",
    "plants-000": "b1cefcd4", "plants-001": "5ed18fd7", "plants-002": "256f27b1", "plants-003": "321dec45",
}  # fmt: skip


@pytest.mark.slow
def test_mini_can_be_built_here_and_is_the_bench_that_it_was_elsewhere(tmp_path):
    """On failure, raise `scene.GENERATION`, say so in the lab book, and build PokeBench anew under another name.

    A quarter of it, a scene being the same whatever else is built. One may differ: another processor rounds otherwise, and a
    target may lie on a hundredth of a pixel's edge.
    """
    spec = SPECS["mini"]
    quarter = replace(spec, scenes={family: count // 4 for family, count in spec.scenes.items()})
    bench = build_bench(quarter, tmp_path / "mini", workers=2, quiet=True)
    assert bench.verify() == []
    found = {name: identity[:8] for name, identity in bench.manifest.scenes.items()}
    assert len(found) == 3 and len(found.items() & MINI.items()) >= 2, found


def test_lossless_video_gives_every_pixel_back(tmp_path):
    frames = list(np.random.default_rng(0).integers(0, 256, (5, 18, 22, 3), dtype=np.uint8))
    write_lossless(tmp_path / "noise.mkv", frames, 25.0)
    assert np.array_equal(np.stack(list(iterate_frames(tmp_path / "noise.mkv"))), np.stack(frames))
    with pytest.raises(InputError, match=r"must be an \.mkv"):
        write_lossless(tmp_path / "noise.mp4", frames, 25.0)
