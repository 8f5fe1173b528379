"""One filter, or several, of a question: name and value -> what photos must be. filter_grammar.py joins them."""

import calendar
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from photosearch.errors import QueryError
from photosearch.library.filtering import IS, AllOf, Circle, Filter, FilterTree, Kind
from photosearch.search.date_phrases import FIRST_YEAR, find_date_phrases

DEFAULT_KM, MAX_KM = 25.0, 500.0
KINDS: tuple[Kind, ...] = (
    "in",
    "near",
    "taken",
    "camera",
    "lens",
    "keyword",
    "person",
    "rating",
    "folder",
    "text",
    "is",
    "album",
)
_JOINT_BEFORE = re.compile(r"(?:(?:and\b(?!\s+not\b)|&&?|[,;])\s*)+", re.I)
_JOINT_AFTER = re.compile(r"(?:\s*[,;&]|(?:^|\s+)and)+$", re.I)
_NUMBER = r"-?\d+(?:\.\d+)?"


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a question, which hold together. hints: what to tell of those that were read in plain words.

    since, until: ISO dates, inclusive, of the filters of dates, which the others leave out; None: open.
    """

    parts: tuple[FilterTree, ...] = ()
    since: str | None = None
    until: str | None = None
    hints: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As it can be typed: (in:Portugal or in:Spain) -person:Anna taken:2019-01-01..2019-12-31."""
        dates = [f"taken:{self.since or ''}..{self.until or ''}"] if self.since or self.until else []
        return " ".join([*map(str, self.parts), *dates])

    @property
    def has_trees(self) -> bool:
        """Whether any are joined by `or`."""
        return not all(isinstance(part, Filter) for part in self.parts)

    def add(self, *parts: FilterTree) -> "Filters":
        """These filters as well."""
        since, until, others = self.since, self.until, list(self.parts)
        for part in _flatten(parts):
            if isinstance(part, Filter) and part.kind == "taken" and part.wanted:
                since = max(filter(None, (since, part.days[0])), default=None)
                until = min(filter(None, (until, part.days[1])), default=None)
            elif part not in others:
                others.append(part)
        return replace(self, parts=tuple(others), since=since, until=until)

    def list_single(self, kind: Kind | None = None, *, wanted: bool = True) -> list[Filter]:
        """Those of a kind, None: all, that hold, or must not hold, for every photo."""
        single = [part for part in self.parts if isinstance(part, Filter)]
        return [part for part in single if part.wanted == wanted and kind in (None, part.kind)]

    def list_values(self, kind: Kind) -> list[str]:
        """The values that are wanted, as they were typed."""
        return [part.value for part in self.list_single(kind)]


def _flatten(parts: Iterable[FilterTree]) -> Iterator[FilterTree]:
    for part in parts:
        if isinstance(part, AllOf):
            yield from _flatten(part.parts)
        else:
            yield part


NO_FILTERS = Filters()


def join_pieces(pieces: Iterable[str]) -> str:
    """What is left of a text, without an `and` or comma that joins nothing any more."""
    text = ""
    for piece in pieces:
        piece = piece.strip()
        joined = _JOINT_BEFORE.match(piece)
        if not text or (joined and _JOINT_AFTER.search(text)):
            piece = piece[joined.end() :].lstrip() if joined else piece
        text = f"{text} {piece}".strip() if not piece.startswith((",", ";")) else text + piece
    return _JOINT_AFTER.sub("", text)


def make_filter(name: str, value: str, today: date) -> Filter:
    """A filter by its name (in, on, near, ...) and its value. Raises QueryError."""
    value = " ".join(value.split())
    if not any(map(str.isalnum, value)):
        raise QueryError(f"{name}: a value must follow at once, such as {_EXAMPLES[name]}; in quotes it stays words")
    kind: Kind = next((kind for kind in KINDS if kind == name), "taken")
    reader = _READERS.get(name)
    return Filter(kind, value) if reader is None else reader(value, today)


def _refuse(name: str, value: str, accepted: str) -> QueryError:
    return QueryError(f"{name}:{value} is not understood; {accepted}")


def _read_near(value: str, today: date) -> Filter:
    place, _, reach = value.partition("~")
    accepted = f"give a town or degrees, and up to {MAX_KM:g} km: near:Porto, near:Porto~5km, near:41.15,-8.61"
    number = re.fullmatch(rf"({_NUMBER})\s*(?:km)?", reach.strip(), re.IGNORECASE)
    km = float(number[1]) if number else DEFAULT_KM
    if (reach and not number) or not 0 < km <= MAX_KM:
        raise _refuse("near", value, accepted)
    degrees = re.fullmatch(rf"({_NUMBER})\s*,\s*({_NUMBER})", place.strip())
    if degrees:
        latitude, longitude = float(degrees[1]), float(degrees[2])
        if abs(latitude) > 90 or abs(longitude) > 180:
            raise _refuse("near", value, accepted)
        return Filter("near", value, circle=Circle(latitude, longitude, km))
    circle = find_town(place, km)
    if circle is None:
        raise _refuse("near", value, accepted)
    return Filter("near", value, circle=circle)


def find_town(name: str, km: float = DEFAULT_KM) -> Circle | None:
    """Around the most populous town of a name: Porto; Porto, Portugal. None where none is known."""
    from photosearch.metadata.places import fold_name, open_places  # numpy and the table

    town, *within = (fold_name(part) for part in name.split(","))
    for place in open_places().find(town):
        around = {fold_name(text) for text in (place.country, place.country_code, place.division)}
        if around.issuperset(within):
            return Circle(place.latitude, place.longitude, km)
    return None


def _read_rating(value: str, today: date) -> Filter:
    number = r"-1|[0-5](?:\.\d+)?"
    if found := re.fullmatch(rf"(>=|<=|>|<|=)?\s*({number})", value):
        sign, stars = found[1] or "=", float(found[2])
        low, high = stars if sign in (">=", ">", "=") else -1.0, stars if sign in ("<=", "<", "=") else 5.0
        step = 1e-6
        span = (low + step if sign == ">" else low, high - step if sign == "<" else high)
    elif found := re.fullmatch(rf"({number})?\.\.({number})?", value):
        span = (float(found[1] or -1), float(found[2] or 5))
    else:
        raise _refuse("rating", value, "give stars from 0 to 5, -1 for rejected: rating:5, rating:>=4, rating:3..5")
    return Filter("rating", value, stars=span)


def _read_taken(value: str, today: date) -> Filter:
    first, dots, last = value.partition("..")
    if found := re.fullmatch(r"(>=|<=|>|<)\s*(.+)", value):
        span = read_days(found[2], today)
        if span is not None:
            since, until = span
            days = {
                ">=": (since, None),
                "<=": (None, until),
                ">": (_shift(until, 1), None),
                "<": (None, _shift(since, -1)),
            }
            return Filter("taken", value, days=days[found[1]])
    elif dots and (first or last):
        begin = read_days(first, today) if first else (None, None)
        end = read_days(last, today) if last else (None, None)
        if begin is not None and end is not None:
            return Filter("taken", value, days=(begin[0], end[1]))
    elif (span := read_days(value, today)) is not None:
        return Filter("taken", value, days=span)
    raise _refuse(
        "taken", value, 'give a date or a range: taken:2019, taken:2019-05, taken:2019..2021, taken:"last summer"'
    )


def _read_on(value: str, today: date) -> Filter:
    span = read_days(value, today)
    if span is None or span[0] is None or span[0] != span[1]:
        raise _refuse("on", value, "give a day: on:2019-05-03")
    return Filter("taken", value, days=span)


def read_days(text: str, today: date) -> tuple[str | None, str | None] | None:
    """2019, 2019-05, 2019-05-03, or a date in words -> its first and its last day; None where it is no date."""
    for form, step in (("%Y", "year"), ("%Y-%m", "month"), ("%Y-%m-%d", "day")):
        try:
            first = datetime.strptime(text, form).date()
        except ValueError:
            continue
        if not FIRST_YEAR <= first.year < date.max.year:
            return None
        month = {"year": 12}.get(step, first.month)
        day = first.day if step == "day" else calendar.monthrange(first.year, month)[1]
        return first.isoformat(), first.replace(month=month, day=day).isoformat()
    phrases = find_date_phrases(text, today) or find_date_phrases(f"in {text}", today)
    if len(phrases) == 1 and phrases[0].end - phrases[0].start >= len(text):
        since, until = phrases[0].span.since, phrases[0].span.until
        return since.isoformat() if since else None, (until - timedelta(1)).isoformat() if until else None
    return None


def _shift(day: str | None, days: int) -> str | None:
    return day and (date.fromisoformat(day) + timedelta(days)).isoformat()


def _read_is(value: str, today: date) -> Filter:
    kind = value.lower().replace(" ", "-")
    kind = kind.rstrip("s") if kind.rstrip("s") in IS else kind
    if kind not in IS:
        raise _refuse("is", value, f"give one of {', '.join(IS)}")
    return Filter("is", kind)


_READERS: dict[str, Callable[[str, date], Filter]] = {
    "near": _read_near, "taken": _read_taken, "on": _read_on, "rating": _read_rating, "is": _read_is,
}  # fmt: skip
_EXAMPLES = {
    "in": "in:Portugal", "near": "near:Porto~5km", "taken": "taken:2019..2021", "on": "on:2019-05-03",
    "camera": "camera:iphone", "lens": "lens:50mm", "keyword": "keyword:cake", "person": "person:Anna",
    "rating": "rating:>=4", "folder": "folder:Rome", "text": 'text:"gate 14"', "is": "is:portrait",
    "album": 'album:"Rome 2019"',
}  # fmt: skip
