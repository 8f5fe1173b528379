"""Photo files and the images that they show.

A photo is present, removed from the disk, or excluded by the user's patterns. Whether a drive is unplugged is not
stored: the disk is asked.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from photosearch.library import database
from photosearch.library.database import Database, is_below, join, to_path, to_relative, to_sql
from photosearch.library.folders import Scope, below_folder, find_scope, is_away, list_roots, to_real_path
from photosearch.photos.remote import absolute_path, is_address

_ANY = "FROM photos p JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id WHERE 1"
_LIVE = f"{_ANY} AND p.absent IS NULL"


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """What the library knows of a file. readings: model id -> whether it is the one that answers."""

    photo_id: int
    image_id: int | None
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    reason: str | None
    passing: bool
    gone: str | None
    readings: Mapping[int, bool]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What is stored of a photo's file beside its place. named: the date in its name."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int = 0
    device: int = 0
    inode: int = 0
    named: str | None = None

    def values(self) -> list[Any]:
        """Its columns for SQL; a device or an inode may be larger than SQLite's integers."""
        numbers = (self.size_bytes, self.mtime_ns, self.ctime_ns, self.device, self.inode)
        return [(n + 2**63) % 2**64 - 2**63 for n in numbers]


def list_some_photos(db: Database, root: Scope, n: int) -> list[tuple[str, int, int, bytes | None]]:
    """Up to n photos of a root, spread over it: (path below the root, size in bytes, mtime_ns, hash if it was read)."""
    sql = f"""
        SELECT f.path, p.name, p.size_bytes, p.mtime_ns, (SELECT i.hash FROM images i WHERE i.id = p.image_id)
        {_LIVE} AND f.root_id = ? ORDER BY p.id
    """
    rows = db.rows(sql, [root.root_id])
    step = max(1, len(rows) // n)
    return [(join("", f, name), *rest) for f, name, *rest in rows[::step][:n]]


def read_folder(db: Database, scope: Scope, folder: str, readings: Sequence[int]) -> dict[str, StoredPhoto]:
    """The photos of one absolute folder, by name, with those that are gone. readings: the models' ids to tell of."""
    columns = "".join(
        f", (SELECT k.active FROM scored k WHERE k.model_id = {model_id:d} AND k.image_id = p.image_id)"
        for model_id in readings
    )
    rows = db.rows(
        f"""
        SELECT p.name, p.id, p.image_id, p.size_bytes, p.mtime_ns, p.ctime_ns, p.inode, p.reason, p.transient, p.absent
               {columns}
        FROM folders f JOIN photos p ON p.folder_id = f.id WHERE f.root_id = ? AND f.path = ?
        """,
        [scope.root_id, to_sql(to_relative(folder, scope.root))],
    )
    return {
        to_path(name): StoredPhoto(
            photo_id, image_id, size, mtime, ctime, inode, reason, bool(passing), gone,
            {r: bool(a) for r, a in zip(readings, answers, strict=True) if a is not None},
        )
        for name, photo_id, image_id, size, mtime, ctime, inode, reason, passing, gone, *answers in rows
    }  # fmt: skip


def put_image(
    db: Database,
    content_hash: bytes,
    width: int,
    height: int,
    taken: str | None = None,
    taken_from: str | None = None,
    fingerprint: int | None = None,
) -> int:
    """What was read from a photo -> its image's id. Replaces what was read before, perhaps by an older decoder.

    taken: as the content says, local time, YYYY-MM-DDTHH:MM:SS; taken_from: where that stands in it.
    """
    signed = None if fingerprint is None else (fingerprint + 2**63) % 2**64 - 2**63
    return int(
        db.one(
            """
            INSERT INTO images(hash, width, height, taken, taken_from, fingerprint) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT(hash) DO UPDATE SET width = excluded.width, height = excluded.height, taken = excluded.taken,
                taken_from = excluded.taken_from, fingerprint = excluded.fingerprint
            RETURNING id
            """,
            [content_hash, width, height, taken, taken_from, signed],
        )[0]
    )


def find_image(db: Database, content_hash: bytes) -> int | None:
    row = db.row("SELECT id FROM images WHERE hash = ?", [content_hash])
    return row[0] if row else None


def read_content_hash(db: Database, image_id: int) -> bytes:
    return bytes(db.one("SELECT hash FROM images WHERE id = ?", [image_id])[0])


def list_places(db: Database, image_id: int, limit: int) -> list[tuple[int, str, str]]:
    """Where the first `limit` of an image's photos are, then were: (photo id, its root, its path)."""
    rows = db.rows(
        """
        SELECT p.id, r.path, f.path, p.name
        FROM (SELECT * FROM photos WHERE image_id = ? ORDER BY id LIMIT ?) p
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
        ORDER BY p.absent IS NOT NULL, p.id
        """,
        [image_id, limit],
    )
    return [(photo_id, to_path(r), join(r, f, n)) for photo_id, r, f, n in rows]


def put_photo(db: Database, folder_id: int, name: str, file: FileRecord, image_id: int) -> None:
    """A photo that was read: new, or in place of what was known of this file."""
    db.write(
        """
        INSERT INTO photos(folder_id, name, size_bytes, mtime_ns, ctime_ns, device, inode, image_id, name_date)
        SELECT ?, ?, ?, ?, ?, ?, ?, i.id, iif(i.taken IS NULL, ?, NULL) FROM images i WHERE i.id = ?
        ON CONFLICT(folder_id, name) DO UPDATE SET size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns,
            ctime_ns = excluded.ctime_ns, device = excluded.device, inode = excluded.inode,
            image_id = excluded.image_id, name_date = excluded.name_date,
            reason = NULL, reason_at = NULL, transient = 0, absent = NULL, absent_since = NULL
        """,
        [folder_id, to_sql(name), *file.values(), file.named, image_id],
    )


def put_unreadable(db: Database, folder_id: int, name: str, file: FileRecord, reason: str, passing: bool) -> None:
    """A photo that could not be read. What was known of it is kept only where its size and date are unchanged."""
    db.write(
        """
        INSERT INTO photos(folder_id, name, size_bytes, mtime_ns, ctime_ns, device, inode, reason, reason_at, transient)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT(folder_id, name) DO UPDATE SET
            image_id = CASE WHEN size_bytes = excluded.size_bytes AND mtime_ns = excluded.mtime_ns THEN image_id END,
            reason_at = CASE WHEN reason IS excluded.reason THEN reason_at ELSE excluded.reason_at END,
            size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
            device = excluded.device, inode = excluded.inode,
            reason = excluded.reason, transient = excluded.transient, absent = NULL, absent_since = NULL
        """,
        [folder_id, to_sql(name), *file.values(), reason, database.now(), int(passing)],
    )


def move_photo(db: Database, photo_id: int, folder_id: int, name: str, file: FileRecord) -> None:
    """A known photo stands at a new place. Whatever was known of a file at that place gives way."""
    db.write("DELETE FROM photos WHERE folder_id = ? AND name = ? AND id <> ?", [folder_id, to_sql(name), photo_id])
    db.write(
        """
        UPDATE photos SET folder_id = ?, name = ?, size_bytes = ?, mtime_ns = ?, ctime_ns = ?, device = ?, inode = ?,
            name_date = iif((SELECT taken FROM images WHERE id = image_id) IS NULL, ?, NULL),
            reason = NULL, reason_at = NULL, transient = 0, absent = NULL, absent_since = NULL
        WHERE id = ?
        """,
        [folder_id, to_sql(name), *file.values(), file.named, photo_id],
    )


def update_file(db: Database, photo_id: int, file: FileRecord) -> None:
    """The file is what it was, though its date or its inode is another. It stands where it stood."""
    db.write(
        """
        UPDATE photos SET size_bytes = ?, mtime_ns = ?, ctime_ns = ?, device = ?, inode = ?,
            absent = NULL, absent_since = NULL
        WHERE id = ?
        """,
        [*file.values(), photo_id],
    )


def restore_photo(db: Database, photo_id: int) -> None:
    db.write("UPDATE photos SET absent = NULL, absent_since = NULL WHERE id = ?", [photo_id])


def list_photos(db: Database, folder_id: int) -> list[tuple[int, str]]:
    """(id, name) of each photo of a folder that is not gone."""
    rows = db.rows("SELECT id, name FROM photos WHERE folder_id = ? AND absent IS NULL ORDER BY id", [folder_id])
    return [(photo_id, to_path(name)) for photo_id, name in rows]


def mark_absent(db: Database, photo_ids: Sequence[int], state: str) -> None:
    """Mark photos as 'removed' or 'excluded'. What is known of them stays, should they come back."""
    with db.transaction():
        db.write_many(
            "UPDATE photos SET absent = ?, absent_since = ? WHERE id = ?",
            [(state, database.now(), photo_id) for photo_id in photo_ids],
        )


def find_missing(db: Database, paths: Sequence[str]) -> dict[str, str]:
    """Which of these photos, as the library spells them, are 'away' with their root, or 'missing' from it.

    No network is asked: what has an address counts as there.
    """
    known = [root for root in list_roots(db) if not is_address(root.root)]
    paths = [path for path in paths if not is_address(path)]
    away = {root.root: is_away(root.root) for root in known}
    unseen = {}
    for path in paths:
        root = next((r.root for r in known if is_below(path, r.root)), None)
        if root is not None and away[root]:
            unseen[path] = "away"
        elif not os.path.lexists(path):
            unseen[path] = "missing"
    return unseen


def find_image_at(db: Database, path: str) -> int | None:
    """The image of a photo at a path as a person gives it; None where the library has no such photo, or could not
    read it.
    """
    image_id = _image_at(db, absolute_path(path))
    return _image_at(db, to_real_path(path)) if image_id is None else image_id


def list_readable(db: Database, folder: str | None = None) -> Iterator[tuple[str, int]]:
    """(path, image id) of each readable photo in the library, or below a folder, folder by folder."""
    where, values = ("1", []) if folder is None else below_folder(db, folder)
    rows = db.rows(
        f"""
        SELECT r.path, f.path, p.name, p.image_id FROM photos p JOIN folders f ON f.id = p.folder_id
        JOIN roots r ON r.id = f.root_id WHERE p.absent IS NULL AND p.image_id IS NOT NULL AND ({where})
        ORDER BY f.id, p.name
        """,
        values,
    )
    return ((join(root, folder, name), image_id) for root, folder, name, image_id in rows)


def find_paths(db: Database, image_ids: Sequence[int]) -> dict[int, str]:
    """image id -> the path of a photo that shows it and is not gone, for those that have one."""
    rows = db.rows(
        """
        SELECT p.image_id, r.path, f.path, p.name FROM json_each(?) j JOIN photos p ON p.image_id = j.value
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id WHERE p.absent IS NULL ORDER BY p.id DESC
        """,
        [json.dumps(list(image_ids))],
    )
    return {image_id: join(root, folder, name) for image_id, root, folder, name in rows}


def _image_at(db: Database, path: str) -> int | None:
    inside = find_scope(db, os.path.dirname(path))
    if inside is None:
        return None
    row = db.row(
        f"SELECT p.image_id {_LIVE} AND f.root_id = ? AND f.path = ? AND p.name = ?",
        [inside.root_id, to_sql(inside.below), to_sql(os.path.basename(path))],
    )
    return row[0] if row else None


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo that is there, and what its picture can be compared by. fingerprint: unsigned, or None."""

    image_id: int
    path: str
    size_bytes: int
    width: int
    height: int
    content_hash: bytes
    fingerprint: int | None


def list_photo_files(db: Database, folder: str | None = None) -> list[PhotoFile]:
    """Every photo that is there and could be read."""
    where, values = ("1", list[Any]()) if folder is None else below_folder(db, folder)
    rows = db.rows(
        f"""
        SELECT i.id, r.path, f.path, p.name, p.size_bytes, i.width, i.height, i.hash, i.fingerprint
        FROM photos p JOIN images i ON i.id = p.image_id JOIN folders f ON f.id = p.folder_id
        JOIN roots r ON r.id = f.root_id WHERE p.absent IS NULL AND {where} ORDER BY p.id
        """,
        values,
    )
    return [
        PhotoFile(i, join(r, f, n), size, width, height, content, None if mark is None else mark % 2**64)
        for i, r, f, n, size, width, height, content, mark in rows
    ]


def list_unreadable(db: Database) -> list[tuple[str, str, str]]:
    """(path, reason, since when) of each photo that could not be read."""
    rows = db.rows(
        f"SELECT r.path, f.path, p.name, p.reason, p.reason_at {_LIVE} AND p.reason IS NOT NULL ORDER BY p.id"
    )
    return [(join(r, f, n), reason, since) for r, f, n, reason, since in rows]


def read_counts(db: Database) -> dict[str, int]:
    """photos (those that are there), unreadable among them, removed, excluded, images (distinct contents), truth."""
    names = ("photos", "unreadable", "removed", "excluded")
    sums = db.one(f"SELECT {', '.join(f'coalesce(sum({name}), 0)' for name in names)} FROM folders")
    kept: dict[str, int] = dict(db.rows("SELECT name, n FROM counts"))
    return {**dict(zip(names, map(int, sums), strict=True)), "images": kept["images"], "truth": kept["marks"]}
