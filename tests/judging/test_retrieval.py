"""Ranks in, measures out, against measures that are counted photo by photo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photosearch.errors import InputError
from photosearch.judging import retrieval
from photosearch.judging.retrieval import evaluate, read_queries

PHOTOS = 30
RANKS = st.lists(st.sets(st.integers(1, PHOTOS), min_size=1, max_size=PHOTOS).map(list), min_size=1, max_size=8)


def count(ranks, k: int) -> float:
    return sum(sum(1 for r in some if r <= k) / len(some) for some in ranks) / len(ranks)


def walk(some) -> tuple[float, float]:
    """(reciprocal rank, average precision), found by going down the list of photos."""
    hits, first, precisions = 0, None, []
    for place in range(1, PHOTOS + 1):
        if place in some:
            hits += 1
            first = first or place
            precisions.append(hits / place)
    return 1 / first, sum(precisions) / len(some)


@settings(max_examples=60, deadline=None)
@given(RANKS)
def test_measures_are_those_of_a_walk_down_the_list(ranks):
    found = evaluate(ranks, PHOTOS)
    walked = [walk(some) for some in ranks]
    assert (found.queries, found.photos) == (len(ranks), PHOTOS)
    assert found.recall_at_1 == pytest.approx(count(ranks, 1))
    assert found.recall_at_5 == pytest.approx(count(ranks, 5))
    assert found.recall_at_10 == pytest.approx(count(ranks, 10))
    assert found.mrr == pytest.approx(sum(r for r, _ in walked) / len(ranks))
    assert found.map == pytest.approx(sum(p for _, p in walked) / len(ranks))
    for name, (low, high) in found.intervals.items():
        assert 0 <= low <= high <= 1
        assert low == pytest.approx(high) or len({tuple(sorted(some)) for some in ranks}) > 1, name


@settings(max_examples=30, deadline=None)
@given(RANKS, st.randoms(use_true_random=False))
def test_the_order_of_photos_and_of_queries_does_not_matter_to_a_value(ranks, random):
    mixed = [random.sample(some, len(some)) for some in random.sample(ranks, len(ranks))]
    assert evaluate(mixed, PHOTOS).map == pytest.approx(evaluate(ranks, PHOTOS).map)


def test_perfect_and_hopeless():
    assert evaluate([[1], [1]], 10).intervals == dict.fromkeys(retrieval.MEASURES, (1.0, 1.0))
    worst = evaluate([[100]], 100)
    assert (worst.recall_at_10, worst.mrr, worst.map) == (0, 0.01, 0.01)


def test_the_same_seed_gives_the_same_intervals_and_another_gives_others():
    ranks = [[i] for i in range(1, 40)]
    assert evaluate(ranks, 40, seed=1) == evaluate(ranks, 40, seed=1)
    assert evaluate(ranks, 40, seed=1).intervals["mrr"] != evaluate(ranks, 40, seed=2).intervals["mrr"]


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """100 queries with one photo, first with a probability of 0.3: of 200 such reports, 95 % hold 0.3, give or take."""
    rng = np.random.default_rng(1)
    held = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "DRAWS", 300)
        for seed in range(200):
            low, high = evaluate([[1 if x < 0.3 else 20] for x in rng.random(100)], 20, seed=seed).intervals[
                "recall_at_1"
            ]
            held += low <= 0.3 <= high
    assert 178 <= held <= 199


def test_its_json_has_these_keys_in_this_order():
    found = retrieval.to_json(evaluate([[1, 3], [2]], 5))
    assert list(found) == [
        "queries", "photos", "recall_at_1", "recall_at_5", "recall_at_10", "mrr", "map", "intervals",
    ]  # fmt: skip
    assert found["recall_at_1"] == 0.25
    assert found["map"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)


@pytest.mark.parametrize("ranks", [[], [[]], [[0]], [[6]], [[2, 2]], [[1], []]])
def test_ranks_that_cannot_be_are_refused(ranks):
    with pytest.raises(InputError):
        evaluate(ranks, 5)


def write(path, text: str | bytes):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_query_has_the_photos_of_all_its_rows(tmp_path):
    file = write(
        tmp_path / "q.csv",
        '\ufeffPath, Query ,other\r\na.jpg,a dog,x\r\n\r\n/b/c.jpg,"a, cat",\r\nd/e.jpg, a dog,\r\na.jpg,a dog,\r\n',
    )
    assert read_queries(file) == {"a dog": [f"{tmp_path}/a.jpg", f"{tmp_path}/d/e.jpg"], "a, cat": ["/b/c.jpg"]}


def test_a_path_need_not_be_utf8(tmp_path):
    file = write(tmp_path / "q.csv", b"query,path\ndog,\xff.jpg\n")
    assert read_queries(file) == {"dog": [f"{tmp_path}/\udcff.jpg"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: lacks the column query"),
        ("query\ndog\n", "line 1: lacks the column path"),
        ("query,path\n", "holds no query"),
        ("query,path\n,,\n", "holds no query"),
        ("query,path\ndog\n", "line 2: has 1 columns"),
        ("query,path\n ,a.jpg\n", "line 2: has no query"),
        ("query,path\ndog,\n", "line 2: has no usable path"),
        ("query,path\ndog,a\0b\n", "line 2: "),
        ('query,path\ndog,"a\n', "not CSV"),
        ("query,path\n" + "d" * 200_000 + ",a\n", "not CSV"),
    ],
)
def test_a_file_of_queries_that_is_none_is_refused_in_one_line(tmp_path, text, said):
    with pytest.raises(InputError, match=said) as raised:
        read_queries(write(tmp_path / "q.csv", text))
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path}/q.csv")


def test_a_file_that_is_not_there_or_too_long_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="can't be read"):
        read_queries(tmp_path / "none.csv")
    monkeypatch.setattr(retrieval, "MAX_ROWS", 2)
    with pytest.raises(InputError, match="line 4: more than 2 rows"):
        read_queries(write(tmp_path / "q.csv", "query,path\na,b\na,c\na,d\n"))
