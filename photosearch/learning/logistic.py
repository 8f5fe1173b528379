"""A linear head on vectors: logistic regression from a few marks, cross-validated. Pure: numbers in, numbers out.

The margin of a picture x is w.x + b, and what a label says of it already may be added to that (`offset`, in logits):
then the head corrects the label, and a strong penalty leaves it as it is. Twenty marks each way can't teach 384
numbers by themselves. Two things from the pictures that nobody marked make up for that:
- Vectors are first spread out evenly, so that directions in which all pictures differ count for little: whitening by
  the library's covariance, drawn towards its mean variance. After Hariharan, Malik and Ramanan, "Discriminative
  decorrelation for clustering and classification", ECCV 2012. On sixteen of Caltech-101's classes it takes the average
  precision on the rest from 0.81 to 0.90: `python -m benchmarks learn`.
- How many pictures show a new label is read from the scores: if a share R of those marked yes has a margin of t or
  more, and F pictures of the library have, then no more than F / R show it, for each t. Blanchard, Lee and Scott,
  "Semi-supervised novelty detection", JMLR 11 (2010). This needs marks that are like the others of their kind, and sets
  the threshold: twenty that don't show it can't tell a false alarm in twenty from one in a thousand.

Newton's method, whose steps are halved where they lead up. scikit-learn finds the same weights: a test compares them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FOLDS = 5
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
# Where marks that were not drawn correct a label: weaker ones gain on such marks, which often lie near its threshold,
# and lose elsewhere. Bird on Caltech-101, thirty marks each way that it is unsure of: F1 on the rest 0.966 at 100,
# 0.943 at 1, before 0.964.
CORRECTING = (100.0, 300.0, 1000.0, 3000.0)
SHRINK = 0.1  # of the covariance towards its mean variance, at least; python -m benchmarks learn
STEPS, CLOSE = 100, 1e-10
MIN_RECALL = 0.3  # below that share of the marks F / R says little
GRID = 200

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Classifier:
    """weights: float64 [D]. A margin is weights.x + bias, and the offset."""

    weights: Floats
    bias: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How the library's vectors lie: whitened = (x - mean) @ turn. mean: [D], turn: [D, D]."""

    mean: Floats
    turn: Floats

    def whiten(self, vectors: Floats) -> Floats:
        whitened: Floats = (vectors - self.mean) @ self.turn
        return whitened

    def unwhiten(self, head: Classifier) -> Classifier:
        """The same head, for vectors as they are."""
        weights = self.turn @ head.weights
        return Classifier(weights, float(head.bias - self.mean @ weights))


@dataclass(frozen=True, slots=True)
class Validated:
    """margins: [n], each by a head that had not seen that mark, nor chosen its penalty by it. fold: [n]."""

    penalty: float
    margins: Floats
    fold: npt.NDArray[np.intp]


def measure_spread(vectors: Floats) -> Spread:
    """vectors: [N, D], of the library. Raises ValueError where all are the same."""
    n, dimensions = vectors.shape
    mean = vectors.mean(0)
    values, axes = np.linalg.eigh(np.cov(vectors.T, bias=True))
    middle = float(np.clip(values, 0, None).mean())
    if middle < 1e-12:
        raise ValueError("all vectors are the same")
    shrink = max(SHRINK, dimensions / (n + dimensions))
    return Spread(mean, axes / np.sqrt((1 - shrink) * np.clip(values, 0, None) + shrink * middle))


def fit(
    x: Floats, present: Flags, penalty: float, *, weight: Floats | None = None, offset: Floats | None = None
) -> Classifier:
    """The head of the least loss: sum of weight * log(1 + exp(-margin)), and penalty / 2 * weights.weights.

    x: [n, D]. weight: [n], 1 without. offset: [n], logits that are added to the margins. The bias is not penalised,
    but where there is an offset: then it is one of the weights.
    """
    n = len(x)
    weight = np.ones(n) if weight is None else weight
    given = np.zeros(n) if offset is None else offset
    z, back = _reduce(x)
    z = np.column_stack([z, np.ones(n)])
    strength = np.full(z.shape[1], penalty)
    if offset is None:
        strength[-1] = 1e-9
    sign = np.where(present, 1.0, -1.0)

    def loss(b: Floats) -> float:
        return float(weight @ np.logaddexp(0, -sign * (z @ b + given)) + strength @ (b * b) / 2)

    b, least = np.zeros(z.shape[1]), math.inf
    for _ in range(STEPS):
        p = sigmoid(z @ b + given)
        gradient = z.T @ (weight * (p - present)) + strength * b
        curvature = (z * (weight * p * (1 - p))[:, None]).T @ z + np.diag(strength)
        step = np.linalg.solve(curvature, gradient)
        now, before = loss(b), least
        while (least := loss(b - step)) > now and np.abs(step).max() > CLOSE:
            step = step / 2
        b = b - step
        if before - least < CLOSE * max(1.0, least) and math.isfinite(before):
            break
    return Classifier(back @ b[:-1], float(b[-1]))


def cross_validate(
    x: Floats, present: Flags, *, offset: Floats | None = None, penalties: Sequence[float] = PENALTIES, seed: int = 0
) -> Validated:
    """Cross-validate in FOLDS parts, or in fewer where there are so few of a kind.

    The penalty of a mark's margin is the one that is best on the other folds; `penalty`, on all.
    """
    fold = _draw_folds(present, seed)
    x, _ = _reduce(x)
    margins = np.empty((len(penalties), len(x)))
    for f in range(fold.max() + 1):
        out, rest = fold == f, fold != f
        own = None if offset is None else offset[rest]
        for i, penalty in enumerate(penalties):
            head = fit(
                x[rest], present[rest], penalty, weight=balance_weights(present[rest], offset is None), offset=own
            )
            margins[i, out] = x[out] @ head.weights + head.bias
    if offset is not None:
        margins += offset
    losses = balance_weights(present, offset is None) * np.logaddexp(0, np.where(present, -margins, margins))
    best = [int(losses[:, fold != f].sum(1).argmin()) for f in range(fold.max() + 1)]
    chosen = np.array([margins[best[f], i] for i, f in enumerate(fold)])
    return Validated(penalties[int(losses.sum(1).argmin())], chosen, fold)


def balance_weights(present: Flags, balanced: bool) -> Floats:
    """Weights by which both kinds count alike; or 1 each, where they need not: what corrects a label starts from it."""
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


def logit(scores: Floats) -> Floats:
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    logits: Floats = np.log(clipped) - np.log1p(-clipped)
    return logits


def estimate_present(marked: Floats, library: Floats) -> tuple[float, float]:
    """-> (how many of the library's pictures show a label, the threshold of the best expected F1).

    marked: margins of pictures that show it, by heads that had not seen them; at least two. library: those of all
    pictures. Of R a normal distribution with the marks' mean and deviation is taken: twenty marks make coarse steps.
    """
    middle, deviation = float(marked.mean()), max(float(marked.std(ddof=1)), 1e-6)
    thresholds = np.linspace(middle - 3 * deviation, middle + 2 * deviation, GRID)
    shares = np.array([math.erfc((t - middle) / deviation / math.sqrt(2)) / 2 for t in thresholds])
    found = len(library) - np.searchsorted(np.sort(library), thresholds)
    sure = shares >= MIN_RECALL
    present = float(np.clip((found[sure] / shares[sure]).min(), 1, len(library)))
    f1 = 2 * np.minimum(present * shares, found) / (found + present)
    return present, float(thresholds[int(f1.argmax())])


def _reduce(x: Floats) -> tuple[Floats, Floats]:
    """Fewer numbers where there are fewer pictures than those: x = z @ back.T, and a penalty is the same in both."""
    n, dimensions = x.shape
    if dimensions <= n:
        return x, np.eye(dimensions)
    u, values, axes = np.linalg.svd(x, full_matrices=False)
    return u * values, axes.T


def _draw_folds(present: Flags, seed: int) -> npt.NDArray[np.intp]:
    """Of each kind about as many in every fold."""
    rng = np.random.default_rng(seed)
    folds = min(FOLDS, int(present.sum()), int((~present).sum()))
    fold = np.empty(len(present), np.intp)
    for kind in (present, ~present):
        places = rng.permutation(np.flatnonzero(kind))
        fold[places] = np.arange(len(places)) % folds
    return fold
