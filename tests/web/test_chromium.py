"""The pages in Debian's Chromium, driven by Playwright. Skipped where there is none.

PHOTOSEARCH_SCREENSHOTS: a folder for screenshots of all pages.
"""

import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_env import CliEnv
from http_client import run_server
from toy import photo, write_toy

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
VARIANTS = [(device, scheme) for device in DEVICES for scheme in ("light", "dark")]
AXE_VARIANTS = [("desktop", "light"), ("phone", "dark")]  # axe-core takes a second for each page
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        arguments = [] if os.geteuid() else ["--no-sandbox"]  # root can't have a sandbox
        browser = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def log_in(chromium: Any, library: Path, *arguments: object) -> Iterator[tuple[str, Any]]:
    """(the server's origin, a browser's storage state after it opened the printed address)."""
    with run_server(library, *arguments, log_in=False) as client:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(client.address)
        page.click("button[type=submit]")
        page.wait_for_url(f"http://127.0.0.1:{client.port}/")
        state = context.storage_state()
        context.close()
        yield f"http://127.0.0.1:{client.port}", state


@pytest.fixture(scope="module")
def logged_in(chromium: Any, cli_env: CliEnv) -> Iterator[tuple[str, Any]]:
    with log_in(chromium, cli_env.library, "--albums", cli_env.folder / "albums") as session:
        yield session


@pytest.fixture(scope="module")
def leaves_logged_in(chromium: Any, leaves: Path) -> Iterator[tuple[str, Any]]:
    with log_in(chromium, leaves) as session:
        yield session


class Tab:
    """A page that records its errors and the origins that it requests."""

    def __init__(self, context: Any, origin: str):
        self.page, self.origin = context.new_page(), origin
        self.errors: list[str] = []
        self.requested: set[str] = set()
        self.page.on("response", self._note)  # the console says only that one failed
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("dialog", lambda dialog: self.errors.append(f"a dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.requested.add(request.url.split("/api")[0][: len(origin)]))

    def _note(self, response: Any) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status}: {response.request.method} {response.url}")

    def open(self, path: str, ready: str) -> Any:
        """ready: a selector to wait for."""
        self.page.goto(self.origin + path)
        self.page.wait_for_selector(ready)
        return self.page

    def count(self, selector: str) -> int:
        return int(self.page.locator(selector).count())


@contextmanager
def open_tabs(chromium: Any, session: tuple[str, Any]) -> Iterator[Callable[..., Tab]]:
    """open_tab(**options of a browser context) -> a logged-in tab. Fails if a tab had errors or left the server."""
    origin, state = session
    opened = []

    def open_one(**options: Any) -> Tab:
        context = chromium.new_context(storage_state=state, **options)
        context.set_default_timeout(20_000)
        opened.append((context, Tab(context, origin)))
        return opened[-1][1]

    yield open_one
    for context, tab in opened:
        context.close()
        assert tab.errors == []
        assert tab.requested <= {origin}


@pytest.fixture
def open_tab(chromium: Any, logged_in: tuple[str, Any]) -> Iterator[Callable[..., Tab]]:
    with open_tabs(chromium, logged_in) as open_one:
        yield open_one


@pytest.fixture
def open_leaves(chromium: Any, leaves_logged_in: tuple[str, Any]) -> Iterator[Callable[..., Tab]]:
    with open_tabs(chromium, leaves_logged_in) as open_one:
        yield open_one


def check(page: Any, name: str, device: str, scheme: str, folder: Path) -> None:
    """Save a screenshot; check that nothing is wider than the screen, and that axe-core finds no serious barrier."""
    from axe_playwright_python.sync_playwright import Axe

    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.evaluate("""Promise.all([...document.images].map((image) => {
        image.loading = "eager"; // a lazy one below the screen would never be decoded
        return image.decode().catch(() => 0);
    }))""")
    screenshots = Path(os.environ.get("PHOTOSEARCH_SCREENSHOTS", folder))
    screenshots.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=screenshots / f"{name}-{device}-{scheme}.png")
    if (device, scheme) in AXE_VARIANTS:
        violations = Axe().run(page).response["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations if v["impact"] in SERIOUS] == [], name


def open_filters(page: Any) -> None:
    """They are open on a wide screen, and behind a button on a narrow one."""
    if not page.evaluate("document.querySelector('#filters').open"):
        button = page.locator("#filters-button")
        (button if button.is_visible() else page.locator("#filters > summary")).click()
    page.wait_for_selector("[data-facet=folder] .value")


@pytest.mark.parametrize(("device", "scheme"), VARIANTS)
def test_every_page_is_accessible(open_tab: Any, tmp_path: Path, device: str, scheme: str) -> None:
    tab = open_tab(color_scheme=scheme, **DEVICES[device])
    pages = {
        "search": ("/?words=blue", ".tile img"), "map": ("/map", "#scale:not(:empty)"),
        "judge": ("/judge?label=red", "#card img"), "duplicates": ("/duplicates", ".member img"),
        "unreadable": ("/unreadable", "#rows li"),
    }  # fmt: skip
    for name, (path, ready) in pages.items():
        check(tab.open(path, ready), name, device, scheme, tmp_path)
    page = tab.open("/?words=blue", ".tile img")
    if device == "phone":
        assert page.locator(".tile").first.bounding_box()["y"] < 260, "little is above the first photo"
        page.click("#options-button")
        expect(page.locator("#options-button")).to_have_attribute("aria-expanded", "true")
        check(page, "options", device, scheme, tmp_path)
    page.click(".tile .photo")
    page.wait_for_selector("#details-labels li")
    check(page, "details", device, scheme, tmp_path)
    page.keyboard.press("Escape")
    page.click("#album")
    check(page, "album", device, scheme, tmp_path)
    page.click("#album-cancel")
    open_filters(page)
    check(page, "filters", device, scheme, tmp_path)
    is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
    assert is_dark == (scheme == "dark")


def test_marks_by_click_and_key_change_the_report_and_are_undone(
    open_tab: Any, cli_env: CliEnv, tmp_path: Path
) -> None:
    tab = open_tab()
    page = tab.open("/?words=red&query_mode=label&copies=1", ".tile .yes")
    expect(page.locator("#summary")).to_have_text("4 photos")
    page.click(".tile:nth-child(1) .yes")
    page.wait_for_selector(".tile:nth-child(1) .yes[aria-pressed=true]")
    page.keyboard.press("Home")
    page.focus(".tile:nth-child(1) .photo")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    page.wait_for_selector(".no[aria-pressed=true]")
    assert "marked as not red" in page.evaluate("document.activeElement.ariaLabel")
    assert json.loads(cli_env.run("report", "--label", "red", "--json").stdout)["precision"] == 0.5

    page = tab.open("/judge?label=red", "#shares tr")
    check(page, "judge-report", "desktop", "light", tmp_path)
    assert page.locator("#shares tr").first.inner_text().split("\t")[:2] == ["precision", "50.0 %"]
    page.evaluate("document.querySelector('#threshold').value = 1")
    page.dispatch_event("#threshold", "input")
    expect(page.locator("#shares td").first).not_to_have_text("50.0 %")
    page.click("#save")
    expect(page.locator("#saved")).to_contain_text("1.0000, saved by you")
    with Library(cli_env.library) as library:
        assert library.labels.get("red").threshold == 1.0
    page.click("#reset")
    expect(page.locator("#saved")).to_contain_text("the model's own")
    before = page.locator("#photo").get_attribute("src")
    page.keyboard.press("y")
    expect(page.locator("#photo")).not_to_have_attribute("src", before)
    page.keyboard.press("u")
    expect(page.locator("#photo")).to_have_attribute("src", before)
    for _ in range(2):
        page.keyboard.press("u")
    page.wait_for_selector("#undo[disabled]")
    page.wait_for_selector("#no-marks:not([hidden])")
    with Library(cli_env.library) as library:
        assert library.marks.list("red") == []


def test_undo_button_takes_back_marks_of_its_own_tab(open_tab: Any, cli_env: CliEnv) -> None:
    tab = open_tab()
    page, other = tab.open("/?words=red", ".tile .yes"), Tab(tab.page.context, tab.origin)
    page.wait_for_selector("#undo[disabled]")
    page.click(".tile:nth-child(1) .yes")
    page.wait_for_selector(".tile:nth-child(1) .yes[aria-pressed=true]")
    other.open("/?words=red", ".tile .yes").click(".tile:nth-child(4) .no")
    other.page.wait_for_selector(".tile:nth-child(4) .no[aria-pressed=true]")
    page.reload()
    page.wait_for_selector("#undo:not([disabled])")
    page.click("#undo")
    expect(page.locator("#message")).to_have_text("Undone: red")
    page.wait_for_selector("#undo[disabled]")
    with Library(cli_env.library) as library:
        assert [mark.present for mark in library.marks.list("red")] == [False], "the other tab's"
    other.page.click("#undo")
    expect(other.page.locator(".tile:nth-child(4) [aria-pressed=true]")).to_have_count(0)
    assert other.errors == []


def test_keyboard_alone_searches_opens_marks_and_searches_alike(open_tab: Any) -> None:
    page = open_tab().open("/", "#words:focus")
    page.keyboard.type("red and not b", delay=20)
    page.wait_for_selector("#suggestions li")
    assert page.locator("#suggestions li").all_inner_texts() == ["red and not blue\n5 photos"]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#suggestions [aria-selected=true]")).to_have_count(0)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_have_text(re.compile("^2 photos"))  # not those of the opening view
    page.wait_for_selector(".tile img")
    assert page.url.endswith("?words=red+and+not+blue")
    page.focus(".tile .photo")
    page.keyboard.press("Enter")
    page.wait_for_selector("#details-labels li")
    page.keyboard.press("y")
    page.wait_for_selector("#details-labels .yes[aria-pressed=true]")
    page.keyboard.press("u")
    expect(page.locator("#details-labels [aria-pressed=true]")).to_have_count(0)
    page.keyboard.press("l")
    page.wait_for_selector("#chips img")
    assert "like=" in page.url
    expect(page.locator("#summary")).to_contain_text("closest match")
    page.go_back()
    expect(page.locator("#words")).to_have_value("red and not blue")


def test_dates_alone_and_filters_that_leave_nothing(open_tab: Any) -> None:
    page = open_tab().open("/", ".tile img")
    expect(page.locator("#summary")).to_have_text("8 photos, newest first")
    page.fill("[name=since]", "2020-05-02")
    page.fill("[name=until]", "2020-05-03")
    page.locator("[name=until]").blur()
    expect(page.locator("#summary")).to_have_text("2 photos, from 2020-05-02, until 2020-05-03, newest first")
    assert page.locator(".tile .line span").all_inner_texts() == ["2020-05-03", "2020-05-02"]
    assert "since=2020-05-02&until=2020-05-03" in page.url
    page.fill("[name=until]", "2020-05-01")
    page.locator("[name=until]").blur()
    expect(page.locator("#summary")).to_contain_text("Nothing found with these filters.")
    page.click("#summary button")
    expect(page.locator("#summary")).to_have_text("8 photos, newest first")
    assert page.url.endswith("/")


def test_list_goes_on_below_a_heading_where_it_is_not_sure(open_leaves: Any) -> None:
    page = open_leaves().open("/?words=a+blue+zebra", ".tile img")
    expect(page.locator("#summary")).to_have_text("12 closest matches")
    assert page.get_by_role("heading", name="Not sure about these").count() == 0
    page.click("#more")
    expect(page.locator("#summary")).to_have_text("12 closest matches, and 12 not sure")
    expect(page.locator("#more")).to_be_hidden()
    expect(page.get_by_role("heading", name="Not sure about these")).to_be_visible()
    unsure = page.get_by_role("list", name="Not sure about these")
    assert [page.get_by_role("list", name="Photos found").get_by_role("listitem").count(),
            unsure.get_by_role("listitem").count()] == [12, 12]  # fmt: skip
    first = unsure.locator('[aria-posinset="1"] .photo')
    expect(first).to_be_focused()
    assert "similarity" in str(first.get_attribute("aria-label"))
    heading, above = (
        page.locator("#unsure").bounding_box(),
        page.locator('.tile[aria-posinset="12"]').first.bounding_box(),
    )
    assert above["y"] + above["height"] <= heading["y"] + 1
    assert heading["y"] + heading["height"] <= first.bounding_box()["y"] + 1
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.closest('[role=list]').ariaLabel") == "Photos found"


def test_photo_that_has_copies_lists_them(open_leaves: Any) -> None:
    page = open_leaves().open("/?words=green", ".tile img")
    expect(page.locator("#summary")).to_have_text("12 photos")
    badge = page.locator(".tile .copies")
    assert badge.all_inner_texts() == ["+1 copy"]
    badge.click()
    expect(page.locator("#summary")).to_have_text("13 photos")
    expect(page.locator(".tile .copies")).to_have_count(0)
    expect(page.locator(".tile :focus")).to_have_attribute("aria-label", re.compile("leaf00"))
    assert page.is_checked("[name=copies]")
    page.get_by_text("More", exact=True).click()
    page.uncheck("[name=copies]")
    expect(page.locator("#summary")).to_have_text("12 photos")
    page.locator(".tile .photo").last.focus()
    page.keyboard.press("End")
    page.keyboard.press("c")
    expect(page.locator("#summary")).to_have_text("13 photos")


def test_did_you_mean_asks_the_new_question(open_leaves: Any) -> None:
    page = open_leaves().open("/?words=a+beech", ".tile img")
    expect(page.locator("#hints li")).to_contain_text("Did you mean beach for 'beech'?")
    page.get_by_role("button", name="Search for “a beach”").click()
    expect(page.locator("#hints li")).to_have_count(0)
    expect(page.locator("#words")).to_have_value("a beach")
    assert page.url.endswith("?words=a+beach")


def test_menus_show_labels_with_their_photos(open_leaves: Any) -> None:
    page = open_leaves().open("/", ".tile img")
    page.wait_for_selector("#label option[value=green]", state="attached")
    groups = page.locator("#label optgroup").evaluate_all(
        "all => all.map((each) => [each.label, ...[...each.children].map((option) => option.text)])"
    )
    assert groups == [["In your photos", "blue (11)", "green (11)"], ["Other labels", "red"]]


def test_label_of_ones_own_is_marked_learned_and_undone(open_leaves: Any, leaves: Path) -> None:
    page = open_leaves().open("/?words=my+leaf", ".tile img")
    page.get_by_role("button", name="Mark photos for “my leaf”").click()
    expect(page.locator("#label")).to_have_value("my leaf")
    expect(page.locator("#learning-state")).to_have_text(
        "“my leaf”: 0 marked yes, 0 no. To learn it: 5 more yes and 5 more no."
    )
    for words, button in (("green", ".yes"), ("blue", ".no")):
        page.fill("#words", words)
        page.keyboard.press("Enter")
        expect(page.locator("#summary")).to_have_text("12 photos")
        expect(page.locator("#label")).to_have_value("my leaf")
        for i in range(5):
            page.locator(f".tile {button}").nth(i).click()
        expect(page.locator(f".tile {button}[aria-pressed=true]")).to_have_count(5)
    page.get_by_role("button", name="Learn “my leaf” from 10 marks").click()
    expect(page.locator("#learning-added img").first).to_be_visible()
    (found,) = re.findall(r"It would find (\d+) photos\.", page.locator("#learning-lines").inner_text())
    page.get_by_role("button", name="Discard").click()
    with Library(leaves) as library:
        assert "my leaf" not in [label.name for label in library.labels.list()]
    page.click("#learning-learn")
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("#summary")).to_contain_text(f"{found} photos (your label)")
    expect(page.locator("#learning-state")).to_have_text("“my leaf” was learned from your marks.")
    expect(page.locator("#label option:checked")).to_have_text(f"my leaf ({found})")
    page.get_by_role("button", name="Undo learning").click()
    expect(page.get_by_role("button", name="Learn “my leaf” from 10 marks")).to_be_visible()
    for _ in range(10):
        page.keyboard.press("u")
    expect(page.locator("#undo")).to_be_disabled()
    with Library(leaves) as library:
        assert (library.labels.list_unlearned(), library.marks.list()) == ([], [])


def test_judged_label_is_learned_on_its_page(open_leaves: Any, leaves: Path) -> None:
    photos = leaves.with_name("photos")
    with Library(leaves) as library:
        library.marks.add([photos / f"leaf{i:02}.png" for i in range(5)], positive=["green"])
        library.marks.add([photos / f"sky{i:02}.png" for i in range(4)], negative=["green"])
        page = open_leaves().open("/judge?label=green", "#shares tr")
        expect(page.locator("#learning-state")).to_have_text("“green”: 5 marked yes, 4 no. To learn it: 1 more no.")
        page.keyboard.press("n")
        page.get_by_role("button", name="Learn “green” from 10 marks").click()
        expect(page.locator("#learning-lines")).to_contain_text(
            "photos; now 11." if _is_better(library) else "stays as it is"
        )
        page.click("#learning-discard")
        page.keyboard.press("u")
        expect(page.locator("#learning-learn")).to_be_hidden()
        library.marks.undo()
        library.marks.undo()


def _is_better(library: Library) -> bool:
    return library.labels.preview_learning("green").report.kept == "learned"


@pytest.mark.parametrize(("device", "scheme"), VARIANTS)
def test_every_answer_is_accessible(open_leaves: Any, leaves: Path, tmp_path: Path, device: str, scheme: str) -> None:
    tab = open_leaves(color_scheme=scheme, **DEVICES[device])
    check(tab.open("/", ".tile img"), "open", device, scheme, tmp_path)
    check(tab.open("/?words=a+beech", "#hints button"), "unsure", device, scheme, tmp_path)
    page = tab.open("/?words=a+blue+zebra", ".tile img")
    page.click("#more")
    page.wait_for_selector("#unsure:visible")
    check(page, "more", device, scheme, tmp_path)
    page = tab.open("/?words=g", ".tile img")
    page.fill("#words", "gr")
    page.wait_for_selector("#suggestions li")
    check(page, "completion", device, scheme, tmp_path)
    with Library(leaves) as library:
        photos = leaves.with_name("photos")
        library.marks.add([photos / f"leaf{i:02}.png" for i in range(5)], positive=["leafy"], new=True)
        check(tab.open("/?words=leafy", "#hints button"), "teach", device, scheme, tmp_path)
        library.marks.add([photos / f"sky{i:02}.png" for i in range(5)], negative=["leafy"])
    try:
        page = tab.open("/?words=leafy", "#hints button")
        page.click("#hints button")
        page.click("#learning-learn")
        page.wait_for_selector("#learning-dialog img")
        check(page, "preview", device, scheme, tmp_path)
    finally:
        with Library(leaves) as library:
            library.marks.undo()
            library.marks.undo()


def test_names_with_markup_are_shown_as_text(open_tab: Any, cli_env: CliEnv) -> None:
    with Library(cli_env.library) as library:
        library.labels.add("<b>", "a blue thing")
    try:
        tab = open_tab()
        page = tab.open("/?words=%3Cb%3E&min_score=0", ".tile img")
        names = page.locator(".tile .photo").evaluate_all("all => all.map((each) => each.ariaLabel.split(',')[0])")
        assert "<script>.jpg" in names
        expect(page.locator("#summary")).to_have_text(f"{len(names)} photos (your label)")
        page.locator(".tile .photo").nth(names.index("<script>.jpg")).click()
        page.wait_for_selector("#details-labels li")
        assert page.locator("#details-name").inner_text() == "<script>.jpg"
        assert "<b>" in page.locator("#details-labels .name").all_inner_texts()
        assert page.locator("#label").input_value() == "<b>"
        assert tab.count("main b, dialog b, body script:not([src], [type='application/json'])") == 0
    finally:
        with Library(cli_env.library) as library:
            library.labels.remove("<b>")


@pytest.mark.skipif(sys.platform != "linux", reason="its file systems allow any name")
def test_names_with_direction_controls_are_shown_as_text_and_whole(open_tab: Any, cli_env: CliEnv) -> None:
    """In the grid, in the large view with its title, among duplicates and unreadable photos, and in the tab's title."""
    name, shown = "a\u202egpj\\b.png", "a\\u202egpj\\b.png"
    one, two = (photo(cli_env.photos / folder / name, "blue", size=(71, 63)) for folder in ("one", "two"))
    (cli_env.photos / "one" / "no\u202egpj.jpg").write_bytes(b"no photo")
    try:
        assert cli_env.index().exit_code == 0
        tab = open_tab()
        page = tab.open("/?words=blue+\u202eand+red", "#summary:not(:empty)")
        assert page.title() == "blue \\u202eand red · photosearch"
        page = tab.open("/?words=blue&copies=1", ".tile img")
        names = page.locator(".tile .photo").evaluate_all("all => all.map((each) => each.ariaLabel.split(',')[0])")
        assert names.count(shown) == 2
        page.locator(".tile .photo").nth(names.index(shown)).click()
        expect(page.locator("#details-name")).to_have_text(shown)
        assert page.locator("#details-image").get_attribute("alt") == shown
        texts = [page.content()]
        for path, ready in (("/duplicates", ".member img"), ("/unreadable", "#rows li")):
            texts.append(tab.open(path, ready).content())
        assert f"Details of {shown}" in texts[1]
        assert "no\\u202egpj.jpg" in texts[2]
        assert not any("\u202e" in text for text in texts)
    finally:
        for path in (one, two, cli_env.photos / "one" / "no\u202egpj.jpg"):
            path.unlink()
        cli_env.index()


def test_page_runs_no_injected_script(chromium: Any, logged_in: tuple[str, Any]) -> None:
    origin, state = logged_in
    context = chromium.new_context(storage_state=state)
    page = context.new_page()
    page.goto(origin)
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'ran = 1'}))")
    assert page.evaluate("typeof ran") == "undefined"
    assert page.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
    context.close()


def test_album_is_created_from_the_page(open_tab: Any, cli_env: CliEnv) -> None:
    page = open_tab().open("/?words=blue", ".tile img")
    page.click("#album")
    page.fill("#album-name", "all the blue")
    page.check("input[value=link]")
    page.click("#album-dialog button[type=submit]")
    page.wait_for_selector("#message:not([hidden])")
    folder = cli_env.folder / "albums" / "all the blue"
    assert page.locator("#message").inner_text() == f"{folder}: {len(list(folder.iterdir()))} links"


def test_ten_thousand_photos_take_a_screenful_of_elements(chromium: Any, tmp_path: Path) -> None:
    with run_server(build(tmp_path / "many.db", 10_000), log_in=False) as client:
        context = chromium.new_context(viewport={"width": 1280, "height": 860})
        page = context.new_page()
        page.goto(client.address)
        page.click("button[type=submit]")
        page.wait_for_url(f"http://127.0.0.1:{client.port}/")
        page.goto(f"http://127.0.0.1:{client.port}/?words=bird+or+not+bird&copies=1")
        expect(page.locator("#summary")).to_have_text("10,000 photos", timeout=20_000)
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


def test_days_folders_and_chips_narrow_the_opening_view_and_back_returns(open_tab: Any) -> None:
    page = open_tab().open("/", ".tile img")
    expect(page.locator("h2.day")).to_have_text(["1–4 May 2020", "No date"])
    page.locator("[data-facet=folder] .value", has_text="2020").click()
    expect(page.locator("#summary")).to_have_text("4 photos, newest first")
    expect(page.locator("#chips button")).to_have_count(1)
    page.get_by_role("button", name="2020, 4 photos").first.click()
    page.get_by_role("button", name="May 2020, 4 photos").click()
    expect(page.locator("#words")).to_have_value("taken:2020-05")
    expect(page.locator("#chips .value")).to_have_text(["2020-05", re.compile("2020$")])
    page.locator("#chips button").first.click()
    expect(page.locator("#words")).to_have_value("")
    page.go_back()
    expect(page.locator("#words")).to_have_value("taken:2020-05")
    page.locator("#sort").select_option("name")
    expect(page.locator("#summary")).to_have_text(re.compile("^4 photos, .*, by name$"))
    expect(page.locator("h2.day")).to_have_count(0)
    page.reload()
    expect(page.locator("#summary")).to_have_text(re.compile("^4 photos, .*, by name$"))


def test_photos_are_selected_by_keys_and_mouse_marked_and_undone(open_tab: Any, cli_env: CliEnv) -> None:
    page = open_tab().open("/?words=red&query_mode=label&copies=1", ".tile .yes")
    page.focus(".tile .photo")
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#picks-count")).to_have_text("2 selected")
    page.locator(".tile .photo").nth(3).click(modifiers=["Control"])
    expect(page.locator(".tile.selected")).to_have_count(3)
    page.click("#picks-yes")
    expect(page.locator(".tile .yes[aria-pressed=true]")).to_have_count(3)
    with Library(cli_env.library) as library:
        assert len({mark.path for mark in library.marks.list("red")}) >= 3
    page.keyboard.press("u")
    expect(page.locator(".tile [aria-pressed=true]")).to_have_count(0)
    page.focus(".tile .photo")
    page.keyboard.press("Control+a")
    expect(page.locator("#picks-count")).to_have_text("4 selected")
    page.keyboard.press("Escape")
    expect(page.locator("#picks")).to_be_hidden()
    with Library(cli_env.library) as library:
        assert library.marks.list("red") == []


def test_selected_photos_go_into_an_album_and_a_zip_file(open_tab: Any, cli_env: CliEnv) -> None:
    page = open_tab(accept_downloads=True).open("/?copies=1", ".tile img")
    page.focus(".tile .photo")
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#picks-remove")).to_be_hidden()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["IMG_20200504_120000.png", "IMG_20200503_120000.png"]
    expect(page.locator("#message")).to_contain_text("the browser saves photos.zip")
    message, bar = (page.locator(name).bounding_box() for name in ("#message", "#picks"))
    assert message["y"] + message["height"] <= bar["y"], "the message covers buttons"
    page.get_by_role("button", name="Add to an album").click()
    expect(page.locator("#add-target")).to_have_text("This will be your first album.")
    page.keyboard.type("Two of May")
    expect(page.locator("#add-target")).to_have_text("A new album.")
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_contain_text("“Two of May” was created, with 2 photos")
    expect(page.locator("#picks")).to_be_hidden()
    page.fill("#words", 'album:"two of may"')
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_contain_text("2 photos")
    page.focus(".tile .photo")
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Add to an album").click()
    expect(page.locator("#add-dialog")).to_be_visible()
    assert page.locator("#album-names option").evaluate_all("all => all.map((each) => [each.value, each.label])") == [
        ["Two of May", "2 photos"]
    ]
    page.click("#add-cancel")
    page.get_by_role("button", name="Remove from “Two of May”").click()
    expect(page.locator("#message")).to_contain_text("2 photos removed from “Two of May”")
    expect(page.locator(".tile")).to_have_count(0)
    page.locator("#message button").click()
    expect(page.locator("#message")).to_have_text("Undone: “Two of May” changed by 2 photos")
    expect(page.locator(".tile")).to_have_count(2)
    page.keyboard.press("Tab")
    page.keyboard.press("u")
    expect(page.locator("#message")).to_have_text("Undone: “Two of May” was made")
    expect(page.locator("#summary")).to_have_text("9 photos, newest first")
    with Library(cli_env.library) as library:
        assert library.albums.list() == []


def test_list_is_seen_from_where_it_was_after_back_and_reload(open_tab: Any) -> None:
    page = open_tab(viewport={"width": 500, "height": 300}).open("/?copies=1", ".tile img")
    expect(page.locator("#summary")).to_have_text("9 photos, newest first")
    last = page.locator(".tile[aria-posinset='9']")
    page.focus(".tile .photo")
    page.keyboard.press("End")
    expect(last).to_be_in_viewport()
    page.keyboard.press("l")  # more like this
    expect(page.locator("#summary")).not_to_contain_text("newest first")
    expect(page.locator(".tile[aria-posinset='1']").first).to_be_in_viewport()
    page.go_back()
    expect(page.locator("#summary")).to_have_text("9 photos, newest first")
    expect(last).to_be_in_viewport()
    page.reload()
    expect(last).to_be_in_viewport()


GPS = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="{}" exif:GPSLongitude="{}"/>
</rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_map_opens_with_all_photos(chromium: Any, tmp_path: Path, device: str) -> None:
    for name, latitude, longitude in (("tokyo", "35,41.4N", "139,41.5E"), ("sydney", "33,52.1S", "151,12.6E")):
        picture = photo(tmp_path / "photos" / f"{name}.png", "red", size=(40 + len(name), 40))
        picture.with_name(f"{name}.png.xmp").write_text(GPS.format(latitude, longitude))
    with Library(tmp_path / "library.db", create=True) as library:
        list(library.index(tmp_path / "photos", models=[str(write_toy(tmp_path / "toy.onnx"))]))
    with log_in(chromium, tmp_path / "library.db") as (origin, state):
        context = chromium.new_context(storage_state=state, **DEVICES[device])
        page = Tab(context, origin).open("/map", ".cluster")
        expect(page.locator(".cluster")).to_have_count(2)
        for cluster in page.locator(".cluster").all():
            expect(cluster).to_be_in_viewport(ratio=1)
        context.close()


def test_photo_is_zoomed_to_its_own_pixels_and_keys_are_listed(open_tab: Any) -> None:
    page = open_tab(viewport={"width": 700, "height": 500}).open("/?words=blue&copies=1", ".tile img")
    page.locator(".tile .photo").first.click()
    page.wait_for_selector("#details-labels li")
    page.keyboard.press("z")
    expect(page.locator("#details-zoom")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("z")
    expect(page.locator("#details-zoom")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    expect(page.locator("#fit")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("getComputedStyle(document.querySelector('.tile img')).objectFit") == "contain"


def test_long_list_is_seen_from_end_to_end_in_a_short_page(chromium: Any, tmp_path: Path) -> None:
    """50,000 photos at two columns of a wide window are 15 million pixels high."""
    with log_in(chromium, build(tmp_path / "many.db", 50_000)) as (origin, state):
        context = chromium.new_context(storage_state=state, viewport={"width": 1280, "height": 860})
        page = Tab(context, origin).open("/", ".tile .line")
        page.evaluate("""(columns) => { const input = document.querySelector("#columns");
            input.value = columns; input.dispatchEvent(new Event("input")); }""", 2)  # fmt: skip
        expect(page.locator("#summary")).to_have_text("50,000 photos, newest first", timeout=60_000)
        assert page.evaluate("document.documentElement.scrollHeight") < 8_100_000
        page.focus(".tile .photo")
        page.keyboard.press("End")
        page.wait_for_selector('.tile[aria-posinset="50000"] .line')
        expect(page.locator("h2.day").last).to_have_text("Thursday, 1 January 2026")
        page.focus("#scrubber")
        page.keyboard.press("Home")
        page.wait_for_selector('.tile[aria-posinset="1"] .line')
        page.keyboard.press("ArrowDown")
        expect(page.locator("#scrubber")).to_have_attribute("aria-valuetext", re.compile("^November 2026, "))
        expect(page.locator("h2.day", has_text="November 2026").first).to_be_visible()
        assert page.locator(".tile").count() < 40
        context.close()


@pytest.mark.parametrize(("device", "scheme"), AXE_VARIANTS)
def test_exported_pages_are_accessible_and_work_offline(
    chromium: Any, cli_env: CliEnv, tmp_path: Path, device: str, scheme: str
) -> None:
    marks = {"red.jpg": True, "copy.png": False, "2019/blue.webp": True}
    with Library(cli_env.library) as library:
        for name, present in marks.items():
            library.marks.add(cli_env.photos / name, **{"positive" if present else "negative": ["red"]})
        export_found(library, library.find("blue"), tmp_path / "found.html")
        export_report(library, library.report("red"), tmp_path / "report.html")
        for _ in marks:
            library.marks.undo()
    context = chromium.new_context(color_scheme=scheme, offline=True, **DEVICES[device])
    page = context.new_page()
    requested: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requested.append(request.url[:5]))
    page.on("console", lambda message: errors.append(message.text))
    page.goto((tmp_path / "report.html").as_uri())
    check(page, "export-report", device, scheme, tmp_path)
    page.goto((tmp_path / "found.html").as_uri())
    check(page, "export-found", device, scheme, tmp_path)
    page.fill("#filter", "WEBP")
    assert page.locator("figure:visible figcaption").count() == 1
    assert page.locator("#shown").inner_text().startswith("1 of ")
    assert set(requested) <= {"file:", "data:"}
    assert errors == []
    context.close()
