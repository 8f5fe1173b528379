"""A library with overwritten pages: every command works, or names `photosearch rebuild` in one line."""

import random
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from library import kept_decoders
from typer.testing import CliRunner, Result
from user_library import make_folder, overwrite_pages, put_library

from photosearch.cli.app import app
from photosearch.library.database import DAMAGED

COMMANDS = (
    "index PHOTOS", "duplicates", "learn dark", "find red", "find 'black night'", "find --like PHOTOS/red0.png",
    "find 'not red'", "labels", "labels show night", "report --label red", "report --labels", "status", "errors",
    "marks export", "mark PHOTOS/red0.png --is red", "undo marks", "threshold set red 0.4", "sample red -n 4 --to OUT",
    "labels add dawn black", "keywords export red --dry-run", "folders", "folders set PHOTOS --exclude x.png",
    "forget PHOTOS/white1.png --yes",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("damage")
    with pytest.MonkeyPatch.context() as patch, kept_decoders():
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        make_folder(folder)
        yield folder


def run(command: str, library: Path, folder: Path) -> Result:
    places = {"PHOTOS": str(folder / "photos"), "OUT": str(library.parent / "out")}
    words = [re.sub("^(PHOTOS|OUT)", lambda found: places[found[0]], word) for word in shlex.split(command)]
    return CliRunner().invoke(app, ["--db", str(library), *words], prog_name="photosearch", catch_exceptions=False)


def assert_works_or_names_rebuild(result: Result, library: Path) -> bool:
    """-> whether it worked. A traceback would have been raised."""
    if result.exit_code == 0:
        return True
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"photosearch: {library}: {DAMAGED}"
    return False


TREES = (
    "scores", "scores_best", "photos", "images", "marks", "vectors", "labels", "classifiers", "properties", "samples",
    "models", "roots", "folders", "folder_settings", "counts",
)  # fmt: skip


@pytest.mark.parametrize("what", [*TREES, *range(5)])
def test_commands_on_a_damaged_library_name_rebuild(tmp_path: Path, folder: Path, what: str | int) -> None:
    data, worked = overwrite_pages(folder, what), Counter[bool]()
    rng = random.Random(f"commands of {what}")
    for command in ("duplicates", "find 'black night'", *rng.sample(COMMANDS, 5)):
        library = put_library(tmp_path / "library", data)
        worked[assert_works_or_names_rebuild(run(command, library, folder), library)] += 1
    library = put_library(tmp_path / "library", data)
    rebuilt = run("rebuild --force --yes", library, folder)
    assert rebuilt.exit_code == 0
    assert "Next: photosearch index" in rebuilt.stderr.splitlines()[-1]


@pytest.mark.hostile
@pytest.mark.parametrize("command", COMMANDS)
def test_command_on_damaged_libraries_names_rebuild(tmp_path: Path, folder: Path, command: str) -> None:
    worked = Counter[bool]()
    for what in (*TREES, *range(10)):
        library = put_library(tmp_path / "library", overwrite_pages(folder, what))
        worked[assert_works_or_names_rebuild(run(command, library, folder), library)] += 1
    assert worked[False] > 0
