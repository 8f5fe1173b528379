"""The label hierarchy and the synonyms: which labels lie right above and below one, and which words name one.

`python -m train vocabulary` made both tables from WordNet 3.0 (https://wordnet.princeton.edu; its licence lies
beside them) and ImageNet's 1,000 classes. labels.csv: a label, its WordNet id, its ImageNet class if it is one, the
labels right above it. synonyms.csv: a word, plurals included, and the label that it names.
"""

import csv
import functools
from collections.abc import Container
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


def list_below(label: str, known: Container[str]) -> list[str]:
    """The known labels right below one, in the order of the table."""
    return [name for name, above in read_parents().items() if label in above and name in known]


def list_above(label: str, known: Container[str]) -> list[str]:
    """The known labels right above one."""
    return [name for name in read_parents().get(label, ()) if name in known]


def list_ancestors(label: str) -> set[str]:
    """All labels above one, near and far."""
    found: set[str] = set()
    todo = list(read_parents().get(label, ()))
    while todo:
        if (name := todo.pop()) not in found:
            found.add(name)
            todo += read_parents().get(name, ())
    return found
