"""The pages' scripts in Chromium, against answers and errors that a test chooses: `tests/web/pages/*.mjs`.

No server: pages are rendered from their templates, and harness.js answers for the API. So an answer can come late, in
another order, or not at all. One load of a page for all tests of a file.
"""

import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup
from PIL import Image
from test_chromium import CHROMIUM, chromium
from test_export_templates import render_found

from photosearch.web.app import PAGES
from photosearch.web.html_export import ExportedPhoto
from photosearch.web.rendering import read_static, render, to_script_data
from photosearch.web.responses import Json

__all__ = ["chromium"]  # the fixture
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]
ORIGIN = "http://localhost"
HERE = Path(__file__).parent / "pages"
STATIC = Path(__file__).parents[2] / "photosearch" / "web" / "static"
TYPES = {
    ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
    ".json": "application/json",
}  # fmt: skip
VALUES = {"albums": "/tmp/<i>albums</i>", "library": "/tmp/<i>library</i>.db"}
FILES = sorted(HERE.glob("*.mjs"))


@pytest.fixture(scope="module")
def context(chromium: Any) -> Iterator[Any]:
    """Tabs in which this file is the server."""
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(20_000)
    context.route("**/*", serve)
    context.add_init_script(path=HERE / "harness.js")
    yield context
    context.close()


def serve(route: Any) -> None:
    path = re.sub("[?#].*", "", route.request.url.removeprefix(ORIGIN))
    page = next((page for page in PAGES if page.path == path), None)
    folder = {"/static/": STATIC, "/tests/": HERE}.get(path[: path.find("/", 1) + 1])
    if page:
        route.fulfill(body=render(page.template, pages=PAGES, current=page, **VALUES), content_type="text/html")
    elif path == "/found":  # an exported page
        photos = [
            ExportedPhoto(f"/a/{name}", 0.9, day)
            for name in ("Dog.jpg", "cat.jpg")
            for day in ("2020-05-01", "2021-06-02")
        ]
        route.fulfill(body=render_found(photos, script=read_static("export.js")), content_type="text/html")
    elif folder:
        file = folder / path.rpartition("/")[2]
        route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
    elif path.endswith("/999"):  # a photo that can't be opened
        route.fulfill(status=404)
    else:
        route.fulfill(body=make_picture(), content_type="image/png")


def make_first(photos: int) -> Markup:
    """The answer that stands in the page as it opens, as /api/find gives it."""
    rows = [
        {
            "image_id": i, "photo_id": i, "name": f"{i}.jpg", "path": f"/photos/{i}.jpg", "score": None,
            "taken": "2020-05-01T10:00:00", "taken_from": "exif", "by": "date", "sure": True, "copies": 0,
            "present": None, "why": [],
        }
        for i in range(photos)
    ]  # fmt: skip
    return to_script_data(Json({
        "result": "r1", "question": "", "ranked_by": "date", "models": [], "is_user_label": False, "labels": [],
        "label": None, "sure": True, "more": False, "hints": [], "since": None, "until": None, "album": None,
        "explanation": [], "chips": [], "total": None, "photos": rows,
    }).body)  # fmt: skip


@pytest.fixture
def opening(context: Any) -> Iterator[Any]:
    """(a tab, the routes that wait): the search page as it opens, whose script comes when a test says so."""
    page, waiting = context.new_page(), []
    html = render("search.html", pages=PAGES, current=PAGES[0], first=make_first(100), **VALUES)
    page.route(f"{ORIGIN}/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.route("**/search.js", lambda route: waiting.append(route))
    page.goto(f"{ORIGIN}/", wait_until="commit")
    page.wait_for_selector("#first", state="attached")
    yield page, waiting
    page.close()


def test_first_photos_come_with_the_page(opening: Any) -> None:
    page, waiting = opening
    serve(waiting.pop())
    page.wait_for_selector(".tile .line")  # though no request is answered
    page.wait_for_selector(".tile img")
    asked = page.evaluate("harness.rest().then(() => harness.requests.map(({name}) => name))")
    assert "find" not in asked
    assert "total" in asked
    assert "days" not in asked, "which wait for the same list"
    page.evaluate("harness.serve({find: {}}); document.querySelector('#search').requestSubmit()")
    assert page.evaluate("harness.rest().then(() => harness.asked('find').length)") == 1, "another time it is asked for"


def test_words_typed_before_the_script_comes_are_kept(opening: Any) -> None:
    page, waiting = opening
    page.keyboard.type("a dog")  # the field has the focus by itself
    serve(waiting.pop())
    page.wait_for_selector(".tile .line")
    assert page.evaluate("[document.activeElement.id, document.activeElement.value]") == ["words", "a dog"]
    assert page.evaluate("harness.last('complete')") == {"words": "a dog"}, "and are completed"


@cache
def make_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), "green").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_page_keeps_its_promises(context: Any, file: Path) -> None:
    """The first line of a file names its page: // /judge?label=red."""
    address = file.read_text("utf-8").splitlines()[0].removeprefix("// ")
    page = context.new_page()
    try:
        page.goto(ORIGIN + address)
        assert page.evaluate("name => import(`/tests/${name}`).then(() => harness.run())", file.name) == ""
    finally:
        page.close()
