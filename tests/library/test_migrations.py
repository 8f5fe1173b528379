"""Libraries of old versions open in this one, and a migration that fails or is killed costs nothing.

tests/schemas/ keeps a small library of every schema that was ever released (`python tests/schemas/keep.py`).
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import sqlite_utils
from sqlite_utils import Migrations

from photosearch.errors import StoreError
from photosearch.library import answers, heads, marks, places, ranking, schema
from photosearch.library.database import Database
from photosearch.library.marks import Truth
from photosearch.library.places import FolderSettings
from photosearch.library.rebuild import rebuild
from photosearch.search import query

SCHEMAS = Path(__file__).parents[1] / "schemas"
KILLS = int(os.environ.get("PHOTOSEARCH_KILLS", "5"))
STRANGE = "/photos/2019/not\udcff utf8/3.jpg"


def kept(version: int, tmp_path: Path) -> Path:
    path = Path(shutil.copy(SCHEMAS / f"schema-{version}.db", tmp_path / "library.db"))
    path.chmod(0o600)
    return path


def tables(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()


def rows(path: Path) -> list[str]:
    """All that is in a library."""
    with closing(sqlite3.connect(path)) as conn:
        conn.text_factory = bytes
        names = [name.decode() for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = [f"{table} {row}" for table in sorted(names) for row in conn.execute(f"SELECT * FROM {table}")]
        return [row for row in found if not row.startswith("library (b'id'")]  # drawn for each library


def check_whole(path: Path) -> int:
    """What must hold at every moment -> the version of the schema."""
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        return conn.execute("PRAGMA user_version").fetchone()[0]


def test_every_schema_since_the_first_is_kept() -> None:
    versions = sorted(int(path.stem.removeprefix("schema-")) for path in SCHEMAS.glob("*.db"))
    assert versions == list(range(1, schema.VERSION + 1)), "keep this version's: python tests/schemas/keep.py"


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_a_library_of_each_version_opens_with_all_that_was_in_it(version: int, tmp_path: Path) -> None:
    path = kept(version, tmp_path)
    with Database(path) as db:
        labels = {label.name: label for label in answers.labels(db)}
        found = ranking.find(db, query.parse("bird"), labels)
        assert [(f.path, f.score) for f in found] == [
            ("/photos/0.jpg", 0.9), ("/photos/copy of 0.jpg", 0.9), ("/photos/2.jpg", 0.55),
        ]  # fmt: skip
        assert found[2].taken == "2019-07-20T12:34:56"
        assert found[2].taken_from == ("exif" if version == 1 else "DateTimeOriginal")
        assert (labels["bird"].threshold, labels["bird"].saved, labels["dog"].saved) == (0.5, True, False)
        assert marks.truth(db, "bird", scored=labels["bird"]) == [
            Truth("/photos/0.jpg", "bird", True, 0.9),
            Truth("/photos/2.jpg", "bird", True, 0.55),
            Truth(STRANGE, "bird", False, 0.1),
            Truth("/photos/copy of 0.jpg", "bird", True, 0.9),
        ]
        assert places.unreadable(db) == [("/photos/broken.jpg", "image file is truncated", "2026-11-23T12:00:00Z")]
        assert places.counts(db) == {
            "photos": 5, "unreadable": 1, "removed": 1, "excluded": int(version > 1), "images": 4,
            "truth": 6 if version > 2 else 4,
        }  # fmt: skip
        sample = marks.sample(db, labels["bird"])
        assert sample is not None
        assert [(p.path, p.score, p.present) for p in sample.photos] == [
            ("/photos/0.jpg", 0.9, True), (STRANGE, 0.1, False),
        ]  # fmt: skip
        assert answers.answering(db) == "old"
        last = answers.last_run(db)
        assert last is not None
        assert (last["models"], last["started_at"], last["host"]) == (["old"], "2026-11-23T12:00:00Z", "host")
    assert path.with_name(f"library.db.schema{version}").exists() == (version < schema.VERSION)


@pytest.mark.parametrize("version", range(2, schema.VERSION + 1))
def test_what_schema_2_can_hold_is_there_still(version: int, tmp_path: Path) -> None:
    with Database(kept(version, tmp_path)) as db:
        (scope,) = places.roots(db)
        assert places.settings(db, scope) == FolderSettings((None, "sight"), 0, ("passed*",), None, True)
        of_files = [m for m in answers.models(db) if m["name"] != "yours"]
        assert [(m["name"], m["tiles"], m["images"], m["path"]) for m in of_files] == [
            ("old", 0, 4, None), ("old", 4, 1, None), ("sight", 0, 4, "/models/sight.onnx"),
        ]  # fmt: skip
        vectors = db.rows("SELECT image_id, vector FROM vectors ORDER BY id")
        assert [(i, np.frombuffer(v, np.float16).tolist()) for i, v in vectors] == list(
            enumerate(np.eye(4).tolist(), 1)
        )
        (known,) = [k for k in places.known(db, scope, "/photos", [1, 2]).values() if k.photo_id == 1]
        assert known.readings == {1: False, 2: True}
        with db.transaction():
            answers.let_answer(db, 1, 1)
        labels = {label.name: label for label in answers.labels(db)}
        assert ranking.find(db, query.parse("bird"), labels, limit=1)[0].score == 0.95


def test_what_schema_3_can_hold_is_there_still(tmp_path: Path) -> None:
    with Database(kept(3, tmp_path)) as db:
        (head,) = heads.heads(db)
        assert (head.label.name, head.label.model, head.digest, head.base_id) == (
            "my dog", "yours", "fedcba9876543210", None,
        )  # fmt: skip
        assert (np.frombuffer(head.weights, "<f4").tolist(), head.bias, head.told) == (
            [1, 0, 0, -1], 0.25, {"rests_on": "2 marks"},
        )  # fmt: skip
        assert heads.taught(db, head.label) == {1: (True, 0.75), 4: (False, 0.25)}
        assert marks.undo(db) == [("my dog", 1, None), ("my dog", 4, None)]
        labels = {label.name: label for label in answers.labels(db)}
        assert answers.undo_threshold(db, labels["bird"])
        assert {label.name: label for label in answers.labels(db)}["bird"].threshold == 0.6


def test_a_library_that_was_migrated_is_like_one_made_today(tmp_path: Path) -> None:
    Database(tmp_path / "new.db", create=True).close()
    for version in range(1, schema.VERSION + 1):
        path = kept(version, tmp_path)
        Database(path).close()
        assert tables(path) == tables(tmp_path / "new.db"), "a released schema never changes: add a migration"


# ---- from schema 1, damaged or killed on the way


DAMAGED = "the library is damaged; your photos are safe; `photosearch rebuild` starts it anew"


def damage_scores(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        pages = [n for (n,) in conn.execute("SELECT pageno FROM dbstat WHERE name = 'scores' AND pagetype = 'leaf'")]
        (size,) = conn.execute("PRAGMA page_size").fetchone()
    with open(path, "r+b") as file:
        for page in pages[::3]:
            file.seek(size * (page - 1))
            file.write(b"\xff" * size)


def damage_a_card(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        values = ("another", "1", "f" * 16, 0, '{"labels": 7}')
        conn.execute("INSERT INTO models(name, version, digest, tiles, card) VALUES (?, ?, ?, ?, ?)", values)
        conn.commit()


def read_marks_of_schema_1(path: Path) -> list[tuple[str, int, int]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute("SELECT label, image_id, present FROM truth ORDER BY label, image_id").fetchall()


@pytest.mark.parametrize("damage", [damage_scores, damage_a_card])
def test_a_damaged_library_of_schema_1_is_told_in_a_line_copied_aside_and_rescued(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = kept(1, tmp_path)
    marked = read_marks_of_schema_1(path)
    damage(path)
    for _ in range(2):
        with pytest.raises(StoreError) as told:
            Database(path)
        assert str(told.value) == f"{path}: {DAMAGED}"
        aside = path.with_name("library.db.schema1")
        for file in (path, aside):  # the copy is what it was, the library too
            with closing(sqlite3.connect(file)) as conn:
                assert conn.execute("PRAGMA user_version").fetchone() == (1,)
            assert read_marks_of_schema_1(file) == marked
        assert aside.stat().st_mode & 0o777 == 0o600
    rebuilt = rebuild(path)
    assert (rebuilt.marks, rebuilt.thresholds, rebuilt.folders) == (len(marked), 1, 1)
    assert check_whole(path) == schema.VERSION


KILLED = """
import os, signal, sqlite3, sys
from photosearch.library import database, schema
path, last = sys.argv[1], int(sys.argv[2])
migrate, steps = schema.migrate, 0
def step():
    global steps
    steps += 1
    if steps == last:
        os.kill(os.getpid(), signal.SIGKILL)
def migrate_and_die(conn):
    conn.set_progress_handler(step, 20)  # every 20 instructions of SQLite
    migrate(conn)
    if last == 0:
        print(steps, flush=True)
schema.migrate = migrate_and_die
database.Database(path).close()
"""


@pytest.mark.hostile
def test_a_migration_from_schema_1_that_is_killed_anywhere_costs_nothing(tmp_path: Path) -> None:
    def migrate(path: Path, last: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(path), str(last)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    first = SCHEMAS / "schema-1.db"
    plain = Path(shutil.copy(first, tmp_path / "plain.db"))
    steps = int(migrate(plain, 0).stdout)
    before, after = rows(first), [row for row in rows(plain) if not row.startswith("_sqlite_migrations")]
    rng = random.Random(2)
    for last in [1, steps, *(rng.randint(2, steps) for _ in range(KILLS))]:
        for file in tmp_path.glob("library.db*"):
            file.unlink()
        path = Path(shutil.copy(first, tmp_path / "library.db"))
        assert migrate(path, last).returncode == -signal.SIGKILL
        assert check_whole(path) == 1
        assert rows(path) == before == rows(path.with_name("library.db.schema1"))
        Database(path).close()
        assert check_whole(path) == schema.VERSION
        assert [row for row in rows(path) if not row.startswith("_sqlite_migrations")] == after
        assert sorted(p.name for p in tmp_path.glob("library.db*")) == ["library.db", "library.db.schema1"]
    print(f"\n{KILLS + 2} kills within {steps:,} steps of a migration: all rows there each time")


def test_what_a_killed_migration_left_of_its_copy_is_cleared_away(tmp_path: Path) -> None:
    path = kept(1, tmp_path)
    before = rows(path)
    for end in (".part", ".part-wal", ".part-journal"):
        path.with_name(f"library.db.schema1{end}").write_bytes(b"half" * 1000)
    Database(path).close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["library.db", "library.db.schema1"]
    assert rows(path.with_name("library.db.schema1")) == before


# ---- the next version, made up


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Migrations:
    """One more version than there is; the test adds its migration."""
    coming = schema.declare()
    monkeypatch.setattr(schema, "declare", lambda: coming)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    return coming


def test_a_migration_copies_the_library_aside_first(tmp_path: Path, next_version: Migrations) -> None:
    path = kept(schema.VERSION - 1, tmp_path)
    before = rows(path)

    @next_version(name="next")
    def _(db: sqlite_utils.Database) -> None:
        db.execute("DELETE FROM truth")

    with Database(path) as db:
        assert places.counts(db)["truth"] == 0
    aside = path.with_name(f"library.db.schema{schema.VERSION - 1}")
    assert rows(aside) == before
    assert aside.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["library.db", aside.name]
    before = rows(path)
    Database(path).close()  # and not a second time
    assert rows(path) == before


@pytest.mark.parametrize("what", ["SELECT * FROM nowhere", "no SQL at all"])
def test_a_migration_that_fails_leaves_the_library_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, next_version: Migrations, what: str
) -> None:
    path = kept(schema.VERSION - 1, tmp_path)
    before = rows(path)

    @next_version(name="next")
    def _(db: sqlite_utils.Database) -> None:
        db.execute("DELETE FROM photos")
        db.execute("CREATE TABLE half_done (id INTEGER)")
        db.execute(what)

    with pytest.raises(StoreError, match=r"^.*library\.db: "):
        Database(path)
    assert rows(path) == before
    monkeypatch.undo()
    with Database(path) as db:
        assert places.counts(db)["photos"] == 5


def wait_until_blocked(n: int) -> None:
    """Until so many threads wait for the lock on the library, in `BEGIN IMMEDIATE`."""
    until = time.monotonic() + 60
    while (
        sum(frame.f_code is Database.transaction.__wrapped__.__code__ for frame in sys._current_frames().values()) < n
    ):
        assert time.monotonic() < until
        time.sleep(0.001)


def test_two_that_migrate_at_once_do_it_once_and_keep_the_old_one(tmp_path: Path, next_version: Migrations) -> None:
    path = kept(schema.VERSION - 1, tmp_path)
    before, done, all_here = rows(path), [], threading.Barrier(5)

    @next_version(name="next")
    def _(db: sqlite_utils.Database) -> None:
        done.append(1)
        wait_until_blocked(4)
        db.execute("DELETE FROM truth")

    def open_it() -> None:
        all_here.wait()
        Database(path).close()

    threads = [threading.Thread(target=open_it) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [1]
    assert rows(path.with_name(f"library.db.schema{schema.VERSION - 1}")) == before


def test_a_library_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = kept(schema.VERSION, tmp_path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"written by a newer photosearch \(schema 99\); upgrade photosearch"):
        Database(path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    for version in (0, 1, schema.VERSION, 99):
        with closing(sqlite3.connect(path)) as conn:
            conn.execute("CREATE TABLE IF NOT EXISTS bookmarks (url TEXT)")
            conn.execute(f"PRAGMA user_version = {version}")
        before = path.read_bytes()
        for create in (False, True):
            with pytest.raises(StoreError, match=r"another program's (database|file), no library"):
                Database(path, create=create)
        assert path.read_bytes() == before


MIGRATION = """
import sys, time
from photosearch.library import schema
from photosearch.library.database import Database
coming = schema.declare()
schema.VERSION += 1
schema.declare = lambda: coming
@coming(name="next")
def _(db):
    for i in range(200):
        db.execute("INSERT INTO truth VALUES (?, 1, 1, '')", [f"label {i}"])
        time.sleep(0.0005)
print("ready", flush=True)
Database(sys.argv[1]).close()
"""


@pytest.mark.hostile
def test_a_migration_that_is_killed_leaves_the_library_as_it_was_or_done(tmp_path: Path) -> None:
    rng, killed, undone, most = random.Random(3), 0, 0, 0.2  # seconds
    before = rows(SCHEMAS / f"schema-{schema.VERSION}.db")
    marks = 200 + sum(row.startswith("truth ") for row in before)  # what MIGRATION adds, and what was there
    while killed < KILLS:
        path = kept(schema.VERSION, tmp_path)
        program = subprocess.Popen([sys.executable, "-c", MIGRATION, str(path)], stdout=subprocess.PIPE)
        with program:
            program.stdout.readline()
            time.sleep(rng.uniform(0, most))
            program.kill()
        killed += program.returncode == -signal.SIGKILL
        most *= 1 if program.returncode else 0.8  # it was done before; a quicker machine
        version = check_whole(path)
        if version == schema.VERSION:
            undone += 1
            assert rows(path) == before
        subprocess.run([sys.executable, "-c", MIGRATION, str(path)], check=True, stdout=subprocess.DEVNULL)
        with closing(sqlite3.connect(path)) as conn:
            assert conn.execute("SELECT count(*) FROM truth").fetchone() == (marks,)
        assert rows(path.with_name(f"library.db.schema{schema.VERSION}")) == before
        for file in tmp_path.iterdir():
            file.unlink()
    assert undone > 0
    print(f"\n{killed} kills of a migration, {undone} of them before it was done")
