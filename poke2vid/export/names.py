"""What an export is called, for those who only want to know whether a folder is one; imports nothing heavy."""

from pathlib import Path

FORMAT = "poke2vid-onnx"
VERSION, TOUCH_VERSION = 2, 4  # of models of the paper's form, and of those that see what they touch
TOUCH_VERSIONS = (3, TOUCH_VERSION)  # that are read: those of 3 know no maps of what stays where it is put
DESCRIPTION = "model.json"
GRAPHS = ("encode_image", "encode_poke", "step")
LEVELS = ("level_1", "level_2", "level_3", "level_4")  # of what E_phi knows of a picture
TOUCH_GRAPHS = ("encode_image", "encode_touch")


def holds_graphs(path: Path) -> bool:
    """Whether a path given as a model is the folder of an export."""
    return (path / DESCRIPTION).is_file()
