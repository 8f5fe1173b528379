"""HTML from templates: the only way in which this room makes any. Every value is escaped unless a template says not to.

A name may hold anything: what a page would not show as it is, such as a byte that is no UTF-8, is written as \\xff.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@cache
def _environment() -> Environment:
    known = Environment(
        loader=PackageLoader("photosearch.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    known.filters |= {"percent": _percent, "count": "{:,}".format}
    return known


def render(template: str, **values: Any) -> str:
    """The template's text, with these values."""
    return _environment().get_template(template).render(**values)


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def read_static(name: str) -> Markup:
    """A script or a style of this room, to be written into a page as it is."""
    return Markup(files("photosearch.web").joinpath("static", name).read_text("utf-8"))


def hash_source(text: str) -> str:
    """By which a page's own policy knows this script, and no other: 'sha256-...'."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
