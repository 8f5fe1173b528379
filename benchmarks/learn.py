"""How good a label is that was learned from a few marks, on all the photos that were not marked.

Marks are the truth of the data sets: of photos drawn at random from each side; or of the photos nearest to a label's
threshold; or of a sample, judged. Figures are of the rest: photos that were neither marked nor used for any choice.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.measure import Figures
from photosearch import Library
from photosearch.judging.report import Counts
from photosearch.models.catalog import DEFAULT
from photosearch.search import words

CALTECH, TINY = "101_ObjectCategories", "tiny-imagenet-200"
BIRDS = {"emu", "flamingo", "flamingo_head", "ibis", "pigeon", "rooster"}
TINY_BIRDS = {"n01855672", "n02002724", "n02056570", "n02058221"}  # goose, black stork, king penguin, albatross
EXAMPLES = ("okapi", "minaret")
N_MARKS = 20  # of each kind
N_OTHERS = 1800  # of tiny-imagenet's pictures that show no bird

Truth = dict[str, bool]


def measure_learning(work: Path, data: Path, *, seeds: int = 5) -> Figures:
    """data: with Caltech-101 and tiny-imagenet. work: where the libraries are kept."""
    work.mkdir(parents=True, exist_ok=True)
    paths = sorted(str(path.resolve()) for path in (data / CALTECH).glob("*/*.jpg"))
    classes = {path: Path(path).parent.name for path in paths}
    tiny = read_tiny(data, work)
    with open_library(work / "learn-caltech.db", data / CALTECH) as library:
        known = [label.name for label in library.labels()]
        new = [c for c in sorted(set(classes.values())) if words.find_label(c.replace("_", " "), known) is None]
        examples = [
            {"label": name, "seed": seed, **learn_label(library, {p: classes[p] == name for p in paths}, seed)}
            for name in EXAMPLES
            for seed in range(seeds)
        ]
        everything = [learn_label(library, {p: classes[p] == name for p in paths}, 0) for name in new]
        birds = {path: classes[path] in BIRDS for path in paths}
        improved = [improve_bird(library, "caltech-101", birds, how) for how in ("near", "sample")]
    with open_library(work / "learn-tiny.db", work / "tiny") as library:
        improved += [improve_bird(library, "tiny-imagenet", tiny, how) for how in ("near", "sample")]
    return {
        "model": DEFAULT,
        "marks": N_MARKS,
        "n": len(paths),
        "n_labels": len(new),
        "examples": examples,
        "together": _add_counts(everything),
        "improved": improved,
    }


@contextlib.contextmanager
def open_library(path: Path, folder: Path) -> Iterator[Library]:
    with Library(path) as library:
        for _ in library.index(folder, models=[DEFAULT], provider="cpu"):
            pass
        yield library


def read_tiny(data: Path, work: Path) -> Truth:
    """tiny-imagenet's validation birds and N_OTHERS of its other pictures, copied into a folder -> whether a bird."""
    folder = work / "tiny"
    folder.mkdir(exist_ok=True)
    lines = (data / TINY / "val" / "val_annotations.txt").read_text().splitlines()
    rows = [line.split("\t")[:2] for line in lines]
    birds = [name for name, kind in rows if kind in TINY_BIRDS]
    others = [name for name, kind in rows if kind not in TINY_BIRDS]
    truth: Truth = {}
    shows = set(birds)
    for name in birds + [others[i] for i in np.random.default_rng(0).permutation(len(others))[:N_OTHERS]]:
        to = folder.resolve() / name
        if not to.exists():
            to.write_bytes((data / TINY / "val" / "images" / name).read_bytes())
        truth[str(to)] = name in shows
    return truth


def learn_label(library: Library, truth: Truth, seed: int) -> Figures:
    """Mark N_MARKS of both kinds, drawn at random; learn; count on the rest; leave everything as it was."""
    rng, name = np.random.default_rng(seed), "a new one"
    sides = [[path for path, present in truth.items() if present == side] for side in (True, False)]
    marked = [[side[i] for i in rng.permutation(len(side))[:N_MARKS]] for side in sides]
    for paths, present in zip(marked, (True, False), strict=True):
        library.mark_many(paths, [(name, present)], new=True)
    library.learn(name)
    rest = truth.keys() - set(itertools.chain(*marked))
    counts = count_found(library, name, {path: truth[path] for path in rest})
    library.undo_learning(name)
    for paths in marked:
        library.unmark(paths, [name])
    return counts


def improve_bird(library: Library, name: str, truth: Truth, how: str, n: int = 60) -> Figures:
    """Mark n photos for bird, nearest to its threshold or drawn as a sample; learn; count before and after on the rest.

    whole: the rest and the marks, these by cross-validation.
    """
    label = library.find_label("bird")
    if how == "near":
        found = library.find("bird", min_score=0.0).found
        near = sorted(found, key=lambda f: abs(_logit(f.score) - _logit(label.threshold)))[:n]
        marked = [f.path for f in near]
        for present in (True, False):
            library.mark_many([p for p in marked if truth[p] == present], [("bird", present)])
    else:
        sample = library.draw_sample("bird", n)
        marked = [p.path for p in sample.photos if p.path is not None]
        shown = [str(p.number) for p in sample.photos if p.path is not None and truth[p.path]]
        library.judge("bird", shown, sheet=sample.id)
    rest = {path: shows for path, shows in truth.items() if path not in set(marked)}
    before = count_found(library, "bird", rest)
    learned = library.learn("bird")
    after = count_found(library, "bird", rest)
    new, old = learned.told, learned.told["before"]
    whole = {
        "before": _add_counts([before, old]),
        "after": _add_counts([after, new if learned.kept == "learned" else old]),
    }
    if learned.kept == "learned":
        library.undo_learning("bird")
    library.unmark(marked, ["bird"])
    return {"library": name, "how": how, "yes": sum(truth[p] for p in marked), "no": sum(not truth[p] for p in marked),
            "kept": learned.kept, "why": learned.why, "before": before, "after": after,
            "whole": whole}  # fmt: skip


def count_found(library: Library, label: str, truth: Truth) -> Figures:
    """What `find` returns of these photos."""
    found = {f.path for f in library.find(label).found}
    cells = [(path in found, shows) for path, shows in truth.items()]
    counts = Counts(*(cells.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False))))
    return _describe(counts)


def _add_counts(rows: Sequence[Figures]) -> Figures:
    counts = Counts(*(sum(row[key] for row in rows) for key in ("tp", "fp", "fn", "tn")))
    return _describe(counts)


def _describe(counts: Counts) -> Figures:
    intervals = {key: counts.intervals()[key] for key in ("precision", "recall")}
    return {**asdict(counts), "precision": counts.precision, "recall": counts.recall, "intervals": intervals}


def _logit(score: float) -> float:
    clipped = min(max(score, 1e-6), 1 - 1e-6)
    return float(np.log(clipped / (1 - clipped)))
