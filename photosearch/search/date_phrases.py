"""Dates in plain words: "the dog, two summers ago" -> the words that say when, and the days that they mean.

    in 2019   august 2021   in august   on 3 May 2020   2020-05-03   3.5.2020   the 1990s   the nineties   early 2019
    last summer   two summers ago   winter 2020/21   last christmas   easter 2019   last friday   yesterday
    three weeks ago   this month   since march   before 2015   after 2018   until may 2016   between 2015 and 2017

Conservative: a word that is also a thing (may, march, a season, a holiday, a number) is a date only where a year, a
preposition or `last` makes it one. "a street in winter" and "a christmas tree" say nothing about when. Whole spans:
"two years ago" is that calendar year. A month or a day without a year is the latest one that has begun.

Pure: text and a day in, spans out.
"""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from photosearch.metadata.dates import MONTHS

WEEKDAYS = {name.casefold(): i for i, name in enumerate(calendar.day_name)}
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}  # the first month, in the northern half
NUMBERS = {w: i for i, w in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)}
NUMBERS |= {"a": 1, "an": 1, "few": 3}
UNITS = {"day": "day", "week": "week", "weekend": "weekend", "month": "month", "year": "year", "christmas": "christmas",
         "christmases": "christmas", **{season: season for season in SEASONS}}  # fmt: skip
DECADES = {"twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70,
           "eighties": 80, "nineties": 90}  # fmt: skip
HOLIDAYS = {  # words -> name
    ("christmas", "eve"): "christmas eve", ("christmas", "day"): "christmas day", ("christmas",): "christmas",
    ("xmas",): "christmas", ("new", "year's", "eve"): "new year's eve", ("new", "years", "eve"): "new year's eve",
    ("new", "year's", "day"): "new year", ("new", "year"): "new year", ("new", "years"): "new year",
    ("easter",): "easter", ("halloween",): "halloween", ("thanksgiving",): "thanksgiving",
    ("valentine's", "day"): "valentine's day", ("valentines", "day"): "valentine's day",
}  # fmt: skip
PREPOSITIONS = ("in", "on", "at", "from", "during", "of", "around")
JOINTS = ("and", "or", "to", "until", "till", "-", "–", "with", "near", "by")
FIRST_YEAR = 1826  # of the oldest photograph that is known
_WORD = re.compile(r"[^\s,;]+")


@dataclass(frozen=True, slots=True)
class DateSpan:
    """Days, from `since` on and before `until`; None: open."""

    since: date | None = None
    until: date | None = None

    def intersect(self, other: "DateSpan") -> "DateSpan":
        """The days in both; empty where `since` is not before `until`."""
        since = max((d for d in (self.since, other.since) if d), default=None)
        return DateSpan(since, min((d for d in (self.until, other.until) if d), default=None))


@dataclass(frozen=True, slots=True)
class DatePhrase:
    """A phrase of a text, from `start` to `end` in characters, and the days that it means."""

    start: int
    end: int
    span: DateSpan


@dataclass(frozen=True, slots=True)
class _Found:
    """Words up to `end`, not included, that are a date. needs_preposition: whether they may mean something else."""

    end: int
    span: DateSpan
    needs_preposition: bool = False


def find_date_phrases(text: str, today: date, *, southern: bool = False) -> list[DatePhrase]:
    """The phrases of a text that say when, in order, not overlapping.

    today: the day that `last` and `ago` count from. southern: whether seasons are the southern hemisphere's.
    """
    matches = list(_WORD.finditer(text))
    words = [m[0].casefold().strip(".!?()") for m in matches]
    reader, phrases, i = _Reader(words, today, southern), [], 0
    while i < len(words):
        found = reader.read_phrase(i)
        if found is None:
            i += 1
            continue
        phrases.append(DatePhrase(matches[i].start(), matches[found.end - 1].end(), found.span))
        i = found.end
    return phrases


class _Reader:
    """Reads dates from words, which are in lower case. Each method: an index -> what begins there, None for nothing."""

    def __init__(self, words: Sequence[str], today: date, southern: bool):
        self.words, self.today, self.southern = words, today, southern

    def read_phrase(self, i: int) -> _Found | None:
        """A date with what leads to it: "taken in the summer of 2019"."""
        start = i
        if self._word(i) == "taken":
            i += 1
        if (bounded := self._read_bounded(i)) is not None:
            return bounded
        preposition = self._word(i) if self._word(i) in PREPOSITIONS else ""
        i += bool(preposition)
        i += self._word(i) == "the"
        found = self._read_relative(i) or self._read_point(i)
        if found is None:
            return None
        if preposition in ("", "of") and found.needs_preposition:
            # A year alone or at either end is a date: "dog 2019". Within a text it may be a number.
            is_year = found.end == i + 1 and _parse_year(self.words[i]) and i == start
            return found if is_year and (found.end == len(self.words) or i == 0) else None
        return found

    def _read_bounded(self, i: int) -> _Found | None:
        """since X, before X; between X and Y, from X to Y, 2015-2017."""
        word = self._word(i)
        if word in ("since", "before", "after", "until", "till"):
            point = self._read_point(i + 1 + (self._word(i + 1) == "the"))
            if point is None:
                return None
            since, until = point.span.since, point.span.until
            span = {"since": DateSpan(since), "after": DateSpan(until), "before": DateSpan(None, since)}
            return _Found(point.end, span.get(word, DateSpan(None, until)))
        if word in ("between", "from"):
            joints = ("and",) if word == "between" else ("to", "until", "till", "-", "–")
            return self._read_pair(i + 1, joints)
        if years := re.fullmatch(r"(\d{4})[-–](\d{4})", word):
            return self._join(i + 1, _parse_year(years[1]), _parse_year(years[2]))
        return self._read_pair(i, ("-", "–", "to")) if _parse_year(word) else None

    def _read_pair(self, i: int, joints: Sequence[str]) -> _Found | None:
        first = self._read_point(i)
        if first is None or self._word(first.end) not in joints:
            return None
        second = self._read_point(first.end + 1)
        if second is None:
            return None
        since, until = first.span.since, second.span.until
        if since is None or until is None or second.span.since is None:
            return None
        if first.needs_preposition and not _parse_year(self._word(i)):  # a month or day, which takes the second's year
            since = since.replace(year=second.span.since.year)
            since = since.replace(year=since.year - (since > second.span.since))
        return _Found(second.end, DateSpan(since, until)) if since < until else None

    def _join(self, end: int, first: int | None, last: int | None) -> _Found | None:
        if not first or not last or first > last:
            return None
        return _Found(end, DateSpan(date(first, 1, 1), date(last + 1, 1, 1)))

    def _read_relative(self, i: int) -> _Found | None:
        """last summer, this month, three weeks ago, yesterday."""
        word, today = self._word(i), self.today
        if word in ("yesterday", "today"):
            return _Found(i + 1, _days(today - timedelta(word == "yesterday"), 1))
        if self.words[i : i + 4] == ["day", "before", "yesterday"]:
            return _Found(i + 3, _days(today - timedelta(2), 1))
        if word in ("last", "past", "this", "previous"):
            named = self._read_named(i + 1)
            if named is not None:
                return _Found(named[0], self._relate(named[1], 0 if word == "this" else 1))
            return None
        count, i = self._read_count(i)
        unit = self._word(i)
        unit = UNITS.get(unit, UNITS.get(unit.removesuffix("s"), ""))
        if count and unit and self._word(i + 1) == "ago":
            return _Found(i + 2, self._relate(unit, count))
        return None

    def _read_count(self, i: int) -> tuple[int, int]:
        if self.words[i : i + 3] == ["a", "couple", "of"]:
            return 2, i + 3
        word = self._word(i)
        return (int(word) if word.isdecimal() and len(word) < 4 else NUMBERS.get(word, 0)), i + 1

    def _read_named(self, i: int) -> tuple[int, str] | None:
        """(the next word's index, a unit, month, weekday or holiday)."""
        if (holiday := self._read_holiday(i)) is not None:
            return holiday
        word = self._word(i)
        return (i + 1, word) if word in UNITS or word in MONTHS or word in WEEKDAYS else None

    def _read_holiday(self, i: int) -> tuple[int, str] | None:
        for n in (3, 2, 1):
            words = tuple(self.words[i : i + n])
            if len(words) == n and words in HOLIDAYS:
                return i + n, HOLIDAYS[words]
        return None

    def _relate(self, name: str, back: int) -> DateSpan:
        """What a name means that many times ago; 0: the current one, 1: the last one that is over."""
        today = self.today
        if name == "day":
            return _days(today - timedelta(back), 1)
        if name in ("week", "weekend"):
            monday = today - timedelta(today.weekday() + 7 * back)
            return _days(monday, 7) if name == "week" else _days(monday + timedelta(5), 2)
        if name == "month":
            months = today.year * 12 + today.month - 1 - back
            return _month(months // 12, months % 12 + 1)
        if name == "year":
            return _years(today.year - back, 1)
        if name in WEEKDAYS:
            ago = (today.weekday() - WEEKDAYS[name]) % 7
            return _days(today - timedelta(ago or 7 * back), 1)
        spans = [self._in_year(name, year) for year in range(today.year + 1, today.year - back - 3, -1)]
        if back == 0:  # this summer, this august: the one of this year, or the one that has begun
            begun = [s for s in spans if s.since is not None and s.since <= today]
            ahead = self._in_year(name, today.year)
            return begun[0] if begun and begun[0].until and begun[0].until > today else ahead
        over = [s for s in spans if s.until is not None and s.until <= today]
        return over[back - 1] if back <= len(over) else DateSpan(date.min, date.min)

    def _in_year(self, name: str, year: int) -> DateSpan:
        """A season, month or holiday of a year; a winter begins in it."""
        if name in MONTHS:
            return _month(year, MONTHS[name])
        if name in SEASONS:
            first = (SEASONS[name] + 5) % 12 + 1 if self.southern else SEASONS[name]
            return _months(year, first, 3)
        return _holiday(name, year)

    def _read_point(self, i: int) -> _Found | None:
        """A day, month, season, holiday, year or decade that is named."""
        return self._read_numeric(i) or self._read_day(i) or self._read_month(i) or self._read_special(i)

    def _read_numeric(self, i: int) -> _Found | None:
        """2020, 2020-05, 2020-05-03, 3.5.2020, 1990s, '90s."""
        word = self._word(i)
        if year := _parse_year(word):
            return _Found(i + 1, _years(year, 1), needs_preposition=True)
        if m := re.fullmatch(r"(\d{4})[-/](\d{1,2})(?:[-/](\d{1,2}))?", word):
            year, month, day = _parse_year(m[1]), int(m[2]), int(m[3] or 0)
        elif m := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", word):
            year, month, day = _parse_year(m[3]), int(m[2]), int(m[1])
        elif (m := re.fullmatch(r"(\d{4})'?s", word)) and _parse_year(m[1]) and m[1][3] == "0":
            return _Found(i + 1, _years(int(m[1]), 10))
        else:
            return self._read_decade(i)
        if not year or not 1 <= month <= 12:
            return None
        if not day:
            return _Found(i + 1, _month(year, month))
        return self._make_day(i + 1, year, month, day)

    def _read_decade(self, i: int) -> _Found | None:
        word = self._word(i)
        short = re.fullmatch(r"['’]?([2-9])0['’]?s", word)
        number = int(short[1]) * 10 if short else DECADES.get(word)
        if number is None:
            return None
        century = self.today.year // 100 * 100
        first = century + number if century + number <= self.today.year else century - 100 + number
        return _Found(i + 1, _years(first, 10), needs_preposition=True)

    def _read_day(self, i: int) -> _Found | None:
        """3 May 2020, 3rd of may, may 3rd, 2020."""
        day, month, end = _parse_day(self._word(i)), 0, i + 1
        if day:
            end += self._word(end) == "of"
            month, end = MONTHS.get(self._word(end), 0), end + 1
        elif month := MONTHS.get(self._word(i), 0):
            day, end = _parse_day(self._word(i + 1)), i + 2
        if not day or not month:
            return None
        if year := _parse_year(self._word(end)):
            return self._make_day(end + 1, year, month, day)
        found = self._make_day(end, self._latest(month, day).year, month, day)
        return found and _Found(found.end, found.span, needs_preposition=True)

    def _make_day(self, end: int, year: int, month: int, day: int) -> _Found | None:
        try:
            return _Found(end, _days(date(year, month, day), 1))
        except ValueError:
            return None

    def _latest(self, month: int, day: int) -> date:
        """The first day of the latest such month whose day has come."""
        passed = (month, day) <= (self.today.month, self.today.day)
        return date(self.today.year - (not passed), month, 1)

    def _read_month(self, i: int) -> _Found | None:
        """may 2020, summer of 2019, winter 2020/21, early 2019, in may."""
        word, end = self._word(i), i + 1
        if word in ("early", "mid", "late") and (year := _parse_year(self._word(end))):
            return _Found(end + 1, _months(year, {"early": 1, "mid": 5, "late": 9}[word], 4))
        if word not in MONTHS and word not in SEASONS:
            return None
        after = end + (self._word(end) == "of")
        span = re.fullmatch(r"(\d{4})[/–-](\d{2}|\d{4})", self._word(after))
        year = _parse_year(span[1] if span else self._word(after))
        if year and not (span and word in MONTHS):
            return _Found(after + 1, self._in_year(word, year))
        if word in SEASONS:
            return None
        if word in ("may", "march") and self._word(end) not in ("", *PREPOSITIONS, *JOINTS):
            return None  # in may trees
        return _Found(end, _month(self._latest(MONTHS[word], 1).year, MONTHS[word]), needs_preposition=True)

    def _read_special(self, i: int) -> _Found | None:
        """christmas 2018, easter of 2020."""
        named = self._read_holiday(i)
        if named is None:
            return None
        end = named[0] + (self._word(named[0]) in ("of", "in"))
        year = _parse_year(self._word(end))
        return _Found(end + 1, _holiday(named[1], year)) if year else None

    def _word(self, i: int) -> str:
        return self.words[i] if 0 <= i < len(self.words) else ""


def _parse_year(word: str) -> int | None:
    return int(word) if re.fullmatch(r"(18|19|20)\d\d", word) and int(word) >= FIRST_YEAR else None


def _parse_day(word: str) -> int:
    match = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?", word)
    return int(match[1]) if match and 1 <= int(match[1]) <= 31 else 0


def _days(first: date, n: int) -> DateSpan:
    return DateSpan(first, first + timedelta(n))


def _month(year: int, month: int) -> DateSpan:
    return _months(year, month, 1)


def _months(year: int, month: int, n: int) -> DateSpan:
    after = year * 12 + month - 1 + n
    return DateSpan(date(year, month, 1), date(after // 12, after % 12 + 1, 1))


def _years(year: int, n: int) -> DateSpan:
    return DateSpan(date(year, 1, 1), date(year + n, 1, 1))


def _holiday(name: str, year: int) -> DateSpan:
    """christmas: 24 to 26 December; new year: 31 December before it and 1 January; easter: Good Friday to Monday."""
    if name == "easter":
        return _days(_easter(year) - timedelta(2), 4)
    if name == "thanksgiving":  # the fourth Thursday of November, in the United States
        first = date(year, 11, 1)
        return _days(first + timedelta((3 - first.weekday()) % 7 + 21), 1)
    days = {
        "christmas": (date(year, 12, 24), 3), "christmas eve": (date(year, 12, 24), 1),
        "christmas day": (date(year, 12, 25), 1), "new year's eve": (date(year, 12, 31), 1),
        "new year": (date(year - 1, 12, 31), 2), "halloween": (date(year, 10, 31), 1),
        "valentine's day": (date(year, 2, 14), 1),
    }  # fmt: skip
    return _days(*days[name])


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (anonymous algorithm, Nature, 20 April 1876)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)
