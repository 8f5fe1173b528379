"""The sight model's labels of a data set's pictures: 1 present, 0 absent, -1 unknown.

In a set with one class per picture (Caltech-101, CUB, Tiny ImageNet) the class and its hypernyms are present. Unknown
are its hyponyms (a picture of `bird` may be an ostrich) and whatever may be in the background of any photograph
(clothes, houses, trees). All others are absent. In Flickr8k a label is present if at least two of a photograph's five
captions name it or a hyponym, else absent: people seldom mention a chair, so precision by captions is a lower bound.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.recipes.features import Example
from train.recipes.vocabulary import REVIEWED, Label, list_classes, read_table, read_words

MIN_CAPTIONS = 2  # that name a label
MAX_WORDS = 4  # of a label in a caption
Truth = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Tables:
    """labels.csv and synonyms.csv as lookup tables.

    above: label -> itself and all its hypernyms. words: word -> label. in_captions: the same without words that usually
    mean something else in captions: the colour, the verb, a tank top. wnids: WordNet id -> label. caltech: class of
    Caltech-101 -> the closest label, None if there is none, so that all but the background is absent. background:
    labels that are often in the background of other things or part of them, and all taught ones: people, scenes.
    """

    labels: tuple[str, ...]
    above: Mapping[str, frozenset[str]]
    words: Mapping[str, str]
    in_captions: Mapping[str, str]
    wnids: Mapping[str, str]
    caltech: Mapping[str, str | None]
    background: frozenset[str]


def make_tables(rows: Sequence[Label], synonyms: Mapping[str, str]) -> Tables:
    parents = {r.name: r.parents for r in rows}
    above: dict[str, frozenset[str]] = {}

    def climb(name: str) -> frozenset[str]:
        if name not in above:
            above[name] = frozenset({name}).union(*(climb(p) for p in parents[name]))
        return above[name]

    for name in parents:
        climb(name)
    words = {**synonyms, **{name: name for name in parents}}
    excluded = read_words("not_in_captions.txt")
    in_captions = {w: label for w, label in words.items() if w not in excluded}
    wnids = {r.wnid: r.name for r in rows if r.index is not None}
    caltech = {r["class"]: r["label"] or None for r in read_table(REVIEWED / "caltech101.csv")}
    taught = {name for name, classes in list_classes(rows).items() if not classes}
    return Tables(tuple(parents), above, words, in_captions, wnids, caltech, read_words("background.txt") | taught)


def label_examples(examples: Sequence[Example], tables: Tables) -> Truth:
    """int8 [N, L] of 1, 0, -1."""
    column = {name: i for i, name in enumerate(tables.labels)}
    truth = np.zeros((len(examples), len(tables.labels)), np.int8)
    by_class: dict[str, Truth] = {}
    for row, example in enumerate(examples):
        if example.captions:
            truth[row, [column[name] for name in find_agreed(example.captions, tables)]] = 1
            continue
        if example.class_name not in by_class:
            by_class[example.class_name] = _label_class(find_label(example.class_name, tables), tables)
        truth[row] = by_class[example.class_name]
    return truth


def find_label(class_name: str, tables: Tables) -> str | None:
    """A set's own class name -> a label or None. Raises KeyError for an unknown class."""
    if class_name in tables.wnids:
        return tables.wnids[class_name]
    if class_name in tables.caltech:
        return tables.caltech[class_name]
    return tables.words[class_name.lower().replace("_", " ")]


def find_agreed(captions: Iterable[str], tables: Tables) -> set[str]:
    """The labels that at least MIN_CAPTIONS captions name, themselves or by a hyponym."""
    counts: dict[str, int] = {}
    for caption in captions:
        for name in find_labels(caption, tables):
            counts[name] = counts.get(name, 0) + 1
    return {name for name, n in counts.items() if n >= MIN_CAPTIONS}


def find_labels(text: str, tables: Tables) -> set[str]:
    """The labels in one caption and their hypernyms. The longest match wins: a hot dog is not a dog."""
    words = re.findall(r"[a-z0-9'-]+", text.lower())
    labels: set[str] = set()
    i = 0
    while i < len(words):
        for n in range(min(MAX_WORDS, len(words) - i), 0, -1):
            label = tables.in_captions.get(" ".join(words[i : i + n]))
            if label or n == 1:
                labels |= tables.above[label] if label else frozenset()
                i += n
                break
    return labels


def _label_class(label: str | None, tables: Tables) -> Truth:
    row = np.array([-1 if tables.above[name] & tables.background else 0 for name in tables.labels], np.int8)
    for i, name in enumerate(tables.labels):
        if label is not None and name in tables.above[label]:
            row[i] = 1
        elif label is not None and label in tables.above[name]:
            row[i] = -1
    return row
