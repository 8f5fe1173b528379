"""The user's marks (whether a photo shows a label), their undo log, and samples of photos to mark."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from photosearch.library import database
from photosearch.library.database import Database, SqlValue, join
from photosearch.library.folders import match_folder
from photosearch.library.records import Label, VectorSpace
from photosearch.library.undo import OF_MARKS, add_step, drop_old_steps


@dataclass(frozen=True, slots=True)
class Mark:
    """Whether the user says that a photo shows a label.

    score: of the label that was asked for: 0.0 where it is below the model's min_score, None where the photo was not
    scored.
    """

    path: str
    label: str
    present: bool
    score: float | None
    image_id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SamplePhoto:
    """A photo of a sample. number: on the contact sheet, from 1. path: None where the photo has left the library.

    score: today's, of the label that was asked for; else the one it was drawn with, None where that is another label's.
    population: the size of its stratum when it was drawn. present: None where it is not marked.
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
    """Photos drawn to estimate how good a label is, in random order: it gives away neither score nor folder."""

    id: int
    threshold: float
    seed: int
    drawn_at: str
    photos: tuple[SamplePhoto, ...]


# An image's score for the label `l`: the stored one, else 0.0 where an active scorer gives that label, else NULL.
_SCORE = """
    coalesce((SELECT s.score FROM scores s WHERE s.image_id = {image} AND s.label_id = l.id),
             (SELECT 0.0 FROM model_labels n CROSS JOIN scored k
              ON k.model_id = n.model_id AND k.active AND k.image_id = {image}
              WHERE n.label_id = l.id))
"""


def put_marks(db: Database, rows: Iterable[tuple[str, int, bool]]) -> int:
    """Store (label, image id, present), all or none, over earlier marks -> the id of the undo step."""
    kept, at = list(rows), database.now()
    with db.transaction():
        step = _log_undo(db, ((label, image_id) for label, image_id, _ in kept))
        db.write_many(
            """
            INSERT INTO marks(label, image_id, present, marked_at) VALUES (?, ?, ?, ?)
            ON CONFLICT(label, image_id) DO UPDATE SET present = excluded.present, marked_at = excluded.marked_at
            """,
            ((label, image_id, int(present), at) for label, image_id, present in kept),
        )
    return step


def _log_undo(db: Database, keys: Iterable[tuple[str, int]]) -> int:
    """Store the marks of these (label, image id) as they are now -> the step's id. In a transaction."""
    undo_id = add_step(db)
    db.write_many(
        """
        INSERT OR IGNORE INTO undo_marks(undo_id, label, image_id, present)
        SELECT ?, ?, i.id, (SELECT present FROM marks t WHERE t.label = ? AND t.image_id = i.id)
        FROM images i WHERE i.id = ?
        """,
        ((undo_id, label, label, image_id) for label, image_id in keys),
    )
    drop_old_steps(db, OF_MARKS)
    return undo_id


def count_undo_steps(db: Database) -> int:
    """The number of steps that undo_marks can take back, MAX_UNDO_STEPS at most."""
    return int(db.one(f"SELECT count(*) FROM undo_log WHERE {OF_MARKS}")[0])


def is_overwritten(db: Database, step: int) -> bool:
    """Whether a later step has changed a mark of this one, so that to undo it would lose the later mark."""
    later = """
        SELECT 1 FROM undo_marks m
        JOIN undo_marks n ON n.label = m.label AND n.image_id = m.image_id AND n.undo_id > m.undo_id WHERE m.undo_id = ?
    """
    return db.row(later, [step]) is not None


def undo_marks(db: Database, step: int | None = None) -> list[tuple[str, int, bool | None]]:
    """Undo a step of marks -> (label, image id, the restored mark, None where there was none) of each.

    step: its id, None: the last one. None is undone where there is no such step.
    """
    with db.transaction():
        last = db.row(f"SELECT max(id) FROM undo_log WHERE {OF_MARKS} AND id = coalesce(?, id)", [step])
        if last is None or last[0] is None:
            return []
        before = db.rows(
            "SELECT label, image_id, present FROM undo_marks WHERE undo_id = ? ORDER BY label, image_id", last
        )
        db.write_many("DELETE FROM marks WHERE label = ? AND image_id = ?", [row[:2] for row in before])
        restored = [(*row, database.now()) for row in before if row[2] is not None]
        db.write_many("INSERT INTO marks(label, image_id, present, marked_at) VALUES (?, ?, ?, ?)", restored)
        db.write("DELETE FROM undo_log WHERE id = ?", last)
    return [(label, image_id, None if present is None else bool(present)) for label, image_id, present in before]


def read_marks(db: Database, label: str, image_ids: Sequence[int]) -> dict[int, bool]:
    """image id -> whether it is marked as showing the label, of those images that are marked."""
    rows = db.rows(
        "SELECT t.image_id, t.present FROM json_each(?) c CROSS JOIN marks t ON t.label = ? AND t.image_id = c.value",
        [json.dumps(list(image_ids)), label],
    )
    return {image_id: bool(present) for image_id, present in rows}


def list_marks(
    db: Database, label: str | None = None, *, scored: Label | None = None, under: str | None = None
) -> list[Mark]:
    """The marks, one for each photo and label, of photos that are on the disk.

    label: only of this label. scored: the label whose scores are given. under: only photos below this folder.
    """
    values: list[SqlValue] = [scored.id if scored else None]
    where = [] if label is None else ["t.label = ?"]
    values += [] if label is None else [label]
    if under is not None:
        inside, more = match_folder(db, under)
        where.append(inside)
        values += more
    sql = f"""
        SELECT r.path, f.path, p.name, t.label, t.present, {_SCORE.format(image="t.image_id")}, t.image_id
        FROM marks t JOIN photos p ON p.image_id = t.image_id AND p.absent IS NULL
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id LEFT JOIN labels l ON l.id = ?
        {"WHERE " + " AND ".join(where) if where else ""} ORDER BY t.label, p.id
    """
    return [Mark(join(r, f, n), lab, bool(yes), score, i) for r, f, n, lab, yes, score, i in db.rows(sql, values)]


def count_learnable(db: Database, label: str, space: VectorSpace) -> tuple[int, int]:
    """(positive, negative): the marked images with a vector in a space that a photo on the disk shows."""
    rows = db.rows(
        """
        SELECT t.present, count(*) FROM marks t WHERE t.label = ?
            AND EXISTS (SELECT 1 FROM vectors v WHERE v.image_id = t.image_id AND v.model_id = ?)
            AND EXISTS (SELECT 1 FROM photos p WHERE p.image_id = t.image_id AND p.absent IS NULL)
        GROUP BY t.present
        """,
        [label, space.model_id],
    )
    counts: dict[int, int] = dict(rows)
    return counts.get(1, 0), counts.get(0, 0)


def list_marked_labels(db: Database) -> list[str]:
    """The names of all labels that have marks."""
    return [label for (label,) in db.rows("SELECT DISTINCT label FROM marks ORDER BY label")]


def delete_marks(db: Database, rows: Sequence[tuple[str, int]]) -> tuple[int, int]:
    """Delete the marks of these (label, image id) -> (how many there were, the id of the undo step)."""
    with db.transaction():
        step = _log_undo(db, rows)
        (before,) = db.one("SELECT count(*) FROM marks")
        db.write_many("DELETE FROM marks WHERE label = ? AND image_id = ?", rows)
        (after,) = db.one("SELECT count(*) FROM marks")
    return int(before - after), step


def list_samples(db: Database, label: Label) -> list[int]:
    """The numbers of the samples drawn for a label; for a learned label, those drawn for any label of its name."""
    return [i for (i,) in db.rows(f"SELECT s.id {_SAMPLES} ORDER BY s.id", [label.name, label.id, label.id])]


_SAMPLES = """
    FROM labels x JOIN samples s ON s.label_id = x.id
    WHERE x.name = ? AND (x.id = ? OR EXISTS (SELECT 1 FROM classifiers c WHERE c.label_id = ?))
"""


def list_scored_images(db: Database, label: Label) -> list[tuple[int, float]]:
    """(image id, score) of every scored image that a photo on the disk shows; 0.0 below the model's min_score."""
    rows = db.rows(
        """
        SELECT k.image_id, coalesce(s.score, 0.0)
        FROM model_labels n CROSS JOIN scored k ON k.model_id = n.model_id AND k.active
        LEFT JOIN scores s ON s.image_id = k.image_id AND s.label_id = n.label_id
        WHERE n.label_id = ? AND EXISTS (SELECT 1 FROM photos p WHERE p.image_id = k.image_id AND p.absent IS NULL)
        ORDER BY k.image_id
        """,
        [label.id],
    )
    return [(image_id, score) for image_id, score in rows]


def list_nearest_unjudged(db: Database, label: Label, n: int) -> list[tuple[int, float]]:
    """(image id, score) of the n unmarked images whose scores are nearest to a label's threshold."""
    half = """
        SELECT s.image_id, s.score FROM scores s INDEXED BY scores_best
        WHERE s.label_id = ? AND s.score {} ? AND EXISTS (
            SELECT 1 FROM photos p WHERE p.image_id = s.image_id AND p.absent IS NULL)
        AND NOT EXISTS (SELECT 1 FROM marks t WHERE t.label = ? AND t.image_id = s.image_id)
        ORDER BY s.score {} LIMIT ?
    """
    values: list[SqlValue] = [label.id, label.threshold, label.name, n]
    both = [row for way in ((">=", "ASC"), ("<", "DESC")) for row in db.rows(half.format(*way), values)]
    return sorted(both, key=lambda row: (abs(row[1] - label.threshold), row[0]))[:n]


def list_disagreeing(db: Database, label: Label, other: Label, n: int) -> list[tuple[int, float, float]]:
    """(image id, score, the other label's score) of unmarked images that exactly one of two models' labels finds.

    Those farthest from both thresholds come first. Images that only one of the models has scored are left out.
    """
    sides = """
        SELECT s.image_id, {scores} FROM scores s INDEXED BY scores_best
        LEFT JOIN scores o ON o.image_id = s.image_id AND o.label_id = :no
        WHERE s.label_id = :yes AND s.score >= :from AND coalesce(o.score, 0.0) < :below
        AND EXISTS (SELECT 1 FROM photos p WHERE p.image_id = s.image_id AND p.absent IS NULL)
        AND EXISTS (SELECT 1 FROM model_labels w JOIN scored k ON k.model_id = w.model_id AND k.image_id = s.image_id
                    AND k.active WHERE w.label_id = :no)
        AND NOT EXISTS (SELECT 1 FROM marks t WHERE t.label = :name AND t.image_id = s.image_id)
        ORDER BY min(s.score - :from, :below - coalesce(o.score, 0.0)) DESC, s.image_id LIMIT :n
    """
    found = []
    for yes, no, scores in ((label, other, "s.score, coalesce(o.score, 0.0)"),
                            (other, label, "coalesce(o.score, 0.0), s.score")):  # fmt: skip
        values: dict[str, SqlValue] = {
            "yes": yes.id,
            "no": no.id,
            "from": yes.threshold,
            "below": no.threshold,
            "name": label.name,
            "n": n,
        }
        found += db.rows(sides.format(scores=scores), values)

    def margin(row: tuple[int, float, float]) -> float:
        return min(abs(row[1] - label.threshold), abs(row[2] - other.threshold))

    return sorted(found, key=lambda row: (-margin(row), row[0]))[:n]


def put_sample(
    db: Database, label: Label, threshold: float, seed: int, drawn: Iterable[tuple[int, float, int, int]]
) -> Sample:
    """Store a sample. drawn: (image id, score, stratum, population of the stratum), in the order of their numbers."""
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
    sample = find_sample(db, label)
    assert sample is not None
    return sample


def delete_sample(db: Database, sample_id: int) -> None:
    db.write("DELETE FROM samples WHERE id = ?", [sample_id])


def find_sample(db: Database, label: Label, number: int | None = None) -> Sample | None:
    """A label's sample with today's scores and marks. number: as list_samples gives it, None: the last one.

    A learned label's sample may have been drawn for another label of its name; the scores given are this label's.
    """
    row = db.row(
        f"SELECT s.id, s.threshold, s.seed, s.drawn_at {_SAMPLES} AND s.id = coalesce(?, s.id) "
        "ORDER BY s.id DESC LIMIT 1",
        [label.name, label.id, label.id, number],
    )
    if row is None:
        return None
    sample_id, threshold, seed, drawn_at = row
    rows = db.rows(
        f"""
        SELECT d.number, d.image_id, r.path, f.path, p.name,
               coalesce({_SCORE.format(image="d.image_id")}, iif(s.label_id = l.id, d.score, NULL)),
               d.stratum, d.population, t.present
        FROM sample_photos d JOIN samples s ON s.id = d.sample_id JOIN labels l ON l.id = ?
        LEFT JOIN photos p ON p.id = (
            SELECT min(q.id) FROM photos q WHERE q.image_id = d.image_id AND q.absent IS NULL)
        LEFT JOIN folders f ON f.id = p.folder_id LEFT JOIN roots r ON r.id = f.root_id
        LEFT JOIN marks t ON t.image_id = d.image_id AND t.label = ?
        WHERE d.sample_id = ? ORDER BY d.number
        """,
        [label.id, label.name, sample_id],
    )
    photos = tuple(
        SamplePhoto(
            number, image_id, None if r is None else join(r, f, n), score, stratum, size,
            None if yes is None else bool(yes),
        )
        for number, image_id, r, f, n, score, stratum, size, yes in rows
    )  # fmt: skip
    return Sample(sample_id, threshold, seed, drawn_at, photos)
