"""A scene cache: the truth is computed once for all players that are measured against it."""

import functools

from poke2vid.pokebench.scene import TrueScene


class SceneCache:
    """A `TrueScene` that keeps flows and visibility: 4 MB for a scene of PokeBench. Frames are read anew."""

    def __init__(self, scene: TrueScene) -> None:
        self.name, self.family, self.digest = scene.name, scene.family, scene.digest
        self.pokes, self.first, self.part_ids = scene.pokes, scene.first, scene.part_ids
        self.frames = scene.frames
        self.flow, self.visible = functools.cache(scene.flow), functools.cache(scene.visible)
