"""What the pages' API tells of an answer: what is sure, what is not, what to ask or to learn next."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from http_client import HttpClient, run_server

from photosearch import Library

NAMES = {f"{kind}{i:02}.png" for kind in ("leaf", "sky") for i in range(12)}


@pytest.fixture(scope="module")
def client(leaves: Path) -> Iterator[HttpClient]:
    with run_server(leaves, "--albums", leaves.with_name("albums")) as client:
        yield client


@pytest.fixture
def marked(leaves: Path) -> Iterator[Library]:
    """Five greens marked as leafy, and five blues as not."""
    with Library(leaves) as library:
        paths = {name: leaves.with_name("photos") / name for name in NAMES}
        library.marks.add([paths[f"leaf{i:02}.png"] for i in range(5)], positive=["leafy"], new=True)
        library.marks.add([paths[f"sky{i:02}.png"] for i in range(5)], negative=["leafy"])
        yield library
        library.marks.undo()
        library.marks.undo()


def test_page_without_a_question_lists_all_newest_first(client: HttpClient) -> None:
    found = client.get_json("find")
    assert (found["ranked_by"], found["models"], found["sure"], found["more"], found["hints"]) == (
        "date", [], True, False, [],
    )  # fmt: skip
    assert found["total"] == {"total": 24, "n_sure": 24}, "each picture, its copies folded"
    assert {(row["by"], row["score"]) for row in found["photos"]} == {("date", None)}
    taken = [row["taken"] for row in found["photos"]]
    assert taken == sorted(taken, reverse=True)
    none = client.get_json("find?until=1999")
    assert (none["photos"], none["since"], none["until"]) == ([], None, "1999")


def test_copies_are_counted_or_listed(client: HttpClient) -> None:
    copies = {row["name"]: row["copies"] for row in client.get_json("find?words=green")["photos"]}
    assert sum(copies.values()) == 1
    assert {name for name, n in copies.items() if n} <= {"leaf00.png", "leaf00 copy.png"}
    listed = client.get_json("find?words=green&copies=1")["photos"]
    assert {row["name"] for row in listed} == {name for name in NAMES if name.startswith("leaf")} | {"leaf00 copy.png"}
    assert {row["copies"] for row in listed} == {0}


def test_similar_photos_end_and_go_on_when_asked(client: HttpClient) -> None:
    found = client.get_json("find?words=zebra")
    assert (found["sure"], found["more"], found["total"]) == (False, True, {"total": 10, "n_sure": 0})
    assert {(row["by"], row["sure"]) for row in found["photos"]} == {("similarity", False)}
    album = client.post_json("album", result=found["result"], ranges=None, name="zebra", how="copy")
    assert album["created"] == 10, "an album has what is shown"
    more = client.get_json("find?words=zebra&all_similar=1")
    assert (more["more"], more["total"]) == (False, {"total": 24, "n_sure": 0})
    assert more["photos"][:10] == found["photos"]
    mixed = client.get_json("find?words=a+blue+zebra&all_similar=1")
    sure = [row["sure"] for row in mixed["photos"]]
    assert sure == sorted(sure, reverse=True), "the sure ones come first"
    assert mixed["total"] == {"total": 24, "n_sure": sum(sure)}
    assert 0 < sum(sure) < 24
    assert client.get_json(f"total?result={mixed['result']}") == mixed["total"]
    only = client.get_json("find?words=zebra&sure_only=1")
    assert (only["photos"], only["more"]) == ([], False)


def test_label_goes_on_with_the_nearest(client: HttpClient) -> None:
    found = client.get_json("find?words=red")
    assert found["ranked_by"] == "label"
    assert {row["by"] for row in found["photos"]} == {"similarity"}
    assert found["hints"] == [
        {"text": "No photo reaches the threshold of red; these come nearest.", "words": "", "label": "", "model": ""}
    ]


@pytest.mark.parametrize(
    ("words", "suggested", "label"),
    [("beech", "beach", ""), ("a beech and a zebra", "a beach and a zebra", ""), ("my+dog", "", "my dog")],
)
def test_hints_carry_what_they_suggest(client: HttpClient, words: str, suggested: str, label: str) -> None:
    (hint,) = client.get_json(f"find?words={words.replace(' ', '+')}")["hints"]
    assert (hint["words"], hint["label"]) == (suggested, label)
    assert hint["text"].startswith("Did you mean beach for 'beech'" if suggested else "my dog is not a label yet")


def test_new_label_is_marked_only_if_told(client: HttpClient) -> None:
    image_id = client.get_json("find")["photos"][0]["image_id"]
    assert "no label 'leafy'" in client.post_error("mark", image_id=image_id, label="leafy", present=True)
    step = client.post_json("mark", image_id=image_id, label="leafy", present=True, new=True)["step"]
    assert client.get_json("labels")[0] == {"name": "leafy", "photos": 0, "is_new": True}
    assert client.get_json("find?label=leafy")["photos"][0]["present"] is True
    readiness = client.get_json("readiness?label=leafy")
    assert (readiness["yes"], readiness["missing_yes"], readiness["missing_no"], readiness["is_ready"]) == (
        1,
        4,
        5,
        False,
    )
    assert (readiness["has_vectors"], readiness["exists"], readiness["is_learned"]) == (True, False, False)
    (hint,) = client.get_json("find?words=leafy")["hints"]
    assert hint["label"] == "leafy"
    client.post_json("undo", step=step)
    assert client.get_json("labels")[0]["name"] != "leafy"


def test_learning_is_previewed_kept_and_undone(client: HttpClient, marked: Library) -> None:
    assert client.get_json("readiness?label=leafy")["is_ready"]
    preview = client.get_json("preview?label=leafy")
    assert (preview["label"], preview["better"], preview["found_before"]) == ("leafy", True, None)
    assert (preview["found"], preview["shares_before"], preview["removed"]) == (12, None, [])
    assert [row["name"] for row in preview["added"]] == [f"leaf{i:02}.png" for i in range(11, 4, -1)], (
        "the unmarked ones"
    )
    assert preview["shares"] == {"precision": 1.0, "recall": 0.8}, "of ten marks, each unseen"
    assert "leafy" not in [label.name for label in marked.labels.list()], "a preview stores nothing"
    assert client.post_json("learn", label="leafy") == {"label": "leafy", "learned": True, "exists": True}
    found = client.get_json("find?words=leafy&query_mode=label")
    assert (found["is_user_label"], found["total"]) == (True, {"total": 12, "n_sure": 12})
    assert {"name": "leafy", "photos": 13, "is_new": False} in client.get_json("labels"), "the copy counts"
    readiness = client.get_json("readiness?label=leafy")
    assert (readiness["exists"], readiness["is_learned"], readiness["is_ready"]) == (True, True, False), "nothing new"
    again = client.get_json("preview?label=leafy")
    assert (again["found_before"], again["better"]) == (12, False), "the same marks teach nothing new"
    assert again["shares_before"]["precision"] == 1.0
    assert client.post_json("learn", label="leafy") == {"label": "leafy", "learned": False, "exists": True}
    assert client.post_json("unlearn", label="leafy") == {"label": "leafy", "learned": False, "exists": False}
    assert client.post_error("unlearn", label="leafy").startswith("leafy was not learned")


def test_learning_from_few_marks_is_refused(client: HttpClient) -> None:
    error = client.get_error("preview?label=green")
    assert error.startswith("green: 0 marked yes and 0 no")
    assert client.post_error("learn", label="green") == error
    assert "no label ''" in client.get_error("preview?label=")


@pytest.mark.slow
def test_empty_library_has_an_answer(tmp_path: Path) -> None:
    with Library(tmp_path / "empty.db"):
        pass
    with run_server(tmp_path / "empty.db") as client:
        found = client.get_json("find")
        assert (found["photos"], found["total"], found["sure"]) == ([], {"total": 0, "n_sure": 0}, False)
        assert client.get_json("labels") == client.get_json("complete?words=d") == []
