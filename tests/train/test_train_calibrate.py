"""Calibration, and the threshold most likely to reach promised figures."""

import numpy as np
import pytest

from train import calibrate, figures
from train.data import cifar10, talk


@pytest.mark.slow
def test_choose_surest_favours_the_figure_nearest_to_failing():
    targets = np.repeat(np.array([cifar10.BIRD, 0], np.uint8), [100, 5])
    validation = talk.Pictures(np.zeros((105, 32, 32, 3), np.uint8), targets, np.zeros(105, np.uint8))
    scores = np.concatenate([np.full(60, 0.9), np.full(35, 0.5), np.full(5, 0.05), [0.1, 0.2, 0.3, 0.6, 0.7]])

    threshold, confidence = calibrate.choose_surest(scores, validation, {"cifar-10": 0.9}, {"cifar-10": 0.5})

    # 95 birds allow 95 / 9 false alarms; there are two: the probability of a Poisson count above two with that mean.
    allowed = 95 / 9
    assert threshold == 0.3001
    assert confidence == pytest.approx(1 - np.exp(-allowed) * (1 + allowed + allowed**2 / 2))
    # 60 birds without a false alarm: 40 are enough with high confidence, 59 with a lower one.
    assert calibrate.choose_surest(scores, validation, {"cifar-10": 0.97}, {"cifar-10": 0.4})[0] == 0.7001
    assert calibrate.choose_surest(scores, validation, {"cifar-10": 0.97}, {"cifar-10": 0.59})[0] == 0.3001
    assert calibrate.choose_surest(scores, validation, {"whole": 0.9, "cifar-10": 0.97}, {"cifar-10": 0.4})[0] == 0.7001


@pytest.mark.slow
def test_platt_finds_true_scale_and_bias():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, 20_000)
    truth = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))

    scale, shift = calibrate.platt(logits, truth)

    assert scale == pytest.approx(0.5, abs=0.03)
    assert shift == pytest.approx(-1, abs=0.06)
    scores = 1 / (1 + np.exp(-(scale * logits + shift)))
    assert figures.make_row(scores, truth, 0.5, "test")["calibration_error"] < 0.01
    wrong = figures.make_row(np.array([0.9, 0.9]), np.array([True, False]), 0.5, "test")
    assert wrong["calibration_error"] == pytest.approx(0.4)
