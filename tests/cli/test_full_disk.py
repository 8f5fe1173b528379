"""A full disk: what only reads needs no space; what writes says so in one line, and leaves nothing behind."""

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cli_env import CliEnv, fail, notes


@contextlib.contextmanager
def mounted(place: Path, size: str) -> Iterator[None]:
    """A disk of this size at a new folder."""
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place]).returncode:
        pytest.skip("only root can make a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def disk(cli_env: CliEnv) -> Iterator[Path]:
    """A library on a disk of its own, without room for another byte."""
    place = cli_env.library.parent
    with mounted(place, "2m"):
        cli_env.index()
        cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")
        with contextlib.suppress(OSError), (place / "fill").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        yield place


@pytest.mark.parametrize(
    "command", [("find", "red"), ("find", "red and not blue", "--json"), ("labels",), ("report",), ("status",)],
    ids=" ".join,
)  # fmt: skip
def test_reading_needs_no_space(cli_env: CliEnv, disk: Path, command: tuple[str, ...]) -> None:
    result = cli_env.run(*command)
    assert result.exit_code == 0, result.output
    assert "red" in result.stdout


def test_results_are_written_to_another_disk(cli_env: CliEnv, disk: Path, tmp_path: Path) -> None:
    notes(cli_env.run("find", "red", "--html", tmp_path / "found.html"))
    assert b"red.jpg" in (tmp_path / "found.html").read_bytes()
    notes(cli_env.run("find", "red", "--copy-to", tmp_path / "album"))
    assert (tmp_path / "album" / "red.jpg").read_bytes() == (cli_env.photos / "red.jpg").read_bytes()


@pytest.mark.parametrize(
    "command",
    [("find", "red", "--html", "{}/x.html"), ("report", "--html", "{}/x.html"), ("report", "--plot", "{}/x.png"),
     ("find", "red", "--copy-to", "{}"), ("sample", "red", "-n", "4", "--to", "{}/s"), ("mark", "{}", "--is", "blue")],
    ids=" ".join,
)  # fmt: skip
def test_writing_says_that_the_disk_is_full(cli_env: CliEnv, disk: Path, command: tuple[str, ...]) -> None:
    before = {p.name for p in disk.iterdir()} | {"library.db-shm", "library.db-wal", "library.db.thumbnails"}
    place = cli_env.photos / "red.jpg" if command[0] == "mark" else disk
    line = fail(cli_env.run(*(word.format(place) for word in command)))
    assert "make room" in line
    assert {p.name for p in disk.iterdir()} <= before


def test_sample_that_cannot_be_written_is_not_drawn(cli_env: CliEnv, tmp_path: Path) -> None:
    cli_env.index()
    folder = tmp_path / "small" / "new" / "sample"
    with mounted(tmp_path / "small", "8k"):
        line = fail(cli_env.run("sample", "red", "--to", folder))
        assert (
            line
            == f"{folder}/sheet-1.jpg: can't be written: No space left on device; make room, or choose another place"
        )
        assert list((tmp_path / "small").iterdir()) == []
        with closing(sqlite3.connect(cli_env.library)) as db:
            assert db.execute("SELECT count(*) FROM samples").fetchone() == (0,)
    assert "on sheet-1.jpg" in notes(cli_env.run("sample", "red", "--to", folder))[0]
    assert sorted(p.name for p in folder.iterdir()) == ["sample.csv", "sheet-1.jpg"]
