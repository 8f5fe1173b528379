"""Pictures of a report: the precision-recall curve, and how far scores can be trusted. Only here is matplotlib known.

It comes with the extra `plot` and is imported when a picture is drawn. Figures are made without pyplot, so that
nothing of them is left in the process.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from photosearch import atomic
from photosearch.errors import InputError
from photosearch.judging import metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREY = "#0072b2", "#d55e00", "#808080"  # told apart by the colour-blind: Okabe and Ito (2008)
DPI = 150


def precision_recall(path: Path, judged: Sequence[metrics.LabeledScore], threshold: float, label: str) -> None:
    """Draw the curve with the point of the threshold and its 95 % intervals. The path's suffix is the format.

    The dashed line is the precision of taking all photos. Raises InputError.
    """
    curve, counts = metrics.curve(judged), metrics.count(judged, threshold)
    if not len(curve.recall):
        raise InputError(
            f"none of the {len(judged):,} photos that you know of shows {label}: there is no curve to draw"
        )
    with _figure(path, (6.4, 5.6)) as figure:
        axes = figure.add_subplot()
        # Between two points the precision is that of the one further on: as average precision counts the area.
        axes.step(np.append(0, curve.recall), np.append(curve.precision[0], curve.precision), where="pre", color=BLUE,
                  label="by every threshold")  # fmt: skip
        everything = 1 - (counts.always_no_accuracy or 0)
        axes.axhline(everything, color=GREY, linestyle="--", linewidth=1, label="by taking all photos")
        _point(axes, counts, threshold)
        axes.legend(loc="lower left")
        _shares(axes, "recall", "precision")
        there, area = counts.tp + counts.fn, curve.average_precision
        _title(axes, f"{label}: {counts.n:,} photos, {there:,} show it, average precision {area:.3f}")


def reliability(path: Path, judged: Sequence[metrics.LabeledScore], threshold: float, label: str) -> None:
    """Draw, for each tenth of the scores, the share that shows the label: on the diagonal, a score is what it says.

    Below, how many photos have such scores. The dotted line is the threshold. Raises InputError.
    """
    bins = metrics.reliability(judged)
    error = metrics.calibration_error(bins)
    if error is None:
        raise InputError("there are no photos whose truth is known: nothing to draw")
    shares = np.array([b.present for b in bins])
    scores = [b.score for b in bins]
    with _figure(path, (6.4, 7.2)) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        ends = np.array([b.interval for b in bins]).T
        reach = np.maximum([shares - ends[0], ends[1] - shares], 0)
        above.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="scores as they should be")
        above.errorbar(
            scores, shares, reach, fmt="o-", color=BLUE, linewidth=1, capsize=3, label="these, with 95 % intervals"
        )
        above.axvline(threshold, color=RED, linestyle=":", label=f"the threshold, {threshold:.3f}")
        above.legend(loc="upper left")
        _shares(above, "", "share that shows it")
        _title(above, f"{label}: {len(judged):,} photos, expected calibration error {error:.3f}")
        below.bar([b.low for b in bins], [b.n for b in bins], [b.high - b.low for b in bins], align="edge",
                  color=BLUE, edgecolor="white")  # fmt: skip
        below.set(xlabel="score", ylabel="photos", yscale="log", ylim=(0.8, None))
        below.axvline(threshold, color=RED, linestyle=":")


@contextlib.contextmanager
def _figure(path: Path, inches: tuple[float, float]) -> Iterator["Figure"]:
    """A figure that is written aside at the end, and takes the path's place when it is whole."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("drawing needs matplotlib: pip install 'photosearch[plot]'") from None
    figure = Figure(figsize=inches, dpi=DPI, layout="constrained")
    form = path.suffix.lower().removeprefix(".")
    if form not in figure.canvas.get_supported_filetypes():
        raise InputError(f"{path}: can't draw this kind of file; end the name in .png, .svg or .pdf")
    yield figure
    try:
        with atomic.write_file(path) as part, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a label in letters that the font lacks
            figure.savefig(part, format=form)
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror}") from None


def _point(axes: "Axes", counts: metrics.ConfusionMatrix, threshold: float) -> None:
    """The threshold's own point, with a cross as long as its intervals; none where nothing is found."""
    precision, recall = counts.precision, counts.recall
    known = counts.intervals()
    up, across = known["precision"], known["recall"]
    if precision is None or recall is None or up is None or across is None:
        return
    axes.plot(across, (precision, precision), color=RED, linewidth=1)
    axes.plot((recall, recall), up, color=RED, linewidth=1)
    axes.plot(
        recall,
        precision,
        "o",
        color=RED,
        label=f"from {threshold:.3f} on: precision {precision:.3f}, recall {recall:.3f}",
    )


def _title(axes: "Axes", text: str) -> None:
    axes.set_title(text, parse_math=False)  # a label may hold $, which would begin a formula


def _shares(axes: "Axes", across: str, up: str) -> None:
    axes.set(xlabel=across, ylabel=up, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(color="#e0e0e0", linewidth=0.5)
