"""Questions without words that rank: photos by date, name or size, and what they have in common."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from photosearch.library import facets
from photosearch.library.database import Database
from photosearch.library.facets import Box, Cluster, Count, Facet, FolderCount
from photosearch.library.listing import Sort, iterate_photos, match_ids
from photosearch.library.matching import PhotoFilter
from photosearch.search.chips import Chip, add_chip, list_chips, remove_chip, replace_dates
from photosearch.search.find import Answer, parse_question, read_question
from photosearch.search.understand import Question

if TYPE_CHECKING:
    from photosearch.search.similar import ReadPicture

MAX_DAYS = 40_000  # a hundred years; photos of more days are counted by month


@dataclass(frozen=True, slots=True)
class Listing:
    """answer: without its photos. ids: of photos, in order. days: (day, photos) in the same order, '' for undated ones.

    A day is YYYY-MM-DD; of very many, YYYY-MM. By name or size there are no days. is_complete: whether these are all.
    """

    answer: Answer
    ids: Sequence[int]
    days: Sequence[tuple[str, int]]
    is_complete: bool


def list_photos(
    db: Database, question: Question, read_picture: "ReadPicture", sort: Sort, limit: int | None
) -> Listing | None:
    """The photos that a question is about; None where its words or pictures rank. Raises QueryError, InputError."""
    _, only, answer = read_question(db, question, read_picture)
    if answer.ranked_by != "date":
        return None
    fetched = None if limit is None else limit + 1
    photos = iterate_photos(
        db, only, sort, file_dates=question.file_dates, limit=fetched, since=answer.since, until=answer.until
    )
    ids, days = collect(photos, limit)
    is_complete = limit is None or len(ids) <= limit
    return Listing(answer, ids[:limit], days if sort in ("newest", "oldest") else (), is_complete)


def collect(pairs: Iterator[tuple[int, str]], limit: int | None) -> tuple["array[int]", list[tuple[str, int]]]:
    """(photo id, date) in order -> the ids, one more than the limit, and how many are of each day."""
    ids, days, months = array("q"), list[tuple[str, int]](), 10
    day, n = "", 0
    for photo_id, date in pairs if limit is None else islice(pairs, limit + 1):
        ids.append(photo_id)
        if limit is not None and len(ids) > limit:
            break
        if date[:months] != day and n:
            days.append((day, n))
            n = 0
            if months == 10 and len(days) > MAX_DAYS:
                months, days = 7, _by_month(days)
        day, n = date[:months], n + 1
    days += [(day, n)] if n else []
    return ids, days if months == 10 else _by_month(days)


def _by_month(days: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    months: dict[str, int] = {}
    for day, n in days:
        months[day[:7]] = months.get(day[:7], 0) + n
    return list(months.items())


def read_chips(db: Database, question: Question) -> tuple[Chip, ...]:
    """What a question's words were understood as; its own dates are left out. Raises QueryError, InputError."""
    return list_chips(parse_question(db, replace(question, since=None, until=None)))


def without_chip(db: Database, question: Question, chip: Chip) -> str:
    """A question's words without one piece. Raises QueryError, InputError."""
    return remove_chip(question.words, chip, lambda words: parse_question(db, Question(words, today=question.today)))


def with_chip(db: Database, question: Question, chip: Chip) -> str:
    """A question's words with one more piece; dates replace those that are there. Raises QueryError, InputError."""
    if chip.kind != "taken":
        return add_chip(question.words, chip)
    return replace_dates(question.words, chip, lambda words: parse_question(db, Question(words, today=question.today)))


def count(
    db: Database, question: Question, read_picture: "ReadPicture", facet: Facet, among: Sequence[int] | None
) -> list[Count]:
    """The values that photos have: those of a question's filters, or those with the ids `among`.

    Raises QueryError, InputError.
    """
    return facets.count_facet(db, facet, _filter(db, question, read_picture, among))


def count_folders(
    db: Database, question: Question, read_picture: "ReadPicture", among: Sequence[int] | None
) -> list[FolderCount]:
    """The folders that such photos are in. Raises QueryError, InputError."""
    return facets.count_folders(db, _filter(db, question, read_picture, among))


def find_clusters(
    db: Database,
    question: Question,
    read_picture: "ReadPicture",
    among: Sequence[int] | None,
    box: Box,
    cells: int,
    limit: int,
) -> list[Cluster]:
    """Where such photos were taken. Raises QueryError, InputError."""
    return facets.find_clusters(db, _filter(db, question, read_picture, among), box, cells, limit)


def _filter(db: Database, question: Question, read_picture: "ReadPicture", among: Sequence[int] | None) -> PhotoFilter:
    return read_question(db, question, read_picture)[1] if among is None else match_ids(among)
