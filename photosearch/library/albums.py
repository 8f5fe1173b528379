"""Albums: images under a name that the user chose, and saved searches, which hold a question in place of images.

Each change is one transaction and one step of the undo log. An image is in an album whatever its photos are called, so
that one that was moved or copied stays in it.
"""

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from photosearch.errors import InputError
from photosearch.library import database
from photosearch.library.database import Database, Row, SqlValue
from photosearch.library.undo import OF_ALBUMS, add_step, drop_old_steps

MAX_NAME_LENGTH = 200  # characters
JOINERS = "\u200c\u200d"  # in the spelling of some languages, and in emoji
Change = Literal["created", "renamed", "deleted", "photos"]

_COLUMNS = "id, name, question, created_at"
_KNOWN = "FROM (SELECT DISTINCT value FROM json_each(?)) j CROSS JOIN images i ON i.id = j.value"
_PRESENT = "EXISTS (SELECT 1 FROM photos p WHERE p.image_id = m.image_id AND p.absent IS NULL)"


@dataclass(frozen=True, slots=True)
class Album:
    """photos: pictures that a file on the disk shows; None for a saved search. question: its JSON, None without one."""

    id: int
    name: str
    question: str | None
    created_at: str
    photos: int | None = None


@dataclass(frozen=True, slots=True)
class AlbumStep:
    """A change that was taken back. name: of the album, as it was before the change; of a new one: its name.

    images: whose place in the album is restored.
    """

    name: str
    change: Change
    images: int


def check_album_name(name: str) -> str:
    """A name for an album, tidied: white space, accents. Raises InputError where it can't be one."""
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    bad = any(unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in JOINERS for c in name)
    if not name or bad or len(name) > MAX_NAME_LENGTH:
        shown = name if len(name) <= MAX_NAME_LENGTH else f"{name[:20]}..."
        raise InputError(
            f"{shown!r} can't be an album's name: give it 1 to {MAX_NAME_LENGTH} characters, without control characters"
        )
    return name


def fold_album_name(name: str) -> str:
    """The same text for all spellings of a name: letter case, white space and composed accents aside."""
    return unicodedata.normalize("NFC", " ".join(name.split()).casefold())


def list_albums(db: Database) -> list[Album]:
    """Every album by its name, with the number of its photos."""
    counts: dict[int, int] = dict(
        db.rows(f"SELECT m.album_id, count(*) FROM album_images m WHERE {_PRESENT} GROUP BY m.album_id")
    )
    rows = db.rows(f"SELECT {_COLUMNS} FROM albums ORDER BY key")
    return [_to_album(row, None if row[2] is not None else counts.get(row[0], 0)) for row in rows]


def list_album_names(db: Database) -> list[str]:
    return [name for (name,) in db.rows("SELECT name FROM albums ORDER BY key")]


def find_album(db: Database, name: str) -> Album | None:
    """The album that a name means; without the number of its photos."""
    row = db.row(f"SELECT {_COLUMNS} FROM albums WHERE key = ?", [database.to_sql(fold_album_name(name))])
    return None if row is None else _to_album(row)


def _to_album(row: Row, photos: int | None = None) -> Album:
    album_id, name, question, created_at = row
    return Album(album_id, name, question, created_at, photos)


def count_album(db: Database, album: Album) -> int:
    """The number of its pictures that a file on the disk shows."""
    return int(db.one(f"SELECT count(*) FROM album_images m WHERE m.album_id = ? AND {_PRESENT}", [album.id])[0])


def list_albums_of(db: Database, image_id: int) -> list[str]:
    """The names of the albums that an image was added to."""
    sql = "SELECT a.name FROM album_images m JOIN albums a ON a.id = m.album_id WHERE m.image_id = ? ORDER BY a.key"
    return [name for (name,) in db.rows(sql, [image_id])]


def put_album(
    db: Database, name: str, question: str | None = None, image_ids: Iterable[int] = ()
) -> tuple[Album, int, int]:
    """Store a new album -> (album, its images, undo step). name: checked.

    Raises InputError where there is one of that name.
    """
    at = database.now()
    with db.transaction():
        _refuse_taken(db, name)
        row = db.one(
            "INSERT INTO albums(name, key, question, created_at, changed_at) VALUES (?, ?, ?, ?, ?) "
            f"RETURNING {_COLUMNS}",
            [name, fold_album_name(name), question, at, at],
        )
        album = _to_album(row)
        step = _add_step(db, album, "created")
        added = _insert_images(db, album.id, image_ids, at)
    return album, added, step


def rename_album(db: Database, album: Album, name: str) -> int:
    """-> the undo step. name: checked. Raises InputError where another album has it."""
    with db.transaction():
        _refuse_taken(db, name, album.id)
        step = _add_step(db, album, "renamed")
        _write_name(db, album.id, name)
    return step


def delete_album(db: Database, album: Album) -> int:
    """Delete an album, and no photo -> the undo step."""
    with db.transaction():
        step = _add_step(db, album, "deleted")
        db.write(
            "INSERT INTO undo_album_images(undo_id, image_id, added_at) "
            "SELECT ?, image_id, added_at FROM album_images WHERE album_id = ?",
            [step, album.id],
        )
        db.write("DELETE FROM albums WHERE id = ?", [album.id])
    return step


def add_images(db: Database, album: Album, image_ids: Iterable[int]) -> tuple[int, int | None]:
    """-> (images that were not in the album, undo step; None where nothing changed). Unknown images are left out."""
    new = f"SELECT i.id, NULL {_KNOWN} WHERE i.id NOT IN (SELECT image_id FROM album_images WHERE album_id = ?)"
    with db.transaction():
        step, ids = _log_images(db, album, new, [json.dumps(list(image_ids)), album.id])
        _insert_images(db, album.id, ids, database.now())
    return len(ids), step


def remove_images(db: Database, album: Album, image_ids: Iterable[int]) -> tuple[int, int | None]:
    """-> (images that were in the album, undo step; None where nothing changed)."""
    there = """
        SELECT m.image_id, m.added_at FROM (SELECT DISTINCT value FROM json_each(?)) j
        CROSS JOIN album_images m ON m.album_id = ? AND m.image_id = j.value
    """
    with db.transaction():
        step, ids = _log_images(db, album, there, [json.dumps(list(image_ids)), album.id])
        db.write_many(
            "DELETE FROM album_images WHERE album_id = ? AND image_id = ?", [(album.id, image_id) for image_id in ids]
        )
    return len(ids), step


def _insert_images(db: Database, album_id: int, image_ids: Iterable[int], at: str) -> int:
    """-> how many are there. Those that are in the album already stay as they are."""
    db.write(
        f"INSERT OR IGNORE INTO album_images(album_id, image_id, added_at) SELECT ?, i.id, ? {_KNOWN}",
        [album_id, at, json.dumps(list(image_ids))],
    )
    return int(db.one("SELECT count(*) FROM album_images WHERE album_id = ?", [album_id])[0])


def _refuse_taken(db: Database, name: str, but: int | None = None) -> None:
    other = find_album(db, name)
    if other is not None and other.id != but:
        raise InputError(f"there is an album '{other.name}' already; choose another name, or rename or delete that one")


def _write_name(db: Database, album_id: int, name: str) -> None:
    db.write(
        "UPDATE albums SET name = ?, key = ?, changed_at = ? WHERE id = ?",
        [name, fold_album_name(name), database.now(), album_id],
    )


# ---- undo


def _add_step(db: Database, album: Album, change: Change) -> int:
    step = add_step(db)
    db.write(
        "INSERT INTO undo_albums(undo_id, album_id, change, name, question, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        [step, album.id, change, album.name, album.question, album.created_at],
    )
    drop_old_steps(db, OF_ALBUMS)
    return step


def _log_images(db: Database, album: Album, sql: str, values: list[SqlValue]) -> tuple[int | None, list[int]]:
    """Store the place of images in an album as it is now -> (undo step, the images). sql: gives (id, added_at)."""
    rows = db.rows(sql, values)
    if not rows:
        return None, []
    step = _add_step(db, album, "photos")
    db.write_many(
        "INSERT INTO undo_album_images(undo_id, image_id, added_at) VALUES (?, ?, ?)", [(step, *row) for row in rows]
    )
    return step, [image_id for image_id, _ in rows]


def count_undo_steps(db: Database) -> int:
    """The number of steps that undo_album can take back, MAX_UNDO_STEPS at most."""
    return int(db.one("SELECT count(*) FROM undo_albums")[0])


def has_step(db: Database, step: int) -> bool:
    """Whether a step of the undo log is a change of an album."""
    return db.row("SELECT 1 FROM undo_albums WHERE undo_id = ?", [step]) is not None


def undo_album(db: Database, step: int | None = None) -> AlbumStep | None:
    """Take back a change of an album; None where there is no such step. step: its id, None: the last.

    Raises InputError where that would lose a later change, or where another album has the name by now.
    """
    with db.transaction():
        row = db.row(
            "SELECT undo_id, album_id, change, name, question, created_at FROM undo_albums "
            "WHERE undo_id = coalesce(?, (SELECT max(undo_id) FROM undo_albums))",
            [step],
        )
        if row is None:
            return None
        undo_id, album_id, change, name, question, created_at = row
        if _is_overwritten(db, undo_id, album_id, change):
            raise InputError(f"the album '{name}' was changed again since: nothing was undone")
        images = db.rows("SELECT image_id, added_at FROM undo_album_images WHERE undo_id = ?", [undo_id])
        if change == "created":
            (count,) = db.one("SELECT count(*) FROM album_images WHERE album_id = ?", [album_id])
            db.write("DELETE FROM albums WHERE id = ?", [album_id])
        else:
            count = len(images)
        if change == "deleted":
            _refuse_taken(db, name)
            db.write(
                "INSERT INTO albums(id, name, key, question, created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?)",
                [album_id, name, fold_album_name(name), question, created_at, database.now()],
            )
        if change == "renamed":
            _refuse_taken(db, name, album_id)
            _write_name(db, album_id, name)
        db.write_many(
            "DELETE FROM album_images WHERE album_id = ? AND image_id = ?",
            [(album_id, image_id) for image_id, at in images if at is None],
        )
        db.write_many(
            "INSERT OR IGNORE INTO album_images(album_id, image_id, added_at) VALUES (?, ?, ?)",
            [(album_id, image_id, at) for image_id, at in images if at is not None],
        )
        db.write("DELETE FROM undo_log WHERE id = ?", [undo_id])
    return AlbumStep(name, change, int(count))


def _is_overwritten(db: Database, undo_id: int, album_id: int, change: Change) -> bool:
    """Whether a later step of the album rests on this one: any, on its creation; else the same kind, or its end."""
    later = """
        SELECT 1 FROM undo_albums n WHERE n.album_id = ? AND n.undo_id > ? AND (
            ? = 'created' OR n.change = 'deleted' OR (? = 'renamed' AND n.change = 'renamed')
            OR EXISTS (SELECT 1 FROM undo_album_images a JOIN undo_album_images b ON b.image_id = a.image_id
                       WHERE a.undo_id = n.undo_id AND b.undo_id = ?))
    """
    return db.row(later, [album_id, undo_id, change, change, undo_id]) is not None
