"""What the page asks, and that it is what the command line says."""

import json
import os
import shutil
from pathlib import Path

import pytest
from cli_env import Desk
from http_client import Visitor, browsing

from benchmarks.library import build
from photosearch import Library


def names(rows: list[dict[str, object]]) -> list[object]:
    return [row["name"] for row in rows]


def picture_of(visitor: Visitor, name: str) -> int:
    rows = visitor.ask("find?words=red+or+not+red")["rows"]
    return next(row["image_id"] for row in rows if row["name"] == name)


@pytest.fixture
def clean(desk: Desk, visitor: Visitor) -> None:
    """Nothing is marked, drawn or saved."""
    with Library(desk.library) as library:
        for known in library.marks.list():
            library.marks.remove([known.path], [known.label])
        library.labels.set_threshold(library.labels.get("red"), None)
    while visitor.ask("status")["undo"]:
        visitor.change("undo")
    with Library(desk.library) as library:
        for known in library.marks.list():
            library.marks.remove([known.path], [known.label])


def test_a_question_is_answered_as_find_answers_it(desk: Desk, visitor: Visitor) -> None:
    told = visitor.ask("find?words=red+and+not+blue")
    rows = json.loads(desk.run("find", "red and not blue", "--json").stdout)
    assert [row["path"] for row in told["rows"]] == [row["path"] for row in rows]
    assert [row["score"] for row in told["rows"]] == [round(row["score"], 4) for row in rows]
    assert (told["by"], told["models"], told["labels"], told["label"]) == ("label", ["toy"], ["red", "blue"], "red")
    assert told["total"] == len(rows)
    assert "a label of toy, which holds from a score of 0.500 on" in told["explained"][0]


def test_words_that_are_no_label_rank_by_likeness(visitor: Visitor) -> None:
    told = visitor.ask("find?words=black&min_similarity=-1")
    assert (told["by"], told["label"]) == ("similarity", None)
    assert told["rows"][0]["name"] == "IMG_20200504_120000.png"
    assert visitor.ask("find?words=red&reading=text&min_similarity=-1")["by"] == "similarity"


def test_like_this_asks_for_a_picture_by_its_id(visitor: Visitor) -> None:
    green = picture_of(visitor, "IMG_20200502_120000.png")
    told = visitor.ask(f"find?like={green}")
    assert told["rows"][0]["name"] == "IMG_20200502_120000.png"
    assert "no photo in the library" in visitor.send("GET", "/api/find?like=999").error
    assert "not a number" in visitor.send("GET", "/api/find?like=/etc/passwd").error


def test_dates_and_folders_filter(desk: Desk, visitor: Visitor) -> None:
    dated = visitor.ask("find?words=red+or+not+red&since=2020-05-02&until=2020-05-03")["rows"]
    assert sorted(names(dated)) == ["IMG_20200502_120000.png", "IMG_20200503_120000.png"]
    folders = {each["path"]: each["id"] for each in visitor.ask("folders")}
    assert list(folders) == [str(desk.photos), *(str(desk.photos / name) for name in ("2019", "2020"))]
    inside = visitor.ask(f"find?words=red&under={folders[str(desk.photos / '2019')]}")["rows"]
    assert names(inside) == ["white.png"]
    assert "not in the library any more" in visitor.send("GET", f"/api/find?words=red&under={desk.photos}").error
    newest = visitor.ask("find?words=red+or+not+red&since=2020&until=2020&sort=date")["rows"]
    assert [row["taken"][:10] for row in newest] == ["2020-05-04", "2020-05-03", "2020-05-02", "2020-05-01"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("words=(red", "a bracket is opened and not closed"),
        ("words=", "say what to find"),
        ("words=red&since=soon", "'soon' is no date"),
        ("words=red&min_score=2", "2 is not between -1 and 1"),
        ("words=red&min_score=x", "'x' is not a number"),
        ("words=red&min_score=nan", "nan is not between -1 and 1"),
        ("words=%22red", "a quote is opened and not closed"),
    ],
)
def test_a_question_that_cant_be_read_is_answered_by_the_line_that_find_would_print(visitor, question, said):
    assert said in visitor.send("GET", f"/api/find?{question}").error


def test_an_answer_is_fetched_in_parts_by_its_places(visitor: Visitor) -> None:
    told = visitor.ask("find?words=red+or+not+red")
    whole = visitor.ask(f"results?result={told['result']}&from=0&n=500")["rows"]
    assert whole == told["rows"]
    parts = [visitor.ask(f"results?result={told['result']}&from={i}&n=2")["rows"] for i in range(0, len(whole) + 2, 2)]
    assert [row for part in parts for row in part] == whole
    assert visitor.ask(f"total?result={told['result']}") == {"total": len(whole)}
    assert visitor.send("GET", "/api/results?result=nothing").error == "this answer is no longer kept; ask again"


def test_a_part_that_the_first_answer_holds_only_a_piece_of_is_whole_all_the_same(tmp_path: Path) -> None:
    with browsing(build(tmp_path / "many.db", 300)) as visitor:
        told = visitor.ask("find?words=bird+or+not+bird")
        assert (len(told["rows"]), told["total"]) == (120, None)
        part = visitor.ask(f"results?result={told['result']}&from=100&n=100")["rows"]
        assert len(part) == 100
        assert part[:20] == told["rows"][100:]
        assert visitor.ask(f"total?result={told['result']}") == {"total": 300}
        assert len(visitor.ask(f"results?result={told['result']}&from=250&n=100")["rows"]) == 50


def test_labels_are_offered_as_one_types(visitor: Visitor) -> None:
    assert visitor.ask("complete?words=re") == ["red"]
    assert visitor.ask("complete?words=red+and+not+b") == ["red and not blue"]
    assert {each["label"] for each in visitor.ask("labels")} == {"red", "green", "blue"}


def test_a_picture_tells_all_that_is_known_of_it(desk: Desk, visitor: Visitor, clean: None) -> None:
    white = picture_of(visitor, "white.png")
    visitor.change("mark", image=white, label="red", present=False)
    told = visitor.ask(f"picture?id={white}&label=red")
    assert {p["path"] for p in told["photos"]} == {
        str(desk.photos / "2019" / "white.png"),
        str(desk.photos / "copy.png"),
    }
    assert {p["unseen"] for p in told["photos"]} == {None}
    assert (told["width"], told["height"], told["taken"], told["said"]) == (64, 48, None, {"red": False})
    assert {(s["label"], s["model"], s["score"]) for s in told["scores"]} >= {
        ("red", "toy", 1.0),
        ("blue", "other", 1.0),
    }


def test_thumbnails_are_small_jpegs_kept_beside_the_library(desk: Desk, visitor: Visitor) -> None:
    red = picture_of(visitor, "IMG_20200501_120000.png")
    small, large = (visitor.send("GET", f"/thumbnails/{red}{size}") for size in ("", "?size=large"))
    assert small.headers["content-type"] == large.headers["content-type"] == "image/jpeg"
    assert small.body[:2] == large.body[:2] == b"\xff\xd8"
    assert len(small.body) < len(large.body) < 50_000
    with Library(desk.library) as library:
        kept = sorted(f.name.partition("-")[2] for f in library.thumbnails_folder.iterdir())
        assert {"320.jpg", "1600.jpg"} <= set(kept)


@pytest.mark.option("browse --cache-mb")
def test_thumbnails_keep_to_the_room_that_they_were_given(desk: Desk) -> None:
    folder = desk.library.with_name("library.db.thumbnails")
    with Library(desk.library) as library:
        content, _ = library.find_files(1) or (b"", [])
    folder.mkdir(mode=0o700, exist_ok=True)
    for i in range(5):
        (folder / f"{i:064x}-320.jpg").write_bytes(bytes(400_000))
        os.utime(folder / f"{i:064x}-320.jpg", ns=(i, i))
    (folder / f"{content.hex()}-320.jpg").unlink(missing_ok=True)
    with browsing(desk.library, "--cache-mb", 1) as visitor:
        assert visitor.send("GET", "/thumbnails/1").status == 200
    assert sum(f.stat().st_size for f in folder.iterdir()) <= 1_000_000
    assert (folder / f"{4:064x}-320.jpg").exists(), "the newest stay"


@pytest.mark.option("browse --no-open")
def test_the_address_is_opened_unless_it_is_not_wanted(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "opener").write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    (tmp_path / "opener").chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROWSER", str(tmp_path / "opener"))
        with browsing(desk.library) as visitor:
            assert visitor.send("GET", "/").status == 200
        assert not (tmp_path / "opened").exists()
        with browsing(desk.library, opens=True) as visitor:
            assert visitor.send("GET", "/").status == 200
    assert (tmp_path / "opened").read_text() == f"{visitor.address}\n"


def test_a_picture_whose_file_is_gone_says_why(desk: Desk, visitor: Visitor) -> None:
    blue = picture_of(visitor, "IMG_20200503_120000.png")
    path = desk.photos / "2020" / "IMG_20200503_120000.png"
    shutil.rmtree(desk.library.with_name("library.db.thumbnails"), ignore_errors=True)  # it would be shown from there
    aside = path.rename(desk.folder / "aside.png")
    try:
        given = visitor.send("GET", f"/thumbnails/{blue}")
        assert (given.status, given.body) == (404, b"no such file or directory")
        assert visitor.ask(f"picture?id={blue}")["photos"][0]["unseen"] == "missing"
    finally:
        aside.rename(path)


def test_marks_change_the_report_and_undo_takes_them_back_one_by_one(visitor: Visitor, clean: None) -> None:
    red, blue = picture_of(visitor, "red.jpg"), picture_of(visitor, "blue.webp")
    assert visitor.ask("report?label=red")["report"] is None
    assert visitor.change("mark", image=red, label="red", present=True)["undo"] == 1
    visitor.change("mark", image=blue, label="red", present=True)
    told = visitor.ask("report?label=red")["report"]
    assert (told["tp"], told["fn"], told["precision"], told["recall"]) == (1, 1, 1.0, 0.5)
    visitor.change("mark", image=blue, label="red", present=False)
    assert visitor.ask("report?label=red")["report"]["recall"] == 1.0
    assert [row["present"] for row in visitor.ask("find?words=red")["rows"] if row["image_id"] == red] == [True]
    undone = [visitor.change("undo") for _ in range(3)]
    assert [(u["image"], u["present"], u["undo"]) for u in undone] == [(blue, True, 2), (blue, None, 1), (red, None, 0)]
    assert visitor.refused("undo") == "there is nothing to undo"
    assert visitor.ask("report?label=red")["report"] is None


def test_a_threshold_shows_what_it_would_do_before_it_is_saved(desk: Desk, visitor: Visitor, clean: None) -> None:
    for name, present in (("red.jpg", True), ("white.png", False), ("blue.webp", False)):
        visitor.change("mark", image=picture_of(visitor, name), label="red", present=present)
    told = visitor.ask("report?label=red")
    assert (told["own"], told["saved"], told["report"]["precision"]) == (0.5, False, 0.5)
    assert sorted(told["judged"]) == [[0.0, False], [0.9961, True], [1.0, False]]
    at = visitor.ask("report?label=red&threshold=0.999")["report"]
    assert (at["tp"], at["fp"], at["precision"]) == (0, 1, 0.0)
    assert len(at["intervals"]["precision"]) == 2
    printed = json.loads(desk.run("report", "--label", "red", "--threshold", "0.999", "--json").stdout)
    assert {k: v for k, v in printed.items() if k != "mistakes"} == at
    assert visitor.change("threshold", label="red", threshold=0.999) == {"label": "red", "own": 0.999, "saved": True}
    assert sorted(names(visitor.ask("find?words=red")["rows"])) == ["IMG_20200501_120000.png", "copy.png", "white.png"]
    assert visitor.change("threshold", label="red", threshold=None) == {"label": "red", "own": 0.5, "saved": False}
    for threshold in (2, "x", True):
        assert visitor.refused("threshold", label="red", threshold=threshold) == "a threshold lies between 0 and 1"


def test_a_sample_that_is_drawn_is_a_queue_and_then_a_report_on_the_library(visitor: Visitor, clean: None) -> None:
    drawn = visitor.change("sample", label="green", n=4)
    assert drawn["photos"] == 4
    queue = visitor.ask("queue?label=green&kind=sample")
    assert (queue["left"], len(queue["asked"])) == (4, 4)
    for each in queue["asked"]:
        visitor.change("mark", image=each["image_id"], label="green", present=each["score"] > 0.5)
    assert visitor.ask("queue?label=green&kind=sample")["asked"] == []
    told = visitor.ask("report?label=green")["report"]["library"]
    assert (told["judged"], told["drawn"], told["precision"]) == (4, 4, 1.0)


def test_the_queue_near_the_threshold_and_where_models_disagree(visitor: Visitor, clean: None) -> None:
    near = visitor.ask("queue?label=red&kind=near")
    assert (near["threshold"], len(near["asked"])) == (0.5, 8)
    assert visitor.ask("queue?label=red&kind=disagree")["other"] == "other"
    assert "no such queue" in visitor.send("GET", "/api/queue?label=red&kind=x").error


@pytest.mark.option("browse --albums")
def test_an_album_holds_the_chosen_photos_or_all(desk: Desk, visitor: Visitor) -> None:
    told = visitor.ask("find?words=blue")
    made = visitor.change("album", result=told["result"], places=[0], name="one & only", how="copy")
    folder = desk.folder / "albums" / "one & only"
    assert made == {"folder": str(folder), "made": 1, "there": 0, "missing": 0}
    assert os.listdir(folder) == [told["rows"][0]["name"]]
    linked = visitor.change("album", result=told["result"], places=None, name="all", how="link")
    assert linked["made"] == len(told["rows"])
    assert all(p.is_symlink() for p in Path(linked["folder"]).iterdir())
    again = visitor.change("album", result=told["result"], places=None, name="all", how="link")
    assert (again["made"], again["there"]) == (0, len(told["rows"]))
    for places in ([99], ["/etc/passwd"], [-1]):
        visitor.refused("album", result=told["result"], places=places, name="x", how="copy")


def test_duplicates_stand_side_by_side(visitor: Visitor) -> None:
    told = visitor.ask("duplicates?near=no")
    assert told["total"] == 1
    assert [(os.path.basename(m["path"]), m["how"]) for m in told["groups"][0]] == [
        ("white.png", "kept"), ("copy.png", "same content"),
    ]  # fmt: skip


def test_what_could_not_be_read_is_told_with_its_reason(desk: Desk, visitor: Visitor) -> None:
    (row,) = visitor.ask("unreadable")
    assert (row["path"], row["reason"]) == (str(desk.photos / "broken.jpg"), "not a photo in a known format")


def test_the_status_says_whether_an_index_runs(visitor: Visitor) -> None:
    told = visitor.ask("status")
    assert (told["running"], told["photos"], told["unreadable"], told["scored"]) == (False, 10, 1, 8)
