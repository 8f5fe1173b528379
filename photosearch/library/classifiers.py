"""Classifiers: linear functions of stored vectors, learned from the user's marks. Each belongs to a label of their own.

A label's last classifier is the one in use; the earlier ones are kept for undo. A label may also have a description,
which scores it again once its last classifier is deleted.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from photosearch.library import database
from photosearch.library.database import Database
from photosearch.library.labels import LABEL_COLUMNS, find_vector_model, put_user_label, read_labels, to_label
from photosearch.library.models import list_models
from photosearch.library.records import USER_MODEL, Label, VectorSpace
from photosearch.library.vectors import find_space, read_stamp

Metrics = Mapping[str, object]  # JSON, as learning/ writes and reads it


@dataclass(frozen=True, slots=True)
class StoredClassifier:
    """digest: of the model file whose vectors it takes. base_id: the label whose scores it corrects, if any.

    weights: float32, one for each dimension. metrics: how good it is, and on which marks.
    """

    label: Label
    digest: str
    base_id: int | None
    weights: bytes
    bias: float
    metrics: Metrics


_IN_USE = "c.id = (SELECT max(o.id) FROM classifiers o WHERE o.label_id = c.label_id)"


def put_classifier(
    db: Database, name: str, space: VectorSpace, base: Label | None, weights: bytes, bias: float, threshold: float,
    metrics: Metrics, training_marks: Iterable[tuple[int, bool, float]],
) -> Label:  # fmt: skip
    """Store a classifier and use it for the label of this name. In a transaction.

    training_marks: (image id, present, score of a classifier that was trained without that mark). A saved threshold is
    of the scores before, so it is reset.
    """
    label = put_user_label(db, space, name, threshold)
    (saved,) = db.one("SELECT threshold FROM labels WHERE id = ?", [label.id])
    values = [label.id, space.digest, base and base.id, weights, bias, threshold, saved, json.dumps(metrics)]
    (classifier_id,) = db.one(
        """
        INSERT INTO classifiers(
            label_id, digest, base_id, weights, bias, threshold, previous_threshold, metrics, learned_at
        ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
        """,
        [*values, database.now()],
    )
    db.write_many(
        "INSERT INTO training_marks(classifier_id, image_id, present, score) VALUES (?, ?, ?, ?)",
        [(classifier_id, image_id, int(present), score) for image_id, present, score in training_marks],
    )
    db.write("UPDATE labels SET threshold = NULL, card_threshold = ? WHERE id = ?", [threshold, label.id])
    db.write("DELETE FROM undo_log WHERE label_id = ?", [label.id])  # thresholds of other scores
    return Label(label.id, USER_MODEL, name, threshold, False)


def read_user_labels_state(db: Database) -> str:
    """A text that changes whenever the scores of the user's labels must be computed again; "" where there are none."""
    own = read_labels(db, USER_MODEL)
    if not own:
        return ""
    models = sorted({model for label in own if (model := find_vector_model(db, label)) is not None})
    spaces = [space for model in models if (space := find_space(db, model)) is not None]
    scored = [[m.digest, m.tiles, m.images] for m in list_models(db) if m.name in models]
    stamps = [[space.digest, read_stamp(db, space)] for space in spaces]
    # A classifier that was taken back, or put, before its scores were written: by a kill, or a full disk.
    return json.dumps([[label.id for label in own], stamps, scored, list(list_versions(db).values())])


def list_classifiers(db: Database) -> list[StoredClassifier]:
    """The classifier in use of each learned label."""
    rows = db.rows(
        f"""
        SELECT c.digest, c.base_id, c.weights, c.bias, c.metrics, {LABEL_COLUMNS}
        FROM classifiers c JOIN labels l ON l.id = c.label_id WHERE {_IN_USE} ORDER BY l.id
        """
    )
    return [
        StoredClassifier(to_label(tuple(label)), digest, base_id, weights, bias, json.loads(metrics))
        for digest, base_id, weights, bias, metrics, *label in rows
    ]


def list_versions(db: Database) -> dict[int, int]:
    """The id of each learned label -> the id of its classifier in use."""
    return dict(db.rows("SELECT label_id, max(id) FROM classifiers GROUP BY label_id"))


def find_classifier(db: Database, label: Label) -> StoredClassifier | None:
    return next((classifier for classifier in list_classifiers(db) if classifier.label.id == label.id), None)


def read_training_marks(db: Database, label: Label) -> dict[int, tuple[bool, float]]:
    """image id -> (present, score of a classifier trained without that mark), of the classifier in use."""
    rows = db.rows(
        f"SELECT t.image_id, t.present, t.score FROM classifiers c JOIN training_marks t ON t.classifier_id = c.id "
        f"WHERE c.label_id = ? AND {_IN_USE}",
        [label.id],
    )
    return {image_id: (bool(present), score) for image_id, present, score in rows}


def delete_last_classifier(db: Database, label: Label) -> bool:
    """Delete a label's classifier in use -> whether an earlier one is in use now. In a transaction.

    Without an earlier one, a described label gets its threshold back, and any other label is deleted. The caller must
    compute the label's scores again.
    """
    last = "FROM classifiers WHERE label_id = ? ORDER BY id DESC LIMIT 1"
    classifier_id, saved = db.one(f"SELECT id, previous_threshold {last}", [label.id])
    db.write("DELETE FROM classifiers WHERE id = ?", [classifier_id])
    db.write("DELETE FROM undo_log WHERE label_id = ?", [label.id])
    db.write("UPDATE labels SET threshold = ? WHERE id = ?", [saved, label.id])
    earlier = db.row(f"SELECT threshold {last}", [label.id])
    if earlier is not None:
        db.write("UPDATE labels SET card_threshold = ? WHERE id = ?", [earlier[0], label.id])
        return True
    db.write("DELETE FROM labels WHERE id = ? AND description IS NULL", [label.id])
    return False
