"""What scorers gave for each image.

Scorers of one model's name share their labels: for each image one of them is active, the others keep their scores in
inactive_scores. Scores of models with other names are independent.
"""

from collections.abc import Iterable, Mapping, Sequence

from photosearch.library.database import Database
from photosearch.library.records import USER_MODEL, Label, VectorSpace


def find_scored(db: Database, content_hash: bytes, readings: Sequence[int]) -> set[int]:
    """Which of these readings have looked at a photo with these bytes. May be called from any thread."""
    ids = ", ".join(map(str, map(int, readings)))
    rows = db.read(
        f"SELECT k.model_id FROM images i CROSS JOIN scored k ON k.image_id = i.id AND k.model_id IN ({ids}) "
        "WHERE i.hash = ?",
        [content_hash],
    )
    return {model_id for (model_id,) in rows}


def put_prediction(
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
    _replace_older(db, image_id, model_id)
    db.write("INSERT INTO scored(model_id, image_id, active) VALUES (?, ?, 1)", [model_id, image_id])
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


def find_inactive(db: Database, image_id: int, readings: Sequence[int]) -> list[int]:
    """Those of the readings that have looked at an image and wait while another answers for it."""
    ids = ", ".join(map(str, map(int, readings)))
    rows = db.rows(f"SELECT model_id FROM scored WHERE model_id IN ({ids}) AND image_id = ? AND NOT active", [image_id])
    return [model_id for (model_id,) in rows]


def activate(db: Database, image_id: int, model_id: int) -> None:
    """A reading that waits aside answers for an image again. In a transaction."""
    _deactivate(db, image_id, model_id)
    db.write("UPDATE scored SET active = 1 WHERE model_id = ? AND image_id = ?", [model_id, image_id])
    key = [image_id, model_id]
    db.write(
        """
        INSERT INTO scores(image_id, label_id, score)
        SELECT image_id, label_id, score FROM inactive_scores WHERE image_id = ? AND model_id = ?
        """,
        key,
    )
    db.write("DELETE FROM inactive_scores WHERE image_id = ? AND model_id = ?", key)


def _replace_older(db: Database, image_id: int, model_id: int) -> None:
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
    _deactivate(db, image_id, model_id)
    for other, goes in others:
        if goes:
            db.write("DELETE FROM inactive_scores WHERE image_id = ? AND model_id = ?", [image_id, other])
            db.write("DELETE FROM scored WHERE model_id = ? AND image_id = ?", [other, image_id])
            its = "SELECT b.id FROM models a JOIN models b ON b.digest = a.digest WHERE a.id = ?"
            db.write(f"DELETE FROM vectors WHERE image_id = ? AND model_id IN ({its})", [image_id, other])


def _deactivate(db: Database, image_id: int, model_id: int) -> None:
    """Whichever reading by a model of this one's name answers for an image waits aside from now on."""
    row = db.row(
        """
        SELECT k.model_id, m.name FROM models a CROSS JOIN models m ON m.name = a.name
        CROSS JOIN scored k ON k.model_id = m.id AND k.image_id = ? AND k.active WHERE a.id = ?
        """,
        [image_id, model_id],
    )
    if row is None:
        return
    answers, name = row
    of_its = "image_id = ? AND label_id IN (SELECT id FROM labels WHERE model = ?)"
    db.write(
        f"""
        INSERT OR REPLACE INTO inactive_scores(image_id, model_id, label_id, score)
        SELECT image_id, ?, label_id, score FROM scores WHERE {of_its}
        """,
        [answers, image_id, name],
    )
    db.write(f"DELETE FROM scores WHERE {of_its}", [image_id, name])
    db.write("UPDATE scored SET active = 0 WHERE model_id = ? AND image_id = ?", [answers, image_id])


def put_user_scores(db: Database, space: VectorSpace, label: Label, rows: Iterable[tuple[int, float]]) -> None:
    """rows: (image id, score 0..1) of each image that has a vector. Replaces what was there. In a transaction.

    An image that went meanwhile is passed over; one that has no vector any more is unknown from now on.
    """
    (model_id,) = db.one("SELECT id FROM models WHERE digest = ? AND tiles = 0", [f"{USER_MODEL} {space.digest}"])
    there = {image_id for (image_id,) in db.rows("SELECT image_id FROM vectors WHERE model_id = ?", [space.model_id])}
    kept = [(image_id, score) for image_id, score in rows if image_id in there]
    db.write("DELETE FROM scores WHERE label_id = ?", [label.id])
    db.write(
        "DELETE FROM scored WHERE model_id = ? AND image_id NOT IN (SELECT image_id FROM vectors WHERE model_id = ?)",
        [model_id, space.model_id],
    )
    db.write_many(
        "INSERT INTO scored(model_id, image_id, active) VALUES (?, ?, 1) ON CONFLICT DO NOTHING",
        [(model_id, image_id) for image_id, _ in kept],
    )
    db.write_many("INSERT INTO scores(image_id, label_id, score) VALUES (?, ?, ?)", [(i, label.id, s) for i, s in kept])


def read_scores(db: Database, label: Label) -> tuple[list[int], list[float]]:
    """(image ids, scores) of all images that have a score for a label, above its model's floor."""
    rows = db.rows("SELECT image_id, score FROM scores WHERE label_id = ? ORDER BY image_id", [label.id])
    return [image_id for image_id, _ in rows], [score for _, score in rows]
