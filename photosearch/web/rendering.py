"""HTML from templates. Every value is escaped unless a template marks it as safe.

What can't be encoded as UTF-8, such as a byte of a file name, appears as \\xff, and what changes the direction of text
as \\u202e.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from photosearch.web.escaping import escape


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("photosearch.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_neutralize,
    )  # fmt: skip
    environment.filters |= {"percent": _format_percent, "count": "{:,}".format}
    return environment


def render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values)


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def read_static(name: str) -> Markup:
    """A script or stylesheet, to be inserted unescaped."""
    return Markup(files("photosearch.web").joinpath("static", name).read_text("utf-8"))


def hash_source(text: str) -> str:
    """The Content-Security-Policy source that allows exactly this script or stylesheet: 'sha256-...'."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _neutralize(value: object) -> object:
    return escape(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _format_percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
