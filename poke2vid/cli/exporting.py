"""The command `export`: a model as ONNX graphs, or as a page that runs it."""

from pathlib import Path
from typing import Annotated

import typer

from poke2vid.cli.options import out_folder


def export(
    model: Annotated[
        Path | None, typer.Argument(help="A model file or a training run's folder; without it the shipped base.")
    ] = None,
    out: Annotated[Path | None, out_folder("Folder for the ONNX graphs and model.json.")] = None,
    web: Annotated[
        Path | None, out_folder("Folder for the whole page with the model, for any web host.", "--web")
    ] = None,
    half: Annotated[bool, typer.Option("--fp16/--no-fp16", help="Half-precision graphs beside the others.")] = True,
) -> None:
    """Write a model as ONNX graphs that are checked against it, or as a page that runs it."""
    from poke2vid.export.run import export_model, export_page
    from poke2vid.files import keep_apart
    from poke2vid.types import InputError

    if out is None and web is None:
        raise InputError("nothing says where to; give --out DIR for the graphs or --web DIR for a page.")
    keep_apart((model,), (out, web))
    if out is not None:
        about = export_model(model, out, half=half)
        for name, graph in about["graphs"].items():
            sizes = [
                f"{graph['bytes'] / 1e6:.2f} MB",
                *([f"{graph['bytes_fp16'] / 1e6:.2f} MB in fp16"] if half else []),
            ]
            print(f"{name:<14}{', '.join(sizes)}")
        for precision, found in about["checks"].items():
            unit = "px of flow" if about["decoder"] in ("motion", "layers") else "of [-1, 1]"
            print(
                f"{precision}: off by {found['step']:g} in a step (limit {found['step_limit']:g}), by {found['rollout']:g} "
                f"{unit} in {found['rollout_frames']} frames (limit {found['rollout_limit']:g})"
            )
        print(f"{about['resolution']} pixels, opset {about['opset']} -> {out}")
    if web is not None:
        written = export_page(model, web, half=half)
        size = sum(path.stat().st_size for path in written)
        print(
            f"{len(written)} files, {size / 1e6:.1f} MB -> {web}; put them on any web host, or: python -m http.server -d {web}"
        )
        print("There its Save dialog has links to send, and a line that shows it within another page.")
