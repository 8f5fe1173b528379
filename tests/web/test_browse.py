"""The pages' API: it gives what the command line gives."""

import json
import os
import re
import shutil
import signal
import socket
import sys
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
from cli_env import CliEnv
from http_client import HttpClient, run_server
from PIL import Image
from toy import photo

from benchmarks.library import build
from photosearch import Library

ALL = "find?words=red+or+not+red&copies=1"


def names(photos: list[dict[str, object]]) -> list[object]:
    return [photo["name"] for photo in photos]


def find_image(client: HttpClient, name: str) -> int:
    return next(int(photo["image_id"]) for photo in client.get_json(ALL)["photos"] if photo["name"] == name)


@pytest.fixture
def clean(cli_env: CliEnv, client: HttpClient) -> None:
    """No marks, an empty undo log, the model's own threshold."""
    with Library(cli_env.library) as library:
        for mark in library.marks.list():
            library.marks.remove([mark.path], [mark.label])
        while library.marks.count_undo_steps():
            library.marks.undo()
        for mark in library.marks.list():
            pytest.fail(f"{mark} is older than the undo log")
        library.labels.set_threshold(library.labels.get("red"), None)


# ---- search


def test_find_gives_what_the_command_prints(cli_env: CliEnv, client: HttpClient) -> None:
    found = client.get_json("find?words=red+and+not+blue&query_mode=label")
    printed = json.loads(cli_env.run("find", "red and not blue", "--label", "--json").stdout)
    assert [photo["path"] for photo in found["photos"]] == [row["path"] for row in printed["photos"]]
    assert [photo["score"] for photo in found["photos"]] == [round(row["score"], 4) for row in printed["photos"]]
    assert (found["ranked_by"], found["models"], found["is_user_label"]) == ("label", ["toy"], False)
    assert (found["question"], found["labels"], found["label"]) == ("red and not blue", ["red", "blue"], "red")
    assert found["total"] == {"total": len(printed["photos"]), "n_sure": len(printed["photos"])}
    assert "a label of toy, which holds from a score of 0.500 on" in found["explanation"][0]


def test_find_ranks_by_similarity_without_a_label(client: HttpClient) -> None:
    found = client.get_json("find?words=black")
    assert (found["ranked_by"], found["label"]) == ("similarity", None)
    assert found["photos"][0]["name"] == "IMG_20200504_120000.png"
    assert client.get_json("find?words=red&query_mode=text")["ranked_by"] == "similarity"


def test_find_like_takes_image_ids_and_no_paths(client: HttpClient) -> None:
    green = find_image(client, "IMG_20200502_120000.png")
    assert client.get_json(f"find?like={green}")["photos"][0]["name"] == "IMG_20200502_120000.png"
    assert client.get_error("find?like=999") == "this photo is no longer in the library"
    assert client.get_error("find?like=/etc/passwd") == "'/etc/passwd' is not a valid number"


def test_find_filters_by_date_and_folder(cli_env: CliEnv, client: HttpClient) -> None:
    dated = client.get_json(f"{ALL}&since=2020-05-02&until=2020-05-03")["photos"]
    assert sorted(names(dated)) == ["IMG_20200502_120000.png", "IMG_20200503_120000.png"]
    folders = {folder["path"]: folder["id"] for folder in client.get_json("folders")}
    assert list(folders) == [str(cli_env.photos), *(str(cli_env.photos / name) for name in ("2019", "2020"))]
    inside = client.get_json(f"find?words=red&query_mode=label&under={folders[str(cli_env.photos / '2019')]}")["photos"]
    assert names(inside) == ["white.png"]
    assert "no longer in the library" in client.get_error(f"find?words=red&under={cli_env.photos}")
    newest = client.get_json(f"{ALL}&since=2020&until=2020&sort=date")["photos"]
    assert [photo["taken"][:10] for photo in newest] == ["2020-05-04", "2020-05-03", "2020-05-02", "2020-05-01"]


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("words=(red", ["(red"]), ("words=%22red", ['"red']),
        ("words=red&since=soon", ["red", "--since", "soon"]),
    ],
)  # fmt: skip
def test_find_gives_the_error_that_the_command_prints(
    cli_env: CliEnv, client: HttpClient, query: str, arguments: list[str]
) -> None:
    result = cli_env.run("find", *arguments)
    assert result.stderr == f"photosearch: {client.get_error(f'find?{query}')}\n"


@pytest.mark.parametrize(
    ("score", "error"),
    [
        ("2", "2 is not between -1 and 1"), ("x", "'x' is not a number"), ("nan", "nan is not between -1 and 1"),
    ],
)  # fmt: skip
def test_find_refuses_invalid_score(client: HttpClient, score: str, error: str) -> None:
    assert client.get_error(f"find?words=red&min_score={score}") == error


def test_results_are_fetched_in_parts(client: HttpClient, clean: None) -> None:
    found = client.get_json(ALL)
    result, photos = found["result"], found["photos"]
    assert client.get_json(f"results?result={result}&first=0&n=500") == {"first": 0, "photos": photos}
    starts = range(0, len(photos) + 2, 2)
    parts = [client.get_json(f"results?result={result}&first={first}&n=2")["photos"] for first in starts]
    assert [photo for part in parts for photo in part] == photos
    assert client.get_json(f"total?result={result}") == {"total": len(photos), "n_sure": len(photos)}
    assert client.get_error("results?result=nothing") == "these results have expired; search again"


@pytest.mark.slow
def test_results_beyond_the_first_search_are_complete(tmp_path: Path) -> None:
    with run_server(build(tmp_path / "many.db", 300)) as client:
        found = client.get_json("find?words=bird+or+not+bird&copies=1")
        assert (len(found["photos"]), found["total"]) == (120, None)
        part = client.get_json(f"results?result={found['result']}&first=100&n=100")["photos"]
        assert len(part) == 100
        assert part[:20] == found["photos"][100:]
        assert client.get_json(f"total?result={found['result']}") == {"total": 300, "n_sure": 300}
        assert len(client.get_json(f"results?result={found['result']}&first=250&n=100")["photos"]) == 50


def test_complete_suggests_labels(client: HttpClient) -> None:
    assert client.get_json("complete?words=re") == [{"text": "red", "photos": 4}]
    assert client.get_json("complete?words=red+and+not+b") == [{"text": "red and not blue", "photos": 5}]


def test_labels_have_the_counts_of_the_model_that_answers(cli_env: CliEnv, client: HttpClient) -> None:
    with Library(cli_env.library) as library:
        others = library.labels.get("red", "other")
        library.labels.set_threshold(others, 0.999)
        labels = [(label["name"], label["photos"], label["is_new"]) for label in client.get_json("labels")]
        completed = client.get_json("complete?words=re")
        library.labels.set_threshold(others, None)
    assert completed == [{"text": "red", "photos": 4}]
    assert labels == [("blue", 5, False), ("red", 4, False), ("green", 3, False)]


# ---- one photo


def test_details_give_files_scores_and_marks(cli_env: CliEnv, client: HttpClient, clean: None) -> None:
    white = find_image(client, "white.png")
    client.post_json("mark", image_id=white, label="red", present=False)
    details = client.get_json(f"details?image_id={white}&label=red")
    paths = {str(cli_env.photos / "2019" / "white.png"), str(cli_env.photos / "copy.png")}
    assert {file["path"]: file["unavailable"] for file in details["files"]} == dict.fromkeys(paths)
    assert (details["width"], details["height"], details["taken"], details["marks"]) == (64, 48, None, {"red": False})
    scores = {(score["label"], score["model"], score["score"]) for score in details["scores"]}
    assert scores >= {("red", "toy", 1.0), ("blue", "other", 1.0)}


def test_thumbnails_are_jpegs_in_two_sizes_and_cached(cli_env: CliEnv, client: HttpClient) -> None:
    red = find_image(client, "IMG_20200501_120000.png")
    small, large = (client.send("GET", f"/thumbnails/{red}{size}") for size in ("", "?size=large"))
    assert small.headers["content-type"] == large.headers["content-type"] == "image/jpeg"
    assert small.body[:2] == large.body[:2] == b"\xff\xd8"
    assert len(small.body) < len(large.body) < 50_000
    with Library(cli_env.library) as library:
        cached = {file.name.partition("-")[2] for file in library.thumbnails_folder.iterdir()}
    assert {"320.jpg", "1600.jpg"} <= cached


@pytest.mark.slow
@pytest.mark.option("browse --cache-mb")
def test_thumbnail_cache_stays_within_its_limit(cli_env: CliEnv) -> None:
    folder = cli_env.library.with_name("library.db.thumbnails")
    with Library(cli_env.library) as library:
        content_hash, _ = library.find_files(1) or (b"", [])
    folder.mkdir(mode=0o700, exist_ok=True)
    for i in range(5):
        (folder / f"{i:064x}-320.jpg").write_bytes(bytes(400_000))
        os.utime(folder / f"{i:064x}-320.jpg", ns=(i, i))
    (folder / f"{content_hash.hex()}-320.jpg").unlink(missing_ok=True)
    with run_server(cli_env.library, "--cache-mb", 1) as client:
        assert client.send("GET", "/thumbnails/1").status == 200
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 1_000_000
    assert (folder / f"{4:064x}-320.jpg").exists(), "the most recently used stay"


def test_missing_file_gives_its_reason(cli_env: CliEnv, client: HttpClient) -> None:
    blue = find_image(client, "IMG_20200503_120000.png")
    path = cli_env.photos / "2020" / "IMG_20200503_120000.png"
    shutil.rmtree(cli_env.library.with_name("library.db.thumbnails"), ignore_errors=True)  # the cache would have it
    moved = path.rename(cli_env.folder / "moved.png")
    try:
        response = client.send("GET", f"/thumbnails/{blue}")
        assert (response.status, response.body) == (404, b"no such file or directory")
        assert client.get_json(f"details?image_id={blue}")["files"][0]["unavailable"] == "missing"
    finally:
        moved.rename(path)


# ---- marks


def test_marks_change_the_report_and_undo_restores_them(client: HttpClient, clean: None) -> None:
    red, blue = find_image(client, "red.jpg"), find_image(client, "blue.webp")
    assert client.get_json("report?label=red")["figures"] is None
    steps = [client.post_json("mark", image_id=image, label="red", present=True)["step"] for image in (red, blue)]
    figures = client.get_json("report?label=red")["figures"]
    assert (figures["tp"], figures["fn"], figures["precision"], figures["recall"]) == (1, 1, 1.0, 0.5)
    steps.append(client.post_json("mark", image_id=blue, label="red", present=False)["step"])
    assert client.get_json("report?label=red")["figures"]["recall"] == 1.0
    found = client.get_json("find?words=red&query_mode=label")["photos"]
    assert [photo["present"] for photo in found if photo["image_id"] == red] == [True]
    for image_id, present in ((blue, True), (blue, None), (red, None)):
        marks = [{"image_id": image_id, "label": "red", "present": present}]
        assert client.post_json("undo", step=steps[-1]) == {"marks": marks, "step": None, "album": None}
        assert "undone elsewhere" in client.post_error("undo", step=steps.pop())
    assert client.get_json("report?label=red")["figures"] is None


@pytest.mark.slow
def test_each_tab_undoes_its_own_marks(cli_env: CliEnv, client: HttpClient, clean: None) -> None:
    red, blue = find_image(client, "red.jpg"), find_image(client, "blue.webp")
    mine = client.post_json("mark", image_id=red, label="red", present=True)["step"]
    with run_server(cli_env.library) as other:
        theirs = other.post_json("mark", image_id=blue, label="red", present=True)["step"]
        marks = [{"image_id": red, "label": "red", "present": None}]
        assert client.post_json("undo", step=mine)["marks"] == marks, "not the newest mark, which another tab made"
        assert client.get_json(f"details?image_id={blue}")["marks"] == {"red": True}
        marks = [{"image_id": blue, "label": "red", "present": None}]
        assert other.post_json("undo", step=theirs)["marks"] == marks


def test_undo_keeps_what_was_marked_since(cli_env: CliEnv, client: HttpClient, clean: None) -> None:
    red = find_image(client, "red.jpg")
    mine = client.post_json("mark", image_id=red, label="red", present=True)["step"]
    assert cli_env.run("mark", cli_env.photos / "red.jpg", "--not", "red").exit_code == 0
    error = "this mark was changed again since, by another tab or a command: nothing was undone"
    assert client.post_error("undo", step=mine) == error
    assert client.get_json(f"details?image_id={red}")["marks"] == {"red": False}
    assert cli_env.run("undo", "marks").exit_code == 0
    assert client.post_json("undo", step=mine)["marks"] == [{"image_id": red, "label": "red", "present": None}]


def test_undo_of_a_step_that_is_gone_undoes_no_later_one(cli_env: CliEnv, client: HttpClient, clean: None) -> None:
    red, blue = find_image(client, "red.jpg"), find_image(client, "blue.webp")
    mine = client.post_json("mark", image_id=red, label="red", present=True)["step"]
    assert cli_env.run("undo", "marks").exit_code == 0, "it takes back the newest of all, the page's included"
    later = client.post_json("mark", image_id=blue, label="red", present=True)["step"]
    assert later > mine
    assert "undone elsewhere" in client.post_error("undo", step=mine)
    assert client.get_json(f"details?image_id={blue}")["marks"] == {"red": True}


def test_report_shows_a_threshold_before_it_is_saved(cli_env: CliEnv, client: HttpClient, clean: None) -> None:
    for name, present in (("red.jpg", True), ("white.png", False), ("blue.webp", False)):
        client.post_json("mark", image_id=find_image(client, name), label="red", present=present)
    own = {"label": "red", "model": "toy", "threshold": 0.5, "saved": False}
    report = client.get_json("report?label=red")
    assert (report["threshold"], report["figures"]["precision"]) == (own, 0.5)
    assert sorted(report["judged"]) == [[0.0, False], [0.9961, True], [1.0, False]]
    figures = client.get_json("report?label=red&threshold=0.999")["figures"]
    assert (figures["tp"], figures["fp"], figures["precision"]) == (0, 1, 0.0)
    assert len(figures["intervals"]["precision"]) == 2
    printed = json.loads(cli_env.run("report", "--label", "red", "--threshold", "0.999", "--json").stdout)
    assert {key: value for key, value in printed.items() if key != "mistakes"} == figures
    saved = client.post_json("threshold", label="red", threshold=0.999)
    assert saved == own | {"threshold": 0.999, "saved": True}
    found = client.get_json("find?words=red&query_mode=label&copies=1")["photos"]
    assert sorted(names(found)) == ["IMG_20200501_120000.png", "copy.png", "white.png"]
    assert client.post_json("threshold", label="red", threshold=None) == own


def test_invalid_threshold_is_refused(client: HttpClient) -> None:
    error = client.post_error("threshold", label="red", threshold=2)
    assert error == "a threshold must be between 0 and 1"


def test_judged_sample_becomes_a_report_on_the_library(client: HttpClient, clean: None) -> None:
    assert client.post_json("sample", label="green", n=4)["n_photos"] == 4
    queue = client.get_json("queue?label=green&kind=sample")
    assert (queue["unjudged"], len(queue["items"])) == (4, 4)
    for item in queue["items"]:
        client.post_json("mark", image_id=item["image_id"], label="green", present=item["score"] > 0.5)
    assert client.get_json("queue?label=green&kind=sample")["items"] == []
    library = client.get_json("report?label=green")["figures"]["library"]
    assert (library["judged"], library["drawn"], library["precision"]) == (4, 4, 1.0)


def test_queue_of_each_kind(client: HttpClient, clean: None) -> None:
    near = client.get_json("queue?label=red&kind=near")
    assert (near["threshold"], len(near["items"])) == (0.5, 8)
    assert client.get_json("queue?label=red&kind=disagree")["other_model"] == "other"
    assert "no such queue" in client.get_error("queue?label=red&kind=x")


# ---- albums, and the smaller pages


@pytest.mark.option("browse --albums")
def test_album_has_the_chosen_photos_or_all(cli_env: CliEnv, client: HttpClient) -> None:
    found = client.get_json("find?words=blue")
    result, n = found["result"], len(found["photos"])
    album = client.post_json("album", result=result, ranges=[0, 1], name="one & only", how="copy")
    folder = cli_env.folder / "albums" / "one & only"
    assert album == {"folder": str(folder), "created": 1, "existing": 0, "missing": 0, "indexed": None}
    assert os.listdir(folder) == [found["photos"][0]["name"]]
    linked = client.post_json("album", result=result, ranges=None, name="all", how="link")
    assert linked["created"] == n
    assert all(path.is_symlink() for path in Path(linked["folder"]).iterdir())
    again = client.post_json("album", result=result, ranges=None, name="all", how="link")
    assert (again["created"], again["existing"]) == (0, n)


@pytest.mark.parametrize(
    "ranges", [[0], [0, 99], [99, 100], [1, 1], ["/etc/passwd"], [-1, 1], [True, 1], [[0]], [0, 1e300], "0", 7, {}]
)
def test_album_of_unknown_photos_is_refused(cli_env: CliEnv, client: HttpClient, ranges: object) -> None:
    result = client.get_json("find?words=blue")["result"]
    error = client.post_error("album", result=result, ranges=ranges, name="x", how="copy")
    assert error in ("no such photos in these results", "ranges must be a list of whole numbers or null")
    assert not (cli_env.folder / "albums" / "x").exists()


def test_duplicates_are_grouped_best_first(client: HttpClient) -> None:
    response = client.get_json("duplicates?near=no")
    assert response["total"] == 1
    assert [(os.path.basename(photo["path"]), photo["kind"]) for photo in response["groups"][0]] == [
        ("white.png", "kept"), ("copy.png", "same content"),
    ]  # fmt: skip


@pytest.mark.slow
def test_duplicates_of_two_tabs_do_not_mix(cli_env: CliEnv, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    for side in (256, 320):
        noise.resize((side, side), Image.Resampling.BICUBIC).save(tmp_path / f"{side}.png")
    with Library(tmp_path / "near.db") as library:
        list(library.index(tmp_path, models=[str(cli_env.model)]))
    with run_server(tmp_path / "near.db") as client:
        equal, near = client.get_json("duplicates?near=no"), client.get_json("duplicates?near=yes")
        assert (equal["total"], near["total"], len(near["groups"])) == (0, 1, 1)
        more = {"total": 1, "spare_bytes": ANY, "groups": [], "list": near["list"]}
        assert client.get_json(f"duplicates?list={near['list']}&first=1") == more
        assert client.get_json(f"duplicates?list={equal['list']}&first=1")["total"] == 0
        (tmp_path / "320.png").unlink()
        with Library(tmp_path / "near.db") as library:
            list(library.index(tmp_path))
        assert client.get_json("duplicates?near=yes")["total"] == 0
        assert client.get_json(f"duplicates?list={near['list']}&first=0")["groups"] == near["groups"], "as it was shown"
        assert client.get_error("duplicates?list=none") == "this list has expired; reload the page"


def test_unreadable_photos_have_a_reason(cli_env: CliEnv, client: HttpClient) -> None:
    (photo,) = client.get_json("unreadable")
    assert photo["path"] == str(cli_env.photos / "broken.jpg")
    assert photo["reason"] == "not a photo in a known format"


def test_status_counts_photos_and_tells_whether_an_index_runs(client: HttpClient) -> None:
    status = client.get_json("status")
    assert (status["running"], status["photos"], status["unreadable"], status["scored"]) == (False, 10, 1, 8)


@pytest.mark.slow
@pytest.mark.option("browse --no-open")
def test_browse_opens_the_browser_without_no_open(cli_env: CliEnv, tmp_path: Path) -> None:
    """The address is not among the browser's arguments, which every user of the computer can read."""
    (tmp_path / "opener").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/opened\n')
    (tmp_path / "opener").chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROWSER", str(tmp_path / "opener"))
        patch.setenv("TMPDIR", str(tmp_path))
        with run_server(cli_env.library) as client:
            assert client.send("GET", "/").status == 200
        assert not (tmp_path / "opened").exists()
        with run_server(cli_env.library, opens=True) as client:
            page = Path((tmp_path / "opened").read_text().removeprefix("file://").strip())
            assert client.address.replace("=", "&#61;") in page.read_text() or client.address in page.read_text()
            assert oct(page.stat().st_mode & 0o777) == "0o600"
            assert oct(page.parent.stat().st_mode & 0o777) == "0o700"
            assert page.parent.parent == tmp_path
        assert not page.parent.exists()
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_IGN:  # under nohup, which browse obeys
                continue
            with run_server(cli_env.library, opens=True) as client:
                page = Path((tmp_path / "opened").read_text().removeprefix("file://").strip())
                client.process.send_signal(number)
                assert client.process.wait(timeout=30) == 0
            assert not page.parent.exists(), number


# ---- what a page can't send


NESTED: dict[str, object] = {}
for _ in range(200):
    NESTED = {"a": [NESTED]}
WRONG = (
    None, True, 5, -1, 2.5, 10**30, 1e308, "", "x", "\ud800", "\0", "x" * 100_000, [], [None], [[1]], [2**70], {},
    {"a": 1}, NESTED, ["x"] * 10_000,
)  # fmt: skip
ODD = (
    "", "-1", "1.5", "1e999", "nan", "9" * 18, "9" * 19, "9" * 5000, "x" * 20_000, "%00", "%ff", "%ed%a0%80", "null",
    "[]", "%7B%7D", "a&first=0&first=x", "%F0%9F%90%A6", "%E2%80%AE", "((((", "%22", "%0a",
)  # fmt: skip
FIELDS = {
    "mark": {"image_id": 1, "label": "red", "present": True, "new": False}, "undo": {"step": 1},
    "sample": {"label": "red", "n": 10},
    "threshold": {"label": "red", "threshold": 0.5}, "learn": {"label": "red"}, "unlearn": {"label": "red"},
    "album": {"result": "x", "name": "x", "how": "copy", "ranges": None},
    "mark_selected": {"result": "x", "ranges": [0, 1], "label": "red", "present": True, "new": False},
    "paths": {"result": "x", "ranges": [0, 1]}, "zip": {"result": "x", "ranges": [0, 1]},
    "plan-spares": {"list": "x", "folder": "x"}, "move-spares": {"plan": "x"}, "undo-spares": {"log": "x"},
    "add_to_album": {"result": "x", "ranges": [0, 1], "name": "x"},
    "remove_from_album": {"result": "x", "ranges": [0, 1], "name": "x"},
    "settings": {"folder": "x", "models": None, "tiles": None, "exclude": ["*.gif"], "include": None,
                 "follow_symlinks": None, "metadata": False},
    "forget": {"folder": "x", "photos": 1, "marks": 0}, "default-model": {"name": "nobody"},
    "offer-size": {"name": "nobody"}, "start-pull": {"name": "nobody", "size_bytes": 1}, "stop": {"at_once": False},
    "stop-watch": {"at_once": False},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("action", FIELDS)
def test_json_of_wrong_types_gets_a_line(cli_env: CliEnv, client: HttpClient, action: str, clean: None) -> None:
    """Each field in turn is missing or of another type, or another field is given."""
    right = FIELDS[action]
    bodies = [{**right, name: value} for name in (*right, "places") for value in WRONG]
    bodies += [{key: value for key, value in right.items() if key != name} for name in right]
    texts = [json.dumps(body) for body in bodies]
    texts += [json.dumps(right).replace(json.dumps(right[name]), number, 1) for name in right for number in
              ("NaN", "-Infinity", "1e999", "9" * 5000)]  # fmt: skip
    for text in (*texts, *map(json.dumps, WRONG), '{"places": 5}'):
        response = client.send("POST", f"/api/{action}", body=text.encode())
        assert response.status in (200, 400), (text[:200], response.body[:300])
        if response.status == 400:
            assert response.error
            assert "\n" not in response.error
            assert len(response.error) < 500
    assert not (cli_env.folder / "albums" / "x").exists()
    for name, values in {"image_id": ["1"], "step": [1.5], "n": [None], "threshold": ["0.5"], "how": ["move"]}.items():
        if name in right:
            assert client.post_error(action, **{**right, name: values[0]}).startswith(f"{name} must be ")


@pytest.mark.parametrize("target", [
    "find?words={}", "find?words=red&like={}", "find?words=red&min_score={}", "find?words=red&under={}",
    "find?words=red&since={}", "find?words=red&label={}", "find?words=red&sort={}", "results?result={}",
    "results?result=RESULT&first={}", "results?result=RESULT&n={}", "results?result=RESULT&label={}", "total?result={}",
    "days?result={}", "facet?result={}", "facet?facet={}", "tree?result={}", "clusters?west={}",
    "neighbours?photo_id={}",
    "similar?image_id={}", "exposure?image_id={}", "edit?words={}&kind=in&value=x", "edit?words=red&kind=in&value={}",
    "edit?kind={}", "complete?words={}", "details?image_id={}", "details?image_id=1&label={}", "queue?label={}",
    "queue?label=red&kind={}", "readiness?label={}", "preview?label={}",
    "report?label={}", "report?label=red&threshold={}", "duplicates?first={}",
    "duplicates?list={}", "unreadable?x={}", "status?x={}", "labels?x={}", "folders?x={}",
    "directories?typed={}", "newest?n={}", "forgotten?folder={}", "library?x={}", "models?x={}", "run?x={}",
    "pull?x={}",
])  # fmt: skip
def test_parameters_of_wrong_types_get_a_line(client: HttpClient, target: str) -> None:
    target = target.replace("RESULT", client.get_json("find?words=red")["result"])
    for value in ODD:
        response = client.send("GET", f"/api/{target.format(value)}")
        assert response.status in (200, 400), (value[:50], response.body[:300])
        if response.status == 400:
            assert response.error
    for image_id in ("9" * 5000, "x" * 5000, "%ff"):
        assert client.send("GET", f"/thumbnails/{image_id}").status == 404


@pytest.mark.slow
def test_ending_with_an_open_upload_prints_no_traceback(cli_env: CliEnv) -> None:
    with run_server(cli_env.library) as client:
        uploads = []
        for _ in range(2):
            upload = socket.create_connection(("127.0.0.1", client.port), timeout=30)
            upload.sendall((
                f"POST /api/mark HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nCookie: {client.cookie}\r\n"
                f"Origin: http://127.0.0.1:{client.port}\r\nContent-Type: application/json\r\n"
                "Content-Length: 1000\r\n\r\n{"
            ).encode())  # fmt: skip
            uploads.append(upload)
        uploads[0].close()  # one is cut off by the browser, one by the end of the server
        assert client.send("GET", "/").status == 200
        client.process.send_signal(signal.SIGINT)
        _, err = client.process.communicate(timeout=30)
        uploads[1].close()
    assert client.process.returncode == 0
    assert err.splitlines()[1:] == ["photosearch browse has ended"], err


@pytest.mark.skipif(sys.platform != "linux", reason="its file systems allow any name")
def test_names_with_direction_controls_are_sent_as_text(cli_env: CliEnv, client: HttpClient) -> None:
    name, shown = "x\u202egpj\u2069\\u202e\\b.png", "x\\u202egpj\\u2069\\u202e\\b.png"
    path = photo(cli_env.photos / name, "blue", size=(77, 66))
    try:
        assert cli_env.index().exit_code == 0
        body = client.send("GET", "/api/find?words=blue").body.decode()
        assert shown in [found["name"] for found in json.loads(body)["photos"]]
        image_id = next(found["image_id"] for found in json.loads(body)["photos"] if found["name"] == shown)
        (file,) = client.get_json(f"details?image_id={image_id}")["files"]
        assert (file["name"], os.path.basename(file["path"])) == (shown, shown), "a backslash does not cut it"
        html = cli_env.run("find", "blue", "--html", cli_env.folder / "bidi.html")
        assert html.exit_code == 0
        text = (cli_env.folder / "bidi.html").read_text()
        assert shown in text
        assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
    finally:
        path.unlink()
        cli_env.index()
        cli_env.run("forget", path, "--yes")
