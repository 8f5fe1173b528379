"""A desk for each test, with a library of its own, and decoders that stay from run to run: starting them is slow."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_env import Desk, make_desk
from library import KEPT, kept_decoders

from photosearch.index import run


@pytest.fixture(scope="module")
def decoders() -> Iterator[object]:
    with kept_decoders():
        yield KEPT[-1]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoders: object) -> Desk:
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "data" / "library.db"))
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(run, "index", functools.partial(run.index, decoders=decoders))
    return make_desk(tmp_path)
