"""Start a damaged library anew, and rescue what only its user knows: marks, saved thresholds, the folders' names.

Scores are not rescued: the photos are there, and `photosearch index` makes them again. The damaged file is kept.
A kill at any moment leaves either the damaged library where it was or the new one in its place.
"""

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from photosearch import atomic
from photosearch.errors import StoreError
from photosearch.library.database import NOT_OURS, Database, free_path
from photosearch.library.labels import read_labels
from photosearch.library.location import is_library
from photosearch.library.lock import only_one
from photosearch.models.card import Card


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """What was rescued, in rows, and where the damaged library stands now."""

    aside: Path
    marks: int
    thresholds: int
    folders: int


def rebuild(path: Path, *, force: bool = False) -> RebuildResult:
    """Raises StoreError, also where the file is no library, somebody holds it, or it is sound and not forced."""
    with only_one(path):
        check(path, force=force)
        return _rebuild(path)


def check(path: Path, *, force: bool = False) -> None:
    """Raises StoreError where there is nothing to rebuild, as for `rebuild`. Changes nothing."""
    if not path.exists():
        raise StoreError(f"{path}: no library here; make one with `photosearch index FOLDER`")
    if not is_library(path):
        raise StoreError(f"{path}: {NOT_OURS}; nothing was done")
    if not force and _sound(path):
        raise StoreError(f"{path}: is not damaged; nothing was done (--force starts it anew all the same)")


def _rebuild(path: Path) -> RebuildResult:
    part = free_path(path.with_name(f"{path.name}.part"))
    try:
        with atomic.write_file(path, part=part, mode=0o600):
            Database(part, create=True).close()
            with contextlib.closing(sqlite3.connect(path)) as old, contextlib.closing(sqlite3.connect(part)) as new:
                rescued = _rescue(old, new)
            aside = _put_aside(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: can't be rebuilt: {error}; nothing was changed") from None
    finally:
        free_path(part)
    return RebuildResult(aside, *rescued)


def _sound(path: Path) -> bool:
    """Whether SQLite finds no fault, and we can read what is to be read everywhere."""
    try:
        with Database(path) as db, contextlib.closing(sqlite3.connect(path)) as conn:
            read_labels(db)
            return conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    except (StoreError, sqlite3.Error, ValueError, TypeError):
        return False


def _rescue(old: sqlite3.Connection, new: sqlite3.Connection) -> tuple[int, int, int]:
    """-> (marks, thresholds, folders)."""
    new.execute("PRAGMA foreign_keys = ON")  # a row whose other half is lost stays behind
    truth = _readable(old, "truth", "label, image_id")
    images = _images(old, {row["image_id"] for row in truth})
    _put(new, "roots", _readable(old, "roots", "id"))
    _put(new, "models", [row for row in _readable(old, "models", "id") if _is_card(row["card"])])
    _put(new, "labels", _readable(old, "labels", "id"))
    _put(new, "images", images)
    _put(new, "truth", truth)
    _put(new, "folder_settings", _readable(old, "folder_settings", "root_id, path"))
    _put(new, "library", _readable(old, "library", "name"))
    new.execute("DELETE FROM labels WHERE model NOT IN (SELECT name FROM models)")
    new.commit()
    questions = ("FROM truth", "FROM labels WHERE threshold IS NOT NULL", "FROM roots")
    marks, thresholds, folders = (new.execute(f"SELECT count(*) {q}").fetchone()[0] for q in questions)
    return marks, thresholds, folders


def _readable(old: sqlite3.Connection, table: str, key: str) -> list[dict[str, Any]]:
    """The rows that can be read: from the front, and from the back, up to the damage."""
    found: dict[tuple[Any, ...], None] = {}
    names: list[str] = []
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.Error):
            cursor = old.execute(f"SELECT * FROM {table} ORDER BY {key.replace(',', f' {order},')} {order}")
            names = [column[0] for column in cursor.description]
            for row in cursor:
                found[row] = None
    return [dict(zip(names, row, strict=True)) for row in found]


def _images(old: sqlite3.Connection, ids: set[int]) -> list[dict[str, Any]]:
    """The images with these ids, each over the few pages that lead to it; else what their index of hashes says."""
    hashes = {row["id"]: row["hash"] for row in _readable(old, "(SELECT id, hash FROM images)", "hash")}
    rows = []
    for image_id in sorted(ids):
        row = {"id": image_id, "hash": hashes.get(image_id), "width": 0, "height": 0}  # `index` sees to the sides
        with contextlib.suppress(sqlite3.Error):
            cursor = old.execute("SELECT * FROM images WHERE id = ?", [image_id])
            if found := cursor.fetchone():
                row = dict(zip((column[0] for column in cursor.description), found, strict=True))
        rows.append(row)
    return rows


def _put(new: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    """The columns that the table has today: a library of an older schema may have had others."""
    columns = {name for _, name, *_ in new.execute(f"PRAGMA table_info({table})")}
    for old in rows:
        row = {name: value for name, value in old.items() if name in columns}
        names, places = ", ".join(row), ", ".join("?" * len(row))
        with contextlib.suppress(sqlite3.Error):  # it contradicts another row, or its own type
            new.execute(f"INSERT INTO {table}({names}) VALUES ({places})", list(row.values()))


def _is_card(text: Any) -> bool:
    try:
        Card.from_json(text)
    except (ValueError, TypeError):
        return False
    return True


def _put_aside(path: Path) -> Path:
    """Give the damaged library a second name, its log along. The log first: it must never meet another library."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now():%Y-%m-%dT%H%M%S}")
    for log in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{log}", f"{aside}{log}")
    try:
        os.link(path, aside)
    except OSError:  # a file system without hard links
        os.rename(path, aside)
    return aside
