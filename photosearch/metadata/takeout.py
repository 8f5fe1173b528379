"""Google Takeout's JSON: what Google Photos knows of a photo, in a file beside it.

    {"title": "IMG_1.jpg", "description": "...", "photoTakenTime": {"timestamp": "1549188672"},
     "geoData": {"latitude": 38.7, "longitude": -9.1, "altitude": 12.0}, "people": [{"name": "Anna"}]}

The title is the file's name; times are UTC. geoData is what a person set or Google guessed, geoDataExif the photo's.
"""

import json
from collections.abc import Mapping

from photosearch.metadata.dates import from_timestamp
from photosearch.metadata.record import PhotoMetadata, Position, clean_names, clean_text, make_position

MAX_BYTES = 1 << 20


class NotTakeout(ValueError):
    """A JSON file of another kind, or a damaged one. The message is the reason."""


def read_takeout(data: bytes) -> PhotoMetadata:
    """Raises NotTakeout."""
    if len(data) > MAX_BYTES:
        raise NotTakeout(f"it is larger than {MAX_BYTES >> 20} MB")
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise NotTakeout("not JSON") from None
    if not isinstance(values, Mapping) or "photoTakenTime" not in values:
        raise NotTakeout("not Google Takeout's: it has no photoTakenTime")
    people = values.get("people")
    names = [one.get("name") for one in people if isinstance(one, Mapping)] if isinstance(people, list) else []
    positions = (_read_position(values.get(name)) for name in ("geoData", "geoDataExif"))
    taken = values["photoTakenTime"]
    try:
        date = from_timestamp(float(taken["timestamp"]), "takeout")
    except (TypeError, KeyError, ValueError, OverflowError):
        date = None
    return PhotoMetadata(
        caption=clean_text(values.get("description")), people=clean_names(names), dates=(date,) if date else (),
        position=next(filter(None, positions), None),
    )  # fmt: skip


def _read_position(value: object) -> Position | None:
    if not isinstance(value, Mapping):
        return None
    return make_position(value.get("latitude"), value.get("longitude"), value.get("altitude"))
