"""Plots of a report: the precision-recall curve and the reliability diagram. The only module that uses matplotlib.

It comes with the extra `plot` and is imported when something is drawn. Figures are made without pyplot, so that the
process keeps nothing of them.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from photosearch import outputs
from photosearch.errors import InputError
from photosearch.judging import metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREY = "#0072b2", "#d55e00", "#808080"  # told apart by the colour-blind: Okabe and Ito (2008)
DPI = 150
FORMS = {"png": outputs.PNG, "svg": outputs.SVG, "pdf": outputs.PDF}


def draw_precision_recall(
    path: str | Path, judged: Sequence[metrics.LabeledScore], threshold: float, label: str, *, force: bool = False
) -> None:
    """Draw the curve, and on it the threshold with its 95 % intervals. The path's suffix gives the format.

    The dashed line is the baseline: the precision of finding all photos. Raises InputError.
    """
    curve, counts = metrics.curve(judged), metrics.count(judged, threshold)
    if not len(curve.recall):
        raise InputError(f"none of the {len(judged):,} marked photos shows {label}: there is no curve to draw")
    with _figure(path, (6.4, 5.6), force) as figure:
        axes = figure.add_subplot()
        # Between two points the precision is the next one's, as in the area of average precision.
        axes.step(np.append(0, curve.recall), np.append(curve.precision[0], curve.precision), where="pre", color=BLUE,
                  label="all thresholds")  # fmt: skip
        everything = 1 - (counts.always_no_accuracy or 0)
        axes.axhline(everything, color=GREY, linestyle="--", linewidth=1, label="baseline: all photos")
        _draw_threshold(axes, counts, threshold)
        axes.legend(loc="lower left")
        _set_axes(axes, "recall", "precision")
        present, area = counts.tp + counts.fn, curve.average_precision
        _set_title(axes, f"{label}: {counts.n:,} photos, {present:,} show it, average precision {area:.3f}")


def draw_reliability(
    path: str | Path, judged: Sequence[metrics.LabeledScore], threshold: float, label: str, *, force: bool = False
) -> None:
    """Draw the share of photos that show the label for each tenth of the scores: on the diagonal, it is the score.

    Below, the number of photos with such scores. The dotted line is the threshold. Raises InputError.
    """
    bins = metrics.reliability(judged)
    error = metrics.calibration_error(bins)
    if error is None:
        raise InputError("no photos are marked: there is nothing to draw")
    shares = np.array([b.present for b in bins])
    scores = [b.score for b in bins]
    with _figure(path, (6.4, 7.2), force) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        ends = np.array([b.interval for b in bins]).T
        reach = np.maximum([shares - ends[0], ends[1] - shares], 0)
        above.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfect calibration")
        above.errorbar(
            scores, shares, reach, fmt="o-", color=BLUE, linewidth=1, capsize=3, label="measured, with 95 % intervals"
        )
        above.axvline(threshold, color=RED, linestyle=":", label=f"threshold {threshold:.3f}")
        above.legend(loc="upper left")
        _set_axes(above, "", "share that shows it")
        _set_title(above, f"{label}: {len(judged):,} photos, expected calibration error {error:.3f}")
        below.bar([b.low for b in bins], [b.n for b in bins], [b.high - b.low for b in bins], align="edge",
                  color=BLUE, edgecolor="white")  # fmt: skip
        below.set(xlabel="score", ylabel="photos", yscale="log", ylim=(0.8, None))
        below.axvline(threshold, color=RED, linestyle=":")


def choose_form(path: str | Path) -> tuple[str, outputs.Form]:
    """The format by the path's suffix, PNG for stdout -> (its name, the form of its files). Raises InputError."""
    name = "png" if str(path) == outputs.STDOUT else Path(path).suffix.lower().removeprefix(".")
    if name not in FORMS:
        raise InputError(f"{path}: unknown image format; end the name in .png, .svg or .pdf")
    return name, FORMS[name]


@contextlib.contextmanager
def _figure(path: str | Path, inches: tuple[float, float], force: bool) -> Iterator["Figure"]:
    """A figure that is saved at the end, marked as this tool's."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("plots need matplotlib: pip install 'photosearch[plot]'") from None
    name, form = choose_form(path)
    outputs.check_output(path, form, force=force)
    figure = Figure(figsize=inches, dpi=DPI, layout="constrained")
    yield figure
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the font may lack a label's letters
        figure.savefig(data, format=name, metadata={"Software" if name == "png" else "Creator": outputs.PROGRAM})
    outputs.write_output(path, data.getvalue(), form, force=force)


def _draw_threshold(axes: "Axes", counts: metrics.ConfusionMatrix, threshold: float) -> None:
    """Draw the threshold's point and a cross of its intervals; nothing where no photo is found."""
    precision, recall = counts.precision, counts.recall
    intervals = counts.intervals()
    up, across = intervals["precision"], intervals["recall"]
    if precision is None or recall is None or up is None or across is None:
        return
    axes.plot(across, (precision, precision), color=RED, linewidth=1)
    axes.plot((recall, recall), up, color=RED, linewidth=1)
    label = f"threshold {threshold:.3f}: precision {precision:.3f}, recall {recall:.3f}"
    axes.plot(recall, precision, "o", color=RED, label=label)


def _set_title(axes: "Axes", text: str) -> None:
    axes.set_title(text, parse_math=False)  # a label may hold $, which begins a formula


def _set_axes(axes: "Axes", across: str, up: str) -> None:
    axes.set(xlabel=across, ylabel=up, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(color="#e0e0e0", linewidth=0.5)
