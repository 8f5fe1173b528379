"""Truth and scores -> confusion matrix, precision, recall, curve, calibration. Pure: numbers in, numbers out.

A photo is found when its score >= threshold. Precision: of what is found, how much is right. Recall: of what is
there, how much is found. What has no value (the precision of nothing found) is None, never NaN.
Intervals are 95 %, and speak of photos that were taken as they came; for a sample drawn by score, see sampling.py.
Sources:
- Shares: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
- F1 = 2 J / (1 + J) rises with J = tp / (tp + fp + fn), which is a share: Hand, Christen and Kirielle, "F*: an
  interpretable transformation of the F-measure", Machine Learning 110 (2021). Its interval is Wilson's of J, mapped.
- Average precision: the step-wise area under the curve, without interpolation, as scikit-learn's documentation of
  average_precision_score defines it.
- Expected calibration error: over ten bins of equal width, as Guo et al., "On calibration of modern neural networks"
  (ICML 2017), and beside it over bins that hold as many photos each, since most scores lie near 0: Nixon et al.,
  "Measuring calibration in deep learning" (2019).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Z = 1.959963984540054  # the normal distribution's 97.5 % point
BINS = 10

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class LabeledScore:
    """A photo whose truth is known: its score, 0..1, and whether it shows the label; of which picture in a library."""

    path: str
    score: float
    present: bool
    image_id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
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
        overlap = wilson(self.tp, self.tp + self.fp + self.fn)
        return {
            "precision": wilson(self.tp, self.tp + self.fp),
            "recall": wilson(self.tp, self.tp + self.fn),
            "f1": overlap and (2 * overlap[0] / (1 + overlap[0]), 2 * overlap[1] / (1 + overlap[1])),
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
    """Photos of neighbouring scores: how many, their mean score, and the share that shows the label, with its interval.

    low, high: where bins are equally wide, the borders, high excluded but for the last; else the extreme scores.
    """

    low: float
    high: float
    n: int
    score: float
    present: float
    interval: Interval


def count(judged: Sequence[LabeledScore], threshold: float) -> ConfusionMatrix:
    scores, present = _arrays(judged)
    found = scores >= threshold
    tp, fp = int((found & present).sum()), int((found & ~present).sum())
    return ConfusionMatrix(tp, fp, int(present.sum()) - tp, int((~present).sum()) - fp)


def curve(judged: Sequence[LabeledScore], weights: Sequence[float] | None = None) -> Curve:
    """Photos of one score cross the threshold together. Empty where no photo shows the label.

    weights: how many photos each stands for (sampling.weights); 1 without.
    """
    scores, present = _arrays(judged)
    return _curve(scores, present, np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64))


def average_precision(
    scores: npt.NDArray[np.float64], present: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]
) -> float | None:
    """That of a curve, from arrays [n]."""
    return _curve(scores, present, weights).average_precision


def threshold_at_precision(
    judged: Sequence[LabeledScore], precision: float, weights: Sequence[float] | None = None
) -> float | None:
    """The threshold that finds most, of those at which this share of what is found is right; None if none does.

    It is one of the scores, so that count() at it gives the very counts that it was chosen by.
    """
    c = curve(judged, weights)
    return _best(c, c.precision >= precision, c.recall, c.precision)


def threshold_at_recall(
    judged: Sequence[LabeledScore], recall: float, weights: Sequence[float] | None = None
) -> float | None:
    """The most precise threshold, of those that find this share of what is there; None where nothing is."""
    c = curve(judged, weights)
    return _best(c, c.recall >= recall, c.precision, c.recall)


def mistakes(
    judged: Sequence[LabeledScore], threshold: float, n: int = 10
) -> tuple[list[LabeledScore], list[LabeledScore]]:
    """The most confident mistakes: (found and wrong, from the highest score; missed, from the lowest)."""
    scores, present = _arrays(judged)
    found = scores >= threshold
    wrong, missed = np.flatnonzero(found & ~present), np.flatnonzero(~found & present)
    wrong = wrong[np.argsort(-scores[wrong], kind="stable")][:n]
    missed = missed[np.argsort(scores[missed], kind="stable")][:n]
    return [judged[int(i)] for i in wrong], [judged[int(i)] for i in missed]


def reliability(
    judged: Sequence[LabeledScore], bins: int = BINS, equal: Literal["width", "mass"] = "width"
) -> list[Bin]:
    """Bins of equal width, or of as many photos each, scores rising; those that hold nothing are left out."""
    scores, present = _arrays(judged)
    order = np.argsort(scores, kind="stable")
    scores, present = scores[order], present[order]
    edges = np.arange(bins + 1) / bins
    if equal == "width":
        borders = np.searchsorted(scores, edges[1:-1])
    else:
        borders = np.round(edges[1:-1] * len(scores)).astype(int)
    parts = zip(edges[:-1], edges[1:], np.split(scores, borders), np.split(present, borders), strict=True)
    return [
        Bin(
            float(low if equal == "width" else of[0]),
            float(high if equal == "width" else of[-1]),
            len(of),
            float(of.mean()),
            float(there.mean()),
            _wilson(int(there.sum()), len(of)),
        )
        for low, high, of, there in parts
        if len(of)
    ]


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Expected calibration error: how far scores are from the share that is right, on average; 0 is best.

    Of few photos it comes out too large: even a perfect model's bins are off by chance.
    """
    n = sum(b.n for b in bins)
    return sum(b.n * abs(b.score - b.present) for b in bins) / n if n else None


def wilson(hits: int, n: int) -> Interval | None:
    """The 95 % interval of a share: 5 of 10 gives 0.237..0.763."""
    return _wilson(hits, n) if n else None


def to_json(
    label: str, judged: Sequence[LabeledScore], threshold: float, *, calibration: bool = False
) -> dict[str, Any]:
    """What `report --json` prints: label, threshold, n, the four counts, the shares, their intervals, mistakes.

    calibration: the bins of equal width and their error, and the error of bins that hold as many photos each.
    """
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
        bins = reliability(judged)
        known["calibration"] = {
            "expected_calibration_error": calibration_error(bins),
            "equal_mass_error": calibration_error(reliability(judged, equal="mass")),
            "bins": [asdict(b) for b in bins],
        }
    return known


def _arrays(judged: Sequence[LabeledScore]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    n = len(judged)
    return (
        np.fromiter((j.score for j in judged), np.float64, n),
        np.fromiter((j.present for j in judged), np.bool_, n),
    )


def _curve(scores: npt.NDArray[np.float64], present: npt.NDArray[np.bool_], weight: npt.NDArray[np.float64]) -> Curve:
    order = np.argsort(-scores, kind="stable")
    scores, hits, all_ = scores[order], np.cumsum((weight * present)[order]), np.cumsum(weight[order])
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else np.array([], int)
    if not present.any():
        return Curve(np.array([]), np.array([]), np.array([]))
    return Curve(scores[last], hits[last] / all_[last], hits[last] / hits[-1])


def _best(
    c: Curve, good: npt.NDArray[np.bool_], first: npt.NDArray[np.float64], then: npt.NDArray[np.float64]
) -> float | None:
    """The good threshold of the highest `first`, and where several have that, of the highest `then`."""
    order = np.lexsort((then[good], first[good]))
    return float(c.thresholds[good][order[-1]]) if len(order) else None


def _wilson(hits: int, n: int) -> Interval:
    p = hits / n
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
