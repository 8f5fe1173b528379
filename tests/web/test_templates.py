"""The pages' templates: what they refer to is there, and every value is text."""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from photosearch.web.app import PAGES, Page
from photosearch.web.rendering import list_modules, render, static_version, to_script_data
from photosearch.web.responses import Json

TEXTS = Path(__file__).parent / "texts"
STATIC = Path(__file__).parents[2] / "photosearch" / "web" / "static"
ADDRESS = f"/static/{static_version()}"
HOSTILE = "<b id=x onload=y>'\""
REFERENCES = ("for", "list", "aria-labelledby", "aria-describedby", "aria-controls")
KNOWN = {
    "aria-autocomplete": {"list"}, "aria-expanded": {"false"}, "aria-pressed": {"true", "false"},
    "aria-hidden": {"true"},
    "aria-orientation": {"vertical"}, "aria-current": {"page"}, "autocomplete": {"off"}, "method": {"dialog"},
    "role": {"combobox", "group", "list", "listbox", "region", "search", "slider", "status"}, "tabindex": {"0", "-1"},
    "form": {"search"}, "autocapitalize": {"none"}, "spellcheck": {"false"},
}  # fmt: skip
SAID = ("alt", "aria-label", "placeholder", "value")
NAMING = ("aria-label", "aria-labelledby")
MADE_BY_SCRIPTS = ("suggestion-",)


class Elements(HTMLParser):
    """The start tags of a page, each (tag, attributes, the tags that are open around it)."""

    VOID = ("meta", "link", "input", "img", "br")

    def __init__(self, html: str):
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attributes), list(self.open)))
        self.texts += [f"{name}: {value}" for name, value in attributes if name in SAID and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without its start"
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1:] != ["script"]:
            self.texts.append(" ".join(data.split()))


def read(page: Page) -> Elements:
    return Elements(render(page.template, pages=PAGES, current=page, albums=HOSTILE, library=HOSTILE))


def list_scripts(page: Page) -> set[str]:
    """The modules of a page, those that these import too."""
    (found,) = [v["src"] for tag, v, _ in read(page).all if tag == "script" and "src" in v]
    assert found
    waiting, names = [found.removeprefix(f"{ADDRESS}/")], set[str]()
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
    classes = {"undo", "watch"} | {  # by which a script finds its buttons
        name for file in STATIC.glob("*.css") for name in re.findall(r"\.([a-z][\w-]+)", file.read_text("utf-8"))
    }
    known = {*(page.path for page in PAGES), *(f"{ADDRESS}/{file.name}" for file in STATIC.iterdir())}
    ids = [attributes["id"] for _, attributes, _ in elements.all if "id" in attributes]
    assert sorted(set(ids)) == sorted(ids)
    for tag, attributes, around in elements.all:
        for name in REFERENCES:
            missing = {*(attributes.get(name) or "").split()} - {*ids}
            assert not missing, f"{tag}: {name} names {missing}"
        assert not [name for name in KNOWN if attributes.get(name, "") not in {"", *KNOWN[name]}], attributes
        unknown = {*(attributes.get("class") or "").split()} - classes
        assert not unknown, f"no style for {unknown}"
        address = attributes.get("href") or attributes.get("src") or "#"
        assert address in known or address.startswith("#"), f"{address} leads nowhere"
        if (attributes.get("href") or "").startswith("#"):
            assert attributes["href"][1:] in ids  # type: ignore[index]
        assert tag != "button" or attributes["type"] in ("button", "submit"), attributes
        assert (
            tag not in ("input", "select", "textarea")
            or "label" in around
            or {*NAMING} & {*attributes}
            or any(attributes.get("id") == other.get("for") for _, other, _ in elements.all)
        ), f"{tag} {attributes} has no label"
        assert tag not in ("section", "dialog", "nav") or {*NAMING} & {*attributes}, f"{tag} has no name"
        assert tag != "img" or "alt" in attributes
        assert attributes.get("id") != "x", "a value that became an attribute"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_every_element_that_a_script_asks_for_is_there(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes, _ in read(page).all}
    for name in list_scripts(page):
        asked = set(re.findall(r'byId\("([\w-]+)"\)', (STATIC / name).read_text("utf-8")))
        assert asked <= ids, f"{name}: {asked - ids}"


def compare_texts(html: str, name: str) -> None:
    """PHOTOSEARCH_WRITE_TEXTS=1, as `make texts` sets it, accepts the texts as they are."""
    said, path = "\n".join(Elements(html).texts) + "\n", TEXTS / f"{name}.txt"
    if os.environ.get("PHOTOSEARCH_WRITE_TEXTS"):
        path.write_text(said, "utf-8")
    assert said == path.read_text("utf-8"), f"{name} says something else; make texts, if that is meant"


@pytest.mark.parametrize("template", [*(page.template for page in PAGES), "details.html"])
def test_page_says_what_was_agreed(template: str) -> None:
    """Before any answer."""
    html = render(template, pages=[], current=None, albums="ALBUMS", library="LIBRARY")
    compare_texts(html.partition('<dialog id="details"')[0] or html, template.removesuffix(".html"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_menu_leads_to_every_listed_page_and_says_which_this_is(page: Page) -> None:
    html = render(page.template, pages=PAGES, current=page, albums="a", library="b")
    links = re.findall(r'<a href="([^"]+)"( aria-current="page")?>(\w+)</a>', html[: html.index("</nav>")])
    assert links == [
        (each.path, ' aria-current="page"' * (each == page), each.title) for each in PAGES if each.is_listed
    ]
    assert re.search(r"<title>\w[\w ]* · photosearch</title>", html)
    assert html.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n')
    for line in (
        'name="viewport" content="width=device-width, initial-scale=1"', 'name="color-scheme" content="light dark"',
        f'rel="stylesheet" href="{ADDRESS}/browse.css"', f'rel="icon" href="{ADDRESS}/icon.svg"',
        '<a class="skip" href="#main">',
    ):  # fmt: skip
        assert line in html


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_all_modules_of_a_page_are_preloaded_once(page: Page) -> None:
    """Else a browser learns of some of them only from others, one round trip after the other."""
    links = [v["href"] for tag, v, _ in read(page).all if tag == "link" and v.get("rel") == "modulepreload"]
    (script,) = [v["src"] for tag, v, _ in read(page).all if tag == "script" and "src" in v]
    assert sorted([*links, script]) == sorted(f"{ADDRESS}/{name}" for name in list_scripts(page))
    assert list_modules("confirm.js") == ("api.js", "answers.mjs", "wording.mjs", "facts.mjs")


def test_data_in_a_page_ends_no_script_and_stays_what_it_was() -> None:
    hostile = {"path": "</script><script>alert(1)</script><!--\\</b>&lt;\u2028"}
    html = render(
        "search.html", pages=[], current=None, albums="a", library="b", first=to_script_data(Json(hostile).body)
    )
    (data,) = re.findall(r'<script type="application/json" id="first">(.*)</script>', html)
    assert "<" not in data
    assert json.loads(data) == {"path": hostile["path"].replace("\u2028", "\\u2028")}
    assert [v for tag, v, _ in Elements(html).all if tag == "script"][1:] == [
        {"type": "application/json", "id": "first"}
    ]


HIDDEN = {
    "Search": "suggestions chips tools explanation learning learning-learn learning-undo unsure more scrubber picks",
    "Map": "here", "Judge": "card empty learning learning-learn learning-undo report no-marks", "Duplicates": "more",
    "Library": "run no-folders add-folders pull", "Unreadable": "run retry", "Start": "run add-folders arrivals",
}  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_nothing_flashes_up_while_a_page_loads(page: Page) -> None:
    hidden = {attributes.get("id") for _, attributes, _ in read(page).all if "hidden" in attributes}
    assert {*HIDDEN[page.title].split(), "details-boxes", "message"} <= hidden


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
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert '<form method="post" action="/login">\n<input type="hidden" name="token" value="secret">' in html
    assert '<button type="submit" autofocus>' in html
    redirect = render("redirect.html", address="http://127.0.0.1:8000/login?token=1")
    assert '<meta name="referrer" content="no-referrer">' in redirect
    assert '<meta http-equiv="refresh" content="0; url=http://127.0.0.1:8000/login?token=1">' in redirect
    assert '<a href="http://127.0.0.1:8000/login?token=1">' in redirect
