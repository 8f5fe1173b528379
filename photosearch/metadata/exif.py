"""EXIF tags to a record, Windows' own included. Which bytes are a tag is the business of who opens the file.

Tags: CIPA DC-008; Windows writes its Properties dialog to 0x9C9B and those after it, as UTF-16.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from photosearch.metadata.dates import Taken, read_date, read_zone
from photosearch.metadata.record import (
    PhotoMetadata,
    Position,
    clean_amount,
    clean_name,
    clean_names,
    clean_rating,
    clean_text,
    make_position,
    rate_percent,
)

DESCRIPTION, MAKE, MODEL, DATE_TIME, ORIENTATION = 0x010E, 0x010F, 0x0110, 0x0132, 0x0112
RATING, RATING_PERCENT = 0x4746, 0x4749
XP_TITLE, XP_COMMENT, XP_KEYWORDS, XP_SUBJECT = 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F
ORIGINAL, DIGITIZED, OFFSET, OFFSET_ORIGINAL, OFFSET_DIGITIZED = 0x9003, 0x9004, 0x9010, 0x9011, 0x9012
USER_COMMENT, LENS_MODEL = 0x9286, 0xA434
EXPOSURE_TIME, F_NUMBER, ISO, FOCAL_LENGTH = 0x829A, 0x829D, 0x8827, 0x920A
# Of the first directory and of EXIF's own: programs mix them up.
TAGS = (DESCRIPTION, MAKE, MODEL, DATE_TIME, RATING, RATING_PERCENT, XP_TITLE, XP_COMMENT, XP_KEYWORDS, XP_SUBJECT,
        ORIGINAL, DIGITIZED, OFFSET, OFFSET_ORIGINAL, OFFSET_DIGITIZED, USER_COMMENT, LENS_MODEL,
        EXPOSURE_TIME, F_NUMBER, ISO, FOCAL_LENGTH)  # fmt: skip
GPS_TAGS = (LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE, ALTITUDE_REF, ALTITUDE, GPS_TIME, GPS_DATE) = (
    1, 2, 3, 4, 5, 6, 7, 29,
)  # fmt: skip
CHARSETS = {b"ASCII\0\0\0": "utf-8", b"JIS\0\0\0\0\0": "iso2022_jp", b"\0\0\0\0\0\0\0\0": "utf-8"}  # of UserComment
CAMERAS_CAPTIONS = frozenset(  # what cameras write where a caption belongs
    {"sony dsc", "dcf 1.0", "exif_jpeg_picture", "samsung camera pictures", "default", "untitled", "jpeg", "dsc", "dig",
     "binary comment", "gcm_tag"}
)  # fmt: skip
CAMERAS_NAME = re.compile(r"(?:konica )?(?:\w+ )?digital (?:still )?camera")  # "Olympus digital camera"

Tags = Mapping[int, Any]


def read_exif(first: Tags, own: Tags, gps: Tags) -> PhotoMetadata:
    """first: the first directory, with what describes the image; own: EXIF's; gps: the one of positions.

    Values as Pillow gives them: str, bytes, int, float, or tuples of these; any may be nonsense.
    """
    both = {**first, **own}
    title = _decode_xp(both.get(XP_TITLE))
    caption = _read_caption(both.get(DESCRIPTION)) or _read_comment(both.get(USER_COMMENT))
    keywords = _decode_xp(both.get(XP_KEYWORDS)) or ""
    return PhotoMetadata(
        keywords=clean_names(keywords.split(";")),
        rating=clean_rating(both.get(RATING)) or rate_percent(both.get(RATING_PERCENT)),
        title=clean_name(title),
        caption=caption or clean_text(_decode_xp(both.get(XP_COMMENT))) or clean_text(_decode_xp(both.get(XP_SUBJECT))),
        dates=tuple(_read_dates(first, own, gps)), position=_read_position(gps),
        make=clean_name(_fix(both.get(MAKE))), model=clean_name(_fix(both.get(MODEL))),
        lens=_read_lens(both.get(LENS_MODEL)), exposure_seconds=_read_amount(both.get(EXPOSURE_TIME)),
        aperture=_read_amount(both.get(F_NUMBER)), iso=_read_amount(both.get(ISO)),
        focal_length=_read_amount(both.get(FOCAL_LENGTH)),
    )  # fmt: skip


def _read_dates(first: Tags, own: Tags, gps: Tags) -> list[Taken]:
    found = []
    for tag, offset, source, made in (
        (ORIGINAL, OFFSET_ORIGINAL, "DateTimeOriginal", True),
        (DIGITIZED, OFFSET_DIGITIZED, "DateTimeDigitized", False),
        (DATE_TIME, OFFSET, "DateTime", False),
    ):
        zone = read_zone(own.get(offset) or first.get(offset))
        for tags in (first, own) if tag == DATE_TIME else (own, first):
            if (date := read_date(tags.get(tag), source)) is not None:
                found.append(Taken(date.local, source, date.zone or zone, date.known, made))
                break
    found += filter(None, [_read_gps_date(gps)])
    return found


def _read_gps_date(gps: Tags) -> Taken | None:
    """GPSDateStamp and GPSTimeStamp, in UTC."""
    day, time = gps.get(GPS_DATE), _numbers(gps.get(GPS_TIME), 3)
    if day is None:
        return None
    clock = "" if time is None else " {:02d}:{:02d}:{:02d}".format(*(int(part) for part in time))
    date = read_date(f"{_fix(day)}"[:10] + clock, "gps")
    return date and Taken(date.local, "gps", "+00:00", date.known, False)


def _read_position(gps: Tags) -> Position | None:
    latitude, longitude = (_numbers(gps.get(tag), 3) for tag in (LATITUDE, LONGITUDE))
    if latitude is None or longitude is None:
        return None
    north, east = (degrees + minutes / 60 + seconds / 3600 for degrees, minutes, seconds in (latitude, longitude))
    south, west = _letter(gps.get(LATITUDE_REF)) == "S", _letter(gps.get(LONGITUDE_REF)) == "W"
    up = _numbers(gps.get(ALTITUDE), 1)
    below = gps.get(ALTITUDE_REF) in (1, b"\x01")
    return make_position(
        -north if south else north, -east if west else east, None if up is None else -up[0] if below else up[0]
    )


def _numbers(value: object, n: int) -> list[float] | None:
    """n finite numbers, the missing ones 0; None if the first is missing or one is none."""
    values: list[Any] = list(value) if isinstance(value, tuple | list) else [value]
    try:
        numbers = [float(number) for number in values[:n]]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    finite = bool(numbers) and all(math.isfinite(number) for number in numbers)
    return numbers + [0.0] * (n - len(numbers)) if finite else None


def _read_amount(value: object) -> float | None:
    numbers = _numbers(value, 1)
    return None if numbers is None else clean_amount(numbers[0])


def _letter(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    return text.strip()[:1].upper()


def _fix(value: object) -> str | None:
    """A text: EXIF's are ASCII, which Pillow reads as Latin-1; many programs write UTF-8."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return None
    text = text[:100_000].partition("\0")[0]
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _read_caption(value: object) -> str | None:
    text = clean_text(_fix(value))
    said = "" if text is None else " ".join(text.split()).casefold()
    return None if said in CAMERAS_CAPTIONS or CAMERAS_NAME.fullmatch(said) else text


def _read_lens(value: object) -> str | None:
    text = clean_name(_fix(value))
    return text if text is not None and any(c.isalnum() for c in text) else None  # some write ---


def _read_comment(value: object) -> str | None:
    """UserComment: eight bytes that name the character set, then the text."""
    if not isinstance(value, bytes):
        return None
    head, text = value[:8], value[8:200_000]
    if head == b"UNICODE\0":
        # Of either byte order, whatever the rest of the block has: zeros are the upper bytes.
        little = text[1::2].count(0) >= text[::2].count(0)
        return _read_caption(text.decode("utf-16-le" if little else "utf-16-be", "replace"))
    return _read_caption(text.decode(CHARSETS[head], "replace")) if head in CHARSETS else None


def _decode_xp(value: object) -> str | None:
    data = bytes(n & 255 for n in value if isinstance(n, int)) if isinstance(value, tuple) else value
    return data[:200_000].decode("utf-16-le", "replace").partition("\0")[0] if isinstance(data, bytes) else None
