"""The model in the package: what can be promised of it, on pictures it was not trained on or was."""

from pathlib import Path

import numpy as np
import pytest
import torch

import poke2vid
from poke2vid import pokes
from poke2vid.flow.estimator import build_estimator
from poke2vid.live.script import read_script, replay
from poke2vid.measures import motion as scores
from poke2vid.media.pictures import read_picture
from poke2vid.model.files import PAPER_BASE, load_model
from poke2vid.types import Poke

EXAMPLES = Path(poke2vid.__file__).parent / "assets" / "examples"
POKES = {
    "flower": Poke((230, 150), (-40, -10)),
    "robot": Poke((320, 60), (50, -10)),
    "person": Poke((190, 340), (-30, -20)),
}


@pytest.fixture(scope="module")
def animator() -> poke2vid.Animator:
    return poke2vid.load("small64")


@pytest.mark.parametrize("name", POKES)
def test_the_poked_point_arrives_and_the_far_background_stays(animator: poke2vid.Animator, name: str) -> None:
    """Within half of the way of its target after ten frames and after 25; what is far from the poke moves under a pixel."""
    animation = animator.animate(EXAMPLES / f"{name}.jpg", [POKES[name]], frames=25)
    (poke,) = animation.pokes
    tracker = build_estimator("dis")
    for i in (10, 25):
        flow = torch.from_numpy(tracker(animation.frames[0], animation.frames[i]))
        assert scores.poke_error(flow, poke) < 0.5 * float(np.hypot(*poke.shift))
        height, width = flow.shape[-2:]
        ys, xs = np.mgrid[:height, :width]
        far = np.hypot(xs - poke.location[0], ys - poke.location[1]) > 0.5 * width
        assert scores.mean_motion(flow, torch.from_numpy(far)) < 1.0


def test_an_untouched_picture_stays_nearly_still(animator: poke2vid.Animator) -> None:
    """It drifts: by a tenth of a pixel of the model's frames over a clip, and by a third in a hundred frames."""
    session = animator.open(EXAMPLES / "robot.jpg")
    drift = []
    for _ in range(100):
        session.step()
        assert session.frame is not None and session.frame.flow is not None
        drift.append(float(session.frame.flow.norm(dim=1).mean()))
    assert drift[9] < 0.06 and drift[24] < 0.15 and drift[99] < 0.45


def test_opposite_pokes_move_the_point_in_opposite_directions(animator: poke2vid.Animator) -> None:
    tracker = build_estimator("dis")
    moved = []
    for dx in (40.0, -40.0):
        frames = animator.animate(EXAMPLES / "robot.jpg", [Poke((320, 60), (dx, 0))], frames=10).frames
        moved.append(scores.arrival(torch.from_numpy(tracker(frames[0], frames[-1])), Poke((293, 55), (0, 0)))[0] - 293)
    assert moved[0] > 5 and moved[1] < -5


def test_the_example_script_replays_and_the_object_goes_where_it_is_dragged(animator: poke2vid.Animator) -> None:
    script = read_script(EXAMPLES / "robot-pokes.json")
    frames = [moment.picture for moment in replay(script, animator.open(EXAMPLES / "robot.jpg"))]
    assert len(frames) == script.frames + 1
    tracker = build_estimator("dis")
    place = Poke((293, 55), (0, 0))
    right, left = (scores.arrival(torch.from_numpy(tracker(frames[0], frames[i])), place)[0] - 293 for i in (14, 27))
    assert right > 20 and left < -5  # past where it stood at first


def test_the_point_travels_instead_of_jumping(animator: poke2vid.Animator) -> None:
    """After three of ten frames it has gone a part of the way; flow at frames 3 and 6 is what taught it so."""
    frames = animator.animate(EXAMPLES / "robot.jpg", [POKES["robot"]], frames=10).frames
    tracker, place = build_estimator("dis"), Poke((293, 55), (0, 0))
    third, end = (scores.arrival(torch.from_numpy(tracker(frames[0], frames[i])), place)[0] - 293 for i in (3, 10))
    assert 0 < third < 0.6 * end


def test_a_linear_probe_reads_the_pokes_length_off_phi() -> None:
    """R2 above 0.9 on held-out pokes of 1 to 10 pixels anywhere, in any direction."""
    model = load_model(PAPER_BASE).model
    generator = torch.Generator().manual_seed(0)
    place, angle, length = torch.rand(3, 2000, generator=generator).unbind()
    length, angle = 1 + 9 * length, 2 * torch.pi * angle
    y = torch.rand(2000, generator=generator)
    maps = torch.stack([
        pokes.rasterise([Poke((float(4 + 55 * u), float(4 + 55 * v)), (float(r * a.cos()), float(r * a.sin())))], 64)
        for u, v, r, a in zip(place, y, length, angle, strict=True)
    ])  # fmt: skip
    with torch.no_grad():
        phi = model.encode_poke(maps) - model.encode_poke(torch.zeros(1, 3, 64, 64))
    features = torch.cat(
        (phi.abs().mean((2, 3)), phi.square().mean((2, 3)), phi.amax((2, 3)), phi.amin((2, 3)), torch.ones(2000, 1)),
        dim=1,
    )
    features = features / features.norm(dim=0).clamp_min(1e-6)
    train, test = slice(0, 1500), slice(1500, 2000)
    gram = features[train].T @ features[train] + 1e-6 * torch.eye(features.shape[1])
    weights = torch.linalg.solve(gram, features[train].T @ length[train])
    error = (features[test] @ weights - length[test]).square().mean()
    assert float(1 - error / length[test].var()) > 0.9


def test_the_example_pictures_are_whole() -> None:
    for name in (*POKES, "fly"):
        assert min(read_picture(EXAMPLES / f"{name}.jpg").shape[:2]) >= 320
