"""Photos in an order, their neighbours, and what they have in common, on rows that a test writes."""

import random
from collections import Counter
from contextlib import suppress

import pytest

from photosearch.library import facets, listing
from photosearch.library.database import Database
from photosearch.library.details import put_dates, put_details
from photosearch.library.folders import add_root, put_folder
from photosearch.library.matching import FILE_DATE, LOCAL_DATE, MAX_SCANNED, NO_FILTER, PhotoFilter, read_matches
from photosearch.library.photos import FileRecord, put_image, put_photo
from photosearch.metadata.dates import Taken
from photosearch.metadata.record import PhotoMetadata, Position
from photosearch.search.listing import MAX_DAYS, Fold, collect

PORTO, ROME = Position(41.1496, -8.611), Position(41.8902, 12.4922)
PHOTOS = {  # name -> (size, date of the content, of the file with its side-car, of the name, what the file says)
    "2019/b.jpg": (50, "2019-05-03T12:00:00", None, None, PhotoMetadata(
        position=PORTO, make="Apple", model="iPhone 12", rating=4, keywords=("food", "cake"))),
    "2019/A.jpg": (10, "2019-05-03T10:00:00", None, None, PhotoMetadata(
        position=PORTO, make="Canon", model="Canon EOS 5D", people=("Anna",), rating=4)),
    "2019/side.jpg": (20, "2001-01-01T00:00:00", "2020-01-02T00:00:00", None, PhotoMetadata(position=ROME)),
    "2020/IMG_20200304.jpg": (30, None, None, "2020-03-04T00:00:00", PhotoMetadata(
        city="Porto", country="Portugal", keywords=("food",))),
    "old.jpg": (40, None, None, None, PhotoMetadata()),
    "older.jpg": (60, None, None, None, PhotoMetadata(rating=-1)),
}  # fmt: skip
NEWEST = ["IMG_20200304.jpg", "side.jpg", "b.jpg", "A.jpg", "old.jpg", "older.jpg"]
MANY = PhotoFilter("p.size_bytes > 0", (), MAX_SCANNED + 1)  # all of them, as if they were many


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    with Database(tmp_path_factory.mktemp("listing") / "library.db", create=True) as db:
        root = add_root(db, "/photos")
        with db.transaction():
            for i, (name, (size, taken, of_file, named, said)) in enumerate(PHOTOS.items()):
                image = put_image(db, bytes([i]) * 32, 40 + 20 * i, 60, taken, taken and "DateTimeOriginal", i)
                folder = put_folder(db, root, f"/photos/{name}".rpartition("/")[0])
                photo_id = put_photo(db, folder, name.rpartition("/")[2], FileRecord(size, 10**18 - i, 1, 1, i), image)
                put_details(db, photo_id, said, 0)
                own, of_file = (text and Taken(text, "exif") for text in (taken, of_file))
                put_dates(db, photo_id, own, of_file or own, named)
            folder = put_folder(db, root, "/photos/gone")
            db.write("INSERT INTO photos(folder_id, name, size_bytes, mtime_ns, reason, absent) "
                     "VALUES (?, 'x', 1, 1, 'no photo', 'removed')", [folder])  # fmt: skip
        yield db


def names(db, photo_ids):
    return [found.path.rpartition("/")[2] for found in map(read_matches(db, photo_ids).get, photo_ids)]


@pytest.mark.parametrize("only", [NO_FILTER, MANY, PhotoFilter("p.size_bytes > 0", (), 6)])
@pytest.mark.parametrize("limit", [None, 100])
def test_photos_are_listed_by_their_best_dates_and_undated_ones_last(db, only, limit):
    pairs = list(listing.iterate_photos(db, only, "newest", limit=limit))
    assert names(db, [photo_id for photo_id, _ in pairs]) == NEWEST
    assert [date[:10] for _, date in pairs] == ["2020-03-04", "2020-01-02", "2019-05-03", "2019-05-03", "", ""]
    oldest = listing.iterate_photos(db, only, "oldest", limit=limit)
    assert names(db, [photo_id for photo_id, _ in oldest]) == [*NEWEST[3::-1], *NEWEST[:3:-1]]


@pytest.mark.parametrize("limit", range(1, 7))
def test_first_photos_are_those_of_the_whole_list(db, limit):
    found = listing.iterate_photos(db, MANY, "newest", limit=limit)
    assert names(db, [photo_id for photo_id, _ in found]) == NEWEST[:limit]


@pytest.mark.parametrize("limit", [2, 9, None])
def test_dates_that_a_filter_leaves_are_begun_with(db, limit):
    for photos in (6, MAX_SCANNED + 1):
        only = PhotoFilter(f"{LOCAL_DATE} BETWEEN ? AND ?", ("2019", "2020-01~"), photos)
        found = listing.iterate_photos(db, only, "newest", limit=limit, since="2019", until="2020-01")
        assert names(db, [photo_id for photo_id, _ in found]) == ["side.jpg", "b.jpg", "A.jpg"][:limit]


def test_all_photos_are_sorted_as_sqlite_sorts_them(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "SORTED_AT_ONCE", 7)
    rng, sql = random.Random(1), "SELECT p.id, i.taken FROM photos p JOIN images i ON i.id = p.image_id"
    dates = ["2020-01-01", "2020-01-01T10:00:00", *(f"20{year}-05-06T07:08:09" for year in range(10, 30))]
    with Database(tmp_path / "library.db", create=True) as db:
        root = add_root(db, "/photos")
        with db.transaction():
            folder = put_folder(db, root, "/photos")
            for i in range(100):
                image = put_image(db, rng.randbytes(32), 4, 3, rng.choice(dates), "DateTimeOriginal")
                put_photo(db, folder, f"{i}.jpg", FileRecord(1, 1, 1, 1, i), image)
        db.write("UPDATE photos SET absent = 'removed' WHERE name = '50.jpg'")
        for sort, order in (("newest", "DESC"), ("oldest", "ASC")):
            found = list(listing.iterate_photos(db, NO_FILTER, sort))
            assert found == db.rows(f"{sql} WHERE absent IS NULL ORDER BY 2 {order}, 1")
            assert len(found) == 99


def test_other_orders(db):
    by_name, by_size = (
        names(db, [i for i, _ in listing.iterate_photos(db, NO_FILTER, sort)]) for sort in ("name", "size")
    )
    assert by_name == ["A.jpg", "b.jpg", "IMG_20200304.jpg", "old.jpg", "older.jpg", "side.jpg"]
    assert by_size == ["older.jpg", "b.jpg", "old.jpg", "IMG_20200304.jpg", "side.jpg", "A.jpg"]
    chosen = [i for i, _ in listing.iterate_photos(db, NO_FILTER, "size")][1:4]
    assert names(db, listing.sort_photos(db, chosen, "newest")) == ["IMG_20200304.jpg", "b.jpg", "old.jpg"]


def test_undated_photos_take_their_files_dates_where_that_is_asked(db):
    dated = dict(listing.iterate_photos(db, NO_FILTER, "newest", file_dates=True))
    (when,) = db.one(f"SELECT {FILE_DATE} FROM photos p WHERE name = 'old.jpg'")
    assert [date for date in dated.values() if date == when] == [when, when]
    assert "" not in dated.values()
    assert list(dated.values()) == sorted(dated.values(), reverse=True)


def test_first_page_needs_no_sort(db):
    """Else the first photos of a million would wait for all of them."""
    statements = []
    db._conn.set_trace_callback(statements.append)
    list(listing.iterate_photos(db, NO_FILTER, "newest", limit=3))
    db._conn.set_trace_callback(None)
    (statement,) = statements
    plan = " ".join(row[3] for row in db.rows(f"EXPLAIN QUERY PLAN {statement}"))
    assert "MERGE (UNION ALL)" in plan
    assert "TEMP B-TREE" not in plan


def test_neighbours_are_the_nearest_in_time_on_both_sides(db):
    ids = [photo_id for photo_id, _ in listing.iterate_photos(db, NO_FILTER, "oldest")]
    dated = ids[:4]
    assert listing.list_neighbours(db, dated[1], 1) == dated[:3]
    assert listing.list_neighbours(db, dated[0], 9) == dated
    assert names(db, listing.list_neighbours(db, ids[4], 5)) == ["older.jpg", "old.jpg"], "of its folder"
    assert listing.list_neighbours(db, 999, 5) == []


def count(db, facet, only=NO_FILTER):
    return [(each.value, each.group, each.photos) for each in facets.count_facet(db, facet, only)]


def test_facets_count_the_photos_of_a_filter(db):
    assert count(db, "place") == [("Porto", "Portugal", 3), ("Rome", "Italy", 1)]
    assert count(db, "camera") == [("Apple iPhone 12", "", 1), ("Canon EOS 5D", "", 1)]
    assert (count(db, "person"), count(db, "keyword")) == ([("Anna", "", 1)], [("food", "", 2), ("cake", "", 1)])
    assert count(db, "rating") == [("4", "", 2), ("-1", "", 1)]
    assert count(db, "label") == []
    only = PhotoFilter("p.size_bytes <= ?", (30,), 3)
    assert count(db, "place", only) == [("Porto", "Portugal", 2), ("Rome", "Italy", 1)]
    assert (count(db, "camera", only), count(db, "keyword", only)) == ([("Canon EOS 5D", "", 1)], [("food", "", 1)])
    assert {value: n for value, _, n in count(db, "is")} == {
        "portrait": 1, "landscape": 4, "square": 1, "panorama": 2, "gps": 3
    }  # fmt: skip


def test_kinds_are_counted_up_to_a_bound(db, monkeypatch):
    monkeypatch.setattr(facets, "MAX_SCANNED", 3)
    assert [(c.value, c.photos, c.is_least) for c in facets.count_facet(db, "is", NO_FILTER)][1] == (
        "landscape",
        3,
        True,
    )
    monkeypatch.setattr(facets, "MAX_SCANNED", 4)
    (landscape,) = (each for each in facets.count_facet(db, "is", NO_FILTER) if each.value == "landscape")
    assert (landscape.photos, landscape.is_least) == (4, False), "as many as the bound are counted"


def test_folders_have_the_photos_below_them(db, monkeypatch):
    tree = {row.path: (row.photos, row.own) for row in facets.count_folders(db, NO_FILTER)}
    assert tree == {"/photos": (6, 2), "/photos/2019": (3, 3), "/photos/2020": (1, 1)}
    only = PhotoFilter("p.size_bytes <= ?", (20,), 2)
    assert [(row.path, row.photos) for row in facets.count_folders(db, only)] == [("/photos", 2), ("/photos/2019", 2)]
    monkeypatch.setattr(facets, "MAX_FOLDERS", 2)
    assert [row.path for row in facets.count_folders(db, NO_FILTER)] == ["/photos"]


def test_clusters_are_the_photos_of_a_box_by_cells(db):
    world = (-180.0, -90.0, 180.0, 90.0)
    two = facets.find_clusters(db, NO_FILTER, world, 36, 10)
    assert [(c.photos, round(c.latitude, 3), round(c.longitude, 3)) for c in two] == [
        (2, 41.150, -8.611),
        (1, 41.89, 12.492),
    ]
    assert (two[0].south, two[0].east) == (41.1496, -8.611)
    (one,) = facets.find_clusters(db, NO_FILTER, world, 1, 10)
    assert one.photos == 3
    assert [c.photos for c in facets.find_clusters(db, NO_FILTER, (0.0, 0.0, 90.0, 90.0), 10, 10)] == [1]
    assert len(facets.find_clusters(db, NO_FILTER, world, 36, 1)) == 1
    few = PhotoFilter("p.size_bytes <= ?", (20,), 2)
    assert sorted(c.photos for c in facets.find_clusters(db, few, world, 36, 10)) == [1, 1]


def test_days_are_counted_and_very_many_by_month(monkeypatch):
    pairs = [(i, f"20{20 - i // 40:02}-{12 - i // 4 % 10:02}-{28 - i % 4:02}T00:00:00") for i in range(80)]
    ids, days = collect(iter(pairs))
    assert (list(ids), len(days), MAX_DAYS) == (list(range(80)), 80, 40_000)
    monkeypatch.setattr("photosearch.search.listing.MAX_DAYS", 9)
    _, months = collect(iter([*pairs, (99, "")]))
    assert Counter(dict(months)) == Counter([*(date[:7] for _, date in pairs), ""])
    assert [month for month, _ in months] == list(dict.fromkeys([*(date[:7] for _, date in pairs), ""]))


def test_equal_copies_are_folded_and_those_that_were_seen_stand_for_them():
    pairs = [(1, "2020"), (2, "2020"), (3, "2019"), (4, "2018"), (5, "2017")]
    images = {1: 10, 4: 10, 5: 10, 2: 20, 3: 20}
    fold = Fold(images)
    assert (list(fold.fold(iter(pairs))), fold.copies) == ([(1, "2020"), (2, "2020")], {1: 2, 2: 1})
    fold = Fold(images, kept=[5, 3, 99])
    assert (list(fold.fold(iter(pairs))), fold.copies) == ([(5, "2020"), (3, "2020")], {5: 2, 3: 1})
    assert list(Fold({}).fold(iter(pairs))) == pairs


def test_copies_are_counted_among_the_photos_of_a_filter(db):
    (photo_id, image, folder) = db.one("SELECT id, image_id, folder_id FROM photos WHERE name = 'old.jpg'")
    with suppress(ZeroDivisionError), db.transaction():
        copy = put_photo(db, folder, "old (1).jpg", FileRecord(5, 10**18, 1, 1, 77), image)
        assert listing.list_copies(db) == {photo_id: image, copy: image}
        assert listing.find_images(db, [photo_id, 999]) == {photo_id: image}
        assert listing.count_showing(db, [image], NO_FILTER) == {image: 2}
        assert listing.count_showing(db, [image], PhotoFilter("p.size_bytes < ?", (10,), 1)) == {image: 1}
        raise ZeroDivisionError  # take it back
    assert listing.list_copies(db) == {}


def test_date_of_a_photo_is_the_same_in_a_list_and_in_its_row(db):
    rows = dict(db.rows(f"SELECT p.id, {LOCAL_DATE} FROM photos p WHERE p.image_id IS NOT NULL"))
    assert {i: date or None for i, date in listing.iterate_photos(db, MANY, "newest", limit=9)} == rows
