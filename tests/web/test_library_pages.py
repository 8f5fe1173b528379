"""The API that manages the library: the first run, folders, settings, forgetting, models. And what it refuses."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_env import photosearch
from http_client import HttpClient, run_server
from toy import photo, sight_card, toy_card, write_toy, write_toy_text

from photosearch import Library, list_models
from photosearch.library.lock import lock_library

SETTINGS: dict[str, object] = dict.fromkeys(
    ("models", "tiles", "exclude", "include", "follow_symlinks", "metadata")
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with `photos`, and no library."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "models").mkdir()
    write_toy(folder / "models" / "toy.onnx", sight_card())
    write_toy(folder / "models" / "other.onnx", toy_card(name="other"))
    write_toy_text(folder / "models" / "toy-text.onnx")
    for i, colour in enumerate(("red", "green", "blue")):
        photo(folder / "photos" / "2020" / f"{i}.png", colour, size=(60 + i, 40))
    (folder / "photos" / "broken.jpg").write_bytes(b"no photo")
    (folder / "photos" / "empty.jpg").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder / "models"))
        patch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")  # no hub
        yield folder


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[HttpClient]:
    """Of a library of the photos, indexed on the page."""
    with run_server(place / "library.db") as client:
        client.post_json("index", path=f"{place}/photos", models=["toy"])
        wait_for_end(client)
        yield client


@pytest.fixture
def first(place: Path, tmp_path: Path) -> Iterator[HttpClient]:
    """Of a server that begins without a library."""
    with run_server(tmp_path / "library.db") as client:
        yield client


def wait_for_end(client: HttpClient) -> dict[str, Any]:
    while (run := client.get_json("run"))["running"]:
        time.sleep(0.02)
    return dict(run)


def read_folder(client: HttpClient, name: str = "photos") -> dict[str, Any]:
    return next(dict(row) for row in client.get_json("library")["folders"] if row["path"].endswith(name))


def test_first_run_begins_on_the_page(place: Path, first: HttpClient, tmp_path: Path) -> None:
    start = first.send("GET", "/")
    assert (start.status, start.headers["location"]) == (303, "/start")
    assert first.send("GET", "/start").status == first.send("GET", "/library").status == 200
    assert first.get_json("status") == {
        "running": False, "started_at": None, "models": [], "photos": 0, "unreadable": 0, "scored": 0,
    }  # fmt: skip
    assert first.get_json("run")["number"] == 0
    assert first.get_error("library").endswith("no library here yet; make one with `photosearch index FOLDER`")
    assert first.get_json("models")["images"] == 0
    typed = first.get_json(f"directories?typed={place}/ph")
    assert typed == {"paths": [f"{place}/photos"], "more": False, "reason": None}
    assert first.get_json(f"directories?typed={place}/photos/br")["paths"] == [], "files are not named"
    for path, reason in (
        (f"{place}/nowhere", "no such folder"), (f"{place}/photos/broken.jpg", "is a file; name its folder"),
    ):  # fmt: skip
        assert reason in first.post_error("index", path=path)
    assert not (tmp_path / "library.db").exists(), "what can't begin leaves no empty library"
    begun = first.post_json("index", path=f"{place}/photos/", models=["toy"])
    assert (begun["running"], begun["folders"]) == (True, [f"{place}/photos"])
    ended = wait_for_end(first)
    assert (ended["error"], ended["done"], ended["total"], ended["unreadable"]) == (None, 5, 5, 2)
    assert first.send("GET", "/").status == 200
    assert [row["name"] for row in first.get_json("newest?n=2")] == ["2.png", "1.png"]
    assert first.get_json("find?words=red&query_mode=label")["photos"][0]["name"] == "0.png"


def test_library_lists_folders_and_runs(place: Path, client: HttpClient) -> None:
    library = client.get_json("library")
    assert (library["path"], library["photos"], library["unreadable"]) == (f"{place}/library.db", 5, 2)
    (folder,) = library["folders"]
    assert (folder["path"], folder["present"], folder["words"]) == (f"{place}/photos", True, {"models": "default"})
    (models,) = (run["models"] for run in library["runs"] if run["summary"]["new"] == 3)
    assert models == ["toy"]
    assert sorted(row["reason"] for row in client.get_json("unreadable")) == [
        "not a photo in a known format", "the file is empty",
    ]  # fmt: skip


def test_settings_are_saved_as_the_command_saves_them(place: Path, client: HttpClient) -> None:
    folder = read_folder(client)["id"]
    given = SETTINGS | {"models": ["other"], "exclude": ["*.gif", " "], "metadata": False, "tiles": 4}
    words = client.post_json("settings", folder=folder, **given)["words"]
    assert words == (
        "models: other; tiles: 4; excluded: *.gif; included: nothing extra; links: not followed; metadata: not stored; "
        "text in pictures: not read"
    )
    assert read_folder(client)["own"] == {
        "models": ["other"], "exclude": ["*.gif"], "metadata": False, "tiles": 4,
    }  # fmt: skip
    assert "models: default" in client.post_json("settings", folder=folder, **SETTINGS)["words"]
    assert read_folder(client)["own"] == {}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"models": ["/etc/passwd"]}, "no model '/etc/passwd' on this computer; there are bird-classic, bird-photo"),
        ({"exclude": ["a\nb"]}, "write each pattern on a line of its own"),
        ({"exclude": ["x"] * 201}, "exclude must be a list of at most 200 texts, each short or null"),
        ({"exclude": ["x" * 2001]}, "exclude must be a list of at most 200 texts, each short or null"),
        ({"exclude": "x"}, "exclude must be a list of at most 200 texts, each short or null"),
        ({"tiles": 7}, "toy is not calibrated for 7 tiles"),
        ({"metadata": "yes"}, "metadata must be true or false or null"),
        ({"folder": "/etc"}, "this folder is no longer in the library; reload the page"),
    ],
)
def test_settings_refuse(client: HttpClient, given: dict[str, object], reason: str) -> None:
    before = client.get_json("library")
    body = {"folder": read_folder(client)["id"]} | SETTINGS | given
    assert client.post_error("settings", **body).startswith(reason)
    assert client.get_json("library") == before


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"path": "photos"}, "'photos': type the whole path, from / or ~"),
        ({"path": "s3://bucket/photos"}, "'s3://bucket/photos': an address is indexed by the command line"),
        ({"path": "file:///etc"}, "'file:///etc': an address is indexed by the command line"),
        ({"path": "/no/such"}, "/no/such: no such folder"),
        ({"path": ""}, "'': type the whole path"),
        ({"path": "/tmp", "folder": "x"}, "give a path or a folder, not both"),
        ({"folder": "x"}, "this folder is no longer in the library"),
        ({"path": "/tmp", "models": ["../toy"]}, "no model '../toy' on this computer"),
        ({"path": "/tmp", "workers": 400}, "'workers' is no field of this request"),
        ({"path": 1}, "path must be text of at most 2,000 characters or null"),
    ],
)
def test_index_refuses(client: HttpClient, body: dict[str, object], reason: str) -> None:
    before = client.get_json("run")
    assert client.post_error("index", **body).startswith(reason)
    assert client.get_json("run") == before


@pytest.mark.parametrize("typed", ["etc", "..%2F", "%00", "s3://x", "/" + "x" * 5000])
def test_directories_refuse_what_is_no_path(client: HttpClient, typed: str) -> None:
    assert client.send("GET", f"/api/directories?typed={typed}").status == 400


@pytest.mark.slow
def test_folder_is_indexed_again_with_its_own_settings(place: Path, client: HttpClient) -> None:
    no_photo, empty = "not a photo in a known format", "the file is empty"
    for data, reasons in ((b"still no photo", [no_photo, no_photo]), (b"", [no_photo, empty])):  # as it was before
        (place / "photos" / "empty.jpg").write_bytes(data)
        client.post_json("index", folder=read_folder(client)["id"], retry=True)
        ended = wait_for_end(client)
        assert (ended["error"], ended["done"], ended["scored"]) == (None, 5, 0)
        assert sorted(row["reason"] for row in client.get_json("unreadable")) == reasons


@pytest.mark.slow
def test_forget_needs_the_counts_that_were_read(place: Path, client: HttpClient) -> None:
    added = place / "added"
    photo(added / "dog.png", "black", size=(77, 40))
    client.post_json("index", path=str(added), models=["toy"])
    wait_for_end(client)
    listed = client.get_json("find?copies=1")["result"]
    folder = read_folder(client, "added")["id"]
    counts = client.get_json(f"forgotten?folder={folder}")
    assert (counts["path"], counts["photos"], counts["marks"], counts["backups"]) == (str(added), 1, 0, [])
    (found,) = client.get_json("newest?n=1")
    assert found["name"] == "dog.png"
    client.post_json("mark", image_id=found["image_id"], label="red", present=False)
    refused = client.post_error("forget", folder=folder, photos=1, marks=0)
    assert refused == f"{added}: now 1 photos and 1 marks would go; nothing was removed; ask again"
    assert client.get_json(f"details?image_id={found['image_id']}")["files"][0]["path"] == str(added / "dog.png")
    assert client.post_json("forget", folder=folder, photos=1, marks=1)["photos"] == 1
    assert [row["path"] for row in client.get_json("library")["folders"]] == [f"{place}/photos"]
    assert (added / "dog.png").exists()
    assert client.get_error(f"results?result={listed}") == "these results have expired; search again"
    assert "no longer in the library" in client.get_error(f"details?image_id={found['image_id']}")
    assert client.post_error("forget", folder=folder, photos=0, marks=0).startswith("this folder is no longer")


def test_forget_is_refused_while_another_program_holds_the_library(place: Path, client: HttpClient) -> None:
    folder = read_folder(client)["id"]
    counts = client.get_json(f"forgotten?folder={folder}")
    with lock_library(place / "library.db"):
        error = client.post_error("forget", folder=folder, photos=counts["photos"], marks=counts["marks"])
    assert "library.db: is being indexed by " in error
    assert read_folder(client)["photos"] == 5


def test_models_say_what_they_are(client: HttpClient) -> None:
    models = client.get_json("models")
    assert models["default"] == "toy"
    rows = {row["name"]: row for row in models["models"]}
    assert (rows["toy"]["is_default"], rows["toy"]["scored"], rows["toy"]["included"]) == (True, 3, False)
    assert (rows["sight"]["included"], rows["sight"]["scored"]) == (True, 0)
    fields = ("version", "labels", "describes", "input_size", "licence")
    told = [tuple(row[field] for field in fields) for row in rows.values()]
    assert told == [
        (card.version, len(card.labels), "vectors" in card.outputs, card.input_size, card.licence)
        for _, card in list_models()
    ]
    assert {offer["name"]: offer["licence"] for offer in models["offers"]}["siglip2-b32-256"] == "Apache-2.0"
    assert "has not indexed any photos" in client.post_error("default-model", name="sight")
    assert client.post_json("default-model", name="toy") == {"name": "toy"}
    assert client.post_error("offer-size", name="dalle").startswith("no model 'dalle' is offered")


@pytest.mark.slow
def test_checks_are_those_of_doctor(client: HttpClient) -> None:
    checks = client.post_json("checks")
    names = ["decoding", "provider auto", "provider cpu", "storing", "text in pictures"]
    assert [check["name"] for check in checks] == names
    assert [check["name"] for check in checks if check["installed"]] in (names, names[:-1])
    assert all(check["works"] for check in checks if check["installed"])


@pytest.mark.slow
def test_library_that_is_deleted_is_not_begun_anew(tmp_path: Path) -> None:
    """The tabs that are open name photos of the old one."""
    path = tmp_path / "library.db"
    Library(path).close()
    with run_server(path) as client:
        assert client.send("GET", "/").status == 303
        path.unlink()
        assert client.send("GET", "/").status == 200, "not the first run"
        assert "library.db" in client.get_error("library")
        assert client.send("GET", "/api/status").status == 400


@pytest.mark.slow
def test_browse_begins_without_a_library_and_creates_none(tmp_path: Path) -> None:
    with run_server(tmp_path / "s.db", "--albums", tmp_path / "albums") as client:
        assert client.send("GET", "/start").body.count(str(tmp_path / "s.db").encode()) == 1
        client.get_json("status")
    assert list(tmp_path.iterdir()) == []
    process = photosearch("browse", "--no-open", "--db", tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"photosearch: {tmp_path}")
