"""What stands where: roots, folders and how each is indexed, photos and the images that they show.

A photo is in one of three states: it is there, it was removed, or it is excluded by the user's own patterns. Whether
its drive is away is not stored: that is asked of the disk.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from photosearch.errors import StoreError
from photosearch.library import database
from photosearch.library.database import Database, is_below, join, to_path, to_relative, to_sql
from photosearch.photos.remote import absolute_path, is_address, real_path, stands

_ANY = "FROM photos p JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id WHERE 1"
_LIVE = f"{_ANY} AND p.gone IS NULL"


@dataclass(frozen=True, slots=True)
class Scope:
    """A folder as the library knows it: below which root it lies, and where. below: '' is the root itself."""

    root_id: int
    root: str
    below: str

    @property
    def path(self) -> str:
        return os.path.join(self.root, self.below) if self.below else self.root


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """How a folder is indexed; None: as the folder above it, or as is usual.

    models: by name or file; None among them is the library's own. tiles: None is what each model's card says.
    """

    models: tuple[str | None, ...] | None = None
    tiles: int | None = None
    exclude: tuple[str, ...] | None = None
    include: tuple[str, ...] | None = None
    follow_symlinks: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """What is said, without what is left open."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> "FolderSettings":
        """Raises ValueError where it is no such thing."""
        raw = json.loads(text)
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items() if k in known}
        return cls(**values)

    def over(self, above: "FolderSettings") -> "FolderSettings":
        """These settings, and what they leave open as `above` says."""
        own = asdict(self)
        return FolderSettings(**{k: v if v is not None else getattr(above, k) for k, v in own.items()})


@dataclass(frozen=True, slots=True)
class Known:
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
class File:
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


@dataclass(frozen=True, slots=True)
class FolderCounts:
    photos: int
    unreadable: int
    removed: int
    excluded: int


# ---- roots and folders


def roots(db: Database) -> list[Scope]:
    return [Scope(i, to_path(p), "") for i, p in db.rows("SELECT id, path FROM roots ORDER BY id")]


def scope(db: Database, path: str) -> Scope | None:
    """Where an absolute folder lies in the library, or None where no root holds it."""
    for root in roots(db):
        if path == root.root or is_below(path, root.root):
            return Scope(root.root_id, root.root, to_relative(path, root.root))
    return None


def add_root(db: Database, path: str) -> Scope:
    """A new root. Roots that lie below it become folders of it: no photo is ever in the library twice."""
    with db.transaction():
        (root_id,) = db.one("INSERT INTO roots(path) VALUES (?) RETURNING id", [to_sql(path)])
        for old in roots(db):
            if old.root != path and is_below(old.root, path):
                prefix = to_relative(old.root, path)
                for table, key in (("folders", "id"), ("folder_settings", "rowid")):
                    for row_id, below in db.rows(f"SELECT {key}, path FROM {table} WHERE root_id = ?", [old.root_id]):
                        joined = "/".join(filter(None, (prefix, to_path(below))))
                        db.write(
                            f"UPDATE {table} SET root_id = ?, path = ? WHERE {key} = ?",
                            [root_id, to_sql(joined), row_id],
                        )
                db.write("DELETE FROM roots WHERE id = ?", [old.root_id])
    return Scope(root_id, path, "")


def move_root(db: Database, root: Scope, path: str) -> Scope:
    """A root's folder has a new path. Roots that lie below give way to it: it knows the same photos."""
    with db.transaction():
        for inner in roots(db):
            if inner.root_id != root.root_id and is_below(inner.root, path):
                db.write("DELETE FROM roots WHERE id = ?", [inner.root_id])
        db.write("UPDATE roots SET path = ? WHERE id = ?", [to_sql(path), root.root_id])
    return Scope(root.root_id, path, "")


def absorb_root(db: Database, old: Scope, new: Scope) -> None:
    """What is known of a root is known of a folder in another from now on; that one's own rows stand."""
    with db.transaction():
        for table in ("folders", "folder_settings"):
            for row_id, below in db.rows(f"SELECT rowid, path FROM {table} WHERE root_id = ?", [old.root_id]):
                path = to_sql("/".join(filter(None, (new.below, to_path(below)))))
                known = db.row(f"SELECT rowid FROM {table} WHERE root_id = ? AND path = ?", [new.root_id, path])
                if known is None:
                    db.write(f"UPDATE {table} SET root_id = ?, path = ? WHERE rowid = ?", [new.root_id, path, row_id])
                elif table == "folders":
                    db.write("UPDATE OR IGNORE photos SET folder_id = ? WHERE folder_id = ?", [known[0], row_id])
                    db.write("DELETE FROM photos WHERE folder_id = ?", [row_id])
        for table in ("folders", "folder_settings"):
            db.write(f"DELETE FROM {table} WHERE root_id = ?", [old.root_id])
        db.write("DELETE FROM roots WHERE id = ?", [old.root_id])


def some_photos(db: Database, root: Scope, n: int) -> list[tuple[str, int, int, bytes | None]]:
    """Up to n photos of a root, spread over it: (path below the root, size in bytes, mtime_ns, hash if it was read)."""
    sql = f"""
        SELECT f.path, p.name, p.size_bytes, p.mtime_ns, (SELECT i.hash FROM images i WHERE i.id = p.image_id)
        {_LIVE} AND f.root_id = ? ORDER BY p.id
    """
    rows = db.rows(sql, [root.root_id])
    step = max(1, len(rows) // n)
    return [(join("", f, name), *rest) for f, name, *rest in rows[::step][:n]]


def count(db: Database, scope: Scope) -> FolderCounts:
    """The photos at or below a folder, by the counters of the folders."""
    where, values = below(scope)
    names = ("photos", "unreadable", "removed", "excluded")
    sums = ", ".join(f"coalesce(sum(f.{name}), 0)" for name in names)
    return FolderCounts(*map(int, db.one(f"SELECT {sums} FROM folders f WHERE {where}", values)))


def folder_id(db: Database, scope: Scope, folder: str) -> int:
    """The id of an absolute folder below the scope's root; made where it is new."""
    key = [scope.root_id, to_sql(to_relative(folder, scope.root))]
    row = db.row("SELECT id FROM folders WHERE root_id = ? AND path = ?", key)
    row = row or db.one("INSERT INTO folders(root_id, path) VALUES (?, ?) RETURNING id", key)
    return int(row[0])


def folders(db: Database, scope: Scope) -> list[tuple[int, str]]:
    """The folders at or below a scope: (id, absolute path)."""
    where, values = below(scope)
    rows = db.rows(f"SELECT f.id, f.path FROM folders f WHERE {where} ORDER BY f.id", values)
    return [(folder_id, os.path.join(scope.root, to_path(p)) if p else scope.root) for folder_id, p in rows]


def list_folders(db: Database, most: int) -> list[str]:
    """The folders that hold photos, and those above them up to their roots; the deepest levels left out past `most`."""
    found: set[str] = set()
    for root in roots(db):
        for path, photos in db.rows("SELECT path, photos FROM folders WHERE root_id = ?", [root.root_id]):
            parts = list(filter(None, to_path(path).split("/"))) if photos else []
            found |= {os.path.join(root.root, *parts[:depth]) for depth in range(len(parts) + 1)}
    by_depth = sorted(found, key=lambda path: (path.count(os.sep), path))
    if len(by_depth) > most:
        deepest = by_depth[most].count(os.sep)
        by_depth = [path for path in by_depth if path.count(os.sep) < deepest]
    return sorted(by_depth)


def below(scope: Scope) -> tuple[str, list[Any]]:
    """The condition for folders `f` at or below a scope. Compared as bytes: a folder's path may be TEXT or BLOB."""
    if not scope.below:
        return "f.root_id = ?", [scope.root_id]
    prefix = os.fsencode(scope.below)
    path = "CAST(f.path AS BLOB)"
    return (
        f"f.root_id = ? AND ({path} = ? OR ({path} > ? AND {path} < ?))",
        [scope.root_id, prefix, prefix + b"/", prefix + b"0"],  # '0' follows '/'
    )


def under(db: Database, folder: str) -> tuple[str, list[Any]]:
    """The condition for folders `f` at or below an absolute folder, which may hold roots or lie in one."""
    inside = scope(db, folder)
    if inside is not None:
        return below(inside)
    ids = [root.root_id for root in roots(db) if is_below(root.root, folder)]
    return f"f.root_id IN ({', '.join(map(str, ids))})", []


# ---- how folders are indexed


def all_settings(db: Database) -> list[tuple[Scope, FolderSettings]]:
    """The folders that have settings of their own, in the order of their paths."""
    rows = db.rows("SELECT r.id, r.path, s.path, s.settings FROM folder_settings s JOIN roots r ON r.id = s.root_id")
    found = [(Scope(i, to_path(root), to_path(path)), _settings(db, text)) for i, root, path, text in rows]
    return sorted(found, key=lambda pair: pair[0].path)


def settings(db: Database, scope: Scope) -> FolderSettings:
    """How a folder is indexed: its own settings over those of the folders above it."""
    known = FolderSettings()
    for other, own in all_settings(db):  # a folder's path comes before those below it
        if other.root_id == scope.root_id and (other.path == scope.path or is_below(scope.path, other.path)):
            known = own.over(known)
    return known


def own_settings(db: Database, scope: Scope) -> FolderSettings:
    """What was said of this very folder."""
    row = db.row(
        "SELECT settings FROM folder_settings WHERE root_id = ? AND path = ?", [scope.root_id, to_sql(scope.below)]
    )
    return FolderSettings() if row is None else _settings(db, row[0])


def put_settings(db: Database, scope: Scope, own: FolderSettings) -> None:
    """Keep a folder's own settings; none at all where they leave everything open."""
    key = [scope.root_id, to_sql(scope.below)]
    with db.transaction():
        db.write("DELETE FROM folder_settings WHERE root_id = ? AND path = ?", key)
        if own != FolderSettings():
            db.write("INSERT INTO folder_settings(root_id, path, settings) VALUES (?, ?, ?)", [*key, own.to_json()])


def _settings(db: Database, text: str) -> FolderSettings:
    try:
        return FolderSettings.from_json(text)
    except (ValueError, TypeError, AttributeError):
        raise StoreError(f"{db.path}: {database.DAMAGED}") from None


# ---- photos


def known(db: Database, scope: Scope, folder: str, readings: Sequence[int]) -> dict[str, Known]:
    """The photos of one absolute folder, by name, with those that are gone. readings: the models' ids to tell of."""
    columns = "".join(
        f", (SELECT k.answers FROM scored k WHERE k.model_id = {model_id:d} AND k.image_id = p.image_id)"
        for model_id in readings
    )
    rows = db.rows(
        f"""
        SELECT p.name, p.id, p.image_id, p.size_bytes, p.mtime_ns, p.ctime_ns, p.inode, p.reason, p.passing, p.gone
               {columns}
        FROM folders f JOIN photos p ON p.folder_id = f.id WHERE f.root_id = ? AND f.path = ?
        """,
        [scope.root_id, to_sql(to_relative(folder, scope.root))],
    )
    return {
        to_path(name): Known(
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


def image_id(db: Database, content_hash: bytes) -> int | None:
    row = db.row("SELECT id FROM images WHERE hash = ?", [content_hash])
    return row[0] if row else None


def content_hash(db: Database, image_id: int) -> bytes:
    return bytes(db.one("SELECT hash FROM images WHERE id = ?", [image_id])[0])


def standing(db: Database, image_id: int, limit: int) -> list[tuple[int, str, str]]:
    """Where the first `limit` of an image's photos are, then were: (photo id, its root, its path)."""
    rows = db.rows(
        """
        SELECT p.id, r.path, f.path, p.name
        FROM (SELECT * FROM photos WHERE image_id = ? ORDER BY id LIMIT ?) p
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
        ORDER BY p.gone IS NOT NULL, p.id
        """,
        [image_id, limit],
    )
    return [(photo_id, to_path(r), join(r, f, n)) for photo_id, r, f, n in rows]


def put_photo(db: Database, folder_id: int, name: str, file: File, image_id: int) -> None:
    """A photo that was read: new, or in place of what was known of this file."""
    db.write(
        """
        INSERT INTO photos(folder_id, name, size_bytes, mtime_ns, ctime_ns, device, inode, image_id, named)
        SELECT ?, ?, ?, ?, ?, ?, ?, i.id, iif(i.taken IS NULL, ?, NULL) FROM images i WHERE i.id = ?
        ON CONFLICT(folder_id, name) DO UPDATE SET size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns,
            ctime_ns = excluded.ctime_ns, device = excluded.device, inode = excluded.inode,
            image_id = excluded.image_id, named = excluded.named,
            reason = NULL, reason_at = NULL, passing = 0, gone = NULL, gone_at = NULL
        """,
        [folder_id, to_sql(name), *file.values(), file.named, image_id],
    )


def put_unreadable(db: Database, folder_id: int, name: str, file: File, reason: str, passing: bool) -> None:
    """A photo that could not be read. What was known of it is kept only where its size and date are unchanged."""
    db.write(
        """
        INSERT INTO photos(folder_id, name, size_bytes, mtime_ns, ctime_ns, device, inode, reason, reason_at, passing)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT(folder_id, name) DO UPDATE SET
            image_id = CASE WHEN size_bytes = excluded.size_bytes AND mtime_ns = excluded.mtime_ns THEN image_id END,
            reason_at = CASE WHEN reason IS excluded.reason THEN reason_at ELSE excluded.reason_at END,
            size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
            device = excluded.device, inode = excluded.inode,
            reason = excluded.reason, passing = excluded.passing, gone = NULL, gone_at = NULL
        """,
        [folder_id, to_sql(name), *file.values(), reason, database.now(), int(passing)],
    )


def move_photo(db: Database, photo_id: int, folder_id: int, name: str, file: File) -> None:
    """A known photo stands at a new place. Whatever was known of a file at that place gives way."""
    db.write("DELETE FROM photos WHERE folder_id = ? AND name = ? AND id <> ?", [folder_id, to_sql(name), photo_id])
    db.write(
        """
        UPDATE photos SET folder_id = ?, name = ?, size_bytes = ?, mtime_ns = ?, ctime_ns = ?, device = ?, inode = ?,
            named = iif((SELECT taken FROM images WHERE id = image_id) IS NULL, ?, NULL),
            reason = NULL, reason_at = NULL, passing = 0, gone = NULL, gone_at = NULL
        WHERE id = ?
        """,
        [folder_id, to_sql(name), *file.values(), file.named, photo_id],
    )


def touch_photo(db: Database, photo_id: int, file: File) -> None:
    """The file is what it was, though its date or its inode is another. It stands where it stood."""
    db.write(
        """
        UPDATE photos SET size_bytes = ?, mtime_ns = ?, ctime_ns = ?, device = ?, inode = ?, gone = NULL, gone_at = NULL
        WHERE id = ?
        """,
        [*file.values(), photo_id],
    )


def restore(db: Database, photo_id: int) -> None:
    db.write("UPDATE photos SET gone = NULL, gone_at = NULL WHERE id = ?", [photo_id])


def photos_in(db: Database, folder_id: int) -> list[tuple[int, str]]:
    """(id, name) of each photo of a folder that is not gone."""
    rows = db.rows("SELECT id, name FROM photos WHERE folder_id = ? AND gone IS NULL ORDER BY id", [folder_id])
    return [(photo_id, to_path(name)) for photo_id, name in rows]


def put_gone(db: Database, photo_ids: Sequence[int], state: str) -> None:
    """Mark photos as 'removed' or 'excluded'. What is known of them stays, should they come back."""
    with db.transaction():
        db.write_many(
            "UPDATE photos SET gone = ?, gone_at = ? WHERE id = ?",
            [(state, database.now(), photo_id) for photo_id in photo_ids],
        )


def to_real(path: str) -> str:
    """A photo's path as the library spells it: its folder without links, its own name as it stands."""
    folder, name = os.path.split(absolute_path(path))
    return os.path.join(real_path(folder), name)


def as_stored(db: Database, path: str) -> str:
    """A path as the library spells it: as it was typed, where it names a known root or lies in one, else without links.

    A link may have taken the place of a folder that is known by that path.
    """
    absolute = absolute_path(path)
    if is_address(absolute):
        return absolute
    for root in roots(db):
        if absolute == root.root or is_below(absolute, root.root) or is_below(root.root, absolute):
            return absolute
    return real_path(path) if os.path.isdir(path) else to_real(path)


def is_linked(path: str) -> bool:
    """Whether a link stands where a folder is known, or one above it: roots are stored without links."""
    return real_path(path) != path


def is_there(scope: Scope) -> bool:
    """Whether a folder can be seen now. Of an address, which only an index asks, nothing else is said."""
    return is_address(scope.path) or (os.path.isdir(scope.path) and not is_linked(scope.root))


def is_away(root: str) -> bool:
    """Whether a root looks like a drive that is not plugged in: a link in its place, no folder, or an empty one.

    What a system puts in a folder by itself, hidden or lost+found, does not count: a mount point may hold it.
    """
    if is_address(root):
        return stands(root) is not True
    if is_linked(root):
        return True
    try:
        with os.scandir(root) as entries:
            return all(e.name.startswith(".") or e.name == "lost+found" for e in entries)
    except OSError:
        return True


def find_unseen(db: Database, paths: Sequence[str]) -> dict[str, str]:
    """Which of these photos, as the library spells them, are 'away' with their root, or 'missing' from it.

    No network is asked: what has an address counts as there.
    """
    known = [root for root in roots(db) if not is_address(root.root)]
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


def image_of(db: Database, path: str) -> int | None:
    """The image of a photo at a path as a person gives it; None where the library has no such photo, or could not
    read it.
    """
    image_id = _image_at(db, absolute_path(path))
    return _image_at(db, to_real(path)) if image_id is None else image_id


def live(db: Database, folder: str | None = None) -> Iterator[tuple[str, int]]:
    """(path, image id) of each readable photo in the library, or below a folder, folder by folder."""
    where, values = ("1", []) if folder is None else under(db, folder)
    rows = db.rows(
        f"""
        SELECT r.path, f.path, p.name, p.image_id FROM photos p JOIN folders f ON f.id = p.folder_id
        JOIN roots r ON r.id = f.root_id WHERE p.gone IS NULL AND p.image_id IS NOT NULL AND ({where})
        ORDER BY f.id, p.name
        """,
        values,
    )
    return ((join(root, folder, name), image_id) for root, folder, name, image_id in rows)


def paths_of(db: Database, image_ids: Sequence[int]) -> dict[int, str]:
    """image id -> the path of a photo that shows it and is not gone, for those that have one."""
    rows = db.rows(
        """
        SELECT p.image_id, r.path, f.path, p.name FROM json_each(?) j JOIN photos p ON p.image_id = j.value
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id WHERE p.gone IS NULL ORDER BY p.id DESC
        """,
        [json.dumps(list(image_ids))],
    )
    return {image_id: join(root, folder, name) for image_id, root, folder, name in rows}


def _image_at(db: Database, path: str) -> int | None:
    inside = scope(db, os.path.dirname(path))
    if inside is None:
        return None
    row = db.row(
        f"SELECT p.image_id {_LIVE} AND f.root_id = ? AND f.path = ? AND p.name = ?",
        [inside.root_id, to_sql(inside.below), to_sql(os.path.basename(path))],
    )
    return row[0] if row else None


@dataclass(frozen=True, slots=True)
class Copy:
    """A photo that is there, and what its picture can be compared by. fingerprint: unsigned, or None."""

    image_id: int
    path: str
    size_bytes: int
    width: int
    height: int
    content_hash: bytes
    fingerprint: int | None


def copies(db: Database, folder: str | None = None) -> list[Copy]:
    """Every photo that is there and could be read."""
    where, values = ("1", list[Any]()) if folder is None else under(db, folder)
    rows = db.rows(
        f"""
        SELECT i.id, r.path, f.path, p.name, p.size_bytes, i.width, i.height, i.hash, i.fingerprint
        FROM photos p JOIN images i ON i.id = p.image_id JOIN folders f ON f.id = p.folder_id
        JOIN roots r ON r.id = f.root_id WHERE p.gone IS NULL AND {where} ORDER BY p.id
        """,
        values,
    )
    return [
        Copy(i, join(r, f, n), size, width, height, content, None if mark is None else mark % 2**64)
        for i, r, f, n, size, width, height, content, mark in rows
    ]


def unreadable(db: Database) -> list[tuple[str, str, str]]:
    """(path, reason, since when) of each photo that could not be read."""
    rows = db.rows(
        f"SELECT r.path, f.path, p.name, p.reason, p.reason_at {_LIVE} AND p.reason IS NOT NULL ORDER BY p.id"
    )
    return [(join(r, f, n), reason, since) for r, f, n, reason, since in rows]


def counts(db: Database) -> dict[str, int]:
    """photos (those that are there), unreadable among them, removed, excluded, images (distinct contents), truth."""
    names = ("photos", "unreadable", "removed", "excluded")
    sums = db.one(f"SELECT {', '.join(f'coalesce(sum({name}), 0)' for name in names)} FROM folders")
    kept: dict[str, int] = dict(db.rows("SELECT name, n FROM counts"))
    return {**dict(zip(names, map(int, sums), strict=True)), "images": kept["images"], "truth": kept["truth"]}


# ---- forgetting


def forget(db: Database, paths: Sequence[str]) -> int:
    """Delete what is known of photos, and of folders with all below, by their absolute paths -> photos forgotten.

    With a photo goes what was known of its content, unless another photo shows the same; with a folder, its roots and
    how it is indexed.
    Only for who holds the library (lock.only_one). Ends in a vacuum.
    """
    with db.unchecked(), db.transaction():
        photo_ids = {photo_id for path in paths for photo_id in _at(db, path)}
        db.write_many("DELETE FROM photos WHERE id = ?", [(photo_id,) for photo_id in photo_ids])
        db.write("DELETE FROM images WHERE id NOT IN (SELECT image_id FROM photos WHERE image_id IS NOT NULL)")
        for table in ("scores", "scores_aside", "scored", "vectors", "truth", "sample_photos", "taught", "step_marks"):
            db.write(f"DELETE FROM {table} WHERE image_id NOT IN (SELECT id FROM images)")
        db.write("DELETE FROM samples WHERE id NOT IN (SELECT sample_id FROM sample_photos)")
        db.write("DELETE FROM steps WHERE label_id IS NULL AND id NOT IN (SELECT step_id FROM step_marks)")
        db.write("DELETE FROM folders WHERE id NOT IN (SELECT folder_id FROM photos)")
        for folder, _ in all_settings(db):
            if any(folder.path == path or is_below(folder.path, path) for path in paths):
                key = [folder.root_id, to_sql(folder.below)]
                db.write("DELETE FROM folder_settings WHERE root_id = ? AND path = ?", key)
        for root in roots(db):
            if any(root.root == path or is_below(root.root, path) for path in paths):
                db.write("DELETE FROM roots WHERE id = ?", [root.root_id])
    db.vacuum()
    return len(photo_ids)


def forget_all(db: Database) -> int:
    """Delete every row, and the copies that migrations and `rebuild` put aside -> photos forgotten."""
    (photos,) = db.one("SELECT count(*) FROM photos")
    tables = (
        "sample_photos samples step_marks steps taught heads truth scores scores_aside scored vectors knows labels "
        "runs models photos images folder_settings folders roots library"
    )
    with db.unchecked(), db.transaction():
        for table in tables.split():
            db.write(f"DELETE FROM {table}")
        db.write("INSERT INTO library VALUES ('id', lower(hex(randomblob(8))))")
        db.write("DELETE FROM counts WHERE name LIKE 'looked %'")
        db.write("UPDATE counts SET n = 0")
    db.vacuum()
    for copy in database.copies(db.path):
        copy.unlink(missing_ok=True)
    return int(photos)


def _at(db: Database, path: str) -> list[int]:
    """The ids of the photo at an absolute path, or of all at or below the folder there; those that are gone too."""
    where, values = under(db, path)
    inside = scope(db, os.path.dirname(path))
    if inside is not None:
        where = f"({where}) OR (f.root_id = ? AND f.path = ? AND p.name = ?)"
        values += [inside.root_id, to_sql(inside.below), to_sql(os.path.basename(path))]
    return [photo_id for (photo_id,) in db.rows(f"SELECT p.id {_ANY} AND ({where})", values)]
