"""What was done on the page is kept: as a script, which page and program play alike, as a video and as a picture."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from browser import wait_for
from page_actions import (
    GRABBED,
    HEIGHT,
    PULL,
    WIDTH,
    come_to_rest,
    downloaded,
    drag,
    open_picture,
    pause,
    shown,
    wait_for_frames,
)
from PIL import Image
from typer.testing import CliRunner

from poke2vid.cli import app
from poke2vid.live.animator import load
from poke2vid.live.script import read_script, replay
from poke2vid.media.pictures import read_picture

pytestmark = pytest.mark.slow


def decoded(data: bytes) -> list[np.ndarray]:
    with av.open(BytesIO(data)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_script_from_the_page_gives_the_program_the_same_frames(page: Any, balls: Path, tmp_path: Path) -> None:
    """Dragged, let go of and poked again mid-motion by a hand, at whatever speed the machine has."""
    open_picture(page, balls)
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 5)
    drag(page, (0.6, 0.6), (-0.07, -0.05))
    wait_for_frames(page, 8)
    pause(page)
    page.mouse.up()  # while paused: that is felt in the next frame, which is not part of the script
    browsers, frames = shown(page), page.evaluate("poke2vid.player.time")
    script = downloaded(page, "json")
    events = read_script(script)
    assert events.frames == frames
    assert {event.type for event in events.events} == {"poke", "drag", "release"}
    last = replay(events, load().open(balls))[-1].picture.astype(int)
    assert np.abs(browsers - read_picture(balls)).mean() > 2
    assert np.abs(browsers - last).mean() < 0.7  # of 255: a texture unit interpolates in steps of 1/256, OpenCV of 1/32
    assert np.quantile(np.abs(browsers - last), 0.999) < 8
    video = tmp_path / "out.mp4"
    done = CliRunner().invoke(
        app, ["animate", str(balls), "--script", str(script), "--plain", "-o", str(video)], catch_exceptions=False
    )
    assert done.exit_code == 0
    *_, final = decoded(video.read_bytes())
    assert np.abs(final.astype(int) - browsers).mean() < 3  # H.264


def test_a_script_is_played_in_the_page_and_a_wrong_one_is_refused_by_the_name_of_its_field(
    page: Any, balls: Path, tmp_path: Path
) -> None:
    open_picture(page, balls)
    path = tmp_path / "pokes.json"
    events = [{"type": "poke", "frame": 0, "at": [150, 140], "shift": [45, -20]}, {"type": "release", "frame": 12}]
    path.write_text(json.dumps({"version": 1, "frames": 14, "events": events}))
    page.set_input_files("#script-file", path)
    wait_for(page, "poke2vid.player.time >= 14 && !poke2vid.player.replayed")
    pause(page)
    written = page.evaluate("poke2vid.script()")
    assert [event["type"] for event in written["events"]] == ["poke", "release"]
    assert written["events"][0]["at"] == [150, 140]
    events[1]["frame"] = 99
    path.write_text(json.dumps({"version": 1, "frames": 14, "events": events}))
    page.set_input_files("#script-file", path)
    page.wait_for_selector("#toast:not([hidden])")
    assert "events.1.frame" in page.inner_text("#toast")


def test_a_poke_ends_a_script_that_plays_and_lets_go_of_what_it_held(page: Any, balls: Path, tmp_path: Path) -> None:
    open_picture(page, balls)
    path = tmp_path / "pokes.json"
    events = [
        {"type": "poke", "frame": 0, "at": [150, 140], "shift": [45, -20], "pointer": 0},
        {"type": "poke", "frame": 3, "at": [150, 140], "shift": [9, 0], "pointer": 0, "kind": "impulse"},
        {"type": "poke", "frame": 5, "at": [300, 140], "shift": [45, -20], "pointer": 1},
    ]
    path.write_text(json.dumps({"version": 1, "frames": 2000, "events": events}))
    page.set_input_files("#script-file", path)
    wait_for(page, "poke2vid.player.time > 8")
    assert page.evaluate("[...poke2vid.player.held.keys()]") == [1]  # an impulse lets its pointer go first
    drag(page, GRABBED, PULL, let_go=True)
    wait_for(page, "poke2vid.player.held.size === 0 && poke2vid.player.felt.size === 0")
    assert page.evaluate("poke2vid.player.replayed") is None
    assert page.is_hidden("#toast")


FAILS_ONCE = """() => {
    const { engine } = poke2vid;
    const step = engine.step.bind(engine);
    engine.step = async (actions) => {
        if (!actions.some(({ type }) => type === 'release')) return step(actions);
        engine.step = step;
        throw new Error('Not now.');
    };
}"""


def test_a_script_whose_step_fails_ends_and_lets_go(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    events = [
        {"type": "poke", "frame": 0, "at": [150, 140], "shift": [45, -20], "pointer": 0, "kind": "shift"},
        {"type": "release", "frame": 6, "pointer": 0},
    ]
    page.evaluate(FAILS_ONCE)
    script = {"version": 1, "image": None, "frames": 20, "events": events}
    assert page.evaluate("(script) => poke2vid.player.replay(script)", script) is True
    page.wait_for_selector("#toast:has-text('Not now.')")
    assert page.evaluate("[poke2vid.player.replayed, poke2vid.player.held.size, poke2vid.player.felt.size]") == [
        None,
        0,
        1,
    ]
    page.evaluate("poke2vid.player.play(true)")
    come_to_rest(page, "poke2vid.player.felt.size === 0")


def test_a_script_does_not_play_on_a_picture_that_could_not_be_put_back(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    drag(page, GRABBED, PULL, let_go=True)
    come_to_rest(page)
    script = page.evaluate("poke2vid.script()")
    page.evaluate("poke2vid.player.setRest({ stiffness: 0.3, momentum: 0.5 })")
    come_to_rest(page)  # a frame that feels it takes an error away
    page.evaluate("() => { poke2vid.engine.open = async () => { throw new Error('Too often.'); }; }")
    assert page.evaluate("(script) => poke2vid.player.replay(script)", script) is False
    assert page.evaluate("poke2vid.player.replayed") is None
    page.wait_for_selector("#toast:has-text('Too often.')")
    assert page.evaluate("poke2vid.player.rest") == {"stiffness": 0.3, "momentum": 0.5}


@pytest.mark.parametrize(
    "kind",
    [pytest.param("webm", marks=pytest.mark.thorough), "mp4", pytest.param("gif-large", marks=pytest.mark.thorough)],
)
def test_what_was_done_is_saved_as_a_video_of_every_frame(page: Any, balls: Path, kind: str) -> None:
    open_picture(page, balls)
    still = shown(page)
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 6)
    pause(page)
    page.mouse.up()
    frames, last = page.evaluate("poke2vid.player.time"), shown(page)
    saved = decoded(downloaded(page, kind).read_bytes())
    assert len(saved) == frames + 1  # the picture at rest comes first
    assert saved[0].shape == (HEIGHT, WIDTH, 3)
    assert np.abs(saved[0].astype(int) - still).mean() < 8
    assert np.abs(saved[-1].astype(int) - last).mean() < 8
    assert np.abs(saved[-1].astype(int) - still).mean() > 2


def test_a_moment_is_saved_at_the_picture_s_own_size(page: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)).resize((900, 1200)).save(large)
    open_picture(page, large)
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 8)
    page.mouse.up()
    with Image.open(downloaded(page, "png")) as saved:
        assert saved.size == (900, 1200)


@pytest.mark.thorough
def test_a_gif_lasts_as_long_as_what_was_done_also_at_the_pace_of_a_screen(
    page: Any, balls: Path, tmp_path: Path
) -> None:
    """Viewers show no more than fifty frames a second."""
    with Image.open(balls) as whole:
        whole.resize((150, 100)).save(tmp_path / "small.png")  # soon encoded
    open_picture(page, tmp_path / "small.png")
    page.evaluate("poke2vid.player.rate = 60")
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 16)  # half a frame too much in each of these would show
    pause(page)
    page.mouse.up()
    frames = page.evaluate("poke2vid.player.time")
    with Image.open(downloaded(page, "gif-large")) as saved:
        delays = []
        for number in range(saved.n_frames):
            saved.seek(number)
            delays.append(saved.info["duration"])
    assert min(delays) >= 20
    assert abs(sum(delays) - 1000 * (frames + 1) / 60) <= 30
