"""Which room may know what: read from the sources, and from what an import really brings along."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
ROOMS = {path.relative_to(HERE / "photosearch"): path for path in (HERE / "photosearch").rglob("*.py")}
ONLY = {  # a package -> the rooms of photosearch that may import it
    "typer": {"cli.py"},
    "click": set(),
    "rich": {"cli.py"},
    "sqlite_utils": {"store.py"},
    "onnxruntime": {"model.py"},
    "PIL": {"photos.py", "doctor.py", "sheet.py"},
    "pillow_heif": {"photos.py"},
    "blake3": {"photos.py"},
    "matplotlib": {"sheet.py", "plot.py"},
    "torch": set(),
    "onnx": set(),
    "train": set(),
    "pooch": set(),
    "requests": set(),
    "scipy": set(),
    "pickle": set(),  # a database or a photo that was tampered with must never become code
    "socket": {"store.py"},  # for the name of the machine
    "urllib": set(),
    "http": set(),
}


def imports(path: Path, *, at_top: bool = False) -> set[str]:
    """The names that a file imports, in full; at_top: only what the import of the file itself brings along."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if at_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def packages(path: Path, *, at_top: bool = False) -> set[str]:
    return {name.partition(".")[0] for name in imports(path, at_top=at_top)}


@pytest.mark.parametrize("package", ONLY)
def test_a_package_is_known_only_where_it_belongs(package):
    assert {str(room) for room, path in ROOMS.items() if package in packages(path)} <= ONLY[package]


def test_what_is_slow_to_import_waits_until_it_is_needed():
    for room, path in ROOMS.items():
        assert not packages(path, at_top=True) & {"onnxruntime", "pillow_heif", "matplotlib"}, room


def test_the_rooms_import_each_other_in_one_direction():
    knows = {
        str(room): {f"{name.split('.')[1]}.py" for name in imports(path) if name.startswith("photosearch.")} & {
            str(r) for r in ROOMS}
        for room, path in ROOMS.items()
    }  # fmt: skip
    done: set[str] = set()
    while ready := {room for room in knows if room not in done and knows[room] - {room} <= done}:
        done |= ready
    assert done == set(knows), f"a circle among {sorted(set(knows) - done)}"
    assert not {room for room in knows if "cli.py" in knows[room]} - {"__main__.py"}
    assert not knows["photos.py"] & {"model.py", "store.py", "index.py"}


@pytest.mark.parametrize(
    ("module", "kept_out"),
    [
        ("photosearch.cli", {"numpy", "PIL", "onnxruntime", "sqlite_utils", "photosearch.store", "rich.progress"}),
        ("photosearch.query", {"numpy", "PIL", "sqlite_utils", "typer"}),
        ("photosearch.photos", {"onnxruntime", "pillow_heif", "sqlite_utils", "typer"}),
        ("photosearch.decoders", {"onnxruntime", "pillow_heif", "sqlite_utils", "typer", "photosearch.store"}),
        ("photosearch.index", {"onnxruntime", "pillow_heif", "typer", "rich", "torch", "onnx", "matplotlib"}),
        ("photosearch.store", {"onnxruntime", "PIL.ImageCms", "typer", "rich", "torch"}),
    ],
)
def test_an_import_brings_no_more_along_than_it_must(module, kept_out):
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=HERE)
    assert not set(json.loads(run.stdout)) & kept_out


def test_no_room_is_named_after_nothing():
    folders = [HERE / "photosearch", HERE / "train", HERE / "tests"]
    names = {path.stem for folder in folders for path in folder.rglob("*") if path.suffix in (".py", "")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "shared"}


def test_every_room_says_what_it_is():
    for room, path in ROOMS.items():
        text = ast.get_docstring(ast.parse(path.read_text()))
        assert text, f"{room} has no docstring"


def test_every_room_is_used():
    used = {name for path in [*ROOMS.values(), *(HERE / "train").rglob("*.py")] for name in imports(path)}
    entries = {"cli", "__init__", "__main__"}
    assert not [room for room in ROOMS if room.stem not in entries and f"photosearch.{room.stem}" not in used]
