"""The page "Duplicates": reasons, bursts, and spare photos moved to a folder and back, as the command does it."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_client import HttpClient, run_server
from library import kept_decoders
from PIL import Image
from test_chromium import CHROMIUM, DEVICES, VARIANTS, check, chromium, expect, log_in, open_tabs
from toy import sight_card, write_toy

from photosearch import Library
from photosearch.errors import InputError
from photosearch.web.spare_moves import SpareMoves

__all__ = ["chromium"]  # the fixture


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three pictures, of which one has a copy with a side-car and one has a smaller version, and a burst of two."""
    folder = tmp_path_factory.mktemp("spares")
    (folder / "photos" / "old").mkdir(parents=True)
    model = write_toy(folder / "toy.onnx", sight_card())
    random = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        noise = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
        noise.resize((300, 300), Image.Resampling.BICUBIC).save(folder / "photos" / f"{name}.png")
        if name == "two":
            noise.resize((200, 200), Image.Resampling.BICUBIC).save(folder / "photos" / "two small.png")
    shutil.copy(folder / "photos" / "one.png", folder / "photos" / "old" / "one (1).png")
    (folder / "photos" / "old" / "one (1).png.xmp").write_text("<x/>")
    shots = Image.fromarray(random.integers(0, 256, (9, 9, 3), np.uint8)).resize((240, 240), Image.Resampling.BICUBIC)
    for second in (1, 2):
        exif = Image.Exif()
        exif[271], exif.get_ifd(34665)[36867] = "Camera", f"2020:05:01 12:00:0{second}"
        shots.save(folder / "photos" / f"shot{second}.jpg", exif=exif, quality=90 - second)
    with pytest.MonkeyPatch.context() as patch, kept_decoders(), Library(folder / "library.db") as library:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        list(library.index(folder / "photos", models=[str(model)]))
        yield folder


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[HttpClient]:
    with run_server(place / "library.db") as client:
        yield client


def list_files(place: Path) -> dict[str, bytes]:
    photos = place / "photos"
    return {str(file.relative_to(photos)): file.read_bytes() for file in photos.rglob("*") if file.is_file()}


def wait(client: HttpClient) -> Any:
    end = time.monotonic() + 60
    while (state := client.get_json("spares"))["running"]:
        assert time.monotonic() < end
        os.sched_yield()
    return state


def test_groups_have_reasons_by_the_rule_that_is_chosen(client: HttpClient) -> None:
    groups = client.get_json("duplicates")["groups"]
    members = {photo["name"]: (photo["kind"], photo["reason"]) for group in groups for photo in group}
    assert members["one.png"] == ("kept", "original")
    assert members["one (1).png"][1] == "edited or copied"
    assert members["two.png"] == ("kept", "larger")
    assert members["two small.png"] == ("near", "smaller")
    assert "no such criterion" in client.get_error("duplicates?keep=nicest")
    assert client.get_json("duplicates?near=no&keep=older")["total"] == 1


def test_bursts_have_their_sharpest_marked(client: HttpClient) -> None:
    bursts = client.get_json("bursts")
    (burst,) = bursts["groups"]
    assert (bursts["total"], bursts["photos"], [shot["name"] for shot in burst]) == (1, 2, ["shot1.jpg", "shot2.jpg"])
    assert sum(shot["sharpest"] for shot in burst) == 1
    assert max(burst, key=lambda shot: shot["sharpness"])["sharpest"]
    assert client.get_json(f"bursts?list={bursts['list']}&first=1")["groups"] == []
    assert client.get_error("bursts?list=none") == "this list has expired; reload the page"


def test_spares_are_planned_moved_and_moved_back(place: Path, client: HttpClient) -> None:
    before, target = list_files(place), place / "spare"
    found = client.get_json("duplicates?near=no")
    plan = client.post_json("plan-spares", list=found["list"], folder=str(target))
    assert (plan["photos"], plan["beside"], plan["n_left"], plan["excluded_from"]) == (1, 1, 0, None)
    assert [os.path.relpath(row["target"], target) for row in plan["rows"]] == [
        "old/one (1).png", "old/one (1).png.xmp"
    ]  # fmt: skip
    assert (list_files(place), target.exists()) == (before, False), "a plan writes nothing"
    assert client.post_json("move-spares", plan=plan["id"])["running"]
    moved = wait(client)
    assert (moved["error"], moved["photos"], moved["files"], moved["done"], moved["n_left"]) == (None, 1, 2, 1, 0)
    assert set(before) - set(list_files(place)) == {"old/one (1).png", "old/one (1).png.xmp"}
    assert (target / "old" / "one (1).png").read_bytes() == before["one.png"]
    assert "expired" in client.post_error("plan-spares", list=found["list"], folder=str(target)), "it is another list"
    assert client.get_json("duplicates?near=no")["total"] == 0
    client.post_json("undo-spares", log=moved["log"])
    back = wait(client)
    assert (back["error"], back["photos"], back["files"], back["log"]) == (None, 1, 2, None)
    assert list_files(place) == before
    assert client.get_json("duplicates?near=no")["total"] == 1


def test_photo_whose_place_is_taken_is_not_moved_back(place: Path, client: HttpClient) -> None:
    old, before = place / "photos" / "old" / "one (1).png", list_files(place)
    found = client.get_json("duplicates?near=no")
    plan = client.post_json("plan-spares", list=found["list"], folder=str(place / "spare3"))
    client.post_json("move-spares", plan=plan["id"])
    log = wait(client)["log"]
    old.write_bytes(b"another")
    client.post_json("undo-spares", log=log)
    state = wait(client)
    assert (state["back"], state["photos"], state["n_left"], state["log"]) == (True, 0, 1, log)
    assert state["left"] == [[str(place / "spare3" / "old" / "one (1).png"), f"another file is at {old}"]]
    assert old.read_bytes() == b"another"
    old.unlink()
    client.post_json("undo-spares", log=log)
    assert wait(client)["log"] is None
    assert list_files(place) == before


def test_plan_that_the_disk_has_overtaken_moves_nothing(place: Path, client: HttpClient) -> None:
    kept = place / "photos" / "one.png"
    data, found = kept.read_bytes(), client.get_json("duplicates?near=no")
    plan = client.post_json("plan-spares", list=found["list"], folder=str(place / "spare2"))
    kept.rename(kept.with_suffix(".away"))
    try:
        client.post_json("move-spares", plan=plan["id"])
        state = wait(client)
    finally:
        kept.with_suffix(".away").rename(kept)
    assert (state["photos"], state["n_left"]) == (0, 1)
    assert "the photo to keep" in state["left"][0][1]
    assert kept.read_bytes() == data
    assert (place / "photos" / "old" / "one (1).png").exists()


@pytest.mark.parametrize(
    ("action", "body", "error"),
    [
        ("plan-spares", {"list": "x", "folder": "/tmp/x"}, "this list has expired; reload the page"),
        ("move-spares", {"plan": "x"}, "this plan has expired; nothing was moved; ask again what would be moved"),
        ("undo-spares", {"log": "moved.jsonl"}, "'moved.jsonl': type the whole path, from / or ~"),
    ],
)
def test_unknown_plan_or_log_is_refused(client: HttpClient, action: str, body: dict[str, str], error: str) -> None:
    assert client.post_error(action, **body) == error


def test_no_move_begins_once_the_server_ends() -> None:
    moves = SpareMoves(None, lambda: None)  # type: ignore[arg-type]  # no library is asked for
    moves.close()
    with pytest.raises(InputError, match="moved already"):
        moves.undo("moves.jsonl")
    assert not moves.read().running


def test_folder_that_can_not_be_used_is_refused(place: Path, client: HttpClient) -> None:
    found = client.get_json("duplicates?near=no")
    for folder, error in (
        ("spare", "type the whole path"), (str(place), "holds the indexed folder"),
        (str(place / "toy.onnx"), "no folder"),
    ):  # fmt: skip
        assert error in client.post_error("plan-spares", list=found["list"], folder=folder)
    client.post_json("undo-spares", log=str(place / "toy.onnx"))
    assert "is no log of moved photos" in wait(client)["error"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_spares_are_moved_and_moved_back_on_the_page(chromium: Any, place: Path, tmp_path: Path) -> None:
    before = list_files(place)
    with log_in(chromium, place / "library.db") as session, open_tabs(chromium, session) as open_tab:
        page = open_tab(**DEVICES["desktop"]).open("/duplicates", ".member img")
        expect(page.locator(".member", has_text="two small").locator(".reason-text")).to_have_text("smaller")
        page.locator("#kind").select_option("exact")
        expect(page.locator("#summary")).to_contain_text("1 group.")
        page.click("#spares > summary")
        page.locator("#spares-path").press_sequentially(f"{place}/ph")
        expect(page.get_by_role("option", name=f"{place}/photos")).to_be_visible()
        page.fill("#spares-path", f"{place}/photos/aside")
        page.keyboard.press("Enter")
        expect(page.locator("#spares-lines")).to_contain_text("This would move 1 spare photo and 1 file beside them")
        expect(page.locator("#spares-lines")).to_contain_text("it will be excluded from indexing")
        assert list_files(place) == before
        page.click("#spares-move")
        expect(page.locator("#confirm-no")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#confirm")).to_be_hidden()
        assert list_files(place) == before, "the first answer is no"
        page.click("#spares-move")
        page.click("#confirm-yes")
        expect(page.locator("#spares-text")).to_contain_text("Moved 1 photo and 1 file beside them")
        expect(page.locator("#summary")).to_have_text("No duplicates found.")
        assert (place / "photos" / "aside" / "old" / "one (1).png").exists()
        page.get_by_role("button", name="Move them back").click()
        expect(page.locator("#spares-text")).to_contain_text("Moved back 1 photo and 1 file beside them.")
        expect(page.locator("#summary")).to_contain_text("1 group.")
        assert {name: data for name, data in list_files(place).items() if not name.startswith("aside")} == before
        page.locator("#kind").select_option("bursts")
        expect(page.locator(".member b", has_text="Sharpest")).to_have_count(1, timeout=60_000)
        expect(page.locator("#spares")).to_be_hidden()
        for device, scheme in VARIANTS:
            page = open_tab(color_scheme=scheme, **DEVICES[device]).open("/duplicates", ".member img")
            page.click("#spares > summary")
            page.fill("#spares-path", f"{place}/spare3")
            page.click("#spares-form button[type=submit]")
            page.wait_for_selector("#spares-plan:not([hidden])")
            check(page, "spares", device, scheme, tmp_path)
