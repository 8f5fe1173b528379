"""The API of the opening view: days, facets, folders, the map, pieces of a sentence, selected photos, originals."""

import json

import pytest
from cli_env import CliEnv
from http_client import HttpClient

from photosearch import Library
from photosearch.web.parameters import MAX_SELECTED
from photosearch.web.rendering import static_version

ALL = "find?words="


def test_page_opens_with_every_photo_by_day(client: HttpClient) -> None:
    found = client.get_json(ALL)
    days = client.get_json(f"days?result={found['result']}")
    assert (found["ranked_by"], found["total"]["total"], found["chips"]) == ("date", 8, [])
    assert {photo["name"]: photo["copies"] for photo in found["photos"] if photo["copies"]} in (
        {"white.png": 1}, {"copy.png": 1}
    )  # fmt: skip
    every = client.get_json(f"{ALL}&copies=1")
    assert (every["total"]["total"], {photo["copies"] for photo in every["photos"]}) == (9, {0})
    assert [day for day, _ in days] == ["2020-05-04", "2020-05-03", "2020-05-02", "2020-05-01", ""]
    assert sum(n for _, n in days) == len(found["photos"]) == 8
    part = client.get_json(f"results?result={found['result']}&first=2&n=3")["photos"]
    assert part == found["photos"][2:5]
    oldest = client.get_json(f"{ALL}&sort=oldest")["photos"]
    assert [photo["taken"][:10] for photo in oldest[:4]] == [day for day, _ in days[3::-1]]
    by_name = [photo["name"].casefold() for photo in client.get_json(f"{ALL}&sort=name")["photos"]]
    assert by_name == sorted(by_name)


def test_answer_that_ranks_has_days_and_other_orders_too(client: HttpClient) -> None:
    found = client.get_json("find?words=red+or+not+red&copies=1")
    days = client.get_json(f"days?result={found['result']}")
    assert (sum(n for _, n in days), days[0][0]) == (9, "2020-05-04")
    for sort in ("oldest", "name", "size"):
        other = client.get_json(f"find?words=red+or+not+red&copies=1&sort={sort}")["photos"]
        assert sorted(photo["path"] for photo in other) == sorted(photo["path"] for photo in found["photos"])
    by_name = client.get_json("find?words=red+or+not+red&copies=1&sort=name")["photos"]
    assert [photo["name"] for photo in by_name] == sorted((p["name"] for p in found["photos"]), key=str.casefold)


def test_photo_that_left_the_library_leaves_a_gap(cli_env: CliEnv, client: HttpClient) -> None:
    path = cli_env.photos / "brief.png"
    path.write_bytes((cli_env.photos / "red.jpg").read_bytes())
    assert cli_env.index().exit_code == 0
    found = client.get_json(f"{ALL}&sort=name&copies=1")
    at = [photo["name"] for photo in found["photos"]].index("brief.png")
    path.unlink()
    with Library(cli_env.library) as library:
        library.forget([path])
    part = client.get_json(f"results?result={found['result']}&first=0&n=20")["photos"]
    assert [i for i, photo in enumerate(part) if photo is None] == [at]
    assert client.post_json("paths", result=found["result"], ranges=[at, at + 1]) == {"paths": []}


def test_facets_and_folders_are_those_of_the_result(cli_env: CliEnv, client: HttpClient) -> None:
    whole, some = (client.get_json(words)["result"] for words in (ALL, "find?words=red&query_mode=label&copies=1"))
    labels = {row["value"]: row["photos"] for row in client.get_json(f"facet?result={whole}&facet=label")}
    assert labels["red"] == client.get_json(f"total?result={some}")["total"]
    assert {row["value"]: row["photos"] for row in client.get_json(f"facet?result={some}&facet=label")}[
        "red"
    ] == labels["red"]
    tree = client.get_json(f"tree?result={whole}")
    assert [(row["path"], row["photos"]) for row in tree][1:] == [
        (str(cli_env.photos / "2019"), 2), (str(cli_env.photos / "2020"), 4)
    ]  # fmt: skip
    inside = client.get_json(f"{ALL}&under={tree[2]['id']}")
    assert inside["total"]["total"] == 4
    assert [row["photos"] for row in client.get_json(f"tree?result={inside['result']}")] == [4, 4]
    assert client.get_json(f"clusters?result={whole}&west=-180&south=-90&east=180&north=90") == []


def test_sentence_is_read_in_pieces_and_edited(client: HttpClient) -> None:
    found = client.get_json("find?words=red+taken:2020-05-02..2020-05-03")
    assert found["chips"] == [
        {"kind": "label", "value": "red", "wanted": True},
        {"kind": "taken", "value": "2020-05-02..2020-05-03", "wanted": True},
    ]
    without = "edit?words=red+taken:2020-05-02..2020-05-03&kind=taken&value=2020-05-02..2020-05-03&remove=1"
    assert client.get_json(without) == {"words": "red"}
    assert client.get_json("edit?words=red&kind=in&value=Cape+Town") == {"words": 'red in:"Cape Town"'}
    assert client.get_json("edit?words=red+taken:2019&kind=taken&value=2020") == {"words": "red taken:2020"}


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("days?result=nothing", "these results have expired; search again"),
        ("facet?result={}&facet=path", "facet must be one of place, camera, person, keyword, rating, is, label"),
        ("edit?words=red&kind=path&value=x", "kind must be one of label, description, taken, in, near"),
        ("edit?words=" + "x" * 2001 + "&kind=in&value=x", "a question has at most 2,000 characters"),
        ("find?words=" + "x" * 2001, "a question has at most 2,000 characters"),
        ("clusters?result={}&west=1&south=0&east=0&north=1", "the box of a map must have a west below its east"),
        ("clusters?result={}&west=nan&south=0&east=9&north=1", "nan is not between -180 and 180"),
        ("clusters?result={}&south=0&east=9&north=91&west=0", "91 is not between -90 and 90"),
        ("neighbours?photo_id=../etc", "'../etc' is not a valid number"),
    ],
)
def test_values_that_no_page_sends_are_refused(client: HttpClient, target: str, error: str) -> None:
    assert error in client.get_error(target.format(client.get_json(ALL)["result"]))


def test_neighbours_in_time(client: HttpClient) -> None:
    photos = client.get_json(ALL)["photos"]
    found = client.get_json(f"neighbours?photo_id={photos[1]['photo_id']}")
    assert [photo["name"] for photo in found] == [photo["name"] for photo in photos[3::-1]]
    assert client.get_json("neighbours?photo_id=99999") == []


def test_selected_photos_are_marked_in_one_step_that_is_undone(cli_env: CliEnv, client: HttpClient) -> None:
    found = client.get_json(ALL)
    done = client.post_json("mark_selected", result=found["result"], ranges=[0, 2, 3, 4], label="red", present=True)
    assert (done["label"], done["n"]) == ("red", 3)
    with Library(cli_env.library) as library:
        assert len(library.marks.list("red")) == 3
    paths = client.post_json("paths", result=found["result"], ranges=[0, 2, 3, 4])["paths"]
    assert paths == [found["photos"][i]["path"] for i in (0, 1, 3)]
    assert len(client.post_json("undo", step=done["step"])["marks"]) == 3
    with Library(cli_env.library) as library:
        assert library.marks.list("red") == []


@pytest.mark.parametrize("ranges", [[0], [2, 1], [0, 10], [5, 5]])
def test_ranges_outside_the_result_are_refused(client: HttpClient, ranges: list[int]) -> None:
    result = client.get_json(ALL)["result"]
    assert client.post_error("paths", result=result, ranges=ranges) == "no such photos in these results"
    assert (
        client.post_error("album", result=result, ranges=ranges, name="x", how="link")
        == "no such photos in these results"
    )


def test_no_more_is_selected_at_once_than_is_bounded(client: HttpClient) -> None:
    result = client.get_json(ALL)["result"]
    ranges = [0, 8] * (MAX_SELECTED // 8 + 1)
    assert f"more than {MAX_SELECTED:,} photos" in client.post_error("paths", result=result, ranges=ranges)


def test_original_is_the_file_itself_and_can_do_nothing(cli_env: CliEnv, client: HttpClient) -> None:
    photos = {photo["name"]: photo["image_id"] for photo in client.get_json(ALL)["photos"]}
    response = client.send("GET", f"/originals/{photos['red.jpg']}")
    assert (response.status, response.headers["content-type"]) == (200, "image/jpeg")
    assert response.body == (cli_env.photos / "red.jpg").read_bytes()
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert [client.send("GET", f"/originals/{name}").status for name in ("99999", "..%2Fetc", "-1")] == [404] * 3
    assert client.send("GET", f"/originals/{photos['red.jpg']}", cookie=None).status == 403


def test_original_that_was_changed_is_not_sent(cli_env: CliEnv, client: HttpClient) -> None:
    path = cli_env.photos / "red.jpg"
    before, image_id = (
        path.read_bytes(),
        next(p["image_id"] for p in client.get_json(ALL)["photos"] if p["name"] == "red.jpg"),
    )
    try:
        path.write_bytes(before + b"<script>")
        response = client.send("GET", f"/originals/{image_id}")
        assert (response.status, b"changed since it was indexed" in response.body) == (404, True)
    finally:
        path.write_bytes(before)


def test_outlines_of_the_map_are_small_and_served_here(client: HttpClient) -> None:
    response = client.send("GET", f"/static/{static_version()}/world.json")
    assert response.headers["content-type"] == "application/json"
    assert len(response.body) < 200_000
    assert json.loads(response.body).keys() == {"source", "scale", "translate", "arcs", "land"}
