"""The threshold of a learned label, its figures on the examples, and its comparison with the label before it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from photosearch.judging import metrics, sampling
from photosearch.judging.metrics import ConfusionMatrix, Interval, compare_rankings
from photosearch.learning import logistic
from photosearch.learning.examples import Examples
from photosearch.learning.logistic import Flags, Floats

MIN_CONFIDENCE = 0.9  # the share of the draws in which the new label must rank better, to replace the old
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class ExampleMetrics:
    """Figures on the counted examples. precision, recall: estimates for the library, where the examples allow them.

    intervals: 95 %, of precision and recall.
    """

    counts: ConfusionMatrix
    precision: float | None
    recall: float | None
    intervals: Mapping[str, Interval | None]
    average_precision: float | None

    @property
    def f1(self) -> float:
        return metrics.f1_score(self.precision, self.recall)

    def to_json(self) -> dict[str, object]:
        return {
            **asdict(self.counts), "precision": self.precision, "recall": self.recall,
            "intervals": dict(self.intervals), "average_precision": self.average_precision,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """The learned label against the one before it. better: whether it may replace that. reason: in words.

    new_is_better_in: the share of the draws in which the new label ranks better, 0..1.
    """

    better: bool
    reason: str
    new_is_better_in: float


def choose_threshold(
    margins: Floats, library: Floats, examples: Examples, allowed: Flags, found: int | None
) -> tuple[float, float | None]:
    """-> (a threshold of the margins, the expected number of images that show the label, None if nobody can say).

    margins: of the examples [n], by classifiers that had not seen them. library: of all images [N]. allowed: the
    examples that may choose [n]. Examples from samples choose the best F1 of the library. A label that corrects another
    finds as many images as that, `found`: better ranked, they are the better ones, whatever was marked. For other
    labels see logistic.estimate_present.
    """
    if examples.hold_for_library:
        chosen = allowed & examples.counted
        weights = examples.weights[chosen]
        return metrics.threshold_at_best_f1(margins[chosen], examples.present[chosen], weights), None
    if found is not None:
        return float(np.sort(library)[-max(1, found)]), None
    expected, threshold = logistic.estimate_present(margins[allowed & examples.present], library)
    return threshold, expected


def measure(examples: Examples, scores: Floats, found: Flags) -> ExampleMetrics:
    """Figures of a label with these scores of the examples [n], some of which it finds [n]."""
    counted, present = examples.counted, examples.present
    counts = metrics.count_flags(found[counted], present[counted])
    precision, recall = counts.precision, counts.recall
    intervals: Mapping[str, Interval | None] = counts.intervals()
    if examples.hold_for_library:
        answers = [
            [sampling.JudgedPhoto(float(found[d.index]), d.stratum, d.population, bool(present[d.index])) for d in some]
            for some in examples.samples
            if some
        ]
        estimate = sampling.estimate(answers, 0.5)
        precision, recall, intervals = estimate.precision, estimate.recall, estimate.intervals
    area = metrics.average_precision(scores[counted], present[counted], examples.weights[counted])
    kept = {name: intervals[name] for name in ("precision", "recall")}
    return ExampleMetrics(counts, precision, recall, kept, area)


def compare(
    examples: Examples, new: Floats, new_metrics: ExampleMetrics, old: Floats, old_metrics: ExampleMetrics,
    old_model: str, seed: int,
) -> Comparison:  # fmt: skip
    """Compare the scores of the examples by a learned label with those by the label before it, of old_model."""
    counted = examples.counted
    own, former, share = compare_rankings(
        new[counted], old[counted], examples.present[counted], examples.weights[counted], draws=DRAWS, seed=seed
    )
    reason = (
        f"average precision on the same marks: {own:.3f}, against {former:.3f} of the label before, by {old_model}; "
        f"better in {100 * share:.0f} of 100 redraws of the marks (needed: {100 * MIN_CONFIDENCE:.0f}); F1 "
        f"{new_metrics.f1:.3f} against {old_metrics.f1:.3f} (needed: no less)"
    )
    better = own > former and share >= MIN_CONFIDENCE and new_metrics.f1 >= old_metrics.f1
    return Comparison(better, reason, share)
