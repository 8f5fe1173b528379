"""Folders: roots, the folders below them, and how each is indexed."""

import json
import os
import re
import unicodedata
from dataclasses import asdict, dataclass, fields
from typing import Any

from photosearch.library.database import Database, SqlValue, is_below, to_path, to_relative, to_sql
from photosearch.photos.remote import absolute_path, exists, is_address, real_path


@dataclass(frozen=True, slots=True)
class Scope:
    """A folder of the library with all below it. below: its path below the root, '' for the root itself."""

    root_id: int
    root: str
    below: str

    @property
    def path(self) -> str:
        return os.path.join(self.root, self.below) if self.below else self.root


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """How a folder is indexed. None: as the folder above it, or else the default.

    models: by name or file; None among them is the tool's default model. tiles: None is what each model's card says.
    exclude, include: patterns as in gitignore files. metadata: store what files say besides their dates (default: yes).
    ocr: read the text in pictures (default: no).
    """

    models: tuple[str | None, ...] | None = None
    tiles: int | None = None
    exclude: tuple[str, ...] | None = None
    include: tuple[str, ...] | None = None
    follow_symlinks: bool | None = None
    metadata: bool | None = None
    ocr: bool | None = None

    def to_dict(self) -> dict[str, object]:
        """Without the settings that are None."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> "FolderSettings":
        """Raises ValueError where the text is not what to_json writes."""
        raw = json.loads(text)
        if not isinstance(raw, dict):
            raise ValueError("not an object")
        values: dict[str, Any] = {f.name: raw[f.name] for f in fields(cls) if raw.get(f.name) is not None}
        for name, value in values.items():
            if not _is_setting(name, value):
                raise ValueError(f"{name}: {value!r}")
            values[name] = tuple(value) if isinstance(value, list) else value
        return cls(**values)

    def over(self, above: "FolderSettings") -> "FolderSettings":
        """These settings, completed by those of the folder above."""
        own = asdict(self)
        return FolderSettings(**{k: v if v is not None else getattr(above, k) for k, v in own.items()})


def _is_setting(name: str, value: object) -> bool:
    if name == "tiles":
        return isinstance(value, int) and not isinstance(value, bool)
    if name in ("follow_symlinks", "metadata", "ocr"):
        return isinstance(value, bool)
    return isinstance(value, list) and all(isinstance(v, str) or (v is None and name == "models") for v in value)


@dataclass(frozen=True, slots=True)
class FolderCounts:
    photos: int
    unreadable: int
    removed: int
    excluded: int


def list_roots(db: Database) -> list[Scope]:
    return [Scope(i, to_path(p), "") for i, p in db.rows("SELECT id, path FROM roots ORDER BY id")]


def find_scope(db: Database, path: str) -> Scope | None:
    """The scope of an absolute folder, None where it is below no root."""
    for root in list_roots(db):
        if path == root.root or is_below(path, root.root):
            return Scope(root.root_id, root.root, to_relative(path, root.root))
    return None


def add_root(db: Database, path: str) -> Scope:
    """Add a root. Roots below it become folders of it, so that no photo is in the library twice."""
    with db.transaction():
        (root_id,) = db.one("INSERT INTO roots(path) VALUES (?) RETURNING id", [to_sql(path)])
        for old in list_roots(db):
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
    """Change a root's path. Roots below the new path are deleted: the moved root has the same photos."""
    with db.transaction():
        for inner in list_roots(db):
            if inner.root_id != root.root_id and is_below(inner.root, path):
                db.write("DELETE FROM roots WHERE id = ?", [inner.root_id])
        db.write("UPDATE roots SET path = ? WHERE id = ?", [to_sql(path), root.root_id])
    return Scope(root.root_id, path, "")


def absorb_root(db: Database, old: Scope, new: Scope) -> None:
    """Move a root's folders, settings and photos below a folder of another root, whose own rows win."""
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


def count_photos(db: Database, scope: Scope) -> FolderCounts:
    """The photos at or below a folder, from the folders' counters."""
    where, values = match_scope(scope)
    names = ("photos", "unreadable", "removed", "excluded")
    sums = ", ".join(f"coalesce(sum(f.{name}), 0)" for name in names)
    return FolderCounts(*map(int, db.one(f"SELECT {sums} FROM folders f WHERE {where}", values)))


def put_folder(db: Database, scope: Scope, folder: str) -> int:
    """The id of an absolute folder at or below the scope's root, inserted if it is new."""
    key = [scope.root_id, to_sql(to_relative(folder, scope.root))]
    row = db.row("SELECT id FROM folders WHERE root_id = ? AND path = ?", key)
    row = row or db.one("INSERT INTO folders(root_id, path) VALUES (?, ?) RETURNING id", key)
    return int(row[0])


def list_folders(db: Database, scope: Scope) -> list[tuple[int, str]]:
    """The folders at or below a scope: (id, absolute path)."""
    where, values = match_scope(scope)
    rows = db.rows(f"SELECT f.id, f.path FROM folders f WHERE {where} ORDER BY f.id", values)
    return [(folder_id, os.path.join(scope.root, to_path(p)) if p else scope.root) for folder_id, p in rows]


def list_folder_ids(db: Database, folder: str) -> list[int]:
    """The ids of an absolute folder, which may be above roots, and of those below it."""
    where, values = match_folder(db, folder)
    return [folder_id for (folder_id,) in db.rows(f"SELECT f.id FROM folders f WHERE {where}", values)]


def list_folder_names(db: Database) -> list[tuple[int, list[str]]]:
    """(folder id, its name after those of the folders above it). Of a root's path the last name counts."""
    rows = db.rows("SELECT f.id, r.path, f.path FROM folders f JOIN roots r ON r.id = f.root_id")
    return [
        (i, [re.split(r"[/\\]", to_path(root).rstrip("/\\"))[-1], *filter(None, to_path(path).split("/"))])
        for i, root, path in rows
    ]


def list_folder_paths(db: Database, limit: int) -> list[str]:
    """The folders that contain photos, and those above them; without the deepest levels where it is over `limit`."""
    found: set[str] = set()
    for root in list_roots(db):
        for path, photos in db.rows("SELECT path, photos FROM folders WHERE root_id = ?", [root.root_id]):
            parts = list(filter(None, to_path(path).split("/"))) if photos else []
            found |= {os.path.join(root.root, *parts[:depth]) for depth in range(len(parts) + 1)}
    by_depth = sorted(found, key=lambda path: (path.count(os.sep), path))
    if len(by_depth) > limit:
        deepest = by_depth[limit].count(os.sep)
        by_depth = [path for path in by_depth if path.count(os.sep) < deepest]
    return sorted(by_depth)


def match_scope(scope: Scope) -> tuple[str, list[SqlValue]]:
    """-> (SQL condition, its values) for folders `f` at or below a scope. Paths are TEXT or BLOB: compared as bytes."""
    if not scope.below:
        return "f.root_id = ?", [scope.root_id]
    prefix = os.fsencode(scope.below)
    path = "CAST(f.path AS BLOB)"
    return (
        f"f.root_id = ? AND ({path} = ? OR ({path} > ? AND {path} < ?))",
        [scope.root_id, prefix, prefix + b"/", prefix + b"0"],  # '0' follows '/'
    )


def match_folder(db: Database, folder: str) -> tuple[str, list[SqlValue]]:
    """The same for folders `f` at or below an absolute folder, which may be below a root or above several."""
    scope = find_scope(db, folder)
    if scope is not None:
        return match_scope(scope)
    ids = [root.root_id for root in list_roots(db) if is_below(root.root, folder)]
    return f"f.root_id IN ({', '.join(map(str, ids))})", []


def list_settings(db: Database) -> list[tuple[Scope, FolderSettings]]:
    """The folders that have their own settings, sorted by path."""
    rows = db.rows("SELECT r.id, r.path, s.path, s.settings FROM folder_settings s JOIN roots r ON r.id = s.root_id")
    found = [(Scope(i, to_path(root), to_path(path)), _parse_settings(db, text)) for i, root, path, text in rows]
    return sorted(found, key=lambda pair: pair[0].path)


def read_settings(db: Database, scope: Scope) -> FolderSettings:
    """How a folder is indexed: its own settings, completed by those of the folders above it."""
    settings = FolderSettings()
    for other, own in list_settings(db):  # a folder comes before those below it
        if other.root_id == scope.root_id and (other.path == scope.path or is_below(scope.path, other.path)):
            settings = own.over(settings)
    return settings


def read_own_settings(db: Database, scope: Scope) -> FolderSettings:
    """The settings of this folder alone, without those of the folders above it."""
    row = db.row(
        "SELECT settings FROM folder_settings WHERE root_id = ? AND path = ?", [scope.root_id, to_sql(scope.below)]
    )
    return FolderSettings() if row is None else _parse_settings(db, row[0])


def put_settings(db: Database, scope: Scope, own: FolderSettings) -> None:
    """Replace a folder's own settings; where all are None, it has none."""
    key = [scope.root_id, to_sql(scope.below)]
    with db.transaction():
        db.write("DELETE FROM folder_settings WHERE root_id = ? AND path = ?", key)
        if own != FolderSettings():
            db.write("INSERT INTO folder_settings(root_id, path, settings) VALUES (?, ?, ?)", [*key, own.to_json()])


def _parse_settings(db: Database, text: str) -> FolderSettings:
    try:
        return FolderSettings.from_json(text)
    except (ValueError, TypeError, AttributeError):
        raise db.damaged() from None


def to_real_path(path: str) -> str:
    """A photo's path as it is stored: symbolic links resolved in its folder, but not in its own name."""
    folder, name = os.path.split(absolute_path(path))
    return os.path.join(real_path(folder), name)


def to_stored_path(db: Database, path: str) -> str:
    """A typed path as it would be stored: as typed where it is a root, or below or above one, else without links.

    So a root is still found after a symbolic link has replaced its folder.
    """
    absolute = absolute_path(path)
    if is_address(absolute):
        return absolute
    for root in list_roots(db):
        if absolute == root.root or is_below(absolute, root.root) or is_below(root.root, absolute):
            return absolute
    return real_path(path) if os.path.isdir(path) else to_real_path(path)


def list_equivalent(db: Database, path: str) -> list[str]:
    """Stored folders whose paths differ from an absolute one only in how accents are encoded (NFC, NFD)."""
    wanted = unicodedata.normalize("NFC", path)
    if wanted.isascii():
        return []
    found: dict[str, None] = {}
    for root in list_roots(db):
        stored = [root.root, *(folder for _, folder in list_folders(db, root))]
        for above in stored:
            while above.count(os.sep) > path.count(os.sep):
                above = os.path.dirname(above)
            if above != path and unicodedata.normalize("NFC", above) == wanted:
                found[above] = None
    return list(found)


def is_link(path: str) -> bool:
    """Whether a stored folder, or one above it, is now a symbolic link: roots are stored without links."""
    return real_path(path) != path


def is_present(scope: Scope) -> bool:
    """Whether a folder can be read now. Always true of an address: only an index run uses the network."""
    return is_address(scope.path) or (os.path.isdir(scope.path) and not is_link(scope.root))


def is_away(root: str) -> bool:
    """Whether a root looks like an unmounted drive: it is missing, empty, or a symbolic link.

    Hidden entries and lost+found don't count: an empty mount point may contain them.
    """
    if is_address(root):
        return exists(root) is not True
    if is_link(root):
        return True
    try:
        with os.scandir(root) as entries:
            return all(e.name.startswith(".") or e.name == "lost+found" for e in entries)
    except OSError:
        return True
