"""When a photo was taken: dates as cameras, programs and people write them, and which of several counts.

A camera whose clock was never set writes zeros or blanks. Dates are local time as written, YYYY-MM-DDTHH:MM:SS, with
midnight where only the day is known; the zone is kept apart. The file's own modification time doesn't count: copying
sets it.
"""

import calendar
import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Of equal rank in this order. What says when the picture was made comes before what says when the file was.
SOURCES = ("sidecar", "DateTimeOriginal", "xmp", "iptc", "takeout", "DateTimeDigitized", "DateTime", "gps")
SIDECAR_SOURCES = ("sidecar", "takeout")  # of files beside the photo
UTC_SOURCES = ("takeout", "gps")  # they hold no local time
MAX_OFFSET = timedelta(hours=15)  # of a local time from UTC, with a clock that is an hour wrong
MIN_YEAR = 1826  # of the first photograph
MONTHS = {name.casefold(): i for i, name in enumerate(calendar.month_name) if name}
MONTHS |= {name.casefold(): i for i, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
YEAR, MONTH, DAY, SECOND = 4, 7, 10, 19  # characters of a date that are known

_DATE = re.compile(
    r"\s*([0-9]{4})\s*[:/.-]\s*([0-9]{1,2})\s*[:/.-]\s*([0-9]{1,2})(?![0-9])"
    r"(?:[T\s]+([0-9]{1,2})\s*:\s*([0-9]{1,2})(?:\s*:\s*([0-9]{1,2})(?:[.,][0-9]{0,9})?)?"
    r"(?:\s*([AaPp])\.?[Mm]\b)?(?:\s*(Z|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
_PART = re.compile(r"\s*([0-9]{4})(?:[:/.-]?([0-9]{2})(?:[:/.-]?00)?)?[\sT0:]*\Z")  # 1985, 1985-06, 19850000
_ZONE = re.compile(r"\s*(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))")
_IN_NAME = re.compile(
    r"(?<![0-9])([0-9]{4})([-_. ]?)([0-9]{2})\2([0-9]{2})"  # the same separator twice
    # What programs in a dozen languages put between the day and the time of a screenshot, 下午 being "afternoon".
    r"(?:(?:[-_.\sT,]|at|um|à|alle|klo?|om|в|as|às|a\sla\(s\)|a\slas?|o|w|上午|午前|오전|(下午|午後|오후))*"
    r"([0-9]{2}|[0-9](?=[.:]))[-_.:h]?([0-9]{2})[-_.:m]?([0-9]{2})(?:[0-9]{3})?(?:\s?([AaPp])\.?[Mm](?![A-Za-z]))?)?(?![0-9])"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A date that a photo's metadata gives.

    local: YYYY-MM-DDTHH:MM:SS. source: one of SOURCES. zone: +HH:MM, or None. known: how many of its characters are
    known: YEAR, MONTH, DAY or SECOND. made: whether it says when the picture was made, not when its file was.
    """

    local: str
    source: str
    zone: str | None = None
    known: int = SECOND
    made: bool = True


def read_date(value: object, source: str, *, made: bool = True, partial: bool = False) -> Taken | None:
    """A date as written, or None: '2020:01:31 12:00:00', '2020-01-31T12:00:00.5+02:00', b' 2020/1/31 3:05 PM'.

    partial: '1985' and '1985-06' are dates too, as XMP and IPTC allow.
    """
    text = (value.decode("latin-1") if isinstance(value, bytes) else str(value))[:100]
    found = _DATE.match(text)
    if found is not None and (date := _date(*found.groups("")[:7])) is not None:
        known = SECOND if found[4] else DAY
        return Taken(date, source, read_zone(found[8]), known, made)
    if (part := _PART.match(text) if partial else None) is None:
        return None
    month = part[2] if part[2] and part[2] != "00" else ""
    date = _date(part[1], month)
    return None if date is None else Taken(date, source, None, MONTH if month else YEAR, made)


def read_zone(text: object) -> str | None:
    """'Z', '+02:00', '-0330' -> +HH:MM, or None."""
    found = _ZONE.match(text) if isinstance(text, str) else None
    if found is None:
        return None
    return "+00:00" if found[1] else f"{found[2]}{found[3]}:{found[4]}"


def from_timestamp(seconds: float, source: str) -> Taken | None:
    """Seconds since 1970, UTC -> a date; None for 0, which means unknown, and where no such year exists."""
    with contextlib.suppress(OverflowError, ValueError):
        date = datetime(1970, 1, 1) + timedelta(seconds=int(seconds))
        if seconds and date.year >= MIN_YEAR:
            return Taken(date.isoformat(), source, "+00:00")
    return None


def choose_date(dates: Iterable[Taken], name: str = "") -> Taken | None:
    """The date that counts, or None: then the one in the file's name does. name: of the file, without its folder.

    The first by rank. One in UTC gives way to a local time that can be the same moment, in the name too; one of which
    only the year or day is known, to one with a time within it.
    """
    ranked = sorted(dates, key=lambda date: (not date.made, SOURCES.index(date.source)))
    if not ranked:
        return None
    first = ranked[0]
    if first.source in UTC_SOURCES:
        local = [date for date in ranked if date.source not in UTC_SOURCES and date.known == SECOND]
        same = next((date for date in local if _is_near(date.local, first.local)), None)
        if same is None and (named := date_in_name(name)) is not None and not named.endswith("T00:00:00"):
            return None if _is_near(named, first.local) else first
        return same or first
    if first.known < SECOND:
        within = (d for d in ranked if d.known > first.known and d.local[: first.known] == first.local[: first.known])
        return max(within, key=lambda date: date.known, default=first)
    return first


def date_in_name(name: str) -> str | None:
    """'IMG_20190203_101112.jpg', 'IMG-20190203-WA0001.jpg', '2019-02-03 10.11.12.png' -> the date in it, or None."""
    for found in _IN_NAME.finditer(name[:300]):
        year, _, month, day, afternoon, hour, minute, second, half = found.groups("")
        half = "p" if afternoon else half
        if "1970" <= year < "2100":
            date = _date(year, month, day, hour, minute, second, half) or _date(year, month, day)
            if date is not None:
                return date
    return None


def to_seconds(local: str) -> int:
    """Since 1970, as if a local date were in UTC: to be compared with one another, and roughly with a file's."""
    return int(datetime.fromisoformat(local).replace(tzinfo=UTC).timestamp())


def _is_near(one: str, other: str) -> bool:
    return abs(datetime.fromisoformat(one) - datetime.fromisoformat(other)) <= MAX_OFFSET


def _date(
    year: str, month: str = "", day: str = "", hour: str = "", minute: str = "", second: str = "", half: str = ""
) -> str | None:
    """half: a or p, of a clock of 12 hours."""
    with contextlib.suppress(ValueError, OverflowError):
        hours = int(hour or 0)
        if half and 1 <= hours <= 12:
            hours = hours % 12 + 12 * (half in "pP")
        if hours == 24 and (minute or "0").strip("0") == (second or "0").strip("0") == "":  # the end of the day
            return _add_day(_date(year, month, day))
        seconds = 59 if second == "60" else int(second or 0)  # a leap second has no place in a datetime
        date = datetime(int(year), int(month or 1), int(day or 1), hours, int(minute or 0), seconds)
        return date.isoformat() if date.year >= MIN_YEAR else None
    return None


def _add_day(date: str | None) -> str | None:
    return None if date is None else (datetime.fromisoformat(date) + timedelta(days=1)).isoformat()
