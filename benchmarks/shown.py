"""Results as text: printed, and written where they are asked for."""

from collections.abc import Sequence
from pathlib import Path

from poke2vid.files import atomic


def show(lines: Sequence[str], out: Path | None) -> None:
    """Prints lines, and writes them to `out` if that is given."""
    print("\n".join(lines))
    if out:
        with atomic(out) as file:
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
