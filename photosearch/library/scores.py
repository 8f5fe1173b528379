"""The scores that models gave images.

Scorers of one model name share its labels. For each image one of them is active, and its scores are in `scores`; those
of the others are in `inactive_scores`. Models of other names are independent of each other.
"""

from collections.abc import Iterable, Mapping, Sequence

from photosearch.library.database import Database
from photosearch.library.records import USER_MODEL, Label, VectorSpace


def find_scored(db: Database, content_hash: bytes, model_ids: Sequence[int]) -> set[int]:
    """Which of these scorers have scored the image with this hash. May be called from any thread."""
    ids = ", ".join(map(str, map(int, model_ids)))
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
    """Store a scorer's output for an image, and make it the active one of its model. In a transaction.

    scores: label -> 0..1, those from the scorer's min_score on. vector: float16, of unit length. What an older file of
    the model gave is deleted; what the same file gave with other tiles becomes inactive.
    """
    _replace_older(db, image_id, model_id)
    db.write("INSERT INTO scored(model_id, image_id, active) VALUES (?, ?, 1)", [model_id, image_id])
    rows = sorted((label_ids[label], float(score)) for label, score in scores.items())
    db.write_many("INSERT INTO scores(image_id, label_id, score) VALUES (?, ?, ?)", [(image_id, *r) for r in rows])
    if vector is not None:  # replaces what the same file gave with other tiles, under a new id
        db.write(
            """
            INSERT OR REPLACE INTO vectors(model_id, image_id, vector)
            VALUES ((SELECT min(b.id) FROM models a JOIN models b ON b.digest = a.digest WHERE a.id = ?), ?, ?)
            """,
            [model_id, image_id, vector],
        )


def find_inactive(db: Database, image_id: int, model_ids: Sequence[int]) -> list[int]:
    """Which of these scorers have scored an image but are not active for it."""
    ids = ", ".join(map(str, map(int, model_ids)))
    rows = db.rows(f"SELECT model_id FROM scored WHERE model_id IN ({ids}) AND image_id = ? AND NOT active", [image_id])
    return [model_id for (model_id,) in rows]


def activate(db: Database, image_id: int, model_id: int) -> None:
    """Make an inactive scorer the active one of its model for an image. In a transaction."""
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
    """Deactivate what the model gave an image before; delete what this very scorer or an older file gave."""
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
    for other, outdated in others:
        if outdated:
            db.write("DELETE FROM inactive_scores WHERE image_id = ? AND model_id = ?", [image_id, other])
            db.write("DELETE FROM scored WHERE model_id = ? AND image_id = ?", [other, image_id])
            same_file = "SELECT b.id FROM models a JOIN models b ON b.digest = a.digest WHERE a.id = ?"
            db.write(f"DELETE FROM vectors WHERE image_id = ? AND model_id IN ({same_file})", [image_id, other])


def _deactivate(db: Database, image_id: int, model_id: int) -> None:
    """Make whichever scorer of this one's model is active for an image inactive."""
    row = db.row(
        """
        SELECT k.model_id, m.name FROM models a CROSS JOIN models m ON m.name = a.name
        CROSS JOIN scored k ON k.model_id = m.id AND k.image_id = ? AND k.active WHERE a.id = ?
        """,
        [image_id, model_id],
    )
    if row is None:
        return
    active, name = row
    of_model = "image_id = ? AND label_id IN (SELECT id FROM labels WHERE model = ?)"
    db.write(
        f"""
        INSERT OR REPLACE INTO inactive_scores(image_id, model_id, label_id, score)
        SELECT image_id, ?, label_id, score FROM scores WHERE {of_model}
        """,
        [active, image_id, name],
    )
    db.write(f"DELETE FROM scores WHERE {of_model}", [image_id, name])
    db.write("UPDATE scored SET active = 0 WHERE model_id = ? AND image_id = ?", [active, image_id])


def put_user_scores(db: Database, space: VectorSpace, label: Label, rows: Iterable[tuple[int, float]]) -> None:
    """Replace the scores of a label of the user's own. In a transaction. rows: (image id, score 0..1).

    An image that has no vector in the space any more is skipped, and not scored from now on.
    """
    (model_id,) = db.one("SELECT id FROM models WHERE digest = ? AND tiles = 0", [f"{USER_MODEL} {space.digest}"])
    known = {image_id for (image_id,) in db.rows("SELECT image_id FROM vectors WHERE model_id = ?", [space.model_id])}
    kept = [(image_id, score) for image_id, score in rows if image_id in known]
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
    """(image ids, scores) of all images that have a stored score for a label."""
    rows = db.rows("SELECT image_id, score FROM scores WHERE label_id = ? ORDER BY image_id", [label.id])
    return [image_id for image_id, _ in rows], [score for _, score in rows]
