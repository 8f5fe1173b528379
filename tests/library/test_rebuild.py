"""A library that is started anew: what a killed attempt left is cleared, and the log goes with the damaged file."""

import sqlite3
from contextlib import closing
from pathlib import Path

from photosearch.library.database import Database
from photosearch.library.folders import add_root, list_roots
from photosearch.library.rebuild import rebuild


def with_root(path: Path, root: str) -> Path:
    with Database(path, create=True) as db:
        add_root(db, root)
    return path


def roots(path: Path) -> list[str]:
    with Database(path) as db:
        return [root.root for root in list_roots(db)]


def test_nothing_of_an_attempt_that_was_killed_gets_into_the_new_library(tmp_path: Path) -> None:
    path = with_root(tmp_path / "library.db", "/photos")
    with_root(tmp_path / "library.db.part", "/stale")
    for log in ("-journal", "-wal", "-shm"):
        (tmp_path / f"library.db.part{log}").write_bytes(b"left by a kill")
    rebuild(path, force=True)
    assert roots(path) == ["/photos"]
    assert not [p.name for p in tmp_path.iterdir() if ".part" in p.name]


def test_the_log_of_a_damaged_library_follows_it_aside(tmp_path: Path) -> None:
    path = with_root(tmp_path / "library.db", "/photos")
    with closing(sqlite3.connect(path)) as killed:  # a connection that never closes keeps its log
        killed.execute("UPDATE roots SET path = '/only in the log'")
        killed.commit()
        aside = rebuild(path, force=True).aside
        assert aside.with_name(f"{aside.name}-wal").stat().st_size > 0
        assert not Path(f"{path}-wal").exists()
    assert roots(aside) == ["/only in the log"]
