"""What a photo's metadata says, from wherever it is read: one record for all formats.

Lists of all sources count together, each entry once, compared without case. Of single values the first source that has
one counts; `merge` takes them in this order: side-car (photo.jpg.xmp, then photo.xmp), the photo's XMP, IPTC, EXIF,
Google Takeout's JSON, Picasa's file. Dates have an order of their own: see dates.py.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import accumulate
from typing import Any

from photosearch.metadata.dates import SOURCES, Taken

MAX_NAMES = 10_000  # keywords or people of a photo
MAX_NAME_CHARACTERS = 1_000  # of one of them, and of other short texts
MAX_TEXT_CHARACTERS = 10_000  # of a caption
MAX_DATES = 50
MAX_STORED_NAMES, MAX_STORED_CHARACTERS = 1_000, 50_000  # of each list in a library: of hostile files, not of people's

EXPOSURE = ("exposure_seconds", "aperture", "iso", "focal_length")  # fields of a record

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Position:
    """Degrees, north and east positive; metres above the sea, or None."""

    latitude: float
    longitude: float
    altitude: float | None = None


@dataclass(frozen=True, slots=True)
class PhotoMetadata:
    """keywords: each once, the last parts of paths included; without those that photosearch wrote itself.

    paths: keywords in a tree, animal|bird|robin. rating: 1 to 5, -1 for rejected, None for none. width, height: upright
    pixels. dates: all that were found; choose_date says which counts. Texts are None, not empty, where there are none.
    aperture: the f-number. focal_length: in millimetres, of the lens itself.
    """

    keywords: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    rating: float | None = None
    title: str | None = None
    caption: str | None = None
    people: tuple[str, ...] = ()
    dates: tuple[Taken, ...] = ()
    position: Position | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    make: str | None = None
    model: str | None = None
    lens: str | None = None
    width: int | None = None
    height: int | None = None
    exposure_seconds: float | None = None
    aperture: float | None = None
    iso: float | None = None
    focal_length: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def shorten(self) -> "PhotoMetadata":
        """Of each list of names no more than a library stores of one photo."""
        return replace(self, keywords=_cut(self.keywords), paths=_cut(self.paths), people=_cut(self.people))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PhotoMetadata":
        """What `to_json` gave, checked. Raises ValueError, KeyError, TypeError."""
        own = dict(values)
        own["dates"] = tuple(_check_date(Taken(**date)) for date in own["dates"])
        own["position"] = None if own["position"] is None else make_position(**own["position"])
        for name in ("keywords", "paths", "people"):
            own[name] = clean_names(own[name])
        for name in ("title", "caption", "city", "state", "country", "make", "model", "lens"):
            own[name] = clean_text(own[name])
        own["rating"] = None if own["rating"] is None else clean_rating(own["rating"])
        for name in EXPOSURE:
            own[name] = clean_amount(own[name])
        if not all(own[side] is None or (type(own[side]) is int and own[side] > 0) for side in ("width", "height")):
            raise ValueError("invalid width or height")
        return cls(**own)


def merge(records: Sequence[PhotoMetadata]) -> PhotoMetadata:
    """Several sources, the one that counts first before the others."""
    values: dict[str, Any] = {}
    for name in (field.name for field in fields(PhotoMetadata)):
        found = [getattr(record, name) for record in records]
        if name == "dates":
            values[name] = tuple(date for dates in found for date in dates)[:MAX_DATES]
        elif name in ("keywords", "paths", "people"):
            values[name] = clean_names(entry for entries in found for entry in entries)
        else:
            values[name] = next((value for value in found if value is not None), None)
    return PhotoMetadata(**values)


def clean_text(text: object, max_characters: int = MAX_TEXT_CHARACTERS) -> str | None:
    """A text without controls and outer white space, cut at a length; None where nothing is left, or it is no text."""
    if not isinstance(text, str):
        return None
    text = text[: 4 * max_characters].replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).strip()[:max_characters].rstrip() or None


def clean_name(text: object) -> str | None:
    """A keyword, a person, a place, a title: one line."""
    if not (isinstance(text, str) and text.isprintable() and len(text) <= MAX_NAME_CHARACTERS):  # most are
        text = clean_text(text, MAX_NAME_CHARACTERS)
    return " ".join(text.split()) or None if isinstance(text, str) else None


def clean_names(names: Iterable[object]) -> tuple[str, ...]:
    """Each once, in order, compared without case; at most MAX_NAMES."""
    found: dict[str, str] = {}
    for name in names:
        if (text := clean_name(name)) is not None:
            found.setdefault(text.casefold(), text)
            if len(found) == MAX_NAMES:
                break
    return tuple(found.values())


def _cut(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) <= MAX_STORED_NAMES and sum(map(len, names)) <= MAX_STORED_CHARACTERS:
        return names
    ends = accumulate(map(len, names[:MAX_STORED_NAMES]))
    return tuple(name for name, end in zip(names, ends, strict=False) if end <= MAX_STORED_CHARACTERS)


def split_paths(entries: Iterable[str], separator: str) -> list[str]:
    """'animal/bird' -> 'animal|bird'; an entry without a separator is no path."""
    parts = ([part.strip() for part in entry.split(separator)] for entry in entries)
    return ["|".join(filter(None, path)) for path in parts if len(list(filter(None, path))) > 1]


def last_part(path: str) -> str:
    """'animal|bird' -> 'bird'."""
    return path.rpartition("|")[2].strip()


def clean_rating(value: object) -> float | None:
    """1 to 5, or -1; None for 0 and anything else."""
    try:
        rating = float(str(value).strip())
    except ValueError:
        return None
    return rating if rating and -1 <= rating <= 5 else None


def clean_amount(value: object) -> float | None:
    """A number above 0 and below a million; None for anything else."""
    try:
        amount = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    return amount if 0 < amount < 1e6 else None


def rate_percent(value: object) -> float | None:
    """Microsoft's 1, 25, 50, 75 and 99 -> 1 to 5 stars."""
    try:
        percent = float(str(value))
    except ValueError:
        return None
    return float(1 + round((percent - 1) / 24.5)) if 1 <= percent <= 100 else None


def make_position(latitude: object, longitude: object, altitude: object = None) -> Position | None:
    """None where a number is missing, no number or out of range; and for 0, 0, which programs write for unknown."""
    try:
        north, east = float(latitude), float(longitude)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    if not (-90 <= north <= 90 and -180 <= east <= 180) or north == east == 0:
        return None
    try:
        up = None if altitude is None else float(altitude)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        up = None
    return Position(north, east, up if up is not None and math.isfinite(up) and abs(up) < 1e5 else None)


def _check_date(date: Taken) -> Taken:
    zone = date.zone is None or (isinstance(date.zone, str) and re.fullmatch(r"[+-]\d\d:\d\d", date.zone))
    if not re.fullmatch(r"[0-9T:-]{19}", date.local) or date.source not in SOURCES or not zone:
        raise ValueError("invalid date")
    return date
