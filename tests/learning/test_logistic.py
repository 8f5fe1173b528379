"""Logistic regression from a few examples: against scikit-learn, by hand, and on simulated images."""

import math

import numpy as np
import pytest

from photosearch.learning import logistic
from photosearch.models.session import logit


def marks(n, dimensions, seed=1):
    """Two clouds [2n, D] whose first number tells them apart."""
    rng = np.random.default_rng(seed)
    present = np.arange(2 * n) % 2 == 0
    x = rng.standard_normal((2 * n, dimensions))
    x[:, 0] += np.where(present, 1.5, -1.5)
    return x, present


@pytest.mark.parametrize(("n", "dimensions"), [(8, 50), (60, 5)])
@pytest.mark.parametrize("penalty", [0.1, 10.0])
def test_fit_agrees_with_scikit_learn(n, dimensions, penalty):
    models = pytest.importorskip("sklearn.linear_model")
    x, present = marks(n, dimensions)
    weight = np.linspace(0.5, 1.5, len(x))
    theirs = models.LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(x, present, sample_weight=weight)
    ours = logistic.fit(x, present, penalty, weights=weight)
    np.testing.assert_allclose(ours.weights, theirs.coef_[0], atol=2e-5)
    assert ours.bias == pytest.approx(theirs.intercept_[0], abs=2e-5)


def test_fit_ends_where_the_gradient_is_zero():
    for offset in (None, np.linspace(-4, 4, 40)):
        x, present = marks(20, 60)
        head = logistic.fit(x, present, 3.0, offset=offset)
        margins = x @ head.weights + head.bias + (0 if offset is None else offset)
        wrong = logistic.sigmoid(margins) - present
        np.testing.assert_allclose(x.T @ wrong + 3.0 * head.weights, 0, atol=1e-6)
        assert wrong.sum() + (0 if offset is None else 3.0 * head.bias) == pytest.approx(0, abs=1e-6)


def test_fit_handles_separable_examples():
    x = np.array([[1.0], [2.0], [-1.0], [-2.0]])
    head = logistic.fit(x, x[:, 0] > 0, 1e-3)
    assert head.weights[0] > 3
    assert head.bias == pytest.approx(0, abs=1e-6)


def test_fit_with_a_strong_penalty_changes_nothing():
    x, present = marks(20, 5)
    head = logistic.fit(x, present, 1e9, offset=np.zeros(len(x)))
    assert np.abs([*head.weights, head.bias]).max() < 1e-6


def test_whiten_equalizes_variances_and_unwhiten_inverts():
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((20_000, 6)) * [10, 5, 3, 1, 1, 1] + 7
    spread = logistic.measure_spread(vectors)
    deviations = spread.whiten(vectors).std(0)
    assert deviations.max() / deviations.min() < 2.5 < 10
    np.testing.assert_allclose(spread.whiten(vectors).mean(0), 0, atol=1e-9)
    head = logistic.Classifier(np.arange(6.0), 0.5)
    back = spread.unwhiten(head)
    np.testing.assert_allclose(vectors @ back.weights + back.bias, spread.whiten(vectors) @ head.weights + 0.5)


def test_measure_spread_refuses_equal_vectors():
    with pytest.raises(ValueError, match="all vectors are the same"):
        logistic.measure_spread(np.ones((5, 3)))


def test_cross_validate_margins_are_of_unseen_examples():
    """What is marked at random can't be told by the others: heads that had seen it would be right every time."""
    rng = np.random.default_rng(3)
    x, present = rng.standard_normal((60, 300)), np.arange(60) % 2 == 0
    validated = logistic.cross_validate(x, present)
    assert 0.3 < np.mean((validated.margins > 0) == present) < 0.7
    head = logistic.fit(x, present, 1.0)
    assert np.mean((x @ head.weights + head.bias > 0) == present) == 1
    assert sorted(np.bincount(validated.fold)) == [12] * 5
    assert [int(present[validated.fold == f].sum()) for f in range(5)] == [6] * 5


def test_estimate_present_by_simulation():
    rng = np.random.default_rng(4)
    shows, others = rng.normal(3, 1, 500), rng.normal(-3, 1, 50_000)
    present, threshold = logistic.estimate_present(rng.normal(3, 1, 40), np.concatenate([shows, others]))
    assert 400 < present < 650
    found = (shows >= threshold).sum(), (others >= threshold).sum()
    assert found[0] > 450 > 50 > found[1]


@pytest.mark.parametrize("margin", [-800.0, -1.0, 0.0, 1.0, 800.0])
def test_sigmoid_and_logit_are_inverse(margin):
    (score,) = logistic.sigmoid(np.array([margin]))
    assert score == pytest.approx(1 / (1 + math.exp(-margin)) if margin > -700 else 0)
    (back,) = logit(np.array([score]))
    assert back == pytest.approx(max(-13.8, min(13.8, margin)), abs=0.1)
