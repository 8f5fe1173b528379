"""The time that a folder's name says: "Rome 2019", "2019-07-14 Wedding", "July 2019", 2019/07, "Winter 2018-19".

Pure: names in, days out. A year stands alone: "1920x1080" and "EOS 2000D" have none.
"""

import calendar
import re
from collections.abc import Sequence

from photosearch.metadata.dates import MIN_YEAR, MONTHS

END = "T23:59:59"  # of a day
_NUMBER = r"(0[1-9]|1[0-2])"
_DAY_NUMBER = r"(0[1-9]|[12][0-9]|3[01])"
_BEGINS, _IS_OVER = r"(?<![^\W_])", r"(?![^\W_])"
_YEAR = rf"{_BEGINS}((?:18|19|20)[0-9]{{2}})"
_MONTH_NAME = rf"{_BEGINS}({'|'.join(sorted(MONTHS, key=len, reverse=True))})"
_DAY = re.compile(rf"{_YEAR}([-_. ]?){_NUMBER}\2{_DAY_NUMBER}(?![0-9])")  # 2019-07-14, 20190714
_DAY_FIRST = re.compile(rf"{_BEGINS}(0?[1-9]|[12][0-9]|3[01])\.(0?[1-9]|1[0-2])\.{_YEAR}{_IS_OVER}")  # 14.7.2019
_MONTH = re.compile(rf"{_YEAR}[-_.]{_NUMBER}{_IS_OVER}")  # 2019-07
_WINTER = re.compile(rf"{_YEAR}[-–_]([0-9]{{2}}){_IS_OVER}")  # 2018-19
_NAMED = re.compile(rf"{_MONTH_NAME}[-_., ]*{_YEAR}{_IS_OVER}|{_YEAR}[-_., ]*{_MONTH_NAME}{_IS_OVER}")  # July 2019
_DECADE = re.compile(rf"{_BEGINS}((?:18|19|20)[0-9]0)'?s{_IS_OVER}")  # 1990s
_ALONE = re.compile(_YEAR + _IS_OVER)
_MONTH_ALONE = re.compile(rf"(?:{_NUMBER}(?:[-_. ]+[^\W\d_]+)?|([^\W\d_]+))\Z")  # 07, 07 July, July


def read_folder_dates(names: Sequence[str]) -> tuple[str, str] | None:
    """The first and the last second that a folder may be of, local time, YYYY-MM-DDTHH:MM:SS; None: none is said.

    names: of the folder, after those of the folders above it. The deepest that says any time counts.
    """
    folded = [name.casefold().strip() for name in names]
    for i in range(len(folded), 0, -1):
        if (found := _read_below_year(folded[:i]) or _read_name(folded[i - 1])) is not None:
            return found
    return None


def _read_below_year(names: Sequence[str]) -> tuple[str, str] | None:
    """2019/07 and 2019/07/14."""
    for depth in (2, 3):
        if len(names) < depth or not (year := re.fullmatch(_YEAR, names[-depth])):
            continue
        month = _MONTH_ALONE.match(names[1 - depth])
        number = 0 if month is None else int(month[1] or MONTHS.get(month[2], 0))
        day = re.fullmatch(_DAY_NUMBER, names[-1]) if depth == 3 else None
        if number and (depth == 2 or day):
            return _span(int(year[1]), number, int(day[1]) if day else 0)
    return None


def _read_name(name: str) -> tuple[str, str] | None:
    if (found := _DAY.search(name)) and (span := _span(int(found[1]), int(found[3]), int(found[4]))):
        return span
    if (found := _DAY_FIRST.search(name)) and (span := _span(int(found[3]), int(found[2]), int(found[1]))):
        return span
    if found := _NAMED.search(name):
        month, year, other_year, other_month = found.groups()
        return _span(int(year or other_year), MONTHS[month or other_month])
    if found := _MONTH.search(name):
        return _span(int(found[1]), int(found[2]))
    if (found := _WINTER.search(name)) and int(found[2]) == (int(found[1]) + 1) % 100:
        return _join(int(found[1]), int(found[1]) + 1)
    if found := _DECADE.search(name):
        return _join(int(found[1]), int(found[1]) + 9)
    years = [year for year in map(int, _ALONE.findall(name)) if year >= MIN_YEAR]
    return _join(min(years), max(years)) if years else None


def _join(first: int, last: int) -> tuple[str, str]:
    return f"{first}-01-01T00:00:00", f"{last}-12-31{END}"


def _span(year: int, month: int, day: int = 0) -> tuple[str, str] | None:
    last = calendar.monthrange(year, month)[1]
    if year < MIN_YEAR or day > last:
        return None
    return f"{year}-{month:02}-{day or 1:02}T00:00:00", f"{year}-{month:02}-{day or last:02}{END}"
