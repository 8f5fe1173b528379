"""The pages in a real browser: Debian's Chromium, driven by Playwright. Skipped where there is none.

PHOTOSEARCH_SCREENSHOTS: a folder in which the pictures of all pages are kept, to be looked at.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_env import Desk
from http_client import browsing

from benchmarks.library import build
from photosearch import Library
from photosearch.web.html_export import export_found, export_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]

DEVICES = {
    "desktop": {"viewport": {"width": 1280, "height": 860}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}
LOOKED_INTO = [("desktop", "light"), ("phone", "dark")]  # by axe-core, which takes a second for each page
SEEN = [(device, scheme) for device in DEVICES for scheme in ("light", "dark")]
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        sandbox = [] if os.geteuid() else ["--no-sandbox"]  # which root can't have
        browser = started.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def inside(chromium: Any, desk: Desk) -> Iterator[tuple[str, Any]]:
    """(the server's address, what a browser keeps that has come in), by the address that was printed."""
    with browsing(desk.library, "--albums", desk.folder / "albums", enter=False) as visitor:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(visitor.address)
        page.wait_for_url(f"http://127.0.0.1:{visitor.port}/")
        kept = context.storage_state()
        context.close()
        yield f"http://127.0.0.1:{visitor.port}", kept


class Tab:
    """A page that remembers what went wrong in it, and whom it asked."""

    def __init__(self, context: Any, home: str):
        self.page, self.home = context.new_page(), home
        self.wrong: list[str] = []
        self.asked: set[str] = set()
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("dialog", lambda dialog: self.wrong.append(f"a dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.asked.add(request.url.split("/api")[0][: len(home)]))

    def open(self, path: str, ready: str) -> Any:
        self.page.goto(self.home + path)
        self.page.wait_for_selector(ready)
        return self.page

    def count(self, selector: str) -> int:
        return int(self.page.locator(selector).count())


@pytest.fixture
def tab(chromium: Any, inside: tuple[str, Any]) -> Iterator[Callable[..., Tab]]:
    """tab(**options of a browser's context) -> a page that has come in. At the end nothing went wrong in any."""
    home, kept = inside
    opened = []

    def open_tab(**options: Any) -> Tab:
        context = chromium.new_context(storage_state=kept, **options)
        context.set_default_timeout(20_000)
        opened.append((context, Tab(context, home)))
        return opened[-1][1]

    yield open_tab
    for context, one in opened:
        context.close()
        assert one.wrong == []
        assert one.asked <= {home}, "nothing leaves loopback"


def check(page: Any, name: str, device: str, scheme: str, folder: Path) -> None:
    """Keep a picture of a page, and let axe-core look for what shuts people out."""
    from axe_playwright_python.sync_playwright import Axe

    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, "nothing has to be pushed aside"
    page.evaluate("Promise.all([...document.images].map((each) => each.decode().catch(() => 0)))")
    kept = Path(os.environ.get("PHOTOSEARCH_SCREENSHOTS", folder))
    kept.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=kept / f"{name}-{device}-{scheme}.png")
    if (device, scheme) in LOOKED_INTO:
        found = Axe().run(page).response["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found if v["impact"] in GRAVE] == [], name


@pytest.mark.parametrize(("device", "scheme"), SEEN)
def test_every_page_is_open_to_everybody(tab: Any, tmp_path: Path, device: str, scheme: str) -> None:
    one = tab(color_scheme=scheme, **DEVICES[device])
    states = {
        "search": ("/?words=blue", ".tile img"), "judge": ("/judge?label=red", "#card img"),
        "duplicates": ("/duplicates", ".member img"), "unreadable": ("/unreadable", "#rows tr"),
    }  # fmt: skip
    for name, (path, ready) in states.items():
        check(one.open(path, ready), name, device, scheme, tmp_path)
    page = one.open("/?words=blue", ".tile img")
    page.click(".tile .photo")
    page.wait_for_selector("#large-labels li")
    check(page, "large", device, scheme, tmp_path)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
    assert dark == (scheme == "dark")


def test_clicks_and_keys_that_mark_truth_change_the_report_and_undo_takes_them_back(tab: Any, desk: Desk) -> None:
    one = tab()
    page = one.open("/?words=red", ".tile .right")
    expect(page.locator("#told")).to_have_text("4 photos, by toy")
    page.click(".tile:nth-child(1) .right")
    page.wait_for_selector(".tile:nth-child(1) .right[aria-pressed=true]")
    page.keyboard.press("Home")
    page.focus(".tile:nth-child(1) .photo")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    page.wait_for_selector(".wrong[aria-pressed=true]")
    assert "marked wrong" in page.evaluate("document.activeElement.ariaLabel")
    report = desk.run("report", "--label", "red").stdout
    assert "precision    50.00 %" in report

    page = one.open("/judge?label=red", "#shares tr")
    assert page.locator("#shares tr").first.inner_text().split("\t")[:2] == ["precision", "50.0 %"]
    page.evaluate("document.querySelector('#threshold').value = 1")
    page.dispatch_event("#threshold", "input")
    expect(page.locator("#shares td").first).not_to_have_text("50.0 %")
    page.click("#save")
    expect(page.locator("#saved")).to_contain_text("which you saved")
    assert "1.000 (yours)" in desk.run("labels").stdout
    page.click("#reset")
    expect(page.locator("#saved")).to_contain_text("its own")
    before = page.locator("#photo").get_attribute("src")
    page.keyboard.press("y")
    expect(page.locator("#photo")).not_to_have_attribute("src", before)
    page.wait_for_selector("#undo:not([disabled])")
    page.keyboard.press("u")
    expect(page.locator("#photo")).to_have_attribute("src", before)
    for _ in range(2):
        page.keyboard.press("u")
    page.wait_for_selector("#undo[disabled]")
    page.wait_for_selector("#unknown:not([hidden])")
    assert "no photos are marked for red yet" in desk.run("report", "--label", "red").stderr


def test_a_keyboard_alone_searches_opens_marks_and_asks_for_more_like_it(tab: Any, desk: Desk) -> None:
    one = tab()
    page = one.open("/", "#words:focus")
    page.keyboard.type("red and not b", delay=20)
    page.wait_for_selector("#offers li")
    assert page.locator("#offers li").all_inner_texts() == ["red and not blue"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector(".tile img")
    assert page.url.endswith("?words=red+and+not+blue")
    page.focus(".tile .photo")
    page.keyboard.press("Enter")
    page.wait_for_selector("#large-labels li")
    page.keyboard.press("y")
    page.wait_for_selector("#large-labels .right[aria-pressed=true]")
    page.keyboard.press("u")
    expect(page.locator("#large-labels [aria-pressed=true]")).to_have_count(0)
    page.keyboard.press("l")
    page.wait_for_selector("#likes button")
    assert "like=" in page.url
    expect(page.locator("#told")).to_contain_text("The most similar")
    page.go_back()
    expect(page.locator("#words")).to_have_value("red and not blue")


def test_names_that_are_scripts_are_text(tab: Any, desk: Desk) -> None:
    with Library(desk.library) as library:
        library.labels.add("<b>", "a blue thing")
    try:
        one = tab()
        page = one.open("/?words=%3Cb%3E&min_score=0", ".tile img")
        names = page.locator(".tile .photo").evaluate_all("all => all.map((each) => each.ariaLabel.split(',')[0])")
        assert "<script>.jpg" in names
        page.locator(".tile .photo").nth(names.index("<script>.jpg")).click()
        page.wait_for_selector("#large-labels li")
        assert page.locator("#large-name").inner_text() == "<script>.jpg"
        assert "<b>" in page.locator("#large-labels .name").all_inner_texts()
        assert page.locator("#label").input_value() == "<b>"
        assert one.count("main b, dialog b, body script:not([src])") == 0
    finally:
        with Library(desk.library) as library:
            library.labels.remove("<b>")


def test_a_page_may_run_no_script_that_did_not_come_with_it(chromium: Any, inside: tuple[str, Any]) -> None:
    home, kept = inside
    context = chromium.new_context(storage_state=kept)
    page = context.new_page()
    page.goto(home)
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'ran = 1'}))")
    assert page.evaluate("typeof ran") == "undefined"
    assert page.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
    context.close()


def test_an_album_is_made_from_the_page(tab: Any, desk: Desk) -> None:
    page = tab().open("/?words=blue", ".tile img")
    page.click("#album")
    page.fill("#album-name", "all the blue")
    page.check("input[value=link]")
    page.click("#make-album button[type=submit]")
    page.wait_for_selector("#message:not([hidden])")
    folder = desk.folder / "albums" / "all the blue"
    assert page.locator("#message").inner_text() == f"{folder}: {len(list(folder.iterdir()))} links"


def test_ten_thousand_photos_weigh_no_more_than_a_screenful(chromium: Any, tmp_path: Path) -> None:
    with browsing(build(tmp_path / "many.db", 10_000), enter=False) as visitor:
        context = chromium.new_context(viewport={"width": 1280, "height": 860})
        page = context.new_page()
        page.goto(visitor.address)
        page.wait_for_url(f"http://127.0.0.1:{visitor.port}/")
        page.goto(f"http://127.0.0.1:{visitor.port}/?words=bird+or+not+bird")
        expect(page.locator("#told")).to_have_text("10,000 photos, by made-up", timeout=20_000)
        for share in (0.3, 0.6, 1):
            page.evaluate("share => scrollTo(0, share * document.body.scrollHeight)", share)
            expect(page.locator(".tile .line").nth(10)).to_be_attached()
            assert page.locator(".tile").count() < 80
        page.wait_for_selector('.tile[aria-posinset="10000"] .line')
        page.focus(".tile .photo")
        page.keyboard.press("Home")
        page.wait_for_selector('.tile[aria-posinset="1"] .line')
        assert page.evaluate("document.activeElement.parentElement.ariaPosInSet") == "1"
        context.close()


@pytest.mark.parametrize(("device", "scheme"), LOOKED_INTO)
def test_pages_that_are_kept_are_open_to_everybody_without_a_network(
    chromium: Any, desk: Desk, tmp_path: Path, device: str, scheme: str
) -> None:
    marks = {"red.jpg": True, "copy.png": False, "2019/blue.webp": True}
    with Library(desk.library) as library:
        for name, present in marks.items():
            library.marks.add(desk.photos / name, **{"positive" if present else "negative": ["red"]})
        export_found(library, library.find("blue"), tmp_path / "found.html")
        export_report(library, library.report("red"), tmp_path / "report.html")
        for name in marks:
            library.marks.remove([desk.photos / name], ["red"])
    context = chromium.new_context(color_scheme=scheme, offline=True, **DEVICES[device])
    page = context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url[:5]))
    page.on("console", lambda message: wrong.append(message.text))
    page.goto((tmp_path / "report.html").as_uri())
    check(page, "kept-report", device, scheme, tmp_path)
    page.goto((tmp_path / "found.html").as_uri())
    check(page, "kept-found", device, scheme, tmp_path)
    page.fill("#among", "WEBP")
    assert page.locator("figure:visible figcaption").count() == 1
    assert page.locator("#shown").inner_text().startswith("1 of ")
    assert set(asked) <= {"file:", "data:"}
    assert wrong == []
    context.close()
