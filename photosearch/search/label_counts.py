"""How many photos of a library show each label: stored at the end of a run, for menus and completion.

Counting all labels of a million photos takes seconds, reading what is stored a millisecond. A count is stored with the
threshold and the classifier that it holds for, and is made again where these are others.
"""

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from photosearch.errors import StoreError
from photosearch.library import classifiers
from photosearch.library.database import Database
from photosearch.library.labels import count_photos_by_label, read_labels
from photosearch.library.models import list_models
from photosearch.library.photos import read_counts
from photosearch.library.records import USER_MODEL, Label
from photosearch.library.runs import read_value, write_value
from photosearch.search.hierarchy import list_ancestors
from photosearch.search.lexicon import read_lexicon

KEY = "label counts"  # the name of a value in the library
EVERYDAY = 20  # occurrences in captions, from which on a name is an everyday one


@dataclass(frozen=True, slots=True)
class LabelCount:
    """A label, and the number of photos here that have it. everyday: whether people describe photographs with it."""

    label: Label
    photos: int
    everyday: bool

    def to_json(self) -> dict[str, object]:
        return {**self.label.to_json(), "photos": self.photos, "everyday": self.everyday}


def list_label_counts(db: Database, labels: Sequence[Label], *, exact: bool = True) -> list[LabelCount]:
    """Labels with their counts: everyday names first, the user's own among them, then by photos.

    exact: count again where photos have changed since; else as at the end of the last run.
    """
    counts, lexicon = count_labels(db, labels, exact=exact), read_lexicon()
    rows = [
        LabelCount(x, counts[x.id], x.model == USER_MODEL or lexicon.count_name(x.name) >= EVERYDAY) for x in labels
    ]
    return sorted(rows, key=lambda row: (not row.everyday, -row.photos, row.label.name.casefold()))


def suggest_labels(counts: Sequence[LabelCount], n: int) -> list[LabelCount]:
    """The first n everyday labels with photos, in this order, none of them above or below another.

    Where one below shows at least half of its photos, that says more: dog instead of animal.
    """
    rows = [row for row in counts if row.everyday and row.photos]
    photos = {row.label.name: row.photos for row in rows}
    vague = {
        above for row in rows for above in list_ancestors(row.label.name) if photos.get(above, 0) <= 2 * row.photos
    }
    chosen: list[LabelCount] = []
    for row in rows:
        if row.label.name not in vague and len(chosen) < n and not any(_is_kin(row, other) for other in chosen):
            chosen.append(row)
    return chosen


def _is_kin(one: LabelCount, other: LabelCount) -> bool:
    a, b = one.label.name, other.label.name
    return a in {b, *list_ancestors(b)} or b in list_ancestors(a)


def rank_labels(db: Database, labels: Sequence[Label]) -> Callable[[str], tuple[float, ...]]:
    """The order in which labels complete a word: by how many photos have them, then by how common their names are."""
    counts, count_name = count_labels(db, labels, exact=False), read_lexicon().count_name
    photos = {label.name: counts[label.id] for label in reversed(labels)}
    return lambda name: (-photos.get(name, 0), -count_name(name))


def count_labels(db: Database, labels: Sequence[Label], *, exact: bool = True) -> dict[int, int]:
    """Label id -> the number of photos. exact: as for list_label_counts; a library that has none stored gives zeros."""
    stamp = _read_stamp(db)
    stored_stamp, stored = _read_stored(db)
    if exact and stored_stamp != stamp:
        stored = {}
    elif not exact and not stored:
        return dict.fromkeys((label.id for label in labels), 0)
    versions = classifiers.list_versions(db)
    keys = {label.id: [label.threshold, versions.get(label.id, 0)] for label in labels}
    missing = [label for label in labels if stored.get(str(label.id), [])[:2] != keys[label.id]]
    if missing:
        photos = count_photos_by_label(db, missing[0].id if len(missing) == 1 else None)
        new = {str(label.id): [*keys[label.id], photos[label.id]] for label in missing}
        stored = {**stored, **new}
        _store(db, stamp if exact else stored_stamp, stored)
    return {label.id: int(stored[str(label.id)][2]) for label in labels}


def update_label_counts(db: Database) -> None:
    """Count again what has changed: at the end of a run."""
    count_labels(db, read_labels(db))


def _read_stamp(db: Database) -> list[object]:
    """What changes whenever photos or scores of models come or go."""
    photos = list(read_counts(db).to_json().values())[:-1]  # without the marks
    return [photos, [[m.name, m.digest, m.tiles, m.images] for m in list_models(db) if m.name != USER_MODEL]]


def _read_stored(db: Database) -> tuple[object, Mapping[str, list[float]]]:
    """(the stamp, label id -> [threshold, classifier, photos]) as stored; a damaged value counts as none."""
    try:
        stored = json.loads(read_value(db, KEY) or "null")
        counts = {label: [float(row[0]), int(row[1]), int(row[2])] for label, row in stored["counts"].items()}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
        return None, {}
    return stored.get("stamp"), counts


def _store(db: Database, stamp: object, counts: Mapping[str, list[float]]) -> None:
    if os.access(db.path, os.W_OK):
        # A full or read-only disk, or a run that writes just now: counted again next time.
        with contextlib.suppress(StoreError), db.transaction(wait=False):
            write_value(db, KEY, json.dumps({"stamp": stamp, "counts": counts}))
