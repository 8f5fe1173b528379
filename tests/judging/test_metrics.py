"""Counts, shares and their intervals, the curve and its thresholds, calibration: against numbers worked out by hand."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photosearch.judging import metrics
from photosearch.judging.metrics import ConfusionMatrix, LabeledScore

#         a bird, a bird, a plane, a bird, a kite, a cat
SIX = [(0.9, True), (0.8, True), (0.8, False), (0.4, True), (0.3, False), (0.1, False)]


def judged(pairs):
    return [LabeledScore(f"{i}.jpg", score, present) for i, (score, present) in enumerate(pairs)]


def by_hand(photos, threshold):
    """The four counts, photo by photo."""
    cells = [(photo.score >= threshold, photo.present) for photo in photos]
    return ConfusionMatrix(
        *(cells.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False)))
    )


# Scores of a coarse grid, so that many are the same, and float32's, as models give them.
some_scores = st.integers(0, 12).map(lambda i: float(np.float32(i / 12)))
some_photos = st.lists(st.tuples(some_scores, st.booleans()), max_size=30).map(judged)


def test_count_finds_scores_at_the_threshold():
    assert metrics.count(judged(SIX), 0.8) == ConfusionMatrix(tp=2, fp=1, fn=1, tn=2)
    assert metrics.count(judged(SIX), 0.8000001) == ConfusionMatrix(tp=1, fp=0, fn=2, tn=3)


def test_confusion_matrix_shares():
    c = ConfusionMatrix(tp=90, fp=10, fn=30, tn=870)
    assert (c.n, c.precision, c.recall, c.f1) == (1000, 0.9, 0.75, pytest.approx(2 * 0.9 * 0.75 / (0.9 + 0.75)))
    assert (c.accuracy, c.always_no_accuracy) == (0.96, 0.88)


def test_shares_without_a_value_are_none():
    nothing_found, nothing_there = ConfusionMatrix(0, 0, 3, 5), ConfusionMatrix(0, 0, 0, 5)
    assert (nothing_found.precision, nothing_found.recall, nothing_found.f1) == (None, 0.0, 0.0)
    assert (nothing_there.precision, nothing_there.recall, nothing_there.f1) == (None, None, None)
    assert nothing_there.intervals() == {
        "precision": None, "recall": None, "f1": None, "accuracy": pytest.approx((0.5655, 1.0), abs=1e-4),
    }  # fmt: skip
    assert ConfusionMatrix(0, 0, 0, 0).accuracy is None


@pytest.mark.parametrize(
    ("hits", "n", "interval"),  # from the formula, worked out with a calculator
    [(5, 10, (0.2366, 0.7634)), (0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (97, 100, (0.9155, 0.9897))],
)
def test_wilson_interval_by_hand(hits, n, interval):
    assert metrics.wilson(hits, n) == pytest.approx(interval, abs=5e-5)


def test_wilson_interval_stays_between_0_and_1():
    ends = [end for n in range(1, 200) for hits in (0, n) for end in metrics.wilson(hits, n)]
    assert (min(ends), max(ends)) == (0, 1)


def test_f1_interval_has_95_percent_coverage():
    rng = np.random.default_rng(1)
    cells = np.array([0.2, 0.05, 0.1, 0.65])
    true = ConfusionMatrix(200, 50, 100, 650).f1
    intervals = [ConfusionMatrix(*map(int, drawn)).intervals()["f1"] for drawn in rng.multinomial(150, cells, 1000)]
    assert 0.93 <= np.mean([low <= true <= high for low, high in intervals]) <= 0.97


def test_curve_has_one_point_for_each_score():
    c = metrics.curve(judged(SIX))
    assert c.thresholds.tolist() == [0.9, 0.8, 0.4, 0.3, 0.1]
    assert c.precision.tolist() == [1, 2 / 3, 3 / 4, 3 / 5, 3 / 6]
    assert c.recall.tolist() == [1 / 3, 2 / 3, 1, 1, 1]


@given(some_photos)
def test_curve_points_agree_with_count(photos):
    c = metrics.curve(photos)
    counts = [by_hand(photos, t) for t in c.thresholds]
    assert [metrics.count(photos, t) for t in c.thresholds] == counts
    assert (c.precision.tolist(), c.recall.tolist()) == ([x.precision for x in counts], [x.recall for x in counts])
    there = sorted({p.score for p in photos}, reverse=True) if any(p.present for p in photos) else []
    assert c.thresholds.tolist() == there


def test_average_precision_by_hand():
    # scikit-learn's own example in the documentation of average_precision_score.
    pairs = [(0.1, False), (0.4, False), (0.35, True), (0.8, True)]
    assert metrics.curve(judged(pairs)).average_precision == pytest.approx(1 / 2 + 2 / 3 / 2)
    assert metrics.curve(judged([(0.5, False)])).average_precision is None
    assert metrics.curve([]).average_precision is None


def test_average_precision_of_equal_scores_is_chance():
    pairs = [(0.5, True), (0.5, False), (0.5, False), (0.5, False)]
    assert {metrics.curve(judged(p)).average_precision for p in (pairs, pairs[::-1])} == {0.25}


@given(some_photos, st.floats(0, 1))
def test_threshold_at_precision_has_the_highest_recall(photos, wanted):
    tried = [by_hand(photos, t) for t in {p.score for p in photos}]
    best = max((c.recall for c in tried if c.recall is not None and c.precision >= wanted), default=None)
    got = metrics.threshold_at_precision(photos, wanted)
    assert (got is None) == (best is None)
    if got is not None:
        counts = by_hand(photos, json.loads(json.dumps(got)))
        assert counts.precision >= wanted
        assert counts.recall == best


@given(some_photos, st.floats(0, 1))
def test_threshold_at_recall_has_the_highest_precision(photos, wanted):
    tried = [by_hand(photos, t) for t in {p.score for p in photos}]
    best = max(((c.precision, c.recall) for c in tried if c.recall is not None and c.recall >= wanted), default=None)
    got = metrics.threshold_at_recall(photos, wanted)
    assert (got is None) == (best is None)
    if got is not None:
        counts = by_hand(photos, got)
        assert (counts.precision, counts.recall) == best


def test_threshold_at_precision_is_none_out_of_reach():
    photos = judged([(0.9, False), (0.8, True)])
    assert metrics.threshold_at_precision(photos, 0.97) is None
    assert metrics.threshold_at_precision(photos, 0.5) == 0.8
    assert metrics.threshold_at_recall(judged([(0.9, False)]), 0.0) is None


@pytest.mark.slow
@settings(max_examples=50)
@given(some_photos, st.data())
def test_curve_weights_act_like_copies(photos, data):
    times = data.draw(st.lists(st.integers(1, 4), min_size=len(photos), max_size=len(photos)))
    weighted = metrics.curve(photos, times)
    copied = metrics.curve([p for p, n in zip(photos, times, strict=True) for _ in range(n)])
    for name in ("thresholds", "precision", "recall"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(copied, name))
    assert (metrics.threshold_at_precision(photos, 0.5, times) is None) == (
        not len(copied.precision) or copied.precision.max() < 0.5
    )


def test_mistakes_come_most_confident_first():
    photos = judged([(0.6, False), (0.99, False), (0.7, True), (0.01, True), (0.4, True), (0.2, False)])
    wrong, missed = metrics.mistakes(photos, 0.5)
    assert [p.path for p in wrong] == ["1.jpg", "0.jpg"]
    assert [p.path for p in missed] == ["3.jpg", "4.jpg"]
    assert metrics.mistakes(photos, 0.5, n=1) == ([photos[1]], [photos[3]])


def test_reliability_bins_of_equal_width():
    bins = metrics.reliability(judged([(0.0, False), (0.05, False), (0.1, True), (0.19, False), (1.0, True)]))
    assert [(b.low, b.high, b.n, b.present) for b in bins] == [(0.0, 0.1, 2, 0.0), (0.1, 0.2, 2, 0.5), (0.9, 1.0, 1, 1)]
    assert [b.score for b in bins] == pytest.approx([0.025, 0.145, 1.0])
    assert [b.interval for b in bins] == [metrics.wilson(0, 2), metrics.wilson(1, 2), metrics.wilson(1, 1)]


def test_reliability_bins_of_equal_mass():
    photos = judged([(i**3 / 1000, i % 2 == 0) for i in range(10)])
    bins = metrics.reliability(photos, 5, equal="mass")
    assert [b.n for b in bins] == [2] * 5
    assert [(b.low, b.high) for b in bins] == [(i**3 / 1000, (i + 1) ** 3 / 1000) for i in range(0, 10, 2)]
    assert [b.n for b in metrics.reliability(photos[:3], 5, equal="mass")] == [1, 1, 1]


def test_calibration_error_weights_bins_by_photos():
    photos = judged([(0.8, True)] * 6 + [(0.8, False)] * 4 + [(0.1, False)] * 30)
    # Ten photos at 0.8 of which 6 are right: 0.2 off; thirty at 0.1 of which none: 0.1 off.
    assert metrics.calibration_error(metrics.reliability(photos)) == pytest.approx((10 * 0.2 + 30 * 0.1) / 40)
    assert metrics.calibration_error([]) is None


def test_calibration_error_is_small_for_calibrated_scores():
    rng = np.random.default_rng(1)
    scores = rng.beta(0.4, 0.8, 20_000)
    honest = judged(list(zip(scores, rng.random(20_000) < scores, strict=True)))
    boastful = judged([(min(1.0, 1.5 * p.score), p.present) for p in honest])
    for equal in ("width", "mass"):
        assert metrics.calibration_error(metrics.reliability(honest, equal=equal)) < 0.01
        assert metrics.calibration_error(metrics.reliability(boastful, equal=equal)) > 0.05


def test_metrics_to_json():
    photos = judged(SIX)
    told = json.loads(json.dumps(metrics.measure("bird", photos, 0.8).to_json(), allow_nan=False))
    intervals = told.pop("intervals")
    assert told == {
        "label": "bird",
        "threshold": 0.8,
        "n": 6,
        "tp": 2,
        "fp": 1,
        "fn": 1,
        "tn": 2,
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": 2 / 3,
        "accuracy": 4 / 6,
        "always_no_accuracy": 0.5,
        "average_precision": pytest.approx((1 + 2 / 3 + 3 / 4) / 3),
        "mistakes": {"found": [{"path": "2.jpg", "score": 0.8}], "missed": [{"path": "3.jpg", "score": 0.4}]},
    }
    assert list(intervals) == ["precision", "recall", "f1", "accuracy"]
    assert intervals["precision"] == list(metrics.wilson(2, 3))


def test_metrics_to_json_with_calibration():
    photos = judged(SIX)
    told = json.loads(json.dumps(metrics.measure("bird", photos, 0.8, calibration=True).to_json(), allow_nan=False))[
        "calibration"
    ]
    assert list(told) == ["expected_calibration_error", "equal_mass_error", "bins"]
    assert told["expected_calibration_error"] == metrics.calibration_error(metrics.reliability(photos))
    assert set(told["bins"][0]) == {"low", "high", "n", "score", "present", "interval"}


def test_metrics_to_json_without_photos():
    told = json.loads(json.dumps(metrics.measure("bird", [], 0.5, calibration=True).to_json(), allow_nan=False))
    assert [told[k] for k in ("n", "precision", "recall", "f1", "accuracy", "average_precision")] == [0] + [None] * 5
    assert told["calibration"] == {"expected_calibration_error": None, "equal_mass_error": None, "bins": []}


def test_calibration_error_does_not_cancel_signs():
    bins = [metrics.Bin(0.2, 0.3, 5, 0.2, 0.4, (0, 1)), metrics.Bin(0.8, 0.9, 5, 0.8, 0.6, (0, 1))]
    assert metrics.calibration_error(bins) == pytest.approx(0.2)


def test_compare_rankings_draws_the_same_photos_for_both():
    present = np.arange(40) % 2 == 0
    good = np.where(present, 0.9, 0.1) + np.linspace(0, 0.05, 40)
    poor = np.linspace(0, 1, 40)
    one = np.ones(40)
    own, former, better = metrics.compare_rankings(good, poor, present, one, draws=200)
    assert (own, better) == (1, 1)
    assert former < 0.7
    assert metrics.compare_rankings(poor, poor, present, one, draws=200)[2] == 0.5
