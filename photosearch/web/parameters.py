"""Values from the browser, checked: numbers, JSON, album names. All functions raise InputError."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from starlette.requests import Request

from photosearch import outputs
from photosearch.errors import InputError

MAX_BODY_BYTES = 1 << 20  # ranges of 60,000 chosen photos, none beside another
MAX_SELECTED = 100_000  # photos that one request is about
MAX_TEXT = 2000  # characters of a value in JSON
MAX_TEXTS = 200  # in a list
MAX_INTEGER = 2**63  # the first integer that SQLite can't store

Body = Mapping[str, object]
Record = TypeVar("Record")


async def read_bytes(request: Request) -> bytes:
    """What a browser sent, MAX_BODY_BYTES at most."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY_BYTES:
            raise InputError("the request is too large")
    return data


async def read_body(request: Request) -> Body:
    """The JSON object that a browser sent."""
    try:
        body = json.loads(await read_bytes(request) or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise InputError("expected a JSON object")
    return body


def read_record(kind: type[Record], body: Body) -> Record:
    """A JSON object as a dataclass, whose annotations say which types its fields may have.

    They are str (MAX_TEXT characters at most), int (0 to MAX_INTEGER - 1), float (any finite number), bool, None, a
    Literal of texts, list[int], list[str] (MAX_TEXTS of them at most), or a union of these. A field without a default
    must be given, and no other may.
    """
    types = get_type_hints(kind)
    if unknown := body.keys() - types.keys():
        raise InputError(f"{_shorten(min(unknown))!r} is no field of this request; it has {', '.join(types)}")
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name not in body and field.default is MISSING:
            raise InputError(f"{field.name} is missing")
    for name, value in body.items():
        options = get_args(types[name]) if _is_union(types[name]) else (types[name],)
        if not any(_has_type(value, option) for option in options):
            raise InputError(f"{name} must be {' or '.join(map(_describe_type, options))}")
    return kind(**body)


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) not in (None, list, Literal)


def _has_type(value: object, annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return isinstance(value, str) and value in get_args(annotation)
    if get_origin(annotation) is list:
        (kind,) = get_args(annotation)
        is_short = kind is int or (isinstance(value, list) and len(value) <= MAX_TEXTS)
        return is_short and isinstance(value, list) and all(_has_type(each, kind) for each in value)
    if isinstance(value, bool) or annotation is bool:  # a bool is an int, too
        return isinstance(value, bool) and annotation is bool
    if annotation is float:
        return isinstance(value, int | float) and -MAX_INTEGER < value < MAX_INTEGER
    if annotation is int:
        return isinstance(value, int) and 0 <= value < MAX_INTEGER
    if annotation is str:
        return isinstance(value, str) and len(value) <= MAX_TEXT and "\0" not in value and _is_unicode(value)
    return isinstance(value, annotation)


def _is_unicode(text: str) -> bool:
    """Whether it can be encoded: JSON may hold half a character, such as "\\ud800"."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _describe_type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(map(repr, get_args(annotation)))
    if get_origin(annotation) is list:
        is_text = get_args(annotation) == (str,)
        return f"a list of at most {MAX_TEXTS} texts, each short" if is_text else "a list of whole numbers"
    return {
        str: f"text of at most {MAX_TEXT:,} characters", int: "a whole number, 0 or more", float: "a number",
        bool: "true or false", NoneType: "null",
    }[annotation]  # fmt: skip


def parse_integer(text: str) -> int:
    """An id, an index or a count: 0 to MAX_INTEGER - 1."""
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    raise InputError(f"{_shorten(text)!r} is not a valid number")


def check_ranges(ranges: Sequence[int], n: int) -> list[tuple[int, int]]:
    """first, end, first, end, ... of n photos -> (first, end) of each range, of MAX_SELECTED photos at most."""
    pairs = list(zip(ranges[::2], ranges[1::2], strict=False))
    if len(ranges) % 2 or not all(first < end <= n for first, end in pairs):
        raise InputError("no such photos in these results")
    if sum(end - first for first, end in pairs) > MAX_SELECTED:
        raise InputError(f"more than {MAX_SELECTED:,} photos are selected; select less at once")
    return pairs


def parse_number(text: str) -> float:
    """A score or similarity: -1 to 1."""
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{_shorten(text)!r} is not a number") from None
    if not -1 <= value <= 1:
        raise InputError(f"{_shorten(text)} is not between -1 and 1")
    return value


def parse_degrees(text: str, most: int) -> float:
    """A latitude (most: 90) or longitude (180)."""
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{_shorten(text)!r} is not a number") from None
    if not -most <= value <= most:
        raise InputError(f"{_shorten(text)} is not between -{most} and {most}")
    return value


def parse_path(text: str) -> str:
    """A typed path, absolute. Nothing is looked up."""
    path = os.path.expanduser(text.strip())
    if not os.path.isabs(path):
        raise InputError(f"{_shorten(text)!r}: type the whole path, from {os.path.abspath(os.sep)} or ~")
    return os.path.normpath(path)


def check_words(text: str) -> str:
    """A question, or a piece of it."""
    if len(text) > MAX_TEXT:
        raise InputError(f"a question has at most {MAX_TEXT:,} characters")
    return text


def check_threshold(value: float | None) -> float | None:
    """0 to 1, or None."""
    if value is not None and not 0 <= value <= 1:
        raise InputError("a threshold must be between 0 and 1")
    return value


def check_album_name(text: str) -> str:
    """The name of one folder that is valid on every system."""
    name = text.strip()
    if not outputs.is_portable_name(name):
        raise InputError(
            f"choose another album name: at most {outputs.MAX_NAME_BYTES} bytes, "
            f"none of {' '.join(outputs.FORBIDDEN)}, no dot at the start or end, no name of a device such as CON"
        )
    return name


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"
