"""What tests share: the folder of the real data sets; a user whom permissions bind. Without torch, the tool alone."""

import functools
import gc
import importlib
import importlib.util
import os

# Before NumPy and torch are imported, by a child process too. Tests fill the cores already; threads of small sums spin.
os.environ["OMP_NUM_THREADS"] = "1"

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.testing
from hypothesis import settings

# Temporary folders lie in memory where it has room: each fsync of a library waits 10 ms for a disk, and there are many.
MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4_000_000_000:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

OF_TRAINING = ["train/*", "test_docs.py", "test_benchmarks.py"]
collect_ignore_glob = [] if importlib.util.find_spec("torch") else OF_TRAINING


def pytest_report_header() -> str | None:
    return f"no torch here, so not run: {', '.join(OF_TRAINING)}" if collect_ignore_glob else None


settings.register_profile("whatever the machine does beside", deadline=None)
settings.load_profile("whatever the machine does beside")

# CliRunner builds all commands anew for each call, which takes as long as a short command: once is enough.
typer.testing._get_command = functools.cache(typer.testing._get_command)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported here stays. To look through it for garbage, now and later, takes a second of each process."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reversed", action="store_true", help="in the opposite order, since no test may need another")


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by the markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Who asks for the data sets is marked so. Of several processes none shall be left with a long file at the end."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", ())
        if "data" in item.fixturenames and "data" not in parameters:
            item.add_marker(pytest.mark.data)
    if config.getoption("reversed"):
        items.reverse()
    if hasattr(config, "workerinput"):
        long = Counter(item.path for item in items if any(map(item.get_closest_marker, ("slow", "hostile"))))
        many = Counter(item.path for item in items)
        items.sort(key=lambda item: (-long[item.path], -many[item.path], str(item.path)))


@pytest.fixture(scope="session", autouse=True)
def copied_libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In this process a new library is a copy of one that was made at the start, with an id of its own.

    Making its tables takes longer than most tests. Commands in processes of their own, and migrations, make them.
    """
    from photosearch.library import database

    path = tmp_path_factory.mktemp("library") / "new.db"
    with database.Database(path, create=True) as db:
        (own,) = db.one("SELECT value FROM properties WHERE name = 'id'")
    data, create_private = path.read_bytes(), database.create_private
    assert data.count(own.encode()) == 1

    def create_copy(path: Path) -> None:
        create_private(path)
        if path.stat().st_size == 0:
            path.write_bytes(data.replace(own.encode(), os.urandom(8).hex().encode()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_private", create_copy)
        yield


def pytest_sessionfinish() -> None:
    if "library" in sys.modules:
        sys.modules["library"].close_decoders()


@pytest.fixture(scope="session")
def data():
    """data(name) -> the folder of all data sets, or a skip that says why: `name` is a folder that must be in it."""

    def folder(name: str) -> Path:
        root = os.environ.get("PHOTOSEARCH_DATA")
        if not root:
            pytest.skip("set PHOTOSEARCH_DATA to the folder of the data sets")
        if not (Path(root) / name).exists():
            pytest.skip(f"no {name} in {root}")
        return Path(root)

    return folder


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of one's own, and a user whom permissions bind: root, whom CI often is, passes them all."""
    # Now: nobody may not read all that Python is made of.
    for name in ("numpy.random", "photosearch.judging.marking", "photosearch.search.copies", "photosearch.spares.plan"):
        importlib.import_module(name)
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for path, below, _ in os.walk(folder):
            for name in below:
                Path(path, name).chmod(0o700)
        shutil.rmtree(folder)
