"""The pages' templates: what they refer to is there, and every value is text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup

from photosearch.web.app import PAGES, Page
from photosearch.web.html_export import ExportedPhoto, Plot
from photosearch.web.rendering import render

STATIC = Path(__file__).parents[2] / "photosearch" / "web" / "static"
HOSTILE = "<b id=x onload=y>'\""
REFERENCES = ("for", "list", "aria-labelledby", "aria-describedby", "aria-controls")
NAMING = ("aria-label", "aria-labelledby")
MADE_BY_SCRIPTS = ("suggestion-",)


class Elements(HTMLParser):
    """The start tags of a page, each (tag, attributes, the tags that are open around it)."""

    VOID = ("meta", "link", "input", "img", "br")

    def __init__(self, html: str):
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[str] = []
        self.texts: dict[int, str] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attributes), list(self.open)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without its start"
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.texts[len(self.all) - 1] = self.texts.get(len(self.all) - 1, "") + data.strip()


def read(page: Page) -> Elements:
    return Elements(render(page.template, pages=PAGES, current=page, albums=HOSTILE, library=HOSTILE))


def list_scripts(page: Page) -> set[str]:
    """The modules of a page, those that these import too."""
    (found, ) = [v["src"] for tag, v, _ in read(page).all if tag == "script"]
    assert found
    waiting, names = [found.removeprefix("/static/")], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += re.findall(r'from "\./([\w.]+)"', (STATIC / name).read_text("utf-8"))
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_page_is_whole(page: Page) -> None:
    elements = read(page)
    assert elements.open == [], "each element has its end"
    ids = [attributes["id"] for _, attributes, _ in elements.all if "id" in attributes]
    assert sorted(set(ids)) == sorted(ids)
    for tag, attributes, around in elements.all:
        for name in REFERENCES:
            missing = {*(attributes.get(name) or "").split()} - {*ids}
            assert not missing, f"{tag}: {name} names {missing}"
        if (attributes.get("href") or "").startswith("#"):
            assert attributes["href"][1:] in ids  # type: ignore[index]
        assert tag != "button" or attributes["type"] in ("button", "submit"), attributes
        assert tag not in ("input", "select", "textarea") or "label" in around or {*NAMING} & {*attributes} or any(
            attributes.get("id") == other.get("for") for _, other, _ in elements.all
        ), f"{tag} {attributes} has no label"
        assert tag not in ("section", "dialog", "nav") or {*NAMING} & {*attributes}, f"{tag} has no name"
        assert tag != "img" or "alt" in attributes
        assert "x" not in attributes.get("id", "").split() and not [name for name in attributes if name.startswith("on")]  # type: ignore[union-attr]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_every_element_that_a_script_asks_for_is_there(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes, _ in read(page).all}
    for name in list_scripts(page):
        asked = set(re.findall(r'byId\("([\w-]+)"\)', (STATIC / name).read_text("utf-8")))
        assert asked <= ids, f"{name}: {asked - ids}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_menu_leads_to_every_listed_page_and_says_which_this_is(page: Page) -> None:
    html = render(page.template, pages=PAGES, current=page, albums="a", library="b")
    links = re.findall(r'<a href="([^"]+)"( aria-current="page")?>(\w+)</a>', html[: html.index("</nav>")])
    assert links == [(each.path, ' aria-current="page"' * (each == page), each.title) for each in PAGES if each.is_listed]
    assert re.search(r"<title>\w[\w ]* · photosearch</title>", html)
    assert html.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n')
    for line in ('name="viewport" content="width=device-width, initial-scale=1"', 'name="color-scheme" content="light dark"',
                 'rel="stylesheet" href="/static/browse.css"', 'rel="icon" href="/static/icon.svg"', '<a class="skip" href="#main">'):  # fmt: skip
        assert line in html


def test_preloaded_modules_are_those_of_the_search_page() -> None:
    page = PAGES[0]
    listed = {v["href"] for tag, v, _ in read(page).all if tag == "link" and v.get("rel") == "modulepreload"}
    known = {f"/static/{name}" for name in list_scripts(page)} - {"/static/search.js"}
    assert listed <= known
    assert known - listed <= {"/static/mercator.mjs", "/static/facts.mjs"}, "loaded one after the other"


def test_what_is_hidden_until_it_is_known() -> None:
    """Nothing flashes up while a page loads."""
    hidden = {page.title: {v["id"] for _, v, _ in read(page).all if "hidden" in v and "id" in v} for page in PAGES}
    common = {"details-boxes", "message"}
    assert {title: ids - common for title, ids in hidden.items()} == {
        "Search": {"suggestions", "chips", "tools", "explanation", "learning", "learning-learn", "learning-undo", "unsure", "more", "scrubber", "picks"},
        "Map": {"here"}, "Judge": {"card", "empty", "learning", "learning-learn", "learning-undo", "report", "no-marks"}, "Duplicates": {"more"},
        "Library": {"run", "no-folders", "add-folders", "pull"}, "Unreadable": {"run", "retry"}, "Start": {"run", "add-folders", "arrivals"},
    }  # fmt: skip
    assert all(common <= ids for ids in hidden.values())


@pytest.mark.parametrize(("template", "values"), [
    ("login.html", {"token": HOSTILE}), ("redirect.html", {"address": HOSTILE}),
    ("start.html", {"library": HOSTILE}), ("search.html", {"albums": HOSTILE}),
])  # fmt: skip
def test_values_are_text(template: str, values: dict[str, str]) -> None:
    html = render(template, **{"pages": PAGES, "current": PAGES[0], "albums": "", "library": ""} | values)
    assert "<b id" not in html
    assert "&lt;b id=x onload=y&gt;&#39;&#34;" in html
    assert Elements(html).open == []


def test_login_form_sends_the_token_once() -> None:
    html = render("login.html", token="secret")
    assert '<form method="post" action="/login">\n<input type="hidden" name="token" value="secret">' in html
    assert '<button type="submit" autofocus>' in html
    redirect = render("redirect.html", address="http://127.0.0.1:8000/login?token=1")
    assert '<meta name="referrer" content="no-referrer">' in redirect
    assert '<meta http-equiv="refresh" content="0; url=http://127.0.0.1:8000/login?token=1">' in redirect
    assert '<a href="http://127.0.0.1:8000/login?token=1">' in redirect


def make_photos(n: int, sure: bool = True) -> list[ExportedPhoto]:
    return [ExportedPhoto(f"/a/{HOSTILE}{i}.jpg", 0.12345, "2020-05-01 10:00:00", ("exif", "name", "file")[i % 3], sure=sure, copies=i, thumbnail=f"data:{i}")
            for i in range(n)]  # fmt: skip


def render_found(photos: list[ExportedPhoto], **values: object) -> str:
    given: dict[str, object] = {
        "question": HOSTILE, "models": ["a", "<b id>"], "photos": photos, "hints": [HOSTILE], "left_out": 0, "policy": "p", "created": "now",
        "script": Markup("1 < 2"), "style": Markup("a > b"),
    }  # fmt: skip
    return render("found.html", **given | values)


def test_found_photos_are_told_as_text() -> None:
    html = render_found([*make_photos(3), *make_photos(1, sure=False)], left_out=1200)
    elements = Elements(html)
    assert (elements.open, "<b id" in html, html.count("<figure>")) == ([], False, 4)
    assert [tag for tag, attributes, _ in elements.all if [name for name in attributes if name.startswith("on")]] == []
    assert "<title>&lt;b id=x onload=y&gt;&#39;&#34; · photosearch</title>" in html
    assert "<h1>&lt;b id=x onload=y&gt;&#39;&#34;</h1>\n<p>4 photos (model: a and &lt;b id&gt;); 1,200 more did not fit on this page.</p>\n<p>&lt;b id" in html
    captions = re.findall("<figcaption>(.*?)</figcaption>", html)
    assert captions[0].startswith('<b>0.123</b> 2020-05-01 10:00:00 <span class="soft">(exif)</span><br><bdi>/a/&lt;b id')
    assert ["(file name)" in captions[1], " +1 copy<br>" in captions[1], "(file date)" in captions[2], " +2 copies<br>" in captions[2]] == [True] * 4
    assert re.findall('<img src="(.*?)" alt="(.*?)" loading="lazy"', html)[1] == ("data:1", "&lt;b id=x onload=y&gt;&#39;&#34;1.jpg")
    assert re.findall(r'<a href="(file:///a/.*?)">', html)[0].endswith("0.jpg")
    before, heading, after = html.partition("<h2>Not sure about these</h2>\n<div class=\"photos\">")
    assert (before.count("<figure>"), bool(heading), after.count("<figure>")) == (3, True, 1)
    assert html.index('<label for="filter">') < html.index('<input id="filter" type="search"') < html.index('<p id="shown" class="soft" role="status">')
    assert '<meta http-equiv="Content-Security-Policy" content="p">' in html
    assert '<meta name="referrer" content="no-referrer">' in html
    assert "<style>a > b</style>" in html
    assert html.endswith("<script>1 < 2</script>\n</body>\n</html>")
    assert "Created by photosearch, now." in html


def test_nothing_found_is_a_page_too() -> None:
    html = render_found([], models=[], hints=[])
    assert "<p>0 photos.</p>" in html
    assert "filter" not in html.replace("model", "")
    one = render_found([ExportedPhoto("/a.jpg", None, "", "", sure=True, copies=0, error="<b id>")])
    assert "<p>1 photo (model" in one
    assert '<span class="broken">a.jpg: &lt;b id&gt;</span></a>\n<figcaption><br><bdi>/a.jpg</bdi>' in one
    assert "Not sure" not in one


def make_report(**values: object) -> str:
    shares = {"precision": 0.5, "recall": 0.25, "f1": None, "accuracy": 1.0, "always_no_accuracy": 0.75}
    intervals = {"precision": (0.1, 0.9), "recall": None, "f1": None, "accuracy": None}
    figures = {**shares, "intervals": intervals, "label": HOSTILE, "model": HOSTILE, "threshold": 0.12345, "n": 1234, "tp": 1001, "fp": 2, "fn": 3, "tn": 4}
    plot = Plot([(0.0, 400.0), (200.0, 100.0)], (300.0, 120.0), {"precision": ((1.0, 110.0), (1.0, 130.0)), "recall": ((280.0, 1.0), (310.0, 1.0))}, 0.9876)
    bins = [{"low": 0.1, "high": 0.2, "n": 1500, "score": 0.15, "present": 0.25, "interval": (0.05, 0.5)}]
    given: dict[str, object] = {
        "report": figures, "chosen_on": HOSTILE, "plot": plot, "bins": bins, "calibration_error": 0.0456, "side": 400,
        "false_positives": make_photos(2), "false_negatives": make_photos(1), "policy": "p", "created": "now", "script": "", "style": "",
    }  # fmt: skip
    library = {**shares, "precision": 0.125, "intervals": intervals, "population": 50_000, "judged": 40, "drawn": 60}
    return render("report.html", **given | {"report": figures | {"library": library}} | values)


def test_report_says_its_figures() -> None:
    html = make_report()
    assert Elements(html).open == []
    assert "<b id" not in html
    assert "<h1>Report on &lt;b id" in html
    assert "Report on &lt;b id=x onload=y&gt;&#39;&#34; · photosearch</title>" in html
    assert "Threshold: 0.1235.\nThe threshold was chosen on &lt;b id=x onload=y&gt;&#39;&#34;: expect slightly worse" in html
    assert "Whole library (50,000 photos), estimated from 40 of 60 sampled photos" in html
    assert re.findall(r'"row">(\w+)</th><td>(.*?)</td>\n<td>(.*?)</td></tr>', html) == [
        ("precision", "12.5 %", "10.0 to 90.0 %"), ("recall", "25.0 %", "–"), ("f1", "–", "–"), ("accuracy", "100.0 %", "–"),
        ("precision", "50.0 %", "10.0 to 90.0 %"), ("recall", "25.0 %", "–"), ("f1", "–", "–"), ("accuracy", "100.0 %", "–"),
    ]  # fmt: skip
    assert html.count("<tr><th scope=\"row\">baseline (always “no”)</th><td>75.0 %</td><td>accuracy</td></tr>") == 2
    assert "<caption>1,234 photos that you marked, not a random sample</caption>" in html
    assert '<th scope="row">found</th><td>1,001</td><td>2</td></tr>\n<tr><th scope="row">not found</th><td>3</td><td>4</td></tr>' in html
    false_positives, heading, missed = html.partition("<h2>Missed photos</h2>")
    assert (bool(heading), false_positives.split("<h2>False positives</h2>")[1].count("<figure>"), missed.count("<figure>")) == (True, 2, 1)


def test_report_draws_what_it_measured() -> None:
    html = make_report()
    assert '<polyline class="curve" points="0.0,400.0 200.0,100.0 "/>' in html
    assert '<line class="whisker" x1="300.0" x2="300.0" y1="110.0" y2="130.0"/>' in html
    assert '<line class="whisker" y1="120.0" y2="120.0" x1="280.0" x2="310.0"/>' in html
    assert '<circle class="at" cx="300.0" cy="120.0" r="6"/>' in html
    assert html.count("0.988") == 2
    assert "Expected calibration error 0.046." in html
    assert '<line class="thin" x1="0" y1="400" x2="400" y2="0"/>' in html
    assert '<line class="bar" x1="60.0" x2="60.0" y1="380.0" y2="200.0"/>\n<circle class="dot" cx="60.0" cy="300.0" r="5"/>' in html
    assert '<th scope="row">0.1 to 0.2</th><td>1,500</td><td>0.150</td><td>25.0 %</td>' in html
    assert html.count('<svg viewBox="-50 -10 465 460"') == 2
    assert html.count('<rect class="axis" x="0" y="0" width="400" height="400"/>') == 2
    assert re.findall(r'<text x="([\d.]+)" y="418" text-anchor="middle">([\d.]+)</text>\n<text x="-8" y="([\d.]+)" text-anchor="end">', html)[:3] == [
        ("0", "0", "405"), ("200.0", "0.5", "205.0"), ("400", "1", "5"),
    ]  # fmt: skip
    assert re.findall(r'<text x="200.0" y="438" text-anchor="middle">(.*?)</text>\n<text x="-34" y="200.0" text-anchor="middle" transform="rotate\(-90 -34 200.0\)">(.*?)<', html) == [
        ("recall", "precision"), ("score", "share that shows it"),
    ]  # fmt: skip


def test_report_without_a_curve_or_mistakes_says_no_more() -> None:
    html = make_report(plot=None, false_positives=[], false_negatives=[], chosen_on=None)
    assert [word for word in ("chosen on", "recall</h2>", "positives", "Missed") if word in html] == []
