"""When a photo was taken, according to its metadata or its name.

Programs write dates in a dozen formats; a camera whose clock was never set writes zeros or blanks. All dates are local
time as written, without a time zone: YYYY-MM-DDTHH:MM:SS, midnight if only the day is known. The file's own
modification time doesn't count: copying sets it.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from PIL import Image

EXIF_IFD, DATE_TIME, DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED = 0x8769, 0x0132, 0x9003, 0x9004  # CIPA DC-008, 4.6.5
XMP_TAG, IPTC_TAG = 700, 33723  # of a TIFF
IPTC_RESOURCE = 0x0404  # of Photoshop's block in a JPEG
SOURCES = ("DateTimeOriginal", "DateTimeDigitized", "xmp", "iptc", "DateTime")  # best first
XMP_FIELDS = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate")  # Adobe's XMP specification, part 2
MAX_XMP_CHARACTERS = 2**20  # longer packets are not searched
MIN_YEAR = 1826  # of the first photograph

_DATE = re.compile(
    r"\s*(\d{4})\s*[:/.-]\s*(\d{1,2})\s*[:/.-]\s*(\d{1,2})(?!\d)(?:[T\s]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?", re.ASCII
)
_IN_NAME = re.compile(
    r"(?<!\d)(\d{4})([-_. ]?)(\d\d)\2(\d\d)"  # the same separator twice
    r"(?:(?:[-_. T]|\s?at\s?|\s?um\s?|\sa\sla\(s\)\s)*(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)(?:\d{3})?)?(?!\d)",
    re.ASCII,
)
_IPTC_DATE = re.compile(rb"\x1c\x02\x37\x00\x08(\d{4})(\d\d)(\d\d)")  # dataset 2:55, IIM 4.2
_IPTC_TIME = re.compile(rb"\x1c\x02\x3c\x00[\x06-\x0b](\d\d)(\d\d)(\d\d)")  # dataset 2:60


def find_taken(exif: Image.Exif, info: Mapping[str | tuple[int, int], object]) -> tuple[str | None, str | None]:
    """When a photo was taken, and from which of SOURCES that is known; None and None if it isn't.

    exif, info: of an opened image; their blocks may be damaged or malicious.
    """
    for source, read in _READERS.items():
        with contextlib.suppress(Exception):  # a broken block must not lose the photo, or the next block
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
        return date.isoformat() if date.year >= MIN_YEAR else None
    return None


_Info = Mapping[str | tuple[int, int], object]  # Pillow's Image.info


def _tag(tag: int) -> Callable[[Image.Exif, _Info], Iterator[object]]:
    """A reader of one EXIF field, from the IFD where it belongs and from the one where some programs put it."""

    def read(exif: Image.Exif, info: _Info) -> Iterator[object]:
        for in_first in (True, False) if tag == DATE_TIME else (False, True):
            with contextlib.suppress(Exception):  # if one IFD is broken, the other may not be
                yield exif.get(tag) if in_first else exif.get_ifd(EXIF_IFD).get(tag)

    return read


def _xmp(exif: Image.Exif, info: _Info) -> Iterator[object]:
    """Found by regular expressions: no XML parser is let loose on a stranger's file."""
    block = info.get("xmp") or info.get("XML:com.adobe.xmp") or exif.get(XMP_TAG) or b""
    text = block.decode("utf-8", "replace") if isinstance(block, bytes) else str(block)
    if len(text) <= MAX_XMP_CHARACTERS:
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


_READERS = {
    "DateTimeOriginal": _tag(DATE_TIME_ORIGINAL),
    "DateTimeDigitized": _tag(DATE_TIME_DIGITIZED),
    "xmp": _xmp,
    "iptc": _iptc,
    "DateTime": _tag(DATE_TIME),
}
