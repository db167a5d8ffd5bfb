"""A saliency network beside o: it opens and closes the gate where a touch is on the subject, and stands aside elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import poke2vid
from poke2vid.cli import main
from poke2vid.evaluate.structure.correlators import FieldCorrelator, correlator_for
from poke2vid.evaluate.structure.maps import Settings
from poke2vid.live.animator import Animator
from poke2vid.model.files import load_player, save_touch_video
from poke2vid.model.subject import U2Net, WithSubject, with_subject
from poke2vid.model.touch_encoder import TouchConfig
from poke2vid.model.touch_video import TouchVideo, TouchVideoConfig
from poke2vid.pretrained import weights
from poke2vid.serve.heat import heat_of
from poke2vid.types import InputError, Poke

TINY = TouchVideoConfig(touch=TouchConfig(seeing=(8, 16, 16, 16), touching=(8, 16, 16, 16), compared=(8, 8)))
ON, OFF = (40.0, 30.0), (12.0, 30.0)  # in pixels of the field, on the subject and beside it


class Known(TouchVideo):
    """A drawn model that takes the left half for an object, and answers every touch with a shift of everything."""

    def seen(self, x_0):
        mask, levels = super().seen(x_0)
        mask = torch.zeros_like(mask)
        mask[..., :32] = 0.9
        return mask, levels

    def touched(self, levels, at):
        said = torch.zeros_like(super().touched(levels, at))
        said[:, 0, :4] = 1  # dx of p_x
        said[:, 1, 4:] = 1
        return said


def right(x_0: torch.Tensor) -> torch.Tensor:
    """The right half stands out."""
    s = torch.zeros(len(x_0), 1, 64, 64)
    s[..., 32:] = 1
    return s


@pytest.fixture
def model() -> Known:
    torch.manual_seed(0)
    return Known(TINY)


def moved(player, at: tuple[float, float]) -> torch.Tensor:
    state = player.start(torch.zeros(1, 3, 64, 64))
    return player.drive(state, [Poke(at, (4.0, 0.0))], [player.touch(state, at)])[0, 0]


def test_a_touch_of_the_subject_moves_the_subject_and_nothing_else(model: Known) -> None:
    u = moved(WithSubject(model, right), ON)
    assert u[:, 34:].mean() == pytest.approx(4, abs=0.05)
    assert u[:, :31].abs().max() < 1e-4
    assert moved(model, ON).abs().max() < 1e-4, "without a subject there is nothing to hold"


def heat(player, at: tuple[float, float]) -> np.ndarray:
    """The page's heat map of a grey picture."""
    found = heat_of(Animator(player).open(np.full((64, 64, 3), 90, np.uint8)), at)
    while not found.done:
        found.slice()
    return found.map()


def test_a_heat_map_shows_what_a_touch_may_move(model: Known) -> None:
    on, off = heat(WithSubject(model, right), ON), heat(WithSubject(model, right), OFF)
    assert on[:, 34:].min() > 0.99 and on[:, :31].max() < 1e-3
    assert off[:, :31].min() > 0.99 and off[:, 34:].max() < 1e-3
    np.testing.assert_array_equal(off, heat(model, OFF))
    assert heat(model, ON).max() == 0, "without a subject there is nothing to hold"


def test_a_correlation_map_shows_what_a_touch_may_move(model: Known) -> None:
    asked = correlator_for(WithSubject(model, right), Settings(pokes=8))
    canvas = asked.canvas(np.full((64, 64, 3), 90, np.uint8))
    assert isinstance(asked, FieldCorrelator)
    for at, follows, stays in ((ON, np.s_[:, 36:], np.s_[:, :28]), (OFF, np.s_[:, :28], np.s_[:, 36:])):
        found, along = asked.ask(canvas, at).heat, asked.along(canvas, at)
        assert found[follows].min() > 0.9 and found[stays].max() < 0.01
        assert along[follows].min() == pytest.approx(0.5) and along[stays].max() < 1e-3


def test_where_it_doubts_the_touched_point_it_stands_aside(model: Known) -> None:
    with_it, without = moved(WithSubject(model, right), OFF), moved(model, OFF)
    assert without[:, :31].mean() == pytest.approx(4, abs=0.05)
    torch.testing.assert_close(with_it, without, rtol=1e-4, atol=1e-4)


def test_what_is_painted_loose_moves_along_and_what_is_painted_still_does_not(model: Known) -> None:
    """Between the model's object, at the left, and the subject, at the right, lies what neither has seen."""

    def far_right(x_0: torch.Tensor) -> torch.Tensor:
        s = torch.zeros(len(x_0), 1, 64, 64)
        s[..., 44:] = 1
        return s

    at, player = (50.0, 30.0), WithSubject(model, far_right)
    for still, expected in ((False, [4, 4]), (True, [0, 4])):
        state = player.start(torch.zeros(1, 3, 64, 64))
        mask = player.object_of(state).clone()
        mask[..., 34:42] = float(not still)
        mask[..., 58:62] = 0
        state = player.with_object(state, mask)
        torch.testing.assert_close(player.object_of(state), mask)
        u = player.drive(state, [Poke(at, (4.0, 0.0))], [player.touch(state, at)])[0, 0]
        found = [float(u[:, 35:41].mean()), float(u[:, 48:56].mean())]
        assert found == pytest.approx(expected, abs=0.05)
        assert u[:, 58:62].abs().max() < 1e-3 and u[:, :31].abs().max() < 1e-3
    state = player.start(torch.zeros(1, 3, 64, 64))
    mask = player.object_of(state).clone()
    mask[..., 8:16] = 1.0  # loose on the model's object, where the touch then is: it still is no touch of the subject
    state = player.with_object(state, mask)
    u = player.drive(state, [Poke(OFF, (4.0, 0.0))], [player.touch(state, OFF)])[0, 0]
    assert u[:, :31].mean() == pytest.approx(4, abs=0.05) and u[:, 48:].abs().max() < 1e-3


def test_none_is_the_model_itself_and_other_names_are_refused(model: Known) -> None:
    assert with_subject(model, "none") is model
    with pytest.raises(InputError, match="choose one of auto, none"):
        with_subject(model, "whole")
    with pytest.raises(InputError, match="leave --subject away"):
        with_subject(load_player(Path("small64")).model, "auto")


def test_missing_weights_are_one_sentence_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("POKE2VID_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    picture = tmp_path / "picture.png"
    Image.new("RGB", (64, 64)).save(picture)
    command = ["animate", str(picture), "--at", "20,20", "--shift", "5,0", "-o", str(tmp_path / "out.gif")]
    said = told(monkeypatch, capsys, [*command, "--subject", "auto"])
    assert "u2netp.onnx" in said and "--weights-dir" in said and "Traceback" not in said
    mapped = ["correlate", str(picture), "--at", "20,20", "-o", str(tmp_path / "map.png")]
    assert "u2netp.onnx" in told(monkeypatch, capsys, [*mapped, "--subject", "auto"])
    assert "choose one of auto, none" in told(monkeypatch, capsys, [*mapped, "--subject", "whole"])
    assert "--engine server" in told(monkeypatch, capsys, ["serve", "--subject", "auto"])


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    """Error message of a refused command."""
    monkeypatch.setattr("sys.argv", ["poke2vid", *command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_a_session_with_a_subject_is_saved_and_resumed_by_its_own(model: Known, tmp_path: Path) -> None:
    animator = Animator(WithSubject(model, right))
    session = animator.open(np.full((64, 64, 3), 90, np.uint8))
    session.poke(ON, (4, 0))
    session.step()
    session.save(tmp_path / "session.safetensors")
    again = Animator(WithSubject(model, right)).resume(tmp_path / "session.safetensors")
    assert np.array_equal(again.step(), session.step())
    with pytest.raises(InputError, match="another model"):
        Animator(model).resume(tmp_path / "session.safetensors")


def test_the_published_network_finds_a_ball(shared: Path, tmp_path: Path) -> None:
    picture = Image.new("RGB", (128, 128), (110, 130, 120))
    ImageDraw.Draw(picture).ellipse((50, 40, 100, 90), (220, 60, 30))
    found = U2Net(weights.locate("u2netp", shared / "weights"))
    s = found(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1)
    assert s.shape == (1, 1, 64, 64)
    assert s[0, 0, 32, 37] > 0.9 and s[0, 0, :12, :12].max() < 0.1
    torch.manual_seed(0)
    save_touch_video(tmp_path / "drawn.safetensors", TouchVideo(TINY), {})
    animator = poke2vid.load(tmp_path / "drawn.safetensors", subject="auto", weights_dir=shared / "weights")
    frames = animator.animate(picture, [Poke((75, 65), (10, 0))], frames=2).frames
    assert frames.shape == (3, 128, 128, 3)
