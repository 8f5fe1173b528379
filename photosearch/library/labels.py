"""Labels: those of the models, and the user's own, which are described in words or learned from marks."""

from photosearch.library import database
from photosearch.library.database import Database, Row, SqlValue
from photosearch.library.records import USER_MODEL, Label, VectorSpace

# Of a label `l`: what to_label takes.
LABEL_COLUMNS = "l.id, l.model, l.name, coalesce(l.threshold, l.card_threshold), l.threshold IS NOT NULL"


def read_labels(db: Database, model: str | None = None) -> list[Label]:
    """Every label that can be searched for, of one model or of all. The first label of a name is the one it means.

    The order decides between labels of the same name: learned labels, then those of the default model, then the others
    in the order in which they were added.
    """
    rows = db.rows(
        f"""
        SELECT {LABEL_COLUMNS} FROM labels l WHERE (? IS NULL OR l.model = ?)
            AND (l.current OR EXISTS (SELECT 1 FROM scores s INDEXED BY scores_best WHERE s.label_id = l.id))
        ORDER BY l.id IN (SELECT label_id FROM classifiers) DESC,
            l.model IS (SELECT value FROM properties WHERE name = 'default_model') DESC, l.id
        """,
        [model, model],
    )
    return [to_label(row) for row in rows]


def to_label(row: Row) -> Label:
    label_id, model, name, threshold, saved = row
    return Label(label_id, model, name, threshold, bool(saved))


def count_photos_by_label(db: Database, label_id: int | None = None) -> dict[int, int]:
    """Label id -> the number of photos on the disk whose score reaches its threshold: as many as `find` gives.

    label_id: only that label's. Images are counted, and those that no photo or several photos show are corrected for:
    looking up the photos of every score would take ten times as long.
    """
    labels = db.rows(
        """
        SELECT l.id, (SELECT count(*) FROM scores s INDEXED BY scores_best
            WHERE s.label_id = l.id AND s.score >= coalesce(l.threshold, l.card_threshold))
        FROM labels l WHERE ? IS NULL OR l.id = ?
        """,
        [label_id, label_id],
    )
    corrections = db.rows(
        """
        WITH odd AS MATERIALIZED (
            SELECT i.id AS image_id, count(p.id) AS photos FROM images i
            LEFT JOIN photos p ON p.image_id = i.id AND p.absent IS NULL GROUP BY i.id HAVING count(p.id) <> 1)
        SELECT s.label_id, sum(o.photos - 1) FROM odd o CROSS JOIN scores s ON s.image_id = o.image_id
        CROSS JOIN labels l ON l.id = s.label_id AND s.score >= coalesce(l.threshold, l.card_threshold)
        WHERE ? IS NULL OR s.label_id = ? GROUP BY s.label_id
        """,
        [label_id, label_id],
    )
    more: dict[int, int] = dict(corrections)
    return {label: n + more.get(label, 0) for label, n in labels}


def put_described_label(db: Database, space: VectorSpace, name: str, text: str, threshold: float) -> Label:
    """Store a label with its description. In a transaction. threshold: of a new label; a known one keeps its own."""
    label = put_user_label(db, space, name, threshold)
    db.write("UPDATE labels SET description = ? WHERE id = ?", [text, label.id])
    return label


def put_user_label(db: Database, space: VectorSpace, name: str, threshold: float) -> Label:
    """Store a label of the user's own; its scorer is USER_MODEL over the vectors of a space. In a transaction.

    threshold: of a new label; a known one keeps its own.
    """
    key: list[SqlValue] = [f"{USER_MODEL} {space.digest}", 0]
    db.write(
        "INSERT INTO models(name, version, digest, tiles, card, min_score) VALUES (?, '1', ?, ?, '{}', 0) "
        "ON CONFLICT(digest, tiles) DO NOTHING",
        [USER_MODEL, *key],
    )
    (model_id,) = db.one("SELECT id FROM models WHERE digest = ? AND tiles = ?", key)
    (label_id,) = db.one(
        """
        INSERT INTO labels(model, name, card_threshold) VALUES (?, ?, ?)
        ON CONFLICT(model, name) DO UPDATE SET current = 1 RETURNING id
        """,
        [USER_MODEL, name, threshold],
    )
    # Over the vectors of an older file of the model, the label is replaced.
    db.write("DELETE FROM model_labels WHERE label_id = ? AND model_id <> ?", [label_id, model_id])
    db.write("INSERT INTO model_labels(model_id, label_id) VALUES (?, ?) ON CONFLICT DO NOTHING", [model_id, label_id])
    return Label(label_id, USER_MODEL, name, threshold, False)


def find_vector_model(db: Database, label: Label) -> str | None:
    """The model whose vectors a label of the user's own is computed from; None for a model's label."""
    row = db.row(
        """
        SELECT m.name FROM model_labels k JOIN models y ON y.id = k.model_id
        JOIN models m ON y.digest = y.name || ' ' || m.digest
        WHERE k.label_id = ? AND y.name = ?
        """,
        [label.id, USER_MODEL],
    )
    return None if row is None else row[0]


def list_described_labels(db: Database, model: str) -> list[tuple[Label, str]]:
    """(label, description) of each label that has a description."""
    rows = db.rows(
        f"SELECT {LABEL_COLUMNS}, l.description FROM labels l "
        "WHERE l.model = ? AND l.description IS NOT NULL AND l.current ORDER BY l.id",
        [model],
    )
    return [(to_label(row[:-1]), row[-1]) for row in rows]


def delete_label(db: Database, label: Label) -> None:
    """Delete a label with its scores, samples and classifiers; marks of its name stay."""
    with db.transaction():
        db.write("DELETE FROM labels WHERE id = ?", [label.id])


def save_threshold(db: Database, label: Label, threshold: float | None) -> None:
    """Set the user's threshold of a label, None: use its model card's. The one before is kept for undo_threshold."""
    with db.transaction():
        db.write(
            "INSERT INTO undo_log(logged_at, label_id, previous_threshold) "
            "SELECT ?, id, threshold FROM labels WHERE id = ?",
            [database.now(), label.id],
        )
        db.write("UPDATE labels SET threshold = ? WHERE id = ?", [threshold, label.id])


def undo_threshold(db: Database, label: Label) -> bool:
    """Restore the threshold from before the last save_threshold -> whether there was one to restore."""
    with db.transaction():
        last = db.row(
            "SELECT id, previous_threshold FROM undo_log WHERE label_id = ? ORDER BY id DESC LIMIT 1", [label.id]
        )
        if last is not None:
            db.write("UPDATE labels SET threshold = ? WHERE id = ?", [last[1], label.id])
            db.write("DELETE FROM undo_log WHERE id = ?", [last[0]])
    return last is not None
