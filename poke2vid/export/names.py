"""Names used in an export, and a quick check for one; imports nothing heavy."""

from pathlib import Path

FORMAT = "poke2vid-onnx"
VERSION, TOUCH_VERSION = 2, 4  # of models of the paper's form, and of those that see what they touch
TOUCH_VERSIONS = (3, TOUCH_VERSION)  # readable ones; version 3 has no maps of what stays where it is put
DESCRIPTION = "model.json"
GRAPHS = ("encode_image", "encode_poke", "step")
DRIVE, REST_DRIVE = "phi", "rest_phi"  # of the paper's form: the drive of F_1, and that of no poke; frozen in files
LEVELS = ("level_1", "level_2", "level_3", "level_4")  # of E_phi's features of a picture
TOUCH_GRAPHS = ("encode_image", "encode_touch")


def holds_graphs(path: Path) -> bool:
    """Tells if a path given as a model is the folder of an export."""
    return (path / DESCRIPTION).is_file()
