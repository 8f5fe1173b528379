"""Libraries of every schema version open in this one, and a migration that fails or is killed loses nothing.

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

from photosearch import query
from photosearch.errors import StoreError
from photosearch.library import albums, classifiers, marks, matching, schema
from photosearch.library.albums import AlbumStep
from photosearch.library.database import Database
from photosearch.library.folders import FolderSettings, list_roots, read_settings
from photosearch.library.labels import read_labels, undo_threshold
from photosearch.library.marks import Mark
from photosearch.library.models import list_models, read_default_model
from photosearch.library.photos import list_unreadable, read_counts, read_folder
from photosearch.library.rebuild import rebuild
from photosearch.library.records import USER_MODEL, Counts
from photosearch.library.runs import read_last_run
from photosearch.library.scores import activate
from photosearch.library.words import find_by_words

SCHEMAS = Path(__file__).parents[1] / "schemas"
KILLS = int(os.environ.get("PHOTOSEARCH_KILLS", "5"))
STRANGE = "/photos/2019/not\udcff utf8/3.jpg"


LISTED = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'words'"  # which keeps no rows, but an index


def keep(version: int, tmp_path: Path) -> Path:
    path = Path(shutil.copy(SCHEMAS / f"schema-{version}.db", tmp_path / "library.db"))
    path.chmod(0o600)
    return path


def tables(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()


def rows(path: Path) -> list[str]:
    """All rows of a library, as text."""
    with closing(sqlite3.connect(path)) as conn:
        conn.text_factory = bytes
        names = [name.decode() for (name,) in conn.execute(LISTED)]
        found = [f"{table} {row}" for table in sorted(names) for row in conn.execute(f"SELECT * FROM {table}")]
        return [
            row for row in found if not row.startswith(("library (b'id'", "properties (b'id'"))
        ]  # drawn for each library


def check_whole(path: Path) -> int:
    """Check the integrity of a library -> its schema version."""
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        return conn.execute("PRAGMA user_version").fetchone()[0]


def test_schemas_folder_holds_every_version() -> None:
    versions = sorted(int(path.stem.removeprefix("schema-")) for path in SCHEMAS.glob("*.db"))
    assert versions == list(range(1, schema.VERSION + 1)), "keep this version's: python tests/schemas/keep.py"


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_database_opens_every_schema_version(version: int, tmp_path: Path) -> None:
    path = keep(version, tmp_path)
    with Database(path) as db:
        labels = {label.name: label for label in read_labels(db)}
        found = matching.find_matches(db, query.parse("bird"), labels)
        assert [(f.path, f.score) for f in found] == [
            ("/photos/0.jpg", 0.9), ("/photos/copy of 0.jpg", 0.9), ("/photos/2.jpg", 0.55),
        ]  # fmt: skip
        assert found[2].taken == "2019-07-20T12:34:56"
        assert found[2].taken_from == ("exif" if version == 1 else "DateTimeOriginal")
        assert (labels["bird"].threshold, labels["bird"].saved, labels["dog"].saved) == (0.5, True, False)
        assert marks.list_marks(db, "bird", scored=labels["bird"]) == [
            Mark("/photos/0.jpg", "bird", True, 0.9),
            Mark("/photos/2.jpg", "bird", True, 0.55),
            Mark(STRANGE, "bird", False, 0.1),
            Mark("/photos/copy of 0.jpg", "bird", True, 0.9),
        ]
        assert list_unreadable(db) == [("/photos/broken.jpg", "image file is truncated", "2026-11-23T12:00:00Z")]
        assert read_counts(db) == Counts(5, 1, 1, int(version > 1), images=4, marks=6 if version > 2 else 4)
        sample = marks.find_sample(db, labels["bird"])
        assert sample is not None
        assert [(p.path, p.score, p.present) for p in sample.photos] == [
            ("/photos/0.jpg", 0.9, True), (STRANGE, 0.1, False),
        ]  # fmt: skip
        assert read_default_model(db) == "old"
        last = read_last_run(db)
        assert last is not None
        assert (last.models, last.started_at, last.host) == (("old",), "2026-11-23T12:00:00Z", "host")
    assert path.with_name(f"library.db.schema{version}").exists() == (version < schema.VERSION)


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_words_of_folders_are_found_in_every_schema_version(version: int, tmp_path: Path) -> None:
    with Database(keep(version, tmp_path)) as db:
        below = [photo_id for (photo_id,) in db.rows("SELECT id FROM photos WHERE folder_id = 2 AND absent IS NULL")]
        assert [photo_id for photo_id, _ in find_by_words(db, "utf8")] == below != []
        assert set(below) < {photo_id for photo_id, _ in find_by_words(db, "photos")}


@pytest.mark.parametrize("version", range(2, schema.VERSION + 1))
def test_database_keeps_content_of_schema_2(version: int, tmp_path: Path) -> None:
    with Database(keep(version, tmp_path)) as db:
        (scope,) = list_roots(db)
        assert read_settings(db, scope) == FolderSettings((None, "sight"), 0, ("passed*",), None, True)
        of_files = [m for m in list_models(db) if m.name != USER_MODEL]
        assert [(m.name, m.tiles, m.images, m.path) for m in of_files] == [
            ("old", 0, 4, None), ("old", 4, 1, None), ("sight", 0, 4, "/models/sight.onnx"),
        ]  # fmt: skip
        vectors = db.rows("SELECT image_id, vector FROM vectors ORDER BY id")
        assert [(i, np.frombuffer(v, np.float16).tolist()) for i, v in vectors] == list(
            enumerate(np.eye(4).tolist(), 1)
        )
        (known,) = [k for k in read_folder(db, scope, "/photos", [1, 2]).values() if k.photo_id == 1]
        assert known.scored_by == {1: False, 2: True}
        with db.transaction():
            activate(db, 1, 1)
        labels = {label.name: label for label in read_labels(db)}
        assert matching.find_matches(db, query.parse("bird"), labels, limit=1)[0].score == 0.95


@pytest.mark.parametrize("version", range(3, schema.VERSION + 1))
def test_database_keeps_content_of_schema_3(version: int, tmp_path: Path) -> None:
    with Database(keep(version, tmp_path)) as db:
        (classifier,) = classifiers.list_classifiers(db)
        assert (classifier.label.name, classifier.label.model, classifier.digest, classifier.base_id) == (
            "my dog", "yours", "fedcba9876543210", None,
        )  # fmt: skip
        assert (np.frombuffer(classifier.weights, "<f4").tolist(), classifier.bias, classifier.metrics) == (
            [1, 0, 0, -1], 0.25, {"rests_on": "2 marks"},
        )  # fmt: skip
        assert classifiers.read_training_marks(db, classifier.label) == {1: (True, 0.75), 4: (False, 0.25)}
        assert marks.undo_marks(db) == [("my dog", 1, None), ("my dog", 4, None)]
        labels = {label.name: label for label in read_labels(db)}
        assert undo_threshold(db, labels["bird"])
        assert {label.name: label for label in read_labels(db)}["bird"].threshold == 0.6


@pytest.mark.parametrize("version", range(6, schema.VERSION + 1))
def test_database_keeps_content_of_schema_6(version: int, tmp_path: Path) -> None:
    with Database(keep(version, tmp_path)) as db:
        saved, rome = albums.list_albums(db)
        assert (saved.name, saved.question, saved.photos) == ("Birds", '{"words": "bird", "sort": "date"}', None)
        assert (rome.name, rome.photos) == ("Rome", 1)
        assert [albums.undo_album(db) for _ in range(2)] == [
            AlbumStep("Birds", "created", 0), AlbumStep("Rome", "photos", 1),
        ]  # fmt: skip
        assert db.rows("SELECT image_id FROM album_images WHERE album_id = ?", [rome.id]) == [(1,), (4,)]


def test_migrate_drops_fingerprints_that_were_taken_in_another_way(tmp_path: Path) -> None:
    path = keep(3, tmp_path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("UPDATE images SET fingerprint = 7")
        conn.commit()
    with Database(path) as db:
        assert db.rows("SELECT DISTINCT fingerprint FROM images") == [(None,)]


RENAMED_TABLES = {
    "knows": "model_labels", "heads": "classifiers", "taught": "training_marks", "steps": "undo_log",
    "step_marks": "undo_marks", "scores_aside": "inactive_scores", "truth": "marks", "library": "properties",
}  # fmt: skip
RENAMED_COLUMNS = {
    "photos": {"gone": "absent", "gone_at": "absent_since", "named": "name_date", "passing": "transient",
               "removed_at": "absent_since"},
    "models": {"floor": "min_score"}, "labels": {"text": "description"}, "scored": {"answers": "active"},
    "marks": {"at": "marked_at"}, "training_marks": {"head_id": "classifier_id"},
    "classifiers": {"saved": "previous_threshold", "told": "metrics", "at": "learned_at"},
    "undo_log": {"at": "logged_at", "threshold": "previous_threshold"}, "undo_marks": {"step_id": "undo_id"},
}  # fmt: skip
DROPPED_COLUMNS = {("scores", "model_id"), ("runs", "model_id"), ("images", "fingerprint")}  # by schema 2; by schema 4


def read_tables(path: Path) -> dict[str, list[dict[str, object]]]:
    """table -> rows (column -> value), by the names of schema 4; without the migrations and each library's own id."""
    found = {}
    with closing(sqlite3.connect(path)) as conn:
        conn.row_factory = sqlite3.Row
        for (table,) in conn.execute(f"{LISTED} AND name NOT LIKE '%sqlite%'"):
            name = RENAMED_TABLES.get(table, table)
            columns = RENAMED_COLUMNS.get(name, {})
            rows = [
                {columns.get(k, k): v for k, v in dict(row).items()} for row in conn.execute(f"SELECT * FROM {table}")
            ]
            found[name] = [row for row in rows if name != "properties" or row["name"] != "id"]
    for row in found.get("properties", []):
        row["name"] = "default_model" if row["name"] == "model" else row["name"]
    for row in found.get("counts", []):
        row["name"] = row["name"].replace("looked", "scored").replace("truth", "marks")
    return found


@pytest.mark.parametrize("version", range(1, schema.VERSION))
def test_migrate_keeps_every_row_of_each_version(version: int, tmp_path: Path) -> None:
    path = keep(version, tmp_path)
    before = read_tables(path)
    Database(path).close()
    after = read_tables(path)
    for table, rows in before.items():
        columns = [name for name in (rows[0] if rows else {}) if (table, name) not in DROPPED_COLUMNS]
        values = [sorted([[row[name] for name in columns] for row in some], key=repr) for some in (rows, after[table])]
        assert values[0] == values[1], table
    assert sum(map(len, before.values())) > 30


def test_migrate_gives_the_tables_of_a_new_library(tmp_path: Path) -> None:
    Database(tmp_path / "new.db", create=True).close()
    for version in range(1, schema.VERSION + 1):
        path = keep(version, tmp_path)
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
def test_migrate_reports_damage_and_rebuild_rescues(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = keep(1, tmp_path)
    marked = read_marks_of_schema_1(path)
    damage(path)
    for _ in range(2):
        with pytest.raises(StoreError) as error:
            Database(path)
        assert str(error.value) == f"{path}: {DAMAGED}"
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
def test_migrate_killed_anywhere_loses_nothing(tmp_path: Path) -> None:
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


def test_migrate_clears_leftovers_of_a_killed_backup(tmp_path: Path) -> None:
    path = keep(1, tmp_path)
    before = rows(path)
    for end in (".part", ".part-wal", ".part-journal"):
        path.with_name(f"library.db.schema1{end}").write_bytes(b"half" * 1000)
    Database(path).close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["library.db", "library.db.schema1"]
    assert rows(path.with_name("library.db.schema1")) == before


# ---- a made-up next version


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Migrations:
    """A schema version more than there is; the test adds its migration."""
    coming = schema.declare()
    monkeypatch.setattr(schema, "declare", lambda: coming)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    return coming


def test_migrate_backs_up_the_library_first(tmp_path: Path, next_version: Migrations) -> None:
    path = keep(schema.VERSION - 1, tmp_path)
    before = rows(path)

    @next_version(name="next")
    def _(db: sqlite_utils.Database) -> None:
        db.execute("DELETE FROM marks")

    with Database(path) as db:
        assert read_counts(db).marks == 0
    aside = path.with_name(f"library.db.schema{schema.VERSION - 1}")
    assert rows(aside) == before
    assert aside.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["library.db", aside.name]
    before = rows(path)
    Database(path).close()  # and not a second time
    assert rows(path) == before


@pytest.mark.parametrize("what", ["SELECT * FROM nowhere", "no SQL at all"])
def test_migrate_failing_leaves_the_library_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, next_version: Migrations, what: str
) -> None:
    path = keep(schema.VERSION - 1, tmp_path)
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
        assert read_counts(db).photos == 5


def wait_until_blocked(n: int) -> None:
    """Wait until n threads wait for the write lock, in `BEGIN IMMEDIATE`."""
    until = time.monotonic() + 60
    while sum(frame.f_code is Database._begin.__code__ for frame in sys._current_frames().values()) < n:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_migrate_runs_once_for_concurrent_processes(tmp_path: Path, next_version: Migrations) -> None:
    path = keep(schema.VERSION - 1, tmp_path)
    before, done, all_here = rows(path), [], threading.Barrier(5)

    @next_version(name="next")
    def _(db: sqlite_utils.Database) -> None:
        done.append(1)
        wait_until_blocked(4)
        db.execute("DELETE FROM marks")

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


def test_database_refuses_newer_schema(tmp_path: Path) -> None:
    path = keep(schema.VERSION, tmp_path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"written by a newer photosearch \(schema 99\); upgrade photosearch"):
        Database(path)


def test_database_refuses_another_programs_file(tmp_path: Path) -> None:
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
        db.execute("INSERT INTO marks VALUES (?, 1, 1, '')", [f"label {i}"])
        time.sleep(0.0005)
print("ready", flush=True)
Database(sys.argv[1]).close()
"""


@pytest.mark.hostile
def test_migrate_killed_is_done_or_not_begun(tmp_path: Path) -> None:
    rng, killed, undone, most = random.Random(3), 0, 0, 0.2  # seconds
    before = rows(SCHEMAS / f"schema-{schema.VERSION}.db")
    marks = 200 + sum(row.startswith("marks ") for row in before)  # what MIGRATION adds, and what was there
    while killed < KILLS:
        path = keep(schema.VERSION, tmp_path)
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
            assert conn.execute("SELECT count(*) FROM marks").fetchone() == (marks,)
        assert rows(path.with_name(f"library.db.schema{schema.VERSION}")) == before
        for file in tmp_path.iterdir():
            file.unlink()
    assert undone > 0
    print(f"\n{killed} kills of a migration, {undone} of them before it was done")
