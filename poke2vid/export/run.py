"""The work of `poke2vid export`: graphs for programs, or a whole page for a web host."""

import gzip
from pathlib import Path
from typing import Any

from poke2vid.export.check import Check, check, check_touch
from poke2vid.export.engine import OnnxPlayer, Precision, read_description
from poke2vid.export.folder import FILES, replacing
from poke2vid.export.names import DESCRIPTION, holds_graphs
from poke2vid.export.site import Files, config_json, content, files_json, site_files
from poke2vid.export.skeleton import assemble
from poke2vid.export.touch import digest
from poke2vid.export.touch_engine import OnnxTouchPlayer
from poke2vid.export.write import write_graphs
from poke2vid.files import write_json
from poke2vid.live.law_of_rest import LiveModel
from poke2vid.model.files import ASSETS, LoadedPlayer, load_player
from poke2vid.model.poke_video import PokeVideo
from poke2vid.model.touch_video import TouchVideo
from poke2vid.processes import one_thread
from poke2vid.types import InputError

SKELETONS = (ASSETS / "touch128-onnx", ASSETS / "touch64-onnx")  # graphs in the package, without their weights


def export_model(model: Path | None, out: Path, *, half: bool = True) -> dict[str, Any]:
    """Exports a model's graphs to a folder of their own, once they are checked against the model.

    Returns:
        The contents of `model.json`.

    Raises:
        InputError: if the model cannot be read, `out` holds something else or cannot be written, or a graph does not
            compute what the model does.
    """
    loaded = load_player(model)
    with replacing(out) as fresh:
        return _written(loaded, fresh, half=half)


def _written(loaded: LoadedPlayer, folder: Path, *, half: bool) -> dict[str, Any]:
    about = write_graphs(loaded, folder, half=half)
    write_json(folder / DESCRIPTION, about)
    precisions: tuple[Precision, ...] = ("fp32", "fp16") if half else ("fp32",)
    about["checks"] = {}
    with one_thread():  # so that the numbers do not depend on the program that exports
        for precision in precisions:
            found = _checked(loaded.model, folder, precision)
            _require_passed(found, loaded.path)
            about["checks"][precision] = found.to_json()
    write_json(folder / DESCRIPTION, about)
    return about


def _checked(model: PokeVideo | TouchVideo, folder: Path, precision: Precision) -> Check:
    """Compares the graphs with their model."""
    if isinstance(model, TouchVideo):
        return check_touch(model, OnnxTouchPlayer(folder, precision), precision)
    return check(LiveModel(model), OnnxPlayer(folder, precision), precision)


def _require_passed(found: Check, path: Path) -> None:
    if found.passed:
        return
    numbers = found.to_json()
    remedy = "please report it" if found.precision == "fp32" else "leave half precision out with --no-fp16"
    raise InputError(
        f"in {found.precision} the graphs of {path} are off by {numbers['step']} in one step (limit "
        f"{numbers['step_limit']}) and by {numbers['rollout']} in a rollout (limit {numbers['rollout_limit']}), so nothing "
        f"was written; {remedy}."
    )


def graphs_of(model: Path | None, place: Path, *, half: bool = True) -> Path:
    """A folder with a model's graphs: an export as it is, those of the package's models assembled, others exported.

    Args:
        model: as for `load_model`, or a folder that `poke2vid export` wrote.
        place: where graphs may be made; must not exist yet, or be empty.
        half: True to make graphs in half precision, too.
    """
    if model is not None and holds_graphs(model):
        read_description(model)
        return model
    loaded = load_player(model)
    skeleton = _skeleton_of(loaded.model)
    with replacing(place) as fresh:
        if skeleton is not None:
            assemble(skeleton, loaded.path, fresh)
        else:
            _written(loaded, fresh, half=half)
    return place


def _skeleton_of(model: PokeVideo | TouchVideo) -> Path | None:
    """The graphs without weights that the package has of a model; None if it has none."""
    if not isinstance(model, TouchVideo):
        return None
    weights = digest(model)
    return next((s for s in SKELETONS if s.is_dir() and read_description(s)["weights"] == weights), None)


def export_page(model: Path | None, out: Path, *, half: bool = True) -> list[Path]:
    """Writes the page with its model as static files for any web host, in a folder of their own.

    Returns:
        The written files.

    Raises:
        InputError: as `export_model`.
    """
    with replacing(out) as fresh:
        graphs = graphs_of(model, fresh / "model", half=half)
        files: Files = dict(site_files())
        if graphs != fresh / "model":  # an export that the user named
            files |= {f"model/{path.name}": path for path in sorted(graphs.iterdir()) if path.is_file()}
        else:
            files |= {f"model/{path.name}": path.read_bytes() for path in sorted(graphs.iterdir())}
        files["config.json"] = config_json("browser", exported=True)
        plain = {address.removesuffix(".gz"): _plain(address, source) for address, source in files.items()}
        plain[FILES] = files_json(files, plain)
        for address, data in plain.items():
            path = fresh / address
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return sorted(out / address for address in plain)


def _plain(address: str, source: Path | bytes) -> bytes:
    """A file's uncompressed bytes, because a host of static files does not tell browsers that one is compressed."""
    return gzip.decompress(content(source)) if address.endswith(".gz") else content(source)
