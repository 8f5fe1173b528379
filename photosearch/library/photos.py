"""Photo files and the images that they show.

A photo is present, removed from the disk, or excluded by the user's patterns. Whether its drive is plugged in is not
stored but read from the disk.
"""

import functools
import json
import os
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from photosearch.library import database
from photosearch.library.database import Database, is_below, join, to_path, to_relative, to_sql
from photosearch.library.folders import (
    Scope,
    find_scope,
    is_away,
    list_equivalent,
    list_roots,
    match_folder,
)
from photosearch.library.records import Counts
from photosearch.metadata.names import words_in_name
from photosearch.photos.remote import absolute_path, is_address, real_path

MAX_FOLDERS = 10_000  # that a PhotoFinder remembers
_PRESENT = "FROM photos p JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id WHERE p.absent IS NULL"


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo as it is stored. reason: why it is unreadable, or None. transient: whether a retry may succeed.

    absent: 'removed', 'excluded' or None. scored_by: model id -> whether its scores are the active ones. sidecars: the
    stamp of its side-cars when its metadata was read; None: it was not.
    """

    photo_id: int
    image_id: int | None
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    reason: str | None
    transient: bool
    absent: str | None
    scored_by: Mapping[int, bool]
    sidecars: int | None = None


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A readable photo's file as it was when it was indexed."""

    path: str
    size_bytes: int
    mtime_ns: int
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What is stored of a photo's file besides its path. name_date: the date in its name, YYYY-MM-DDTHH:MM:SS."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int = 0
    device: int = 0
    inode: int = 0
    name_date: str | None = None

    def values(self) -> list[int]:
        """The numbers for SQL, as signed 64-bit integers: a device or inode number may be unsigned."""
        numbers = (self.size_bytes, self.mtime_ns, self.ctime_ns, self.device, self.inode)
        return [(n + 2**63) % 2**64 - 2**63 for n in numbers]


def list_some_photos(db: Database, root: Scope, n: int) -> list[tuple[str, int, int, bytes | None]]:
    """Up to n photos spread over a root: (path below the root, size in bytes, mtime_ns, content hash if readable)."""
    sql = f"""
        SELECT f.path, p.name, p.size_bytes, p.mtime_ns, (SELECT i.hash FROM images i WHERE i.id = p.image_id)
        {_PRESENT} AND f.root_id = ? ORDER BY p.id
    """
    rows = db.rows(sql, [root.root_id])
    step = max(1, len(rows) // n)
    return [(join("", f, name), *rest) for f, name, *rest in rows[::step][:n]]


def read_folder(db: Database, scope: Scope, folder: str, model_ids: Sequence[int]) -> dict[str, StoredPhoto]:
    """The photos of one absolute folder by name, absent ones included. model_ids: the scorers for `scored_by`."""
    columns = "".join(
        f", (SELECT k.active FROM scored k WHERE k.model_id = {model_id:d} AND k.image_id = p.image_id)"
        for model_id in model_ids
    )
    rows = db.rows(
        f"""
        SELECT p.name, p.id, p.image_id, p.size_bytes, p.mtime_ns, p.ctime_ns, p.inode, p.reason, p.transient, p.absent,
               d.sidecars {columns}
        FROM folders f JOIN photos p ON p.folder_id = f.id LEFT JOIN details d ON d.photo_id = p.id
        WHERE f.root_id = ? AND f.path = ?
        """,
        [scope.root_id, to_sql(to_relative(folder, scope.root))],
    )
    return {
        to_path(name): StoredPhoto(
            photo_id, image_id, size, mtime, ctime, inode, reason, bool(transient), absent,
            {model_id: bool(a) for model_id, a in zip(model_ids, active, strict=True) if a is not None}, sidecars,
        )
        for name, photo_id, image_id, size, mtime, ctime, inode, reason, transient, absent, sidecars, *active in rows
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
    """Store what was read from a photo's content, or update it -> the image's id.

    taken: local time, YYYY-MM-DDTHH:MM:SS, and the metadata field it is from. fingerprint: unsigned, 64 bits.
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
    """(photo id, root, path) of the first `limit` photos of an image: those on the disk, then the absent ones."""
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


def put_photo(db: Database, folder_id: int, name: str, file: FileRecord, image_id: int) -> int:
    """Store a readable photo, or update it -> its id."""
    row = db.one(
        """
        INSERT INTO photos(folder_id, name, size_bytes, mtime_ns, ctime_ns, device, inode, image_id, name_date,
            name_words)
        SELECT ?, ?, ?, ?, ?, ?, ?, i.id, iif(i.taken IS NULL, ?, NULL), ? FROM images i WHERE i.id = ?
        ON CONFLICT(folder_id, name) DO UPDATE SET size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns,
            ctime_ns = excluded.ctime_ns, device = excluded.device, inode = excluded.inode,
            image_id = excluded.image_id, name_date = excluded.name_date, name_words = excluded.name_words,
            reason = NULL, reason_at = NULL, transient = 0, absent = NULL, absent_since = NULL
        RETURNING id
        """,
        [folder_id, to_sql(name), *file.values(), file.name_date, words_in_name(name), image_id],
    )
    return int(row[0])


def put_unreadable(db: Database, folder_id: int, name: str, file: FileRecord, reason: str, transient: bool) -> None:
    """Store an unreadable photo, or update it. Its image is kept only where size and mtime are unchanged."""
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
        [folder_id, to_sql(name), *file.values(), reason, database.now(), int(transient)],
    )


def put_damage(db: Database, folder_id: int, name: str, reason: str) -> None:
    """Store how a readable photo is damaged."""
    db.write(
        "UPDATE photos SET reason = ?, reason_at = coalesce(reason_at, ?) WHERE folder_id = ? AND name = ?",
        [reason, database.now(), folder_id, to_sql(name)],
    )


def find_damage(db: Database, image_id: int, prefix: str) -> str | None:
    """The reason of a photo that shows this image, if it begins with the prefix."""
    row = db.row(
        "SELECT reason FROM photos WHERE image_id = ? AND substr(reason, 1, ?) = ? LIMIT 1",
        [image_id, len(prefix), prefix],
    )
    return row[0] if row else None


def move_photo(db: Database, photo_id: int, folder_id: int, name: str, file: FileRecord) -> None:
    """Update the path of a photo that was moved. What was stored at the new path is deleted."""
    db.write("DELETE FROM photos WHERE folder_id = ? AND name = ? AND id <> ?", [folder_id, to_sql(name), photo_id])
    db.write(
        """
        UPDATE photos SET folder_id = ?, name = ?, size_bytes = ?, mtime_ns = ?, ctime_ns = ?, device = ?, inode = ?,
            name_date = iif((SELECT taken FROM images WHERE id = image_id) IS NULL, ?, NULL), name_words = ?,
            reason = NULL, reason_at = NULL, transient = 0, absent = NULL, absent_since = NULL
        WHERE id = ?
        """,
        [folder_id, to_sql(name), *file.values(), file.name_date, words_in_name(name), photo_id],
    )


def update_file(db: Database, photo_id: int, file: FileRecord) -> None:
    """Update the file of a photo whose content and path are unchanged, but mtime or inode are not."""
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
    """(id, name) of each photo of a folder that is not absent."""
    rows = db.rows("SELECT id, name FROM photos WHERE folder_id = ? AND absent IS NULL ORDER BY id", [folder_id])
    return [(photo_id, to_path(name)) for photo_id, name in rows]


def mark_absent(db: Database, photo_ids: Sequence[int], state: str) -> None:
    """Mark photos as 'removed' or 'excluded'. Their images, scores and marks are kept in case they come back."""
    with db.transaction():
        db.write_many(
            "UPDATE photos SET absent = ?, absent_since = ? WHERE id = ?",
            [(state, database.now(), photo_id) for photo_id in photo_ids],
        )


def find_missing(db: Database, paths: Sequence[str]) -> dict[str, str]:
    """path -> 'away' (its root is not mounted) or 'missing', for those of these stored paths that can't be seen.

    Addresses are left out: that would need the network.
    """
    known = [root for root in list_roots(db) if not is_address(root.root)]
    paths = [path for path in paths if not is_address(path)]
    away = {root.root: is_away(root.root) for root in known}
    missing = {}
    for path in paths:
        root = next((r.root for r in known if is_below(path, r.root)), None)
        if root is not None and away[root]:
            missing[path] = "away"
        elif not os.path.lexists(path):
            missing[path] = "missing"
    return missing


def find_image_at(db: Database, path: str) -> int | None:
    """The image of the photo at a path as a user types it; None where the library has no readable photo there."""
    return PhotoFinder(db).find(path)


class PhotoFinder:
    """`find_image_at` for many paths: what it learned of a folder is not asked again."""

    def __init__(self, db: Database):
        self._db = db
        self._find_scope = functools.lru_cache(MAX_FOLDERS)(lambda folder: find_scope(db, folder))
        self._real_path = functools.lru_cache(MAX_FOLDERS)(real_path)

    def find(self, path: str) -> int | None:
        """See `find_image_at`."""
        absolute = absolute_path(path)
        folder, name = os.path.split(absolute)
        for stored in (folder, self._real_path(folder)):
            if (image_id := self._image_in(stored, name)) is not None:
                return image_id
        return _find_equivalent(self._db, absolute)

    def _image_in(self, folder: str, name: str) -> int | None:
        scope = self._find_scope(folder)
        if scope is None:
            return None
        row = self._db.row(
            f"SELECT p.image_id {_PRESENT} AND f.root_id = ? AND f.path = ? AND p.name = ?",
            [scope.root_id, to_sql(scope.below), to_sql(name)],
        )
        return row[0] if row else None


def find_file(db: Database, path: str) -> IndexedFile | None:
    """The readable photo at a path as the library gives it; None without one."""
    scope = find_scope(db, os.path.dirname(path))
    if scope is None:
        return None
    row = db.row(
        """
        SELECT p.size_bytes, p.mtime_ns, i.hash FROM photos p JOIN images i ON i.id = p.image_id
        JOIN folders f ON f.id = p.folder_id WHERE p.absent IS NULL AND f.root_id = ? AND f.path = ? AND p.name = ?
        """,
        [scope.root_id, to_sql(scope.below), to_sql(os.path.basename(path))],
    )
    return IndexedFile(path, *row) if row else None


def list_readable(
    db: Database, folder: str | None = None, *, beside: Collection[int] | None = None
) -> Iterator[tuple[str, int]]:
    """(path, image id) of each readable photo in the library, or below a folder, folder by folder.

    beside: only in the folders that hold a photo of one of these images.
    """
    where, values = ("1", []) if folder is None else match_folder(db, folder)
    if beside is not None:
        where += " AND f.id IN (SELECT o.folder_id FROM json_each(?) j JOIN photos o ON o.image_id = j.value)"
        values = [*values, json.dumps(list(beside))]
    rows = db.rows(
        f"""
        SELECT r.path, f.path, p.name, p.image_id FROM photos p JOIN folders f ON f.id = p.folder_id
        JOIN roots r ON r.id = f.root_id WHERE p.absent IS NULL AND p.image_id IS NOT NULL AND ({where})
        ORDER BY f.id, p.name
        """,
        values,
    )
    return ((join(root, folder, name), image_id) for root, folder, name, image_id in rows)


def read_fingerprints(db: Database, image_ids: Sequence[int]) -> dict[int, int]:
    """Image -> its fingerprint as 64 bits, where it is known."""
    sql = "SELECT i.id, i.fingerprint FROM json_each(?) c JOIN images i ON i.id = c.value WHERE i.fingerprint NOT NULL"
    return {i: bits & (1 << 64) - 1 for i, bits in db.rows(sql, [json.dumps(list(image_ids))])}


def find_paths(db: Database, image_ids: Sequence[int]) -> dict[int, str]:
    """image id -> the path of its first photo on the disk, for those that have one."""
    rows = db.rows(
        """
        SELECT p.image_id, r.path, f.path, p.name FROM json_each(?) j JOIN photos p ON p.image_id = j.value
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id WHERE p.absent IS NULL ORDER BY p.id DESC
        """,
        [json.dumps(list(image_ids))],
    )
    return {image_id: join(root, folder, name) for image_id, root, folder, name in rows}


def list_photo_ids(db: Database, image_ids: Sequence[int]) -> dict[int, int]:
    """photo id -> image id, of the photos on the disk that show these images."""
    sql = """
        SELECT p.id, p.image_id FROM json_each(?) j CROSS JOIN photos p ON p.image_id = j.value WHERE p.absent IS NULL
    """
    return dict(db.rows(sql, [json.dumps(list(image_ids))]))


def _find_equivalent(db: Database, path: str) -> int | None:
    """The image of the photo whose path differs from this one only in how accents are encoded (NFC, NFD)."""
    if path.isascii():
        return None
    folder, name = os.path.split(path)
    for stored in (folder, *list_equivalent(db, folder)):
        if (scope := find_scope(db, stored)) is not None:
            for known, photo in read_folder(db, scope, stored, ()).items():
                if unicodedata.normalize("NFC", known) == unicodedata.normalize("NFC", name) and not photo.absent:
                    return photo.image_id
    return None


def list_photo_files(db: Database, folder: str | None = None) -> Iterator[tuple[Any, ...]]:
    """Every readable photo on the disk, or below a folder, in the order in which they were found.

    (photo id, image id, size in bytes, width, height, fingerprint as a signed number or None, folder id, mtime_ns,
    taken_from, name, whether its file gives a position)
    """
    where, values = ("1", []) if folder is None else match_folder(db, folder)
    yield from db.iterate(
        f"""
        SELECT p.id, i.id, p.size_bytes, i.width, i.height, i.fingerprint, p.folder_id, p.mtime_ns, i.taken_from,
            p.name, d.latitude IS NOT NULL
        FROM photos p JOIN images i ON i.id = p.image_id JOIN folders f ON f.id = p.folder_id
        JOIN roots r ON r.id = f.root_id LEFT JOIN details d ON d.photo_id = p.id
        WHERE p.absent IS NULL AND {where} ORDER BY p.id
        """,
        values,
    )


def list_shots(db: Database, folder: str | None = None) -> Iterator[tuple[Any, ...]]:
    """Every readable photo on the disk with a time of day, or below a folder, in the order in which they were found.

    (photo id, image id, size in bytes, width, height, fingerprint as a signed number or None, folder id, camera id or
    None, when it was taken as local time, name)
    """
    where, values = ("1", []) if folder is None else match_folder(db, folder)
    yield from db.iterate(
        f"""
        SELECT p.id, i.id, p.size_bytes, i.width, i.height, i.fingerprint, p.folder_id, d.camera_id,
            coalesce(p.taken, i.taken, p.name_date) AS shot, p.name
        FROM photos p JOIN images i ON i.id = p.image_id JOIN folders f ON f.id = p.folder_id
        JOIN roots r ON r.id = f.root_id LEFT JOIN details d ON d.photo_id = p.id
        WHERE p.absent IS NULL AND shot IS NOT NULL AND {where} ORDER BY p.id
        """,
        values,
    )


def read_shots(db: Database, photo_ids: Sequence[int]) -> dict[int, tuple[int | None, str]]:
    """Photo id -> (camera id or None, when it was taken as local time), of those with a date."""
    rows = db.rows(
        """
        SELECT p.id, d.camera_id, coalesce(p.taken, i.taken, p.name_date) AS shot
        FROM json_each(?) j CROSS JOIN photos p ON p.id = j.value JOIN images i ON i.id = p.image_id
        LEFT JOIN details d ON d.photo_id = p.id WHERE shot IS NOT NULL
        """,
        [json.dumps(list(photo_ids))],
    )
    return {photo_id: (camera_id, shot) for photo_id, camera_id, shot in rows}


def mark_moved_away(db: Database, path: str) -> None:
    """A photo's file is no longer at this stored path: what `index` would find."""
    if (photo_id := _find_photo_id(db, path)) is not None:
        db.write(
            "UPDATE photos SET absent = 'removed', absent_since = ? WHERE id = ? AND absent IS NULL",
            [database.now(), photo_id],
        )


def is_moved_away(db: Database, path: str) -> bool:
    """Whether the library takes the photo at this stored path for absent."""
    photo_id = _find_photo_id(db, path)
    return photo_id is not None and db.row("SELECT absent FROM photos WHERE id = ?", [photo_id]) != (None,)


def mark_moved_back(db: Database, path: str, file: FileRecord) -> None:
    """The same file is at this stored path again."""
    if (photo_id := _find_photo_id(db, path)) is not None:
        update_file(db, photo_id, file)


def _find_photo_id(db: Database, path: str) -> int | None:
    """Of the photo at a stored path, absent or not."""
    scope = find_scope(db, os.path.dirname(path))
    if scope is None:
        return None
    row = db.row(
        """
        SELECT p.id FROM photos p JOIN folders f ON f.id = p.folder_id
        WHERE f.root_id = ? AND f.path = ? AND p.name = ?
        """,
        [scope.root_id, to_sql(scope.below), to_sql(os.path.basename(path))],
    )
    return row[0] if row else None


def find_photo_paths(db: Database, photo_ids: Sequence[int]) -> list[str]:
    """The paths of photos, in the order of their ids."""
    rows = db.rows(
        """
        SELECT r.path, f.path, p.name FROM json_each(?) j JOIN photos p ON p.id = j.value
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id ORDER BY j.key
        """,
        [json.dumps(list(photo_ids))],
    )
    return [join(root, folder, name) for root, folder, name in rows]


def list_unreadable(db: Database) -> list[tuple[str, str, str]]:
    """(path, reason, since when, UTC) of each unreadable photo."""
    rows = db.rows(
        f"SELECT r.path, f.path, p.name, p.reason, p.reason_at {_PRESENT} AND p.reason IS NOT NULL ORDER BY p.id"
    )
    return [(join(r, f, n), reason, since) for r, f, n, reason, since in rows]


def list_newest(db: Database, limit: int) -> list[tuple[int, str]]:
    """(image id, path) of the readable photos on the disk that came into the library last, the newest first."""
    rows = db.rows(
        f"SELECT p.image_id, r.path, f.path, p.name {_PRESENT} AND p.reason IS NULL AND p.image_id IS NOT NULL "
        "ORDER BY p.id DESC LIMIT ?",
        [limit],
    )
    return [(image_id, join(r, f, n)) for image_id, r, f, n in rows]


def read_counts(db: Database) -> Counts:
    """Read from counters, so its cost does not grow with the photos."""
    columns = ("photos", "unreadable", "removed", "excluded")
    sums = db.one(f"SELECT {', '.join(f'coalesce(sum({name}), 0)' for name in columns)} FROM folders")
    counts: dict[str, int] = dict(db.rows("SELECT name, n FROM counts"))
    photos, unreadable, removed, excluded = map(int, sums)
    return Counts(photos, unreadable, removed, excluded, counts["images"], counts["marks"])
