"""store.find's short way to the best photos gives what reading all of them gives, and stays short."""

import random

import pytest

from photosearch import query, store
from photosearch.model import Card
from photosearch.store import Store

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


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """400 photos with scores of one decimal place, so that ties are many; a tenth was removed, some are twice there."""
    rng = random.Random(1)
    with Store(tmp_path_factory.mktemp("best") / "library.db", create=True) as made:
        model_id, labels = made.put_model(CARD, "0" * 16, 0)
        scope = made.add_root("/photos")
        with made.transaction():
            folder = made.folder_id(scope, "/photos")
            for i in range(400):
                image = made.put_image(rng.randbytes(32), 8, 8, None)
                for name in ("a", "b") if i % 7 == 0 else ("a",):
                    made.put_photo(folder, f"{i}{name}.jpg", 1, 1, image)
                if i % 11:
                    made.put_scores(image, {k: round(rng.random() ** 2, 1) for k in labels.values()}, model_id)
        made.remove_photos(range(1, 400, 10))
        yield made


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.parametrize("options", [{}, {"min_score": 0.2}, {"min_score": 0.9}])
def test_the_short_way_finds_what_the_long_way_finds_in_the_same_order(library, monkeypatch, text, options):
    wanted, labels = query.parse(text), {label.name: label for label in library.labels()}
    everything = library.find(wanted, labels, **options)
    for limit in (1, 5, 40, 300):
        for depths in ((), (0,), (3, 20), (60,), (1000,)):
            monkeypatch.setattr(store, "DEPTHS", depths)
            assert library.find(wanted, labels, limit=limit, **options) == everything[:limit]


def test_the_best_of_many_are_found_without_reading_all_of_them(library, monkeypatch):
    wanted, labels = query.parse("bird and not dog"), {label.name: label for label in library.labels()}
    monkeypatch.setattr(store, "DEPTHS", (60,))
    asked = []
    library._db.conn.set_trace_callback(asked.append)
    library.find(wanted, labels, limit=3)
    library._db.conn.set_trace_callback(None)
    (sql,) = [s for s in asked if "ORDER BY score DESC, s0.image_id" in s]
    assert "CROSS JOIN scores s0" in sql


def test_one_label_is_read_from_its_index_in_the_order_of_its_scores(library):
    wanted, labels = query.parse("bird"), {label.name: label for label in library.labels()}
    asked = []
    library._db.conn.set_trace_callback(asked.append)
    library.find(wanted, labels, limit=3)
    library._db.conn.set_trace_callback(None)
    plan = [row[3] for row in library._db.conn.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    assert plan[0] == "SEARCH s0 USING COVERING INDEX scores_best (label_id=? AND score>?)"
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan
