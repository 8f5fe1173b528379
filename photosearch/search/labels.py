"""The labels of a library: list them, find one by a word, describe one."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from photosearch.errors import InputError, QueryError
from photosearch.library import classifiers, marks
from photosearch.library.database import Database
from photosearch.library.labels import list_described_labels, read_labels
from photosearch.library.models import list_models, read_stored_card
from photosearch.library.records import Label
from photosearch.search import hierarchy
from photosearch.search.label_names import match_label, resolve_label
from photosearch.search.scope import choose_model


@dataclass(frozen=True, slots=True)
class LabelDetails:
    """What is known of a label.

    rests_on: what its threshold was chosen on: a number of validation images, or words; None where nobody says. text:
    the description that it stands for. learned: the report of learning it. measured: rows of its model's card. above,
    below: the labels right above and below it. synonyms: other words for it.
    """

    label: Label
    rests_on: int | str | None = None
    text: str | None = None
    learned: Mapping[str, object] | None = None
    measured: tuple[Mapping[str, Any], ...] = ()
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            **self.label.to_json(), "rests_on": self.rests_on, "text": self.text, "learned": self.learned,
            "measured": [dict(row) for row in self.measured], "above": list(self.above), "below": list(self.below),
            "synonyms": list(self.synonyms),
        }  # fmt: skip


def list_labels(db: Database, model: str | None = None) -> list[Label]:
    """Every label that can be asked for, those of the default model first; model: only that model's labels.

    model: a name, or a model's file. Raises InputError where it has not indexed any photos here.
    """
    if model is None:
        return list(db.recall(read_labels))
    name = choose_model(db, model)
    if name not in (known := sorted({m.name for m in list_models(db)})):
        available = ", ".join(known) or "none"
        raise InputError(f"{model} has not indexed any photos in this library; available models: {available}")
    return list(db.recall(read_labels, name))


def find_label(db: Database, word: str, model: str | None = None) -> Label:
    """The label that a word means: the given model's, else the default model's, else another's.

    Raises QueryError, which suggests the nearest labels; InputError where the model has not indexed any photos here.
    """
    labels = list_labels(db, model)
    known = match_label(word, (label.name for label in labels))
    if known is None and (marked := match_label(word, marks.list_marked_labels(db))) is not None:
        raise QueryError(f"{marked} is marked, and not learned yet: photosearch learn {shlex.quote(marked)}")
    return pick_label(word, labels)


def pick_label(word: str, labels: Sequence[Label]) -> Label:
    """The one of these labels that a word means; of several with that name, the first. Raises QueryError."""
    by_name = index_labels(labels)
    return by_name[resolve_label(word, by_name)]


def index_labels(labels: Iterable[Label]) -> dict[str, Label]:
    """Name -> label; of several with one name, the first."""
    by_name: dict[str, Label] = {}
    for label in labels:
        by_name.setdefault(label.name, label)
    return by_name


def get_label(db: Database, name: str, model: str | None = None) -> Label | None:
    """The label of exactly this name, the default model's first; None without one. model: only that model's."""
    return index_labels(read_labels(db, model)).get(name)


def list_known_names(db: Database) -> list[str]:
    """The names of all labels, and of those that photos were marked with and no model knows."""
    return list(dict.fromkeys([*(label.name for label in read_labels(db)), *marks.list_marked_labels(db)]))


def describe_label(db: Database, word: str, model: str | None = None) -> LabelDetails:
    """What is known of the label that a word means. Raises QueryError, InputError."""
    label = find_label(db, word, model)
    known = {other.name for other in read_labels(db, label.model)}
    details = LabelDetails(
        label,
        above=tuple(hierarchy.list_above(label.name, known)),
        below=tuple(hierarchy.list_below(label.name, known)),
        synonyms=tuple(other for other, name in hierarchy.read_synonyms().items() if name == label.name),
        text={other.name: text for other, text in list_described_labels(db, label.model)}.get(label.name),
    )
    if (learned := classifiers.find_classifier(db, label)) is not None:
        return replace(details, rests_on=str(learned.metrics["rests_on"]), learned=learned.metrics)
    if details.text is not None:
        return details
    card = read_stored_card(db, label.model)
    rests_on = "your own choice" if label.saved else card.thresholds_rest_on.get(label.name)
    return replace(details, rests_on=rests_on, measured=tuple(x for x in card.measured if x.get("label") == label.name))
