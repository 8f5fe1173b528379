"""What a page draws of the report on a label: the curve, the calibration and the most confident mistakes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from photosearch.judging.metrics import Bin, ConfusionMatrix, Curve, LabeledScore
    from photosearch.judging.report import LabelReport


@dataclass(frozen=True, slots=True)
class ReportFigures:
    """curve: precision and recall, empty where no marked photo shows the label. counts: at the report's threshold.

    bins: of equal width in scores, empty ones left out. false_positives: from the highest score down.
    false_negatives: from the lowest up.
    """

    curve: "Curve"
    counts: "ConfusionMatrix"
    bins: "tuple[Bin, ...]"
    calibration_error: float | None
    false_positives: "tuple[LabeledScore, ...]"
    false_negatives: "tuple[LabeledScore, ...]"


def measure_report(report: "LabelReport", *, mistakes: int = 24) -> ReportFigures:
    """The figures of a report's marked photos. mistakes: of each kind, at most."""
    from photosearch.judging import metrics

    bins = metrics.reliability(report.judged)
    wrong, missed = metrics.mistakes(report.judged, report.threshold, mistakes)
    return ReportFigures(
        metrics.curve(report.judged), metrics.count(report.judged, report.threshold), tuple(bins),
        metrics.calibration_error(bins), tuple(wrong), tuple(missed),
    )  # fmt: skip
