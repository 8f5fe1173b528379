"""Labels made from descriptions: each photo's similarity is stored as a score of the label.

So such a label can be sampled, judged and reported on like any other, and the user's own photos decide its threshold.
It belongs to the model `yours`. A score is (similarity + 1) / 2, which ranks and is not a probability. New photos get
theirs at the end of each index run.
"""

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
from photosearch.search.label_names import check_label_name, fold_name
from photosearch.search.similar import Floats, SimilaritySearch, Term


def add_label(db: Database, search: SimilaritySearch, name: str, text: str) -> Label:
    """Make a label of a description. Its threshold is the similarity cut-off, until a report chooses a better one.

    Raises InputError where the name is taken or unusable, or the text is empty.
    """
    name, text = check_label_name(name), " ".join(text.split())
    taken = next((label for label in read_labels(db) if fold_name(label.name) == fold_name(name)), None)
    if taken is not None:
        raise InputError(f"{taken.name} is a label of {taken.model} already; give another name")
    unit = search.combine([Term(1.0, text=text)])
    threshold = to_score(search.estimate_threshold(unit))
    with db.transaction():
        label = put_described_label(db, search.space, name, text, threshold)
        _put_scores(db, search, label, unit)
    return label


def remove_label(db: Database, name: str) -> None:
    """Delete a label of the user's own. Raises QueryError where none has this name; a synonym must not delete one."""
    for label in read_labels(db, USER_MODEL):
        if fold_name(label.name) == fold_name(name):
            return delete_label(db, label)
    known = ", ".join(label.name for label in read_labels(db, USER_MODEL)) or "none"
    raise QueryError(f"no label of your own is called {name!r}; known are {known}")


def update_described(db: Database, open_search: Callable[[str], SimilaritySearch]) -> bool:
    """Score all photos by all descriptions again, each with the model that it was made with -> whether all could be.

    Labels that were learned since are skipped. open_search: opens the search over a model's vectors. Where the model's
    files are missing, the stored scores stay.
    """
    by_model: dict[str, list[tuple[Label, str]]] = defaultdict(list)
    learned = {classifier.label.id for classifier in classifiers.list_classifiers(db)}
    for label, text in list_described_labels(db, USER_MODEL):
        if label.id not in learned and (model := find_vector_model(db, label)) is not None:
            by_model[model].append((label, text))
    complete = True
    for model, labels in by_model.items():
        try:
            with open_search(model) as search:
                units = search.embed_texts([text for _, text in labels])
                with db.transaction():
                    for (label, text), unit in zip(labels, units, strict=True):
                        put_described_label(db, search.space, label.name, text, label.threshold)
                        _put_scores(db, search, label, unit)
        except (ModelError, QueryError):
            complete = False
    return complete


def to_score(similarity: float) -> float:
    """-1..1 -> 0..1."""
    return min(1.0, max(0.0, (similarity + 1) / 2))


def _put_scores(db: Database, search: SimilaritySearch, label: Label, unit: Floats) -> None:
    ids = search.map.ids
    similarities = search.map.similarity(ids, unit)
    rows = [(int(i), to_score(float(s))) for i, s in zip(ids, similarities, strict=True)]
    put_user_scores(db, search.space, label, rows)
