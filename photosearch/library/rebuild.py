"""Rebuild a damaged library: rescue what only its user knows; `photosearch index` restores the rest from the photos.

Rescued are folders and their settings, marks, the user's own labels (descriptions, and classifiers with their training
marks), saved thresholds, samples, albums and saved searches, the undo log, and which model is the default: from the
library and from the user's copy beside it (user_copy.py). Not rescued are scores, vectors, photos and runs. Nothing
that either file says is trusted: each value is checked, and a row that is malformed, or that refers to a row that is
lost, is left out. The damaged file is kept. A kill at any moment leaves either the damaged library in its place or the
new one. Other programs may have the library open: SQLite's write lock keeps them from writing meanwhile, and
Database.transaction afterwards.
"""

import contextlib
import json
import math
import os
import re
import shutil
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from photosearch import atomic
from photosearch.errors import DamagedError, StoreError
from photosearch.library import schema
from photosearch.library.albums import fold_album_name
from photosearch.library.database import NOT_OURS, Database, clear_path, to_path
from photosearch.library.folders import FolderSettings
from photosearch.library.labels import read_labels
from photosearch.library.location import is_library
from photosearch.library.lock import lock_library
from photosearch.library.records import USER_MODEL
from photosearch.library.undo import EMPTY_STEPS
from photosearch.library.user_copy import copy_path, hold_writers, write_copy
from photosearch.models.card import Card
from photosearch.photos.remote import is_address

Row = dict[str, object]

READ_ERRORS = (sqlite3.Error, UnicodeDecodeError)  # the latter of SQLite's own message, where it quotes the damage
HASH_BYTES = 32
WAIT_SECONDS = 60.0  # for a transaction of another program
DEFAULT_MODEL = ("default_model", "model")  # the name of the property, today and before schema 4
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """How many rows were rescued. aside: the path of the damaged library, None where there was only the user's copy.

    labels: the user's own. folder_paths: of the indexed folders, to index again.
    """

    aside: Path | None
    folder_paths: tuple[str, ...]
    marks: int
    thresholds: int
    folders: int
    labels: int
    samples: int
    albums: int


def rebuild(path: Path, *, force: bool = False) -> RebuildResult:
    """Replace a damaged library, or a deleted one, by a new one that holds what could be rescued.

    force: even if it is not damaged. Raises StoreError as `check` does, and where another process holds the library.
    """
    with lock_library(path):
        check(path, force=force)
        return _rebuild(Path(os.path.realpath(path)))


def check(path: Path, *, force: bool = False) -> None:
    """Raises StoreError where `rebuild` would refuse: no library, a newer one, or an undamaged one without `force`."""
    if not path.exists():
        if copy_path(path).exists():
            return
        raise StoreError(f"{path}: no library here; make one with `photosearch index FOLDER`")
    if not is_library(path):
        raise StoreError(f"{path}: {NOT_OURS}; nothing was done")
    if (version := _read_version(path)) > schema.VERSION:
        _refuse_newer(path, version, force)
    elif not force and _is_sound(path):
        raise StoreError(f"{path}: is not damaged; nothing was done (--force starts it anew all the same)")


def _read_version(path: Path) -> int:
    """The library's schema version, 0 where it can't be read."""
    with contextlib.suppress(*READ_ERRORS), contextlib.closing(sqlite3.connect(path)) as conn:
        return int(conn.execute("PRAGMA user_version").fetchone()[0])
    return 0


def _refuse_newer(path: Path, version: int, force: bool) -> None:
    """What a newer photosearch stores is not known here, so it would be lost."""
    newer = f"{path}: made by a newer photosearch (schema {version})"
    with contextlib.suppress(*READ_ERRORS), contextlib.closing(sqlite3.connect(path)) as conn:
        if conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]:
            raise StoreError(f"{newer} and not damaged; upgrade photosearch; nothing was done")
    if not force:
        raise StoreError(f"{newer}, and damaged; upgrade photosearch and rebuild it with that; nothing was done "
                         "(--force rescues what this version knows)")  # fmt: skip


def _rebuild(path: Path) -> RebuildResult:
    part, aside = clear_path(path.with_name(f"{path.name}.part")), None
    try:
        with _hold(path) as old, atomic.write_file(path, part=part, mode=0o600):
            Database(part, create=True).close()
            with contextlib.closing(sqlite3.connect(part)) as new:
                _rescue(_read_sources(old, copy_path(path)), new)
                folder_paths, counts = _list_roots(new), _count_rescued(new)
            if old is not None:
                aside = _put_aside(path)
        if aside is not None:
            _remove_empty_log(aside)
        with contextlib.suppress(OSError, *READ_ERRORS):  # the next change writes it
            copy_path(path).unlink(missing_ok=True)
            write_copy(path)
    except (OSError, sqlite3.Error) as error:
        reason = f"another program keeps it locked; close that ({error})" if "locked" in str(error) else str(error)
        raise StoreError(f"{path}: can't be rebuilt: {reason}; nothing was changed") from None
    finally:
        clear_path(part)
    return RebuildResult(aside, folder_paths, *counts)


@contextlib.contextmanager
def _hold(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The damaged library, and no other program can write to it; None where there is none."""
    if not path.exists():
        yield None
        return
    with contextlib.ExitStack() as stack:
        try:
            conn = stack.enter_context(hold_writers(path, timeout=WAIT_SECONDS))
        except READ_ERRORS as error:
            if "locked" in str(error) or "busy" in str(error):
                raise
            # Nobody else can begin a transaction in it either.
            conn = stack.enter_context(contextlib.closing(sqlite3.connect(path)))
        with contextlib.suppress(*READ_ERRORS):
            conn.execute("PRAGMA cell_size_check = OFF")  # it refuses pages of which most rows can be read
            conn.execute("PRAGMA writable_schema = ON")  # so that SQLite skips a damaged entry of its schema table
        yield conn


def _is_sound(path: Path) -> bool:
    """Whether SQLite finds no fault, and every row that would be rescued is well-formed.

    Raises StoreError where something else than damage keeps it from being read.
    """
    try:
        with Database(path) as db, contextlib.closing(sqlite3.connect(path)) as conn:
            read_labels(db)
            if db.rows("PRAGMA integrity_check") != [("ok",)]:
                return False
            found = {table: _read_rows(conn, table) for table in TABLES}
            return _drop_misfits(_drop_malformed(found)) == found
    except (DamagedError, ValueError, TypeError):
        return False


# ---- from what was found to a new library


@dataclass(frozen=True, slots=True)
class _Source:
    """The well-formed rows of a file, by table. hashes: of images, by id. id: the library's."""

    rows: dict[str, list[Row]]
    images: dict[object, Row]
    id: object


def _read_sources(old: sqlite3.Connection | None, copy: Path) -> list[_Source]:
    """The library, then the user's copy if it is of the same library."""
    sources = [] if old is None else [_read_source(old)]
    if copy.exists():
        with contextlib.suppress(*READ_ERRORS), contextlib.closing(
            sqlite3.connect(f"{copy.as_uri()}?mode=ro&immutable=1", uri=True)
        ) as conn:  # fmt: skip
            sources.append(_read_source(conn))
    if not sources:
        raise sqlite3.DatabaseError(f"{copy} is damaged")
    ids = {source.id for source in sources if source.id is not None}
    return sources if len(ids) < 2 else sources[:1]


def _read_source(conn: sqlite3.Connection) -> _Source:
    rows = _drop_malformed({table: _read_rows(conn, table) for table in TABLES})
    ids = {row["image_id"] for some in rows.values() for row in some if "image_id" in row}
    own = next((row["value"] for row in rows["properties"] if row["name"] == "id"), None)
    return _Source(rows, {row["id"]: row for row in _read_images(conn, ids)}, own)


def _unite(sources: Sequence[_Source]) -> _Source:
    """The rows of all sources; of two with one key the newer, else that of the first source that fits the models."""
    images: dict[object, Row] = {}
    wrong: list[set[object]] = []  # of each source: an id that means another image there was given anew since
    for source in sources:
        known = {i: row["hash"] for i, row in images.items() if row["hash"] is not None}
        wrong.append({i for i, row in source.images.items() if known.get(i, row["hash"]) != row["hash"] is not None})
        images |= {i: row for i, row in source.images.items() if i not in known}
    common = {table: _merge(table, [source.rows[table] for source in sources]) for table in ("models", "labels")}
    parts = [_drop_misfits({**source.rows, **common}) for source in sources]
    rows = {
        table: _merge(table, [[row for row in part[table] if row.get("image_id") not in ids]
                              for part, ids in zip(parts, wrong, strict=True)])
        for table in TABLES
    }  # fmt: skip
    return _Source(rows, images, sources[0].id)


def _merge(table: str, parts: Iterable[Iterable[Row]]) -> list[Row]:
    """The rows of a table, one for each key."""
    positions = [int(n) - 1 for n in TABLES[table].key.split()]
    time, found = TABLES[table].time, dict[tuple[object, ...], Row]()
    for row in (row for part in parts for row in part):
        values = list(row.values())
        here = found.setdefault(tuple(values[i] for i in positions), row)
        if time is not None and str(row[time]) > str(here[time]):
            found[tuple(values[i] for i in positions)] = row
    return list(found.values())


def _rescue(sources: Sequence[_Source], new: sqlite3.Connection) -> None:
    new.execute("PRAGMA foreign_keys = ON")  # a row that refers to a lost row is refused
    united = _unite(sources)
    found = united.rows
    found["properties"] = [
        {**row, "name": "default_model"} for row in found["properties"] if row["name"] in DEFAULT_MODEL
    ]
    _number_sample_photos(found["sample_photos"])
    _insert(new, "images", united.images.values())
    for table, rows in found.items():
        _insert(new, table, rows)
    # What is left of a label, a sample or an undo step whose other rows are lost is of no use.
    new.execute(
        "DELETE FROM labels WHERE model = ? AND description IS NULL AND id NOT IN (SELECT label_id FROM classifiers)",
        [USER_MODEL],
    )
    new.execute("DELETE FROM samples WHERE id NOT IN (SELECT sample_id FROM sample_photos)")
    for statement in EMPTY_STEPS:
        new.execute(statement)
    new.commit()


def _list_roots(new: sqlite3.Connection) -> tuple[str, ...]:
    return tuple(to_path(path) for (path,) in new.execute("SELECT path FROM roots ORDER BY id"))


def _count_rescued(new: sqlite3.Connection) -> list[int]:
    """-> the counts of RebuildResult, in its order."""
    sources = (
        "marks", "labels WHERE threshold IS NOT NULL", "roots", f"labels WHERE model = '{USER_MODEL}'", "samples",
        "albums",
    )  # fmt: skip
    return [new.execute(f"SELECT count(*) FROM {source}").fetchone()[0] for source in sources]


# ---- reading the damaged file, of any schema version


def _read_rows(old: sqlite3.Connection, table: str) -> list[Row]:
    """The readable rows of a table, by the column names of today."""
    known = TABLES[table]
    renamed = dict(known.old_columns)
    rows = [row for name in filter(None, (table, known.old_name)) for row in _read_both_ways(old, name, known.key)]
    return [{renamed.get(name, name): value for name, value in row.items()} for row in rows]


def _read_both_ways(old: sqlite3.Connection, source: str, key: str) -> list[Row]:
    """From the first row up to the damage, then from the last row back to it. key: of the primary key or an index."""
    found: dict[tuple[object, ...], None] = {}
    columns: list[str] = []
    for order in ("ASC", "DESC"):
        with contextlib.suppress(*READ_ERRORS):
            keys = ", ".join(f"{column} {order}" for column in key.split())
            cursor = old.execute(f"SELECT * FROM {source} ORDER BY {keys}")
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                found[row] = None
    return [dict(zip(columns, row, strict=True)) for row in found]


def _read_images(old: sqlite3.Connection, ids: Iterable[object]) -> list[Row]:
    """The images with these ids, each read over the few pages that lead to it; else what the index of hashes holds."""
    found = _read_both_ways(old, "(SELECT id, hash FROM images)", "hash")
    hashes = {row["id"]: row["hash"] for row in found if _is_hash(row["hash"])}
    rows = []
    for image_id in ids:
        row: Row = {"id": image_id, "hash": hashes.get(image_id), "width": 0, "height": 0}  # `index` reads the rest
        with contextlib.suppress(*READ_ERRORS):
            cursor = old.execute("SELECT * FROM images WHERE id = ?", [image_id])
            if values := cursor.fetchone():
                whole = dict(zip((column[0] for column in cursor.description), values, strict=True))
                row = whole if _holds(_is_image, whole) else row
        rows.append(row)
    return rows


def _insert(new: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Insert those columns that the table has today: an older schema may have had others."""
    columns = {name for _, name, *_ in new.execute(f"PRAGMA table_info({table})")}
    for old in rows:
        row = {name: value for name, value in old.items() if name in columns}
        names, places = ", ".join(row), ", ".join("?" * len(row))
        with contextlib.suppress(sqlite3.Error):  # it contradicts another row, or refers to a lost one
            new.execute(f"INSERT INTO {table}({names}) VALUES ({places})", list(row.values()))


def _number_sample_photos(rows: Iterable[Row]) -> None:
    """Before schema 3 a sample's photos had no numbers, and were shown in the order of their images."""
    shown: Counter[object] = Counter()
    for row in rows:  # in the order of (sample_id, image_id), but for damaged parts
        shown[row["sample_id"]] += 1
        row.setdefault("number", shown[row["sample_id"]])


# ---- checking what was read


def _drop_malformed(found: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """The rows of each table that are well-formed."""
    return {table: [row for row in rows if _holds(TABLES[table].is_valid, row)] for table, rows in found.items()}


def _drop_misfits(found: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """The well-formed rows of each table that fit the well-formed models."""
    valid = dict(found)
    names = {row["name"] for row in valid["models"]}
    valid["labels"] = [row for row in valid["labels"] if row["model"] in names]
    valid["properties"] = [
        row for row in valid["properties"]
        if row["name"] not in DEFAULT_MODEL or row["value"] in names - {USER_MODEL}
    ]  # fmt: skip
    own = {row["id"] for row in valid["labels"] if row["model"] == USER_MODEL}
    cards = {row["digest"]: Card.from_json(str(row["card"])) for row in valid["models"] if row["name"] != USER_MODEL}
    sizes = {digest: 4 * card.dimensions for digest, card in cards.items()}  # float32
    valid["classifiers"] = [
        row for row in valid["classifiers"]
        if row["label_id"] in own and isinstance(weights := row["weights"], bytes)
        and len(weights) == sizes.get(row["digest"], len(weights))
    ]  # fmt: skip
    return valid


def _holds(is_valid: Callable[[Row], bool], row: Row) -> bool:
    """Whether a row has all columns that the check reads, and passes it."""
    try:
        return is_valid(row)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # of a card, settings or metrics, too
        return False


def _is_root(row: Row) -> bool:
    return (
        _is_count(row["id"])
        and isinstance(path := row["path"], str | bytes)
        and (Path(to_path(path)).is_absolute() or is_address(to_path(path)))
    )


def _is_model(row: Row) -> bool:
    digest, card = row["digest"], row["card"]
    if not (_is_text(digest, row["version"]) and isinstance(card, str) and _is_count(row["id"], row["tiles"])):
        return False
    if not (_is_share(row.get("min_score", 0.0)) and isinstance(row.get("path"), str | bytes | None)):
        return False
    if row["name"] == USER_MODEL:
        return card == "{}" and str(digest).startswith(f"{USER_MODEL} ")
    return Card.from_json(card).name == row["name"]


def _is_label(row: Row) -> bool:
    text = row.get("description")
    return (
        _is_count(row["id"]) and _is_text(row["model"], row["name"]) and (text is None or _is_text(text))
        and row.get("current", 1) in (0, 1) and _is_share(row.get("card_threshold", 0.5))
        and _is_share_or_none(row["threshold"])
    )  # fmt: skip


def _is_image(row: Row) -> bool:
    taken = row["taken"]
    return (
        _is_hash(row["hash"]) and _is_count(row["width"], row["height"])
        and (taken is None or (isinstance(taken, str) and _DATE.fullmatch(taken) is not None))
    )  # fmt: skip


def _is_mark(row: Row) -> bool:
    return _is_text(row["label"], row["marked_at"]) and _is_count(row["image_id"]) and row["present"] in (0, 1)


def _is_classifier(row: Row) -> bool:
    weights, metrics = row["weights"], json.loads(str(row["metrics"]))
    if not (isinstance(weights, bytes) and weights and len(weights) % 4 == 0 and isinstance(metrics, dict)):
        return False
    if not all(map(math.isfinite, struct.unpack(f"<{len(weights) // 4}f", weights))):
        return False
    return (
        _is_text(row["digest"], row["learned_at"]) and _is_count(row["id"], row["label_id"], row["base_id"] or 0)
        and isinstance(bias := row["bias"], float) and math.isfinite(bias) and _is_share(row["threshold"])
        and _is_share_or_none(row["previous_threshold"]) and isinstance(metrics.get("rests_on"), str)
    )  # fmt: skip


def _is_undo(row: Row) -> bool:
    return (
        _is_count(row["id"], row["label_id"] or 0) and _is_text(row["logged_at"])
        and _is_share_or_none(row["previous_threshold"])
    )  # fmt: skip


def _is_undo_mark(row: Row) -> bool:
    return _is_count(row["undo_id"], row["image_id"]) and _is_text(row["label"]) and row["present"] in (0, 1, None)


def _is_training_mark(row: Row) -> bool:
    return (
        _is_count(row["classifier_id"], row["image_id"]) and row["present"] in (0, 1) and _is_share(row["score"])
    )  # fmt: skip


def _is_sample(row: Row) -> bool:
    return (
        _is_count(row["id"], row["label_id"]) and isinstance(row["seed"], int) and _is_share(row["threshold"])
        and _is_text(row["drawn_at"])
    )  # fmt: skip


def _is_sample_photo(row: Row) -> bool:
    numbers = (row["sample_id"], row["image_id"], row["stratum"], row["population"], row.get("number", 0))
    return _is_count(*numbers) and _is_share(row["score"])


def _is_album(row: Row) -> bool:
    name, question = row["name"], row["question"]
    return (
        _is_count(row["id"]) and _is_text(name, row["created_at"], row["changed_at"])
        and row["key"] == fold_album_name(str(name)) and (question is None or _is_record(question))
    )  # fmt: skip


def _is_album_image(row: Row) -> bool:
    return _is_count(row["album_id"], row["image_id"]) and _is_text(row["added_at"])


def _is_undo_album(row: Row) -> bool:
    question = row["question"]
    return (
        _is_count(row["undo_id"], row["album_id"]) and _is_text(row["change"], row["name"], row["created_at"])
        and (question is None or _is_record(question))
    )  # fmt: skip


def _is_undo_album_image(row: Row) -> bool:
    at = row["added_at"]
    return _is_count(row["undo_id"], row["image_id"]) and (at is None or _is_text(at))


def _is_record(text: object) -> bool:
    return isinstance(json.loads(str(text)), dict)


def _is_folder_settings(row: Row) -> bool:
    FolderSettings.from_json(str(row["settings"]))
    return _is_count(row["root_id"]) and isinstance(row["path"], str | bytes)


def _is_hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == HASH_BYTES


def _is_text(*values: object) -> bool:
    return all(isinstance(value, str) and value for value in values)


def _is_count(*values: object) -> bool:
    """Whether all are integers from 0, as ids and sizes are."""
    return all(isinstance(value, int) and value >= 0 for value in values)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _is_share_or_none(value: object) -> bool:
    return value is None or _is_share(value)


@dataclass(frozen=True, slots=True)
class _Table:
    """key: the positions of its primary key's columns. old_name, old_columns: (before, now), before schema 4.

    time: the column that says when a row was written.
    """

    key: str
    is_valid: Callable[[Row], bool]
    old_name: str | None = None
    old_columns: tuple[tuple[str, str], ...] = ()
    time: str | None = None


TABLES = {  # each after those that its rows refer to
    "roots": _Table("1", _is_root),
    "folder_settings": _Table("1 2", _is_folder_settings),
    "models": _Table("1", _is_model, None, (("floor", "min_score"),)),
    "properties": _Table("1", lambda row: _is_text(row["name"], row["value"]), "library"),
    "labels": _Table("1", _is_label, None, (("text", "description"),)),
    "model_labels": _Table("2 1", lambda row: _is_count(row["model_id"], row["label_id"]), "knows"),
    "marks": _Table("1 2", _is_mark, "truth", (("at", "marked_at"),), "marked_at"),
    "classifiers": _Table("1", _is_classifier, "heads",
                          (("saved", "previous_threshold"), ("told", "metrics"), ("at", "learned_at")), "learned_at"),
    "training_marks": _Table("1 2", _is_training_mark, "taught", (("head_id", "classifier_id"),)),
    "undo_log": _Table("1", _is_undo, "steps", (("at", "logged_at"), ("threshold", "previous_threshold"))),
    "undo_marks": _Table("1 2 3", _is_undo_mark, "step_marks", (("step_id", "undo_id"),)),
    "samples": _Table("1", _is_sample, time="drawn_at"),
    "sample_photos": _Table("1 2", _is_sample_photo),
    "albums": _Table("1", _is_album, time="changed_at"),
    "album_images": _Table("1 2", _is_album_image),
    "undo_albums": _Table("1", _is_undo_album),
    "undo_album_images": _Table("1 2", _is_undo_album_image),
}  # fmt: skip


def _put_aside(path: Path) -> Path:
    """Rename the damaged library, its log first: a log must never be next to another library's file."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now():%Y-%m-%dT%H%M%S}")
    for log in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{log}", f"{aside}{log}")
    with contextlib.suppress(FileNotFoundError):  # no copy yet
        shutil.copy2(copy_path(path), copy_path(aside))
    try:
        os.link(path, aside)  # so that a library is at `path` at every moment
    except OSError:  # a file system without hard links
        os.rename(path, aside)
    return aside


def _remove_empty_log(aside: Path) -> None:
    """Remove the logs of the library that was put aside, where they hold nothing."""
    log = aside.with_name(f"{aside.name}-wal")
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size == 0:
            for end in ("-wal", "-shm"):
                aside.with_name(aside.name + end).unlink(missing_ok=True)
