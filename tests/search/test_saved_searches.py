"""Albums in questions, and saved searches: what is stored, what is found later, and what stops one."""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, WHITE, WINE, Seen, fill, open_seen

from photosearch.errors import InputError, QueryError
from photosearch.search import albums
from photosearch.search.complete import complete_album
from photosearch.search.understand import Question


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path) as seen:
        colours = {"red": RED, "wine": WINE, "green": GREEN, "blue": BLUE, "black": BLACK, "white": WHITE}
        yield fill(seen, colours)


@pytest.fixture
def album(seen: Seen) -> list[str]:
    chosen = ["wine.png", "blue.png", "white.png"]
    seen.asks.albums.add("Rome 2019", [seen.folder / name for name in chosen])
    return chosen


def test_filter_joins_words_and_other_filters(seen: Seen, album: list[str]) -> None:
    assert set(seen.find('album:"rome 2019"')) == set(album)
    assert set(seen.find("album:rome 2019")) == set(album), "a known name needs no quotes"
    assert seen.find('red album:"Rome 2019"', query_mode=None)[:2] == ["white.png", "wine.png"]
    assert seen.find("blue", album="ROME 2019", query_mode="label") == ["blue.png", "white.png"]
    assert set(seen.find('-album:"Rome 2019"')) == {"red.png", "green.png", "black.png"}
    assert seen.find('album:"Rome 2019" folder:nowhere') == []
    assert seen.asks.count("", up_to=100, album="Rome 2019") == 3
    assert seen.asks.explain('dog album:"Rome 2019"')["albums"] == ["Rome 2019"]
    assert "albums" not in seen.asks.explain("dog")


@pytest.mark.parametrize("words", ["album:Nice", "red album:Nice", "-album:Nice"])
def test_unknown_album_is_named_with_those_there_are(seen: Seen, album: list[str], words: str) -> None:
    with pytest.raises(QueryError, match=r"^no album 'Nice'; there are: Rome 2019$"):
        seen.ask(words)


def test_no_album_yet_says_how_to_make_one(seen: Seen) -> None:
    with pytest.raises(QueryError, match="there are none yet; make one: photosearch album add NAME PHOTO"):
        seen.ask(album="Nice")


def test_saved_search_fills_itself_and_is_a_filter(seen: Seen) -> None:
    assert seen.asks.albums.save_search("Reds", "red", query_mode="label").created
    before = seen.names(seen.asks.albums.photos("reds"))
    seen.photo("new.png", (255, 0, 10))
    seen.index()
    after = seen.names(seen.asks.albums.photos("reds"))
    assert set(after) - set(before) == {"new.png"}
    assert set(seen.find("album:Reds")) == set(after)
    assert set(seen.find("-album:Reds")).isdisjoint(after)
    assert seen.asks.albums.count("Reds", up_to=100) == len(after)
    assert seen.asks.albums.count("Reds", up_to=2) == 2
    assert len(seen.asks.albums.photos("Reds", limit=1)) == 1
    for change in (seen.asks.albums.add_images, seen.asks.albums.remove_images):
        with pytest.raises(QueryError, match="'Reds' is a saved search, which fills itself"):
            change("Reds", [1])


def test_description_holds_its_sure_photos(seen: Seen) -> None:
    found = seen.ask("black", query_mode="text")
    seen.asks.albums.save_search("Dark", "black", query_mode="text")
    held = seen.asks.albums.photos("Dark").photos
    assert held == found.choose()
    assert seen.asks.albums.count("Dark", up_to=100) == len(held)
    assert all(photo.sure for photo in held) == found.sure


def test_relative_date_of_a_saved_search_stays_relative(seen: Seen) -> None:
    for year in (2019, 2020):
        seen.photo(f"IMG_{year}0715_120000.png", (year % 256, 0, 0))
    seen.index()
    seen.asks.albums.save_search("Summer", "last summer")
    for today, name in (("2020-01-31", "IMG_20190715_120000.png"), ("2021-01-31", "IMG_20200715_120000.png")):
        assert seen.names(seen.asks.albums.photos("Summer", today=today)) == [name]
        assert seen.find("album:Summer", today=today) == [name]
        assert seen.asks.albums.count("Summer", up_to=9, today=today) == 1


def test_saved_question_is_stored_as_it_was_asked(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(seen.folder)
    options = {"like": ["2:red.png"], "unlike": [Path("blue.png")], "under": ".", "since": "2019", "until": "2030",
               "min_similarity": -1.0, "copies": True, "file_dates": True, "sort": "date", "limit": 7}  # fmt: skip
    seen.asks.albums.save_search("all of it", "dog", **options)
    album = albums.get_album(seen.under.db, "all of it")
    assert json.loads(album.question) == {
        "words": "dog", **options, "like": [f"2:{seen.folder}/red.png"], "unlike": [f"{seen.folder}/blue.png"],
        "under": str(seen.folder), "max_similar": 7,
    }  # fmt: skip
    monkeypatch.chdir("/")
    assert albums.read_question(album, "2020-01-01").under == str(seen.folder)
    assert seen.asks.albums.get("all of it").search == (
        f"dog --like 2:{seen.folder}/red.png --unlike {seen.folder}/blue.png --min-similarity -1.0 --copies "
        f"--under {seen.folder} --since 2019 --until 2030 --file-dates --sort date -n 7"
    )
    assert isinstance(len(seen.asks.albums.photos("all of it")), int)


def test_description_of_a_search_tells_every_field() -> None:
    told = {"words", "limit", "max_similar", "query_mode", "today", *albums.OPTIONS}
    assert {field.name for field in fields(Question)} == told


def test_search_that_no_longer_parses_says_so_in_one_line(seen: Seen, album: list[str]) -> None:
    seen.asks.albums.save_search("In Rome", 'red album:"Rome 2019"')
    seen.asks.albums.save_search("Above", 'album:"In Rome"')
    assert set(seen.names(seen.asks.albums.photos("Above"))) <= set(album)
    seen.asks.albums.delete("Rome 2019")
    message = "^album In Rome: its search finds nothing any more: no album 'Rome 2019'; there are: Above, In Rome$"
    with pytest.raises(QueryError, match=message):
        seen.asks.albums.photos("In Rome")
    with pytest.raises(QueryError, match=r"^album Above: its search .*: album In Rome: its search .*no album"):
        seen.asks.albums.count("Above", up_to=1)
    assert [row.name for row in seen.asks.albums.list()] == ["Above", "In Rome"], "the list goes on"


def test_search_that_asks_for_itself_is_refused(seen: Seen) -> None:
    seen.asks.albums.create("a")
    seen.asks.albums.save_search("b", "album:a")
    seen.asks.albums.save_search("c", "album:b")
    seen.asks.albums.delete("a")
    seen.asks.albums.rename("c", "a")
    for ask in (lambda: seen.asks.albums.photos("a"), lambda: seen.asks.albums.count("b", up_to=9),
                lambda: seen.ask("album:a")):  # fmt: skip
        with pytest.raises(QueryError, match="is a saved search that asks for itself"):
            ask()


@pytest.mark.parametrize("stored", [
    "{", "[]", "7", '{"words": 7}', '{"strange": 1}', '{"sort": "size"}', '{"like": [1]}', '{"limit": true}',
    '{"copies": 1}', '{"today": "2020-01-01"}', "[" * 9999,
])  # fmt: skip
def test_stored_search_is_not_trusted(seen: Seen, stored: str) -> None:
    seen.asks.albums.save_search("Reds", "red")
    with seen.under.db.transaction():
        seen.under.db.write("UPDATE albums SET question = ?", [stored])
    with pytest.raises(QueryError, match=r"^album Reds: its search can't be read"):
        seen.asks.albums.photos("Reds")
    assert [(row.name, row.search) for row in seen.asks.albums.list()] == [("Reds", "")]


@pytest.mark.parametrize(("words", "options"), [
    ("(red", {}), ("rating:9 red", {}), ("red", {"under": "/nowhere"}), ("red", {"since": "yesterday"}),
    ("red", {"album": "Nice"}), ("", {"min_score": 0.5}),
])  # fmt: skip
def test_search_that_finds_nothing_today_is_not_saved(seen: Seen, words: str, options: dict[str, object]) -> None:
    with pytest.raises((QueryError, InputError)):
        seen.asks.albums.save_search("x", words, **options)
    assert seen.asks.albums.list() == []


@pytest.mark.parametrize(("text", "completed"), [
    ("dog album:ro", ['dog album:"Rome 2019"', "dog album:Rosa"]),
    ('dog -album:"rome 2', ['dog -album:"Rome 2019"']),
    ("album:", ["album:'5\" prints'", 'album:"Rome 2019"', "album:Rosa"]),
    ("album:2019", ['album:"Rome 2019"']),
    ("album:zz", []),
    ("dog", None), ("myalbum:ro", None), ("album:Rosa dog", None), ('"album:ro" dog', None),
])  # fmt: skip
def test_complete_album_behind_its_filter(text: str, completed: list[str] | None) -> None:
    assert complete_album(text, ['5" prints', "Rome 2019", "Rosa"]) == completed


def test_library_completes_albums_and_labels(seen: Seen, album: list[str]) -> None:
    assert seen.asks.complete("red album:R") == ['red album:"Rome 2019"']
    assert seen.asks.complete("red and re") == ["red and red"]
    assert seen.asks.albums.complete("20") == ["Rome 2019"]
