"""The figures of all evaluations, computed by the functions of `photosearch report`.

tests/train/test_train_metrics.py compares those with scikit-learn and scipy.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from train.tool import metrics, retrieval

RESAMPLES = 1000  # of the bootstrap
INTERVAL = (2.5, 97.5)  # percentiles: 95 %

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[Any]
Truth = npt.NDArray[np.bool_]


def pair(scores: Scores, truth: Truth, paths: Sequence[str] | None = None) -> list[metrics.LabeledScore]:
    """Scores and truth [N] in the form that photosearch.judging takes."""
    names = [""] * len(scores) if paths is None else paths
    return [metrics.LabeledScore(p, float(s), bool(t)) for p, s, t in zip(names, scores, truth, strict=True)]


def average_precision(scores: Scores, truth: Truth) -> float | None:
    """Area under the precision-recall curve as a staircase; equal scores count together. None without a positive."""
    return metrics.average_precision(scores.astype(np.float64), truth, np.ones(len(scores)))


def bootstrap_average_precision(scores: Scores, truth: Truth, seed: int = 0) -> tuple[float, float] | None:
    """95 % interval: positives and negatives are resampled separately, with replacement and a fixed seed."""
    if not truth.any():
        return None
    rng = np.random.default_rng(seed)
    order = np.argsort(-scores, kind="stable")
    scores, truth = scores[order], truth[order]
    last = np.append(np.diff(scores) != 0, True)  # equal scores pass the threshold together
    samples = []
    for _ in range(RESAMPLES):
        times = np.zeros(len(scores))  # each picture was drawn
        for group in (np.flatnonzero(truth), np.flatnonzero(~truth)):
            n = len(group)
            times[group] = rng.multinomial(n, np.full(n, 1 / n)) if n else 0
        hits, found = np.cumsum(times * truth)[last], np.cumsum(times)[last]
        samples.append(float(np.sum(np.diff(hits, prepend=0.0) * hits / np.maximum(found, 1)) / hits[-1]))
    low, high = np.percentile(samples, INTERVAL)
    return float(low), float(high)


def recall_at_precision(scores: Scores, truth: Truth, precisions: Sequence[float]) -> dict[str, float]:
    """The highest recall at each precision, read off the curve of these very pictures: it suggests no threshold."""
    curve = metrics.curve(pair(scores, truth))
    return {str(p): float(curve.recall[curve.precision >= p].max(initial=0.0)) for p in precisions}


def calibration_error(scores: Scores, truth: Truth) -> float | None:
    """Expected calibration error over ten bins of equal width."""
    return metrics.calibration_error(metrics.reliability(pair(scores, truth)))


def best_f1_threshold(thresholds: Floats, positives: Floats, negatives: Floats) -> float:
    """The threshold of the highest F1; 0.5 without a positive.

    thresholds [K], rising; positives, negatives [K]: how many score at least thresholds[i] and less than the next.
    """
    hits, found = (np.cumsum(counts[::-1])[::-1] for counts in (positives, positives + negatives))
    return float(thresholds[np.argmax(2 * hits / (found + hits[0]))]) if hits[0] else 0.5


def count(scores: Scores, truth: Truth, threshold: float) -> dict[str, Any]:
    """Confusion matrix of a label and its shares, to four digits; None where a share is undefined."""
    counts = metrics.count(pair(scores, truth), threshold)
    shares = {
        "precision": counts.precision,
        "recall": counts.recall,
        "average_precision": average_precision(scores, truth),
    }
    return {
        "threshold": threshold, "n": counts.n, "positives": counts.tp + counts.fn,
        "tp": counts.tp, "fp": counts.fp, "fn": counts.fn, "tn": counts.tn,
        **{name: None if value is None else round(value, 4) for name, value in shares.items()},
    }  # fmt: skip


def make_row(scores: Scores, truth: Truth, threshold: float, split: str, label: str = "bird") -> dict[str, Any]:
    """A row of a card's `measured`: `count`, F1, accuracy and calibration error; undefined shares are 0."""
    counts = metrics.count(pair(scores, truth), threshold)
    row = {name: 0.0 if value is None else value for name, value in count(scores, truth, threshold).items()}
    more = {name: getattr(counts, name) for name in ("f1", "accuracy", "always_no_accuracy")}
    more["calibration_error"] = calibration_error(scores, truth)
    return {"split": split, "label": label, **row, **{name: round(value or 0.0, 4) for name, value in more.items()}}


def rank_photos(queries: Scores, photos: Scores, own: npt.NDArray[np.int64]) -> dict[str, float]:
    """Recall at 1, 5 and 10, mean reciprocal and median rank of each query's own photo.

    queries [Q, D], photos [N, D], of unit length; own [Q]: the index of each query's photo.
    """
    similarities = queries @ photos.T
    ranks = 1 + (similarities > similarities[np.arange(len(own)), own][:, None]).sum(1)
    result = retrieval.evaluate(ranks[:, None].tolist(), len(photos))
    names = ("recall_at_1", "recall_at_5", "recall_at_10", "mrr")
    return {**{name: getattr(result, name) for name in names}, "median_rank": float(np.median(ranks))}


def show(title: str, figures: Mapping[str, Any]) -> None:
    """Print the talk's 2x2 table of birds and the figures, with intervals if there are any.

    figures: a row of a card's `measured`, or a result of `evaluate`.
    """
    console = Console(highlight=False)
    console.print(f"{title}: {figures['n']:,} pictures, threshold {figures['threshold']:.4f}", markup=False)
    counts = Table("", "predicted bird", "predicted not bird")
    counts.add_row("bird", f"{figures['tp']:,}", f"{figures['fn']:,}")
    counts.add_row("not bird", f"{figures['fp']:,}", f"{figures['tn']:,}")
    console.print(counts)
    errors = figures.get("calibration") or {"expected_calibration_error": figures.get("calibration_error")}
    for name in ("precision", "recall", "f1", "accuracy", "always_no_accuracy", "average_precision"):
        interval = figures.get("intervals", {}).get(name)
        between = f"  ({interval[0]:.4f} to {interval[1]:.4f})" if interval else ""
        console.print(f"{name.replace('_', ' '):20} {_format(figures[name])}{between}", markup=False)
    console.print(f"{'calibration error':20} {_format(errors['expected_calibration_error'])}")


def _format(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
