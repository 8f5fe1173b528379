"""Dates in plain words: what each phrase means, and what is no date."""

from datetime import date

import pytest

from photosearch.search.date_phrases import find_date_phrases

TODAY = date(2026, 11, 30)  # a Monday

PHRASES = [  # sentence, what remains, since, until (exclusive)
    ("dog in 2019", "dog", "2019-01-01", "2020-01-01"),
    ("dog 2019", "dog", "2019-01-01", "2020-01-01"),
    ("2019 dog", "dog", "2019-01-01", "2020-01-01"),
    ("2019", "", "2019-01-01", "2020-01-01"),
    ("august 2021", "", "2021-08-01", "2021-09-01"),
    ("the beach in august", "the beach", "2026-08-01", "2026-09-01"),
    ("the beach in december", "the beach", "2025-12-01", "2026-01-01"),
    ("a cake in May", "a cake", "2026-05-01", "2026-06-01"),
    ("anna may 2020", "anna", "2020-05-01", "2020-06-01"),
    ("a cake on 3 May 2020", "a cake", "2020-05-03", "2020-05-04"),
    ("a cake on May 3rd, 2020", "a cake", "2020-05-03", "2020-05-04"),
    ("a cake on the 3rd of may", "a cake", "2026-05-03", "2026-05-04"),
    ("a cake on 24 december", "a cake", "2025-12-24", "2025-12-25"),
    ("a cake 2020-05-03", "a cake", "2020-05-03", "2020-05-04"),
    ("a cake on 3.5.2020", "a cake", "2020-05-03", "2020-05-04"),
    ("2020-05 snow", "snow", "2020-05-01", "2020-06-01"),
    ("last summer", "", "2026-06-01", "2026-09-01"),
    ("the dog, two summers ago", "the dog", "2025-06-01", "2025-09-01"),
    ("dog on the beach last winter", "dog on the beach", "2025-12-01", "2026-03-01"),
    ("summer of 2019 lake", "lake", "2019-06-01", "2019-09-01"),
    ("in the summer of 2019", "", "2019-06-01", "2019-09-01"),
    ("skiing winter 2020/21", "skiing", "2020-12-01", "2021-03-01"),
    ("skiing in winter 2020", "skiing", "2020-12-01", "2021-03-01"),
    ("two years ago", "", "2024-01-01", "2025-01-01"),
    ("food last year", "food", "2025-01-01", "2026-01-01"),
    ("food this year", "food", "2026-01-01", "2027-01-01"),
    ("a year ago", "", "2025-01-01", "2026-01-01"),
    ("three weeks ago", "", "2026-11-09", "2026-11-16"),
    ("a couple of months ago", "", "2026-09-01", "2026-10-01"),
    ("last month", "", "2026-10-01", "2026-11-01"),
    ("yesterday", "", "2026-11-29", "2026-11-30"),
    ("10 days ago", "", "2026-11-20", "2026-11-21"),
    ("last weekend", "", "2026-11-28", "2026-11-30"),
    ("last week", "", "2026-11-23", "2026-11-30"),
    ("last friday", "", "2026-11-27", "2026-11-28"),
    ("last monday", "", "2026-11-23", "2026-11-24"),
    ("christmas 2018", "", "2018-12-24", "2018-12-27"),
    ("last christmas", "", "2025-12-24", "2025-12-27"),
    ("at new year 2020", "", "2019-12-31", "2020-01-02"),
    ("new year's eve 2020", "", "2020-12-31", "2021-01-01"),
    ("easter 2019", "", "2019-04-19", "2019-04-23"),
    ("thanksgiving 2025", "", "2025-11-27", "2025-11-28"),
    ("halloween 2020", "", "2020-10-31", "2020-11-01"),
    ("cat since march", "cat", "2026-03-01", None),
    ("cat since march 2020", "cat", "2020-03-01", None),
    ("cat after 2018", "cat", "2019-01-01", None),
    ("cat before 2015", "cat", None, "2015-01-01"),
    ("cat until may 2016", "cat", None, "2016-06-01"),
    ("cat between 2015 and 2017", "cat", "2015-01-01", "2018-01-01"),
    ("cat from 2015 to 2017", "cat", "2015-01-01", "2018-01-01"),
    ("cat 2015-2017", "cat", "2015-01-01", "2018-01-01"),
    ("from june to august 2020", "", "2020-06-01", "2020-09-01"),
    ("from november to january 2020", "", "2019-11-01", "2020-02-01"),
    ("between june and august", "", "2026-06-01", "2026-09-01"),
    ("family in the 1990s", "family", "1990-01-01", "2000-01-01"),
    ("family in the nineties", "family", "1990-01-01", "2000-01-01"),
    ("family in the '80s", "family", "1980-01-01", "1990-01-01"),
    ("late 2019", "", "2019-09-01", "2020-01-01"),
    ("taken in 2012", "", "2012-01-01", "2013-01-01"),
]

NO_DATES = [
    "a street in winter", "a christmas tree", "the summer house", "children in may trees", "soldiers march", "will may",
    "a man in his twenties", "two dogs ago", "a 1960 volkswagen beetle by the sea", "flight 2019 boarding gate",
    "people waiting for the easter bunny", "a sunday roast", "the last supper", "this dog", "a dog in front of a house",
    "spring rolls", "fall leaves", "a boy of five", "a day at the beach", "three people on a hill", "the past",
    "friday", "room 2001 of a hotel", "numbers 1 2 3", "1/2", "may", "5.5.5", "last", "in", "since",
]  # fmt: skip


def read(text: str, **options: bool) -> tuple[str, str | None, str | None]:
    """What remains of a text, and the days of its phrases."""
    rest, spans = text, []
    for phrase in reversed(find_date_phrases(text, TODAY, **options)):
        rest = rest[: phrase.start] + rest[phrase.end :]
        spans.append(phrase.span)
    assert len(spans) <= 1, spans
    since, until = (spans[0].since, spans[0].until) if spans else (None, None)
    return " ".join(rest.split()).strip(" ,"), since and since.isoformat(), until and until.isoformat()


@pytest.mark.parametrize(("text", "rest", "since", "until"), PHRASES)
def test_a_phrase_means_these_days(text: str, rest: str, since: str | None, until: str | None) -> None:
    assert read(text) == (rest, since, until)


@pytest.mark.parametrize("text", NO_DATES)
def test_what_may_be_a_thing_is_no_date(text: str) -> None:
    assert find_date_phrases(text, TODAY) == []
