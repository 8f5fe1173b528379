"""The labels of the sight model: ImageNet's classes under everyday names, their hypernyms, and what teachers add.

    python -m train vocabulary --wordnet /usr/share/wordnet --classes imagenet-1k.txt --to photosearch/search

WordNet 3.0 says which classes are dogs and which are birds. Where its hierarchy differs from everyday language (in
WordNet a cougar is not a big cat, and a beer glass contains no drink), a reviewed line of train/data/vocabulary/ takes
precedence. The command writes the two tables that the installed tool reads: labels.csv (label, WordNet id, ImageNet's
index or nothing, direct hypernyms) and synonyms.csv (word, label). An ambiguous word is in neither: `crane` is a bird
or a machine. Labels are in lower case; classes come first, in
ImageNet's order, then hypernyms, then the labels that only taught.csv has (taught.py): people, scenes, more things.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from photosearch.errors import InputError
from train.data import wordnet

REVIEWED = Path(__file__).parents[1] / "data" / "vocabulary"
SAME_IN_PLURAL = frozenset(
    "apparel, bicycling, biking, boating, canoeing, clothing, cycling, denim, dog sledding, dogsledding, food, "
    "footwear, furniture, horse riding, horseback, horseback riding, kayaking, motorcycling, mountain biking, "
    "parachuting, poultry, rowing, sailing, scenery, scuba diving, skateboarding, skiing, sledding, sledging, "
    "snorkeling, snorkelling, snowboarding, surfing, swimwear, tobogganing, unicycling".split(", ")
)
LATIN = frozenset({"lar", "kisutch", "opilio", "leo", "porphyrio"})  # species whose genus WordNet does not list

Classes = Sequence[tuple[str, str]]  # (WordNet id, ImageNet's first name), in the order of the network's outputs


@dataclass(frozen=True, slots=True)
class Label:
    """A row of labels.csv. index: ImageNet's, None for a hypernym and a taught label. parents: the direct hypernyms."""

    name: str
    wnid: str
    index: int | None
    parents: tuple[str, ...]


def write(wordnet_folder: str | Path, classes_file: str | Path, to: Path) -> tuple[list[Label], dict[str, str]]:
    """Write labels.csv and synonyms.csv to the folder `to`; returns their contents. Raises InputError, ValueError."""
    classes, nouns = read_classes(classes_file), wordnet.synsets(wordnet_folder)
    names, rules = name_classes(classes, read_names()), read_rules("hypernyms.txt")
    rows = make_rows(names, classes, expand_hypernyms(rules, names, classes, nouns), rules)
    rows += make_taught_rows(rows)
    senses, plurals = wordnet.senses(wordnet_folder), wordnet.plurals(wordnet_folder)
    synonyms = collect_synonyms(rows, nouns, senses, plurals, read_rules("synonyms.txt"), read_words("ambiguous.txt"))
    parents = ((r.name, r.wnid, "" if r.index is None else r.index, ";".join(r.parents)) for r in rows)
    _write_table(to / "labels.csv", ("label", "wordnet", "imagenet", "parents"), parents)
    _write_table(to / "synonyms.csv", ("word", "label"), synonyms.items())
    return rows, synonyms


def read(folder: str | Path) -> tuple[list[Label], dict[str, str]]:
    """labels.csv and synonyms.csv of a folder."""
    rows = [
        Label(r["label"], r["wordnet"], int(r["imagenet"]) if r["imagenet"] else None,
              tuple(filter(None, r["parents"].split(";"))))
        for r in read_table(Path(folder) / "labels.csv")
    ]  # fmt: skip
    return rows, {r["word"]: r["label"] for r in read_table(Path(folder) / "synonyms.csv")}


def read_classes(path: str | Path) -> list[tuple[str, str]]:
    """Lines like `n01440764 tench`, in the order of the network's outputs. Raises InputError."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; --classes takes ImageNet's classes, lines like `n01440764 tench`")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines if line.strip()]


def read_names() -> dict[str, str]:
    """ImageNet's name of a class, or its index if the name is not unique -> the everyday name."""
    return {r["imagenet"]: r["label"] for r in read_table(REVIEWED / "class_names.csv")}


def read_rules(file: str) -> dict[str, list[str]]:
    """Lines like `cattle: cow, bull`."""
    lines = (REVIEWED / file).read_text(encoding="utf-8").splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {name: [word.strip() for word in words.split(",")] for name, words in pairs}


def read_words(file: str) -> frozenset[str]:
    """A word or a name per line. ambiguous.txt: words for two things that people photograph, and so for no label."""
    return frozenset((REVIEWED / file).read_text(encoding="utf-8").splitlines())


def name_classes(classes: Classes, names: Mapping[str, str]) -> list[str]:
    """Each class's label, in lower case, all different. Raises ValueError."""
    labels = [names.get(str(i), names.get(name, name)).lower() for i, (_, name) in enumerate(classes)]
    if duplicates := {n for n in labels if labels.count(n) > 1}:
        raise ValueError(f"duplicate labels: {sorted(duplicates)}")
    if unused := {k for k in names if not k.isdigit()} - {name for _, name in classes}:
        raise ValueError(f"no class is called {sorted(unused)}")
    return labels


def expand_hypernyms(
    rules: Mapping[str, Sequence[str]], names: Sequence[str], classes: Classes, nouns: Mapping[str, wordnet.Synset]
) -> dict[str, frozenset[int]]:
    """Hypernym -> its class indexes.

    rules: hypernym -> WordNet ids (every class below), labels, other hypernyms; `-` in front subtracts. Raises
    ValueError if a rule contains an unknown word, or two rules give the same classes.
    """
    index = {name: i for i, name in enumerate(names)}
    below: dict[str, set[int]] = {}
    for i, (wnid, _) in enumerate(classes):
        for id in wordnet.climb(wnid, nouns):
            below.setdefault(id, set()).add(i)
    expanded: dict[str, frozenset[int]] = {}

    def expand(word: str) -> frozenset[int]:
        if word in rules and word not in expanded:
            indexes: set[int] = set()
            for part in rules[word]:
                indexes = indexes - expand(part[1:]) if part.startswith("-") else indexes | expand(part)
            expanded[word] = frozenset(indexes)
        if word in expanded:
            return expanded[word]
        if word in index:
            return frozenset({index[word]})
        if word in below:
            return frozenset(below[word])
        raise ValueError(f"{word!r} is neither a label nor a WordNet id with a class below it")

    if both := rules.keys() & index.keys():
        raise ValueError(f"both a class and a hypernym: {sorted(both)}")
    first_with: dict[frozenset[int], str] = {}
    for word in rules:
        indexes = expand(word)
        if len(indexes) < 2:
            raise ValueError(f"{word}: {len(indexes)} classes make a synonym, not a hypernym")
        if first_with.setdefault(indexes, word) != word:
            raise ValueError(f"{word} and {first_with[indexes]} have the same classes")
    return expanded


def make_rows(
    names: Sequence[str],
    classes: Classes,
    hypernyms: Mapping[str, frozenset[int]],
    rules: Mapping[str, Sequence[str]],
) -> list[Label]:
    """The rows of labels.csv: classes in ImageNet's order, then hypernyms, the largest first."""
    words = sorted(hypernyms, key=lambda w: (-len(hypernyms[w]), w))

    def find_parents(indexes: frozenset[int]) -> tuple[str, ...]:
        above = [w for w in words if indexes < hypernyms[w]]
        return tuple(sorted(w for w in above if not any(hypernyms[v] < hypernyms[w] for v in above)))

    rows = [
        Label(name, wnid, i, find_parents(frozenset({i})))
        for i, (name, (wnid, _)) in enumerate(zip(names, classes, strict=True))
    ]
    for word in words:
        first = rules[word][0]
        rows.append(Label(word, first if first.startswith(("n0", "n1")) else "", None, find_parents(hypernyms[word])))
    return rows


def make_taught_rows(rows: Sequence[Label]) -> list[Label]:
    """The rows of taught.csv that are no label yet. Raises ValueError for an unknown parent."""
    taught = [r for r in read_table(REVIEWED / "taught.csv") if r["label"] not in {row.name for row in rows}]
    added = [Label(r["label"], "", None, tuple(filter(None, r["parents"].split(";")))) for r in taught]
    if unknown := {p for r in added for p in r.parents} - {r.name for r in (*rows, *added)}:
        raise ValueError(f"unknown parents in taught.csv: {sorted(unknown)}")
    return added


def collect_synonyms(
    rows: Sequence[Label],
    nouns: Mapping[str, wordnet.Synset],
    senses: Mapping[str, Sequence[str]],
    irregular: Mapping[str, str],
    reviewed: Mapping[str, Sequence[str]],
    ambiguous: frozenset[str],
) -> dict[str, str]:
    """synonyms.csv: word -> label.

    First the reviewed words, then WordNet's if the label is the word's first sense and no other label has the word,
    then the plurals of all of them. Scientific names are left out.
    """
    labels = {r.name for r in rows}
    synonyms: dict[str, str] = {}
    for label, words in reviewed.items():
        for word in words:
            if label not in labels:
                raise ValueError(f"synonyms for the unknown label {label!r}")
            if synonyms.setdefault(word, label) != label:
                raise ValueError(f"{word!r} is a synonym of {label!r} and of {synonyms[word]!r}")
    for word, label in _list_unambiguous(rows, nouns, senses):
        if word not in ambiguous | labels:
            synonyms.setdefault(word, label)
    for word in [*sorted(labels), *sorted(synonyms)]:
        for many in (make_plural(word, irregular), make_plural(word, {})) if word not in SAME_IN_PLURAL else ():
            synonyms.setdefault(many, synonyms.get(word, word))
    return {w: synonyms[w] for w in sorted(synonyms) if w not in labels and w not in ambiguous}


def _list_unambiguous(
    rows: Sequence[Label], nouns: Mapping[str, wordnet.Synset], senses: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """WordNet's words of exactly one label that is also their first sense."""
    wnids = {r.name: r.wnid for r in rows}
    by_word: dict[str, set[str]] = {}
    for row in rows:
        for word in nouns[row.wnid].words if row.wnid else ():
            if not _is_scientific(word, senses):
                by_word.setdefault(word.lower(), set()).add(row.name)
    for word, labels in by_word.items():
        (first, *others) = sorted(labels)
        if not others and senses.get(word, ("",))[0] == wnids[first]:
            yield word, first


def _is_scientific(word: str, senses: Mapping[str, Sequence[str]]) -> bool:
    """Canis lupus: the first word is a genus."""
    first, _, rest = word.partition(" ")
    return bool(rest) and (f"genus {first.lower()}" in senses or rest in LATIN)


def make_plural(word: str, irregular: Mapping[str, str]) -> str:
    """puppy -> puppies, big cat -> big cats, glass of beer -> glasses of beer."""
    if " of " in word:
        head, _, rest = word.partition(" of ")
        return f"{make_plural(head, irregular)} of {rest}"
    head, space, last = word.rpartition(" ")
    if last in irregular:
        many = irregular[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        many = last if last.endswith("s") and not last.endswith(("ss", "us")) else f"{last}es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        many = f"{last[:-1]}ies"
    else:
        many = f"{last}s"
    return head + space + many


def list_classes(rows: Sequence[Label]) -> dict[str, frozenset[int]]:
    """label -> the ImageNet classes that it covers; a class covers itself."""
    covered: dict[str, set[int]] = {r.name: set() for r in rows}
    parents = {r.name: r.parents for r in rows}
    for row in rows:
        if row.index is not None:
            todo = [row.name]
            while todo:
                name = todo.pop()
                covered[name].add(row.index)
                todo += parents[name]
    return {name: frozenset(indexes) for name, indexes in covered.items()}


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)
