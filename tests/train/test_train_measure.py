"""Figures: by hand, and against scikit-learn and scipy."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, confusion_matrix

from train import measure
from train.tool import metrics


def test_average_precision_agrees_with_a_count_by_hand():
    scores = np.array([0.9, 0.8, 0.8, 0.3, 0.1])
    truth = np.array([True, True, False, False, True])

    assert measure.average_precision(scores, truth) == pytest.approx(1 / 3 + 2 / 9 + 1 / 5)
    assert measure.average_precision(scores, np.zeros(5, bool)) is None


def test_what_the_tool_counts_without_scikit_learn_and_scipy_is_what_they_count():
    rng = np.random.default_rng(4)
    for n in (30, 500):
        truth = rng.random(n) < 0.3
        scores = np.clip(0.35 * truth + rng.random(n) * 0.6, 0, 1).round(2)
        judged = [
            metrics.LabeledScore(str(i), float(s), bool(t)) for i, (s, t) in enumerate(zip(scores, truth, strict=True))
        ]
        assert metrics.curve(judged).average_precision == pytest.approx(average_precision_score(truth, scores))
        counts = metrics.count(judged, 0.5)
        (tn, fp), (fn, tp) = confusion_matrix(truth, scores >= 0.5)
        assert (counts.tp, counts.fp, counts.fn, counts.tn) == (tp, fp, fn, tn)
        interval = binomtest(tp, tp + fp).proportion_ci(method="wilson")
        assert metrics.wilson(counts.tp, counts.tp + counts.fp) == pytest.approx((interval.low, interval.high))


def test_a_row_of_the_table_counts_what_it_says():
    row = measure.make_row(np.array([0.9, 0.5, 0.4, 0.1]), np.array([True, False, True, False]), 0.5, "test")

    assert json.loads(json.dumps(row)) == {
        "split": "test", "label": "bird", "n": 4, "positives": 2, "threshold": 0.5, "tp": 1, "fp": 1, "fn": 1, "tn": 1,
        "precision": 0.5, "recall": 0.5, "f1": 0.5, "accuracy": 0.5, "always_no_accuracy": 0.5,
        "average_precision": 0.8333, "calibration_error": row["calibration_error"],
    }  # fmt: skip
