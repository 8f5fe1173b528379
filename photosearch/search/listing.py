"""Questions without words that rank: photos by date, name or size, and what they have in common."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from photosearch.library import facets
from photosearch.library.database import Database
from photosearch.library.facets import Box, Cluster, Count, Facet, FolderCount
from photosearch.library.listing import Sort, count_showing, find_images, iterate_photos, list_copies, match_ids
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
    copies: photo id -> how many equal ones the list leaves out; 0 where it has none.
    """

    answer: Answer
    ids: Sequence[int]
    days: Sequence[tuple[str, int]]
    is_complete: bool
    copies: Mapping[int, int]


def list_photos(
    db: Database,
    question: Question,
    read_picture: "ReadPicture",
    sort: Sort,
    limit: int | None,
    *,
    copies: bool = False,
    kept: Sequence[int] = (),
) -> Listing | None:
    """The photos that a question is about; None where its words or pictures rank. Raises QueryError, InputError.

    limit: about so many files are looked at. copies: list each equal copy. kept: see `Fold`.
    """
    _, only, answer = read_question(db, question, read_picture)
    if answer.ranked_by != "date":
        return None
    pairs = iterate_photos(
        db, only, sort, file_dates=question.file_dates, limit=None if limit is None else limit + 1,
        since=answer.since, until=answer.until,
    )  # fmt: skip
    if limit is None:
        fold = Fold({} if copies else list_copies(db), kept)
        ids, days = collect(fold.fold(pairs))
        numbers: Mapping[int, int] = fold.copies
    else:
        first = list(pairs)
        images = {} if copies else find_images(db, [photo_id for photo_id, _ in first[:limit]])
        ids, days = collect(Fold(images).fold(iter(first[:limit])))
        showing = count_showing(db, list(set(images.values())), only)
        numbers = {photo_id: showing[images[photo_id]] - 1 for photo_id in ids if photo_id in images}
    is_complete = limit is None or len(first) <= limit
    return Listing(answer, ids, days if sort in ("newest", "oldest") else (), is_complete, numbers)


class Fold:
    """Leaves out equal copies of photos that were listed before. copies: photo id -> how many of its copies.

    Pictures that are only nearly the same are not compared: among a million photos, each would have to be with all.
    """

    def __init__(self, images: Mapping[int, int], kept: Sequence[int] = ()):
        """images: photo id -> image id; others have no copies. kept: photos that stand for their copies."""
        self._images, self._seen = images, set[int]()
        self._first = {images[photo_id]: photo_id for photo_id in kept if photo_id in images}
        self.copies: Counter[int] = Counter()

    def fold(self, pairs: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """pairs: (photo id, date)."""
        if not self._images:
            yield from pairs
        for photo_id, date in pairs:
            image = self._images.get(photo_id)
            first = photo_id if image is None else self._first.setdefault(image, photo_id)
            if image in self._seen:
                self.copies[first] += 1
                continue
            if image is not None:
                self._seen.add(image)
            yield first, date


def collect(pairs: Iterator[tuple[int, str]]) -> tuple["array[int]", list[tuple[str, int]]]:
    """(photo id, date) in order -> the ids, and how many are of each day."""
    ids, days, months = array("q"), list[tuple[str, int]](), 10
    day, n = "", 0
    for photo_id, date in pairs:
        ids.append(photo_id)
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
