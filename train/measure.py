"""How good scores are, in figures: one way to count, which is that of `photosearch report`.

Average precision is scikit-learn's; the counts, the shares and the calibration error are photosearch.judging.metrics's.
tests/train/test_train_measure.py holds the tool's own, which know neither scikit-learn nor scipy, against both.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score
from torch import nn

from train import looks
from train.data import talk
from train.fit import device
from train.networks.bird32 import Scorer, compute_logits, split
from train.tool import Model, metrics

RESAMPLES = 1000  # of the bootstrap
INTERVAL = (2.5, 97.5)  # percentiles: 95 %

Truth = npt.NDArray[np.bool_]


def average_precision(
    scores: npt.NDArray[Any], truth: Truth, weights: npt.NDArray[np.float64] | None = None
) -> float | None:
    """The area below the precision-recall curve as a staircase; equal scores count together. None without a bird."""
    return float(average_precision_score(truth, scores, sample_weight=weights)) if truth.any() else None


def bootstrap_average_precision(scores: npt.NDArray[Any], truth: Truth, seed: int = 0) -> tuple[float, float] | None:
    """95 %, by drawing the pictures anew with replacement, birds and others apart; seeded.

    Sums up average precision as `average_precision` does, a hundred times faster.
    """
    if not truth.any():
        return None
    rng = np.random.default_rng(seed)
    order = np.argsort(-scores, kind="stable")
    scores, truth = scores[order], truth[order]
    last = np.append(np.diff(scores) != 0, True)  # photos of one score cross the threshold together
    drawn = []
    for _ in range(RESAMPLES):
        times = np.zeros(len(scores))  # that a picture was drawn
        for here in (np.flatnonzero(truth), np.flatnonzero(~truth)):
            times[here] = rng.multinomial(len(here), np.full(len(here), 1 / max(1, len(here)))) if len(here) else 0
        hits, found = np.cumsum(times * truth)[last], np.cumsum(times)[last]
        drawn.append(float(np.sum(np.diff(hits, prepend=0.0) * hits / np.maximum(found, 1)) / hits[-1]))
    low, high = np.percentile(drawn, INTERVAL)
    return float(low), float(high)


def make_row(
    scores: npt.NDArray[Any], truth: Truth, threshold: float, split: str, label: str = "bird"
) -> dict[str, Any]:
    """One row of a card's table: the four counts of a label at a threshold, and what follows from them."""
    judged = [metrics.LabeledScore("", float(s), bool(t)) for s, t in zip(scores, truth, strict=True)]
    counts = metrics.count(judged, threshold)
    figures = {name: getattr(counts, name) for name in ("precision", "recall", "f1", "accuracy", "always_no_accuracy")}
    figures["average_precision"] = average_precision(scores, truth)
    figures["calibration_error"] = metrics.calibration_error(metrics.reliability(judged))
    return {
        "split": split, "label": label, "n": counts.n, "positives": counts.tp + counts.fn, "threshold": threshold,
        "tp": counts.tp, "fp": counts.fp, "fn": counts.fn, "tn": counts.tn,
        **{name: round(value or 0.0, 4) for name, value in figures.items()},
    }  # fmt: skip


def make_rows(scores: npt.NDArray[Any], pictures: talk.Pictures, threshold: float, part: str) -> list[dict[str, Any]]:
    """The whole, then CIFAR-10's part alone."""
    cifar = pictures.part("cifar-10")
    return [
        make_row(scores, pictures.birds, threshold, f"cifar-10 + cub, {part}"),
        make_row(scores[cifar], pictures.birds[cifar], threshold, f"cifar-10, {part}"),
    ]


def judge_on(validation: talk.Pictures) -> Callable[[nn.Module], float]:
    """A function that gives a network's average precision on CIFAR-10's part: CUB's birds are found early."""
    here = validation.part("cifar-10")

    def judge(network: nn.Module) -> float:
        with torch.autocast(device().type, torch.bfloat16):
            logits = compute_logits(Scorer(network), validation.images[here])
        return average_precision(logits, validation.birds[here]) or 0.0

    return judge


def measure_test(path: Path, data: Path) -> list[dict[str, Any]]:
    """A model's file on the talk's test part: the rows for its card. A look; the file's ledger counts it."""
    model, test = Model(path, provider="cpu"), talk.load(data, "test")
    scores = np.concatenate([model.score(batch)[:, 0] for batch in split(test.images)])
    for on in ("cifar-10 + cub", "cifar-10"):
        looks.count(path, model.card.name, on)
    return make_rows(scores, test, model.card.threshold("bird"), "test")


def show(path: Path) -> None:
    """The talk's 2x2 table of each split in a card, on stdout."""
    card, console = Model(path, provider="cpu").card, Console()
    console.print(f"\n{card.name} {card.version}: {path}, {path.stat().st_size / 2**20:.1f} MiB", highlight=False)
    for row in card.measured:
        table = Table(title=f"{row['split']}: {row['n']:,} pictures, {row['positives']:,} birds", title_justify="left")
        table.add_column("")
        table.add_column("is a bird", justify="right")
        table.add_column("is not", justify="right")
        table.add_row(f"said bird (score >= {row['threshold']})", f"{row['tp']:,}", f"{row['fp']:,}")
        table.add_row("said no", f"{row['fn']:,}", f"{row['tn']:,}")
        console.print(table)
        console.print(
            f"precision {row['precision']:.4f}  recall {row['recall']:.4f}  F1 {row['f1']:.4f}  accuracy "
            f"{row['accuracy']:.4f} (always no: {row['always_no_accuracy']:.4f})\naverage precision "
            f"{row['average_precision']:.4f}  calibration error {row['calibration_error']:.4f}\n",
            highlight=False,
        )
