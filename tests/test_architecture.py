"""Which room may know what: read from the sources, and from what an import really brings along."""

import ast
import functools
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import photosearch
from photosearch.cli.root import COMMANDS
from photosearch.photos import formats

HERE = Path(__file__).parents[1]
ROOMS = {path.relative_to(HERE / "photosearch"): path for path in (HERE / "photosearch").rglob("*.py")}
NAMES = {room: ".".join(("photosearch", *room.with_suffix("").parts)).removesuffix(".__init__") for room in ROOMS}
ONLY = {  # a package -> the rooms, or files, of photosearch that may import it
    "typer": {"cli"},
    "click": set(),
    "rich": {"cli"},
    # elsewhere a statement would go round the border that turns SQLite's errors into ours
    "sqlite3": {"library/database.py", "library/schema.py", "library/rebuild.py", "library/user_copy.py"},
    "sqlite_utils": {"library/schema.py"},
    "onnxruntime": {"models"},
    "tokenizers": {"models"},
    "huggingface_hub": {"models/hub.py"},
    "PIL": {"photos", "ocr", "doctor.py", "judging/sheet.py", "api"},
    "pillow_heif": {"photos"},
    "pathspec": {"photos/walk.py"},
    "rapidocr": {"ocr"},
    "cv2": {"ocr"},
    "numkong": {"search/vectors.py"},
    "rapidfuzz": {"search/spelling.py"},
    "blake3": {"photos"},
    "matplotlib": {"judging"},
    "jinja2": {"web"},
    "markupsafe": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "watchfiles": {"index/notices.py"},
    "mcp": {"mcp/server.py"},
    "pydantic": {"mcp"},
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
ORDER = ["atomic.py", "errors.py", "query.py", "metadata", "photos", "models", "ocr", "library", "outputs.py", "search",
         "judging", "learning", "index", "engines", "album.py", "archive.py", "spares", "keywords.py", "doctor.py",
         "api", "__init__.py", "web", "mcp", "cli", "__main__.py"]  # fmt: skip

# A room -> what of photosearch it may import, types included; the rest through names that `photosearch` exports.
THROUGH_THE_FACADE = {
    "web": {"photosearch.errors", "photosearch.outputs", "photosearch.web"},
    "mcp": {"photosearch.errors", "photosearch.mcp"},
    "cli": {"photosearch.errors", "photosearch.outputs", "photosearch.cli", "photosearch.web", "photosearch.mcp"},
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
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imports(path: Path, *, at_top: bool = False) -> set[str]:
    """The names that a file imports, in full; at_top: only what the import of the file itself brings along."""
    tree = parse(path)
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
        text = ast.get_docstring(parse(path))
        assert text, f"{room} has no docstring"


@functools.cache
def references(room: Path) -> set[str]:
    """The full names that a file of photosearch refers to; a definition that refers to itself does not count."""
    tree = parse(ROOMS[room])
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    known = {(alias.asname or alias.name, f"{node.module}.{alias.name}") for node in froms for alias in node.names}
    found = set()
    for statement in tree.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name | ast.Attribute):
                head, dot, rest = read_name(node).partition(".")
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
    entry_points |= {f"photosearch.cli.{module}" for module, _ in COMMANDS.values()}
    unused = {NAMES[room] for room in ROOMS if room.stem not in {"__init__", "__main__"}} - used - entry_points
    assert not unused


def test_product_uses_every_public_function_and_class():
    """What photosearch exports counts as used: it is the Python interface."""
    places = ((name, photosearch._MODULES.get(name, "api.tools").partition(":")) for name in photosearch.__all__)
    exported = {f"photosearch.{module}.{attribute or name}" for name, (module, _, attribute) in places}
    used = exported.union(*map(references, ROOMS))
    definitions = {
        f"{NAMES[room]}.{node.name}"
        for room, path in ROOMS.items()
        for node in parse(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_" and not is_command(node)
    }
    assert definitions - used - SCRIPTS == UNUSED


# What creates, replaces or opens a file for writing, by a call's full name or by its last part.
WRITING = {
    *("os.replace", "os.rename", "os.link", "os.symlink", "os.mkdir", "os.makedirs", "os.mkfifo", "os.truncate"),
    *("shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree", "shutil.move", "shutil.copyfileobj"),
    *("sqlite3.connect", "zipfile.ZipFile", "tarfile.open", "filelock.FileLock", "tempfile.mkstemp"),
    *("tempfile.TemporaryFile", "tempfile.NamedTemporaryFile", "tempfile.TemporaryDirectory", "tempfile.mkdtemp"),
}
WRITING_METHODS = {
    *("write_text", "write_bytes", "symlink_to", "hardlink_to", "touch", "mkdir", "rename", "pipe_file", "savefig"),
    *("save", "tofile", "write_table", "to_csv", "dump"),
}
WRITERS = {  # file -> what it calls, and why; what a user names is written by outputs.py alone
    "atomic.py": ("os.open os.link rename mkdir write_bytes shutil.copyfile", "writes aside, then renames"),
    "outputs.py": ("atomic.write_file atomic.make_folder atomic.remove_abandoned atomic.sync_folder mkdir open "
                   "os.makedirs symlink_to write_bytes", "refuses what is not this tool's"),
    "spares/move.py": ("atomic.move_file atomic.remove_abandoned os.makedirs",
                       "moves spare photos by a log; nothing is overwritten"),
    "album.py": ("write_bytes", "into the new file that outputs.py has created"),
    "archive.py": ("open zipfile.ZipFile", "into memory, piece by piece"),
    "keywords.py": ("atomic.write_file write_bytes", "edits side-cars that it has read; refuses links"),
    "cli/albums.py": ("rename", "an album in the library"),
    "cli/output.py": ("os.open", "/dev/null, where stdout can't be written"),
    "doctor.py": ("tempfile.TemporaryDirectory write_bytes save", "a temporary folder"),
    "engines/ray.py": ("tempfile.mkdtemp write_text", "a temporary folder"),
    "engines/shards.py": ("write_table", "into memory"),
    "engines/store.py": ("atomic.write_bytes os.makedirs pipe_file", "in the folder of shards; an object in a bucket"),
    "judging/plot.py": ("savefig", "into memory"),
    "judging/sheet.py": ("save", "into memory"),
    "library/database.py": ("os.open mkdir sqlite3.connect atomic.write_file", "the library and its backups"),
    "library/lock.py": ("filelock.FileLock", "beside the library"),
    "library/rebuild.py": ("sqlite3.connect atomic.write_file os.link os.rename shutil.copy2",
                           "what it knows to be a library"),
    "library/user_copy.py": ("sqlite3.connect atomic.write_file atomic.remove_abandoned", "beside the library"),
    "models/encoders.py": ("write_text", "in the new folder of a model"),
    "models/hub.py": ("open mkdir atomic.write_bytes", "downloads, in the models folder"),
    "models/two_tower.py": ("atomic.make_folder atomic.remove_abandoned mkdir os.link rename shutil.copyfile "
                            "write_text", "new folders in the models folder; one that is there is refused"),
    "photos/thumbnails.py": ("mkdir save atomic.write_bytes", "the cache beside the library"),
    "search/vectors.py": ("atomic.write_file atomic.remove_abandoned open tempfile.TemporaryFile",
                          "the cache beside the library"),
    "web/serve.py": ("open os.open tempfile.TemporaryDirectory", "the browser's way in, in a private temporary folder"),
}  # fmt: skip


def read_name(node: ast.expr) -> str:
    """a.b.c of an attribute of a name; of an attribute of anything else only .c. ast.unparse takes seconds."""
    if isinstance(node, ast.Attribute):
        return f"{read_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def list_writing(room: Path) -> set[str]:
    """The calls of a file that write to the disk."""
    found = set()
    for node in ast.walk(parse(ROOMS[room])):
        if isinstance(node, ast.Attribute) and ((name := read_name(node)) in WRITING or name.startswith("atomic.")):
            found.add(name)
        if not isinstance(node, ast.Call):
            continue
        name = read_name(node.func)
        last = name.rpartition(".")[2]
        if last in WRITING_METHODS and "." in name and name not in WRITING and not name.startswith("atomic."):
            found.add(last)
        elif name == "os.open" and re.search("O_CREAT|O_WRONLY|O_RDWR|CREATE", ast.unparse(node)):
            found.add(name)
        elif last == "open" and name != "os.open":
            modes = [
                a.value for a in (*node.args[:2], *(k.value for k in node.keywords)) if isinstance(a, ast.Constant)
            ]
            if any(isinstance(mode, str) and re.fullmatch("[rbt]*[wax+][rbt+]*", mode) for mode in modes):
                found.add("open")
    return found


def test_every_file_writes_only_what_is_its_own():
    """What an option names goes through outputs.py: add to WRITERS only what writes the tool's own files."""
    found = {str(room): calls for room in ROOMS if (calls := list_writing(room))}
    assert found == {room: set(calls.split()) for room, (calls, _) in WRITERS.items()}


def collect(list_calls: Callable[[Path], set[str]]) -> dict[str, set[str]]:
    """file -> what it calls, of files that call any."""
    return {str(room): found for room in ROOMS if (found := list_calls(room))}


# What reads a whole file, however long, by a call's full name or by its last part.
READING = {"json.load", "csv.reader"}
READING_METHODS = {"read_bytes", "read_text", "readlines"}
READERS = {  # file -> what it calls, and what bounds it; others read pieces, or ask for so many bytes
    "engines/merge.py": ("read", "a method of its own, to whose reader parquet_pages.py is the bound"),
    "judging/csv_rows.py": ("csv.reader", "of lines that are counted and measured"),
    "models/encoders.py": ("read_bytes", "MAX_CARD_BYTES"),
    "models/hub.py": ("read_bytes", "MAX_PULLED_BYTES"),
    "models/layouts.py": ("read_bytes", "MAX_SETTINGS_BYTES"),
    "models/session.py": ("read_bytes", "MAX_MODEL_BYTES"),
    "models/text.py": ("read_bytes", "MAX_TOKENIZER_BYTES"),
    "outputs.py": ("read", "a log that read_log has read"),
    "photos/mounts.py": ("read", "the system's"),
    "photos/thumbnails.py": ("read_bytes", "the cache beside the library"),
    "search/lexicon.py": ("read_text", "comes with photosearch"),
    "search/similar.py": ("read_text", "comes with photosearch"),
    "web/model_pulls.py": ("read", "of a child of ours"),
    "web/rendering.py": ("read_bytes", "comes with photosearch"),
}


def list_reading(room: Path) -> set[str]:
    """The calls of a file that read another one to its end."""
    found = set()
    for node in ast.walk(parse(ROOMS[room])):
        if isinstance(node, ast.Call):
            of, _, last = ast.unparse(node.func).rpartition(".")
            whole = last == "read" and not node.args and of.endswith(("file", "stdin", "stdout", "stream", "response"))
            if ast.unparse(node.func) in READING:
                found.add(ast.unparse(node.func))
            elif (of and last in READING_METHODS) or whole:
                found.add(last)
    return found


def test_no_file_is_read_to_its_end_without_a_bound():
    """Others' files may be of any length: read so many bytes, or say in READERS what is in the way of a longer one."""
    assert collect(list_reading) == {file: set(calls.split()) for file, (calls, _) in READERS.items()}


def test_pictures_are_opened_only_by_the_decoders_that_are_named():
    """Pillow knows some 40 formats, some of which start other programs: https://pillow.readthedocs.io/, ImageFile."""
    opened = {}
    for room in ROOMS:
        for node in ast.walk(parse(ROOMS[room])):
            if isinstance(node, ast.Call) and read_name(node.func).endswith("Image.open"):
                opened.setdefault(str(room), []).extend(keyword.arg for keyword in node.keywords)
    assert opened == {f"photos/{name}.py": ["formats"] for name in ("decode", "formats", "repair")}
    assert set(formats.FORMATS) == {"JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF"}


OPENING = {"open", "io.open", "os.open", "sqlite3.connect", "DecoderPool", "decoders", "ThreadPoolExecutor",
           "mmap.mmap", "subprocess.Popen", "tempfile.TemporaryFile", "tempfile.mkdtemp"}  # fmt: skip
CLOSING = {"close", "shutdown", "kill"}
LEFT_OPEN = {  # file -> what it opens without an end of its own, and who ends it
    "atomic.py": ("os.open", "closed in its finally by os.close"),
    "cli/output.py": ("os.open", "/dev/null, in the place of a standard stream"),
    "engines/ray.py": ("tempfile.mkdtemp", "removed by the engine's close"),
    "engines/worker.py": ("DecoderPool", "for the life of a worker; its close ends them"),
    "library/user_copy.py": ("sqlite3.connect", "given to contextlib.closing"),
    "models/session.py": ("ThreadPoolExecutor", "idle threads, which go with the model"),
    "photos/blocks.py": ("os.open", "given to open"),
    "photos/decode.py": ("os.open", "given to open"),
    "photos/decoders.py": ("subprocess.Popen", "ended by kill"),
    "photos/unsettled.py": ("os.open", "closed in its finally by os.close"),
    "search/vectors.py": ("open", "memory, which VectorMap keeps"),
    "web/index_runs.py": ("subprocess.Popen", "ended by stop; its pipes are closed where it is followed"),
    "web/model_pulls.py": ("subprocess.Popen", "ended by stop; its pipes are closed where it is followed"),
}


def list_left_open(room: Path) -> set[str]:
    """What a file opens neither in a `with` nor to be closed in a `finally`, an `except` or a method named close."""
    tree = parse(ROOMS[room])
    if not any(isinstance(node, ast.Call) and read_name(node.func) in OPENING for node in ast.walk(tree)):
        return set()
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    closed, found = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            ends = [*node.finalbody, *node.handlers]
        else:
            ends = node.body if isinstance(node, ast.FunctionDef) and node.name in ("close", "__exit__") else []
        calls = [call.func for end in ends for call in ast.walk(end) if isinstance(call, ast.Call)]
        closed |= {ast.unparse(c.value) for c in calls if isinstance(c, ast.Attribute) and c.attr in CLOSING}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and read_name(node.func) in OPENING:
            up, is_ended = node, False
            while not (is_ended or isinstance(up, ast.stmt)):
                up = parents[up]
                is_ended = isinstance(up, ast.withitem) or (
                    isinstance(up, ast.Call) and read_name(up.func).endswith(("enter_context", "os.close", "open"))
                )
            targets = up.targets if isinstance(up, ast.Assign) else []
            if not is_ended and not closed & set(map(ast.unparse, targets)):
                found.add(read_name(node.func))
    return found


def test_what_is_opened_is_closed():
    """Also where something fails in between: in a `with`, or by name in a `finally`."""
    assert collect(list_left_open) == {file: set(calls.split()) for file, (calls, _) in LEFT_OPEN.items()}


DURABLE = {"engines/store.py", "keywords.py", "library/user_copy.py"}  # what can't be made again, or others wait for


def test_files_that_must_survive_a_power_cut_say_so():
    found = {
        str(room)
        for room in ROOMS
        for node in ast.walk(parse(ROOMS[room]))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "durable" and ast.unparse(keyword.value) not in ("False", "durable")
    }
    assert found == DURABLE


# Work of minutes, which no second program may do to the same library meanwhile.
LOCKED = {"api/library.py": 3, "library/rebuild.py": 1, "spares/move.py": 2}  # file -> how many functions


def test_long_work_holds_the_librarys_lock():
    found = {}
    for room in ROOMS:
        for node in ast.walk(parse(ROOMS[room])):
            if isinstance(node, ast.withitem) and ast.unparse(node.context_expr).startswith("lock_library("):
                found[str(room)] = found.get(str(room), 0) + 1
    assert found == LOCKED


LONG_WAITS = {  # a constant, or an argument -> seconds, and for what; all others are a minute at most
    "engines/ray.py START_SECONDS": (300, "Ray, on machines that others use too"),
    "index/watch.py WHOLE_SECONDS": (3600, "between two runs over everything"),
    "models/two_tower.py ABANDONED_SECONDS": (86_400, "a model that nobody fills any more"),
    "outputs.py ABANDONED_SECONDS": (86_400, "a folder that nobody fills any more"),
    "photos/unsettled.py WRITER_PATIENCE_SECONDS": (600, "a program that holds a file open"),
    "search/vectors.py ABANDONED_SECONDS": (600, "a map that nobody fills any more"),
    "web/serve.py timeout_keep_alive": (75, "a browser that may ask again"),
}


def read_number(node: ast.expr) -> float | None:
    """What a number, or a calculation of numbers, comes to; None of anything else."""
    parts = [part for part in ast.walk(node) if isinstance(part, ast.expr) and not isinstance(part, ast.BinOp)]
    if all(isinstance(part, ast.Constant) and type(part.value) in (int, float) for part in parts):
        return float(eval(compile(ast.Expression(node), "", "eval")))
    return None


def list_waits(room: Path) -> dict[str, float]:
    """The times that a file names, in seconds: constants at its top, and arguments that are numbers."""
    tree = parse(ROOMS[room])
    named = [(target.id, node.value) for node in tree.body if isinstance(node, ast.Assign)
             for target in node.targets if isinstance(target, ast.Name)]  # fmt: skip
    named += [(node.arg, node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg]
    found = {}
    for name, value in named:
        if re.search(r"(timeout|seconds|_ms)\b|^timeout", name, re.I) and (number := read_number(value)) is not None:
            found[f"{room} {name}"] = number / 1000 if name.lower().endswith("_ms") else number
    return found


def test_nothing_waits_for_more_than_a_minute_unless_it_says_so():
    waits = {wait: seconds for room in ROOMS for wait, seconds in list_waits(room).items()}
    assert waits["library/database.py WAIT_SECONDS"] == 60
    assert {wait: seconds for wait, seconds in waits.items() if seconds > 60} == {
        wait: seconds for wait, (seconds, _) in LONG_WAITS.items()
    }
