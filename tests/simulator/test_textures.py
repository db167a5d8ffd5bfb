"""The simulator's surfaces and surroundings: what a seed decides, what every kind looks like, and what no picture may be."""

from collections.abc import Callable
from typing import get_args

import cv2
import numpy as np
import pytest

from poke2vid.simulator.looks import backdrops, textures
from poke2vid.types import InputError

SURFACES = ("leaf", "stem", "bark", "pot", "wood", "metal", "plastic", "cloth", "paper", "skin", "hair", "face")
KINDS = [
    *((textures.leaf, kind) for kind in get_args(textures.LeafKind)),
    *((textures.pot, kind) for kind in get_args(textures.PotKind)),
    *((textures.cloth, kind) for kind in get_args(textures.ClothKind)),
    *((textures.paper, kind) for kind in get_args(textures.PaperKind)),
    *((backdrops.backdrop, kind) for kind in get_args(backdrops.BackdropKind)),
    *((backdrops.floor, kind) for kind in get_args(backdrops.FloorKind)),
]
MAKERS: dict[str, Callable[..., np.ndarray]] = {
    **{name: getattr(textures, name) for name in SURFACES},
    "backdrop": backdrops.backdrop,
    "floor": backdrops.floor,
}


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_decides_the_picture(name: str):
    make = MAKERS[name]
    first, second = make(seeded(1), size=64), make(seeded(1), size=64)
    assert first.tobytes() == second.tobytes()
    assert first.shape == (64, 128 if name == "face" else 64, 3)
    assert first.dtype == np.uint8
    others = [make(seeded(seed), size=64) for seed in (2, 3)]
    assert all(np.abs(first.astype(int) - other).mean() > 0.5 for other in others)


@pytest.mark.parametrize(("make", "kind"), KINDS, ids=lambda value: getattr(value, "__name__", value))
def test_every_kind_is_a_picture_with_something_on_it(make: Callable[..., np.ndarray], kind: str):
    pictures = [make(seeded(seed), kind=kind, size=96) for seed in range(3)]
    assert all(picture.shape == (96, 96, 3) for picture in pictures)
    assert all(picture.std(axis=(0, 1)).max() > 0.5 for picture in pictures)
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 1


@pytest.mark.parametrize(("table", "make"), [("_BACKDROPS", backdrops.backdrop), ("_FLOORS", backdrops.floor)])
def test_chance_reaches_every_kind(table: str, make: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch):
    drawn = []

    def recorder(kind: str) -> Callable[..., np.ndarray]:
        def compose(rng: np.random.Generator, side: int) -> np.ndarray:
            drawn.append(kind)
            return np.full((side, side, 3), 0.5, dtype=np.float32)

        return compose

    kinds = set(getattr(backdrops, table))
    monkeypatch.setattr(backdrops, table, {kind: recorder(kind) for kind in kinds})
    rng = seeded(0)
    for _ in range(120):
        make(rng, size=16)
    assert set(drawn) == kinds


def octave_power(noise: np.ndarray) -> np.ndarray:
    """The amplitude within each octave of frequency, coarsest first, from 2 cycles a side on."""
    side = noise.shape[0]
    spectrum = np.abs(np.fft.fft2(noise - noise.mean())) ** 2
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side) * side] * 2))
    bands = [2.0**k for k in range(1, int(np.log2(side)))]
    return np.sqrt([spectrum[(low <= frequency) & (frequency < 2 * low)].sum() for low in bands])


def test_noise_has_all_its_octaves_and_no_more():
    power = np.mean(
        [octave_power(textures.fractal(seeded(seed), (128, 128), octaves=6, cells=4)) for seed in range(8)], 0
    )
    ratios = power[1:] / power[:-1]
    assert ((ratios > 0.3) & (ratios < 1.3)).all(), "every octave is there, each weaker than the one before or so"
    smooth = np.mean(
        [octave_power(textures.fractal(seeded(seed), (128, 128), octaves=1, cells=4)) for seed in range(8)], 0
    )
    assert smooth[-1] / smooth[0] < 0.02 < power[-1] / power[0]


def test_noise_shows_no_lattice():
    """Blocks would make the step across a cell's border larger, or smaller, than the steps within cells."""
    noise = np.stack([textures.fractal(seeded(seed), (128, 128), octaves=2, cells=8) for seed in range(16)])
    steps = np.abs(np.diff(noise, axis=2)).mean(axis=(0, 1))
    phases = np.array([steps[k::8].mean() for k in range(8)])
    assert phases.max() / phases.min() < 1.3


def test_noise_is_seamless_centred_and_in_range():
    noise = textures.fractal(seeded(0), (128, 128), cells=4)
    within, across = np.abs(np.diff(noise, axis=1)).mean(), np.abs(noise[:, 0] - noise[:, -1]).mean()
    assert across < 1.5 * within
    assert 0 <= noise.min() < 0.1 and 0.9 < noise.max() <= 1
    assert noise.mean() == pytest.approx(0.5, abs=0.02)
    assert noise.dtype == np.float32


def test_stretched_noise_is_streaks():
    noise = textures.fractal(seeded(0), (100, 60), cells=8, stretch=(6, 1))
    assert noise.shape == (100, 60)
    assert np.abs(np.diff(noise, axis=1)).mean() > 3 * np.abs(np.diff(noise, axis=0)).mean()


@pytest.mark.parametrize("material", get_args(textures.Material))
def test_natural_colours_are_muted(material: textures.Material):
    rng = seeded(0)
    colours = np.array([[textures.natural(rng, material) for _ in range(200)]], dtype=np.float32)
    chroma = np.hypot(*np.moveaxis(cv2.cvtColor(colours, cv2.COLOR_RGB2Lab)[0, :, 1:], -1, 0))
    assert chroma.max() < 52
    assert colours.std(axis=1).max() > 0.02, "they vary"
    assert colours.min() >= 0 and colours.max() <= 1


def test_leaves_are_mostly_green_and_their_undersides_paler():
    tops = np.array([textures.leaf(seeded(seed), kind="plain", size=32).mean(axis=(0, 1)) for seed in range(40)])
    unders = np.array(
        [textures.leaf(seeded(seed), kind="plain", underside=True, size=32).mean(axis=(0, 1)) for seed in range(40)]
    )
    assert (tops.argmax(axis=1) == 1).mean() > 0.7
    assert (unders.mean(axis=1) > tops.mean(axis=1)).mean() > 0.95


def test_the_face_looks_out_of_the_middle_column():
    """The whites of the eyes lie in front; hair covers the crown and the back."""
    head = textures.face(seeded(0), textures.lch(50, 24, 55), textures.lch(15, 5, 60), size=64).astype(int)
    brightest = np.unravel_index(head.sum(axis=2).argmax(), (64, 128))
    assert 24 <= brightest[0] <= 40 and 44 <= brightest[1] <= 84
    assert head[:8].mean() < 0.6 * head[40:, 56:72].mean()
    assert head[:24, :16].mean() < 0.6 * head[40:, 56:72].mean()


@pytest.mark.parametrize("kind", get_args(backdrops.FloorKind))
def test_the_floors_shadow_darkens_the_middle_and_not_the_rim(kind: backdrops.FloorKind):
    bare = backdrops.floor(seeded(4), 128, kind=kind).astype(int)
    shaded = backdrops.floor(seeded(4), 128, shadow=0.15, kind=kind).astype(int)
    y, x = np.mgrid[:128, :128]
    far = np.hypot(y - 63.5, x - 63.5) / 128
    assert (bare[far > 0.31] == shaded[far > 0.31]).all()
    share = [shaded[(low <= far) & (far < low + 0.03)].sum() / bare[(low <= far) & (far < low + 0.03)].sum() for low in
             (0.0, 0.1, 0.15, 0.2, 0.28)]  # fmt: skip
    assert share[0] < 0.6
    assert (np.diff(share) > 0).all() and share[-1] > 0.97


@pytest.mark.parametrize("kind", get_args(backdrops.BackdropKind))
def test_backdrops_are_out_of_focus_and_not_garish(kind: backdrops.BackdropKind):
    for seed in range(3):
        picture = backdrops.backdrop(seeded(seed), 256, kind=kind).astype(np.float32) / 255
        small = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)
        assert np.abs(np.diff(small.mean(axis=2), axis=1)).max() < 0.4, "no edge as hard as a focused one"
        chroma = np.linalg.norm(cv2.cvtColor(small, cv2.COLOR_RGB2Lab)[..., 1:], axis=-1)
        assert chroma.mean() < 40


def test_a_photograph_becomes_a_blurred_part_of_itself():
    photo = np.zeros((90, 140, 3), dtype=np.uint8)
    photo[..., 0] = 200 * (np.indices((90, 140)).sum(axis=0) % 2)
    picture = backdrops.photo_backdrop(seeded(0), photo, 128)
    assert picture.shape == (128, 128, 3)
    assert picture.tobytes() == backdrops.photo_backdrop(seeded(0), photo, 128).tobytes()
    assert picture[..., 0].mean() > 60 > 20 > picture[..., 1:].mean(), "red as the photograph is"
    assert picture[..., 0].std() < 40, "its chequers are gone"


@pytest.mark.parametrize("shape", [(8, 8), (9, 300), (300, 9)])
def test_the_smallest_photographs_work(shape: tuple[int, int]):
    photo = np.full((*shape, 3), 128, dtype=np.uint8)
    assert backdrops.photo_backdrop(seeded(0), photo, 64).shape == (64, 64, 3)


def test_too_small_a_photograph_is_refused_in_one_sentence():
    with pytest.raises(InputError, match=r"^A photograph of 40 x 7 pixels is too small .* at least 8 pixels a side\.$"):
        backdrops.photo_backdrop(seeded(0), np.zeros((7, 40, 3), dtype=np.uint8))
