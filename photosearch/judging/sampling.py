"""Stratified sampling: which photos to judge, and what the answers say of the whole library.

Pure: numbers in, numbers out. `draw_photos` cuts the library into strata by score, on both sides of the threshold, and
draws some photos of each; `estimate` weights each answer by the number of photos that it stands for. The scores decide
where strata are cut, and nothing else: where the model is wrong about itself, the intervals grow.

Totals are Horvitz and Thompson's, "A generalization of sampling without replacement", JASA 47 (1952): k of n judged
photos of a stratum of N stand for N * k / n. The plain bootstrap fails here: where ten judged photos of a stratum of
90,000 show no bird, it is certain that there is none. So each stratum's share of birds gets a posterior, a Beta
distribution; the photos that were not judged are drawn from it, SIMULATIONS times, and the 95 % intervals are quantiles
of these simulated libraries. Two corrections give them their nominal coverage:
- Jeffreys' half a photo for each answer is given once to all strata of a side, not to each of them: eight strata
  that show no bird must not add up to four (Perks, "Some observations on inverse probability", 1947).
- n answers count as n - 2. The variance of a share seen as p is p (1 - p) / (n - 1), and that is the variance of a
  Beta distribution of n - 2 answers; small strata need it. Rao and Wu shrink their bootstrap likewise, "Resampling
  inference with complex survey data", JASA 83 (1988).
`python -m benchmarks coverage` measures the coverage.

Several samples of one library, drawn independently, count together: each gives an unbiased estimate of the same totals,
and so does their mean, if its weights don't depend on the answers (Hartley's composite estimator, "Multiple frame
surveys", 1962). The weights are the shares of the judged photos, for found and other photos apart, which is best where
the samples were drawn alike. As they are independent, a simulated library of one is averaged with any of the other's. A
photo drawn twice counts in each.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError

MIN_PHOTOS = 4  # to draw: two on each side of the threshold
# Chosen on libraries of their own: `python -m benchmarks try-coverage`.
FOUND_SHARE = 0.4  # of the photos to judge, those from the threshold on
MIN_PER_STRATUM, MAX_STRATA = 7, 8  # photos to judge in a stratum; strata on a side of the threshold
MIN_DOUBT = 0.01  # scores are clipped to this distance from 0 and 1 where strata are cut, or the lowest would get none
PRIOR = 0.5  # photos of each answer, for all strata of a side together
LOST_ANSWERS = 2  # of a stratum: n answers count as n - 2, but at least as a quarter of n
SIMULATIONS = 4000
INTERVALS = ("precision", "recall", "f1", "accuracy", "present")

Interval = tuple[float, float]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SampledPhoto:
    """A photo to judge. index: its place in the scores that it was drawn from.

    stratum: 0 holds the lowest scores. population: N, the photos of that stratum in the library. probability: n / N,
    the inclusion probability of each of them.
    """

    index: int
    stratum: int
    population: int
    probability: float


@dataclass(frozen=True, slots=True)
class JudgedPhoto:
    """A drawn photo. present: whether it shows the label; None: not judged. stratum, population: of SampledPhoto."""

    score: float
    stratum: int
    population: int
    present: bool | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The whole library's figures at one threshold, estimated from a sample. What has no value is None.

    population: photos in the library. drawn, judged: photos of the sample. tp, fp, fn, tn: numbers of photos.
    always_no_accuracy: of a program that never finds anything, the baseline. present: tp + fn, the photos that show the
    label. intervals: 95 %, of precision, recall, f1, accuracy and present.
    """

    threshold: float
    population: int
    drawn: int
    judged: int
    tp: float | None
    fp: float | None
    fn: float | None
    tn: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    accuracy: float | None
    always_no_accuracy: float | None
    present: float | None
    intervals: dict[str, Interval | None]

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Part:
    """A stratum, or its part on one side of the threshold.

    size: the estimated number of its photos; sizes: in each simulated library. judged: the number of judged photos.
    present: the number of those that show the label.
    """

    size: float
    sizes: npt.NDArray[np.int64]
    judged: int
    present: int


def draw_photos(scores: npt.ArrayLike, n: int, threshold: float, *, seed: int = 0) -> list[SampledPhoto]:
    """Draw n photos to judge, in random order, so that it doesn't tell the judge what the model thinks.

    scores: [N], 0..1, one a photo. All photos are drawn where there are no more than n; otherwise at least two of each
    stratum that has two. The same scores and seed give the same photos. Raises InputError where n < MIN_PHOTOS.
    """
    values = np.asarray(scores, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a score is not a number")
    if n < MIN_PHOTOS:
        raise InputError(f"{n} photos are too few to judge a library by; draw at least {MIN_PHOTOS}, better 60 to 200")
    rng = np.random.default_rng(seed)
    drawn = [
        SampledPhoto(int(index), stratum, len(photos), take / len(photos))
        for stratum, (photos, take) in enumerate(_strata(values, n, threshold))
        for index in rng.choice(photos, take, replace=False)
    ]
    return [drawn[i] for i in rng.permutation(len(drawn))]


def estimate(samples: Sequence[Sequence[JudgedPhoto]], threshold: float, *, seed: int = 0) -> Estimate:
    """Estimate the whole library's figures from one or several independent samples of it.

    samples: every photo of each that was drawn. The judged photos of a stratum stand for all N, N / judged photos each;
    a stratum without judged photos is joined to the nearest stratum on its side of the threshold. That is right as far
    as the photos left out are like the others. Where a side has no judged photo, what depends on it is None. The
    threshold may differ from the one at drawing: where it cuts a stratum, the parts' sizes are estimated too and the
    intervals grow. Several samples must be of nearly the same photos: the numbers of photos are means of theirs. Raises
    InputError where strata contradict each other.
    """
    rng = np.random.default_rng(seed)
    parted = []
    for answers in samples:
        strata = _by_stratum(answers)
        parted.append((strata, *_sides(strata, threshold, rng)))
    found = [side for _, _, side in parted]
    missed = [side for _, side, _ in parted]
    (tp, fp), (fn, tn) = (_mean([_expected(side) for side in sides], sides) for sides in (found, missed))
    values = {name: _value(x[0]) for name, x in _measures(tp, fp, fn, tn).items()}
    (tps, fps), (fns, tns) = (_mean([_posterior(side, rng) for side in sides], sides) for sides in (found, missed))
    simulated = _measures(tps, fps, fns, tns)
    populations = [sum(rows[0].population for rows in strata) for strata, _, _ in parted]
    everything = [a for answers in samples for a in answers]
    return Estimate(
        threshold=threshold,
        population=round(float(np.mean(populations))) if populations else 0,
        drawn=len(everything),
        judged=sum(a.present is not None for a in everything),
        tp=_value(tp[0]),
        fp=_value(fp[0]),
        fn=_value(fn[0]),
        tn=_value(tn[0]),
        precision=values["precision"],
        recall=values["recall"],
        f1=values["f1"],
        accuracy=values["accuracy"],
        always_no_accuracy=values["always_no_accuracy"],
        present=values["present"],
        intervals={name: _interval(simulated[name], values[name]) for name in INTERVALS},
    )


def weights(*samples: Sequence[JudgedPhoto]) -> list[float]:
    """For each judged answer, in order, the number of photos of the library that it stands for: N / judged.

    Each of several samples counts by its share of the judged photos. For metrics.curve and the thresholds chosen with
    it. The weights add up to the library, less the strata without judged photos.
    """
    found: list[float] = []
    judged = [[a for a in answers if a.present is not None] for answers in samples]
    for answers in judged:
        number = {rows[0].stratum: len(rows) for rows in _by_stratum(answers)}
        share = len(answers) / sum(map(len, judged)) if answers else 0.0
        found += [share * a.population / number[a.stratum] for a in answers]
    return found


def _strata(scores: Floats, n: int, threshold: float) -> list[tuple[npt.NDArray[np.intp], int]]:
    """(the photos of a stratum, the number to draw), from the lowest scores up. The threshold is a border."""
    order = np.argsort(scores, kind="stable")
    missed, found = np.split(order, [np.searchsorted(scores[order], threshold)])
    for_found = min(len(found), max(round(n * FOUND_SHARE), n - len(missed)))
    for_missed = min(len(missed), n - for_found)
    return [*_cut(missed, scores, for_missed), *_cut(found, scores, for_found)]


def _cut(photos: npt.NDArray[np.intp], scores: Floats, take: int) -> list[tuple[npt.NDArray[np.intp], int]]:
    """Strata of equal uncertainty: the sum of sqrt(p (1 - p)) is the same in each, p being about the score.

    With as many photos drawn of each stratum, this is Neyman's allocation. photos: places in scores, sorted by score.
    """
    if take == 0:
        return []
    p = MIN_DOUBT + (1 - 2 * MIN_DOUBT) * np.clip(scores[photos], 0, 1)
    uncertainty = np.cumsum(np.sqrt(p * (1 - p)))
    pieces = max(1, min(MAX_STRATA, take // MIN_PER_STRATUM))
    borders = np.searchsorted(uncertainty, uncertainty[-1] * np.arange(1, pieces) / pieces) + 1
    groups = [group for group in np.split(photos, borders) if len(group)]
    return list(zip(groups, _allot(take, [len(group) for group in groups]), strict=True))


def _allot(take: int, sizes: Sequence[int]) -> list[int]:
    """Draw equal numbers of each stratum, as far as their sizes allow: 10 of (2, 90, 90) are 2, 4, 4."""
    takes = [0] * len(sizes)
    rising = sorted(range(len(sizes)), key=lambda i: sizes[i])
    for done, i in enumerate(rising):
        takes[i] = min(sizes[i], take // (len(sizes) - done))
        take -= takes[i]
    return takes


def _by_stratum(answers: Sequence[JudgedPhoto]) -> list[list[JudgedPhoto]]:
    """The answers of each stratum, from the lowest scores up."""
    strata: defaultdict[int, list[JudgedPhoto]] = defaultdict(list)
    for answer in answers:
        strata[answer.stratum].append(answer)
    for stratum, rows in strata.items():
        sizes = {a.population for a in rows}
        if len(sizes) > 1 or min(sizes) < len(rows):
            raise InputError(
                f"stratum {stratum} of the sample: {len(rows)} photos drawn of {' or '.join(map(str, sorted(sizes)))}; "
                "keep its rows as `photosearch sample` wrote them"
            )
    return [strata[i] for i in sorted(strata)]


def _sides(
    strata: Sequence[Sequence[JudgedPhoto]], threshold: float, rng: np.random.Generator
) -> tuple[list[_Part], list[_Part]]:
    """(the parts below the threshold, the parts at it and above)."""
    missed, found = [], []
    for rows in strata:
        low = [a for a in rows if a.score < threshold]
        high = [a for a in rows if a.score >= threshold]
        n, whole = len(rows), rows[0].population
        above = np.full(SIMULATIONS, whole * (not low))
        if low and high:
            share = rng.beta(len(high) + 0.5, len(low) + 0.5, SIMULATIONS)
            above = len(high) + rng.binomial(whole - n, share)
        if low:
            missed.append(_part(low, whole * len(low) / n, whole - above))
        if high:
            found.append(_part(high, whole * len(high) / n, above))
    return _joined(missed), _joined(found)


def _part(rows: Sequence[JudgedPhoto], size: float, sizes: npt.NDArray[np.int64]) -> _Part:
    return _Part(size, sizes, sum(a.present is not None for a in rows), sum(bool(a.present) for a in rows))


def _joined(parts: Sequence[_Part]) -> list[_Part]:
    """Join each part without judged photos to the nearest part with some; all to one where none has any."""
    judged = [i for i, part in enumerate(parts) if part.judged] or [0][: len(parts)]
    nearest = [min(judged, key=lambda j: abs(i - j)) for i in range(len(parts))]
    return [
        _Part(
            sum(part.size for part, to in zip(parts, nearest, strict=True) if to == j),
            np.sum([part.sizes for part, to in zip(parts, nearest, strict=True) if to == j], axis=0),
            parts[j].judged,
            parts[j].present,
        )
        for j in judged
    ]


def _expected(side: Sequence[_Part]) -> tuple[Floats, Floats]:
    """The expected numbers of photos on this side that show the label, and that don't, [1]; NaN without judged ones."""
    if not all(part.judged for part in side):
        return np.full(1, np.nan), np.full(1, np.nan)
    present = sum(part.size * part.present / part.judged for part in side)
    absent = sum(part.size * (part.judged - part.present) / part.judged for part in side)
    return np.full(1, float(present)), np.full(1, float(absent))


def _mean(totals: Sequence[tuple[Floats, Floats]], sides: Sequence[Sequence[_Part]]) -> tuple[Floats, Floats]:
    """The samples' mean numbers (of photos that show the label, and that don't) on one side of the threshold.

    A sample's weight is the number of its judged photos on that side. totals: of each sample, [1] or [SIMULATIONS].
    """
    judged = np.array([float(sum(part.judged for part in side)) for side in sides])
    if len(sides) == 1 or not judged.any():
        return totals[0] if totals else (np.zeros(1), np.zeros(1))
    shares = judged / judged.sum()
    counted = [(share, total) for share, total in zip(shares, totals, strict=True) if share]  # the others are NaN
    present = np.sum([share * total[0] for share, total in counted], axis=0)
    return present, np.sum([share * total[1] for share, total in counted], axis=0)


def _posterior(side: Sequence[_Part], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The same two numbers in each simulated library, [SIMULATIONS]."""
    present, size = np.zeros(SIMULATIONS), np.zeros(SIMULATIONS)
    for part in side:
        if not part.judged:
            return np.full(SIMULATIONS, np.nan), np.full(SIMULATIONS, np.nan)
        prior, worth = PRIOR / len(side), max(1 - LOST_ANSWERS / part.judged, 0.25)
        share = rng.beta(prior + worth * part.present, prior + worth * (part.judged - part.present), SIMULATIONS)
        present += part.present + rng.binomial(part.sizes - part.judged, share)
        size += part.sizes
    return present, size - present


def _measures(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> dict[str, Floats]:
    """Arrays of counts -> arrays of figures; NaN where there is no value."""
    n = tp + fp + fn + tn
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "accuracy": (tp + tn) / n,
            "always_no_accuracy": (fp + tn) / n,
            "present": tp + fn,
        }


def _value(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _interval(simulated: Floats, value: float | None) -> Interval | None:
    """The middle 95 % of the simulated values, widened where the estimate itself lies outside."""
    finite = simulated[np.isfinite(simulated)]
    if value is None or not len(finite):
        return None
    low, high = np.quantile(finite, (0.025, 0.975))
    return min(float(low), value), max(float(high), value)
