"""From logits to probabilities, and from probabilities to a threshold: all that validation pictures decide.

John Platt, "Probabilistic outputs for support vector machines", 1999. Nothing here sees a test part.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import beta, chi2
from sklearn.linear_model import LogisticRegression

from train.data.talk import Pictures
from train.tool import logit, metrics

PENALTY = 1e-3  # of the squared weights, beside the mean loss: a line through few pictures must not be a step
GRID = np.round(np.arange(1, 10_000) / 10_000, 4)  # of thresholds
SMALL_SHARES = (0.6, 0.5, 0.4, 0.25, 0.1)  # of the birds in the library that pooling is calibrated for

Floats = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


# Probabilities


def logistic(x: Floats, truth: Truth, weights: Floats | None = None) -> Floats:
    """Logistic regression on x [N, K] -> [K + 1], the constant last."""
    weights = np.ones(len(x)) if weights is None else weights
    model = LogisticRegression(C=1 / (2 * PENALTY), tol=1e-8, max_iter=1_000)
    model.fit(x, truth, sample_weight=weights / weights.sum())
    return np.append(model.coef_[0], model.intercept_[0])


def platt(z: npt.NDArray[Any], truth: Truth, weights: Floats | None = None) -> tuple[float, float]:
    """The slope and the shift that make logits [N] probabilities of the truth."""
    slope, shift = logistic(z[:, None].astype(np.float64), truth, weights)
    return float(slope), float(shift)


def log_loss(z: Floats, truth: Truth) -> float:
    """The mean over logits [N]; ln 2 where all of them are 0."""
    return float(np.logaddexp(0, np.where(truth, -z, z)).mean())


def fit_pooling(z: Floats, truth: Truth, small: Truth, prior: float, threshold: float) -> tuple[Floats, dict[str, Any]]:
    """What a card's `pooling` needs for one number of tiles, from calibrated logits [N, 1 + tiles].

    Logistic regression on the whole photo's logit and the largest of its tiles'. The photos are weighted as if `prior`
    of a library's showed birds, and some share of those small ones. How large that share is nobody knows: it is the
    largest of SMALL_SHARES with which tiles raise no more false alarms at the threshold than the whole photo alone.
    Also returns [found, of] at the threshold of the small birds, the whole birds, and what has no bird, and the share.
    """
    z = logit(expit(z))  # as the tool's own pooling gets them
    x = np.stack([z[:, 0], z[:, 1:].max(1)], 1)
    parts = {"small_birds": truth & small, "whole_birds": truth & ~small, "no_bird": ~truth}
    cut = np.log(threshold / (1 - threshold))
    for share in SMALL_SHARES:
        shares = {"small_birds": prior * share, "whole_birds": prior * (1 - share), "no_bird": 1 - prior}
        w = logistic(x, truth, sum(here * shares[name] / max(1, here.sum()) for name, here in parts.items()))
        found = np.maximum(x[:, 0], x @ w[:-1] + w[-1]) >= cut
        if found[~truth].sum() <= (x[~truth, 0] >= cut).sum():
            break
    counts = {name: [int(found[here].sum()), int(here.sum())] for name, here in parts.items()}
    return w, {**counts, "small_share": share}


# Thresholds


def choose_at_precision(scores: Floats, truth: Truth, weights: Floats, precision: float) -> float:
    """Of the scores from which the precision is reached, the one that finds most; 0.5 where none does."""
    judged = [metrics.LabeledScore("", float(s), bool(t)) for s, t in zip(scores, truth, strict=True)]
    threshold = metrics.threshold_at_precision(judged, precision, list(weights))
    return 0.5 if threshold is None else threshold


def choose_surest(
    scores: Floats, validation: Pictures, precision: Mapping[str, float], recall: Mapping[str, float]
) -> tuple[float, float]:
    """The threshold, to four digits, that is surest to keep what is promised, and how sure it is, 0..1.

    precision, recall: the least of each part, `whole` or `cifar-10`; the whole is mixed as the test part is. Each is
    kept as surely as the highest confidence at which a one-sided exact interval still keeps it: Garwood's for the
    false alarms, a Poisson count (F. Garwood, "Fiducial limits for the Poisson distribution", 1936), Clopper and
    Pearson's for the birds that are found (C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits",
    1934). All are as sure as the least sure.
    """
    weights, birds = validation.weights(), validation.birds
    each = weights[~birds].mean()  # all of them are CIFAR-10's, and weigh the same
    sure = np.ones(len(GRID))
    for name, least in precision.items():
        here = validation.part(name)
        found = _at_or_above(GRID, scores, weights * (birds & here))
        alarms = _at_or_above(GRID, scores, 1.0 * (~birds & here))
        allowed = found * (1 - least) / least / each
        sure = np.minimum(sure, chi2.cdf(2 * allowed, 2 * (alarms + 1)))
    for name, least in recall.items():
        here = birds & validation.part(name)
        share = _at_or_above(GRID, scores, weights * here) / (weights * here).sum()
        n = (weights * here).sum() ** 2 / (weights**2 * here).sum()  # as many birds of one weight tell as much
        sure = np.minimum(sure, np.where(share, beta.sf(least, share * n, (1 - share) * n + 1), 0.0))
    return float(GRID[sure.argmax()]), float(sure.max())


def _at_or_above(grid: Floats, scores: Floats, weights: Floats) -> Floats:
    """The weight of all scores at or above each of the grid's."""
    order = np.argsort(scores)
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    return below[-1] - below[np.searchsorted(scores[order], grid)]
