"""Every example of the README, the guide and docs/python.md is run, on small photos, with a model that sees colours."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from library import kept_decoders
from PIL import Image
from toy import photo, sight_card, write_toy, write_toy_text
from typer.testing import CliRunner

import photosearch
from photosearch import Library
from photosearch.cli import confirm
from photosearch.cli.app import app
from photosearch.models import catalog

ROOT = Path(__file__).parent.parent
PYTHON, README, GUIDE = ROOT / "docs" / "python.md", ROOT / "README.md", ROOT / "docs" / "guide.md"
NOT_RUN = {  # command -> why
    "photosearch browse": "serves a page until Ctrl-C",
    "photosearch index --watch               # Ctrl-C ends it": "waits for changes until Ctrl-C",
    "photosearch mcp": "answers another program on stdin",
    "photosearch models pull openclip-b32-256": "downloads a model",
    "photosearch index ~/Pictures --ocr": "needs an extra",
}
PARTS = ("albums", "folders", "labels", "marks", "models", "photos", "samples", "spares")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home folder and the working folder of the examples."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "own.db"))
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    with kept_decoders():
        yield tmp_path


@pytest.fixture
def pictures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """~/Pictures with the photos that the README and the guide name, as the working folder.

    bird is red, dog is green, cat is blue. The model that the guide pulls is there already.
    """
    add_default(folder, monkeypatch, ("bird", "dog", "cat"))
    card = sight_card(name="openclip-b32-256", labels=("bird", "dog", "cat"), pooling={})
    write_toy(folder / "models" / "openclip-b32-256.onnx", card)
    home = folder / "Pictures"
    for i, name in enumerate(("a", "b", "holiday", "crowd", "Italy/2023")):
        save(home / f"{name}.jpg", (250 - i, 10 * i, 0))
    save(home / "Italy" / "copy.jpg", (246, 40, 0))  # of 2023.jpg
    save(home / "c.jpg", (0, 20, 240))
    save(home / "Screenshots" / "2024" / "screen.png", (9, 9, 9))
    save(folder / "Downloads" / "download.png", (200, 200, 0))
    for i in range(6):
        save(home / "Rex" / f"{i}.jpg", (20, 200 + 10 * i, 20))
        save(home / "Other" / f"{i}.jpg", (20, 20, 200 + 10 * i))
    (folder / "receipts").mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setattr(confirm, "is_interactive", lambda: True)
    return home


def save(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), colour).save(path)


def add_default(folder: Path, monkeypatch: pytest.MonkeyPatch, labels: tuple[str, ...]) -> None:
    card = sight_card(labels=labels, pooling={"4": dict.fromkeys(labels, (0.5, 0.5, 0.0))})
    write_toy(folder / "models" / "toy.onnx", card)
    write_toy_text(folder / "models" / "toy-text.onnx")
    monkeypatch.setattr(catalog, "DEFAULT_MODEL", "toy")


def list_blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), re.M | re.S)


def list_commands(document: Path) -> list[str]:
    """The lines of code blocks, and the first cells of tables, that call photosearch."""
    return re.findall(r"^(?: {4}|\$ |\| `)(photosearch .*?)(?:` \|.*)?$", document.read_text(), re.M)


def run_line(line: str) -> None:
    """Run a command line as a shell would: comments, globs, &&, > and | are understood."""
    quoted = {word for pair in re.findall(r"'([^']*)'|\"([^\"]*)\"", line) for word in pair}
    output = b""
    words = [os.path.expanduser(word) for word in shlex.split(line, comments=True)]
    while words:
        end = next((i for i, word in enumerate(words) if word in ("&&", "|", ">")), len(words))
        command, operator, words = words[:end], "".join(words[end : end + 1]), words[end + 1 :]
        expanded = [expand(word) if "*" in word and word not in quoted else [word] for word in command]
        output = run_command([word for each in expanded for word in each], output)
        if operator == ">":
            Path(words[0]).write_bytes(output)
            return


def expand(pattern: str) -> list[str]:
    return sorted(str(path) for path in Path().glob(pattern))


def run_command(words: list[str], piped: bytes) -> bytes:
    if words[0] != "photosearch":
        return subprocess.run(words, input=piped, capture_output=True, check=True, timeout=60).stdout
    result = CliRunner().invoke(app, words[1:], input="y\n", catch_exceptions=False)
    assert result.exit_code == 0, (words, result.output)
    return result.stdout_bytes


def test_readme_commands_run_in_order(pictures: Path) -> None:
    others = sorted((pictures / "Other").glob("*.jpg"))
    with Library() as library:  # as if the user had marked photos before
        list(library.index(pictures))
        library.marks.add(others, negative=["my dog"], new=True)
        library.marks.add(pictures / "a.jpg", positive=["bird"])
    commands = list_commands(README)
    for line in commands:
        if line not in NOT_RUN:
            run_line(line)
    assert len(commands) == 8 + 10


@pytest.mark.slow
def test_guide_commands_run_in_order(pictures: Path) -> None:
    commands = list_commands(GUIDE)
    indented = re.findall(r"^ {4}(.*)$", GUIDE.read_text(), re.M)
    assert [line for line in indented if line not in commands] == []
    for line in commands:
        if line not in NOT_RUN:
            run_line(line)
    assert set(NOT_RUN) <= set(commands)
    assert (pictures / "marks.csv").read_bytes().startswith(b"path,label,present")


def test_readme_python_example_runs(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Library() as library:
        list(library.index(pictures))
    (block,) = list_blocks(README, "python")
    exec(compile(block, README, "exec"), {})
    assert "Pictures/a.jpg" in capsys.readouterr().out


@pytest.mark.slow
def test_python_page_examples_run_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_default(folder, monkeypatch, ("red", "green", "blue"))
    photo(folder / "photos" / "red.jpg", "red")
    photo(folder / "photos" / "2019" / "white.png", "white")
    photo(folder / "photos" / "2019" / "blue.webp", "blue", lossless=True)
    text, names = PYTHON.read_text(), {}
    for block in list_blocks(PYTHON, "python"):
        line = text[: text.index(block)].count("\n")
        exec(compile("\n" * line + block, PYTHON, "exec"), names)


def test_python_page_shows_every_method(tmp_path: Path) -> None:
    with Library(tmp_path / "library.db") as library:
        methods = {name for name in vars(Library) if not name.startswith("_")}
        for part in PARTS:
            methods |= {f"{part}.{name}" for name in vars(type(getattr(library, part))) if not name.startswith("_")}
    shown = "\n".join(list_blocks(PYTHON, "python"))
    assert sorted(name for name in methods if not re.search(rf"\b{re.escape(name)}\b", shown)) == []


def test_python_page_names_every_exported_function() -> None:
    text = PYTHON.read_text()
    functions = {name for name in photosearch.__all__ if name.islower() and not name.startswith("_")}
    assert sorted(name for name in functions if not re.search(rf"`(photosearch\.)?{name}\b", text)) == []
