"""Judging a library with little work: which photos to look at, and what their answers say of all the others.

Pure: numbers in, numbers out. `draw` cuts the library into strata by score, on both sides of the threshold, and draws
some photos of each; `estimate` weighs the answers by what each photo stands for. The scores decide where strata are
cut, and nothing else: where the model is wrong about itself, the intervals grow.

Totals are Horvitz and Thompson's, "A generalization of sampling without replacement", JASA 47 (1952): k of n judged
photos of a stratum of N stand for N * k / n. The plain bootstrap fails here: where a stratum of 90,000 photos shows
no bird among ten, it would swear that there is none. So each stratum's share of birds gets a posterior, a Beta
distribution; the photos that nobody looked at are drawn from it, LIBRARIES times, and the 95 % intervals are
quantiles of these libraries. Two things make them hold the truth as often as they say:
- Jeffreys' half a photo for each answer is given once to all strata of a side, not to each of them: eight strata
  that show no bird must not add up to four (Perks, "Some observations on inverse probability", 1947).
- n answers count as n - 2. The variance of a share seen as p is p (1 - p) / (n - 1), and that is the variance of a
  Beta distribution of n - 2 answers; small strata need it. Rao and Wu shrink their bootstrap likewise, "Resampling
  inference with complex survey data", JASA 83 (1988).
`python -m benchmarks coverage` shows how often they do.

Several samples of one library, drawn one after another, each without regard to the others, count together: each is an
unbiased estimate of the same totals by itself, so that their mean is one too, with weights that the answers have no
part in (Hartley's composite estimator, "Multiple frame surveys", 1962). The weights are the shares of the photos
judged, for what is found and for what is not apart, which is best where the samples were drawn alike; and as they don't
depend on one another, a library of one is averaged with any of the other's. A photo drawn twice counts in each.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError

LEAST = 4  # photos to draw: two on each side of the threshold
# Chosen on libraries of their own: `python -m benchmarks try-coverage`.
FOUND_SHARE = 0.4  # of the photos to judge, those from the threshold on
PER_STRATUM, MOST_STRATA = 7, 8  # photos to judge in a stratum, at least; strata on a side, at most
DOUBT = 0.01  # no score counts as surer than this where strata are cut, or the lowest would be left alone
# As the docstring says.
PRIOR = 0.5  # photos of each answer, for all strata of a side together
LOST = 2  # of the answers of a stratum; at least a quarter of each is left
LIBRARIES = 4000
INTERVALS = ("precision", "recall", "f1", "accuracy", "present")

Interval = tuple[float, float]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SampledPhoto:
    """A photo to judge. index: its place in the scores that were handed to `draw`.

    stratum: 0 holds the lowest scores. population: N, the photos of that stratum in the library. probability: with
    which each of them was drawn, n / N.
    """

    index: int
    stratum: int
    population: int
    probability: float


@dataclass(frozen=True, slots=True)
class JudgedPhoto:
    """A drawn photo, judged or (present is None) not yet. stratum, population: as `draw` gave them."""

    score: float
    stratum: int
    population: int
    present: bool | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a sample says of the whole library at one threshold. What has no value is None.

    population: photos in the library. drawn, judged: photos of the sample. tp, fp, fn, tn: numbers of photos, and
    present = tp + fn, of those that show the label. always_no_accuracy: what a program that never finds anything is
    right about. intervals: 95 %, of precision, recall, f1, accuracy and present.
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


@dataclass(frozen=True, slots=True)
class _Part:
    """A stratum, or what of it lies on one side of the threshold.

    size: the number of its photos, estimated; sizes: in each of the libraries. judged: how many of them were, present:
    how many of those show the label.
    """

    size: float
    sizes: npt.NDArray[np.int64]
    judged: int
    present: int


def draw_photos(scores: npt.ArrayLike, n: int, threshold: float, *, seed: int = 0) -> list[SampledPhoto]:
    """Which n photos to judge, in an order that doesn't tell the judge what the model thinks.

    scores: [N], 0..1, one a photo. All photos where there are no more than n; otherwise at least two of each stratum
    that has two. The same scores and seed give the same photos. Raises InputError where n < 4.
    """
    values = np.asarray(scores, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a score is not a number")
    if n < LEAST:
        raise InputError(f"{n} photos are too few to judge a library by; draw at least {LEAST}, better 60 to 200")
    rng = np.random.default_rng(seed)
    drawn = [
        SampledPhoto(int(index), stratum, len(photos), take / len(photos))
        for stratum, (photos, take) in enumerate(_strata(values, n, threshold))
        for index in rng.choice(photos, take, replace=False)
    ]
    return [drawn[i] for i in rng.permutation(len(drawn))]


def estimate(answers: Sequence[JudgedPhoto], threshold: float, *, seed: int = 0) -> Estimate:
    """What the answers of one sample say of the whole library that they were drawn from.

    answers: every photo that was drawn. One that is not judged hands its weight to those of its stratum that are, each
    of which then stands for N / judged photos; a stratum without any, to the nearest stratum on its side of the
    threshold. That is right as far as the photos left out are like the others. Where a side has none that is judged,
    what depends on it is None. The threshold need not be the one that was drawn for: where it parts the photos of a
    stratum, the parts' sizes are estimated too and the intervals grow. Raises InputError where strata contradict.
    """
    return estimate_together([answers], threshold, seed=seed)


def estimate_together(samples: Sequence[Sequence[JudgedPhoto]], threshold: float, *, seed: int = 0) -> Estimate:
    """What several samples of one library say of it together, as the docstring above derives it.

    The samples must be of the same photos, or nearly: the numbers of photos are means of theirs. Raises InputError.
    """
    rng = np.random.default_rng(seed)
    parted = []
    for answers in samples:
        strata = _by_stratum(answers)
        parted.append((strata, *_sides(strata, threshold, rng)))
    found = [side for _, _, side in parted]
    missed = [side for _, side, _ in parted]
    (tp, fp), (fn, tn) = (
        _mean([_expected(side) for side in found], found),
        _mean([_expected(side) for side in missed], missed),
    )
    values = {name: _value(x[0]) for name, x in _measures(*(np.array([x]) for x in (tp, fp, fn, tn))).items()}
    (tps, fps), (fns, tns) = (_mean([_posterior(side, rng) for side in sides], sides) for sides in (found, missed))
    libraries = _measures(tps, fps, fns, tns)
    populations = [sum(rows[0].population for rows in strata) for strata, _, _ in parted]
    everything = [a for answers in samples for a in answers]
    return Estimate(
        threshold=threshold,
        population=round(float(np.mean(populations))) if populations else 0,
        drawn=len(everything),
        judged=sum(a.present is not None for a in everything),
        tp=_value(tp),
        fp=_value(fp),
        fn=_value(fn),
        tn=_value(tn),
        precision=values["precision"],
        recall=values["recall"],
        f1=values["f1"],
        accuracy=values["accuracy"],
        always_no_accuracy=values["always_no_accuracy"],
        present=values["present"],
        intervals={name: _interval(libraries[name], values[name]) for name in INTERVALS},
    )


def weights(*samples: Sequence[JudgedPhoto]) -> list[float]:
    """For each answer that is judged, in order, how many photos of the library it stands for: N / judged.

    Of several samples each counts by its share of the photos judged. For report.curve and the thresholds that are
    chosen with it. Adds up to the library, less the strata of which no photo is judged.
    """
    weighed: list[float] = []
    judged = [[a for a in answers if a.present is not None] for answers in samples]
    for answers in judged:
        number = {rows[0].stratum: len(rows) for rows in _by_stratum(answers)}
        share = len(answers) / sum(map(len, judged)) if answers else 0.0
        weighed += [share * a.population / number[a.stratum] for a in answers]
    return weighed


def to_json(label: str, estimate: Estimate) -> dict[str, Any]:
    """What `report --json` prints of a sample: the keys of report.to_json, and population, drawn, judged, present."""
    return {"label": label, **asdict(estimate)}


def _strata(scores: Floats, n: int, threshold: float) -> list[tuple[npt.NDArray[np.intp], int]]:
    """(the photos of a stratum, how many of them to draw), from the lowest scores up. The threshold is a border."""
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
    p = DOUBT + (1 - 2 * DOUBT) * np.clip(scores[photos], 0, 1)
    uncertainty = np.cumsum(np.sqrt(p * (1 - p)))
    pieces = max(1, min(MOST_STRATA, take // PER_STRATUM))
    borders = np.searchsorted(uncertainty, uncertainty[-1] * np.arange(1, pieces) / pieces) + 1
    groups = [group for group in np.split(photos, borders) if len(group)]
    return list(zip(groups, _allot(take, [len(group) for group in groups]), strict=True))


def _allot(take: int, sizes: Sequence[int]) -> list[int]:
    """As many of each as of the others, as far as there are so many: 10 of (2, 90, 90) are 2, 4, 4."""
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
        told = {a.population for a in rows}
        if len(told) > 1 or min(told) < len(rows):
            raise InputError(
                f"stratum {stratum} of the sample: {len(rows)} photos drawn of {' or '.join(map(str, sorted(told)))}; "
                "keep its rows as `photosearch sample` wrote them"
            )
    return [strata[i] for i in sorted(strata)]


def _sides(
    strata: Sequence[Sequence[JudgedPhoto]], threshold: float, rng: np.random.Generator
) -> tuple[list[_Part], list[_Part]]:
    """The parts below the threshold, and those from it on."""
    missed, found = [], []
    for rows in strata:
        low = [a for a in rows if a.score < threshold]
        high = [a for a in rows if a.score >= threshold]
        n, whole = len(rows), rows[0].population
        above = np.full(LIBRARIES, whole * (not low))
        if low and high:
            share = rng.beta(len(high) + 0.5, len(low) + 0.5, LIBRARIES)
            above = len(high) + rng.binomial(whole - n, share)
        if low:
            missed.append(_part(low, whole * len(low) / n, whole - above))
        if high:
            found.append(_part(high, whole * len(high) / n, above))
    return _joined(missed), _joined(found)


def _part(rows: Sequence[JudgedPhoto], size: float, sizes: npt.NDArray[np.int64]) -> _Part:
    return _Part(size, sizes, sum(a.present is not None for a in rows), sum(bool(a.present) for a in rows))


def _joined(parts: Sequence[_Part]) -> list[_Part]:
    """Each part that has no judged photo, joined to the nearest that has; all of them to one where none has."""
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


def _expected(side: Sequence[_Part]) -> tuple[float, float]:
    """How many photos of this side show the label, and how many don't; NaN where none is judged."""
    if not all(part.judged for part in side):
        return np.nan, np.nan
    return (
        sum(part.size * part.present / part.judged for part in side),
        sum(part.size * (part.judged - part.present) / part.judged for part in side),
    )


def _mean(totals: Sequence[tuple[Any, Any]], sides: Sequence[Sequence[_Part]]) -> tuple[Any, Any]:
    """The mean of the samples' totals (of photos that show the label, and that don't) on one side of the threshold.

    Each counts by its photos that are judged there; one that has none there doesn't count, unless none has.
    """
    judged = np.array([float(sum(part.judged for part in side)) for side in sides])
    if len(sides) == 1 or not judged.any():
        return totals[0] if totals else (0.0, 0.0)
    shares = judged / judged.sum()
    present, absent = (
        sum(share * total[i] for share, total in zip(shares, totals, strict=True) if share) for i in (0, 1)
    )
    return present, absent


def _posterior(side: Sequence[_Part], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The same two numbers in each of the libraries."""
    present, size = np.zeros(LIBRARIES), np.zeros(LIBRARIES)
    for part in side:
        if not part.judged:
            return np.full(LIBRARIES, np.nan), np.full(LIBRARIES, np.nan)
        prior, worth = PRIOR / len(side), max(1 - LOST / part.judged, 0.25)
        share = rng.beta(prior + worth * part.present, prior + worth * (part.judged - part.present), LIBRARIES)
        present += part.present + rng.binomial(part.sizes - part.judged, share)
        size += part.sizes
    return present, size - present


def _measures(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> dict[str, Floats]:
    """Of arrays of counts; NaN where there is no value."""
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


def _interval(libraries: Floats, value: float | None) -> Interval | None:
    """The middle 95 % of the libraries, widened where it must be to hold the estimate itself."""
    there = libraries[np.isfinite(libraries)]
    if value is None or not len(there):
        return None
    low, high = np.quantile(there, (0.025, 0.975))
    return min(float(low), value), max(float(high), value)
