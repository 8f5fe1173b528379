"""HTML from templates. Every value is escaped unless a template marks it as safe.

What can't be encoded as UTF-8, such as a byte of a file name, appears as \\xff, and what changes the direction of text
as \\u202e.
"""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from photosearch.web.escaping import escape

IMPORT = re.compile(r'from "\./([\w.]+)"')  # of a module


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("photosearch.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_neutralize,
    )  # fmt: skip
    environment.filters |= {"percent": _format_percent, "count": "{:,}".format}
    environment.globals |= {"static": f"/static/{static_version()}", "list_modules": list_modules}
    return environment


def render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values)


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def read_static(name: str) -> Markup:
    """A script or stylesheet, to be inserted unescaped."""
    return Markup(files("photosearch.web").joinpath("static", name).read_bytes().decode())


@cache
def read_all_static() -> dict[str, bytes]:
    """Scripts, stylesheets and what they load, by their names."""
    return {entry.name: entry.read_bytes() for entry in files("photosearch.web").joinpath("static").iterdir()}


@cache
def static_version() -> str:
    """A part of their addresses that changes with them, so that a browser need not ask again for what it has."""
    return sha256(repr(sorted(read_all_static().items())).encode()).hexdigest()[:12]


@cache
def list_modules(script: str) -> tuple[str, ...]:
    """The modules that a script imports, and those that these import: a browser can ask for all of them at once."""
    found = [script]
    for name in found:  # which grows meanwhile
        imported = IMPORT.findall(read_all_static()[name].decode())
        found += dict.fromkeys(each for each in imported if each not in found)
    return tuple(found[1:])


def to_script_data(json: bytes | memoryview) -> Markup:
    """JSON to stand in a script element, which nothing in it can end. A browser does not run it."""
    return Markup(bytes(json).decode().replace("<", "\\u003c"))


def hash_source(text: str) -> str:
    """The Content-Security-Policy source that allows exactly this script or stylesheet: 'sha256-...'."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _neutralize(value: object) -> object:
    return escape(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _format_percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
