"""Retrieval: measures against counting photo by photo, files of queries, and a library's own photos."""

import shutil

import numpy as np
import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, open_seen
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import toy_card

from photosearch.errors import InputError, QueryError
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
def test_evaluate_agrees_with_counting_down_the_list(ranks):
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
def test_evaluate_ignores_the_order_of_photos_and_queries(ranks, random):
    mixed = [random.sample(some, len(some)) for some in random.sample(ranks, len(ranks))]
    assert evaluate(mixed, PHOTOS).map == pytest.approx(evaluate(ranks, PHOTOS).map)


def test_evaluate_perfect_and_worst_ranks():
    assert evaluate([[1], [1]], 10).intervals == dict.fromkeys(retrieval.MEASURES, (1.0, 1.0))
    worst = evaluate([[100]], 100)
    assert (worst.recall_at_10, worst.mrr, worst.map) == (0, 0.01, 0.01)


def test_evaluate_intervals_depend_on_the_seed():
    ranks = [[i] for i in range(1, 40)]
    assert evaluate(ranks, 40, seed=1) == evaluate(ranks, 40, seed=1)
    assert evaluate(ranks, 40, seed=1).intervals["mrr"] != evaluate(ranks, 40, seed=2).intervals["mrr"]


@pytest.mark.slow
def test_evaluate_intervals_have_95_percent_coverage():
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


def test_retrieval_report_to_json():
    found = evaluate([[1, 3], [2]], 5).to_json()
    assert list(found) == [
        "queries", "photos", "recall_at_1", "recall_at_5", "recall_at_10", "mrr", "map", "intervals",
    ]  # fmt: skip
    assert found["recall_at_1"] == 0.25
    assert found["map"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)


@pytest.mark.parametrize("ranks", [[], [[]], [[0]], [[6]], [[2, 2]], [[1], []]])
def test_evaluate_refuses_impossible_ranks(ranks):
    with pytest.raises(InputError):
        evaluate(ranks, 5)


def write(path, text: str | bytes):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_read_queries_collects_the_photos_of_each_query(tmp_path):
    file = write(
        tmp_path / "q.csv",
        '\ufeffPath, Query ,other\r\na.jpg,a dog,x\r\n\r\n/b/c.jpg,"a, cat",\r\nd/e.jpg, a dog,\r\na.jpg,a dog,\r\n',
    )
    assert read_queries(file) == {"a dog": [f"{tmp_path}/a.jpg", f"{tmp_path}/d/e.jpg"], "a, cat": ["/b/c.jpg"]}


def test_read_queries_takes_semicolons_and_any_letter_case(tmp_path):
    file = write(tmp_path / "q.csv", "PATH;Query\na, b.jpg;a dog\n")
    assert read_queries(file) == {"a dog": [f"{tmp_path}/a, b.jpg"]}


def test_read_queries_takes_paths_that_are_not_utf8(tmp_path):
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
def test_read_queries_names_the_bad_line(tmp_path, text, said):
    with pytest.raises(InputError, match=said) as raised:
        read_queries(write(tmp_path / "q.csv", text))
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path}/q.csv")


def test_read_queries_refuses_missing_and_long_files(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="can't be read"):
        read_queries(tmp_path / "none.csv")
    monkeypatch.setattr(retrieval, "MAX_ROWS", 2)
    with pytest.raises(InputError, match="line 4: more than 2 rows"):
        read_queries(write(tmp_path / "q.csv", "query,path\na,b\na,c\na,d\n"))


# ---- a library's own photos


@pytest.fixture
def seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path) as seen:
        for name, colour in {"red": RED, "green": GREEN, "blue": BLUE, "black": BLACK, "dusk": (0, 0, 60)}.items():
            seen.photo(f"{name}.png", colour)
        seen.index()
        yield seen


def judge(seen, *rows: str, **options):
    file = seen.folder / "queries.csv"
    file.write_text("\n".join(["query,path", *rows]))
    return seen.asks.report_retrieval(file, **options).to_json()


def test_judge_retrieval_ranks_all_images_by_each_query(seen):
    told = judge(seen, "red,red.png", "black,dusk.png")
    assert (told["queries"], told["photos"]) == (2, 5)
    assert told["recall_at_1"] == 0.5
    assert told["recall_at_5"] == told["recall_at_10"] == 1
    assert told["mrr"] == told["map"] == 0.75
    assert list(told) == ["queries", "photos", "recall_at_1", "recall_at_5", "recall_at_10", "mrr", "map", "intervals"]


def test_judge_retrieval_takes_several_photos_for_a_query(seen):
    told = judge(seen, "black,black.png", "black,dusk.png", "black,blue.png")
    assert told["queries"] == 1
    assert told["recall_at_1"] == pytest.approx(1 / 3)
    assert told["mrr"] == 1


def test_judge_retrieval_counts_copies_once(seen):
    shutil.copy(seen.folder / "black.png", seen.folder / "copy.png")
    seen.index()
    told = judge(seen, "black,black.png", "black,copy.png")
    assert (told["photos"], told["recall_at_1"]) == (5, 1)


def test_judge_retrieval_reads_label_names_as_descriptions(seen):
    """A label's name is a description here: it is likeness that is judged."""
    assert judge(seen, "green,green.png")["recall_at_1"] == 1


def test_judge_retrieval_ranks_no_missing_photos(seen):
    (seen.folder / "black.png").unlink()
    seen.index()
    told = judge(seen, "black,dusk.png")
    assert (told["photos"], told["recall_at_1"]) == (4, 1)
    with pytest.raises(InputError, match=r"black\.png: not in the library"):
        judge(seen, "black,black.png")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["black,nowhere.png"], r"nowhere\.png: not in the library, or without a vector; index it first"),
        ([], "holds no query"),
        (["?,"], "no usable path"),
    ],
)
def test_judge_retrieval_refuses_in_one_line(seen, rows, said):
    with pytest.raises(InputError, match=said) as error:
        judge(seen, *rows)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="can't be read"):
        seen.asks.report_retrieval(seen.folder / "nothing.csv")


def test_judge_retrieval_refuses_a_model_without_vectors(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path, toy_card()) as seen:
        seen.photo("red.png", RED)
        seen.index()
        with pytest.raises(QueryError, match="toy gives no vectors"):
            judge(seen, "red,red.png")
