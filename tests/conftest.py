"""What tests share: the folder of the real data sets; a user whom permissions bind. Without torch, the tool alone."""

import functools
import importlib
import importlib.util
import os

# Before NumPy and torch are imported, by a child process too. Tests fill the cores already; threads of small sums spin.
os.environ["OMP_NUM_THREADS"] = "1"

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.testing
from hypothesis import settings

OF_TRAINING = ["train/*", "test_docs.py", "test_benchmarks.py"]
collect_ignore_glob = [] if importlib.util.find_spec("torch") else OF_TRAINING


def pytest_report_header() -> str | None:
    return f"no torch here, so not run: {', '.join(OF_TRAINING)}" if collect_ignore_glob else None


settings.register_profile("whatever the machine does beside", deadline=None)
settings.load_profile("whatever the machine does beside")

# CliRunner builds all commands anew for each call, which takes as long as a short command: once is enough.
typer.testing._get_command = functools.cache(typer.testing._get_command)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by the markers
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Who asks for the data sets is marked so."""
    for item in items:
        if "data" in item.fixturenames:
            item.add_marker(pytest.mark.data)


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
    for name in ("numpy.random", "photosearch.judging.marking"):  # now: nobody may not read all that Python is made of
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
