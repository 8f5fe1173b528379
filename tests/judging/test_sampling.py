"""Stratified samples and estimates, against libraries whose truth is known."""

import json
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.coverage import TUNING, cover, from_csv, synthetic
from photosearch.errors import InputError
from photosearch.judging import metrics, sampling
from photosearch.judging.sampling import JudgedPhoto

SHARES = ("precision", "recall", "f1", "accuracy")


@pytest.fixture(scope="module")
def library():
    """2,000 photos, one in five a bird, of which about five in eight are found at 0.5."""
    return synthetic("modest", TUNING["modest"], 2000, 0.2, seed=3)


def answered(library, drawn):
    return [
        JudgedPhoto(float(library.scores[d.index]), d.stratum, d.population, bool(library.present[d.index]))
        for d in drawn
    ]


def truth(library, threshold):
    rows = zip(library.scores, library.present, strict=True)
    return metrics.count([metrics.LabeledScore("", s, bool(p)) for s, p in rows], threshold)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 20).map(lambda i: i / 20), max_size=120),
    st.integers(4, 90),
    st.integers(0, 20).map(lambda i: i / 20),
)
def test_draw_photos_respects_size_and_threshold(scores, n, threshold):
    drawn = sampling.draw_photos(scores, n, threshold)
    assert len({d.index for d in drawn}) == len(drawn) == min(n, len(scores))
    strata = defaultdict(list)
    for d in drawn:
        strata[d.stratum].append(d)
    assert sorted(strata) == list(range(len(strata)))
    assert sum(rows[0].population for rows in strata.values()) == len(scores)
    ends = []
    for _, rows in sorted(strata.items()):
        assert {(d.population, d.probability) for d in rows} == {(rows[0].population, len(rows) / rows[0].population)}
        assert len(rows) >= min(2, rows[0].population)
        here = [scores[d.index] for d in rows]
        assert min(here) >= threshold or max(here) < threshold
        ends += [min(here), max(here)]
    assert ends == sorted(ends)


def test_draw_photos_favours_found_and_doubtful_photos(library):
    drawn = sampling.draw_photos(library.scores, 60, 0.5)
    found = [d for d in drawn if library.scores[d.index] >= 0.5]
    assert len(found) == 24
    chance = dict(sorted((d.stratum, d.probability) for d in drawn))
    lowest, doubtful = chance[0], chance[min(d.stratum for d in found) - 1]
    assert doubtful > 3 * lowest
    assert all(d.probability > 3 * lowest for d in found)


def test_draw_photos_depends_on_the_seed(library):
    first, again, other = (sampling.draw_photos(library.scores, 60, 0.5, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert {d.index for d in first} != {d.index for d in other}


def test_draw_photos_order_hides_the_scores(library):
    strata = np.array([[d.stratum for d in sampling.draw_photos(library.scores, 60, 0.5, seed=s)] for s in range(50)])
    place = np.arange(60)
    assert abs(np.mean([np.corrcoef(row, place)[0, 1] for row in strata])) < 0.06


def test_draw_photos_refuses_too_few():
    with pytest.raises(InputError, match="3 photos are too few"):
        sampling.draw_photos([0.1] * 10, 3, 0.5)
    with pytest.raises(ValueError, match="not a number"):
        sampling.draw_photos([0.1, float("nan")], 60, 0.5)


def test_estimate_is_exact_when_all_photos_are_judged(library):
    small = replace(library, scores=library.scores[:300], present=library.present[:300])
    for threshold in (0.5, 0.2):  # drawn for the first
        known = truth(small, threshold)
        e = sampling.estimate([answered(small, sampling.draw_photos(small.scores, 300, 0.5))], threshold)
        assert (e.population, e.drawn, e.judged) == (300, 300, 300)
        assert (e.tp, e.fp, e.fn, e.tn) == pytest.approx((known.tp, known.fp, known.fn, known.tn))
        for name in SHARES:
            value = getattr(known, name)
            assert (getattr(e, name), *e.intervals[name]) == pytest.approx((value,) * 3)
        assert e.always_no_accuracy == pytest.approx(known.always_no_accuracy)
        assert (e.present, *e.intervals["present"]) == pytest.approx((known.tp + known.fn,) * 3)


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.5, 0.35])
def test_estimate_is_unbiased(library, threshold):
    """Drawn for 0.5; at 0.35 the parts of a stratum that is cut are estimated too."""
    known = truth(library, threshold)
    made = [
        sampling.estimate([answered(library, sampling.draw_photos(library.scores, 60, 0.5, seed=seed))], threshold)
        for seed in range(80)
    ]
    for name in ("tp", "fp", "fn", "tn"):
        values = np.array([getattr(e, name) for e in made])
        spread = values.std() / np.sqrt(len(made))
        assert abs(values.mean() - getattr(known, name)) < 3 * spread, name


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 200])
def test_estimate_intervals_have_95_percent_coverage(library, n):
    """The full table: python -m benchmarks coverage."""
    weighted, unweighted, random = cover(library, n, 100, 0.5)
    assert weighted.precision >= 0.88  # at n = 200 much of what is found is judged
    assert weighted.recall >= 0.88  # 100 draws: three standard errors below 95 %
    assert unweighted.recall < 0.8
    assert weighted.recall_width < random.recall_width
    assert weighted.precision_width < random.precision_width


def test_estimate_allows_for_unseen_positives():
    # 90,000 photos of which 20 were judged, none a bird: 1 in 20 could be, and would not have been seen.
    answers = [JudgedPhoto(0.001, 0, 90_000, False)] * 20 + [JudgedPhoto(0.9, 1, 1000, True)] * 20
    e = sampling.estimate([answers], 0.5)
    assert (e.tp, e.fp, e.fn, e.tn) == (1000, 0, 0, 90_000)
    assert (e.precision, e.recall) == (1, 1)
    low, high = e.intervals["recall"]
    assert 0.05 < low < 0.5
    assert high == 1
    assert 0.8 < e.intervals["precision"][0] < 1


def test_estimate_gives_unjudged_weight_to_the_stratum():
    answers = (
        [JudgedPhoto(0.1, 0, 100, False)] * 3 + [JudgedPhoto(0.1, 0, 100, None)] * 2 + [JudgedPhoto(0.1, 0, 100, True)]
    )
    answers += [JudgedPhoto(0.9, 1, 30, True), JudgedPhoto(0.9, 1, 30, None)]
    e = sampling.estimate([answers], 0.5)
    assert (e.population, e.drawn, e.judged) == (130, 8, 5)
    assert (e.tp, e.fp, e.fn, e.tn) == (30, 0, 25, 75)
    assert sampling.weights(answers) == [25.0] * 4 + [30.0]


def test_estimate_joins_unjudged_strata_to_neighbours():
    answers = [JudgedPhoto(0.1, 0, 1000, None), JudgedPhoto(0.3, 1, 200, True), JudgedPhoto(0.3, 1, 200, False)]
    answers += [JudgedPhoto(0.6, 2, 50, None), JudgedPhoto(0.8, 3, 40, True), JudgedPhoto(0.9, 4, 30, False)]
    e = sampling.estimate([answers], 0.5)
    assert (e.tp, e.fp, e.fn, e.tn) == (90, 30, 600, 600)


def test_estimate_is_none_for_an_unjudged_side():
    answers = (
        [JudgedPhoto(0.1, 0, 1000, None)] * 5 + [JudgedPhoto(0.8, 1, 40, True)] * 3 + [JudgedPhoto(0.8, 1, 40, False)]
    )
    e = sampling.estimate([answers], 0.5)
    assert (e.tp, e.fp, e.fn, e.tn, e.precision, e.recall, e.accuracy) == (30, 10, None, None, 0.75, None, None)
    assert e.intervals["precision"][0] < 0.75 < e.intervals["precision"][1]
    assert [e.intervals[name] for name in ("recall", "f1", "accuracy", "present")] == [None] * 4


def test_estimate_has_no_precision_or_recall_of_nothing():
    e = sampling.estimate([[JudgedPhoto(0.1, 0, 1000, False)] * 10], 0.5)
    assert (e.tp, e.fp, e.fn, e.tn, e.precision, e.recall, e.f1, e.accuracy) == (0, 0, 0, 1000, None, None, None, 1)
    assert e.intervals["precision"] is e.intervals["recall"] is None
    assert sampling.estimate([[]], 0.5).accuracy is None


def test_estimate_at_another_threshold_widens_intervals():
    # 50 photos found at 0.5; ten judged, four of them from 0.7 on.
    answers = (
        [JudgedPhoto(0.75, 1, 50, True)] * 4
        + [JudgedPhoto(0.6, 1, 50, True)] * 3
        + [JudgedPhoto(0.6, 1, 50, False)] * 3
    )
    answers += [JudgedPhoto(0.1, 0, 900, False)] * 10
    e = sampling.estimate([answers], 0.7)
    assert (e.tp, e.fp, e.fn, e.tn) == (20, 0, 15, 915)
    assert e.population == 950
    low, high = e.intervals["recall"]
    assert low < 20 / 35 < high


def test_estimate_refuses_contradictory_strata():
    with pytest.raises(InputError, match="stratum 3 of the sample: 2 photos drawn of 10 or 12"):
        sampling.estimate([[JudgedPhoto(0.1, 3, 10, True), JudgedPhoto(0.1, 3, 12, True)]], 0.5)
    with pytest.raises(InputError, match="3 photos drawn of 2"):
        sampling.estimate([[JudgedPhoto(0.1, 0, 2, True)] * 3], 0.5)


def test_estimate_is_deterministic(library):
    answers = answered(library, sampling.draw_photos(library.scores, 60, 0.5))
    assert sampling.estimate([answers], 0.5) == sampling.estimate([answers], 0.5)


def test_weights_make_a_curve_of_the_library(library):
    answers = answered(library, sampling.draw_photos(library.scores, 400, 0.5))
    photos = [metrics.LabeledScore("", a.score, a.present) for a in answers]
    weights = sampling.weights(answers)
    assert sum(weights) == pytest.approx(2000)
    whole = [metrics.LabeledScore("", s, bool(p)) for s, p in zip(library.scores, library.present, strict=True)]
    areas = [c.average_precision for c in (metrics.curve(whole), metrics.curve(photos, weights), metrics.curve(photos))]
    assert abs(areas[1] - areas[0]) < 0.06
    assert abs(areas[2] - areas[0]) > abs(areas[1] - areas[0])


def test_estimate_of_samples_weights_samples_by_judged_photos():
    # Of 100 photos below the threshold: 1 of 10 shows it, then 6 of 30. Of 20 from it on: 8 of 10, then 9 of 10.
    first = [JudgedPhoto(0.1, 0, 100, i < 1) for i in range(10)] + [JudgedPhoto(0.9, 1, 20, i < 8) for i in range(10)]
    second = [JudgedPhoto(0.1, 0, 100, i < 6) for i in range(30)] + [JudgedPhoto(0.9, 1, 20, i < 9) for i in range(10)]
    e = sampling.estimate([first, second], 0.5)
    assert (e.tp, e.fp, e.fn, e.tn) == pytest.approx((17, 3, (10 * 10 + 30 * 20) / 40, 82.5))
    assert (e.precision, e.recall) == pytest.approx((17 / 20, 17 / 34.5))
    assert (e.population, e.drawn, e.judged) == (120, 60, 60)
    weights = sampling.weights(first, second)
    assert weights == pytest.approx([10 / 3] * 10 + [2 / 3] * 10 + [100 / 30 * 2 / 3] * 30 + [2 * 2 / 3] * 10)
    assert sum(weights) == pytest.approx(120)


def test_estimate_of_samples_ignores_unjudged_sides():
    first = [JudgedPhoto(0.1, 0, 100, None)] * 10 + [JudgedPhoto(0.9, 1, 20, True)] * 10
    second = [JudgedPhoto(0.1, 0, 100, i < 6) for i in range(30)] + [JudgedPhoto(0.9, 1, 20, None)] * 10
    e = sampling.estimate([first, second], 0.5)
    assert (e.tp, e.fp, e.fn, e.tn) == (20, 0, 20, 80)
    assert sampling.estimate([first, first], 0.5).recall is None


def test_estimate_of_samples_ignores_unjudged_samples(library):
    one = answered(library, sampling.draw_photos(library.scores, 60, 0.5))
    unjudged = [
        replace(a, present=None) for a in answered(library, sampling.draw_photos(library.scores, 60, 0.5, seed=1))
    ]
    alone, both = sampling.estimate([one], 0.5), sampling.estimate([one, unjudged], 0.5)
    for name in ("tp", "fp", "fn", "tn", "precision", "recall", "population", "judged"):
        assert getattr(both, name) == pytest.approx(getattr(alone, name)), name


@pytest.mark.slow
def test_estimate_of_samples_keeps_coverage_with_narrower_intervals(library):
    known, held, narrower = truth(library, 0.5), [], []
    spread = {1: [], 2: []}
    for seed in range(60):
        pair = [answered(library, sampling.draw_photos(library.scores, 60, 0.5, seed=2 * seed + i)) for i in range(2)]
        for n in (1, 2):
            e = sampling.estimate(pair[:n], 0.5)
            spread[n].append((e.recall, e.intervals["recall"]))
    for n, made in spread.items():
        held.append(np.mean([low <= known.recall <= high for _, (low, high) in made]))
        narrower.append(np.median([high - low for _, (low, high) in made]))
        assert abs(np.mean([recall for recall, _ in made]) - known.recall) < 0.05, n
    assert min(held) >= 0.85  # 60 draws: three standard errors below 95 %
    assert 0.6 < narrower[1] / narrower[0] < 0.85  # one over the root of two, about


def test_estimate_to_json(library):
    e = sampling.estimate([answered(library, sampling.draw_photos(library.scores, 60, 0.5))], 0.5)
    told = json.loads(json.dumps(e.to_json(), allow_nan=False))
    shared = set(metrics.measure("bird", [], 0.5).to_json()) - {"label", "n", "average_precision", "mistakes"}
    assert shared <= set(told)
    assert {"population", "drawn", "judged", "present"} <= set(told)
    assert list(told["intervals"]) == [*SHARES, "present"]


def test_coverage_benchmark_reads_scores_from_csv(tmp_path):
    file = tmp_path / "real.csv"
    rows = "".join(f"{i}.jpg,bird,{int(i > 70)},{i / 100}\n" for i in range(100))
    file.write_text("path,label,present,score\n" + rows + "0.jpg,dog,1,0.25\n")
    bird, dog = from_csv(file)
    assert (bird.name, len(bird.scores), int(bird.present.sum()), bird.scores[50]) == ("real bird, 100", 100, 29, 0.5)
    assert (dog.scores.tolist(), dog.present.tolist()) == ([0.25], [True])
    weighted = cover(bird, 100, 3, 0.5)[0]
    assert (weighted.precision, weighted.recall, weighted.recall_width) == (1, 1, 0)  # all are judged


BELOW = [JudgedPhoto(0.1, 0, 1000, False)] * 10


@pytest.mark.parametrize(
    ("found", "low", "high"),
    [
        # 4 of 8, of very many: quantiles of Beta(0.5 + 6/8 * 4, 0.5 + 6/8 * 4), by numeric integration
        ([(8, 4, 10**6)], 0.1668, 0.8332),
        # 2 of 4: Beta(1.5, 1.5)
        ([(4, 2, 10**6)], 0.0608, 0.9392),
        # 4 of 8 of 10: the two that nobody looked at show it or don't, each far more often than once in 40 times
        ([(8, 4, 10)], 0.4, 0.6),
        # all of 10: nothing is left to chance
        ([(10, 7, 10)], 0.7, 0.7),
        # 0 of 4 of 100,000 and 4 of 4 of 900,000: 0.1 Beta(0.25, 2.25) + 0.9 Beta(2.25, 0.25), by 4 million draws
        ([(4, 0, 10**5), (4, 4, 9 * 10**5)], 0.3781, 0.9440),
    ],
)
def test_estimate_interval_width_by_hand(found, low, high):
    answers = list(BELOW)
    for stratum, (judged, present, population) in enumerate(found, 1):
        answers += [JudgedPhoto(0.5 + stratum / 10, stratum, population, i < present) for i in range(judged)]
    interval = sampling.estimate([answers], 0.5).intervals["precision"]
    assert interval == pytest.approx((low, high), abs=0.02)


def test_estimate_of_a_cut_stratum_by_hand():
    """Ten of 1,000 that all show it, half of them on each side: mostly, how many lie on which side is uncertain."""
    answers = [JudgedPhoto(0.6, 1, 1000, True)] * 5 + [JudgedPhoto(0.8, 1, 1000, True)] * 5
    recall = sampling.estimate([answers], 0.7).intervals["recall"]
    assert recall == pytest.approx((0.2019, 0.7985), abs=0.02)  # by 4 million draws


def test_draw_photos_makes_equal_strata_of_equal_scores():
    drawn = sampling.draw_photos([0.9] * 80, 56, 0.5)
    sizes = {d.stratum: d.population for d in drawn}
    assert len(sizes) == 8
    assert sum(sizes.values()) == 80
    assert all(9 <= size <= 11 for size in sizes.values())  # a sum of many floats may miss a border by one


def test_draw_photos_makes_small_strata_of_doubtful_photos():
    """With DOUBT, sqrt(p (1 - p)) of 0.5 is 0.5, and of 0.98 it is 0.17: 83 such photos are as uncertain as 28."""
    drawn = sampling.draw_photos([0.5] * 28 + [0.98] * 83, 14, 0.5)
    low, high = ({d.population for d in drawn if d.stratum == stratum} for stratum in (0, 1))
    assert (len(low), len(high)) == (1, 1)
    assert 26 <= min(low) <= 30
    assert min(low) + min(high) == 111
