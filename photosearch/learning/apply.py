"""Learned classifiers applied to a whole library: margins and scores of all images, and the scores of other labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from photosearch.learning import logistic
from photosearch.learning.logistic import Classifier, Floats
from photosearch.library import classifiers
from photosearch.library.classifiers import StoredClassifier
from photosearch.library.database import Database
from photosearch.library.labels import read_labels
from photosearch.library.models import find_scorers
from photosearch.library.records import Label, VectorSpace
from photosearch.library.scores import put_user_scores, read_scores
from photosearch.models.session import logit
from photosearch.search.vectors import Ids, VectorMap

MAX_MARGINS = 1 << 24  # held at a time: 128 MiB


def compute_margins(vectors: VectorMap, parts: Sequence[Classifier]) -> Floats:
    """The margins [C, N] of all images by several classifiers, in one pass."""
    products = vectors.products(np.stack([part.weights for part in parts])).astype(np.float64)
    margins: Floats = products + np.array([[part.bias] for part in parts])
    return margins


def put_scores(db: Database, space: VectorSpace, vectors: VectorMap, label_ids: Sequence[int]) -> None:
    """Store the scores of all images by the learned labels with these ids. In a transaction."""
    chosen = [stored for stored in classifiers.list_classifiers(db) if stored.label.id in set(label_ids)]
    labels = {label.id: label for label in read_labels(db)}
    step = max(1, MAX_MARGINS // max(1, len(vectors)))
    for first in range(0, len(chosen), step):
        some = chosen[first : first + step]
        for stored, margins in zip(some, compute_margins(vectors, [_load(c) for c in some]), strict=True):
            if stored.base_id is not None:
                margins = margins + logit(read_image_scores(db, labels[stored.base_id], vectors.ids))
            scores = zip(vectors.ids.tolist(), logistic.sigmoid(margins).tolist(), strict=True)
            put_user_scores(db, space, stored.label, scores)


def read_image_scores(db: Database, label: Label, image_ids: Ids) -> Floats:
    """A label's stored scores of these images [n]; half the smallest score that its model stores for the others."""
    min_score = max(find_scorers(db, label).values(), default=0.0)
    stored_ids, scores = read_scores(db, label)
    found = np.full(len(image_ids), min_score / 2)
    order = np.argsort(image_ids)
    places = np.minimum(np.searchsorted(image_ids, stored_ids, sorter=order), len(image_ids) - 1)
    rows = order[places]
    same = image_ids[rows] == np.array(stored_ids, np.int64)
    found[rows[same]] = np.array(scores)[same]
    return found


def read_unseen_scores(db: Database, label: Label, image_ids: Sequence[int]) -> Floats:
    """A label's scores of these images [n]; for those it was trained on, by classifiers that had not seen them."""
    scores = read_image_scores(db, label, np.array(image_ids, np.int64))
    training = classifiers.read_training_marks(db, label)
    return np.array([training[i][1] if i in training else score for i, score in zip(image_ids, scores, strict=True)])


def count_found(db: Database, label: Label) -> int:
    """The number of images that a label finds."""
    return sum(score >= label.threshold for score in read_scores(db, label)[1])


def find_rows(image_ids: Ids, wanted: Sequence[int]) -> npt.NDArray[np.intp]:
    """The places of the wanted ids, all of which are among image_ids."""
    order = np.argsort(image_ids)
    rows: npt.NDArray[np.intp] = order[np.searchsorted(image_ids, wanted, sorter=order)]
    return rows


def _load(stored: StoredClassifier) -> Classifier:
    return Classifier(np.frombuffer(stored.weights, "<f4").astype(np.float64), stored.bias)
