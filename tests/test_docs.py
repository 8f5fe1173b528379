"""What the documents say is true: paths, commands and options are real, and generated parts are up to date."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from photosearch.cli.root import load_commands
from train import pages, tool
from train.__main__ import app as train_app

ROOT = Path(__file__).parent.parent
README, GUIDE, ARCHITECTURE = ROOT / "README.md", ROOT / "docs" / "guide.md", ROOT / "docs" / "architecture.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = {"photosearch": load_commands(), "python -m train": typer.main.get_command(train_app)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_document_names_only_paths_that_exist(document: Path) -> None:
    text = document.read_text()
    folders = ("photosearch", "train", "tests", "docs", "benchmarks")
    named = re.findall(rf"`((?:{'|'.join(folders)})/[\w./-]*)`", text)
    linked = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [p for p in named if not (ROOT / p).exists()]
    missing += [p for p in linked if not (document.parent / p).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
@pytest.mark.parametrize("program", COMMANDS)
def test_document_names_only_real_commands_and_options(document: Path, program: str) -> None:
    text = document.read_text()
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^(?: {4}|\$ )(.*)$", text, re.M)
    wrong = []
    for line in code:
        for call in re.findall(rf"\b{program} ([a-z][^|#;&]*)", line):
            words = call.split()
            command = COMMANDS[program]
            while words and hasattr(command, "commands") and words[0] in command.commands:
                command = command.commands[words.pop(0)]
            options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
            named = {re.split(r"[=`]", w)[0] for w in words if w.startswith("--") and len(w) > 2}
            if hasattr(command, "commands") and words and not words[0].startswith("-"):
                wrong.append(f"{program} {call}: no such command")
            wrong += [f"{program} {call}: no such option {name}" for name in named - options]
    assert wrong == []


def test_architecture_map_names_every_room() -> None:
    section = ARCHITECTURE.read_text().partition("## Map")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w./]+)` \|", section, re.M)
    package = ROOT / "photosearch"
    rooms = {f"photosearch/{p.name}/" for p in package.iterdir() if (p / "__init__.py").exists()}
    rooms |= {f"photosearch/{p.name}" for p in package.glob("*.py")}
    assert {row for row in rows if row.startswith("photosearch/")} == rooms
    assert set(rows) - rooms == {"train/", "benchmarks/", "tests/"}


def list_commands(command: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """`labels add`, ...: each command, and each group that is a command itself."""
    below = getattr(command, "commands", {})
    if path and (not below or command.invoke_without_command):
        yield " ".join(path)
    for name, child in below.items():
        yield from list_commands(child, (*path, name))


def test_readme_or_guide_names_every_command() -> None:
    text = README.read_text() + GUIDE.read_text()
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^(?: {4}|\$ )(.*)$", text, re.M)
    words = [re.sub(r"^photosearch ", "", line) for line in code]
    commands = list(list_commands(COMMANDS["photosearch"]))
    assert [c for c in commands if not any(re.match(rf"{c}(?![\w-])", line) for line in words)] == []
    assert {"labels", "labels add", "undo marks"} <= set(commands)
    assert "undo" not in commands  # a group that does nothing by itself


def test_readme_table_is_what_was_measured() -> None:
    text = README.read_text()
    table = text.partition(pages.MARKS[0])[2].partition(pages.MARKS[1])[0].strip().splitlines()
    measured = ROOT / "docs" / "measured"
    rows = pages.summarise(pages.read_cards(), pages.read_results(measured), pages.read_words(measured))
    assert table == list(rows), "run python -m train pages"


def test_readme_table_has_one_row_per_shipped_model_and_names_the_test_set() -> None:
    text = README.read_text()
    table = text.partition(pages.MARKS[0])[2].partition(pages.MARKS[1])[0].strip().splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table[2:]]
    assert sorted(row[0] for row in cells) == sorted(tool.list_models())
    assert [row[0] for row in cells if row[1]] == [tool.DEFAULT_MODEL]
    assert {row[0]: row[5].rpartition(" (")[0] for row in cells} == {
        "sight": "caltech-101", "bird-photo": "caltech-101", "bird-classic": "cifar-10 + cub",
    }  # fmt: skip


def test_models_page_is_what_was_measured_and_keeps_runs_with_other_seeds_apart(tmp_path: Path) -> None:
    text = pages.write(tmp_path / "model.md", ROOT / "docs" / "measured")
    assert (ROOT / "docs" / "model.md").read_text() == text, "run python -m train pages"
    runs = [line.split(" | ")[2] for line in text.splitlines() if line.startswith("| bird-photo | caltech-101 | s")]
    assert runs == ["shipped", "seed 2"]


def test_measured_figures_are_of_the_shipped_models() -> None:
    digests = {name: tool.Model(path, provider="cpu").digest for name, path in tool.list_models().items()}
    results = pages.read_results(ROOT / "docs" / "measured")
    own = [r for r in results if ".seed" not in r["file"] and r["model"] in digests]
    assert [r["file"] for r in own if r["digest"] != digests[r["model"]]] == []


def test_pages_compute_sizes_and_times_from_what_was_measured() -> None:
    parts = json.loads((ROOT / "docs" / "performance.json").read_text())
    pipeline = parts["pipeline"]
    (core_ms,) = (w["core_ms"] for w in pipeline["ways"] if w["way"] == f"photosearch {pipeline['default']}")
    size = parts["scaling"]["rows"][-1]["bytes_per_photo"]
    few, _, vectors = (row for row in parts["vectors"]["rows"] if row["way"].startswith("map"))
    assert (few["n"], vectors["n"]) == (10_000, 10**6)
    map_gb, query_ms = vectors["build"]["megabytes"] / 1000, vectors["answer"]["all"]["core_ms"]
    rate, merge_ms = 16_000 / core_ms, parts["spread"]["merge"]["core_ms"]
    text = " ".join((ROOT / "docs" / "scale.md").read_text().split())
    for said in (
        f"indexes {rate:.0f} photos of 12 megapixels per second, computed from {core_ms:.1f} core-ms a photo",
        f"ten million photos in {1e7 / rate / 3600:.0f} hours",
        f"the library has {size / 100:.0f} GB ({size:,.0f} bytes a photo)",
        f"the map of its vectors {10 * map_gb:.0f} GB ({map_gb:.1f} GB per million)",
        f"takes {query_ms / 100:.1f} s of one core ({query_ms:.0f} core-ms per million)",
        f"it is {size / 10:.0f} GB, {100 * map_gb:.0f} GB and {query_ms / 10:.1f} s",
        f"a merge takes {merge_ms * 1e5 / 3600:.1f} hours of one core ({merge_ms:.2f} core-ms a photo)",
    ):
        assert said in text
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `library.db")]
    assert f" | {size / 100:.0f} MB | " in rows[0]
    assert f" | {few['build']['megabytes']:.0f} MB | " in next(row for row in rows if ".vectors-*" in row)
