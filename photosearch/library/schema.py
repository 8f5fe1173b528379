"""The tables of each schema version, and the migrations from one version to the next.

    roots ─< folders ─< photos >─ images ─< scores >─ labels ─< classifiers ─< training_marks
    images ─< scored, vectors, inactive_scores >─ models ─< model_labels >─ labels
    images ─< marks, undo_marks >─ undo_log     images ─< sample_photos >─ samples     folder_settings, runs, properties
    images ─< album_images >─ albums     images ─< undo_album_images >─ undo_albums ─ undo_log     images ─ texts
    photos ─ details >─ places, cameras     photos ─< photo_terms >─ terms     words: a full-text index over all of them

A photo is a file; an image is its content, identified by its hash. Scores, vectors and marks belong to the image, so a
photo that is moved or copied keeps them. A row of `models` is a scorer: one model file with a number of tiles.
`scored` lists which scorer has scored which image; a label without a row in `scores` is then below the scorer's
`min_score`. Among scorers of one model name, one is `active` for an image: its scores are in `scores`, those of the
others in `inactive_scores`. `model_labels` lists which labels a scorer gives. A label's last row in `classifiers` is
the one in use; earlier rows are kept for undo. A row of `undo_log` is one user action, with the values before it:
marks (in `undo_marks`), a label's saved threshold, or a change of an album (in `undo_albums`, and of its photos in
`undo_album_images`). An album holds images, too; one with a `question` is a saved search and holds none. Triggers keep
the counters in `folders` and `counts`, so that nothing has to count a million rows.

`details` is what a photo's file and side-cars say, by photo, since copies have side-cars of their own; a photo without
a row was not read yet. `photos.taken` is set only where a file's date differs from its image's. `words` keeps no text
of its own: each folder, place and term is in it once, however many photos have it. Its rowid is that row's id * 8 + its
kind, one of WORD_KINDS. Triggers queue what changes in `word_changes`, and Database applies that before each commit.

`texts` is what was read in a picture's pixels. An image with a row was read, by the reader of that version; one without
text has none, or could not be read. In `words` it is in the column `caption`, told from captions by its kind.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from photosearch.metadata.names import words_in_name

VERSION = 7  # of the schema: the number of the last migration
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

MIGRATION_2 = """
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

MIGRATION_3 = """
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

MIGRATION_4 = """
DROP TRIGGER truth_inserted;
DROP TRIGGER truth_deleted;
DROP TRIGGER models_inserted;
DROP TRIGGER scored_inserted;
DROP TRIGGER scored_deleted;
DROP INDEX heads_label;
DROP INDEX photos_named;
ALTER TABLE knows RENAME TO model_labels;
ALTER TABLE heads RENAME TO classifiers;
ALTER TABLE classifiers RENAME COLUMN saved TO previous_threshold;
ALTER TABLE classifiers RENAME COLUMN told TO metrics;
ALTER TABLE classifiers RENAME COLUMN at TO learned_at;
ALTER TABLE taught RENAME TO training_marks;
ALTER TABLE training_marks RENAME COLUMN head_id TO classifier_id;
ALTER TABLE steps RENAME TO undo_log;
ALTER TABLE undo_log RENAME COLUMN at TO logged_at;
ALTER TABLE undo_log RENAME COLUMN threshold TO previous_threshold;
ALTER TABLE step_marks RENAME TO undo_marks;
ALTER TABLE undo_marks RENAME COLUMN step_id TO undo_id;
ALTER TABLE scores_aside RENAME TO inactive_scores;
ALTER TABLE truth RENAME TO marks;
ALTER TABLE marks RENAME COLUMN at TO marked_at;
ALTER TABLE library RENAME TO properties;
ALTER TABLE scored RENAME COLUMN answers TO active;
ALTER TABLE photos RENAME COLUMN gone TO absent;
ALTER TABLE photos RENAME COLUMN gone_at TO absent_since;
ALTER TABLE photos RENAME COLUMN named TO name_date;
ALTER TABLE photos RENAME COLUMN passing TO transient;
ALTER TABLE labels RENAME COLUMN text TO description;
UPDATE images SET fingerprint = NULL;  -- taken in another way until then; `index --force` takes new ones
ALTER TABLE models RENAME COLUMN floor TO min_score;
UPDATE properties SET name = 'default_model' WHERE name = 'model';
UPDATE counts SET name = 'marks' WHERE name = 'truth';
UPDATE counts SET name = 'scored ' || substr(name, length('looked ') + 1) WHERE name LIKE 'looked %';
CREATE INDEX classifiers_label ON classifiers(label_id);
CREATE INDEX photos_name_date ON photos(name_date) WHERE name_date IS NOT NULL;
CREATE TRIGGER marks_inserted AFTER INSERT ON marks BEGIN
    UPDATE counts SET n = n + 1 WHERE name = 'marks';
END;
CREATE TRIGGER marks_deleted AFTER DELETE ON marks BEGIN
    UPDATE counts SET n = n - 1 WHERE name = 'marks';
END;
CREATE TRIGGER models_inserted AFTER INSERT ON models BEGIN
    INSERT INTO counts VALUES ('scored ' || new.id, 0) ON CONFLICT(name) DO UPDATE SET n = 0;
END;
CREATE TRIGGER scored_inserted AFTER INSERT ON scored BEGIN
    UPDATE counts SET n = n + 1 WHERE name = 'scored ' || new.model_id;
END;
CREATE TRIGGER scored_deleted AFTER DELETE ON scored BEGIN
    UPDATE counts SET n = n - 1 WHERE name = 'scored ' || old.model_id;
END;
"""

# The kind of a row in `words` -> the table that it is of.
WORD_KINDS = {0: "photos", 1: "details", 2: "folders", 3: "roots", 4: "places", 5: "terms", 6: "texts"}
_LAST_NAME = "substr({0}, length(rtrim(rtrim({0}, '/'), replace({0}, '/', ''))) + 1)"  # of a path, in SQL


def _queue_words(table: str, kind: int, key: str, texts: Mapping[str, str]) -> str:
    """The triggers that queue what changes in a table for `words`. texts: column of `words` -> SQL, {0} for the row.

    They don't write to `words` themselves: in an untrusted schema SQLite refuses a trigger that uses a virtual table.
    """
    names = ", ".join(texts)
    old, new = ([text.format(row) for text in texts.values()] for row in ("old", "new"))
    had, has = (f"coalesce({', '.join([*values, 'NULL'])}) IS NOT NULL" for values in (old, new))
    removal, addition = (
        f"INSERT INTO word_changes(doc, gone, {names}) SELECT {row}.{key} * 8 + {kind}, {gone}, {', '.join(values)} "
        f"WHERE {condition};"
        for row, gone, values, condition in (("old", 1, old, had), ("new", 0, new, has))
    )
    differs = " OR ".join(f"{before} IS NOT {after}" for before, after in zip(old, new, strict=True))
    return f"""
CREATE TRIGGER {table}_words_inserted AFTER INSERT ON {table} WHEN {has} BEGIN
    {addition}
END;
CREATE TRIGGER {table}_words_deleted AFTER DELETE ON {table} WHEN {had} BEGIN
    {removal}
END;
CREATE TRIGGER {table}_words_updated AFTER UPDATE ON {table} WHEN {differs} BEGIN
    {removal}
    {addition}
END;
"""


MIGRATION_5 = """
ALTER TABLE photos ADD COLUMN taken TEXT;
ALTER TABLE photos ADD COLUMN taken_from TEXT;
ALTER TABLE photos ADD COLUMN name_words TEXT;
CREATE INDEX photos_taken ON photos(taken) WHERE taken IS NOT NULL;
CREATE TABLE places (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL, division TEXT NOT NULL, country_code TEXT NOT NULL, country TEXT NOT NULL,
    wider TEXT NOT NULL,  -- the city around it; each is '' where it is unknown
    UNIQUE (name, division, country_code, country, wider)
) STRICT;
CREATE TABLE cameras (
    id INTEGER PRIMARY KEY,
    make TEXT NOT NULL, model TEXT NOT NULL, lens TEXT NOT NULL,  -- '' where it is unknown
    UNIQUE (model, make, lens)
) STRICT;
CREATE TABLE terms (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('keyword', 'path', 'person')),  -- path: of keywords, animal|bird
    name TEXT NOT NULL,
    UNIQUE (kind, name)
) STRICT;
CREATE TABLE details (
    photo_id INTEGER PRIMARY KEY REFERENCES photos(id) ON DELETE CASCADE,
    sidecars INTEGER NOT NULL,  -- which they were, and as of when; 0: none
    latitude INTEGER, longitude INTEGER,  -- in millionths of a degree
    place_id INTEGER REFERENCES places(id),
    camera_id INTEGER REFERENCES cameras(id),
    rating REAL,  -- 1 to 5, -1 for rejected
    title TEXT, caption TEXT,
    location TEXT  -- a place as it is written there: city, state, country
) STRICT;
CREATE TABLE photo_terms (
    term_id INTEGER NOT NULL REFERENCES terms(id) ON DELETE CASCADE,
    photo_id INTEGER NOT NULL REFERENCES photos(id) ON DELETE CASCADE,
    PRIMARY KEY (term_id, photo_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX photo_terms_photo ON photo_terms(photo_id);
CREATE INDEX details_place ON details(place_id) WHERE place_id IS NOT NULL;
CREATE INDEX details_camera ON details(camera_id) WHERE camera_id IS NOT NULL;
CREATE INDEX details_text ON details(photo_id) WHERE title IS NOT NULL OR caption IS NOT NULL;
CREATE INDEX details_position ON details(latitude, longitude) WHERE latitude IS NOT NULL;
CREATE VIRTUAL TABLE words USING fts5(
    folder, name, title, caption, keyword, person, place,
    content='', columnsize=0, prefix='2 3', tokenize='unicode61 remove_diacritics 2'
);
CREATE TABLE word_changes (  -- of the open transaction: applied to `words` before it ends
    id INTEGER PRIMARY KEY,
    doc INTEGER NOT NULL, gone INTEGER NOT NULL CHECK (gone IN (0, 1)),
    folder TEXT, name TEXT, title TEXT, caption TEXT, keyword TEXT, person TEXT, place TEXT
) STRICT;
""" + "".join([
    _queue_words("photos", 0, "id", {"name": "{0}.name_words"}),
    _queue_words("details", 1, "photo_id", {
        "title": "{0}.title", "caption": "{0}.caption", "place": "{0}.location",
    }),
    _queue_words("folders", 2, "id", {"folder": "CAST({0}.path AS TEXT)"}),
    _queue_words("roots", 3, "id", {"folder": _LAST_NAME.replace("{0}", "CAST({0}.path AS TEXT)")}),
    _queue_words("places", 4, "id", {
        "place": "{0}.name || char(10) || {0}.division || char(10) || {0}.country || char(10) || {0}.wider",
    }),
    _queue_words("terms", 5, "id", {
        "keyword": "iif({0}.kind <> 'person', {0}.name, NULL)", "person": "iif({0}.kind = 'person', {0}.name, NULL)",
    }),
])  # fmt: skip

MIGRATION_7 = """
CREATE TABLE texts (
    image_id INTEGER PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE,
    version INTEGER NOT NULL,  -- of the reader
    text TEXT,  -- a line of it for each line in the picture, words apart by one space; NULL: none
    boxes TEXT,  -- JSON: of each line its confidence, then the corners of each word, in ten-thousandths of the sides
    reason TEXT, reason_at TEXT,  -- why it could not be read
    CHECK ((text IS NULL) = (boxes IS NULL))
) STRICT;
CREATE INDEX texts_version ON texts(version);
CREATE INDEX texts_found ON texts(image_id) WHERE text IS NOT NULL;
CREATE INDEX texts_reason ON texts(image_id) WHERE reason IS NOT NULL;
""" + _queue_words("texts", 6, "image_id", {"caption": "{0}.text"})


MIGRATION_6 = """
CREATE TABLE albums (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- no id comes twice: undo may bring an album back
    name TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,  -- the name as names are compared
    question TEXT,  -- JSON: of a saved search; NULL: photos were chosen one by one
    created_at TEXT NOT NULL, changed_at TEXT NOT NULL
) STRICT;
CREATE TABLE album_images (
    album_id INTEGER NOT NULL REFERENCES albums(id) ON DELETE CASCADE,
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    added_at TEXT NOT NULL,
    PRIMARY KEY (album_id, image_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX album_images_image ON album_images(image_id);
CREATE TABLE undo_albums (
    undo_id INTEGER PRIMARY KEY REFERENCES undo_log(id) ON DELETE CASCADE,
    album_id INTEGER NOT NULL,  -- which may be deleted
    change TEXT NOT NULL CHECK (change IN ('created', 'renamed', 'deleted', 'photos')),
    name TEXT NOT NULL, question TEXT, created_at TEXT NOT NULL  -- before; of a new album: today's
) STRICT;
CREATE TABLE undo_album_images (
    undo_id INTEGER NOT NULL REFERENCES undo_albums(undo_id) ON DELETE CASCADE,
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    added_at TEXT,  -- before; NULL: it was not in the album
    PRIMARY KEY (undo_id, image_id)
) STRICT, WITHOUT ROWID;
"""


def migrate(conn: sqlite3.Connection) -> None:
    """Apply the missing migrations, inside the transaction that the caller has opened, foreign keys off."""
    from sqlite_utils import Database  # takes 70 ms to import: only when there is something to migrate

    declare().apply(Database(conn, execute_plugins=False))


def declare() -> Any:
    """All migrations in order, as a sqlite_utils.Migrations."""
    from sqlite_utils import Database, Migrations

    migrations = Migrations("photosearch")

    @migrations(name="1")
    def _create_tables(db: Database) -> None:
        _run(db.conn, SCHEMA_1)

    @migrations(name="2")
    def _add_default_model(db: Database) -> None:
        default_model, cards = _find_last_model_of_schema_1(db.conn), _read_cards_of_schema_1(db.conn)
        _run(db.conn, MIGRATION_2)
        _store_card_labels(db.conn, cards)
        if default_model is not None:
            db.execute("INSERT INTO library VALUES ('model', ?)", [default_model])

    @migrations(name="3")
    def _add_classifiers(db: Database) -> None:
        _run(db.conn, MIGRATION_3)

    @migrations(name="4")
    def _rename_to_standard_terms(db: Database) -> None:
        _run(db.conn, MIGRATION_4)

    @migrations(name="5")
    def _add_details(db: Database) -> None:
        _run(db.conn, MIGRATION_5)
        _index_known_words(db.conn)

    @migrations(name="6")
    def _add_albums(db: Database) -> None:
        _run(db.conn, MIGRATION_6)

    @migrations(name="7")
    def _add_texts(db: Database) -> None:
        _run(db.conn, MIGRATION_7)

    return migrations


def _run(conn: sqlite3.Connection, script: str) -> None:
    for statement in _split_statements(script):
        conn.execute(statement)


def _split_statements(script: str) -> Iterator[str]:
    """A script's statements, each trigger as one. (sqlite3's executescript would commit.)"""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _index_known_words(conn: sqlite3.Connection) -> None:
    """Queue the words of known photos and folders."""
    rows = conn.execute("SELECT id, name FROM photos").fetchall()
    named = ((words_in_name(os.fsdecode(name)), photo_id) for photo_id, name in rows)
    conn.executemany("UPDATE photos SET name_words = ? WHERE id = ?", (pair for pair in named if pair[0] is not None))
    for table, kind in (("folders", 2), ("roots", 3)):
        text = "CAST(path AS TEXT)" if table == "folders" else _LAST_NAME.format("CAST(path AS TEXT)")
        conn.execute(f"INSERT INTO word_changes(doc, gone, folder) SELECT id * 8 + {kind}, 0, {text} FROM {table}")


def _find_last_model_of_schema_1(conn: sqlite3.Connection) -> str | None:
    """The name of the model of the last completed run, else of the last run."""
    row = conn.execute(
        """
        SELECT m.name FROM models m LEFT JOIN runs r ON r.model_id = m.id
        ORDER BY json_extract(r.summary, '$.stopped') IS 0 DESC, r.id DESC, m.id DESC LIMIT 1
        """
    ).fetchone()
    return row[0] if row else None


def _read_cards_of_schema_1(conn: sqlite3.Connection) -> list[tuple[int, str, str]]:
    """(id, name, card) of each scorer; the one that ran last comes last, because its card was in force."""
    return conn.execute(
        """
        SELECT m.id, m.name, m.card FROM models m LEFT JOIN runs r ON r.model_id = m.id
        GROUP BY m.id ORDER BY max(r.id), m.id
        """
    ).fetchall()


def _store_card_labels(conn: sqlite3.Connection, cards: Iterable[tuple[int, str, str]]) -> None:
    """Store which labels each scorer gives; the last card of a model decides on thresholds and current labels."""
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
