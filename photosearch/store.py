"""SQLite: schema, migrations, reads, writes. The only file that knows sqlite_utils.

    roots ─< folders ─< photos >─ images ─< scores >─ labels         models, truth, samples, runs

A photo is a file; an image is its content, known by its hash. Scores and truth belong to the image: a photo
that moves, or is copied, brings them along. Every write of more than one row is one transaction, and a score
is replaced only by a newer score, so whatever stops a run, what was searchable stays searchable.

The border speaks Python: scores go in as float (a numpy float32 would become a 4-byte blob without complaint),
and a path that isn't UTF-8 is stored as a BLOB of its bytes, any other as TEXT.
"""

import contextlib
import json
import os
import re
import socket
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlite_utils import Database, Migrations

from photosearch import query
from photosearch.errors import StoreError
from photosearch.model import Card

WAIT_SECONDS = 60.0  # how long a short write waits for another program's short write
DEPTHS = (1_000, 20_000)  # how far down the labels' lists the best are looked for, before all of them are read
OLDEST_SQLITE = (3, 37, 0)  # the first with STRICT tables

migrations = Migrations("photosearch")


SCHEMA_1 = """
CREATE TABLE roots (id INTEGER PRIMARY KEY, path ANY NOT NULL UNIQUE) STRICT;
CREATE TABLE folders (
    id INTEGER PRIMARY KEY,
    root_id INTEGER NOT NULL REFERENCES roots(id) ON DELETE CASCADE,
    path ANY NOT NULL,  -- below the root, with /, and '' is the root itself
    UNIQUE (root_id, path)
) STRICT;
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,  -- BLAKE3 of the file
    width INTEGER NOT NULL, height INTEGER NOT NULL,  -- upright
    taken TEXT  -- EXIF's local date, YYYY-MM-DDTHH:MM:SS
) STRICT;
CREATE TABLE photos (
    id INTEGER PRIMARY KEY,
    folder_id INTEGER NOT NULL REFERENCES folders(id) ON DELETE CASCADE,
    name ANY NOT NULL,
    size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    image_id INTEGER REFERENCES images(id),
    reason TEXT,  -- why it could not be read
    reason_at TEXT,
    passing INTEGER NOT NULL DEFAULT 0 CHECK (passing IN (0, 1)),  -- the reason may pass: try again
    removed_at TEXT,
    UNIQUE (folder_id, name),
    CHECK (image_id IS NOT NULL OR reason IS NOT NULL)
) STRICT;
CREATE INDEX photos_image ON photos(image_id);
CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL, version TEXT NOT NULL,
    digest TEXT NOT NULL, tiles INTEGER NOT NULL,
    card TEXT NOT NULL,
    UNIQUE (digest, tiles)
) STRICT;
CREATE TABLE labels (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,  -- the model's name: its versions share their labels
    name TEXT NOT NULL,
    threshold REAL,  -- the user's own, NULL for the card's
    UNIQUE (model, name)
) STRICT;
CREATE TABLE scores (
    label_id INTEGER NOT NULL REFERENCES labels(id) ON DELETE CASCADE,
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    score REAL NOT NULL CHECK (score BETWEEN 0 AND 1),
    model_id INTEGER NOT NULL REFERENCES models(id),
    PRIMARY KEY (label_id, image_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX scores_best ON scores(label_id, score DESC, image_id);
CREATE TABLE truth (
    label TEXT NOT NULL,
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    present INTEGER NOT NULL CHECK (present IN (0, 1)),
    at TEXT NOT NULL,
    PRIMARY KEY (label, image_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE samples (
    id INTEGER PRIMARY KEY,
    label_id INTEGER NOT NULL REFERENCES labels(id) ON DELETE CASCADE,
    threshold REAL NOT NULL, seed INTEGER NOT NULL, drawn_at TEXT NOT NULL
) STRICT;
CREATE TABLE sample_photos (
    sample_id INTEGER NOT NULL REFERENCES samples(id) ON DELETE CASCADE,
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    score REAL NOT NULL,  -- when it was drawn
    stratum INTEGER NOT NULL, population INTEGER NOT NULL,
    PRIMARY KEY (sample_id, image_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL, finished_at TEXT,
    host TEXT NOT NULL, pid INTEGER NOT NULL,
    model_id INTEGER NOT NULL REFERENCES models(id), provider TEXT NOT NULL,
    summary TEXT  -- JSON: what the run counted
) STRICT;
"""


@migrations(name="1")
def _first(db: Database) -> None:
    for statement in filter(str.strip, SCHEMA_1.split(";\n")):
        db.execute(statement)


VERSION = 1  # of the schema: the number of the last migration


@dataclass(frozen=True, slots=True)
class Scope:
    """A folder as the library knows it: below which root it lies, and where. below: '' is the root itself."""

    root_id: int
    root: str
    below: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the library knows of a file. scored: by the model that was asked for; always False without an image."""

    photo_id: int
    image_id: int | None
    size_bytes: int
    mtime_ns: int
    reason: str | None
    passing: bool
    removed: bool
    scored: bool


@dataclass(frozen=True, slots=True)
class Label:
    """threshold: the user's own where one was saved, else the card's. saved: whether it is the user's own."""

    id: int
    model: str
    name: str
    threshold: float
    saved: bool


@dataclass(frozen=True, slots=True)
class Found:
    """taken: EXIF's date, else the file's own, local time, YYYY-MM-DDTHH:MM:SS."""

    path: str
    score: float
    taken: str


@dataclass(frozen=True, slots=True)
class _Top:
    """The top of a label's list of images, the best first; not `yes`: of its opposite's. holds_from: its threshold."""

    label_id: int
    yes: bool
    holds_from: float


@dataclass(frozen=True, slots=True)
class Truth:
    """What the user knows of one photo; score is None where the label's model has not scored it."""

    path: str
    label: str
    present: bool
    score: float | None


@dataclass(frozen=True, slots=True)
class SamplePhoto:
    """One photo that was drawn. path: None where it has left the library since.

    score: as it is now. population: how many photos its stratum held when it was drawn. present: None: not judged.
    """

    image_id: int
    path: str | None
    score: float
    stratum: int
    population: int
    present: bool | None


@dataclass(frozen=True, slots=True)
class Sample:
    """Photos drawn to judge a label by, in the library's order: it tells nothing of their scores."""

    id: int
    threshold: float
    seed: int
    drawn_at: str
    photos: tuple[SamplePhoto, ...]


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """One library. Owns the connections; a context manager. Not for sharing between threads, but for `seen`."""

    def __init__(self, path: str | Path, *, create: bool = False):
        """Open the library, bring its schema up to date. Raises StoreError, in a line, for anything that is wrong."""
        self.path = Path(path)
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreError(f"this Python carries SQLite {sqlite3.sqlite_version}, too old; use a newer Python")
        if not self.path.exists():
            if not create:
                raise StoreError(f"{path}: no library here yet; make one with `photosearch index FOLDER`")
            _create_private(self.path)
        with self._translated():
            self._db = Database(self._connect(), execute_plugins=False)
            try:
                self._migrate()
                self._reader = self._connect()
            except BaseException:
                self._db.close()
                raise
            self._reader_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside, or none. Holds the only write lock: keep it short."""
        with self._translated():
            # BEGIN IMMEDIATE: a transaction that reads first and writes later could find itself outdated, and fail.
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.commit()
            except BaseException:
                self._db.rollback()
                raise

    # ---- roots and folders

    def roots(self) -> list[Scope]:
        return [Scope(i, _path(p), "") for i, p in self._rows("SELECT id, path FROM roots ORDER BY id")]

    def scope(self, path: str) -> Scope | None:
        """Where an absolute folder lies in the library, or None where no root holds it."""
        for root in self.roots():
            if path == root.root or path.startswith(_with_slash(root.root)):
                return Scope(root.root_id, root.root, _relative(path, root.root))
        return None

    def add_root(self, path: str) -> Scope:
        """A new root. Roots that lie below it become folders of it: no photo is ever in the library twice."""
        with self.transaction():
            (root_id,) = self._one("INSERT INTO roots(path) VALUES (?) RETURNING id", [_sql(path)])
            for old in self.roots():
                if old.root != path and old.root.startswith(_with_slash(path)):
                    prefix = _relative(old.root, path)
                    for folder_id, below in self._rows("SELECT id, path FROM folders WHERE root_id = ?", [old.root_id]):
                        joined = "/".join(filter(None, (prefix, _path(below))))
                        self._write(
                            "UPDATE folders SET root_id = ?, path = ? WHERE id = ?", [root_id, _sql(joined), folder_id]
                        )
                    self._write("DELETE FROM roots WHERE id = ?", [old.root_id])
        return Scope(root_id, path, "")

    def move_root(self, root: Scope, path: str) -> Scope:
        """A root's folder has a new path. Roots that lie below give way to it: it knows the same photos."""
        with self.transaction():
            for inner in self.roots():
                if inner.root_id != root.root_id and inner.root.startswith(_with_slash(path)):
                    self._write("DELETE FROM roots WHERE id = ?", [inner.root_id])
            self._write("UPDATE roots SET path = ? WHERE id = ?", [_sql(path), root.root_id])
        return Scope(root.root_id, path, "")

    def some_photos(self, root: Scope, n: int) -> list[tuple[str, int, int]]:
        """Up to n photos of a root, spread over it: (path below the root, size in bytes, mtime_ns)."""
        sql = f"SELECT f.path, p.name, p.size_bytes, p.mtime_ns {_LIVE} AND f.root_id = ? ORDER BY p.id"
        rows = self._rows(sql, [root.root_id])
        step = max(1, len(rows) // n)
        return [(_join(f, name), size, mtime) for f, name, size, mtime in rows[::step][:n]]

    def count(self, scope: Scope) -> int:
        """Photos in the library at or below a folder, the removed ones not counted."""
        where, values = _below(scope)
        return int(self._one(f"SELECT count(*) {_LIVE} AND {where}", values)[0])

    def folder_id(self, scope: Scope, folder: str) -> int:
        """The id of an absolute folder below the scope's root; made where it is new."""
        key = [scope.root_id, _sql(_relative(folder, scope.root))]
        row = self._one_or_none("SELECT id FROM folders WHERE root_id = ? AND path = ?", key)
        row = row or self._one("INSERT INTO folders(root_id, path) VALUES (?, ?) RETURNING id", key)
        return int(row[0])

    # ---- what an index run asks and writes

    def known(self, scope: Scope, folder: str, model_id: int, label_id: int) -> dict[str, Known]:
        """The photos of one absolute folder, by name, with those that were removed."""
        rows = self._rows(
            """
            SELECT p.name, p.id, p.image_id, p.size_bytes, p.mtime_ns, p.reason, p.passing, p.removed_at IS NOT NULL,
                   s.model_id IS ?
            FROM folders f JOIN photos p ON p.folder_id = f.id
            LEFT JOIN scores s ON s.label_id = ? AND s.image_id = p.image_id
            WHERE f.root_id = ? AND f.path = ?
            """,
            [model_id, label_id, scope.root_id, _sql(_relative(folder, scope.root))],
        )
        return {
            _path(name): Known(photo_id, image_id, size, mtime, reason, bool(passing), bool(removed), bool(scored))
            for name, photo_id, image_id, size, mtime, reason, passing, removed, scored in rows
        }

    def seen(self, content_hash: bytes, model_id: int, label_id: int) -> bool:
        """Whether a photo with these bytes was scored by this model. May be called from any thread."""
        sql = """
            SELECT 1 FROM images i JOIN scores s ON s.label_id = ? AND s.image_id = i.id
            WHERE i.hash = ? AND s.model_id = ?
        """
        with self._translated(), self._reader_lock:
            return self._reader.execute(sql, [label_id, content_hash, model_id]).fetchone() is not None

    def image_id(self, content_hash: bytes) -> int | None:
        row = self._one_or_none("SELECT id FROM images WHERE hash = ?", [content_hash])
        return row[0] if row else None

    def put_image(self, content_hash: bytes, width: int, height: int, taken: str | None) -> int:
        """What was read from a photo -> its image's id. Replaces what was read before, perhaps by an older decoder."""
        return int(
            self._one(
                """
                INSERT INTO images(hash, width, height, taken) VALUES (?, ?, ?, ?)
                ON CONFLICT(hash) DO UPDATE SET width = excluded.width, height = excluded.height, taken = excluded.taken
                RETURNING id
                """,
                [content_hash, width, height, taken],
            )[0]
        )

    def places(self, image_id: int, limit: int) -> list[tuple[int, str, str]]:
        """Where the first `limit` of an image's photos are, then were: (photo id, its root, its path)."""
        rows = self._rows(
            """
            SELECT p.id, r.path, f.path, p.name
            FROM (SELECT * FROM photos WHERE image_id = ? ORDER BY id LIMIT ?) p
            JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
            ORDER BY p.removed_at IS NOT NULL, p.id
            """,
            [image_id, limit],
        )
        return [(photo_id, _path(r), os.path.join(_path(r), _join(f, n))) for photo_id, r, f, n in rows]

    def put_photo(self, folder_id: int, name: str, size_bytes: int, mtime_ns: int, image_id: int) -> None:
        """A photo that was read: new, or in place of what was known of this file."""
        self._write(
            """
            INSERT INTO photos(folder_id, name, size_bytes, mtime_ns, image_id) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT(folder_id, name) DO UPDATE SET size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns,
                image_id = excluded.image_id, reason = NULL, reason_at = NULL, passing = 0, removed_at = NULL
            """,
            [folder_id, _sql(name), size_bytes, mtime_ns, image_id],
        )

    def put_unreadable(
        self, folder_id: int, name: str, size_bytes: int, mtime_ns: int, reason: str, passing: bool
    ) -> None:
        """A photo that could not be read. What was known of it is kept only where its size and date are unchanged."""
        self._write(
            """
            INSERT INTO photos(folder_id, name, size_bytes, mtime_ns, reason, reason_at, passing)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT(folder_id, name) DO UPDATE SET
                image_id = CASE WHEN size_bytes = excluded.size_bytes AND mtime_ns = excluded.mtime_ns
                           THEN image_id END,
                reason_at = CASE WHEN reason IS excluded.reason THEN reason_at ELSE excluded.reason_at END,
                size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns,
                reason = excluded.reason, passing = excluded.passing, removed_at = NULL
            """,
            [folder_id, _sql(name), size_bytes, mtime_ns, reason, now(), int(passing)],
        )

    def move_photo(self, photo_id: int, folder_id: int, name: str, size_bytes: int, mtime_ns: int) -> None:
        """A known photo stands at a new place. Whatever was known of a file at that place gives way."""
        place = [folder_id, _sql(name), photo_id]
        self._write("DELETE FROM photos WHERE folder_id = ? AND name = ? AND id <> ?", place)
        self._write(
            """
            UPDATE photos SET folder_id = ?, name = ?, size_bytes = ?, mtime_ns = ?,
                reason = NULL, reason_at = NULL, passing = 0, removed_at = NULL WHERE id = ?
            """,
            [folder_id, _sql(name), size_bytes, mtime_ns, photo_id],
        )

    def restore(self, photo_id: int) -> None:
        self._write("UPDATE photos SET removed_at = NULL WHERE id = ?", [photo_id])

    def put_scores(self, image_id: int, scores: Mapping[int, float], model_id: int) -> None:
        """scores: label id -> 0..1. Replaces all that an older version of the model said of this image."""
        self._db.conn.executemany(
            """
            INSERT INTO scores(label_id, image_id, score, model_id) VALUES (?, ?, ?, ?)
            ON CONFLICT(label_id, image_id) DO UPDATE SET score = excluded.score, model_id = excluded.model_id
            """,
            [(label_id, image_id, float(score), model_id) for label_id, score in scores.items()],
        )
        self._write(  # of labels that this version knows no more
            """
            DELETE FROM scores WHERE image_id = ? AND model_id <> ? AND label_id IN (
                SELECT l.id FROM labels l JOIN models m ON m.name = l.model WHERE m.id = ?)
            """,
            [image_id, model_id, model_id],
        )

    def folders(self, scope: Scope) -> list[tuple[int, str]]:
        """The folders at or below a scope: (id, absolute path)."""
        where, values = _below(scope)
        rows = self._rows(f"SELECT f.id, f.path FROM folders f WHERE {where} ORDER BY f.id", values)
        return [(folder_id, os.path.join(scope.root, _path(p)) if p else scope.root) for folder_id, p in rows]

    def live_photos(self, folder_id: int) -> list[int]:
        rows = self._rows("SELECT id FROM photos WHERE folder_id = ? AND removed_at IS NULL", [folder_id])
        return [photo_id for (photo_id,) in rows]

    def remove_photos(self, photo_ids: Sequence[int]) -> None:
        """Mark as gone. Their scores stay, should the same content come back."""
        with self.transaction():
            self._db.conn.executemany(
                "UPDATE photos SET removed_at = ? WHERE id = ?", [(now(), photo_id) for photo_id in photo_ids]
            )

    def path_of(self, photo_id: int) -> str:
        (r, f, n) = self._one(f"SELECT r.path, f.path, p.name {_ANY} AND p.id = ?", [photo_id])
        return os.path.join(_path(r), _join(f, n))

    # ---- models, labels, runs

    def put_model(self, card: Card, digest: str, tiles: int) -> tuple[int, dict[str, int]]:
        """Make the model known, as it scores with this number of tiles -> (model id, label name -> label id)."""
        with self.transaction():
            key = [digest, tiles]
            self._write(
                "INSERT INTO models(name, version, digest, tiles, card) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [card.name, card.version, *key, card.to_json()],
            )
            (model_id,) = self._one("SELECT id FROM models WHERE digest = ? AND tiles = ?", key)
            for label in card.labels:
                self._write("INSERT INTO labels(model, name) VALUES (?, ?) ON CONFLICT DO NOTHING", [card.name, label])
            rows = self._rows("SELECT name, id FROM labels WHERE model = ?", [card.name])
        ids = dict(rows)
        return model_id, {label: ids[label] for label in card.labels}

    def labels(self, model: str | None = None) -> list[Label]:
        """Every label that may be asked for. model: only that model's.

        Those of the model whose run was completed last come first: a new model that has seen only half of the
        photos does not yet hide what an older one found.
        """
        rows = self._rows(
            """
            SELECT l.id, l.model, l.name, l.threshold, (
                SELECT m.card FROM models m LEFT JOIN runs r ON r.model_id = m.id WHERE m.name = l.model
                ORDER BY r.id DESC, m.id DESC LIMIT 1) AS card, (
                SELECT max(r.id) FROM runs r JOIN models m ON m.id = r.model_id
                WHERE m.name = l.model AND json_extract(r.summary, '$.stopped') = 0) AS last,
                EXISTS (SELECT 1 FROM scores s WHERE s.label_id = l.id) AS scored
            FROM labels l WHERE ? IS NULL OR l.model = ? ORDER BY last DESC, l.id
            """,
            [model, model],
        )
        try:
            cards = {card: Card.from_json(card) for card in {row[4] for row in rows}}
        except (ValueError, TypeError):
            raise StoreError(f"{self.path}: {_DAMAGED}") from None
        return [
            Label(i, m, name, cards[card].threshold(name) if own is None else own, own is not None)
            for i, m, name, own, card, _, scored in rows
            if scored or name in cards[card].labels  # else an older version knew it
        ]

    def models(self) -> list[dict[str, Any]]:
        """The models that have scored here, the last one first: name, version, tiles, images, last_run."""
        rows = self._rows(
            """
            SELECT m.name, m.version, m.tiles, (
                SELECT count(*) FROM scores s WHERE s.model_id = m.id AND s.label_id = (
                    SELECT min(l.id) FROM labels l WHERE l.model = m.name)), max(r.started_at)
            FROM models m LEFT JOIN runs r ON r.model_id = m.id GROUP BY m.id ORDER BY max(r.id) DESC
            """
        )
        return [dict(zip(("name", "version", "tiles", "images", "last_run"), row, strict=True)) for row in rows]

    def save_threshold(self, label: Label, threshold: float | None) -> None:
        with self.transaction():
            self._write("UPDATE labels SET threshold = ? WHERE id = ?", [threshold, label.id])

    def begin_run(self, model_id: int, provider: str) -> int:
        with self.transaction():
            return int(
                self._one(
                    "INSERT INTO runs(started_at, host, pid, model_id, provider) VALUES (?, ?, ?, ?, ?) RETURNING id",
                    [now(), socket.gethostname(), os.getpid(), model_id, provider],
                )[0]
            )

    def end_run(self, run_id: int, summary: Mapping[str, Any]) -> None:
        with self.transaction():
            values = [now(), json.dumps(summary), run_id]
            self._write("UPDATE runs SET finished_at = ?, summary = ? WHERE id = ?", values)

    def last_run(self) -> dict[str, Any] | None:
        """started_at, finished_at, host, pid, provider, summary of the run that began last."""
        names = "started_at, finished_at, host, pid, provider, summary"
        row = self._one_or_none(f"SELECT {names} FROM runs ORDER BY id DESC LIMIT 1")
        return dict(zip(names.split(", "), row, strict=True)) if row else None

    # ---- what a user asks

    def find(
        self,
        wanted: query.Query,
        labels: Mapping[str, Label],
        *,
        min_score: float | None = None,
        limit: int | None = None,
        under: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[Found]:
        """The photos for which the query holds, best first.

        labels: for each name in the query, the label that is meant. min_score takes the place of the thresholds.
        since, until: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, local time, the whole of it included.
        A photo that one of the labels' models has not scored is never found: unknown is not "no".
        """
        names = query.labels(wanted)
        joins = "".join(
            f" JOIN scores s{i} ON s{i}.label_id = {labels[name].id} AND s{i}.image_id = s0.image_id"
            for i, name in enumerate(names)
            if i
        )
        columns = {name: f"s{i}.score" for i, name in enumerate(names)}
        values: list[Any] = []
        holds = _holds(wanted, columns, labels, min_score, values)
        where = [f"s0.label_id = {labels[names[0]].id}", "p.removed_at IS NULL", holds]
        if under is not None:
            where.append(self._under(under, values))
        if since is not None:
            where.append(f"{_TAKEN} >= ?")
            values.append(since)
        if until is not None:
            where.append(f"{_TAKEN} <= ?")
            values.append(until + "~")  # sorts after whatever the date goes on with
        sql = f"""
            SELECT r.path, f.path, p.name, {_score(wanted, columns)} AS score, {_TAKEN}
            FROM {{best}}scores s0{joins} JOIN images i ON i.id = s0.image_id JOIN photos p ON p.image_id = s0.image_id
            JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
            WHERE {" AND ".join(where)}{{those}} ORDER BY score DESC, s0.image_id, p.id LIMIT ?
        """
        values.append(-1 if limit is None else limit)
        rows = None
        if limit is not None and not isinstance(wanted, query.Is):  # one label alone comes sorted from its index
            rows = self._best(sql, values, limit, wanted, labels, min_score)
        if rows is None:
            rows = self._rows(sql.format(best="", those=""), values)
        return [Found(os.path.join(_path(r), _join(f, n)), score, taken) for r, f, n, score, taken in rows]

    def _best(
        self,
        sql: str,
        values: list[Any],
        limit: int,
        wanted: query.Query,
        labels: Mapping[str, Label],
        min_score: float | None,
    ) -> list[tuple[Any, ...]] | None:
        """The best rows from a few of the images, those that can be best; None where that does not settle it.

        After Ronald Fagin, "Combining fuzzy information from multiple systems", 1996: nothing outside the tops of the
        labels' own lists can score higher than the lists' ends, so `limit` rows from there on are the best of all.
        """
        for depth in DEPTHS:
            end, tops = self._tops(wanted, labels, min_score, depth, True)
            lists = " UNION ".join(
                f"SELECT image_id FROM scores WHERE label_id = {top.label_id} AND score {'>=' if top.yes else '<='} ?"
                for top in tops
            )
            ends = [end if top.yes else 1.0 - end + 1e-15 for top in tops]  # 1 - (1 - x) is not always x
            among = sql.format(best=f"({lists}) c CROSS JOIN ", those=" AND s0.image_id = c.image_id")
            rows = self._rows(among, [*ends, *values])
            if all(top.holds_from >= end for top in tops) or (len(rows) == limit and all(r[3] >= end for r in rows)):
                return rows
        return None

    def _tops(
        self, q: query.Query, labels: Mapping[str, Label], min_score: float | None, depth: int, yes: bool
    ) -> tuple[float, list[_Top]]:
        """-> (a score, lists): whatever `q` (its opposite where not `yes`) scores there or higher is in one's top."""
        match q:
            case query.Not(part):
                return self._tops(part, labels, min_score, depth, not yes)
            case query.Is(name):
                label, order = labels[name], "DESC" if yes else "ASC"
                threshold = label.threshold if min_score is None else min_score
                end = self._one_or_none(
                    f"SELECT score FROM scores WHERE label_id = ? ORDER BY score {order} LIMIT 1 OFFSET ?",
                    [label.id, depth],
                )
                top = _Top(label.id, yes, threshold if yes else 1.0 - threshold)
                return (-1.0 if end is None else end[0] if yes else 1.0 - end[0]), [top]
            case query.And(parts) | query.Or(parts):
                each = [self._tops(part, labels, min_score, depth, yes) for part in parts]
                if isinstance(q, query.And) == yes:  # the smallest counts: any one list will do
                    return min(each, key=lambda some: some[0])
                return max(end for end, _ in each), [top for _, tops in each for top in tops]

    def image_of(self, path: str) -> int | None:
        """The image of a photo at an absolute path; None where the library has no such photo, or could not read it."""
        scope = self.scope(os.path.dirname(path))
        if scope is None:
            return None
        row = self._one_or_none(
            f"SELECT p.image_id {_LIVE} AND f.root_id = ? AND f.path = ? AND p.name = ?",
            [scope.root_id, _sql(scope.below), _sql(os.path.basename(path))],
        )
        return row[0] if row else None

    def put_truth(self, rows: Iterable[tuple[str, int, bool]]) -> None:
        """rows: (label, image id, present). All or none; what was known before is replaced."""
        with self.transaction():
            self._db.conn.executemany(
                """
                INSERT INTO truth(label, image_id, present, at) VALUES (?, ?, ?, ?)
                ON CONFLICT(label, image_id) DO UPDATE SET present = excluded.present, at = excluded.at
                """,
                [(label, image_id, int(present), now()) for label, image_id, present in rows],
            )

    def truth(self, label: str | None = None, *, scored: Label | None = None, under: str | None = None) -> list[Truth]:
        """What the user knows, a row for each photo and label; with the score that the label `scored` has for it."""
        values: list[Any] = [scored.id if scored else None]
        where = [] if label is None else ["t.label = ?"]
        values += [] if label is None else [label]
        if under is not None:
            where.append(self._under(under, values))
        sql = f"""
            SELECT r.path, f.path, p.name, t.label, t.present, s.score
            FROM truth t JOIN photos p ON p.image_id = t.image_id AND p.removed_at IS NULL
            JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
            LEFT JOIN scores s ON s.label_id = ? AND s.image_id = t.image_id
            {"WHERE " + " AND ".join(where) if where else ""} ORDER BY t.label, p.id
        """
        rows = self._rows(sql, values)
        return [Truth(os.path.join(_path(r), _join(f, n)), lab, bool(yes), score) for r, f, n, lab, yes, score in rows]

    def scored_images(self, label: Label) -> list[tuple[int, float]]:
        """(image id, score) of every image that a label has a score for and that a photo in the library shows."""
        rows = self._rows(
            """
            SELECT s.image_id, s.score FROM scores s WHERE s.label_id = ? AND EXISTS (
                SELECT 1 FROM photos p WHERE p.image_id = s.image_id AND p.removed_at IS NULL) ORDER BY s.image_id
            """,
            [label.id],
        )
        return [(image_id, score) for image_id, score in rows]

    def put_sample(
        self, label: Label, threshold: float, seed: int, drawn: Iterable[tuple[int, float, int, int]]
    ) -> Sample:
        """drawn: (image id, score, stratum, population of the stratum)."""
        with self.transaction():
            (sample_id,) = self._one(
                "INSERT INTO samples(label_id, threshold, seed, drawn_at) VALUES (?, ?, ?, ?) RETURNING id",
                [label.id, threshold, seed, now()],
            )
            self._db.conn.executemany(
                "INSERT INTO sample_photos(sample_id, image_id, score, stratum, population) VALUES (?, ?, ?, ?, ?)",
                [(sample_id, image, float(score), int(s), int(n)) for image, score, s, n in drawn],
            )
        sample = self.sample(label)
        assert sample is not None
        return sample

    def sample(self, label: Label) -> Sample | None:
        """The sample that was drawn last for a label, with what the user has judged of it since."""
        last = "SELECT id, threshold, seed, drawn_at FROM samples WHERE label_id = ? ORDER BY id DESC LIMIT 1"
        head = self._one_or_none(last, [label.id])
        if head is None:
            return None
        rows = self._rows(
            """
            SELECT d.image_id, r.path, f.path, p.name, coalesce(s.score, d.score), d.stratum, d.population, t.present
            FROM sample_photos d LEFT JOIN scores s ON s.label_id = ? AND s.image_id = d.image_id
            LEFT JOIN photos p ON p.id = (
                SELECT min(q.id) FROM photos q WHERE q.image_id = d.image_id AND q.removed_at IS NULL)
            LEFT JOIN folders f ON f.id = p.folder_id LEFT JOIN roots r ON r.id = f.root_id
            LEFT JOIN truth t ON t.image_id = d.image_id AND t.label = ?
            WHERE d.sample_id = ? ORDER BY d.image_id
            """,
            [label.id, label.name, head[0]],
        )
        photos = tuple(
            SamplePhoto(
                image_id,
                None if r is None else os.path.join(_path(r), _join(f, n)),
                *(score, stratum, size),
                None if yes is None else bool(yes),
            )
            for image_id, r, f, n, score, stratum, size, yes in rows
        )
        sample_id, threshold, seed, drawn_at = head
        return Sample(sample_id, threshold, seed, drawn_at, photos)

    def unreadable(self) -> list[tuple[str, str, str]]:
        """(path, reason, since when) of each photo that could not be read."""
        rows = self._rows(
            f"SELECT r.path, f.path, p.name, p.reason, p.reason_at {_LIVE} AND p.reason IS NOT NULL ORDER BY p.id"
        )
        return [(os.path.join(_path(r), _join(f, n)), reason, since) for r, f, n, reason, since in rows]

    def counts(self) -> dict[str, int]:
        """photos (live ones), unreadable among them, removed, images (distinct contents), truth (rows)."""
        sql = {
            "photos": "SELECT count(*) FROM photos WHERE removed_at IS NULL",
            "unreadable": "SELECT count(*) FROM photos WHERE removed_at IS NULL AND reason IS NOT NULL",
            "removed": "SELECT count(*) FROM photos WHERE removed_at IS NOT NULL",
            "images": "SELECT count(*) FROM images",
            "truth": "SELECT count(*) FROM truth",
        }
        return {name: int(self._one(s)[0]) for name, s in sql.items()}

    # ---- forgetting

    def forget(self, paths: Sequence[str]) -> int:
        """Delete what is known of photos, and of folders with all below, by their absolute paths -> photos forgotten.

        With a photo goes what was known of its content, unless another photo shows the same; with a folder, its roots.
        Only for who holds the library (index.only_one). Ends in `vacuum`.
        """
        with self._unchecked(), self.transaction():
            photo_ids = {photo_id for path in paths for photo_id in self._at(path)}
            self._db.conn.executemany("DELETE FROM photos WHERE id = ?", [(photo_id,) for photo_id in photo_ids])
            self._write("DELETE FROM images WHERE id NOT IN (SELECT image_id FROM photos WHERE image_id IS NOT NULL)")
            for table in ("scores", "truth", "sample_photos"):
                self._write(f"DELETE FROM {table} WHERE image_id NOT IN (SELECT id FROM images)")
            self._write("DELETE FROM samples WHERE id NOT IN (SELECT sample_id FROM sample_photos)")
            self._write("DELETE FROM folders WHERE id NOT IN (SELECT folder_id FROM photos)")
            for root in self.roots():
                if any(root.root == path or root.root.startswith(_with_slash(path)) for path in paths):
                    self._write("DELETE FROM roots WHERE id = ?", [root.root_id])
        self.vacuum()
        return len(photo_ids)

    def forget_all(self) -> int:
        """Delete every row, and the copies that migrations and `rebuild` put aside -> photos forgotten."""
        (photos,) = self._one("SELECT count(*) FROM photos")
        tables = "sample_photos samples truth scores labels runs models photos images folders roots"
        with self._unchecked(), self.transaction():
            for table in tables.split():
                self._write(f"DELETE FROM {table}")
        self.vacuum()
        for copy in copies(self.path):
            copy.unlink(missing_ok=True)
        return int(photos)

    def vacuum(self) -> None:
        """Give back the room of what was deleted, in the file and in its log, so that no trace stays in either."""
        self._write("VACUUM")
        (busy, *_), *_ = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise StoreError(f"{self.path}: done, but traces stay while another program reads; close that, and repeat")

    @contextlib.contextmanager
    def _unchecked(self) -> Iterator[None]:
        """Foreign keys unchecked: for each image that goes, the check would read all scores and all truth."""
        self._write("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            self._write("PRAGMA foreign_keys = ON")

    def _at(self, path: str) -> list[int]:
        """The ids of the photo at an absolute path, or of all at or below the folder there; the removed ones too."""
        values: list[Any] = []
        where = self._under(path, values)
        scope = self.scope(os.path.dirname(path))
        if scope is not None:
            where = f"({where}) OR (f.root_id = ? AND f.path = ? AND p.name = ?)"
            values += [scope.root_id, _sql(scope.below), _sql(os.path.basename(path))]
        return [photo_id for (photo_id,) in self._rows(f"SELECT p.id {_ANY} AND ({where})", values)]

    # ---- below the surface

    def _connect(self) -> sqlite3.Connection:
        # Legacy transaction control: sqlite-utils asks for it, and BEGIN IMMEDIATE is ours to say.
        name = f"{self.path.absolute().as_uri()}?immutable=1" if self._frozen() else str(self.path)
        conn = sqlite3.connect(
            name, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False, uri=name != str(self.path)
        )
        try:
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("PRAGMA trusted_schema = OFF")
            # With WAL, a crash of the machine may cost the last batches and never the database.
            conn.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            conn.close()
            raise
        return conn

    def _frozen(self) -> bool:
        """Whether nobody here can write it, as on a backup's disk: SQLite could not make the log beside it either."""
        effective = os.access in os.supports_effective_ids
        writable = all(os.access(p, os.W_OK, effective_ids=effective) for p in (self.path, self.path.parent))
        return not writable and not os.path.exists(f"{self.path}-wal")

    def _migrate(self) -> None:
        tables = [name for (name,) in self._rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        if tables and Migrations.migrations_table not in tables:
            raise StoreError(f"{self.path}: another program's database, no library of photosearch; choose another --db")
        (version,) = self._one("PRAGMA user_version")
        if version > VERSION:
            raise StoreError(f"{self.path}: written by a newer photosearch (schema {version}); upgrade photosearch")
        if version == VERSION:
            return
        self._write("PRAGMA journal_mode = WAL")
        with self.transaction():
            (version,) = self._one("PRAGMA user_version")  # another process may have been quicker
            if version < VERSION:
                if version:
                    self._back_up(version)
                migrations.apply(self._db)
                self._write(f"PRAGMA user_version = {VERSION}")

    def _back_up(self, version: int) -> None:
        """Copy the library aside, as it was before the transaction under way."""
        aside = self.path.with_name(f"{self.path.name}.schema{version}")
        part = fresh(aside.with_name(aside.name + ".part"))
        _create_private(part)
        try:
            # Through a connection of its own: SQLite copies nothing from one that is writing.
            with contextlib.closing(self._connect()) as before, contextlib.closing(sqlite3.connect(part)) as copy:
                before.backup(copy)
            part.replace(aside)
        finally:
            part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's errors -> ours, in words."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise StoreError(f"{self.path}: {_advice(error)}") from error

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._translated():
            return self._db.execute(sql, values).fetchall()

    def _one_or_none(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        rows = self._rows(sql, values)
        return rows[0] if rows else None

    def _one(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...]:
        return self._rows(sql, values)[0]

    def _write(self, sql: str, values: Sequence[Any] = ()) -> None:
        with self._translated():
            self._db.execute(sql, values)

    def _under(self, folder: str, values: list[Any]) -> str:
        """The condition for photos at or below an absolute folder, which may hold roots or lie in one."""
        scope = self.scope(folder)
        if scope is not None:
            where, more = _below(scope)
            values += more
            return where
        inside = [r.root_id for r in self.roots() if r.root.startswith(_with_slash(folder))]
        return f"f.root_id IN ({', '.join(map(str, inside))})"


_ANY = "FROM photos p JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id WHERE 1"
_LIVE = f"{_ANY} AND p.removed_at IS NULL"
_TAKEN = "coalesce(i.taken, strftime('%Y-%m-%dT%H:%M:%S', p.mtime_ns / 1000000000, 'unixepoch', 'localtime'), '')"


def fresh(path: Path) -> Path:
    """Clear a place for a database, with the logs that a killed run left: SQLite would play them into the new one."""
    for end in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    return path


def copies(path: Path) -> list[Path]:
    """What migrations and `rebuild` have put aside of a library: they still hold what it held then."""
    kinds = (f"{path.name}.schema", f"{path.name}.damaged-")
    return sorted(p for p in path.parent.iterdir() if p.name.startswith(kinds))


def _holds(
    q: query.Query, columns: Mapping[str, str], labels: Mapping[str, Label], min_score: float | None, values: list[Any]
) -> str:
    match q:
        case query.Is(name):
            values.append(labels[name].threshold if min_score is None else min_score)
            return f"{columns[name]} >= ?"
        case query.Not(part):
            return f"NOT ({_holds(part, columns, labels, min_score, values)})"
        case query.And(parts):
            return "(" + " AND ".join(_holds(p, columns, labels, min_score, values) for p in parts) + ")"
        case query.Or(parts):
            return "(" + " OR ".join(_holds(p, columns, labels, min_score, values) for p in parts) + ")"


def _score(q: query.Query, columns: Mapping[str, str]) -> str:
    match q:
        case query.Is(name):
            return columns[name]
        case query.Not(part):
            return f"(1.0 - {_score(part, columns)})"
        case query.And(parts):
            return f"min({', '.join(_score(p, columns) for p in parts)})"
        case query.Or(parts):
            return f"max({', '.join(_score(p, columns) for p in parts)})"


def _below(scope: Scope) -> tuple[str, list[Any]]:
    """The condition for folders at or below a scope. Compared as bytes: a folder's path may be TEXT or BLOB."""
    if not scope.below:
        return "f.root_id = ?", [scope.root_id]
    prefix = os.fsencode(scope.below)
    path = "CAST(f.path AS BLOB)"
    return (
        f"f.root_id = ? AND ({path} = ? OR ({path} > ? AND {path} < ?))",
        [scope.root_id, prefix, prefix + b"/", prefix + b"0"],  # '0' follows '/'
    )


def _sql(path: str) -> str | bytes:
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def _path(value: str | bytes) -> str:
    return os.fsdecode(value)


def _join(folder: str | bytes, name: str | bytes) -> str:
    return "/".join(filter(None, (_path(folder), _path(name))))


def _relative(path: str, root: str) -> str:
    below = os.path.relpath(path, root).replace(os.sep, "/")
    return "" if below == "." else below


def _with_slash(folder: str) -> str:
    return folder if folder.endswith(os.sep) else folder + os.sep


def _create_private(path: Path) -> None:
    """An empty file that only its owner may read: what a person photographs is nobody else's business."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(f"{path}: can't make a library here: {error.strerror}; choose a place with --db") from None


_DAMAGED = "the library is damaged; your photos are safe; `photosearch rebuild` starts it anew"


def _advice(error: sqlite3.Error | UnicodeDecodeError) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return f"another program has kept it locked for {WAIT_SECONDS:.0f} s; close that, then try again"
    if isinstance(error, UnicodeDecodeError) or re.search("malformed|not a database|corrupt|decode to UTF-8", text):
        return _DAMAGED
    if "full" in text or "disk I/O" in text:
        return f"the disk is full or fails ({text}); make room, then run the same command again: nothing is lost"
    if "readonly" in text or "unable to open" in text:
        return f"can't be written ({text}); check its permissions, or choose a place with --db"
    return text
