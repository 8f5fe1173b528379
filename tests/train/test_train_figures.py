"""Figures compared with counts by hand, scikit-learn and scipy."""

import json

import numpy as np
import pytest

from train import figures
from train.tool import metrics


def test_average_precision_equals_count_by_hand():
    scores = np.array([0.9, 0.8, 0.8, 0.3, 0.1])
    truth = np.array([True, True, False, False, True])

    assert figures.average_precision(scores, truth) == pytest.approx(1 / 3 + 2 / 9 + 1 / 5)
    assert figures.average_precision(scores, np.zeros(5, bool)) is None


@pytest.mark.slow
def test_report_figures_equal_scikit_learn_and_scipy():
    from scipy.stats import binomtest
    from sklearn.metrics import average_precision_score, confusion_matrix

    rng = np.random.default_rng(4)
    for n in (30, 500):
        truth = rng.random(n) < 0.3
        scores = np.clip(0.35 * truth + rng.random(n) * 0.6, 0, 1).round(2)
        pairs = figures.pair(scores, truth)
        assert metrics.curve(pairs).average_precision == pytest.approx(average_precision_score(truth, scores))
        counts = metrics.count(pairs, 0.5)
        (tn, fp), (fn, tp) = confusion_matrix(truth, scores >= 0.5)
        assert (counts.tp, counts.fp, counts.fn, counts.tn) == (tp, fp, fn, tn)
        interval = binomtest(tp, tp + fp).proportion_ci(method="wilson")
        assert metrics.wilson(counts.tp, counts.tp + counts.fp) == pytest.approx((interval.low, interval.high))


def test_make_row_counts_at_threshold():
    row = figures.make_row(np.array([0.9, 0.5, 0.4, 0.1]), np.array([True, False, True, False]), 0.5, "test")

    assert json.loads(json.dumps(row)) == {
        "split": "test", "label": "bird", "n": 4, "positives": 2, "threshold": 0.5, "tp": 1, "fp": 1, "fn": 1, "tn": 1,
        "precision": 0.5, "recall": 0.5, "f1": 0.5, "accuracy": 0.5, "always_no_accuracy": 0.5,
        "average_precision": 0.8333, "calibration_error": row["calibration_error"],
    }  # fmt: skip


def test_count_has_none_for_undefined_shares():
    row = figures.count(np.array([0.1, 0.2]), np.zeros(2, bool), 0.5)

    assert (row["precision"], row["recall"], row["average_precision"]) == (None, None, None)
    assert (row["n"], row["positives"], row["tn"]) == (2, 0, 2)


def test_best_f1_threshold_separates_positives_from_negatives():
    thresholds = np.array([0.0, 0.2, 0.4, 0.6])

    assert figures.best_f1_threshold(thresholds, np.array([0, 0, 5, 5]), np.array([9, 9, 0, 0])) == 0.4
    assert figures.best_f1_threshold(thresholds, np.array([1, 0, 0, 5]), np.array([9, 9, 0, 0])) == 0.4
    assert figures.best_f1_threshold(thresholds, np.zeros(4), np.ones(4)) == 0.5
