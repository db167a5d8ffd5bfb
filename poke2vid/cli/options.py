"""Options that several commands have, and long ones of `tables`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer


def out_folder(help: str, name: str = "--out") -> Any:
    """An option that names a folder to write to; a symbolic link to one that is not there yet is followed."""
    return typer.Option(name, callback=_where_links_lead, help=help)


def _where_links_lead(folder: Path | None) -> Path | None:
    if folder is None or folder.exists() or not folder.is_symlink():
        return folder
    return Path(os.path.realpath(folder))


ModelOption = Annotated[
    Path | None, typer.Option("--model", help="A model file or a training run's folder; without it the shipped base.")
]
PaperModelOption = Annotated[
    Path | None,
    typer.Option("--model", help="A model of the paper's form, or a training run's folder; without it small64."),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights-dir", help="Where public weights lie; else POKE2VID_WEIGHTS or the hub's cache."),
]
SubjectOption = Annotated[
    str,
    typer.Option(
        "--subject", help="auto: a saliency network helps to tell what the object is; none (default): it does not."
    ),
]
LpipsOption = Annotated[
    str | None,
    typer.Option(
        "--lpips",
        help="vgg as in the paper, alex, squeeze, or several with commas; default: all whose weights are here.",
    ),
]
DownloadOption = Annotated[
    bool,
    typer.Option("--download", help="Fetch public weights that are not here: I3D's 47 MB, and what --lpips needs."),
]
EvenlyOption = Annotated[
    bool,
    typer.Option("--evenly", help="Draw clips in turn from each video; else long videos give more of them."),
]
ConfirmedOption = Annotated[
    bool,
    typer.Option(
        "--confirmed", help="Poke where the flow back confirms the store's, as far as a clip has such points."
    ),
]
KeptOption = Annotated[
    Path | None,
    typer.Option(
        "--kept", help="Folder of measured rows, of this or another machine, read and added to; default: OUT/kept."
    ),
]
PublishedOption = Annotated[
    bool,
    typer.Option("--published", help="Train the systems of others with their published settings, not the small ones."),
]
