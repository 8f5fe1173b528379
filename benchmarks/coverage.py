"""How often the intervals of a judged sample hold the truth.

Libraries whose truth is known stand in for the user's. From each, many samples are drawn as `photosearch sample` draws
them, judged by the truth, and estimated as `photosearch report` estimates them. A 95 % interval should hold the
library's own precision and recall in 95 of 100 draws: 93 to 97 is within the error of 200 draws, more where so few
photos are found that a sample holds nearly all of them. Beside it, on the same photos: the estimate without weights
(Wilson's interval of the sample's own precision and recall), and as many photos drawn from the whole library without
strata.

Libraries are mixtures of Beta distributions, made with a seed. The method's constants were chosen `--on tuning`; the
figures that count come from the held-out shapes, which are others, or from real scores: `--scores FILE.csv` with the
columns path, label, present, score.
"""

import csv
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.measure import Figures
from photosearch.judging import report, sampling

Mixture = tuple[tuple[float, float, float], ...]  # (share, alpha, beta) of each Beta distribution
COLUMNS = ("precision", "precision_width", "recall", "recall_width")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a model scores photos that show the label, and the others. Logits are multiplied by `sureness` at the end.

    The last part of `present` is what the model does not see at all: it scores it like the bulk of the others.
    """

    present: Mixture
    absent: Mixture
    sureness: float = 1.0


TUNING = {
    "good": Shape(((0.85, 9, 0.5), (0.13, 2, 2), (0.02, 0.15, 8)), ((0.985, 0.15, 8), (0.015, 1, 2.2))),
    "sure": Shape(((0.80, 6, 1), (0.15, 1.5, 2), (0.05, 0.3, 8)), ((0.97, 0.3, 8), (0.03, 1, 3)), 2.5),
    "shy": Shape(((0.70, 5, 2), (0.28, 1, 4), (0.02, 0.3, 20)), ((0.98, 0.3, 20), (0.02, 1, 5))),
    "sharp": Shape(((0.93, 14, 0.5), (0.06, 2, 2), (0.01, 0.1, 12)), ((0.993, 0.1, 12), (0.007, 1, 3))),
    "fine": Shape(((0.90, 12, 0.6), (0.07, 1.5, 1.5), (0.03, 0.12, 9)), ((0.992, 0.12, 9), (0.008, 1.2, 2.5)), 1.3),
    "modest": Shape(((0.60, 4, 1.2), (0.30, 1.5, 2.5), (0.10, 0.4, 6)), ((0.95, 0.4, 6), (0.05, 1.5, 4))),
    "blind": Shape(((0.75, 10, 0.4), (0.25, 0.2, 10)), ((0.985, 0.2, 10), (0.015, 0.8, 2)), 2.0),
}
HELD_OUT = {
    "steady": Shape(((0.88, 7, 0.8), (0.10, 1.2, 1.8), (0.02, 0.2, 6)), ((0.98, 0.2, 6), (0.02, 1.2, 3)), 1.6),
    "timid": Shape(((0.50, 3, 2), (0.45, 1.2, 3), (0.05, 0.3, 12)), ((0.96, 0.3, 12), (0.04, 1.3, 6)), 0.8),
    "strict": Shape(((0.82, 16, 0.8), (0.12, 1, 2.5), (0.06, 0.08, 9)), ((0.99, 0.08, 9), (0.01, 0.7, 3)), 1.2),
}


@dataclass(frozen=True, slots=True)
class Library:
    """scores: float64 [N], present: bool [N]; both of the same photos."""

    name: str
    scores: sampling.Floats
    present: np.ndarray


@dataclass(frozen=True, slots=True)
class Cover:
    """Of one way on one library: the share of draws whose interval held the truth, and the interval's median width.

    An interval that does not exist (nothing was found in the sample) holds nothing, and is as wide as can be.
    """

    way: str
    precision: float
    precision_width: float
    recall: float
    recall_width: float


def measure_coverage(
    *,
    on: Literal["held-out", "tuning"] = "held-out",
    scores: Sequence[Path] = (),
    sizes: Sequence[int] = (5000, 50_000),
    prevalences: Sequence[float] = (0.01, 0.05, 0.2),
    judged: Sequence[int] = (60, 200),
    draws: int = 200,
    threshold: float = 0.5,
    seed: int = 1,
) -> Figures:
    """A row for each number of judged photos, library and way; `scores`: files of real ones instead of `on`."""
    shapes = TUNING if on == "tuning" else HELD_OUT
    made = enumerate(itertools.product(shapes.items(), sizes, prevalences))
    libraries = [library for path in scores for library in from_csv(path)] or [
        synthetic(f"{name}, {n:,}, {share:.0%}", shape, n, share, seed + i) for i, ((name, shape), n, share) in made
    ]
    rows = [
        {"judged": n, "library": library.name, **asdict(row)}
        for n in judged
        for library in libraries
        for row in cover(library, n, draws, threshold, seed)
    ]
    rows = rows if scores else summarise(rows)
    return {"libraries": on, "n_libraries": len(libraries), "draws": draws, "rows": rows}


def summarise(rows: Sequence[Figures]) -> list[Figures]:
    """Over the libraries: the mean of each column, and the least that an interval held."""
    groups: defaultdict[tuple[int, str], list[Figures]] = defaultdict(list)
    for row in rows:
        groups[row["judged"], row["way"]].append(row)
    return [
        {
            "judged": judged,
            "way": way,
            **{key: float(np.mean([row[key] for row in group])) for key in COLUMNS},
            **{f"min_{key}": min(row[key] for row in group) for key in ("precision", "recall")},
        }
        for (judged, way), group in groups.items()
    ]


def synthetic(name: str, shape: Shape, n: int, prevalence: float, seed: int) -> Library:
    rng = np.random.default_rng(seed)
    present = rng.random(n) < prevalence
    scores = np.where(present, _draw_scores(shape.present, n, rng), _draw_scores(shape.absent, n, rng))
    clipped = np.clip(scores, 1e-9, 1 - 1e-9)
    logits = shape.sureness * np.log(clipped / (1 - clipped))
    # As a model gives them and a library keeps them.
    return Library(name, (1 / (1 + np.exp(-logits))).astype(np.float32).astype(np.float64), present)


def from_csv(path: Path) -> list[Library]:
    """A library for each label of the file."""
    rows: defaultdict[str, list[tuple[float, bool]]] = defaultdict(list)
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        for row in csv.DictReader(file):
            rows[row["label"]].append((float(row["score"]), row["present"] == "1"))
    return [
        Library(f"{path.stem} {label}, {len(pairs):,}", *(np.array(column) for column in zip(*pairs, strict=True)))
        for label, pairs in rows.items()
    ]


def cover(library: Library, n: int, draws: int, threshold: float, seed: int = 0) -> list[Cover]:
    """The three ways on the same library: weighted, the same sample unweighted, a plain random sample."""
    found = library.scores >= threshold
    truth = (
        float(library.present[found].mean()) if found.any() else None,
        float(found[library.present].mean()) if library.present.any() else None,
    )
    intervals = [_estimate_intervals(library, n, threshold, seed + i) for i in range(draws)]
    return [
        Cover(
            way,
            *_count_held([draw[i][0] for draw in intervals], truth[0]),
            *_count_held([draw[i][1] for draw in intervals], truth[1]),
        )
        for i, way in enumerate(("weighted", "unweighted", "random"))
    ]


def _draw_scores(mixture: Mixture, n: int, rng: np.random.Generator) -> sampling.Floats:
    shares, alphas, betas = np.array(mixture).T
    part = rng.choice(len(shares), n, p=shares)
    return rng.beta(alphas[part], betas[part])


def _estimate_intervals(
    library: Library, n: int, threshold: float, seed: int
) -> list[tuple[report.Interval | None, ...]]:
    """(precision's, recall's) of each way, on one draw."""
    drawn = sampling.draw(library.scores, n, threshold, seed=seed)
    answers = [
        sampling.Answer(float(library.scores[d.index]), d.stratum, d.population, bool(library.present[d.index]))
        for d in drawn
    ]
    weighted = sampling.estimate(answers, threshold, seed=seed).intervals
    plain = np.random.default_rng(seed).choice(len(library.scores), min(n, len(library.scores)), replace=False)
    return [
        (weighted["precision"], weighted["recall"]),
        _wilson(library, np.array([d.index for d in drawn]), threshold),
        _wilson(library, plain, threshold),
    ]


def _wilson(library: Library, chosen: np.ndarray, threshold: float) -> tuple[report.Interval | None, ...]:
    found, present = library.scores[chosen] >= threshold, library.present[chosen]
    right = int((found & present).sum())
    return report.wilson(right, int(found.sum())), report.wilson(right, int(present.sum()))


def _count_held(intervals: Iterable[report.Interval | None], truth: float | None) -> tuple[float, float]:
    """(share of the intervals that hold the truth, their median width); NaN where there is no truth."""
    if truth is None:
        return np.nan, np.nan
    ends = np.array([interval or (2.0, 3.0) for interval in intervals])
    held = (ends[:, 0] <= truth + 1e-12) & (truth - 1e-12 <= ends[:, 1])
    return float(held.mean()), float(np.median(ends[:, 1] - ends[:, 0]))
