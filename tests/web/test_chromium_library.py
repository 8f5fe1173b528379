"""The first run and the page "Library" in Debian's Chromium, by mouse and by keys. See test_chromium.py."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from http_client import run_server
from test_chromium import CHROMIUM, DEVICES, VARIANTS, Tab, check, chromium, expect, open_tabs
from toy import photo, sight_card, write_toy, write_toy_text

from photosearch import Library

__all__ = ["chromium"]  # the fixture
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]


@contextmanager
def make_place(folder: Path) -> Iterator[Path]:
    """A home with two folders of photos, and no library."""
    (folder / "models").mkdir()
    write_toy(folder / "models" / "toy.onnx", sight_card())
    write_toy_text(folder / "models" / "toy-text.onnx")
    for i, colour in enumerate(("red", "green", "blue")):
        photo(folder / "photos" / "2020" / f"{i}.png", colour, size=(60 + i, 40))
    (folder / "photos" / "<b>broken.jpg").write_bytes(b"no photo")
    photo(folder / "more" / "black.png", "black", size=(50, 50))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder / "models"))
        patch.setenv("HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same with a library."""
    with make_place(tmp_path_factory.mktemp("place")) as folder:
        index_photos(folder)
        yield folder


@contextmanager
def log_in(chromium: Any, place: Path, path: str) -> Iterator[tuple[str, Any]]:
    """path: of the page that is shown then."""
    with run_server(place / "library.db", log_in=False) as client:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(client.address)
        page.click("button[type=submit]")
        page.wait_for_url(f"http://127.0.0.1:{client.port}{path}")
        state = context.storage_state()
        context.close()
        yield f"http://127.0.0.1:{client.port}", state


@pytest.fixture(scope="module")
def logged_in(chromium: Any, place: Path) -> Iterator[tuple[str, Any]]:
    with log_in(chromium, place, "/") as state:
        yield state


@pytest.fixture
def open_tab(chromium: Any, logged_in: tuple[str, Any]) -> Iterator[Callable[..., Tab]]:
    with open_tabs(chromium, logged_in) as open_one:
        yield open_one


def index_photos(place: Path) -> None:
    """A test before this one may have forgotten them."""
    with Library(place / "library.db", create=True) as library:
        list(library.index(place / "photos", models=["toy"]))


def test_first_run_from_an_empty_library_to_results(chromium: Any, tmp_path: Path) -> None:
    (home := tmp_path / "home").mkdir()
    with make_place(home) as place, log_in(chromium, place, "/start") as state, open_tabs(chromium, state) as open_tab:
        index_by_mouse_and_keys(open_tab(**DEVICES["desktop"]), place, tmp_path)


def index_by_mouse_and_keys(tab: Tab, place: Path, tmp_path: Path) -> None:
    page = tab.open("/", "#add-folders li")
    assert page.url.endswith("/start")
    assert page.locator("#add-folders li").all_inner_texts() == [str(place)]
    check(page, "start", "desktop", "light", tmp_path)
    page.locator("#add-path").press_sequentially(f"{place}/ph")
    page.get_by_role("option", name=f"{place}/photos").click()
    expect(page.get_by_role("option", name=f"{place}/photos/2020")).to_be_visible()
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("#add-path")).to_have_value(f"{place}/photos/")
    page.click("#add summary")
    page.get_by_label("sight (1").uncheck()
    page.get_by_label("toy (").check()
    page.fill("#add [name=exclude]", "*.gif")
    page.click("#add button[type=submit]")
    expect(page.locator("#run-text")).to_contain_text("3 new, 1 unreadable", timeout=60_000)
    expect(page.locator("#newest img")).to_have_count(3)
    assert "“*.gif” excludes nothing" in page.locator("#run-notes").inner_text()
    expect(page.locator("#run-said")).to_contain_text("Done: 4 photos")
    expect(page.locator("#see")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_selector(".tile img")
    page.fill("#words", "red")
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_contain_text("1 photo")
    page.wait_for_selector(".tile img")


def test_chosen_folder_stays_chosen_when_a_late_answer_comes(open_tab: Any, place: Path) -> None:
    index_photos(place)
    page = open_tab(**DEVICES["desktop"]).open("/library", "#folder-rows li")
    held: list[Any] = []
    # a lambda: Playwright gives it attributes
    page.route(re.compile(r"/api/directories\?.*mo$"), lambda route: held.append(route))
    page.focus("#add-path")
    page.keyboard.type(f"{place}/")
    expect(page.get_by_role("option", name=f"{place}/photos")).to_be_visible()
    more = page.get_by_role("option", name=f"{place}/more")
    page.keyboard.type("mo")
    for _ in range(int(more.get_attribute("id").rpartition("-")[2]) + 1):
        page.keyboard.press("ArrowDown")
    expect(more).to_have_attribute("aria-selected", "true")
    held[0].continue_()
    expect(page.get_by_role("option", name=f"{place}/photos")).to_have_count(0)
    expect(more).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.locator("#add-path")).to_have_value(f"{place}/more/")


def test_library_is_managed_by_keys(open_tab: Any, place: Path) -> None:
    index_photos(place)
    page = open_tab(**DEVICES["desktop"]).open("/library", "#folder-rows li")
    page.focus("#add-path")
    page.keyboard.type(f"{place}/mo")
    expect(page.locator("#add-folders li")).to_have_text([f"{place}/models", f"{place}/more"])
    page.keyboard.press("ArrowDown")
    expect(page.locator("#add-path")).to_have_attribute("aria-activedescendant", "suggestion-0")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#add-path")).to_have_value(f"{place}/more/")
    with closing(sqlite3.connect(place / "library.db", isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")  # the run waits
        page.keyboard.press("Enter")
        expect(page.locator("#run-stop")).to_be_focused()
        expect(page.locator("#run-title")).to_have_text(f"Indexing {place}/more")
        page.keyboard.press("Enter")
        expect(page.locator("#run-text")).to_have_text("Finishing the current batch. What is done is kept.")
        expect(page.locator("#run-stop")).to_have_text("Stop at once")
    expect(page.locator("#run-text")).to_contain_text("Stopped after 0", timeout=60_000)
    page.get_by_role("button", name=f"Index again: {place}/photos").press("Enter")
    expect(page.locator("#run-text")).to_contain_text("3 unchanged, 1 unreadable", timeout=60_000)
    page.get_by_role("button", name=f"Settings: {place}/photos").press("Enter")
    page.fill("#settings [name=exclude]", "Screenshots/")
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.locator("#folder-rows")).to_contain_text("excluded: Screenshots/")
    page.get_by_role("button", name=f"Settings: {place}/photos").press("Enter")
    expect(page.locator("#settings [name=exclude]")).to_have_value("Screenshots/")
    page.get_by_role("button", name="Restore the defaults").press("Enter")
    expect(page.locator("#folder-rows")).not_to_contain_text("Screenshots/")
    page.get_by_role("button", name=f"Forget: {place}/more").press("Enter")
    expect(page.locator("#confirm-no")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#confirm")).to_be_hidden()
    expect(page.locator("#folder-rows li")).to_have_count(2)
    page.get_by_role("button", name=f"Forget: {place}/more").press("Enter")
    expect(page.locator("#confirm-text")).to_contain_text("0 photos, 0 marks of yours")
    page.click("#confirm-yes")
    expect(page.locator("#folder-rows li")).to_have_count(1)


@pytest.mark.parametrize(("device", "scheme"), VARIANTS)
def test_pages_of_the_library_are_accessible(
    open_tab: Any, place: Path, tmp_path: Path, device: str, scheme: str
) -> None:
    index_photos(place)
    tab = open_tab(color_scheme=scheme, **DEVICES[device])
    page = tab.open("/library", "#model-rows li")
    check(page, "library", device, scheme, tmp_path)
    page.get_by_role("button", name="Settings:").first.click()
    check(page, "settings", device, scheme, tmp_path)
    page.click("#settings-cancel")
    page.get_by_role("button", name="Forget:").first.click()
    expect(page.locator("#confirm")).to_be_visible()
    check(page, "forget", device, scheme, tmp_path)
    page.click("#confirm-no")
    page = tab.open("/unreadable", "#rows li")
    assert "<b>broken.jpg" in page.locator("#rows").inner_text(), "as text"
    check(page, "unreadable-reasons", device, scheme, tmp_path)
    check(tab.open("/start", "#add-folders li"), "start-again", device, scheme, tmp_path)
