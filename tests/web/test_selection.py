"""Selected photos by ranges: into an album and out of it, undone, and as a zip file."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_env import CliEnv
from http_client import HttpClient, run_server

from benchmarks.library import build
from photosearch import Library
from photosearch.library.database import Database
from photosearch.library.photos import FileRecord, put_photo

ALL = "find?words=&copies=1"
NONE = "no such photos in these results"


@pytest.fixture
def albums(cli_env: CliEnv) -> Iterator[Library]:
    """The library, whose albums are deleted afterwards."""
    with Library(cli_env.library) as library:
        yield library
        for album in library.albums.list():
            library.albums.delete(album.name)


def test_selected_photos_go_into_an_album_and_out_of_it_and_back(client: HttpClient, albums: Library) -> None:
    found = client.get_json(ALL)
    selected = {"result": found["result"], "ranges": [0, 2, 4, 5]}
    images = [found["photos"][i]["image_id"] for i in (0, 1, 4)]
    created = client.post_json("add_to_album", **selected, name="Rome 2019")
    assert {**created, "step": None} == {"name": "Rome 2019", "photos": 3, "created": True, "step": None}
    assert {photo.image_id for photo in albums.albums.photos("Rome 2019")} == set(images)
    again = client.post_json("add_to_album", **selected | {"ranges": [0, 3]}, name="rome 2019")
    assert (again["name"], again["photos"], again["created"]) == ("Rome 2019", 1, False)
    assert client.get_json("albums") == [{"name": "Rome 2019", "photos": 4}]

    shown = client.get_json("find?words=album:%22rome+2019%22")
    assert (shown["album"], len(shown["photos"])) == ("Rome 2019", 4)
    assert [chip["kind"] for chip in shown["chips"]] == ["album"]
    removed = client.post_json("remove_from_album", result=shown["result"], ranges=[0, 4], name=shown["album"])
    assert (removed["photos"], client.get_json("albums")[0]["photos"]) == (4, 0)
    undone = client.post_json("undo", step=removed["step"])
    assert undone == {"marks": [], "step": None, "album": {"name": "Rome 2019", "change": "photos", "images": 4}}
    assert client.get_json("albums")[0]["photos"] == 4
    assert "was changed again since" in client.post_error("undo", step=created["step"])
    assert "can't be undone any more" in client.post_error("undo", step=removed["step"])


def test_albums_complete_a_question_with_their_numbers_of_photos(client: HttpClient, albums: Library) -> None:
    albums.albums.add("One", albums.find("red")[0].path)
    albums.albums.add("Not red", [photo.path for photo in albums.find("blue")])
    albums.albums.save_search("Reds", "red")
    blue = len(albums.find("blue"))
    expected = [('album:"Not red"', blue), ("album:One", 1), ("album:Reds", 0)]
    assert client.get_json("complete?words=album:") == [{"text": text, "photos": n} for text, n in expected]
    assert client.get_json("complete?words=red+album:%22no") == [{"text": 'red album:"Not red"', "photos": blue}]
    assert client.get_json("complete?words=album:nothing") == []


def test_photos_are_not_removed_from_what_fills_itself(client: HttpClient, albums: Library) -> None:
    albums.albums.save_search("Reds", "red")
    albums.albums.add("One", albums.find("red")[0].path)
    assert client.get_json("albums") == [{"name": "One", "photos": 1}]
    assert client.get_json("find?words=album:Reds")["album"] is None
    assert client.get_json("find?words=-album:One")["album"] is None
    found = client.get_json("find?words=album:One")
    for action in ("add_to_album", "remove_from_album"):
        error = client.post_error(action, result=found["result"], ranges=[0, 1], name="Reds")
        assert error == "'Reds' is a saved search, which fills itself: photos can't be added or removed"


@pytest.mark.parametrize("action", ["add_to_album", "remove_from_album", "zip"])
def test_photos_outside_the_result_are_refused(client: HttpClient, albums: Library, action: str) -> None:
    result = client.get_json(ALL)["result"]
    name = {} if action == "zip" else {"name": "x"}
    for ranges in ([0], [2, 1], [0, 99], [5, 5]):
        assert client.post_error(action, result=result, ranges=ranges, **name) == NONE
    assert client.post_error(action, result="x", ranges=[0, 1], **name) == "these results have expired; search again"
    if action == "add_to_album":
        assert client.post_error(action, result=result, ranges=[], **name) == NONE
        assert "can't be an album's name" in client.post_error(action, result=result, ranges=[0, 1], name="a\nb\x07")
    assert albums.albums.list() == []


def test_zip_file_has_the_selected_photos_and_is_for_this_page_only(cli_env: CliEnv, client: HttpClient) -> None:
    found = client.get_json(ALL)
    by_name = {photo["name"]: i for i, photo in enumerate(found["photos"])}
    at = by_name["red.jpg"]
    prepared = client.post_json("zip", result=found["result"], ranges=[at, at + 1])
    target = f"/zips/{prepared['id']}"
    response = client.send("GET", target)
    assert (response.headers["content-type"], response.headers["content-disposition"]) == (
        "application/zip", 'attachment; filename="photos.zip"'
    )  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(response.body)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "red.jpg": (cli_env.photos / "red.jpg").read_bytes()
        }
    assert client.send("GET", target, cookie=None).status == 403
    assert client.send("GET", target, sec_fetch_site="cross-site").status == 403
    assert client.send("GET", "/zips/nothing").status == 404


@pytest.mark.slow
def test_copies_that_are_folded_stay_folded_as_the_list_goes_on(tmp_path: Path) -> None:
    """The first page is listed by itself; among photos of one date, another copy may come first in the whole list."""
    with Database(build(tmp_path / "many.db", 600)) as db, db.transaction():
        (folder,) = db.one("SELECT min(folder_id) FROM photos")
        for copy, (image,) in enumerate(db.rows("SELECT image_id FROM photos WHERE id % 3 = 0")):
            put_photo(db, folder, f"copy{copy}.jpg", FileRecord(5, copy, 1, 1, 10**6 + copy), image)
    with run_server(tmp_path / "many.db") as client:
        found = client.get_json("find?words=")
        assert found["total"] is None
        result = found["result"]
        assert client.get_json(f"total?result={result}")["total"] == 600
        parts = [client.get_json(f"results?result={result}&first={i}&n=300")["photos"] for i in (0, 300)]
        photos = [photo for part in parts for photo in part]
        assert photos[: len(found["photos"])] == found["photos"]
        assert len({photo["image_id"] for photo in photos}) == 600
        assert sum(photo["copies"] for photo in photos) == 200
        assert sum(n for _, n in client.get_json(f"days?result={result}")) == 600
        every = client.get_json("find?words=&copies=1")["result"]
        assert client.get_json(f"total?result={every}")["total"] == 800


@pytest.mark.slow
def test_ten_thousand_photos_are_selected_by_one_range(tmp_path: Path) -> None:
    with run_server(build(tmp_path / "many.db", 10_500)) as client:
        result = client.get_json("find?words=")["result"]
        assert client.get_json(f"total?result={result}")["total"] == 10_500
        added = client.post_json("add_to_album", result=result, ranges=[0, 10_500], name="all")
        assert (added["photos"], added["created"]) == (10_500, True)
        shown = client.get_json("find?words=album:all")
        assert client.get_json(f"total?result={shown['result']}")["total"] == 10_500
        removed = client.post_json(
            "remove_from_album", result=shown["result"], ranges=[0, 2, 9_000, 10_500], name="all"
        )
        assert removed["photos"] == 1502
        assert client.post_json("undo", step=removed["step"])["album"]["images"] == 1502
        assert client.get_json("albums") == [{"name": "all", "photos": 10_500}]
