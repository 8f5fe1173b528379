"""Which photos to judge next: those whose answers teach most.

- near: the scores nearest to the label's threshold, where the model is least sure: uncertainty sampling (Lewis and
  Gale, "A sequential algorithm for training text classifiers", SIGIR 1994).
- disagree: two models with this label contradict each other, both far from their thresholds first (Seung, Opper and
  Sompolinsky, "Query by committee", COLT 1992).
- sample: the photos of the label's last sample that are not judged yet.

Only a sample's report holds for the whole library: photos near a threshold are the hard ones, and precision on them is
too low. The report on a sample weights its own photos and ignores the others.
"""

from dataclasses import dataclass
from typing import Literal

from photosearch.errors import InputError
from photosearch.library import marks
from photosearch.library.database import Database
from photosearch.library.records import Label
from photosearch.search.labels import find_label, list_labels

KINDS = ("near", "disagree", "sample")
MAX_ITEMS = 500

Kind = Literal["near", "disagree", "sample"]


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """An image to judge. score: of the label. other: of the same label of another model, where two disagree."""

    image_id: int
    score: float
    other: float | None = None


@dataclass(frozen=True, slots=True)
class ReviewQueue:
    """items: in the order to judge them. other: the model that disagrees. unjudged: the number left in the sample."""

    label: Label
    kind: Kind
    items: tuple[ReviewItem, ...]
    other: str | None = None
    unjudged: int | None = None


def build_queue(db: Database, name: str, kind: Kind, *, n: int = 60, model: str | None = None) -> ReviewQueue:
    """Up to n photos, MAX_ITEMS at most, that are not judged. Raises QueryError, InputError."""
    if kind not in KINDS:
        raise InputError(f"{kind}: no such queue; there are {', '.join(KINDS)}")
    label, n = find_label(db, name, model), min(n, MAX_ITEMS)
    if kind == "near":
        return ReviewQueue(label, kind, tuple(ReviewItem(*row) for row in marks.list_nearest_unjudged(db, label, n)))
    if kind == "disagree":
        other = next((x for x in list_labels(db) if x.name == label.name and x.model != label.model), None)
        rows = () if other is None else marks.list_disagreeing(db, label, other, n)
        return ReviewQueue(label, kind, tuple(ReviewItem(*row) for row in rows), None if other is None else other.model)
    sample = marks.find_sample(db, label)
    if sample is None:
        return ReviewQueue(label, kind, ())
    unjudged = [p for p in sample.photos if p.present is None and p.path is not None]
    items = [ReviewItem(p.image_id, p.score) for p in unjudged if p.score is not None]
    return ReviewQueue(label, kind, tuple(items[:n]), unjudged=len(items))
