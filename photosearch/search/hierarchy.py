"""What a word means: which label it names, what lies above and below a label.

Both tables were made by `python -m train vocabulary` from WordNet 3.0 (https://wordnet.princeton.edu; its licence
stands beside them) and ImageNet's 1,000 classes: labels.csv has a label, its WordNet id, its class in ImageNet where it
is one, and the labels right above it; synonyms.csv has a word and the label that it names, plurals among them.
"""

import csv
import functools
from collections.abc import Container, Iterable
from pathlib import Path

HERE = Path(__file__).parent


@functools.cache
def read_parents() -> dict[str, tuple[str, ...]]:
    """Each label -> the labels right above it."""
    with (HERE / "labels.csv").open(encoding="utf-8", newline="") as file:
        return {row["label"]: tuple(filter(None, row["parents"].split(";"))) for row in csv.DictReader(file)}


@functools.cache
def read_synonyms() -> dict[str, str]:
    """Each word that names a label and is not its name, in lower case -> the label."""
    with (HERE / "synonyms.csv").open(encoding="utf-8", newline="") as file:
        return {row["word"].casefold(): row["label"] for row in csv.DictReader(file)}


def find_label(word: str, known: Iterable[str]) -> str | None:
    """The label that is meant: by its name, letter case aside, or by a synonym; an article may stand before it."""
    names = {name: name for name in known}
    folded = {name.casefold(): name for name in reversed(list(names))}
    for text in _spellings(word):
        if text in names:
            return text
        if (label := folded.get(text.casefold())) is not None:
            return label
        synonym = read_synonyms().get(text.casefold())
        if synonym in names:
            return synonym
    return None


def _spellings(word: str) -> Iterable[str]:
    yield word
    first, _, rest = word.partition(" ")
    if first.casefold() in ("a", "an", "the", "some") and rest:
        yield rest


def list_below(label: str, known: Container[str]) -> list[str]:
    """The labels right below one, of those that are known, in the table's order."""
    return [name for name, above in read_parents().items() if label in above and name in known]


def list_above(label: str, known: Container[str]) -> list[str]:
    return [name for name in read_parents().get(label, ()) if name in known]
