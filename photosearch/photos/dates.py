"""When a photo was taken, and how that is known: what a file says of itself, and what its name says.

Programs write the same moment in a dozen spellings; a camera whose clock was never set writes zeros or blanks. All
dates are local time as written, without the zone: YYYY-MM-DDTHH:MM:SS, midnight where only a day is known. A file's own
date is no date of a photo: copying sets it.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from PIL import Image

EXIF_IFD, DATE_TIME, DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED = 0x8769, 0x0132, 0x9003, 0x9004  # CIPA DC-008, 4.6.5
XMP_TAG, IPTC_TAG, IPTC_RESOURCE = 700, 33723, 0x0404  # in a TIFF; in Photoshop's block of a JPEG
SOURCES = ("DateTimeOriginal", "DateTimeDigitized", "xmp", "iptc", "DateTime")  # the best first
XMP_FIELDS = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate")  # Adobe's XMP specification, part 2
XMP_BYTES = 2**20  # what is longer is not searched
EARLIEST = 1826  # the first photograph

_DATE = re.compile(
    r"\s*(\d{4})\s*[:/.-]\s*(\d{1,2})\s*[:/.-]\s*(\d{1,2})(?!\d)(?:[T\s]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?", re.ASCII
)
_IN_NAME = re.compile(
    r"(?<!\d)(\d{4})([-_. ]?)(\d\d)\2(\d\d)"  # the same sign between both
    r"(?:(?:[-_. T]|\s?at\s?|\s?um\s?|\sa\sla\(s\)\s)*(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)(?:\d{3})?)?(?!\d)",
    re.ASCII,
)
_IPTC_DATE = re.compile(rb"\x1c\x02\x37\x00\x08(\d{4})(\d\d)(\d\d)")  # dataset 2:55, IIM 4.2
_IPTC_TIME = re.compile(rb"\x1c\x02\x3c\x00[\x06-\x0b](\d\d)(\d\d)(\d\d)")  # dataset 2:60


def find_taken(exif: Image.Exif, info: Mapping[str | tuple[int, int], object]) -> tuple[str | None, str | None]:
    """The date of the shot and where it stands (of SOURCES); None and None where nothing tells.

    exif, info: of an opened image, whose blocks may be damaged or made to harm.
    """
    for source, read in _PLACES.items():
        with contextlib.suppress(Exception):  # a broken block is no reason to lose the photo, or the next block
            for value in read(exif, info):
                if (date := parse(value)) is not None:
                    return date, source
    return None, None


def parse(value: object) -> str | None:
    """'2020:01:31 12:00:00', '2020-01-31T12:00:00.5+02:00', '2020/1/31', b' 2020.01.31 12:00' -> a date, or None."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    found = _DATE.match(text)
    return _date(*found.groups("0")) if found else None


def date_in_name(name: str) -> str | None:
    """'IMG_20190203_101112.jpg', 'IMG-20190203-WA0001.jpg', '2019-02-03 10.11.12.png' -> the date in it, or None."""
    for found in _IN_NAME.finditer(name):
        year, _, month, day, *time = found.groups("0")
        if "1970" <= year < "2100" and (date := _date(year, month, day, *time) or _date(year, month, day)) is not None:
            return date
    return None


def _date(year: str, month: str, day: str, hour: str = "0", minute: str = "0", second: str = "0") -> str | None:
    with contextlib.suppress(ValueError):
        # A leap second has no place in a datetime.
        date = datetime(int(year), int(month), int(day), int(hour), int(minute), 59 if second == "60" else int(second))
        return date.isoformat() if date.year >= EARLIEST else None
    return None


_Info = Mapping[str | tuple[int, int], object]


def _tag(tag: int) -> Callable[[Image.Exif, _Info], Iterator[object]]:
    """Reads one of EXIF's fields where it belongs, and where programs put it instead."""

    def read(exif: Image.Exif, info: _Info) -> Iterator[object]:
        for in_first in (True, False) if tag == DATE_TIME else (False, True):
            with contextlib.suppress(Exception):  # one directory is broken, and the other may not be
                yield exif.get(tag) if in_first else exif.get_ifd(EXIF_IFD).get(tag)

    return read


def _xmp(exif: Image.Exif, info: _Info) -> Iterator[object]:
    """As text, not as XML: a parser has no business in a stranger's file."""
    block = info.get("xmp") or info.get("XML:com.adobe.xmp") or exif.get(XMP_TAG) or b""
    text = block.decode("utf-8", "replace") if isinstance(block, bytes) else str(block)
    if len(text) <= XMP_BYTES:
        for field in XMP_FIELDS:
            # <rdf:Description exif:DateTimeOriginal="2019-..."> or <exif:DateTimeOriginal>2019-...
            yield from re.findall(rf"\b{field}\s*(?:=\s*[\"']|>)([^\"'<]{{1,40}})", text)


def _iptc(exif: Image.Exif, info: _Info) -> Iterator[object]:
    photoshop = info.get("photoshop")
    block = photoshop.get(IPTC_RESOURCE) if isinstance(photoshop, Mapping) else exif.get(IPTC_TAG)
    if isinstance(block, bytes) and (date := _IPTC_DATE.search(block)) is not None:
        time = _IPTC_TIME.search(block)
        at = b":".join(time.groups()) if time else b"00:00:00"
        yield b"-".join(date.groups()) + b" " + at


_PLACES = {
    "DateTimeOriginal": _tag(DATE_TIME_ORIGINAL),
    "DateTimeDigitized": _tag(DATE_TIME_DIGITIZED),
    "xmp": _xmp,
    "iptc": _iptc,
    "DateTime": _tag(DATE_TIME),
}
