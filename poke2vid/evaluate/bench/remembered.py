"""A scene cache: the truth is computed once for all players that are measured against it."""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from poke2vid.pokebench.records import PokeRecord
from poke2vid.pokebench.scene import TrueScene


class RememberedScene:
    """Scene that caches flows and visibility on demand: 4 MB for a scene of PokeBench. Frames are read anew."""

    def __init__(self, scene: TrueScene) -> None:
        self._scene = scene
        self._flows: dict[tuple[int, int], Float32[np.ndarray, "2 h w"]] = {}
        self._visible: dict[tuple[int, int], Bool[np.ndarray, "h w"]] = {}

    @property
    def name(self) -> str:
        return self._scene.name

    @property
    def family(self) -> str:
        return self._scene.family

    @property
    def digest(self) -> str:
        return self._scene.digest

    @functools.cached_property
    def pokes(self) -> Sequence[PokeRecord]:
        return self._scene.pokes

    @functools.cached_property
    def first(self) -> UInt8[np.ndarray, "h w 3"]:
        return self._scene.first

    @functools.cached_property
    def part_ids(self) -> Int32[np.ndarray, "h w"]:
        return self._scene.part_ids

    def frames(self, poke: int) -> UInt8[np.ndarray, "t h w 3"]:
        return self._scene.frames(poke)

    def flow(self, poke: int, frame: int) -> Float32[np.ndarray, "2 h w"]:
        if (poke, frame) not in self._flows:
            self._flows[poke, frame] = self._scene.flow(poke, frame)
        return self._flows[poke, frame]

    def visible(self, poke: int, frame: int) -> Bool[np.ndarray, "h w"]:
        if (poke, frame) not in self._visible:
            self._visible[poke, frame] = self._scene.visible(poke, frame)
        return self._visible[poke, frame]
