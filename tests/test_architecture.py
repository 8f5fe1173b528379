"""Which room may know what: read from the sources, and from what an import really brings along."""

import ast
import functools
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import photosearch

HERE = Path(__file__).parents[1]
ROOMS = {path.relative_to(HERE / "photosearch"): path for path in (HERE / "photosearch").rglob("*.py")}
NAMES = {room: ".".join(("photosearch", *room.with_suffix("").parts)).removesuffix(".__init__") for room in ROOMS}
ONLY = {  # a package -> the rooms, or files, of photosearch that may import it
    "typer": {"cli"},
    "click": set(),
    "rich": {"cli"},
    "sqlite3": {"library"},
    "sqlite_utils": {"library/schema.py"},
    "onnxruntime": {"models"},
    "tokenizers": {"models"},
    "huggingface_hub": {"models/hub.py"},
    "PIL": {"photos", "doctor.py", "judging/sheet.py", "api"},
    "pillow_heif": {"photos"},
    "pathspec": {"photos/walk.py"},
    "rapidfuzz": {"search/spelling.py"},
    "blake3": {"photos"},
    "matplotlib": {"judging"},
    "jinja2": {"web"},
    "markupsafe": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "textual_image": {"cli/preview.py"},
    "webbrowser": {"cli"},
    "ray": {"engines/ray.py"},
    "pyarrow": {"engines"},
    "fsspec": {"photos/remote.py"},
    "torch": set(),
    "onnx": set(),
    "train": set(),
    "pooch": set(),
    "requests": set(),
    "scipy": set(),
    "pickle": set(),  # a database or a photo that was tampered with must never become code
    # for the name of the machine; to ask whether a cluster answers; to listen on loopback
    "socket": {"library/runs.py", "engines/ray.py", "web/serve.py"},
    "urllib": set(),
    "http": set(),
}
# Each room knows those that stand left of it, and none to its right.
ORDER = ["atomic.py", "errors.py", "query.py", "metadata", "photos", "models", "library", "search", "judging",
         "learning", "index", "engines", "album.py", "keywords.py", "doctor.py", "api", "__init__.py", "web", "cli",
         "__main__.py"]  # fmt: skip

# A room -> what of photosearch it may import, types included; the rest through names that `photosearch` exports.
THROUGH_THE_FACADE = {
    "web": {"photosearch.atomic", "photosearch.errors", "photosearch.web"},
    "cli": {"photosearch.errors", "photosearch.cli", "photosearch.web"},
}

PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
SCRIPTS = {script.replace(":", ".") for script in PROJECT["scripts"].values()}  # photosearch.cli.app.main
UNUSED = {  # what the product itself refers to nowhere, each with its reason
    # What a query means, in plain Python: tests hold the SQL of library/matching.py against it.
    "photosearch.query.matches",
    "photosearch.query.score",
}


def room_of(path: Path) -> str:
    return str(path) if len(path.parts) == 1 else path.parts[0]


@functools.cache
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
def test_package_is_imported_only_where_allowed(package):
    found = {room for room, path in ROOMS.items() if package in packages(path)}
    assert not {str(room) for room in found if not {str(room), room_of(room)} & ONLY[package]}


def test_slow_packages_are_imported_lazily():
    for room, path in ROOMS.items():
        assert not packages(path, at_top=True) & {"onnxruntime", "pillow_heif", "matplotlib", "tokenizers"}, room


def test_imports_point_in_one_direction():
    wrong = []
    for path, file in ROOMS.items():
        for name in imports(file):
            if name.startswith("photosearch.") and name != "photosearch.__version__":
                part = name.split(".")[1]
                other = part if part in ORDER else f"{part}.py"
                if other in ORDER and ORDER.index(other) > ORDER.index(room_of(path)):
                    wrong.append(f"{path} imports {name}")
    assert not wrong


@pytest.mark.parametrize("room", THROUGH_THE_FACADE)
def test_room_imports_only_the_facade(room):
    exported = {"photosearch", *(f"photosearch.{name}" for name in photosearch.__all__)}
    wrong = []
    for path, file in ROOMS.items():
        if room_of(path) == room:
            for name in sorted(imports(file)):
                allowed = any(name == other or name.startswith(f"{other}.") for other in THROUGH_THE_FACADE[room])
                if name.partition(".")[0] == "photosearch" and name not in exported and not allowed:
                    wrong.append(f"{path} imports {name}")
    assert not wrong


def test_order_lists_every_room():
    assert {room_of(path) for path in ROOMS} == set(ORDER) - {"__main__.py"} | {
        room_of(path) for path in ROOMS if path.name == "__main__.py"
    }


def test_imports_have_no_cycle():
    knows = {NAMES[room]: imports(path, at_top=True) & set(NAMES.values()) for room, path in ROOMS.items()}
    done = {"photosearch"}  # which imports none of its files by itself
    while ready := {name for name in knows if name not in done and knows[name] - {name} <= done}:
        done |= ready
    assert done == set(knows), f"a circle among {sorted(set(knows) - done)}"


@pytest.mark.parametrize(
    ("module", "kept_out"),
    [
        ("photosearch", {"numpy", "PIL", "onnxruntime", "sqlite3", "typer", "platformdirs"}),
        (
            "photosearch.cli.app",
            {
                "numpy",
                "PIL",
                "onnxruntime",
                "sqlite3",
                "sqlite_utils",
                "rich.progress",
                "starlette",
                "uvicorn",
                "jinja2",
                "textual_image",
            },
        ),
        ("photosearch.query", {"numpy", "PIL", "sqlite3", "typer"}),
        ("photosearch.search.find", {"numpy", "PIL", "sqlite_utils", "typer", "onnxruntime"}),
        ("photosearch.photos.decode", {"onnxruntime", "pillow_heif", "sqlite3", "typer"}),
        ("photosearch.photos.decoders", {"onnxruntime", "pillow_heif", "sqlite3", "typer"}),
        ("photosearch.models.catalog", {"onnxruntime", "numpy", "tokenizers"}),
        ("photosearch.index.infer", {"onnxruntime", "pillow_heif", "sqlite3", "typer", "rich", "torch", "onnx"}),
        ("photosearch.library.database", {"onnxruntime", "PIL", "typer", "rich", "torch", "sqlite_utils", "numpy"}),
    ],
)
def test_import_of_module_loads_nothing_heavy(module, kept_out):
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    alone = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}  # it imports, too
    python = [sys.executable, "-P", "-c", code]
    run = subprocess.run(python, capture_output=True, text=True, check=True, cwd=HERE, env=alone)
    assert not set(json.loads(run.stdout)) & kept_out


def test_no_file_has_a_meaningless_name():
    folders = [HERE / "photosearch", HERE / "train", HERE / "tests"]
    names = {path.stem for folder in folders for path in folder.rglob("*") if path.suffix in (".py", "")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "shared"}


def test_every_file_has_a_docstring():
    for room, path in ROOMS.items():
        text = ast.get_docstring(ast.parse(path.read_text()))
        assert text, f"{room} has no docstring"


@functools.cache
def references(room: Path) -> set[str]:
    """The full names that a file of photosearch refers to; a definition that refers to itself does not count."""
    tree = ast.parse(ROOMS[room].read_text())
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    known = {(alias.asname or alias.name, f"{node.module}.{alias.name}") for node in froms for alias in node.names}
    found = set()
    for statement in tree.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name | ast.Attribute):
                head, dot, rest = ast.unparse(node).partition(".")
                if head != getattr(statement, "name", None):
                    found |= {f"{NAMES[room]}.{head}"} | {full + dot + rest for name, full in known if name == head}
    return found


def is_command(definition: ast.stmt) -> bool:
    """Whether Typer calls it."""
    return any(ast.unparse(d).partition("(")[0].endswith((".command", ".callback")) for d in definition.decorator_list)


def test_product_imports_every_file():
    """A benchmark, a lesson or a test that imports a file does not make it used."""
    used = {name for room, path in ROOMS.items() for name in imports(path) if name != NAMES[room]}
    entry_points = {script.rpartition(".")[0] for script in SCRIPTS}
    unused = {NAMES[room] for room in ROOMS if room.stem != "__init__"} - used - entry_points
    assert not unused


def test_product_uses_every_public_function_and_class():
    """What photosearch exports counts as used: it is the Python interface."""
    places = ((name, photosearch._MODULES.get(name, "api.tools").partition(":")) for name in photosearch.__all__)
    exported = {f"photosearch.{module}.{attribute or name}" for name, (module, _, attribute) in places}
    used = exported.union(*map(references, ROOMS))
    definitions = {
        f"{NAMES[room]}.{node.name}"
        for room, path in ROOMS.items()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_" and not is_command(node)
    }
    assert definitions - used - SCRIPTS == UNUSED
