"""Every example of the README and of docs/python.md is run, on three small photos, by a model that knows colours."""

import functools
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from library import KEPT, kept_decoders
from toy import photo, sight_card, write_toy, write_toy_text
from typer.testing import CliRunner

from photosearch import Library
from photosearch.cli.app import app
from photosearch.index import run
from photosearch.models import catalog

ROOT = Path(__file__).parent.parent
PAGE, README = ROOT / "docs" / "python.md", ROOT / "README.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the examples run: three photos in photos/ and the same in Pictures/, and a toy as the tool's default."""
    for below in ("photos", "Pictures"):
        photo(tmp_path / below / "red.jpg", "red")
        photo(tmp_path / below / "2019" / "white.png", "white")
        photo(tmp_path / below / "2019" / "blue.webp", "blue", lossless=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "own.db"))
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    with kept_decoders():
        monkeypatch.setattr(run, "index", functools.partial(run.index, decoders=KEPT[-1]))
        yield tmp_path


def add_default(folder: Path, monkeypatch: pytest.MonkeyPatch, labels: tuple[str, ...]) -> None:
    card = sight_card(labels=labels, pooling={"4": dict.fromkeys(labels, (0.5, 0.5, 0.0))})
    write_toy(folder / "models" / "toy.onnx", card)
    write_toy_text(folder / "models" / "toy-text.onnx")
    monkeypatch.setattr(catalog, "DEFAULT_MODEL", "toy")


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), re.M | re.S)


def test_the_examples_of_the_python_page_run_in_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_default(folder, monkeypatch, ("red", "green", "blue"))
    text, names = PAGE.read_text(), {}
    for block in blocks(PAGE, "python"):
        line = text[: text.index(block)].count("\n")
        exec(compile("\n" * line + block, PAGE, "exec"), names)


def test_each_method_is_told_of_and_shown() -> None:
    methods = {name for name in vars(Library) if not name.startswith("_")}
    shown = "\n".join(blocks(PAGE, "python"))
    assert {name for name in methods if not re.search(rf"library\.{name}\b", shown)} == set()
    assert {name for name in methods if f"`{name}" not in PAGE.read_text()} == set()


def test_the_readmes_example_in_python_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_default(folder, monkeypatch, ("bird", "dog", "cat"))
    (block,) = blocks(README, "python")
    exec(compile(block, README, "exec"), {})


def test_the_readmes_session_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_default(folder, monkeypatch, ("bird", "dog", "cat"))
    lines = [line[2:] for block in blocks(README, "console") for line in block.splitlines() if line.startswith("$ ")]
    for line in lines:
        words = [os.path.expanduser(word) for word in shlex.split(line)]
        if words[0] == "mv":
            shutil.move(folder / "Pictures" / "2019", folder / "Pictures" / "2020")
            continue
        assert words[0] == "photosearch"
        result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
        assert result.exit_code == 0, (line, result.output)
    assert len(lines) > 3
