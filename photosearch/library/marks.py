"""What the user knows: truth, the steps in which it was said, and the samples that were drawn to judge by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from photosearch.library import database
from photosearch.library.database import Database, join
from photosearch.library.folders import below_folder
from photosearch.library.records import Label


@dataclass(frozen=True, slots=True)
class Mark:
    """What the user knows of one photo.

    score: by the label that was asked about: 0.0 where it lies below the model's floor, None where the model has not
    looked at it.
    """

    path: str
    label: str
    present: bool
    score: float | None
    image_id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SamplePhoto:
    """One photo that was drawn. number: on its sheet. path: None where it has left the library since.

    score: as it is now; None where the label that is asked about knows nothing of it, and another's sample drew it.
    population: how many photos its stratum held when it was drawn. present: None: not judged.
    """

    number: int
    image_id: int
    path: str | None
    score: float | None
    stratum: int
    population: int
    present: bool | None


@dataclass(frozen=True, slots=True)
class Sample:
    """Photos drawn to judge a label by, in the drawn order: it tells nothing of their scores, nor of their folders."""

    id: int
    threshold: float
    seed: int
    drawn_at: str
    photos: tuple[SamplePhoto, ...]


MAX_UNDO_STEPS = 100  # of marks, that can be taken back

# An image's score for a label: what is stored, else 0.0 where its model has looked, else NULL.
_SCORE = """
    coalesce((SELECT s.score FROM scores s WHERE s.image_id = {image} AND s.label_id = l.id),
             (SELECT 0.0 FROM knows n CROSS JOIN scored k
              ON k.model_id = n.model_id AND k.answers AND k.image_id = {image}
              WHERE n.label_id = l.id))
"""


def put_marks(db: Database, rows: Iterable[tuple[str, int, bool]]) -> None:
    """rows: (label, image id, present). All or none; what was known before is replaced, and comes back by an undo."""
    kept = list(rows)
    with db.transaction():
        _log_undo(db, [(label, image_id) for label, image_id, _ in kept])
        db.write_many(
            """
            INSERT INTO truth(label, image_id, present, at) VALUES (?, ?, ?, ?)
            ON CONFLICT(label, image_id) DO UPDATE SET present = excluded.present, at = excluded.at
            """,
            [(label, image_id, int(present), database.now()) for label, image_id, present in kept],
        )


def _log_undo(db: Database, keys: Sequence[tuple[str, int]]) -> None:
    """Remember what is known of these (label, image id), for an undo. In a transaction."""
    (step_id,) = db.one("INSERT INTO steps(at) VALUES (?) RETURNING id", [database.now()])
    db.write_many(
        """
        INSERT OR IGNORE INTO step_marks(step_id, label, image_id, present)
        SELECT ?, ?, i.id, (SELECT present FROM truth t WHERE t.label = ? AND t.image_id = i.id)
        FROM images i WHERE i.id = ?
        """,
        [(step_id, label, label, image_id) for label, image_id in keys],
    )
    db.write(
        "DELETE FROM steps WHERE id <= (SELECT id FROM steps WHERE label_id IS NULL ORDER BY id DESC LIMIT 1 OFFSET ?) "
        "AND label_id IS NULL",
        [MAX_UNDO_STEPS],
    )


def count_undo_steps(db: Database) -> int:
    """The number of steps that undo_marks can take back, MAX_UNDO_STEPS at most."""
    return int(db.one("SELECT count(*) FROM steps WHERE label_id IS NULL")[0])


def undo_marks(db: Database) -> list[tuple[str, int, bool | None]]:
    """Take the last step of marks back -> (label, image id, what is known of it again, or None), each."""
    with db.transaction():
        last = db.row("SELECT max(id) FROM steps WHERE label_id IS NULL")
        if last is None or last[0] is None:
            return []
        before = db.rows(
            "SELECT label, image_id, present FROM step_marks WHERE step_id = ? ORDER BY label, image_id", last
        )
        db.write_many("DELETE FROM truth WHERE label = ? AND image_id = ?", [row[:2] for row in before])
        known = [(*row, database.now()) for row in before if row[2] is not None]
        db.write_many("INSERT INTO truth(label, image_id, present, at) VALUES (?, ?, ?, ?)", known)
        db.write("DELETE FROM steps WHERE id = ?", last)
    return [(label, image_id, None if present is None else bool(present)) for label, image_id, present in before]


def list_marks(
    db: Database, label: str | None = None, *, scored: Label | None = None, under: str | None = None
) -> list[Mark]:
    """What the user knows, a row for each photo and label; with the score that the label `scored` has for it."""
    values: list[Any] = [scored.id if scored else None]
    where = [] if label is None else ["t.label = ?"]
    values += [] if label is None else [label]
    if under is not None:
        inside, more = below_folder(db, under)
        where.append(inside)
        values += more
    sql = f"""
        SELECT r.path, f.path, p.name, t.label, t.present, {_SCORE.format(image="t.image_id")}, t.image_id
        FROM truth t JOIN photos p ON p.image_id = t.image_id AND p.gone IS NULL
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id LEFT JOIN labels l ON l.id = ?
        {"WHERE " + " AND ".join(where) if where else ""} ORDER BY t.label, p.id
    """
    return [Mark(join(r, f, n), lab, bool(yes), score, i) for r, f, n, lab, yes, score, i in db.rows(sql, values)]


def list_marked_labels(db: Database) -> list[str]:
    """The labels of which anything is known."""
    return [label for (label,) in db.rows("SELECT DISTINCT label FROM truth ORDER BY label")]


def delete_marks(db: Database, rows: Sequence[tuple[str, int]]) -> int:
    """rows: (label, image id) -> how many marks there were."""
    with db.transaction():
        _log_undo(db, rows)
        (before,) = db.one("SELECT count(*) FROM truth")
        db.write_many("DELETE FROM truth WHERE label = ? AND image_id = ?", rows)
        (after,) = db.one("SELECT count(*) FROM truth")
    return int(before - after)


def list_samples(db: Database, label: Label) -> list[int]:
    """The numbers of the samples that were drawn for a label; for one that was learned, by whichever model's scores."""
    return [i for (i,) in db.rows(f"SELECT s.id {_ITS_SAMPLES} ORDER BY s.id", [label.name, label.id, label.id])]


_ITS_SAMPLES = """
    FROM labels x JOIN samples s ON s.label_id = x.id
    WHERE x.name = ? AND (x.id = ? OR EXISTS (SELECT 1 FROM heads h WHERE h.label_id = ?))
"""


def list_scored_images(db: Database, label: Label) -> list[tuple[int, float]]:
    """(image id, score) of every image that the label's model has looked at and that a photo in the library shows."""
    rows = db.rows(
        """
        SELECT k.image_id, coalesce(s.score, 0.0)
        FROM knows n CROSS JOIN scored k ON k.model_id = n.model_id AND k.answers
        LEFT JOIN scores s ON s.image_id = k.image_id AND s.label_id = n.label_id
        WHERE n.label_id = ? AND EXISTS (SELECT 1 FROM photos p WHERE p.image_id = k.image_id AND p.gone IS NULL)
        ORDER BY k.image_id
        """,
        [label.id],
    )
    return [(image_id, score) for image_id, score in rows]


def list_nearest_unjudged(db: Database, label: Label, n: int) -> list[tuple[int, float]]:
    """(image id, score) of the n images whose scores are nearest to a label's threshold and that nobody has judged."""
    half = """
        SELECT s.image_id, s.score FROM scores s INDEXED BY scores_best
        WHERE s.label_id = ? AND s.score {} ? AND EXISTS (
            SELECT 1 FROM photos p WHERE p.image_id = s.image_id AND p.gone IS NULL)
        AND NOT EXISTS (SELECT 1 FROM truth t WHERE t.label = ? AND t.image_id = s.image_id)
        ORDER BY s.score {} LIMIT ?
    """
    values = [label.id, label.threshold, label.name, n]
    both = [row for way in ((">=", "ASC"), ("<", "DESC")) for row in db.rows(half.format(*way), values)]
    return sorted(both, key=lambda row: (abs(row[1] - label.threshold), row[0]))[:n]


def list_disagreeing(db: Database, label: Label, other: Label, n: int) -> list[tuple[int, float, float]]:
    """(image id, score, the other's score) of images that one label finds and the other, of another model, doesn't.

    Those that both are surest of come first. Both models have looked, and nobody has judged.
    """
    sides = """
        SELECT s.image_id, {scores} FROM scores s INDEXED BY scores_best
        LEFT JOIN scores o ON o.image_id = s.image_id AND o.label_id = :no
        WHERE s.label_id = :yes AND s.score >= :from AND coalesce(o.score, 0.0) < :below
        AND EXISTS (SELECT 1 FROM photos p WHERE p.image_id = s.image_id AND p.gone IS NULL)
        AND EXISTS (SELECT 1 FROM knows w JOIN scored k ON k.model_id = w.model_id AND k.image_id = s.image_id
                    AND k.answers WHERE w.label_id = :no)
        AND NOT EXISTS (SELECT 1 FROM truth t WHERE t.label = :name AND t.image_id = s.image_id)
        ORDER BY min(s.score - :from, :below - coalesce(o.score, 0.0)) DESC, s.image_id LIMIT :n
    """
    found = []
    for yes, no, scores in ((label, other, "s.score, coalesce(o.score, 0.0)"),
                            (other, label, "coalesce(o.score, 0.0), s.score")):  # fmt: skip
        values = {"yes": yes.id, "no": no.id, "from": yes.threshold, "below": no.threshold, "name": label.name, "n": n}
        found += db.rows(sides.format(scores=scores), values)

    def doubt(row: tuple[int, float, float]) -> float:
        return -min(abs(row[1] - label.threshold), abs(row[2] - other.threshold))

    return sorted(found, key=lambda row: (doubt(row), row[0]))[:n]


def put_sample(
    db: Database, label: Label, threshold: float, seed: int, drawn: Iterable[tuple[int, float, int, int]]
) -> Sample:
    """drawn: (image id, score, stratum, population of the stratum), in the order in which they are shown."""
    with db.transaction():
        (sample_id,) = db.one(
            "INSERT INTO samples(label_id, threshold, seed, drawn_at) VALUES (?, ?, ?, ?) RETURNING id",
            [label.id, threshold, seed, database.now()],
        )
        db.write_many(
            "INSERT INTO sample_photos(sample_id, image_id, score, stratum, population, number) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [(sample_id, image, float(x), int(s), int(n), i) for i, (image, x, s, n) in enumerate(drawn, 1)],
        )
    kept = find_sample(db, label)
    assert kept is not None
    return kept


def find_sample(db: Database, label: Label, number: int | None = None) -> Sample | None:
    """A label's sample, None: the one that was drawn last, with what the user has judged of it since.

    Of a label that was learned it may have been drawn by another's scores: those that are given are this label's.
    """
    head = db.row(
        f"SELECT s.id, s.threshold, s.seed, s.drawn_at {_ITS_SAMPLES} AND s.id = coalesce(?, s.id) "
        "ORDER BY s.id DESC LIMIT 1",
        [label.name, label.id, label.id, number],
    )
    if head is None:
        return None
    rows = db.rows(
        f"""
        SELECT d.number, d.image_id, r.path, f.path, p.name,
               coalesce({_SCORE.format(image="d.image_id")}, iif(s.label_id = l.id, d.score, NULL)),
               d.stratum, d.population, t.present
        FROM sample_photos d JOIN samples s ON s.id = d.sample_id JOIN labels l ON l.id = ?
        LEFT JOIN photos p ON p.id = (
            SELECT min(q.id) FROM photos q WHERE q.image_id = d.image_id AND q.gone IS NULL)
        LEFT JOIN folders f ON f.id = p.folder_id LEFT JOIN roots r ON r.id = f.root_id
        LEFT JOIN truth t ON t.image_id = d.image_id AND t.label = ?
        WHERE d.sample_id = ? ORDER BY d.number
        """,
        [label.id, label.name, head[0]],
    )
    photos = tuple(
        SamplePhoto(
            number, image_id, None if r is None else join(r, f, n), score, stratum, size,
            None if yes is None else bool(yes),
        )
        for number, image_id, r, f, n, score, stratum, size, yes in rows
    )  # fmt: skip
    sample_id, threshold, seed, drawn_at = head
    return Sample(sample_id, threshold, seed, drawn_at, photos)
