"""Labels of the user's own that were learned from marks: the heads on stored vectors, the marks, and the way back.

A label of `yours` may be a description before it is learned, and is one again once that is undone. One that was learned
comes before every model's label of the same name.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from photosearch.library import database
from photosearch.library.database import Database
from photosearch.library.labels import find_vector_model, put_user_label, read_labels
from photosearch.library.models import list_models
from photosearch.library.records import USER_MODEL, Label, VectorSpace
from photosearch.library.vectors import find_space, read_stamp


@dataclass(frozen=True, slots=True)
class StoredClassifier:
    """weights: float32, as many as a vector has. base_id: the label whose scores it corrects. told: its figures."""

    label: Label
    digest: str
    base_id: int | None
    weights: bytes
    bias: float
    told: Mapping[str, Any]


_LAST = "h.id = (SELECT max(o.id) FROM classifiers o WHERE o.label_id = h.label_id)"


def put_classifier(
    db: Database, name: str, space: VectorSpace, base: Label | None, weights: bytes, bias: float, threshold: float,
    told: Mapping[str, Any], taught: Iterable[tuple[int, bool, float]],
) -> Label:  # fmt: skip
    """Let a label of yours be a head from now on, over the vectors of a space -> the label. In a transaction.

    taught: (image id, present, score of a head that had not seen it) of each mark. A threshold that was saved belongs
    to what was there before, and goes with it.
    """
    label = put_user_label(db, space, name, threshold)
    (saved,) = db.one("SELECT threshold FROM labels WHERE id = ?", [label.id])
    values = [label.id, space.digest, base and base.id, weights, bias, threshold, saved, json.dumps(told)]
    (head_id,) = db.one(
        """
        INSERT INTO classifiers(
            label_id, digest, base_id, weights, bias, threshold, previous_threshold, metrics, learned_at
        ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
        """,
        [*values, database.now()],
    )
    rows = [(head_id, image_id, int(present), score) for image_id, present, score in taught]
    db.write_many("INSERT INTO training_marks(classifier_id, image_id, present, score) VALUES (?, ?, ?, ?)", rows)
    db.write("UPDATE labels SET threshold = NULL, card_threshold = ? WHERE id = ?", [threshold, label.id])
    db.write("DELETE FROM undo_log WHERE label_id = ?", [label.id])  # thresholds of other scores
    return Label(label.id, USER_MODEL, name, threshold, False)


def read_user_labels_state(db: Database) -> str:
    """What the scores of your own labels hang on: which there are, vectors, what models looked at; "" without any."""
    own = read_labels(db, USER_MODEL)
    if not own:
        return ""
    seen = sorted({model for label in own if (model := find_vector_model(db, label)) is not None})
    spaces = [space for model in seen if (space := find_space(db, model)) is not None]
    looked = [[m["digest"], m["tiles"], m["images"]] for m in list_models(db) if m["name"] in seen]
    stamps = [[space.digest, read_stamp(db, space)] for space in spaces]
    return json.dumps([[label.id for label in own], stamps, looked])


def list_classifiers(db: Database) -> list[StoredClassifier]:
    """The head of each label that was learned: the last one."""
    rows = db.rows(
        f"""
        SELECT l.id, l.name, coalesce(l.threshold, l.card_threshold), l.threshold IS NOT NULL, h.digest, h.base_id,
               h.weights, h.bias, h.metrics
        FROM classifiers h JOIN labels l ON l.id = h.label_id WHERE {_LAST} ORDER BY l.id
        """
    )
    return [
        StoredClassifier(
            Label(i, USER_MODEL, name, threshold, bool(saved)), digest, base, weights, bias, json.loads(told)
        )
        for i, name, threshold, saved, digest, base, weights, bias, told in rows
    ]


def find_classifier(db: Database, label: Label) -> StoredClassifier | None:
    return next((head for head in list_classifiers(db) if head.label.id == label.id), None)


def read_training_marks(db: Database, label: Label) -> dict[int, tuple[bool, float]]:
    """image id -> (present, score) of the marks a label learned from; the scores are by heads without that mark."""
    rows = db.rows(
        f"SELECT t.image_id, t.present, t.score FROM classifiers h JOIN training_marks t ON t.classifier_id = h.id "
        f"WHERE h.label_id = ? AND {_LAST}",
        [label.id],
    )
    return {image_id: (bool(present), score) for image_id, present, score in rows}


def delete_last_classifier(db: Database, label: Label) -> bool:
    """Take a label's last head away -> whether another is the last now. In a transaction.

    Without any, a label that was a description is one again, with its threshold; any other is gone. The scores are
    still the head's: whoever calls sees to them.
    """
    head_id, saved = db.one(
        "SELECT id, previous_threshold FROM classifiers WHERE label_id = ? ORDER BY id DESC LIMIT 1", [label.id]
    )
    db.write("DELETE FROM classifiers WHERE id = ?", [head_id])
    db.write("DELETE FROM undo_log WHERE label_id = ?", [label.id])
    db.write("UPDATE labels SET threshold = ? WHERE id = ?", [saved, label.id])
    before = db.row("SELECT threshold FROM classifiers WHERE label_id = ? ORDER BY id DESC LIMIT 1", [label.id])
    if before is not None:
        db.write("UPDATE labels SET card_threshold = ? WHERE id = ?", [before[0], label.id])
        return True
    db.write("DELETE FROM labels WHERE id = ? AND description IS NULL", [label.id])
    return False
