"""ranking.find's short way to the best photos gives what reading all of them gives, and stays short."""

import random
from dataclasses import replace

import pytest

from photosearch import query
from photosearch.library import matching
from photosearch.library.database import Database
from photosearch.library.folders import add_root, put_folder
from photosearch.library.labels import read_labels
from photosearch.library.models import put_model
from photosearch.library.photos import FileRecord, mark_absent, put_image, put_photo
from photosearch.library.scores import put_prediction
from photosearch.models.card import Card

CARD = Card(name="made-up", version="1", labels=("bird", "dog", "cat"), input_size=8, thresholds={"cat": 0.3})
QUERIES = (
    "not bird",
    "bird and not dog",
    "bird or dog",
    "not (bird and dog) or cat",
    "bird and (dog or not cat)",
    "not (bird or not cat)",
    "cat and dog and not bird",
)


@pytest.fixture(scope="module", params=[0.0, 0.05])
def library(tmp_path_factory, request):
    """400 photos with scores of one decimal place, so that ties are many; a tenth was removed, some are twice there.

    With a floor, half of the rows are missing: their scores lie below it.
    """
    floor = request.param
    rng = random.Random(1)
    with Database(tmp_path_factory.mktemp("best") / "library.db", create=True) as made:
        model_id, labels = put_model(made, replace(CARD, min_score=floor), "0" * 16, 0)
        scope = add_root(made, "/photos")
        with made.transaction():
            folder = put_folder(made, scope, "/photos")
            for i in range(400):
                image = put_image(made, rng.randbytes(32), 8, 8)
                for name in ("a", "b") if i % 7 == 0 else ("a",):
                    put_photo(made, folder, f"{i}{name}.jpg", FileRecord(1, 1), image)
                if i % 11:
                    given = {k: round(rng.random() ** 2, 1) for k in labels}
                    given = {k: s for k, s in given.items() if s >= floor}
                    put_prediction(made, image, model_id, labels, given)
        mark_absent(made, range(1, 400, 10), "removed")
        yield made


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.parametrize("options", [{}, {"min_score": 0.2}, {"min_score": 0.9}])
def test_the_short_way_finds_what_the_long_way_finds_in_the_same_order(library, monkeypatch, text, options):
    wanted, labels = query.parse(text), {label.name: label for label in read_labels(library)}
    everything = matching.find_matches(library, wanted, labels, **options)
    for limit in (1, 5, 40, 300):
        for depths in ((), (0,), (3, 20), (60,), (1000,)):
            monkeypatch.setattr(matching, "DEPTHS", depths)
            assert matching.find_matches(library, wanted, labels, limit=limit, **options) == everything[:limit]


def test_the_best_of_many_are_found_without_reading_all_of_them(library, monkeypatch):
    wanted, labels = query.parse("bird and not dog"), {label.name: label for label in read_labels(library)}
    monkeypatch.setattr(matching, "DEPTHS", (60,))
    asked = []
    library.conn.set_trace_callback(asked.append)
    matching.find_matches(library, wanted, labels, limit=3)
    library.conn.set_trace_callback(None)
    (sql,) = [s for s in asked if "ORDER BY score DESC, p.image_id" in s]
    assert "json_each" in sql


def test_one_label_is_read_from_its_index_in_the_order_of_its_scores(library):
    wanted, labels = query.parse("bird"), {label.name: label for label in read_labels(library)}
    asked = []
    library.conn.set_trace_callback(asked.append)
    matching.find_matches(library, wanted, labels, limit=3)
    library.conn.set_trace_callback(None)
    plan = [row[3] for row in library.conn.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    assert plan[0] == "SEARCH s USING COVERING INDEX scores_best (label_id=? AND score>?)"
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan


@pytest.mark.parametrize("text", [*QUERIES, "bird"])
@pytest.mark.parametrize("min_score", [None, 0.2, 0.9])
def test_as_many_are_counted_as_are_found(library, monkeypatch, text, min_score):
    wanted, labels = query.parse(text), {label.name: label for label in read_labels(library)}
    for some in (0, matching.MAX_SCANNED):  # photos of the folder through the labels' lists, and one by one
        monkeypatch.setattr(matching, "MAX_SCANNED", some)
        for only in (matching.NO_FILTER, matching.filter_photos(library, "/photos", None, None)):
            found = len(matching.find_matches(library, wanted, labels, min_score=min_score, only=only))
            for most in (0, 1, 7, found, 10_000):
                assert matching.count_matches(library, wanted, labels, most, min_score, only) == min(most, found)
