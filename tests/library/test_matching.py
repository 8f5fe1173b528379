"""find_matches with a limit gives what reading everything gives, and reads less."""

import itertools
import random
from dataclasses import replace

import pytest

from photosearch import query
from photosearch.errors import DamagedError
from photosearch.library import filtering, matching
from photosearch.library.database import Database
from photosearch.library.details import put_dates, put_details
from photosearch.library.filtering import AnyOf, Filter, filter_by_details, negate
from photosearch.library.folders import add_root, put_folder
from photosearch.library.id_sets import MAX_ID, is_in, list_ids, read_id_set, to_digits
from photosearch.library.labels import read_labels
from photosearch.library.models import put_model
from photosearch.library.photos import FileRecord, mark_absent, put_image, put_photo
from photosearch.library.scores import put_prediction
from photosearch.metadata.dates import Taken
from photosearch.metadata.record import PhotoMetadata
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
    "not bird and not dog",
    "not (bird or cat)",
)


@pytest.fixture(scope="module", params=[0.0, 0.05])
def library(tmp_path_factory, request):
    """400 images with scores of one decimal place, so with many ties; a tenth is removed, some have two photos.

    With a min_score, half of the scores are below it and not stored.
    """
    min_score = request.param
    rng = random.Random(1)
    with Database(tmp_path_factory.mktemp("best") / "library.db", create=True) as made:
        model_id, labels = put_model(made, replace(CARD, min_score=min_score), "0" * 16, 0)
        scope = add_root(made, "/photos")
        with made.transaction():
            folder = put_folder(made, scope, "/photos")
            for i in range(400):
                image = put_image(made, rng.randbytes(32), 8, 8)
                for name in ("a", "b") if i % 7 == 0 else ("a",):
                    put_photo(made, folder, f"{i}{name}.jpg", FileRecord(1, 1), image)
                if i % 11:
                    given = {k: round(rng.random() ** 2, 1) for k in labels}
                    given = {k: s for k, s in given.items() if s >= min_score}
                    put_prediction(made, image, model_id, labels, given)
        mark_absent(made, range(1, 400, 10), "removed")
        yield made


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.parametrize("options", [{}, {"min_score": 0.2}, {"min_score": 0.9}])
def test_find_matches_with_limit_equals_whole_result(library, monkeypatch, text, options):
    tree, labels = query.parse(text), {label.name: label for label in read_labels(library)}
    everything = matching.find_matches(library, tree, labels, **options)
    for limit in (1, 2, 5, 40, 300):
        for depths in ((), (0,), (1, 20), (3, 20), (60,), (1000,)):
            monkeypatch.setattr(matching, "DEPTHS", depths)
            assert matching.find_matches(library, tree, labels, limit=limit, **options) == everything[:limit]


def test_find_matches_with_limit_reads_only_tops(library, monkeypatch):
    tree, labels = query.parse("bird and not dog"), {label.name: label for label in read_labels(library)}
    monkeypatch.setattr(matching, "DEPTHS", (60,))
    statements = []
    library._conn.set_trace_callback(statements.append)
    matching.find_matches(library, tree, labels, limit=3)
    library._conn.set_trace_callback(None)
    (sql,) = [s for s in statements if "ORDER BY score DESC, p.image_id" in s]
    assert "json_each" in sql


def test_photos_without_a_label_are_read_from_its_lowest_scores(tmp_path, monkeypatch):
    """Though so many scores are so low that 1 - score is 1 for all of them, and no depth would tell them apart."""
    with Database(tmp_path / "library.db", create=True) as made:
        model_id, labels = put_model(made, CARD, "0" * 16, 0)
        folder = put_folder(made, add_root(made, "/photos"), "/photos")
        with made.transaction():
            for i in range(40):
                image = put_image(made, bytes([i]) * 32, 8, 8)
                put_photo(made, folder, f"{i}.jpg", FileRecord(1, 1), image)
                low = 1e-20 * (40 - i) if i < 30 else 0.01 * i
                put_prediction(made, image, model_id, labels, dict.fromkeys(labels, low))
        tree, labels = query.parse("not bird"), {label.name: label for label in read_labels(made)}
        everything = matching.find_matches(made, tree, labels)
        assert [match.path for match in everything[:30]] == [f"/photos/{i}.jpg" for i in range(30)]
        monkeypatch.setattr(matching, "DEPTHS", (5,))
        monkeypatch.setattr(matching.MatchQuery, "_read_all", None)
        assert matching.find_matches(made, tree, labels, limit=10) == everything[:10]


@pytest.mark.parametrize(("text", "depth"), [
    ("bird and dog", 90), ("not bird and not dog", 40), ("not (bird or dog)", 40),
])  # fmt: skip
def test_find_matches_of_two_labels_looks_up_what_their_tops_have_in_common(library, monkeypatch, text, depth):
    tree, labels = query.parse(text), {label.name: label for label in read_labels(library)}
    everything, read = matching.find_matches(library, tree, labels), []
    read_images = matching.MatchQuery._read_images
    monkeypatch.setattr(
        matching.MatchQuery, "_read_images", lambda self, ids, n: read.append(len(ids)) or read_images(self, ids, n)
    )
    monkeypatch.setattr(matching, "DEPTHS", (depth,))
    monkeypatch.setattr(matching, "READS", 2)
    assert matching.find_matches(library, tree, labels, limit=2) == everything[:2]
    assert len(read) == 1
    assert 2 <= read[0] <= depth / 2


def test_find_matches_reads_one_label_from_its_index(library):
    tree, labels = query.parse("bird"), {label.name: label for label in read_labels(library)}
    statements = []
    library._conn.set_trace_callback(statements.append)
    matching.find_matches(library, tree, labels, limit=3)
    library._conn.set_trace_callback(None)
    plan = [row[3] for row in library._conn.execute(f"EXPLAIN QUERY PLAN {statements[-1]}")]
    assert plan[0] == "SEARCH s USING COVERING INDEX scores_best (label_id=? AND score>?)"
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan


def test_count_of_alternatives_collects_no_list(library):
    tree, labels = query.parse("bird or dog"), {label.name: label for label in read_labels(library)}
    statements = []
    library._conn.set_trace_callback(statements.append)
    matching.count_matches(library, tree, labels, 7, None, matching.NO_FILTER)
    library._conn.set_trace_callback(None)
    plan = "\n".join(row[3] for row in library._conn.execute(f"EXPLAIN QUERY PLAN {statements[-1]}"))
    assert "scores_best" in plan
    assert "TEMP B-TREE" not in plan, "it would read all photos of each label before it counts the first"
    assert "MATERIALIZE" not in plan


@pytest.mark.parametrize("text", [*QUERIES, "bird"])
@pytest.mark.parametrize("min_score", [None, 0.2, 0.9])
def test_count_matches_equals_length_of_find_matches(library, monkeypatch, text, min_score):
    tree, labels = query.parse(text), {label.name: label for label in read_labels(library)}
    for scanned in (0, matching.MAX_SCANNED):  # from the labels' lists, and photo by photo
        monkeypatch.setattr(matching, "MAX_SCANNED", scanned)
        monkeypatch.setattr(matching, "MAX_LISTED", scanned)
        for only in (matching.NO_FILTER, matching.filter_photos(library, "/photos", None, None)):
            found = len(matching.find_matches(library, tree, labels, min_score=min_score, only=only))
            for limit in (0, 1, 7, found, 10_000):
                assert matching.count_matches(library, tree, labels, limit, min_score, only) == min(limit, found)


def test_scores_of_images_are_looked_up_one_by_one(library):
    """Not found by a walk through all photos that have the label."""
    label, statements = read_labels(library)[0], []
    library._conn.set_trace_callback(statements.append)
    scores = matching.read_label_scores(library, label, [1, 2, 10_000])
    library._conn.set_trace_callback(None)
    assert set(scores) <= {1, 2}
    plan = [row[3] for row in library._conn.execute(f"EXPLAIN QUERY PLAN {statements[-1]}")]
    assert plan[0].startswith("SCAN c VIRTUAL TABLE")
    assert "PRIMARY KEY" in plan[1]
    assert "image_id=?" in plan[1]


@pytest.mark.parametrize(("photos", "share", "limit", "scanned"), [
    (None, 1.0, 100, False), (12_000, 1.0, 100, True), (13_886, 0.003, 101, True), (13_886, 0.5, 101, False),
    (13_886, 0.5, None, True), (13_886, 0.5, 10_001, True), (250_001, 0.0, None, False),
])  # fmt: skip
def test_photos_of_a_filter_are_scanned_where_lists_would_be_read_for_longer(photos, share, limit, scanned):
    assert matching.PhotoFilter("", (), photos, share).is_best_scanned(limit) is scanned


def test_share_of_a_filter_is_that_of_all_its_conditions(library):
    (total,) = library.one("SELECT n FROM counts WHERE name = 'images'")
    assert matching.measure_share(library, [total, total]) == 1
    assert matching.measure_share(library, [total // 2, total // 2]) == pytest.approx((total // 2 / total) ** 2)
    assert matching.measure_share(library, [0, 5 * total]) == 0


KINDS = [*QUERIES, "bird", "bird and cat", "(bird or dog) and not cat", "dog and not dog"]


@pytest.fixture(scope="module")
def dated(tmp_path_factory):
    """300 photos of 260 images, and what each is: (name, scores, date, words); a place is one of these."""
    rng, rows, absent = random.Random(7), [], []
    with Database(tmp_path_factory.mktemp("dated") / "library.db", create=True) as made:
        model_id, labels = put_model(made, replace(CARD, min_score=0.1), "0" * 16, 0)
        scope = add_root(made, "/photos")
        with made.transaction():
            folder = put_folder(made, scope, "/photos")
            for i in range(260):
                taken = None if i % 9 == 0 else f"20{rng.randint(18, 24)}-05-01T12:00:00"
                image = put_image(made, rng.randbytes(32), 8, 8, taken, "exif" if taken else None)
                scores = {name: round(rng.random() ** 2, 1) for name in labels}
                put_prediction(made, image, model_id, labels, {k: s for k, s in scores.items() if s >= 0.1})
                for name in (f"{i}.jpg", f"copy {i}.jpg") if i % 6 == 0 else (f"{i}.jpg",):
                    place = rng.choice(["Portugal", "Italy", None])
                    photo = put_photo(made, folder, name, FileRecord(1, 1), image)
                    words = rng.choice([(), ("sea",), ("sea", "sand")])
                    said = PhotoMetadata(country=place, caption=" ".join(words) or None, keywords=words[1:])
                    put_details(made, photo, said, 0)
                    own = f"20{rng.randint(18, 24)}-07-01T12:00:00" if i % 5 == 0 else None
                    if own:
                        put_dates(made, photo, Taken(taken, "exif") if taken else None, Taken(own, "xmp"), None)
                    if i % 13:
                        rows.append((name, scores, own or taken or "", {*words, place}))
                    else:
                        absent.append(photo)
        mark_absent(made, absent, "removed")
        yield made, rows


SEA, SAND, PORTUGAL = Filter("text", "sea"), Filter("keyword", "sand"), Filter("in", "Portugal")
FILTERS = (  # filters, whether they hold for what is said of a photo, since when
    ([], lambda said: True, None),
    ([PORTUGAL], lambda said: "Portugal" in said, None),
    ([], lambda said: True, "2021"),
    ([Filter("in", "Italy")], lambda said: "Italy" in said, "2021"),
    ([SEA], lambda said: "sea" in said, None),
    ([SEA, SAND, PORTUGAL], lambda said: {"sea", "sand", "Portugal"} <= said, "2020"),
    ([AnyOf((SAND, SEA)), negate(PORTUGAL)], lambda said: "sea" in said and "Portugal" not in said, None),
    ([negate(SEA)], lambda said: "sea" not in said, "2020"),
)  # fmt: skip


@pytest.mark.parametrize("text", KINDS)
@pytest.mark.parametrize("lists", ["read", "looked up", "as planned"])
def test_questions_with_places_and_dates_give_what_plain_python_gives(dated, monkeypatch, text, lists):
    """By each plan: from labels' lists or score by score, from the filter or from the labels; order and count."""
    db, rows = dated
    tree, labels = query.parse(text), {label.name: label for label in read_labels(db)}
    thresholds = {name: label.threshold for name, label in labels.items()}
    if lists != "as planned":
        monkeypatch.setattr(matching, "LOOKUPS", 1000 if lists == "read" else 0)
        monkeypatch.setattr(matching, "READS_OF_LISTS", 1000 if lists == "read" else 0)
    plans = (0, 10_000), (-1, 10_000), (-1, 10_000)  # start at labels or filters; test or list; look up or read
    for measured, listed, read in itertools.product(*plans):
        monkeypatch.setattr(matching, "MAX_MEASURED", measured)
        monkeypatch.setattr(matching, "MAX_LISTED", listed)
        monkeypatch.setattr(filtering, "MAX_MEASURED", read)
        db._recalled.clear()
        for filters, holds, since in FILTERS:
            only = filter_by_details(db, filters, matching.filter_photos(db, None, since, None))
            expected = sorted(
                ((-query.score(tree, scores), name) for name, scores, taken, said in rows
                 if query.matches(tree, scores, thresholds) and holds(said) and taken >= (since or "")),
                key=lambda row: row[0],
            )  # fmt: skip
            for limit in (None, 3, 50):
                found = matching.find_matches(db, tree, labels, limit=limit, only=only)
                assert [(-f.score, f.path.removeprefix("/photos/")) for f in found] == expected[:limit]
            for limit in (0, 5, len(expected), 1000):
                assert matching.count_matches(db, tree, labels, limit, None, only) == min(limit, len(expected))


def test_set_of_ids_is_those_that_a_statement_selects(library):
    ids = read_id_set(library, "SELECT value FROM json_each(?)", ("[7, 0, 3, 7]",))
    assert list_ids(ids) == [0, 3, 7]
    sql = f"SELECT p.id FROM photos p WHERE p.id < 400 AND {is_in('p.id')}"
    assert library.rows(sql, [to_digits(ids)]) == [(3,), (7,)]
    assert list_ids(read_id_set(library, "SELECT id FROM photos WHERE 0", ())) == []


@pytest.mark.parametrize("photo_id", [-1, MAX_ID + 1])
def test_ids_that_no_photo_can_have_are_damage(library, photo_id):
    """A set of them would fill the memory."""
    with pytest.raises(DamagedError):
        read_id_set(library, "SELECT ?", (photo_id,))


def test_counts_read_as_few_images_as_they_need(library, monkeypatch):
    """The lists of labels are read for some images first, and no photo is counted twice."""
    tree, labels = query.parse("bird and dog"), {label.name: label for label in read_labels(library)}
    found, read = len(matching.find_matches(library, tree, labels)), []
    match = matching.MatchQuery._match_lists
    monkeypatch.setattr(
        matching.MatchQuery, "_match_lists", lambda self, *key: read.append(key[1:]) or match(self, *key)
    )
    monkeypatch.setattr(matching, "CHUNK", 7)
    several = 0
    for n in (2, 10, 15, 20, found):
        read.clear()
        assert matching.count_matches(library, tree, labels, n, None, matching.NO_FILTER) == n
        assert [first for first, _ in read] == [1, *(end for _, end in read[:-1])], "no image is left out"
        assert n > 2 or read[0][1] < 100
        several += len(read) > 1
    assert several
    assert matching.count_matches(library, tree, labels, found + 100, None, matching.NO_FILTER) == found
