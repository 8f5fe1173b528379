"""Two terminals, one library: the second index says who holds it, readers see whole batches, no mark is lost.

All of it in real processes on a real file.
"""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from library import kept_decoders
from test_hostile import index_all
from toy import photo, write_toy

from photosearch.errors import StoreError
from photosearch.library import marks
from photosearch.library.database import WAIT_SECONDS, Database
from photosearch.library.lock import lock_library
from photosearch.library.photos import find_image_at, read_counts
from photosearch.library.user_copy import copy_path
from photosearch.models.session import Model

pytestmark = pytest.mark.hostile
MARKERS = int(os.environ.get("PHOTOSEARCH_MARKERS", "4"))  # processes that mark at once
PHOTOSEARCH = [sys.executable, "-c", "from photosearch.cli.app import main; main()"]
BATCH = 4


@pytest.fixture(scope="module", autouse=True)
def _decoders():
    with kept_decoders():
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "s.db"))
    write_toy(tmp_path / "toy.onnx")
    for i in range(100):
        photo(tmp_path / "photos" / f"{i:03}.png", "red", size=(40 + i, 30))
    return tmp_path


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [*PHOTOSEARCH, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def make_library(folder: Path) -> None:
    with Database(folder / "s.db", create=True) as db:
        list(index_all(db, folder / "photos", Model(folder / "toy.onnx", threads=1), workers=1))


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        time.sleep(0.01)


def count_photos(db: Path) -> int:
    with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as conn:
        return conn.execute("SELECT count(*) FROM photos").fetchone()[0]
    return 0


def test_second_index_names_holder_and_exits_1(folder: Path) -> None:
    model = Model(folder / "toy.onnx", threads=1)
    with Database(folder / "s.db", create=True) as db, lock_library(db):
        events = index_all(db, folder / "photos", model, workers=1)
        next(events)
        (folder / "link.db").symlink_to(folder / "s.db")
        for path in (folder / "s.db", folder / "link.db"):
            code, out, err = ended(start("index", folder / "photos", "--model", folder / "toy.onnx", "--db", path))
            assert (code, out) == (1, "")
            line = err.splitlines()[-1]
            assert re.fullmatch(
                rf"photosearch: {path}: is being indexed by process {os.getpid()} on \S+ since \S+Z; "
                "wait for it, or use another --db",
                line,
            ), line
        for command in (("forget", "--all", "--yes"), ("rebuild", "--force", "--yes")):
            code, _, err = ended(start(*command))
            assert (code, "is being indexed by" in err) == (1, True)
        assert sum(1 for _ in events) == 99
    print("\n" + line)
    assert ended(start("index", folder / "photos", "--model", folder / "toy.onnx"))[0] == 0


def test_killed_index_releases_lock(folder: Path) -> None:
    running = start("index", folder / "photos", "--model", folder / "toy.onnx", "--batch-size", "1")
    wait_for(lambda: count_photos(folder / "s.db") > 0)
    with Database(folder / "s.db") as db, pytest.raises(StoreError, match="is being indexed by"), lock_library(db):
        pass
    running.kill()
    running.communicate(timeout=60)
    assert ended(start("index", folder / "photos", "--model", folder / "toy.onnx"))[0] == 0
    with Database(folder / "s.db") as db:
        assert read_counts(db).photos == 100


def test_many_that_mark_at_once_lose_nothing(folder: Path) -> None:
    make_library(folder)
    begun = time.monotonic()
    each = [
        start("mark", *(folder / "photos" / f"{i:03}.png" for i in range(n, 100, MARKERS)), "--is", "red")
        for n in range(MARKERS)
    ]
    said = [ended(one) for one in each]
    seconds = time.monotonic() - begun
    assert said == [(0, "", f"{len(range(n, 100, MARKERS))} photos marked\n") for n in range(MARKERS)]
    with Database(folder / "s.db") as db:
        assert [t.path for t in marks.list_marks(db, "red")] == [
            str(folder / "photos" / f"{i:03}.png") for i in range(100)
        ]
    print(f"\n{MARKERS} processes marked 100 photos at once in {seconds:.1f} s: 100 of 100 marks kept")


MARKER = """
import sys
from photosearch.library import marks
from photosearch.library.database import Database
n = int(sys.argv[2])
with Database(sys.argv[1]) as db:
    for image_id in range(1, 26):
        marks.put_marks(db, [(f"label {n}", image_id, True)])
"""


def test_short_writes_from_many_processes_all_arrive(folder: Path) -> None:
    make_library(folder)
    begun = time.monotonic()
    each = [subprocess.Popen([sys.executable, "-c", MARKER, str(folder / "s.db"), str(n)]) for n in range(MARKERS)]
    assert [one.wait(timeout=120) for one in each] == [0] * MARKERS
    seconds = time.monotonic() - begun
    with Database(folder / "s.db") as db:
        assert read_counts(db).marks == MARKERS * 25
    with closing(sqlite3.connect(copy_path(folder / "s.db"))) as copy:
        assert copy.execute("SELECT count(*) FROM marks").fetchone() == (MARKERS * 25,), "the last copy is the newest"
    print(f"\n{MARKERS} processes wrote 25 times each in {seconds:.1f} s: all {MARKERS * 25} rows there")


def test_finding_and_marking_go_on_during_an_index_and_see_whole_batches(folder: Path) -> None:
    """Batches are of 4: a reader sees 0, 4, 8, ... photos, each with its scores, and never waits."""
    model, seen, marked, slowest = Model(folder / "toy.onnx", threads=1), [], 0, 0.0
    with Database(folder / "s.db", create=True) as db, Database(folder / "s.db") as reader, lock_library(db):
        for number, _ in enumerate(index_all(db, folder / "photos", model, workers=1, batch_size=BATCH)):
            begun = time.monotonic()
            with closing(sqlite3.connect(folder / "s.db")) as conn:
                photos, images, scored, scores, counted = (
                    conn.execute(f"SELECT {what}").fetchone()[0]
                    for what in (
                        "count(*) FROM photos", "count(*) FROM images", "count(*) FROM scored", "count(*) FROM scores",
                        "sum(photos) FROM folders",
                    )
                )  # fmt: skip
            assert (images, scored, scores, counted) == (photos, photos, 3 * photos, photos)
            seen.append(photos)
            if number % 10 == 0:
                marks.put_marks(reader, [("red", find_image_at(reader, str(folder / "photos" / "000.png")) or 0, True)])
                marked += 1
            slowest = max(slowest, time.monotonic() - begun)
    assert sorted(set(seen)) == list(range(BATCH, 101, BATCH))
    assert marked == 10
    print(f"\n100 readers during an index saw {sorted(set(seen))} photos; the slowest of them took {slowest:.3f} s")


def test_commands_work_during_index(folder: Path) -> None:
    make_library(folder)
    first, begun = folder / "photos" / "000.png", time.monotonic()
    with Database(folder / "s.db") as db, lock_library(db):
        with db.transaction():  # in the middle of a batch: who reads does not wait
            said = [ended(start(*c)) for c in (("find", "red", "--paths"), ("status",), ("errors",), ("labels",))]
            assert time.monotonic() - begun < WAIT_SECONDS
        said += [ended(start("mark", first, "--is", "red")), ended(start("marks", "export"))]
    assert [code for code, *_ in said] == [0] * 6
    assert len(said[0][1].splitlines()) == 100
    assert said[-1][1] == f"path,label,present\n{first},red,1\n"
