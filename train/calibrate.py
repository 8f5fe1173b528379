"""Calibration of logits to probabilities, and choice of thresholds, on validation pictures only.

John Platt, "Probabilistic outputs for support vector machines", 1999.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from train.data.talk import Pictures
from train.figures import Floats, Truth, pair
from train.tool import logit, metrics

PENALTY = 1e-3  # of the squared weights, relative to the mean loss: keeps the line through few pictures from a step
GRID = np.round(np.arange(1, 10_000) / 10_000, 4)  # of thresholds
SMALL_SHARES = (0.6, 0.5, 0.4, 0.25, 0.1)  # of small birds among all birds of a library

# Probabilities


def logistic(x: Floats, truth: Truth, weights: Floats | None = None) -> Floats:
    """Logistic regression on x [N, K] -> [K + 1], the intercept last."""
    from sklearn.linear_model import LogisticRegression  # takes two seconds to import

    weights = np.ones(len(x)) if weights is None else weights
    model = LogisticRegression(C=1 / (2 * PENALTY), tol=1e-8, max_iter=1_000)
    model.fit(x, truth, sample_weight=weights / weights.sum())
    return np.append(model.coef_[0], model.intercept_[0])


def platt(z: npt.NDArray[Any], truth: Truth, weights: Floats | None = None) -> tuple[float, float]:
    """Slope and shift that turn logits [N] into probabilities."""
    slope, shift = logistic(z[:, None].astype(np.float64), truth, weights)
    return float(slope), float(shift)


def log_loss(z: Floats, truth: Truth) -> float:
    """The mean over logits [N]; ln 2 if all of them are 0."""
    return float(np.logaddexp(0, np.where(truth, -z, z)).mean())


def fit_pooling(z: Floats, truth: Truth, small: Truth, prior: float, threshold: float) -> tuple[Floats, dict[str, Any]]:
    """A card's `pooling` for one number of tiles, from calibrated logits [N, 1 + tiles].

    Logistic regression on the whole photo's logit and the largest of its tiles'. Photos are weighted as if `prior` of a
    library showed birds, and a share of those small ones. That share is unknown: it is the largest of SMALL_SHARES with
    which tiles give no more false alarms at the threshold than the whole photo alone. Also returns that share, and
    [found, all] at the threshold of small birds, whole birds, and photos without a bird.
    """
    z = logit(expit(z))  # as in the tool's own pooling
    x = np.stack([z[:, 0], z[:, 1:].max(1)], 1)
    parts = {"small_birds": truth & small, "whole_birds": truth & ~small, "no_bird": ~truth}
    min_logit = np.log(threshold / (1 - threshold))
    for share in SMALL_SHARES:
        shares = {"small_birds": prior * share, "whole_birds": prior * (1 - share), "no_bird": 1 - prior}
        w = logistic(x, truth, sum(here * shares[name] / max(1, here.sum()) for name, here in parts.items()))
        found = np.maximum(x[:, 0], x @ w[:-1] + w[-1]) >= min_logit
        if found[~truth].sum() <= (x[~truth, 0] >= min_logit).sum():
            break
    counts = {name: [int(found[here].sum()), int(here.sum())] for name, here in parts.items()}
    return w, {**counts, "small_share": share}


# Thresholds


def choose_at_precision(scores: Floats, truth: Truth, weights: Floats, precision: float) -> float:
    """The threshold of the highest recall at the precision; 0.5 if none reaches it."""
    threshold = metrics.threshold_at_precision(pair(scores, truth), precision, list(weights))
    return 0.5 if threshold is None else threshold


def choose_surest(
    scores: Floats, validation: Pictures, precision: Mapping[str, float], recall: Mapping[str, float]
) -> tuple[float, float]:
    """The threshold, to four digits, most likely to reach all promised figures, and its confidence, 0..1.

    precision, recall: the minimum of each part, `whole` or `cifar-10`; the whole is weighted like the test part. The
    confidence of a figure is the highest one at which a one-sided exact interval still reaches it: Garwood's for false
    alarms, a Poisson count (F. Garwood, "Fiducial limits for the Poisson distribution", 1936), Clopper and Pearson's
    for birds found (C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits", 1934). The confidence of
    all is the lowest of them.
    """
    from scipy.stats import beta, chi2  # takes two seconds to import

    weights, birds = validation.weights(), validation.birds
    weight = weights[~birds].mean()  # the same for all: they are CIFAR-10's
    confidence = np.ones(len(GRID))
    for name, minimum in precision.items():
        here = validation.part(name)
        found = _at_or_above(GRID, scores, weights * (birds & here))
        alarms = _at_or_above(GRID, scores, 1.0 * (~birds & here))
        allowed = found * (1 - minimum) / minimum / weight
        confidence = np.minimum(confidence, chi2.cdf(2 * allowed, 2 * (alarms + 1)))
    for name, minimum in recall.items():
        here = birds & validation.part(name)
        share = _at_or_above(GRID, scores, weights * here) / (weights * here).sum()
        n = (weights * here).sum() ** 2 / (weights**2 * here).sum()  # equally weighted birds with the same information
        confidence = np.minimum(confidence, np.where(share, beta.sf(minimum, share * n, (1 - share) * n + 1), 0.0))
    return float(GRID[confidence.argmax()]), float(confidence.max())


def _at_or_above(grid: Floats, scores: Floats, weights: Floats) -> Floats:
    """The total weight of scores at or above each point of the grid."""
    order = np.argsort(scores)
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    return below[-1] - below[np.searchsorted(scores[order], grid)]
