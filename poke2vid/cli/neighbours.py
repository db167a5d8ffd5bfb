"""The command `neighbours`: the training frames that are nearest to a picture."""

from pathlib import Path
from typing import Annotated

import typer

from poke2vid.cli.options import PaperModelOption


def neighbours(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures of any size.")],
    data: Annotated[Path, typer.Option("--data", help="A store made by `prepare` or `simulate --store`.")],
    output: Annotated[
        list[Path],
        typer.Option("-o", "--output", help="png: every picture beside its neighbours; json: numbers. Repeatable."),
    ],
    model: PaperModelOption = None,
    split: Annotated[str, typer.Option("--split", help="Whose frames are searched: train or test.")] = "train",
    count: Annotated[
        int, typer.Option("--count", min=1, max=100, help="How many videos, each by its nearest frame.")
    ] = 3,
    index: Annotated[
        Path | None,
        typer.Option("--index", help="Where the index is kept, a .faiss file; default: POKE2VID_CACHE or ~/.cache."),
    ] = None,
) -> None:
    """Find the training frames that a picture is nearest to, as the object encoder sees them."""
    from poke2vid.data.store import Store
    from poke2vid.evaluate.heldout.clips import split_named
    from poke2vid.evaluate.neighbours.index import SUFFIXES, ask, open_index, write_answers
    from poke2vid.files import MANIFEST, check_suffixes, keep_apart
    from poke2vid.model.files import load_model, use_suitable_threads

    check_suffixes(output, SUFFIXES)
    keep_apart((*images, data, model), output)
    if index is not None and index.suffix == ".faiss":  # another name is refused later; a description lies beside it
        keep_apart((*images, model), (index,))
        keep_apart((*images, model, data / MANIFEST), (index.with_suffix(".json"),))
    part = split_named(split)
    store, loaded = Store.open(data), load_model(model)
    use_suitable_threads(loaded.model)
    found = open_index(loaded, store, part, index)
    answers = ask(found, images, count, loaded.model.resolution)
    for answer in answers:
        for neighbour, _ in answer.neighbours:
            print(f"{answer.name}: {neighbour.video} frame {neighbour.frame}, distance {neighbour.distance:.3f}")
    for path in output:
        write_answers(path, answers, loaded, store, part)
    print(f"{len(found)} frames searched -> {', '.join(map(str, output))}")
