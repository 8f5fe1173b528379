"""A CliEnv with a library of its own for each test; decoders outlive runs, since starting them is slow."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_env import CliEnv, make_cli_env
from library import KEPT, kept_decoders


@pytest.fixture(scope="module")
def decoders() -> Iterator[object]:
    with kept_decoders():
        yield KEPT[-1]


@pytest.fixture
def cli_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoders: object) -> CliEnv:
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "data" / "library.db"))
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path / "models"))
    return make_cli_env(tmp_path)
