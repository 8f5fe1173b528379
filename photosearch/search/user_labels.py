"""A description as a label: its similarity to each photo is kept as a score, so that it can be sampled, judged and
reported on like any other, and has a threshold that the user's own photos decided.

Such labels belong to the model `yours`. A score is (similarity + 1) / 2: it ranks, and is no probability. New photos
get theirs at the end of each index run.
"""

import math
from collections import defaultdict
from collections.abc import Callable

from photosearch.errors import InputError, ModelError, QueryError
from photosearch.library import classifiers
from photosearch.library.database import Database
from photosearch.library.labels import (
    delete_label,
    find_vector_model,
    list_described_labels,
    put_described_label,
    read_labels,
)
from photosearch.library.records import USER_MODEL, Label
from photosearch.library.scores import put_user_scores
from photosearch.search.similar import Floats, SimilaritySearch, Term

MAX_TEXT = 100  # characters of a name


def add_label(db: Database, likeness: SimilaritySearch, name: str, text: str) -> Label:
    """Make a description a label. Its threshold is what is similar enough here, until a report chooses a better one.

    Raises InputError where there is such a label already, or the name or text is no text.
    """
    name, text = check_name(name), " ".join(text.split())
    taken = next((label for label in read_labels(db) if label.name.casefold() == name.casefold()), None)
    if taken is not None:
        raise InputError(f"{taken.name} is a label of {taken.model} already; give another name")
    unit = likeness.combine([Term(1.0, text=text)])
    meaning = likeness.learn(unit)
    # Similar enough is what exceeds the least, and a label holds from its threshold on.
    least = to_score(meaning.best) if meaning.least is None else min(1.0, math.nextafter(to_score(meaning.least), 2.0))
    with db.transaction():
        label = put_described_label(db, likeness.space, name, text, least)
        _put(db, likeness, label, unit)
    return label


def check_name(name: str) -> str:
    """A name that a label of one's own may have, blanks tidied. Raises InputError."""
    name = " ".join(name.split())
    if not name or not name.isprintable() or len(name) > MAX_TEXT:
        raise InputError(f"{name!r} can't be a label's name: give it up to {MAX_TEXT} printable characters")
    return name


def remove_label(db: Database, name: str) -> None:
    """Raises QueryError where no label of the user's own has this name."""
    for label in read_labels(db, USER_MODEL):
        if label.name.casefold() == name.casefold():
            return delete_label(db, label)
    known = ", ".join(label.name for label in read_labels(db, USER_MODEL)) or "none"
    raise QueryError(f"no label of your own is called {name!r}; known are {known}")


def update_described(db: Database, open_likeness: Callable[[str], SimilaritySearch]) -> bool:
    """Score every photo by every description again, each over the vectors of the model that it was made with.

    Those that were learned since are passed over. open_likeness: a model's name -> how its vectors are asked. Where its
    files are gone, what is known stays, and False is returned.
    """
    by_model: dict[str, list[tuple[Label, str]]] = defaultdict(list)
    learned = {head.label.id for head in classifiers.list_classifiers(db)}
    for label, text in list_described_labels(db, USER_MODEL):
        if label.id not in learned and (model := find_vector_model(db, label)) is not None:
            by_model[model].append((label, text))
    whole = True
    for model, known in by_model.items():
        try:
            with open_likeness(model) as likeness:
                units = likeness.read_texts([text for _, text in known])
                with db.transaction():
                    for (label, text), unit in zip(known, units, strict=True):
                        put_described_label(db, likeness.space, label.name, text, label.threshold)
                        _put(db, likeness, label, unit)
        except (ModelError, QueryError):
            whole = False
    return whole


def to_score(similarity: float) -> float:
    """-1..1 -> 0..1."""
    return min(1.0, max(0.0, (similarity + 1) / 2))


def _put(db: Database, likeness: SimilaritySearch, label: Label, unit: Floats) -> None:
    ids = likeness.map.ids
    similarities = likeness.map.similarity(ids, unit)
    rows = [(int(i), to_score(float(s))) for i, s in zip(ids, similarities, strict=True)]
    put_user_scores(db, likeness.space, label, rows)
