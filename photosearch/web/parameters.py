"""Values from the browser, checked: numbers, JSON, album names. All functions raise InputError."""

import json
import os
from collections.abc import Mapping, Sequence

from starlette.requests import Request

from photosearch.errors import InputError

MAX_BODY_BYTES = 1 << 20  # the indices of 100,000 chosen photos
MAX_INTEGER = 2**63  # the first integer that SQLite can't store
MAX_NAME_BYTES = 200
FORBIDDEN_IN_NAMES = '/\\:*?"<>|'

Body = Mapping[str, object]


async def read_body(request: Request) -> Body:
    """The JSON object that a browser sent."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY_BYTES:
            raise InputError("the request is too large")
    try:
        body = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise InputError("expected a JSON object")
    return body


def parse_integer(value: object) -> int:
    """An id, an index or a count: 0 to MAX_INTEGER - 1."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_INTEGER:
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        return int(value)
    raise InputError(f"{value!r} is not a valid number")


def parse_indices(value: object, n: int) -> Sequence[int]:
    """Indices of n photos; None: all of them."""
    if value is None:
        return range(n)
    indices = [parse_integer(each) for each in value] if isinstance(value, list) else [-1]
    if not all(0 <= index < n for index in indices):
        raise InputError("no such photo in these results")
    return indices


def parse_number(text: str) -> float:
    """A score or similarity: -1 to 1."""
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{text!r} is not a number") from None
    if not -1 <= value <= 1:
        raise InputError(f"{text} is not between -1 and 1")
    return value


def parse_threshold(value: object) -> float | None:
    """0 to 1, or None."""
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InputError("a threshold must be between 0 and 1")
    return float(value)


def parse_mark(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise InputError("present must be true, false or null")


def parse_album_name(value: object) -> str:
    """The name of one folder that is valid on every system."""
    name = str(value).strip()
    if (
        not name.isprintable()  # first, since a lone surrogate can't be encoded
        or not 0 < len(os.fsencode(name)) <= MAX_NAME_BYTES
        or name.startswith(".")
        or set(name) & set(FORBIDDEN_IN_NAMES)
    ):
        raise InputError(
            f"choose another album name: at most {MAX_NAME_BYTES} bytes, none of {' '.join(FORBIDDEN_IN_NAMES)}, "
            "no dot at the start"
        )
    return name
