"""The time that a folder's name says, for photos that have no date of their own."""

from datetime import datetime

import pytest
from embedding_library import BLUE, GREEN, RED, WHITE, WINE, open_filled
from hypothesis import example, given
from hypothesis import strategies as st

from photosearch.library import matching
from photosearch.library.details import put_dates
from photosearch.metadata.dates import Taken
from photosearch.metadata.folder_dates import read_folder_dates
from photosearch.metadata.record import PhotoMetadata


@pytest.mark.parametrize(
    ("path", "days"),
    [
        ("2019", "2019-01-01 2019-12-31"), ("Rome 2019", "2019-01-01 2019-12-31"),
        ("2019/Rome", "2019-01-01 2019-12-31"),
        ("IMG_2019", "2019-01-01 2019-12-31"), ("2019/2018 scans", "2018-01-01 2018-12-31"),
        ("2018-2020", "2018-01-01 2020-12-31"), ("1800 pictures, 2019", "2019-01-01 2019-12-31"),
        ("Winter 2018-19", "2018-01-01 2019-12-31"), ("1999_00", "1999-01-01 2000-12-31"),
        ("the 1990s", "1990-01-01 1999-12-31"),
        ("2019-07", "2019-07-01 2019-07-31"), ("2019_02 Rome", "2019-02-01 2019-02-28"),
        ("Rome, July 2019", "2019-07-01 2019-07-31"), ("2019 Sept", "2019-09-01 2019-09-30"),
        ("2020/02/Rome", "2020-02-01 2020-02-29"), ("2019/07 July", "2019-07-01 2019-07-31"),
        ("2019/may/a", "2019-05-01 2019-05-31"), ("2019/maybe", "2019-01-01 2019-12-31"),
        ("2019/a/07", "2019-01-01 2019-12-31"),
        ("2019-07-14 Wedding", "2019-07-14 2019-07-14"), ("a 20190714_b", "2019-07-14 2019-07-14"),
        ("14.7.2019", "2019-07-14 2019-07-14"), ("2019/07/14", "2019-07-14 2019-07-14"),
        ("2019-02-31", "2019-02-01 2019-02-28"), ("31.02.2019", "2019-01-01 2019-12-31"),
        ("2019-13", "2019-01-01 2019-12-31"), ("2019/14", "2019-01-01 2019-12-31"),
        ("", ""), ("Paris", ""), ("May", ""), ("1920x1080", ""), ("EOS 2000D", ""), ("12019", ""), ("20191", ""),
        ("1825", ""), ("07/14", ""), ("2150", ""),
    ],
)  # fmt: skip
def test_name_of_a_folder_says_days(path, days):
    found = read_folder_dates(path.split("/"))
    assert " ".join(day[:10] for day in found or ()) == days


@given(st.lists(st.text(max_size=20) | st.from_regex(r"[0-9]{4}[-_. ]?[0-9]{0,2}[-.]?[0-9]{0,2}", fullmatch=True)))
@example(["2019", "02", "31"])
def test_any_name_says_whole_days_or_none(names):
    found = read_folder_dates(names)
    if found is not None:
        first, last = map(datetime.fromisoformat, found)
        assert first < last
        assert (first.time().isoformat(), last.time().isoformat()) == ("00:00:00", "23:59:59")


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    """Photos without a date in folders that say one; of `own` its file does, of `IMG_20200503` its name."""
    colours = {
        "Rome 2019/red": RED, "Rome 2019/own": WINE, "2018/07/green": GREEN, "plain/white": WHITE,
        "2018/IMG_20200503": BLUE,
    }  # fmt: skip
    with open_filled(tmp_path_factory.mktemp("years"), colours) as seen:
        db = seen.under.db
        with db.transaction():
            photo_id = seen.put_details("Rome 2019/own.png", PhotoMetadata())
            put_dates(db, photo_id, Taken("2021-02-03T10:00:00", "DateTimeOriginal"), None, None)
        yield seen


ASKED = [
    ("2019", {}, "red"), ("2018", {}, "green"), ("july 2018", {}, "green"), ("taken:2018-08", {}, ""),
    ("since 2019", {}, "IMG_20200503 own red"), ("since march 2019", {}, "IMG_20200503 own"),
    ("until july 2018", {}, "green"), ("until june 2018", {}, ""), ("2021", {}, "own"), ("2020", {}, "IMG_20200503"),
    ("taken:2018..2019", {}, "green red"), ("(taken:2018 or taken:2021)", {}, "green own"),
    ("-taken:2019", {}, "IMG_20200503 green own white"),
    ("", {"since": "2018", "until": "2019"}, "green red"),
    ("", {"since": "2019", "until": "2019", "file_dates": True}, "red"),
    ("", {"since": "2018", "until": "2018", "under": "Rome 2019"}, ""),
    ("", {"since": "2019", "until": "2021", "under": "Rome 2019"}, "own red"),
]  # fmt: skip


@pytest.mark.parametrize("most", [matching.MAX_LISTED, 0], ids=["listed", "tested"])
@pytest.mark.parametrize(("words", "options", "found"), ASKED)
def test_photo_without_a_date_is_of_its_folders_time(years, monkeypatch, words, options, found, most):
    monkeypatch.setattr(matching, "MAX_LISTED", most)
    if "under" in options:
        options = {**options, "under": str(years.folder / options["under"])}
    names = years.find(words, limit=100, today="2026-11-30", **options)
    assert " ".join(sorted(name.rpartition("/")[2].removesuffix(".png") for name in names)) == found
    assert len(years.find(words, limit=1, today="2026-11-30", **options)) == min(1, len(names))
    assert sorted(years.find(words, limit=None, today="2026-11-30", **options)) == sorted(names)


def test_folder_is_the_reason_where_it_says_the_time(years):
    why = {photo.path.rpartition("/")[2]: photo.why for photo in years.ask("taken:2018..2021", limit=100)}
    assert why == {
        "red.png": ("folder: Rome 2019",), "green.png": ("folder: 2018",), "own.png": ("taken: 2021-02-03",),
        "IMG_20200503.png": ("taken: 2020-05-03",),
    }  # fmt: skip
    by_file = years.ask("", since="2018", until="2099", file_dates=True, limit=100)
    assert all(photo.why[0].startswith("taken: ") for photo in by_file)
