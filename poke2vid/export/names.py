"""What an export is called, for those who only want to know whether a folder is one; imports nothing heavy."""

from pathlib import Path

FORMAT, VERSION = "poke2vid-onnx", 2
DESCRIPTION = "model.json"
GRAPHS = ("encode_image", "encode_poke", "step")


def holds_graphs(path: Path) -> bool:
    """Whether a path given as a model is the folder of an export."""
    return (path / DESCRIPTION).is_file()
