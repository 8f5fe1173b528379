"""Truth and scores -> confusion matrix, precision, recall, curve, calibration. Pure: numbers in, numbers out.

A photo is found when its score >= threshold. Precision: the share of the found photos that show the label. Recall: the
share of the photos that show it that is found. What has no value (the precision of nothing found) is None, never NaN.
Intervals are 95 % and hold for photos taken as they came; for a sample drawn by score, see sampling.py.
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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Z = 1.959963984540054  # the normal distribution's 97.5 % point
BINS = 10
MAX_MISTAKES = 10  # of each kind, in a report

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Interval = tuple[float, float]
Intervals = Mapping[str, Interval | None]


@dataclass(frozen=True, slots=True)
class LabeledScore:
    """A photo with its score, 0..1, and whether it shows the label. image_id: of its image in a library."""

    path: str
    score: float
    present: bool
    image_id: int = 0


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """True and false positives and negatives at one threshold."""

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        return ConfusionMatrix(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

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
        """The accuracy of a program that never finds anything: the baseline."""
        return _share(self.fp + self.tn, self.n)

    def intervals(self) -> dict[str, Interval | None]:
        """Of precision, recall, f1 and accuracy."""
        overlap = wilson(self.tp, self.tp + self.fp + self.fn)
        return {
            "precision": wilson(self.tp, self.tp + self.fp),
            "recall": wilson(self.tp, self.tp + self.fn),
            "f1": overlap and (2 * overlap[0] / (1 + overlap[0]), 2 * overlap[1] / (1 + overlap[1])),
            "accuracy": wilson(self.tp + self.tn, self.n),
        }

    def to_json(self) -> dict[str, object]:
        """The four counts and their shares."""
        shares = {name: getattr(self, name) for name in ("precision", "recall", "f1", "accuracy")}
        return {**asdict(self), **shares}


@dataclass(frozen=True, slots=True)
class Curve:
    """One point for each distinct score, thresholds falling: arrays of float64, recall rising."""

    thresholds: Floats
    precision: Floats
    recall: Floats

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


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far scores are probabilities: bins of equal width. Errors: of these bins, and of bins of equal mass."""

    bins: tuple[Bin, ...]
    expected_error: float | None
    equal_mass_error: float | None

    def to_json(self) -> dict[str, object]:
        return {
            "expected_calibration_error": self.expected_error,
            "equal_mass_error": self.equal_mass_error,
            "bins": [asdict(b) for b in self.bins],
        }


@dataclass(frozen=True, slots=True)
class Metrics:
    """How right a label is on judged photos at a threshold.

    false_positives, false_negatives: the most confident mistakes, up to MAX_MISTAKES of each.
    """

    label: str
    threshold: float
    counts: ConfusionMatrix
    average_precision: float | None
    false_positives: tuple[LabeledScore, ...]
    false_negatives: tuple[LabeledScore, ...]
    calibration: Calibration | None = None

    def to_json(self) -> dict[str, object]:
        """As `report --json` prints it."""
        mistakes = {"found": self.false_positives, "missed": self.false_negatives}
        return {
            "label": self.label,
            "threshold": self.threshold,
            "n": self.counts.n,
            **self.counts.to_json(),
            "always_no_accuracy": self.counts.always_no_accuracy,
            "intervals": self.counts.intervals(),
            "average_precision": self.average_precision,
            "mistakes": {k: [{"path": j.path, "score": j.score} for j in some] for k, some in mistakes.items()},
            **({} if self.calibration is None else {"calibration": self.calibration.to_json()}),
        }


def measure(label: str, judged: Sequence[LabeledScore], threshold: float, *, calibration: bool = False) -> Metrics:
    """All figures of a report on judged photos; calibration: those of it, too."""
    wrong, missed = mistakes(judged, threshold)
    counts, area = count(judged, threshold), curve(judged).average_precision
    return Metrics(
        label, threshold, counts, area, tuple(wrong), tuple(missed), calibrate(judged) if calibration else None
    )


def count(judged: Sequence[LabeledScore], threshold: float) -> ConfusionMatrix:
    """The confusion matrix at a threshold."""
    scores, present = _arrays(judged)
    return count_flags(scores >= threshold, present)


def count_flags(found: Flags, present: Flags) -> ConfusionMatrix:
    """The confusion matrix of arrays [n]: which photos are found, and which show the label."""
    parts = (found & present, found & ~present, ~found & present, ~found & ~present)
    return ConfusionMatrix(*(int(part.sum()) for part in parts))


def f1_score(precision: float | None, recall: float | None) -> float:
    """The harmonic mean; 0 where one has no value."""
    precision, recall = precision or 0.0, recall or 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def curve(judged: Sequence[LabeledScore], weights: Sequence[float] | None = None) -> Curve:
    """The curve, on which photos of one score share a point. Empty where no photo shows the label.

    weights: how many photos each stands for (sampling.weights); 1 without.
    """
    scores, present = _arrays(judged)
    return _curve(scores, present, np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64))


def average_precision(scores: Floats, present: Flags, weights: Floats) -> float | None:
    """The area under the curve of arrays [n]."""
    return _curve(scores, present, weights).average_precision


def threshold_at_best_f1(scores: Floats, present: Flags, weights: Floats) -> float:
    """The threshold of the highest F1 of arrays [n], halfway to the next lower score; at least one is present."""
    order = np.argsort(-scores, kind="stable")
    hits, found = np.cumsum((weights * present)[order]), np.cumsum(weights[order])
    last = int((2 * hits / (found + hits[-1])).argmax())
    ranked = scores[order]
    return float(ranked[last] if last + 1 == len(ranked) else (ranked[last] + ranked[last + 1]) / 2)


def compare_rankings(
    new: Floats, old: Floats, present: Flags, weights: Floats, *, draws: int, seed: int = 0
) -> tuple[float, float, float]:
    """-> (average precision of the new scores, of the old ones, the share of draws in which the new is better).

    A paired bootstrap: the photos are drawn with replacement, the same for both (Efron, "Bootstrap methods", Annals of
    Statistics 7, 1979). A draw in which both are equal counts half.
    """
    rng, better = np.random.default_rng(seed), 0.0
    for _ in range(draws):
        drawn = rng.integers(0, len(present), len(present))
        ours, theirs = (average_precision(s[drawn], present[drawn], weights[drawn]) for s in (new, old))
        if ours is None or theirs is None:
            better += 0.5
        else:
            better += float(ours > theirs) + (ours == theirs) / 2
    own, former = (average_precision(s, present, weights) or 0.0 for s in (new, old))
    return own, former, better / draws


def threshold_at_precision(
    judged: Sequence[LabeledScore], precision: float, weights: Sequence[float] | None = None
) -> float | None:
    """The threshold of the highest recall among those with at least this precision; None where none has.

    It is one of the scores, so that count() at it gives the very counts that it was chosen by.
    """
    points = curve(judged, weights)
    return _best(points, points.precision >= precision, points.recall, points.precision)


def threshold_at_recall(
    judged: Sequence[LabeledScore], recall: float, weights: Sequence[float] | None = None
) -> float | None:
    """The threshold of the highest precision among those with at least this recall; None where no photo shows it."""
    points = curve(judged, weights)
    return _best(points, points.recall >= recall, points.precision, points.recall)


def mistakes(
    judged: Sequence[LabeledScore], threshold: float, n: int = MAX_MISTAKES
) -> tuple[list[LabeledScore], list[LabeledScore]]:
    """The most confident mistakes: (false positives from the highest score, false negatives from the lowest)."""
    scores, present = _arrays(judged)
    found = scores >= threshold
    wrong, missed = np.flatnonzero(found & ~present), np.flatnonzero(~found & present)
    wrong = wrong[np.argsort(-scores[wrong], kind="stable")][:n]
    missed = missed[np.argsort(scores[missed], kind="stable")][:n]
    return [judged[int(i)] for i in wrong], [judged[int(i)] for i in missed]


def reliability(
    judged: Sequence[LabeledScore], bins: int = BINS, equal: Literal["width", "mass"] = "width"
) -> list[Bin]:
    """Bins of equal width, or of equal numbers of photos, scores rising; empty ones are left out."""
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
            float(low if equal == "width" else inside[0]),
            float(high if equal == "width" else inside[-1]),
            len(inside),
            float(inside.mean()),
            float(shows.mean()),
            _wilson(int(shows.sum()), len(inside)),
        )
        for low, high, inside, shows in parts
        if len(inside)
    ]


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Expected calibration error: the mean distance between scores and the share that shows the label; 0 is best.

    It is biased upwards on few photos: even a perfect model's bins are off by chance.
    """
    n = sum(b.n for b in bins)
    return sum(b.n * abs(b.score - b.present) for b in bins) / n if n else None


def calibrate(judged: Sequence[LabeledScore]) -> Calibration:
    bins = reliability(judged)
    return Calibration(tuple(bins), calibration_error(bins), calibration_error(reliability(judged, equal="mass")))


def wilson(hits: int, n: int) -> Interval | None:
    """The 95 % interval of a share: 5 of 10 gives 0.237..0.763."""
    return _wilson(hits, n) if n else None


def _arrays(judged: Sequence[LabeledScore]) -> tuple[Floats, Flags]:
    n = len(judged)
    return (
        np.fromiter((j.score for j in judged), np.float64, n),
        np.fromiter((j.present for j in judged), np.bool_, n),
    )


def _curve(scores: Floats, present: Flags, weights: Floats) -> Curve:
    order = np.argsort(-scores, kind="stable")
    scores, hits, found = scores[order], np.cumsum((weights * present)[order]), np.cumsum(weights[order])
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else np.array([], int)
    if not present.any():
        return Curve(np.array([]), np.array([]), np.array([]))
    return Curve(scores[last], hits[last] / found[last], hits[last] / hits[-1])


def _best(points: Curve, allowed: Flags, first: Floats, then: Floats) -> float | None:
    """The allowed threshold of the highest `first`, and where several have that, of the highest `then`."""
    order = np.lexsort((then[allowed], first[allowed]))
    return float(points.thresholds[allowed][order[-1]]) if len(order) else None


def _wilson(hits: int, n: int) -> Interval:
    p = hits / n
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
