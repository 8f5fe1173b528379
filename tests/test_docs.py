"""What the documents say is so: paths exist, commands and options are real."""

import re
from pathlib import Path

import pytest
import typer

from photosearch.cli.app import app
from train import pages, tool
from train.__main__ import app as train_app

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = {"photosearch": typer.main.get_command(app), "python -m train": typer.main.get_command(train_app)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_every_path_in_a_document_exists(document: Path) -> None:
    text = document.read_text()
    folders = ("photosearch", "train", "tests", "docs", "benchmarks")
    named = re.findall(rf"`((?:{'|'.join(folders)})/[\w./-]*)`", text)
    linked = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [p for p in named if not (ROOT / p).exists()]
    missing += [p for p in linked if not (document.parent / p).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
@pytest.mark.parametrize("program", COMMANDS)
def test_every_command_and_option_in_a_document_is_real(document: Path, program: str) -> None:
    code = re.findall(r"`([^`\n]+)`", document.read_text()) + re.findall(
        r"^(?: {4}|\$ )(.*)$", document.read_text(), re.M
    )
    wrong = []
    for line in code:
        for call in re.findall(rf"\b{program} ([a-z][^|#;]*)", line):
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


def test_the_readmes_map_names_every_room_of_the_tool() -> None:
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| `([\w./]+)` \|", text.partition("## How it works")[2], re.M)
    tool = ROOT / "photosearch"
    rooms = {f"photosearch/{p.name}/" for p in tool.iterdir() if (p / "__init__.py").exists()}
    rooms |= {f"photosearch/{p.name}" for p in tool.glob("*.py")}
    assert {row for row in rows if row.startswith("photosearch/")} == rooms
    assert set(rows) - rooms == {"train/", "benchmarks/", "tests/"}


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"`(?:photosearch )?([a-z]+)(?: [^`]*)?`", text))
    assert set(COMMANDS["photosearch"].commands) - named == set()


def test_the_readmes_table_is_what_was_measured() -> None:
    text = (ROOT / "README.md").read_text()
    told = text.partition(pages.MARKS[0])[2].partition(pages.MARKS[1])[0].strip().splitlines()
    results = pages.read_results(ROOT / "docs" / "measured")
    assert told == list(pages.summarise(pages.read_cards(), results)), "run python -m train pages"


def test_the_models_page_is_what_was_measured_and_tells_runs_under_other_seeds_apart(tmp_path: Path) -> None:
    told = pages.write(tmp_path / "model.md", ROOT / "docs" / "measured")
    assert (ROOT / "docs" / "model.md").read_text() == told, "run python -m train pages"
    runs = [line.split(" | ")[2] for line in told.splitlines() if line.startswith("| bird-photo | caltech-101 | s")]
    assert runs == ["shipped", "seed 2"]


def test_every_measured_figure_is_of_the_model_that_ships() -> None:
    digests = {name: tool.Model(path, provider="cpu").digest for name, path in tool.list_models().items()}
    results = pages.read_results(ROOT / "docs" / "measured")
    own = [r for r in results if ".seed" not in r["file"] and r["model"] in digests]
    assert [r["file"] for r in own if r["digest"] != digests[r["model"]]] == []
