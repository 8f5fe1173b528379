"""Truth and scores -> confusion matrix, precision, recall, curve, calibration. Pure: numbers in, numbers out.

A photo is found when its score >= threshold. Precision: of what is found, how much is right. Recall: of what is
there, how much is found. What has no value (the precision of nothing found) is None, never NaN.
Intervals are 95 %. Sources: Wilson, "Probable inference", JASA 22 (1927), for shares; average precision as the
step-wise area under the curve, without interpolation, as scikit-learn defines it; expected calibration error as in
Guo et al., "On calibration of modern neural networks" (2017), over ten bins of equal width.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Z = 1.959963984540054  # the normal distribution's 97.5 % point
BINS = 10
RESAMPLES = 1000  # of F1's bootstrap

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Judged:
    """A photo whose truth is known: its score, 0..1, and whether it shows the label."""

    path: str
    score: float
    present: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """True and false positives and negatives at one threshold."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def n(self) -> int:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def precision(self) -> float | None:
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> float | None:
        return _share(self.tp + self.tn, self.n)

    @property
    def always_no_accuracy(self) -> float | None:
        """What a program that never finds anything is right about."""
        return _share(self.fp + self.tn, self.n)

    def intervals(self) -> dict[str, Interval | None]:
        """F1's is a parametric bootstrap over the four counts, seeded; the others are Wilson's."""
        return {
            "precision": wilson(self.tp, self.tp + self.fp),
            "recall": wilson(self.tp, self.tp + self.fn),
            "f1": _f1_interval(self),
            "accuracy": wilson(self.tp + self.tn, self.n),
        }


@dataclass(frozen=True, slots=True)
class Curve:
    """One point for each distinct score, thresholds falling: arrays of float64, recall rising."""

    thresholds: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]

    @property
    def average_precision(self) -> float | None:
        if not len(self.recall) or not self.recall[-1]:
            return None
        return float(np.sum(np.diff(self.recall, prepend=0.0) * self.precision))


@dataclass(frozen=True, slots=True)
class Bin:
    """Photos whose scores lie in [low, high): how many, their mean score, and the share that shows the label."""

    low: float
    high: float
    n: int
    score: float
    present: float


def count(judged: Sequence[Judged], threshold: float) -> Counts:
    scores, present = _arrays(judged)
    found = scores >= threshold
    tp, fp = int((found & present).sum()), int((found & ~present).sum())
    return Counts(tp, fp, int(present.sum()) - tp, int((~present).sum()) - fp)


def curve(judged: Sequence[Judged]) -> Curve:
    """Photos of one score cross the threshold together. Empty where no photo shows the label."""
    scores, present = _arrays(judged)
    order = np.argsort(-scores, kind="stable")
    scores, present = scores[order], present[order]
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else np.array([], int)
    tp = np.cumsum(present)[last]
    if not len(last) or tp[-1] == 0:
        return Curve(np.array([]), np.array([]), np.array([]))
    return Curve(scores[last], tp / (last + 1), tp / tp[-1])


def threshold_at_precision(judged: Sequence[Judged], precision: float) -> float | None:
    """The threshold that finds most, of those at which this share of what is found is right; None if none does."""
    c = curve(judged)
    good = np.flatnonzero(c.precision >= precision)
    # argmax takes the first, the highest, of the thresholds that find as many.
    return float(c.thresholds[good[np.argmax(c.recall[good])]]) if len(good) else None


def threshold_at_recall(judged: Sequence[Judged], recall: float) -> float | None:
    """The most precise threshold, of those that find this share of what is there; None where nothing is."""
    c = curve(judged)
    good = np.flatnonzero(c.recall >= recall)
    return float(c.thresholds[good[np.argmax(c.precision[good])]]) if len(good) else None


def mistakes(judged: Sequence[Judged], threshold: float, n: int = 10) -> tuple[list[Judged], list[Judged]]:
    """The most confident mistakes: (found and wrong, from the highest score; missed, from the lowest)."""
    wrong = [j for j in judged if j.score >= threshold and not j.present]
    missed = [j for j in judged if j.score < threshold and j.present]
    return sorted(wrong, key=lambda j: -j.score)[:n], sorted(missed, key=lambda j: j.score)[:n]


def reliability(judged: Sequence[Judged], bins: int = BINS) -> list[Bin]:
    """Bins of equal width; those that hold nothing are left out."""
    scores, present = _arrays(judged)
    number = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        Bin(i / bins, (i + 1) / bins, int(here.sum()), float(scores[here].mean()), float(present[here].mean()))
        for i in range(bins)
        if (here := number == i).any()
    ]


def calibration_error(judged: Sequence[Judged], bins: int = BINS) -> float | None:
    """Expected calibration error: how far scores are from the share that is right, on average; 0 is best."""
    if not judged:
        return None
    return sum(b.n * abs(b.score - b.present) for b in reliability(judged, bins)) / len(judged)


def wilson(hits: int, n: int) -> Interval | None:
    """The 95 % interval of a share: 5 of 10 gives 0.237..0.763."""
    if n == 0:
        return None
    p = hits / n
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def to_json(label: str, judged: Sequence[Judged], threshold: float, *, calibration: bool = False) -> dict[str, Any]:
    """What `report --json` prints."""
    c = count(judged, threshold)
    wrong, missed = mistakes(judged, threshold)
    shares = ("precision", "recall", "f1", "accuracy", "always_no_accuracy")
    known: dict[str, Any] = {
        "label": label,
        "threshold": threshold,
        "n": c.n,
        **asdict(c),
        **{name: getattr(c, name) for name in shares},
        "intervals": c.intervals(),
        "average_precision": curve(judged).average_precision,
        "mistakes": {
            "found": [{"path": j.path, "score": j.score} for j in wrong],
            "missed": [{"path": j.path, "score": j.score} for j in missed],
        },
    }
    if calibration:
        bins = [asdict(b) for b in reliability(judged)]
        known["calibration"] = {"expected_calibration_error": calibration_error(judged), "bins": bins}
    return known


def _arrays(judged: Sequence[Judged]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    n = len(judged)
    return (
        np.fromiter((j.score for j in judged), np.float64, n),
        np.fromiter((j.present for j in judged), np.bool_, n),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _f1_interval(c: Counts) -> Interval | None:
    if c.f1 is None:
        return None
    # Jeffreys' half a photo in each cell: a count of 0 is no proof that it stays 0.
    shares = np.array([c.tp, c.fp, c.fn, c.tn]) + 0.5
    tp, fp, fn, _ = np.random.default_rng(0).multinomial(c.n, shares / shares.sum(), RESAMPLES).T
    f1 = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    low, high = np.quantile(f1, (0.025, 0.975))
    return float(min(low, c.f1)), float(max(high, c.f1))
