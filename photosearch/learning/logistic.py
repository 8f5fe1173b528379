"""Logistic regression on vectors from a few examples, cross-validated. Pure: numbers in, numbers out.

The margin of an image x is w.x + b, to which the logit of another label's score may be added (`offset`): then the
classifier corrects that label, and a strong penalty leaves it as it is. Twenty examples of each kind can't determine
384 weights by themselves. Two things from the unmarked images make up for that:
- Vectors are whitened first, so that directions in which all images differ count for little, by the library's
  covariance, shrunk towards its mean variance. After Hariharan, Malik and Ramanan, "Discriminative decorrelation for
  clustering and classification", ECCV 2012. On sixteen of Caltech-101's classes it raises the average precision on the
  other images from 0.81 to 0.90: `python -m benchmarks learn`.
- The number of images that show a new label is estimated from the margins: if a share R of the positive examples and F
  images of the library have a margin of t or more, then at most F / R show it, for each t. Blanchard, Lee and Scott,
  "Semi-supervised novelty detection", JMLR 11 (2010). This needs examples that are like the others of their kind, and
  sets the threshold: twenty negatives can't tell a false positive rate of 1/20 from 1/1000.

Newton's method, whose steps are halved where they lead up. scikit-learn finds the same weights: a test compares them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FOLDS = 5
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
# Where examples that no sample drew correct a label: weaker penalties gain on such examples, which often lie near its
# threshold, and lose elsewhere. Bird on Caltech-101, thirty examples of each kind near the threshold: F1 on the other
# images 0.966 at 100, 0.943 at 1, before 0.964.
CORRECTING_PENALTIES = (100.0, 300.0, 1000.0, 3000.0)
MIN_SHRINKAGE = 0.1  # of the covariance towards its mean variance: python -m benchmarks learn
MAX_STEPS, TOLERANCE = 100, 1e-10
MIN_RECALL = 0.3  # R, below which F / R is too uncertain
GRID = 200  # thresholds that are tried

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Classifier:
    """weights: float64 [D]. A margin is weights.x + bias, and the offset."""

    weights: Floats
    bias: float


@dataclass(frozen=True, slots=True)
class Spread:
    """The whitening of a library's vectors: (x - mean) @ matrix. mean: [D], matrix: [D, D]."""

    mean: Floats
    matrix: Floats

    def whiten(self, vectors: Floats) -> Floats:
        whitened: Floats = (vectors - self.mean) @ self.matrix
        return whitened

    def unwhiten(self, classifier: Classifier) -> Classifier:
        """The same classifier, for vectors that are not whitened."""
        weights = self.matrix @ classifier.weights
        return Classifier(weights, float(classifier.bias - self.mean @ weights))


@dataclass(frozen=True, slots=True)
class Validated:
    """margins: [n], each by a classifier whose fit and penalty had not seen that example. fold: [n]."""

    penalty: float
    margins: Floats
    fold: npt.NDArray[np.intp]


def measure_spread(vectors: Floats) -> Spread:
    """The whitening of a library's vectors [N, D]. Raises ValueError where all are the same."""
    n, dimensions = vectors.shape
    mean = vectors.mean(0)
    values, axes = np.linalg.eigh(np.cov(vectors.T, bias=True))
    mean_variance = float(np.clip(values, 0, None).mean())
    if mean_variance < 1e-12:
        raise ValueError("all vectors are the same")
    shrink = max(MIN_SHRINKAGE, dimensions / (n + dimensions))
    return Spread(mean, axes / np.sqrt((1 - shrink) * np.clip(values, 0, None) + shrink * mean_variance))


def fit(
    x: Floats, present: Flags, penalty: float, *, weights: Floats | None = None, offset: Floats | None = None
) -> Classifier:
    """The classifier of the smallest loss: the sum of weights * log(1 + exp(-margin)), and penalty / 2 * w.w.

    x: [n, D]. weights: of the examples [n], 1 without. offset: [n], logits that are added to the margins. The bias is
    penalised only with an offset, as one of w.
    """
    n = len(x)
    weights = np.ones(n) if weights is None else weights
    given = np.zeros(n) if offset is None else offset
    z, back = _reduce(x)
    z = np.column_stack([z, np.ones(n)])
    strength = np.full(z.shape[1], penalty)
    if offset is None:
        strength[-1] = 1e-9
    sign = np.where(present, 1.0, -1.0)

    def loss(b: Floats) -> float:
        return float(weights @ np.logaddexp(0, -sign * (z @ b + given)) + strength @ (b * b) / 2)

    b, least = np.zeros(z.shape[1]), math.inf
    for _ in range(MAX_STEPS):
        p = sigmoid(z @ b + given)
        gradient = z.T @ (weights * (p - present)) + strength * b
        curvature = (z * (weights * p * (1 - p))[:, None]).T @ z + np.diag(strength)
        step = np.linalg.solve(curvature, gradient)
        now, before = loss(b), least
        while (least := loss(b - step)) > now and np.abs(step).max() > TOLERANCE:
            step = step / 2
        b = b - step
        if before - least < TOLERANCE * max(1.0, least) and math.isfinite(before):
            break
    return Classifier(back @ b[:-1], float(b[-1]))


def cross_validate(
    x: Floats, present: Flags, *, offset: Floats | None = None, penalties: Sequence[float] = PENALTIES, seed: int = 0
) -> Validated:
    """Cross-validate in FOLDS folds, or fewer where a kind has fewer examples.

    The margins of a fold are those of the penalty that is best on the other folds; `penalty` is the best on all.
    """
    fold = _draw_folds(present, seed)
    x, _ = _reduce(x)
    margins = np.empty((len(penalties), len(x)))
    for f in range(fold.max() + 1):
        held_out, rest = fold == f, fold != f
        own = None if offset is None else offset[rest]
        weights = balance_weights(present[rest], offset is None)
        for i, penalty in enumerate(penalties):
            fitted = fit(x[rest], present[rest], penalty, weights=weights, offset=own)
            margins[i, held_out] = x[held_out] @ fitted.weights + fitted.bias
    if offset is not None:
        margins += offset
    losses = balance_weights(present, offset is None) * np.logaddexp(0, np.where(present, -margins, margins))
    best = [int(losses[:, fold != f].sum(1).argmin()) for f in range(fold.max() + 1)]
    chosen = np.array([margins[best[f], i] for i, f in enumerate(fold)])
    return Validated(penalties[int(losses.sum(1).argmin())], chosen, fold)


def balance_weights(present: Flags, balanced: bool) -> Floats:
    """Weights that balance both kinds; or 1 each, for a classifier that corrects a label and starts from it."""
    if not balanced:
        return np.ones(len(present))
    share = present.mean()
    weights: Floats = np.where(present, 0.5 / share, 0.5 / (1 - share))
    return weights


def sigmoid(margins: Floats) -> Floats:
    positive = margins >= 0
    small = np.exp(-np.abs(margins))
    scores: Floats = np.where(positive, 1, small) / (1 + small)
    return scores


def estimate_present(marked: Floats, library: Floats) -> tuple[float, float]:
    """-> (the estimated number of the library's images that show a label, the threshold of the best expected F1).

    marked: margins of two or more images that show it, by classifiers that had not seen them. library: margins of all
    images. R is read from a normal distribution with the examples' mean and deviation: twenty examples are too coarse.
    """
    mean, deviation = float(marked.mean()), max(float(marked.std(ddof=1)), 1e-6)
    thresholds = np.linspace(mean - 3 * deviation, mean + 2 * deviation, GRID)
    shares = np.array([math.erfc((t - mean) / deviation / math.sqrt(2)) / 2 for t in thresholds])
    found = len(library) - np.searchsorted(np.sort(library), thresholds)
    reliable = shares >= MIN_RECALL
    present = float(np.clip((found[reliable] / shares[reliable]).min(), 1, len(library)))
    f1 = 2 * np.minimum(present * shares, found) / (found + present)
    return present, float(thresholds[int(f1.argmax())])


def _reduce(x: Floats) -> tuple[Floats, Floats]:
    """x [n, D] -> (z, back) with x = z @ back.T, of at most n columns; a penalty is the same in both."""
    n, dimensions = x.shape
    if dimensions <= n:
        return x, np.eye(dimensions)
    u, values, axes = np.linalg.svd(x, full_matrices=False)
    return u * values, axes.T


def _draw_folds(present: Flags, seed: int) -> npt.NDArray[np.intp]:
    """A stratified split: each fold has about as many of each kind."""
    rng = np.random.default_rng(seed)
    folds = min(FOLDS, int(present.sum()), int((~present).sum()))
    fold = np.empty(len(present), np.intp)
    for kind in (present, ~present):
        places = rng.permutation(np.flatnonzero(kind))
        fold[places] = np.arange(len(places)) % folds
    return fold
