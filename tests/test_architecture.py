"""The house rules that no other test would notice: who may import whom, what is never imported, and how long things get."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import poke2vid

PACKAGE = Path(poke2vid.__file__).parent
MAX_FILE, MAX_FUNCTION, MAX_INIT = 400, 80, 30  # lines

# A module imports from the layers above its own, and from its own folder. A name stands for a loose module or a whole folder.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("poke2vid",),  # the public names; they are looked up when first used
    ("types",),
    ("files", "geometry", "pokes", "processes", "pretrained"),
    ("flow", "losses", "media", "model"),
    ("baselines", "simulator", "tracking"),
    ("data", "measures"),
    ("live", "pokebench", "train"),
    ("players",),
    ("evaluate", "export"),
    ("serve",),
    ("cli",),
    ("__main__",),
)
MOST_LOOSE = 8  # modules that lie in no folder: the paper's values and equations, atomic files, processes
DATA_CODE = {"media", "data", "simulator", "processes", "pokes"}
CODECS = {"av", "cv2", "PIL"}
NEVER = {"torchvision", "timm", "lpips", "lightning", "pytorch_lightning", "kornia", "pickle", "dill", "joblib"}


@cache
def trees() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name below it; the package itself is "poke2vid"."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "poke2vid"
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """Full names of all that a module imports, also within functions: `a.b` for `from a import b` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def foreign(module: str) -> set[str]:
    """The other packages that a module imports, by their first name."""
    return {name.split(".")[0] for name in imported(trees()[module])} - {"poke2vid"}


@cache
def ours(module: str) -> set[str]:
    """The modules of the package that a module imports."""
    found = set()
    for name in imported(trees()[module]):
        if name.split(".")[0] != "poke2vid":
            continue
        below = name.removeprefix("poke2vid").removeprefix(".")
        while below and below not in trees():
            below = below.rpartition(".")[0]  # the name of a function or class
        found.add(below or "poke2vid")
    return found - {module}


@cache
def reached(module: str) -> dict[str, tuple[str, ...]]:
    """Every module that comes with one, with the chain of imports that brings it."""
    chains = {module: (module,)}
    queue = [module]
    for current in queue:
        for other in sorted(ours(current) - chains.keys()):
            chains[other] = (*chains[current], other)
            queue.append(other)
    return chains


def layers_of(module: str) -> list[int]:
    return [number for number, names in enumerate(LAYERS) if module.split(".")[0] in names]


def folder_of(module: str) -> str:
    """The sub-package that a module belongs to; a module of the package itself is its own."""
    return module.split(".")[0]


# Who may import whom


def test_every_module_has_exactly_one_layer_and_every_layer_has_modules():
    assert {module: layers_of(module) for module in trees() if len(layers_of(module)) != 1} == {}
    tops = {folder_of(module) for module in trees()}
    assert {name for names in LAYERS for name in names} == tops


def test_a_folder_is_a_stage_and_few_modules_lie_loose():
    assert len([path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]) <= MOST_LOOSE


def test_contributors_read_the_same_table():
    written = (
        (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8").split("### Layers\n\n")[1].split("\n\n")[0]
    )
    assert [tuple(line.split()) for line in written.splitlines()] == list(LAYERS[1:])


def test_imports_go_one_way():
    against = [
        f"{module} imports {other}"
        for module in trees()
        for other in ours(module)
        if folder_of(module) != folder_of(other) and layers_of(other) >= layers_of(module)
    ]
    assert against == []


def test_no_two_modules_need_each_other():
    circles = [
        " -> ".join((*chain, module))
        for module in trees()
        for other, chain in reached(module).items()
        if other != module and module in ours(other)
    ]
    assert circles == []


def test_the_imports_of_functions_are_seen_too():
    assert "flow.classical" in ours("flow.estimator")  # which imports it where it is chosen
    called = set().union(*(ours(module) for module in trees() if folder_of(module) == "cli"))
    assert {"live.animate", "train.loop", "evaluate.heldout.evaluate"} <= called


def test_model_and_losses_know_nothing_of_data_and_codecs():
    roots = [module for module in trees() if folder_of(module) in ("model", "losses")]
    assert len(roots) > 5
    found = []
    for root in roots:
        for module, chain in reached(root).items():
            found += [" -> ".join(chain)] if folder_of(module) in DATA_CODE else []
            found += [" -> ".join((*chain, name)) for name in foreign(module) & CODECS]
    assert found == []


def test_only_the_folder_media_knows_the_codec_library():
    assert {folder_of(module) for module in trees() if "av" in foreign(module)} == {"media"}


# What an import costs


def python(code: str) -> str:
    """Output of code in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_and_its_command_line_loads_nothing_heavy():
    heavy = ["torch", "numpy", "cv2", "av", "PIL", "pydantic", "safetensors"]
    assert python(f"import sys, poke2vid, poke2vid.cli; print([m for m in {heavy} if m in sys.modules])") == "[]"


BLOCKED = """
import importlib, sys, traceback

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("av", "pydantic", "mujoco"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
for name in MODULES:
    try:
        importlib.import_module(f"poke2vid.{name}")
    except ModuleNotFoundError as error:
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        print(f"{name}: {error} by {' -> '.join(f.split('poke2vid/')[-1] for f in files if 'poke2vid/' in f)}")
"""


def test_a_training_node_needs_no_codec_no_parser_and_no_physics():
    training = [m for m in trees() if folder_of(m) in ("model", "losses", "pretrained", "train")]
    assert "train.loop" in training
    assert python(BLOCKED.replace("MODULES", repr(training))) == ""


# What is never written


@pytest.mark.parametrize("module", sorted(trees()))
def test_the_capital_f_is_the_dynamics_and_never_a_library(module):
    aliases = [
        f"line {node.lineno}"
        for node in ast.walk(trees()[module])
        if isinstance(node, ast.Import | ast.ImportFrom) and any(alias.asname == "F" for alias in node.names)
    ]
    assert aliases == []


def test_libraries_that_break_installations_or_run_code_from_files_are_not_used():
    assert {module: foreign(module) & NEVER for module in trees() if foreign(module) & NEVER} == {}


def test_tensors_of_others_are_loaded_as_tensors_only():
    calls = [
        (module, node)
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "load_state_dict_from_url")
    ]
    assert calls, "weights.py loads public weights, so this looks in the wrong place"
    careless = [
        f"{module}:{node.lineno}"
        for module, node in calls
        if not any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
    ]
    assert careless == []


def test_nothing_is_star_imported_and_no_except_is_bare():
    found = [
        f"{module}:{node.lineno}"
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names))
        or (isinstance(node, ast.ExceptHandler) and node.type is None)
    ]
    assert found == []


RIDDLES = (
    "What",
    "Who",
    "Where",
    "Whether",
    "Which",
    "How",
    "When",
    "Whatever",
    "Whoever",
    "Whose",
    "That",
    "If",
    "Why",
)


def test_a_docstring_opens_with_a_noun_or_a_verb():
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    found = [
        f"{module}:{getattr(node, 'lineno', 1)}"
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, documented) and (ast.get_docstring(node) or "").split(" ")[0] in RIDDLES
    ]
    assert found == []


def test_a_comment_of_the_page_opens_with_a_noun_or_a_verb():
    opening = re.compile(rf"^\s*/?\*\*? ({'|'.join(RIDDLES)})\b")
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in (PACKAGE / "serve" / "static" / "js").rglob("*.js")
        for number, (before, line) in enumerate(pairwise(["", *path.read_text(encoding="utf-8").splitlines()]), 1)
        if opening.match(line) and (line.lstrip().startswith("/**") or before.strip() == "/**")
    ]
    assert found == []


# Tests


def test_tests_lie_in_folders_named_as_those_of_the_package():
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir()}
    of_tests = {p.parent.name for p in Path(__file__).parent.glob("*/test_*.py")}
    assert of_tests <= folders, f"{of_tests - folders} are no folders of the package"
    assert len(of_tests) > 15


# How long things get


def test_a_file_is_read_in_one_sitting():
    lengths = {
        str(p.relative_to(PACKAGE)): len(p.read_text(encoding="utf-8").splitlines()) for p in PACKAGE.rglob("*.py")
    }
    assert {file: length for file, length in lengths.items() if length > MAX_FILE} == {}
    assert lengths["__init__.py"] <= MAX_INIT


def test_a_function_fits_on_a_screen_or_two():
    long = {
        f"{module}.{node.name}": length
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION
    }
    assert long == {}
