"""The tables of each version, and how a library comes from one to the next.

    roots ─< folders ─< photos >─ images ─< scores >─ labels ─< heads      models ─< scored, vectors
    truth, samples, steps, runs

A photo is a file; an image is its content, known by its hash. What models and users say belongs to the image: a photo
that moves, or is copied, brings it along. A row of `models` is a reading: one file, with so many tiles. `scored` says
who has looked at what; a label without a row in `scores` lies below the model's floor. Of several readings by models
of one name, one `answers`, and its scores stand in `scores`; those of the others wait in `scores_aside`.
A row of `heads` is what a label of the user's own learned from marks: the last one counts, the others wait for an undo.
A row of `steps` is one thing the user said, with what stood there before: marks, or a label's threshold.
The folders and `counts` keep counters, by triggers, so that nobody has to count a million rows.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

VERSION = 3  # of the schema: the number of the last migration
MIGRATIONS_TABLE = "_sqlite_migrations"

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

BEFORE_2 = """
ALTER TABLE images ADD COLUMN taken_from TEXT;
ALTER TABLE images ADD COLUMN fingerprint INTEGER;
ALTER TABLE folders ADD COLUMN photos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folders ADD COLUMN unreadable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folders ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folders ADD COLUMN excluded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE models ADD COLUMN path ANY;
ALTER TABLE models ADD COLUMN floor REAL NOT NULL DEFAULT 0;
ALTER TABLE labels ADD COLUMN card_threshold REAL NOT NULL DEFAULT 0.5;
ALTER TABLE labels ADD COLUMN text TEXT;
ALTER TABLE labels ADD COLUMN current INTEGER NOT NULL DEFAULT 1;
CREATE TABLE new_photos (
    id INTEGER PRIMARY KEY,
    folder_id INTEGER NOT NULL REFERENCES folders(id) ON DELETE CASCADE,
    name ANY NOT NULL,
    size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL DEFAULT 0, device INTEGER NOT NULL DEFAULT 0, inode INTEGER NOT NULL DEFAULT 0,  -- or 0
    image_id INTEGER REFERENCES images(id),
    named TEXT,  -- the date in the file's name, where its image has none
    reason TEXT,  -- why it could not be read
    reason_at TEXT,
    passing INTEGER NOT NULL DEFAULT 0 CHECK (passing IN (0, 1)),  -- the reason may pass: try again
    gone TEXT CHECK (gone IN ('removed', 'excluded')), gone_at TEXT,
    UNIQUE (folder_id, name),
    CHECK (image_id IS NOT NULL OR reason IS NOT NULL)
) STRICT;
CREATE TABLE new_scores (
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    label_id INTEGER NOT NULL REFERENCES labels(id) ON DELETE CASCADE,
    score REAL NOT NULL CHECK (score BETWEEN 0 AND 1),
    PRIMARY KEY (image_id, label_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE scores_aside (
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    model_id INTEGER NOT NULL REFERENCES models(id) ON DELETE CASCADE,
    label_id INTEGER NOT NULL REFERENCES labels(id) ON DELETE CASCADE,
    score REAL NOT NULL,
    PRIMARY KEY (image_id, model_id, label_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE knows (  -- which labels a reading gives; an older file of the same name may lack some
    model_id INTEGER NOT NULL REFERENCES models(id) ON DELETE CASCADE,
    label_id INTEGER NOT NULL REFERENCES labels(id) ON DELETE CASCADE,
    PRIMARY KEY (label_id, model_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE scored (
    model_id INTEGER NOT NULL REFERENCES models(id) ON DELETE CASCADE,
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    answers INTEGER NOT NULL CHECK (answers IN (0, 1)),
    PRIMARY KEY (model_id, image_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- no id comes twice: what is new has the largest that ever was
    model_id INTEGER NOT NULL REFERENCES models(id) ON DELETE CASCADE,  -- the first reading by this file
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    vector BLOB NOT NULL  -- float16, of unit length
) STRICT;
CREATE UNIQUE INDEX vectors_image ON vectors(image_id, model_id);
CREATE TABLE folder_settings (
    root_id INTEGER NOT NULL REFERENCES roots(id) ON DELETE CASCADE,
    path ANY NOT NULL,  -- below the root, as in folders
    settings TEXT NOT NULL,  -- JSON: what differs from the folder above
    PRIMARY KEY (root_id, path)
) STRICT;
CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE library (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE new_runs (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL, finished_at TEXT,
    host TEXT NOT NULL, pid INTEGER NOT NULL,
    models TEXT NOT NULL,  -- JSON: their names
    provider TEXT NOT NULL,
    summary TEXT  -- JSON: what the run counted
) STRICT;
INSERT INTO new_photos(id, folder_id, name, size_bytes, mtime_ns, image_id, reason, reason_at, passing, gone, gone_at)
    SELECT id, folder_id, name, size_bytes, mtime_ns, image_id, reason, reason_at, passing,
           iif(removed_at IS NULL, NULL, 'removed'), removed_at
    FROM photos ORDER BY id;
UPDATE images SET taken_from = 'exif' WHERE taken IS NOT NULL;
INSERT INTO new_scores(image_id, label_id, score) SELECT image_id, label_id, score FROM scores ORDER BY 1, 2;
INSERT INTO scored(model_id, image_id, answers) SELECT DISTINCT model_id, image_id, 1 FROM scores ORDER BY 1, 2;
INSERT INTO new_runs SELECT r.id, r.started_at, r.finished_at, r.host, r.pid, json_array(m.name), r.provider, r.summary
    FROM runs r JOIN models m ON m.id = r.model_id;
DROP TABLE photos;
DROP TABLE scores;
DROP TABLE runs;
ALTER TABLE new_photos RENAME TO photos;
ALTER TABLE new_scores RENAME TO scores;
ALTER TABLE new_runs RENAME TO runs;
CREATE INDEX photos_image ON photos(image_id);
CREATE INDEX photos_named ON photos(named) WHERE named IS NOT NULL;
CREATE INDEX images_taken ON images(taken) WHERE taken IS NOT NULL;
CREATE INDEX scores_best ON scores(label_id, score DESC, image_id);
UPDATE folders SET
    photos = (SELECT count(*) FROM photos WHERE folder_id = folders.id AND gone IS NULL),
    unreadable = (SELECT count(*) FROM photos WHERE folder_id = folders.id AND gone IS NULL AND reason IS NOT NULL),
    removed = (SELECT count(*) FROM photos WHERE folder_id = folders.id AND gone = 'removed');
INSERT INTO counts SELECT 'looked ' || id, (SELECT count(*) FROM scored WHERE model_id = models.id) FROM models;
INSERT INTO library VALUES ('id', lower(hex(randomblob(8))));
INSERT INTO counts SELECT 'images', count(*) FROM images;
INSERT INTO counts SELECT 'truth', count(*) FROM truth;
CREATE TRIGGER photos_inserted AFTER INSERT ON photos BEGIN
    UPDATE folders SET photos = photos + (new.gone IS NULL),
        unreadable = unreadable + (new.gone IS NULL AND new.reason IS NOT NULL),
        removed = removed + (new.gone IS 'removed'), excluded = excluded + (new.gone IS 'excluded')
    WHERE id = new.folder_id;
END;
CREATE TRIGGER photos_deleted AFTER DELETE ON photos BEGIN
    UPDATE folders SET photos = photos - (old.gone IS NULL),
        unreadable = unreadable - (old.gone IS NULL AND old.reason IS NOT NULL),
        removed = removed - (old.gone IS 'removed'), excluded = excluded - (old.gone IS 'excluded')
    WHERE id = old.folder_id;
END;
CREATE TRIGGER photos_updated AFTER UPDATE OF folder_id, gone, reason ON photos
    WHEN old.folder_id <> new.folder_id OR old.gone IS NOT new.gone OR (old.reason IS NULL) <> (new.reason IS NULL)
BEGIN
    UPDATE folders SET photos = photos - (old.gone IS NULL),
        unreadable = unreadable - (old.gone IS NULL AND old.reason IS NOT NULL),
        removed = removed - (old.gone IS 'removed'), excluded = excluded - (old.gone IS 'excluded')
    WHERE id = old.folder_id;
    UPDATE folders SET photos = photos + (new.gone IS NULL),
        unreadable = unreadable + (new.gone IS NULL AND new.reason IS NOT NULL),
        removed = removed + (new.gone IS 'removed'), excluded = excluded + (new.gone IS 'excluded')
    WHERE id = new.folder_id;
END;
CREATE TRIGGER images_inserted AFTER INSERT ON images BEGIN
    UPDATE counts SET n = n + 1 WHERE name = 'images';
END;
CREATE TRIGGER images_deleted AFTER DELETE ON images BEGIN
    UPDATE counts SET n = n - 1 WHERE name = 'images';
END;
CREATE TRIGGER truth_inserted AFTER INSERT ON truth BEGIN
    UPDATE counts SET n = n + 1 WHERE name = 'truth';
END;
CREATE TRIGGER truth_deleted AFTER DELETE ON truth BEGIN
    UPDATE counts SET n = n - 1 WHERE name = 'truth';
END;
CREATE TRIGGER models_inserted AFTER INSERT ON models BEGIN
    INSERT INTO counts VALUES ('looked ' || new.id, 0) ON CONFLICT(name) DO UPDATE SET n = 0;
END;
CREATE TRIGGER scored_inserted AFTER INSERT ON scored BEGIN
    UPDATE counts SET n = n + 1 WHERE name = 'looked ' || new.model_id;
END;
CREATE TRIGGER scored_deleted AFTER DELETE ON scored BEGIN
    UPDATE counts SET n = n - 1 WHERE name = 'looked ' || old.model_id;
END;
"""

BEFORE_3 = """
CREATE TABLE heads (
    id INTEGER PRIMARY KEY,
    label_id INTEGER NOT NULL REFERENCES labels(id) ON DELETE CASCADE,
    digest TEXT NOT NULL,  -- of the file whose vectors it is for
    base_id INTEGER REFERENCES labels(id),  -- the label whose scores it corrects, if any
    weights BLOB NOT NULL,  -- float32
    bias REAL NOT NULL,
    threshold REAL NOT NULL,
    saved REAL,  -- the threshold that the user had saved before
    told TEXT NOT NULL,  -- JSON: its figures, and what they rest on
    at TEXT NOT NULL
) STRICT;
CREATE INDEX heads_label ON heads(label_id);
CREATE TABLE taught (  -- the marks that a head learned from
    head_id INTEGER NOT NULL REFERENCES heads(id) ON DELETE CASCADE,
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    present INTEGER NOT NULL CHECK (present IN (0, 1)),
    score REAL NOT NULL CHECK (score BETWEEN 0 AND 1),  -- by heads that had not seen it
    PRIMARY KEY (head_id, image_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE steps (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    label_id INTEGER REFERENCES labels(id) ON DELETE CASCADE,  -- NULL: a step of marks
    threshold REAL  -- the label's own before; NULL: its card's
) STRICT;
CREATE TABLE step_marks (
    step_id INTEGER NOT NULL REFERENCES steps(id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    present INTEGER CHECK (present IN (0, 1)),  -- before; NULL: there was no mark
    PRIMARY KEY (step_id, label, image_id)
) STRICT, WITHOUT ROWID;
ALTER TABLE sample_photos ADD COLUMN number INTEGER NOT NULL DEFAULT 0;  -- on the sheet, from 1: the drawn order
UPDATE sample_photos SET number = (
    SELECT count(*) FROM sample_photos o
    WHERE o.sample_id = sample_photos.sample_id AND o.image_id <= sample_photos.image_id);
"""


def migrate(conn: sqlite3.Connection) -> None:
    """Bring a library's tables up to date, inside the transaction that the caller has opened, foreign keys off."""
    from sqlite_utils import Database  # 70 ms: only for who has something to migrate

    declare().apply(Database(conn, execute_plugins=False))


def declare() -> Any:
    """Every migration that there is, in order, as sqlite-utils wants them."""
    from sqlite_utils import Database, Migrations

    migrations = Migrations("photosearch")

    @migrations(name="1")
    def _begin(db: Database) -> None:
        _run(db.conn, SCHEMA_1)

    @migrations(name="2")
    def _let_many_models_answer(db: Database) -> None:
        last, cards = _model_that_answered(db.conn), _cards(db.conn)
        _run(db.conn, BEFORE_2)
        _read_cards(db.conn, cards)
        if last is not None:
            db.execute("INSERT INTO library VALUES ('model', ?)", [last])

    @migrations(name="3")
    def _let_labels_be_learned(db: Database) -> None:
        _run(db.conn, BEFORE_3)

    return migrations


def _run(conn: sqlite3.Connection, script: str) -> None:
    for statement in _statements(script):
        conn.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """A script's statements, triggers whole. (executescript would commit.)"""
    part = ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def _model_that_answered(conn: sqlite3.Connection) -> str | None:
    """In schema 1: the model of the last run that was completed, else of the last run."""
    row = conn.execute(
        """
        SELECT m.name FROM models m LEFT JOIN runs r ON r.model_id = m.id
        ORDER BY json_extract(r.summary, '$.stopped') IS 0 DESC, r.id DESC, m.id DESC LIMIT 1
        """
    ).fetchone()
    return row[0] if row else None


def _cards(conn: sqlite3.Connection) -> list[tuple[int, str, str]]:
    """In schema 1: (id, name, card) of each reading, the one that ran last at the end: its card counted."""
    return conn.execute(
        """
        SELECT m.id, m.name, m.card FROM models m LEFT JOIN runs r ON r.model_id = m.id
        GROUP BY m.id ORDER BY max(r.id), m.id
        """
    ).fetchall()


def _read_cards(conn: sqlite3.Connection, cards: Iterable[tuple[int, str, str]]) -> None:
    """Write down which labels each reading knows; each label's threshold, and whether it is current, by the last."""
    for model_id, name, text in cards:
        try:
            card = json.loads(text)
            labels, thresholds = card["labels"], card.get("thresholds", {})
            rows = [(float(thresholds.get(label, 0.5)), name, label) for label in labels]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise sqlite3.DatabaseError(f"malformed card of {name}") from None
        conn.executemany(
            "INSERT INTO knows(model_id, label_id) SELECT ?, id FROM labels WHERE model = ? AND name = ?",
            [(model_id, name, label) for label in labels],
        )
        conn.execute("UPDATE labels SET current = 0, card_threshold = 0.5 WHERE model = ?", [name])
        conn.executemany("UPDATE labels SET current = 1, card_threshold = ? WHERE model = ? AND name = ?", rows)
