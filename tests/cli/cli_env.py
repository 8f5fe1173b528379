"""What a person at a terminal has: a folder of photos, two toy models, a library that isn't made yet, the command."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from toy import photo, toy_card, write_toy
from typer.testing import CliRunner, Result

from photosearch.cli.app import app

COUNTS = dict.fromkeys(
    ("new", "changed", "rescored", "unchanged", "moved", "returned", "unreadable", "excluded", "removed"), 0
)


@dataclass(frozen=True, slots=True)
class Desk:
    """`model` is called toy; `other`, from another file, gives the same scores."""

    folder: Path
    photos: Path
    model: Path
    other: Path
    library: Path

    def run(self, *arguments: object, **options: object) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, **options)

    def index(self, *arguments: object) -> Result:
        return self.run("index", self.photos, "--model", self.model, *arguments)


def make_desk(folder: Path) -> Desk:
    photos = folder / "photos"
    photo(photos / "red.jpg", "red")
    photo(photos / "2019" / "white.png", "white")
    photo(photos / "2019" / "blue.webp", "blue", lossless=True)
    model = write_toy(folder / "toy.onnx")
    other = write_toy(folder / "other.onnx", toy_card(name="other"))
    return Desk(folder, photos, model, other, folder / "data" / "library.db")


def counts(result: Result) -> dict[str, object]:
    """The numbers of an index's JSON."""
    assert result.exit_code == 0, result.output
    return {k: v for k, v in json.loads(result.stdout).items() if k in COUNTS}


def names(result: Result) -> list[str]:
    """The photos in a find's JSON, best first."""
    assert result.exit_code == 0, result.output
    return [os.path.basename(row["path"]) for row in json.loads(result.stdout)]


def said(result: Result) -> list[str]:
    """The lines on stderr, seconds and rates left out: `1.4 s, 3 photos/s` is S."""
    assert result.exit_code == 0, result.output
    return [re.sub(r"\d+\.\d s(, [\d,.]+ photos/s)?", "S", line) for line in result.stderr.splitlines()]


def photosearch(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from photosearch.cli.app import main; main()", *map(str, arguments)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},  # type: ignore[call-overload]
    )  # fmt: skip
