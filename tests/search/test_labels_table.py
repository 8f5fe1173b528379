"""The two tables that the installed tool reads: labels.csv and synonyms.csv, as they are committed."""

import csv
from pathlib import Path

import photosearch

FOLDER = Path(photosearch.__file__).parent / "search"


def _read(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


LABELS, SYNONYMS = _read("labels.csv"), _read("synonyms.csv")
PARENTS = {row["label"]: tuple(filter(None, row["parents"].split(";"))) for row in LABELS}


def _above(label: str) -> list[str]:
    """All labels above, by way of every path; a cycle would not end."""
    return [label, *(higher for parent in PARENTS[label] for higher in _above(parent))]


def test_labels_are_unique_and_typeable():
    names = [row["label"] for row in LABELS]
    assert len(set(names)) == len(names)
    assert all(n == n.strip().lower() and n.isprintable() and "," not in n and ";" not in n for n in names)


def test_first_thousand_labels_are_imagenet_classes_in_order():
    assert [row["imagenet"] for row in LABELS] == [*map(str, range(1000)), *[""] * (len(LABELS) - 1000)]
    assert LABELS[0] == {"label": "tench", "wordnet": "n01440764", "imagenet": "0", "parents": "fish"}


def test_parents_are_labels_without_an_imagenet_class():
    above = {row["label"] for row in LABELS if not row["imagenet"]}
    assert {parent for parents in PARENTS.values() for parent in parents} <= above


def test_parents_cover_two_or_more_classes_and_differ():
    below: dict[str, set[int]] = {}
    for row in LABELS[:1000]:
        for label in _above(row["label"]):
            below.setdefault(label, set()).add(int(row["imagenet"]))
    words = [row["label"] for row in LABELS[1000:] if row["label"] in below]
    taught = [row["label"] for row in LABELS[1000:] if row["label"] not in below]
    assert LABELS[-len(taught) :] == [row for row in LABELS if row["label"] in taught], "taught labels come last"
    assert {"person", "kitchen", "snow"} <= set(taught)
    assert all(len(below[word]) >= 2 for word in words)
    assert len({frozenset(below[word]) for word in words}) == len(words)


def test_synonyms_are_unique_and_name_labels():
    words = [row["word"] for row in SYNONYMS]
    assert len(set(words)) == len(words)
    assert not set(words) & PARENTS.keys()
    assert {row["label"] for row in SYNONYMS} <= PARENTS.keys()


def test_common_words_name_the_expected_labels():
    meaning = {row["word"]: row["label"] for row in SYNONYMS} | {name: name for name in PARENTS}
    for word, label in {"puppies": "dog", "automobile": "car", "geese": "goose", "cougar": "cougar"}.items():
        assert meaning[word] == label
    assert "big cat" in _above("cougar")
    assert "bird" in _above("crane bird")
    assert "bird" not in _above("construction crane")
    assert not {"crane", "bat"} & meaning.keys()


def test_tables_are_small_and_come_with_the_wordnet_licence():
    assert sum((FOLDER / name).stat().st_size for name in ("labels.csv", "synonyms.csv")) < 200_000
    assert "Princeton University" in (FOLDER / "WORDNET-LICENSE.txt").read_text(encoding="utf-8")
