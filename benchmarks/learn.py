"""How right a label is that was learned from a few marks: on all the photos that were not marked.

Marks are given by the truth of the data sets: drawn at random from each side, as a person marks what a search and a
look around found; or the photos nearest to a label's threshold; or a sample, judged. Figures are of the rest, which
nobody marked and nothing was chosen on.
"""

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import core_seconds
from photosearch import Library
from photosearch.judging.metrics import ConfusionMatrix
from photosearch.search import hierarchy

CALTECH, TINY = "101_ObjectCategories", "tiny-imagenet-200"
BIRDS = {"emu", "flamingo", "flamingo_head", "ibis", "pigeon", "rooster"}
TINY_BIRDS = {"n01855672", "n02002724", "n02056570", "n02058221"}  # goose, black stork, king penguin, albatross
TWO = ("okapi", "minaret")
EACH = 20  # marks of a kind
OTHERS = 1800  # of tiny-imagenet's pictures that show no bird

Truth = dict[str, bool]


def learn(data: Path, work: Path, *, seeds: int = 5, model: str = "sight") -> dict[str, Any]:
    """data: with Caltech-101 and tiny-imagenet. work: where the libraries are kept."""
    work.mkdir(parents=True, exist_ok=True)
    pictures = sorted(str(path.resolve()) for path in (data / CALTECH).glob("*/*.jpg"))
    kind = {path: Path(path).parent.name for path in pictures}
    tiny = read_tiny(data, work)
    with open_library(work / "learn-caltech.db", [data / CALTECH], model) as library:
        known = [label.name for label in library.labels.list()]
        unknown = [k for k in sorted(set(kind.values())) if hierarchy.find_label(k.replace("_", " "), known) is None]
        two = {name: [new_label(library, {p: kind[p] == name for p in pictures}, seed) for seed in range(seeds)]
               for name in TWO}  # fmt: skip
        every = [new_label(library, {p: kind[p] == name for p in pictures}, 0) for name in unknown]
        birds = {p: kind[p] in BIRDS for p in pictures}
        bird = [better_bird(library, "caltech-101", birds, how) for how in ("near", "sample")]
    with open_library(work / "learn-tiny.db", [work / "tiny"], model) as library:
        bird += [better_bird(library, "tiny-imagenet", tiny, how) for how in ("near", "sample")]
    return {
        "model": model, "each": EACH, "seeds": seeds, "two": two, "unknown": len(unknown),
        "every": _sum(every), "least_recall": min(row["recall"] for row in every),
        "seconds": float(np.median([row["seconds"] for row in every])),
        "core_seconds": float(np.median([row["core_seconds"] for row in every])), "bird": bird,
    }  # fmt: skip


@contextlib.contextmanager
def open_library(path: Path, folders: Sequence[Path], model: str) -> Iterator[Library]:
    with Library(path) as library:
        for folder in folders:
            for _ in library.index(folder, models=[model], provider="cpu"):
                pass
        yield library


def read_tiny(data: Path, work: Path) -> Truth:
    """tiny-imagenet's validation birds and OTHERS of the other pictures, linked into a folder -> whether a bird."""
    folder = work / "tiny"
    folder.mkdir(exist_ok=True)
    lines = (data / TINY / "val" / "val_annotations.txt").read_text().splitlines()
    rows = [line.split("\t")[:2] for line in lines]
    birds = [name for name, kind in rows if kind in TINY_BIRDS]
    others = [name for name, kind in rows if kind not in TINY_BIRDS]
    truth: Truth = {}
    shows = set(birds)
    for name in birds + [others[i] for i in np.random.default_rng(0).permutation(len(others))[:OTHERS]]:
        to = folder.resolve() / name
        if not to.exists():
            to.write_bytes((data / TINY / "val" / "images" / name).read_bytes())
        truth[str(to)] = name in shows
    return truth


def new_label(library: Library, truth: Truth, seed: int) -> dict[str, Any]:
    """Mark EACH of both kinds, drawn at random; learn; count on the rest; leave everything as it was."""
    rng = np.random.default_rng(seed)
    sides = [[path for path, shows in truth.items() if shows == side] for side in (True, False)]
    marked = [[side[i] for i in rng.permutation(len(side))[:EACH]] for side in sides]
    for paths, present in zip(marked, (True, False), strict=True):
        library.marks.add(paths, **{"positive" if present else "negative": ["a new one"]}, new=True)
    clock, cores = time.perf_counter(), core_seconds()
    learned = library.labels.learn("a new one")
    seconds, spent = time.perf_counter() - clock, core_seconds() - cores
    rest = truth.keys() - set(itertools.chain(*marked))
    told = count(library, "a new one", {path: truth[path] for path in rest})
    library.labels.undo_learning("a new one")
    for paths in marked:
        library.marks.remove(paths, ["a new one"])
    return {**told, "said": {k: learned.told[k] for k in ("precision", "recall", "expected_present", "found")},
            "seconds": seconds, "core_seconds": spent}  # fmt: skip


def better_bird(library: Library, name: str, truth: Truth, how: str, n: int = 60) -> dict[str, Any]:
    """Mark n photos for bird, nearest to its threshold or drawn as a sample; learn; both on the rest.

    whole: the rest and the marks, these by heads that had not seen them.
    """
    label = library.labels.get("bird")
    if how == "near":
        found = library.find("bird", min_score=0.0).found
        near = sorted(found, key=lambda f: abs(_logit(f.score) - _logit(label.threshold)))[:n]
        marked = [f.path for f in near]
        for present in (True, False):
            chosen = [p for p in marked if truth[p] == present]
            library.marks.add(chosen, **{"positive" if present else "negative": ["bird"]})
    else:
        sample = library.samples.draw("bird", n)
        marked = [p.path for p in sample.photos if p.path is not None]
        shown = [str(p.number) for p in sample.photos if p.path is not None and truth[p.path]]
        library.samples.judge("bird", shown, sheet=sample.id)
    rest = {path: shows for path, shows in truth.items() if path not in set(marked)}
    before = count(library, "bird", rest)
    learned = library.labels.learn("bird")
    after = count(library, "bird", rest)
    new, old = learned.told, learned.told["before"]
    whole = {"before": _sum([before, old]), "after": _sum([after, new if learned.kept == "learned" else old])}
    if learned.kept == "learned":
        library.labels.undo_learning("bird")
    library.marks.remove(marked, ["bird"])
    return {"library": name, "how": how, "yes": sum(truth[p] for p in marked), "no": sum(not truth[p] for p in marked),
            "kept": learned.kept, "why": learned.why, "before": before, "after": after,
            "whole": whole}  # fmt: skip


def count(library: Library, label: str, truth: Truth) -> dict[str, Any]:
    """What `find` gives, on these photos."""
    found = {f.path for f in library.find(label).found}
    cells = [(path in found, shows) for path, shows in truth.items()]
    counts = ConfusionMatrix(
        *(cells.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False)))
    )
    intervals = counts.intervals()
    return {**asdict(counts), "precision": counts.precision, "recall": counts.recall,
            "intervals": {k: intervals[k] for k in ("precision", "recall")}}  # fmt: skip


def _sum(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counts = ConfusionMatrix(*(sum(row[key] for row in rows) for key in ("tp", "fp", "fn", "tn")))
    intervals = counts.intervals()
    return {**asdict(counts), "precision": counts.precision, "recall": counts.recall,
            "intervals": {k: intervals[k] for k in ("precision", "recall")}}  # fmt: skip


def _logit(score: float) -> float:
    clipped = min(max(score, 1e-6), 1 - 1e-6)
    return float(np.log(clipped / (1 - clipped)))
