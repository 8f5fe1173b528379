"""Libraries of old versions open in this one, and a migration that fails or is killed costs nothing.

tests/schemas/ keeps a small library of every schema that was ever released (`python tests/schemas/keep.py`).
"""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from photosearch import query
from photosearch import store as storing
from photosearch.errors import StoreError
from photosearch.store import Store, Truth

SCHEMAS = Path(__file__).parent / "schemas"
KILLS = int(os.environ.get("PHOTOSEARCH_KILLS", "5"))
STRANGE = "/photos/2019/not\udcff utf8/3.jpg"


def kept(version: int, tmp_path: Path) -> Path:
    return Path(shutil.copy(SCHEMAS / f"schema-{version}.db", tmp_path / "library.db"))


def schema(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()


def rows(path: Path) -> list[str]:
    """All that is in a library."""
    with closing(sqlite3.connect(path)) as conn:
        conn.text_factory = bytes
        tables = [name.decode() for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return [f"{table} {row}" for table in sorted(tables) for row in conn.execute(f"SELECT * FROM {table}")]


def test_every_schema_since_the_first_is_kept() -> None:
    versions = sorted(int(path.stem.removeprefix("schema-")) for path in SCHEMAS.glob("*.db"))
    assert versions == list(range(1, storing.VERSION + 1)), "keep this version's: python tests/schemas/keep.py"


@pytest.mark.parametrize("version", range(1, storing.VERSION + 1))
def test_a_library_of_each_version_opens_with_all_that_was_in_it(version: int, tmp_path: Path) -> None:
    path = kept(version, tmp_path)
    with Store(path) as store:
        labels = {label.name: label for label in store.labels()}
        found = store.find(query.parse("bird"), labels)
        assert [(f.path, f.score) for f in found] == [
            ("/photos/0.jpg", 0.9), ("/photos/copy of 0.jpg", 0.9), ("/photos/2.jpg", 0.55),
        ]  # fmt: skip
        assert found[2].taken == "2019-07-20T12:34:56"
        assert (labels["bird"].threshold, labels["bird"].saved, labels["dog"].saved) == (0.5, True, False)
        assert store.truth("bird", scored=labels["bird"]) == [
            Truth("/photos/0.jpg", "bird", True, 0.9),
            Truth("/photos/2.jpg", "bird", True, 0.55),
            Truth(STRANGE, "bird", False, 0.1),
            Truth("/photos/copy of 0.jpg", "bird", True, 0.9),
        ]
        assert store.unreadable() == [("/photos/broken.jpg", "image file is truncated", "2026-11-23T12:00:00Z")]
        assert store.counts() == {"photos": 5, "unreadable": 1, "removed": 1, "images": 4, "truth": 4}
        sample = store.sample(labels["bird"])
        assert sample is not None
        assert [(p.path, p.score, p.present) for p in sample.photos] == [
            ("/photos/0.jpg", 0.9, True), (STRANGE, 0.1, False),
        ]  # fmt: skip
    assert path.with_name(f"library.db.schema{version}").exists() == (version < storing.VERSION)


def test_a_library_that_was_migrated_is_like_one_made_today(tmp_path: Path) -> None:
    Store(tmp_path / "new.db", create=True).close()
    for version in range(1, storing.VERSION + 1):
        path = kept(version, tmp_path)
        Store(path).close()
        assert schema(path) == schema(tmp_path / "new.db"), "a released schema never changes: add a migration"


# ---- the next version, made up


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Migrations:
    """One more version than there is; the test adds its migration."""
    coming = Migrations("photosearch")
    coming._migrations = list(storing.migrations._migrations)
    monkeypatch.setattr(storing, "migrations", coming)
    monkeypatch.setattr(storing, "VERSION", storing.VERSION + 1)
    return coming


def test_a_migration_copies_the_library_aside_first(tmp_path: Path, next_version: Migrations) -> None:
    path = kept(storing.VERSION - 1, tmp_path)
    before = rows(path)

    @next_version(name="next")
    def _(db: Database) -> None:
        db.execute("DELETE FROM truth")

    with Store(path) as store:
        assert store.counts()["truth"] == 0
    aside = path.with_name(f"library.db.schema{storing.VERSION - 1}")
    assert rows(aside) == before
    assert aside.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["library.db", aside.name]
    before = rows(path)
    Store(path).close()  # and not a second time
    assert rows(path) == before


@pytest.mark.parametrize("what", ["SELECT * FROM nowhere", "no SQL at all"])
def test_a_migration_that_fails_leaves_the_library_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, next_version: Migrations, what: str
) -> None:
    path = kept(storing.VERSION - 1, tmp_path)
    before = rows(path)

    @next_version(name="next")
    def _(db: Database) -> None:
        db.execute("DELETE FROM photos")
        db.execute("CREATE TABLE half_done (id INTEGER)")
        db.execute(what)

    with pytest.raises(StoreError, match=r"^.*library\.db: "):
        Store(path)
    assert rows(path) == before
    monkeypatch.undo()
    with Store(path) as store:
        assert store.counts()["photos"] == 5


def test_two_that_migrate_at_once_do_it_once_and_keep_the_old_one(tmp_path: Path, next_version: Migrations) -> None:
    path = kept(storing.VERSION - 1, tmp_path)
    before, done = rows(path), []

    @next_version(name="next")
    def _(db: Database) -> None:
        done.append(1)
        time.sleep(0.2)
        db.execute("DELETE FROM truth")

    def open_it() -> None:
        Store(path).close()

    threads = [threading.Thread(target=open_it) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [1]
    assert rows(path.with_name(f"library.db.schema{storing.VERSION - 1}")) == before


def test_a_library_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = kept(storing.VERSION, tmp_path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"written by a newer photosearch \(schema 99\); upgrade photosearch"):
        Store(path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    for version in (0, 1, storing.VERSION, 99):
        with closing(sqlite3.connect(path)) as conn:
            conn.execute("CREATE TABLE IF NOT EXISTS bookmarks (url TEXT)")
            conn.execute(f"PRAGMA user_version = {version}")
        before = path.read_bytes()
        for create in (False, True):
            with pytest.raises(StoreError, match="another program's database"):
                Store(path, create=create)
        assert path.read_bytes() == before


MIGRATION = """
import sys, time
from photosearch import store
store.VERSION += 1
@store.migrations(name="next")
def _(db):
    for i in range(200):
        db.execute("INSERT INTO truth VALUES (?, 1, 1, '')", [f"label {i}"])
        time.sleep(0.0005)
print("ready", flush=True)
store.Store(sys.argv[1]).close()
"""


def test_a_migration_that_is_killed_leaves_the_library_as_it_was_or_done(tmp_path: Path) -> None:
    rng, killed, undone = random.Random(3), 0, 0
    before = rows(SCHEMAS / f"schema-{storing.VERSION}.db")
    while killed < KILLS:
        path = kept(storing.VERSION, tmp_path)
        program = subprocess.Popen([sys.executable, "-c", MIGRATION, str(path)], stdout=subprocess.PIPE)
        with program:
            program.stdout.readline()
            time.sleep(rng.uniform(0, 0.2))
            with contextlib.suppress(ProcessLookupError):
                os.kill(program.pid, signal.SIGKILL)
        killed += program.returncode == -signal.SIGKILL
        with closing(sqlite3.connect(path)) as conn:
            assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            (version,) = conn.execute("PRAGMA user_version").fetchone()
        if version == storing.VERSION:
            undone += 1
            assert rows(path) == before
        subprocess.run([sys.executable, "-c", MIGRATION, str(path)], check=True, stdout=subprocess.DEVNULL)
        with closing(sqlite3.connect(path)) as conn:
            assert conn.execute("SELECT count(*) FROM truth").fetchone() == (204,)
        assert rows(path.with_name(f"library.db.schema{storing.VERSION}")) == before
        for file in tmp_path.iterdir():
            file.unlink()
    assert undone > 0
    print(f"\n{killed} kills of a migration, {undone} of them before it was done")
