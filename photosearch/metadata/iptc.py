"""IPTC-IIM: what newspapers' programs, Picasa and older ones write into JPEGs.

Its standard is the IPTC-NAA Information Interchange Model, version 4.2. A block is a row of datasets: 0x1C, record,
number, length (2 bytes; or, with the top bit set, the length of the length), value. Names below are the standard's.
"""

import re
from collections import defaultdict

from photosearch.metadata.dates import Taken, read_date
from photosearch.metadata.record import PhotoMetadata, clean_name, clean_names, clean_text

MAX_BYTES = 1 << 21
UTF_8 = b"\x1b%G"  # the value of 1:90, the coded character set
TITLE, KEYWORDS, DATE, TIME, SCAN_DATE, SCAN_TIME = 5, 25, 55, 60, 62, 63
CITY, STATE, COUNTRY, CAPTION = 90, 95, 101, 120

_TIME = re.compile(r"(\d\d)(\d\d)(\d\d)?([+-]\d{4})?", re.ASCII)


def read_iptc(block: bytes) -> PhotoMetadata:
    """A block of any content: what is damaged ends the reading, and what came before it counts."""
    values = _read_datasets(block[:MAX_BYTES])
    first = {number: texts[0] for number, texts in values.items()}
    dates = (_read_date(first.get(DATE), first.get(TIME), True),
             _read_date(first.get(SCAN_DATE), first.get(SCAN_TIME), False))  # fmt: skip
    return PhotoMetadata(
        keywords=clean_names(values.get(KEYWORDS, ())), title=clean_name(first.get(TITLE)),
        caption=clean_text(first.get(CAPTION)), dates=tuple(filter(None, dates)),
        city=clean_name(first.get(CITY)), state=clean_name(first.get(STATE)), country=clean_name(first.get(COUNTRY)),
    )  # fmt: skip


def _read_datasets(block: bytes) -> dict[int, list[str]]:
    """The datasets of record 2: number -> texts."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    utf_8, at = False, block.find(b"\x1c")
    while 0 <= at <= len(block) - 5 and block[at] == 0x1C:
        record, number, length = block[at + 1], block[at + 2], int.from_bytes(block[at + 3 : at + 5], "big")
        at += 5
        if length & 0x8000:
            size = length & 0x7FFF
            if size > 4:
                break
            length, at = int.from_bytes(block[at : at + size], "big"), at + size
        if at + length > len(block):
            break
        value, at = block[at : at + length], at + length
        if (record, number) == (1, 90):
            utf_8 = value == UTF_8
        elif record == 2:
            found[number].append(_decode(value, utf_8))
    return found


def _decode(value: bytes, utf_8: bool) -> str:
    """Programs write UTF-8 without saying so, and Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("utf-8" if utf_8 else "cp1252", "replace")


def _read_date(day: str | None, time: str | None, made: bool) -> Taken | None:
    """'20030704' and '101112+0200'. Parts that are not known are zeros."""
    if day is None:
        return None
    found = _TIME.match(time or "")
    text = f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 else day
    if found is not None:
        text += f" {found[1]}:{found[2]}:{found[3] or '00'}{found[4] or ''}"
    return read_date(text, "iptc", made=made, partial=True) or read_date(day, "iptc", made=made, partial=True)
