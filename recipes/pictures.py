#!/usr/bin/env python3
"""Free photographs for training, from Debian's packages: backgrounds, and cut-outs (animals, plants, things) with transparency.

    recipes/pictures.py WORK

WORK/backgrounds and WORK/cutouts are what `poke2vid simulate --looks wild --backgrounds` and `poke2vid train --cutouts` take.
Which packages and files is in pictures.txt, chosen by eye: no drawings among the cut-outs, nothing that stands out in a
background; with each package stand its licences. Authors are in usr/share/doc/*/copyright, which is kept in WORK/packages.

It needs dpkg-deb, 600 MB for the packages, and poke2vid with pillow-jxl-plugin. A package that the mirror has replaced by a
newer one is named and left out; the others are checked by sha256.
"""

import hashlib
import importlib
import subprocess
import sys
import urllib.request
from pathlib import Path

from PIL import Image
from tqdm import tqdm

MIRROR = "http://deb.debian.org/debian/pool/main/"
SIDE = {"backgrounds": 768, "cutouts": 320}  # pixels: of the shorter side, of the longer one


def unpacked(package: str, where: str, sha256: str, work: Path) -> Path | None:
    """A package's files, fetched unless they are there; None if the mirror has it no more."""
    folder = work / "packages" / package
    if folder.is_dir():
        return folder
    file = f"{package.replace('4%3a', '')}_all.deb"  # without the epoch, as the pool names it
    try:
        with urllib.request.urlopen(f"{MIRROR}{where}/{file}") as answer:
            data = answer.read()
    except OSError as error:
        print(f"{file} is not to be had ({error}); go on without it.", file=sys.stderr)
        return None
    if hashlib.sha256(data).hexdigest() != sha256:
        sys.exit(f"{file} is not what it was; its sha256 should be {sha256}.")
    archive = work / "packages" / file
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(data)
    partial = folder.with_suffix(".partial")
    subprocess.run(["dpkg-deb", "-x", archive, partial], check=True)
    archive.unlink()
    return partial.rename(folder)


def shrunk(picture: Image.Image, kind: str) -> Image.Image:
    """No larger than training has use for; of a cut-out only what is not transparent."""
    if kind == "cutouts":
        picture = picture.convert("RGBA")
        picture = picture.crop(picture.getchannel("A").getbbox())
        picture.thumbnail((SIDE[kind], SIDE[kind]), Image.Resampling.LANCZOS)
        return picture
    picture = picture.convert("RGB")
    scale = min(1, SIDE[kind] / min(picture.size))
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)


def main(work: Path) -> None:
    importlib.import_module("pillow_jxl")  # teaches Pillow JPEG XL
    listed = [line.split(" ") for line in Path(__file__).with_name("pictures.txt").read_text().splitlines()]
    packages = [row[1:] for row in listed if row[0] == "package"]
    folders = {name: unpacked(name, where, sha256, work) for name, where, sha256, _ in tqdm(packages)}
    chosen = [(kind, package, " ".join(path)) for kind, package, *path in listed if kind != "package"]
    for kind, package, path in tqdm(chosen):
        folder, name = folders[package], f"{package}-{path.split('/', 3)[-1].replace('/', '-')}"
        target = work / kind / f"{name}{'.png' if kind == 'cutouts' else '.jpg'}"
        if folder is None or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(folder / path) as picture:
            partial = target.with_name(f".{target.name}")
            shrunk(picture, kind).save(partial, quality=92)
            partial.rename(target)
    missing = [name for name, folder in folders.items() if folder is None]
    if missing:
        sys.exit(f"without {', '.join(missing)}: the pictures are not quite those that the base has learnt from.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
