"""A learned label takes the place of the one before it only where it is better beyond doubt, and no worse by F1."""

import numpy as np
import pytest

from photosearch.judging.metrics import ConfusionMatrix
from photosearch.learning.choose import Comparison, ExampleMetrics, compare
from photosearch.learning.examples import Examples

N = 20  # marks of each kind
PERFECT = np.linspace(0.0, 1.0, 2 * N)
SLIP = np.where(np.arange(2 * N) == N, 0.4, PERFECT)  # one photo below some that do not show it
POOR = np.tile([0.2, 0.8], N)


def decide(new: np.ndarray, old: np.ndarray, new_f1: float = 0.8, old_f1: float = 0.8) -> Comparison:
    present, every = np.arange(2 * N) >= N, np.ones(2 * N, bool)
    examples = Examples(list(range(2 * N)), np.zeros((2 * N, 1)), present, [], every.astype(float), every)
    counts = ConfusionMatrix(0, 0, 0, 0)
    ours, theirs = (ExampleMetrics(counts, f1, f1, {}, None) for f1 in (new_f1, old_f1))
    return compare(examples, new, ours, old, theirs, "toy", 1)


@pytest.mark.parametrize(
    ("new", "old", "f1", "better"),
    [(PERFECT, POOR, 0.8, True), (PERFECT, POOR, 0.79, False), (PERFECT, SLIP, 0.8, False),
     (PERFECT, PERFECT, 0.8, False), (POOR, PERFECT, 0.9, False)],
)  # fmt: skip
def test_label_is_replaced_by_one_that_is_surely_better(
    new: np.ndarray, old: np.ndarray, f1: float, better: bool
) -> None:
    found = decide(new, old, f1)
    assert found.better is better
    assert f"better in {100 * found.new_is_better_in:.0f} of 100 redraws of the marks (needed: 90)" in found.reason
