"""What models said: which reading has looked at what, scores, vectors, labels; which model answers.

A reading is a row of `models`: one file, with so many tiles. Readings by models of one name share their labels; for
each image one of them answers, and the others wait aside. The scores of a model that has another name stand beside.
"""

import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from photosearch.errors import StoreError
from photosearch.library import database
from photosearch.library.database import Database, to_path, to_sql
from photosearch.models.card import Card


@dataclass(frozen=True, slots=True)
class Label:
    """threshold: the user's own where one was saved, else the card's. saved: whether it is the user's own."""

    id: int
    model: str
    name: str
    threshold: float
    saved: bool


YOURS = "yours"  # the model whose labels are the user's own: descriptions, and what was learned from marks


@dataclass(frozen=True, slots=True)
class Space:
    """Where a model's vectors lie. model_id: the reading they are stored with. name: by which text towers know it."""

    model_id: int
    digest: str
    name: str
    dimensions: int


# ---- readings


def put_model(db: Database, card: Card, digest: str, tiles: int, path: str | None = None) -> tuple[int, dict[str, int]]:
    """Make a reading known -> (its id, label name -> label id). path: of its file, where no name leads to it."""
    with db.transaction():
        key = [digest, tiles]
        db.write(
            """
            INSERT INTO models(name, version, digest, tiles, card, floor, path) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT(digest, tiles) DO UPDATE SET path = excluded.path
            """,
            [card.name, card.version, *key, card.to_json(), card.floor, None if path is None else to_sql(path)],
        )
        (model_id,) = db.one("SELECT id FROM models WHERE digest = ? AND tiles = ?", key)
        db.write("UPDATE labels SET current = 0 WHERE model = ? AND current", [card.name])
        db.write_many(
            """
            INSERT INTO labels(model, name, card_threshold) VALUES (?, ?, ?)
            ON CONFLICT(model, name) DO UPDATE SET current = 1, card_threshold = excluded.card_threshold
            """,
            [(card.name, label, float(card.threshold(label))) for label in card.labels],
        )
        ids: dict[str, int] = dict(db.rows("SELECT name, id FROM labels WHERE model = ?", [card.name]))
        db.write_many(
            "INSERT INTO knows(model_id, label_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(model_id, ids[label]) for label in card.labels],
        )
    return model_id, {label: ids[label] for label in card.labels}


def models(db: Database) -> list[dict[str, Any]]:
    """The readings there are, the last one that ran first: name, version, tiles, digest, images, path, last_run."""
    rows = db.rows(
        """
        SELECT m.name, m.version, m.tiles, m.digest, (SELECT n FROM counts WHERE name = 'looked ' || m.id), m.path, (
            SELECT max(r.started_at) FROM runs r, json_each(r.models) j WHERE j.value = m.name)
        FROM models m ORDER BY 7 DESC, m.id DESC
        """
    )
    names = ("name", "version", "tiles", "digest", "images", "path", "last_run")
    told = [dict(zip(names, row, strict=True)) for row in rows]
    return [{**m, "path": None if m["path"] is None else to_path(m["path"])} for m in told]


def answering(db: Database) -> str | None:
    """The name of the model that answers, or None where nothing was indexed yet."""
    row = db.row("SELECT value FROM library WHERE name = 'model'")
    return row[0] if row else None


def use(db: Database, name: str) -> None:
    """From now on this model answers. Raises StoreError where it has looked at nothing here."""
    known = [n for (n,) in db.rows("SELECT DISTINCT name FROM models WHERE name <> ? ORDER BY name", [YOURS])]
    if name not in known:
        raise StoreError(
            f"{db.path}: {name} has looked at no photo here yet: photosearch index --model {name}; "
            f"known are {', '.join(known) or 'none'}"
        )
    db.write("INSERT INTO library VALUES ('model', ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value", [name])


def count_answered(db: Database, name: str) -> int:
    """How many images a model of this name answers for."""
    its = "SELECT id FROM models WHERE name = ?"
    return int(db.one(f"SELECT count(*) FROM scored WHERE model_id IN ({its}) AND answers", [name])[0])


def model_path(db: Database, name: str) -> str | None:
    """The file that a model of this name was last loaded from, where no name leads to it."""
    row = db.row("SELECT path FROM models WHERE name = ? ORDER BY id DESC LIMIT 1", [name])
    return None if row is None or row[0] is None else to_path(row[0])


def readings_that_know(db: Database, label: Label) -> dict[int, float]:
    """The readings that give a label: id -> floor."""
    sql = "SELECT m.id, m.floor FROM knows n JOIN models m ON m.id = n.model_id WHERE n.label_id = ? ORDER BY m.id"
    return dict(db.rows(sql, [label.id]))


# ---- what they said


def looked(db: Database, content_hash: bytes, readings: Sequence[int]) -> set[int]:
    """Which of these readings have looked at a photo with these bytes. May be called from any thread."""
    ids = ", ".join(map(str, map(int, readings)))
    rows = db.read(
        f"SELECT k.model_id FROM images i CROSS JOIN scored k ON k.image_id = i.id AND k.model_id IN ({ids}) "
        "WHERE i.hash = ?",
        [content_hash],
    )
    return {model_id for (model_id,) in rows}


def put_said(
    db: Database,
    image_id: int,
    model_id: int,
    label_ids: Mapping[str, int],
    scores: Mapping[str, float],
    vector: bytes | None = None,
) -> None:
    """Keep what a reading says of an image; from now on it answers for it among the models of its name.

    scores: label -> 0..1, those from the floor on. vector: float16, of unit length. Readings by an older file of that
    name give way; the same file's with other tiles wait aside. In a transaction.
    """
    _make_way(db, image_id, model_id)
    db.write("INSERT INTO scored(model_id, image_id, answers) VALUES (?, ?, 1)", [model_id, image_id])
    rows = sorted((label_ids[label], float(score)) for label, score in scores.items())
    db.write_many("INSERT INTO scores(image_id, label_id, score) VALUES (?, ?, ?)", [(image_id, *r) for r in rows])
    if vector is not None:  # in place of what the same file gave with other tiles, under a new id
        db.write(
            """
            INSERT OR REPLACE INTO vectors(model_id, image_id, vector)
            VALUES ((SELECT min(b.id) FROM models a JOIN models b ON b.digest = a.digest WHERE a.id = ?), ?, ?)
            """,
            [model_id, image_id, vector],
        )


def aside(db: Database, image_id: int, readings: Sequence[int]) -> list[int]:
    """Those of the readings that have looked at an image and wait while another answers for it."""
    ids = ", ".join(map(str, map(int, readings)))
    rows = db.rows(
        f"SELECT model_id FROM scored WHERE model_id IN ({ids}) AND image_id = ? AND NOT answers", [image_id]
    )
    return [model_id for (model_id,) in rows]


def let_answer(db: Database, image_id: int, model_id: int) -> None:
    """A reading that waits aside answers for an image again. In a transaction."""
    _put_aside(db, image_id, model_id)
    db.write("UPDATE scored SET answers = 1 WHERE model_id = ? AND image_id = ?", [model_id, image_id])
    key = [image_id, model_id]
    db.write(
        """
        INSERT INTO scores(image_id, label_id, score)
        SELECT image_id, label_id, score FROM scores_aside WHERE image_id = ? AND model_id = ?
        """,
        key,
    )
    db.write("DELETE FROM scores_aside WHERE image_id = ? AND model_id = ?", key)


def _make_way(db: Database, image_id: int, model_id: int) -> None:
    """Clear an image's place for what a reading says: the same reading's and older files' go, others wait aside."""
    others = db.rows(
        """
        SELECT k.model_id, m.digest IS NOT a.digest OR m.id = a.id
        FROM models a CROSS JOIN models m ON m.name = a.name
        CROSS JOIN scored k ON k.model_id = m.id AND k.image_id = ? WHERE a.id = ?
        """,
        [image_id, model_id],
    )
    if not others:
        return
    _put_aside(db, image_id, model_id)
    for other, goes in others:
        if goes:
            db.write("DELETE FROM scores_aside WHERE image_id = ? AND model_id = ?", [image_id, other])
            db.write("DELETE FROM scored WHERE model_id = ? AND image_id = ?", [other, image_id])
            its = "SELECT b.id FROM models a JOIN models b ON b.digest = a.digest WHERE a.id = ?"
            db.write(f"DELETE FROM vectors WHERE image_id = ? AND model_id IN ({its})", [image_id, other])


def _put_aside(db: Database, image_id: int, model_id: int) -> None:
    """Whichever reading by a model of this one's name answers for an image waits aside from now on."""
    row = db.row(
        """
        SELECT k.model_id, m.name FROM models a CROSS JOIN models m ON m.name = a.name
        CROSS JOIN scored k ON k.model_id = m.id AND k.image_id = ? AND k.answers WHERE a.id = ?
        """,
        [image_id, model_id],
    )
    if row is None:
        return
    answers, name = row
    of_its = "image_id = ? AND label_id IN (SELECT id FROM labels WHERE model = ?)"
    db.write(
        f"""
        INSERT OR REPLACE INTO scores_aside(image_id, model_id, label_id, score)
        SELECT image_id, ?, label_id, score FROM scores WHERE {of_its}
        """,
        [answers, image_id, name],
    )
    db.write(f"DELETE FROM scores WHERE {of_its}", [image_id, name])
    db.write("UPDATE scored SET answers = 0 WHERE model_id = ? AND image_id = ?", [answers, image_id])


# ---- labels


def labels(db: Database, model: str | None = None) -> list[Label]:
    """Every label that may be asked for. model: only that model's.

    Those that were learned come first, then those of the model that answers.
    """
    rows = db.rows(
        """
        SELECT l.id, l.model, l.name, coalesce(l.threshold, l.card_threshold), l.threshold IS NOT NULL
        FROM labels l WHERE (? IS NULL OR l.model = ?)
            AND (l.current OR EXISTS (SELECT 1 FROM scores s INDEXED BY scores_best WHERE s.label_id = l.id))
        ORDER BY l.id IN (SELECT label_id FROM heads) DESC,
            l.model IS (SELECT value FROM library WHERE name = 'model') DESC, l.id
        """,
        [model, model],
    )
    return [Label(i, m, name, threshold, bool(saved)) for i, m, name, threshold, saved in rows]


def put_description(db: Database, space: Space, name: str, text: str, threshold: float) -> Label:
    """A label that is a description. In a transaction. threshold: of a new one; one that is there keeps its own."""
    label = put_own(db, space, name, threshold)
    db.write("UPDATE labels SET text = ? WHERE id = ?", [text, label.id])
    return label


def put_own(db: Database, space: Space, name: str, threshold: float) -> Label:
    """A label of the user's own: its reading is YOURS, over the vectors of a space. In a transaction.

    threshold: of a new one; one that is there keeps its own.
    """
    key = [f"{YOURS} {space.digest}", 0]
    db.write(
        "INSERT INTO models(name, version, digest, tiles, card, floor) VALUES (?, '1', ?, ?, '{}', 0) "
        "ON CONFLICT(digest, tiles) DO NOTHING",
        [YOURS, *key],
    )
    (model_id,) = db.one("SELECT id FROM models WHERE digest = ? AND tiles = ?", key)
    (label_id,) = db.one(
        """
        INSERT INTO labels(model, name, card_threshold) VALUES (?, ?, ?)
        ON CONFLICT(model, name) DO UPDATE SET current = 1 RETURNING id
        """,
        [YOURS, name, threshold],
    )
    db.write("DELETE FROM knows WHERE label_id = ? AND model_id <> ?", [label_id, model_id])  # of an older file
    db.write("INSERT INTO knows(model_id, label_id) VALUES (?, ?) ON CONFLICT DO NOTHING", [model_id, label_id])
    return Label(label_id, YOURS, name, threshold, False)


def seen_by(db: Database, label: Label) -> str | None:
    """The model over whose vectors a label of the user's own stands; None where it is none."""
    row = db.row(
        """
        SELECT m.name FROM knows k JOIN models y ON y.id = k.model_id
        JOIN models m ON y.digest = y.name || ' ' || m.digest
        WHERE k.label_id = ? AND y.name = ?
        """,
        [label.id, YOURS],
    )
    return None if row is None else row[0]


def descriptions(db: Database, model: str) -> list[tuple[Label, str]]:
    """The labels that are descriptions, each with its text."""
    rows = db.rows(
        "SELECT id, name, coalesce(threshold, card_threshold), threshold IS NOT NULL, text FROM labels "
        "WHERE model = ? AND text IS NOT NULL AND current ORDER BY id",
        [model],
    )
    return [(Label(i, model, name, threshold, bool(saved)), text) for i, name, threshold, saved, text in rows]


def put_own_scores(db: Database, space: Space, label: Label, rows: Iterable[tuple[int, float]]) -> None:
    """rows: (image id, score 0..1) of each image that has a vector. Replaces what was there. In a transaction.

    An image that went meanwhile is passed over; one that has no vector any more is unknown from now on.
    """
    (model_id,) = db.one("SELECT id FROM models WHERE digest = ? AND tiles = 0", [f"{YOURS} {space.digest}"])
    there = {image_id for (image_id,) in db.rows("SELECT image_id FROM vectors WHERE model_id = ?", [space.model_id])}
    kept = [(image_id, score) for image_id, score in rows if image_id in there]
    db.write("DELETE FROM scores WHERE label_id = ?", [label.id])
    db.write(
        "DELETE FROM scored WHERE model_id = ? AND image_id NOT IN (SELECT image_id FROM vectors WHERE model_id = ?)",
        [model_id, space.model_id],
    )
    db.write_many(
        "INSERT INTO scored(model_id, image_id, answers) VALUES (?, ?, 1) ON CONFLICT DO NOTHING",
        [(model_id, image_id) for image_id, _ in kept],
    )
    db.write_many("INSERT INTO scores(image_id, label_id, score) VALUES (?, ?, ?)", [(i, label.id, s) for i, s in kept])


def drop_label(db: Database, label: Label) -> None:
    """Forget a label that is a description, with its scores and samples; what is known of it as truth stays."""
    with db.transaction():
        db.write("DELETE FROM labels WHERE id = ?", [label.id])


def scores_of(db: Database, label: Label) -> tuple[list[int], list[float]]:
    """(image ids, scores) of all images that have a score for a label, above its model's floor."""
    rows = db.rows("SELECT image_id, score FROM scores WHERE label_id = ? ORDER BY image_id", [label.id])
    return [image_id for image_id, _ in rows], [score for _, score in rows]


def save_threshold(db: Database, label: Label, threshold: float | None) -> None:
    """From now on the label holds from this score on; None: from its card's. What was saved before is remembered."""
    with db.transaction():
        db.write(
            "INSERT INTO steps(at, label_id, threshold) SELECT ?, id, threshold FROM labels WHERE id = ?",
            [database.now(), label.id],
        )
        db.write("UPDATE labels SET threshold = ? WHERE id = ?", [threshold, label.id])


def undo_threshold(db: Database, label: Label) -> bool:
    """Go back to the threshold that held before the last one was saved -> whether there was one."""
    with db.transaction():
        last = db.row("SELECT id, threshold FROM steps WHERE label_id = ? ORDER BY id DESC LIMIT 1", [label.id])
        if last is not None:
            db.write("UPDATE labels SET threshold = ? WHERE id = ?", [last[1], label.id])
            db.write("DELETE FROM steps WHERE id = ?", [last[0]])
    return last is not None


def card_of(db: Database, model: str) -> Card:
    """The newest card of a model that has looked here. Raises StoreError."""
    row = db.row("SELECT card FROM models WHERE name = ? ORDER BY id DESC LIMIT 1", [model])
    try:
        return Card.from_json(row[0])  # type: ignore[index]
    except (ValueError, TypeError):
        raise StoreError(f"{db.path}: {database.DAMAGED}") from None


# ---- runs


def begin_run(db: Database, models: Sequence[str], provider: str) -> int:
    with db.transaction():
        return int(
            db.one(
                "INSERT INTO runs(started_at, host, pid, models, provider) VALUES (?, ?, ?, ?, ?) RETURNING id",
                [database.now(), socket.gethostname(), os.getpid(), json.dumps(list(models)), provider],
            )[0]
        )


def end_run(db: Database, run_id: int, summary: Mapping[str, Any]) -> None:
    with db.transaction():
        values = [database.now(), json.dumps(summary), run_id]
        db.write("UPDATE runs SET finished_at = ?, summary = ? WHERE id = ?", values)


def last_run(db: Database) -> dict[str, Any] | None:
    """started_at, finished_at, host, pid, models, provider, summary of the run that began last."""
    names = "started_at, finished_at, host, pid, models, provider, summary"
    row = db.row(f"SELECT {names} FROM runs ORDER BY id DESC LIMIT 1")
    if row is None:
        return None
    told = dict(zip(names.split(", "), row, strict=True))
    return {**told, "models": json.loads(told["models"]), "summary": json.loads(told["summary"] or "null")}


def is_running(run: Mapping[str, Any]) -> bool:
    """Whether a run that has not ended is at work: its process lives. On another machine, or Windows: who knows, yes.

    Only looked at: whoever tried the library's lock would hold it for a moment, and turn a run away that begins.
    """
    if run["finished_at"] is not None:
        return False
    if run["host"] != socket.gethostname() or sys.platform == "win32":
        return True
    try:
        os.kill(run["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


# ---- vectors


def space_of(db: Database, model: str) -> Space | None:
    """Of the newest file of a model that gives vectors; None where none does, or it has looked at nothing."""
    if model == YOURS:  # which has labels alone
        return None
    rows = db.rows("SELECT min(id), digest, card FROM models WHERE name = ? GROUP BY digest ORDER BY 1 DESC", [model])
    for model_id, digest, text in rows:
        try:
            card = Card.from_json(text)
        except (ValueError, TypeError):
            raise StoreError(f"{db.path}: {database.DAMAGED}") from None
        if "vectors" in card.heads:
            return Space(model_id, digest, card.space, card.dimensions)
    return None


def stamp_of(db: Database, space: Space) -> str:
    """What changes whenever a space's vectors do: how many there are, the id of the last one, and which library."""
    n, last = db.one("SELECT count(*), coalesce(max(id), 0) FROM vectors WHERE model_id = ?", [space.model_id])
    return f"{n} {last} {recall(db, 'id')}"


def vectors(db: Database, space: Space, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """(image id, float16 bytes) of each vector whose own id is larger than `after`, in the order of those ids."""
    yield from db.conn.execute(
        "SELECT image_id, vector FROM vectors WHERE model_id = ? AND id > ? ORDER BY id", [space.model_id, after]
    )


def vectors_since(db: Database, space: Space, stamp: str) -> Iterator[tuple[int, bytes]] | None:
    """Those that are new since a stamp; None where any other was changed or went since."""
    n, still, last = count_kept(db, space, stamp)
    return vectors(db, space, last) if n == still else None


def count_kept(db: Database, space: Space, stamp: str) -> tuple[int, int, int]:
    """-> (how many vectors a stamp speaks of, how many of them are still there, the id of its last one).

    None is there still where the stamp is another library's, or unreadable.
    """
    n, last, library = (*stamp.split(), "", "", "")[:3]
    if not (n.isdecimal() and last.isdecimal()) or library != recall(db, "id"):
        return 1, 0, 0
    (still,) = db.one("SELECT count(*) FROM vectors WHERE model_id = ? AND id <= ?", [space.model_id, int(last)])
    return int(n), int(still), int(last)


def vector_of(db: Database, space: Space, image_id: int) -> bytes | None:
    row = db.row("SELECT vector FROM vectors WHERE image_id = ? AND model_id = ?", [image_id, space.model_id])
    return None if row is None else row[0]


def remember(db: Database, name: str, value: str) -> None:
    """Keep a few words about the library itself."""
    db.write("INSERT INTO library VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value", [name, value])


def recall(db: Database, name: str) -> str | None:
    row = db.row("SELECT value FROM library WHERE name = ?", [name])
    return None if row is None else row[0]
