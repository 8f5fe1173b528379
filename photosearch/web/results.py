"""Search results that are stored while somebody scrolls through them, so that the browser can fetch them in parts.

A search runs twice: for the first screens at once, and for everything when the page asks for the total.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from photosearch import FIRST_PAGE, MAX_PAGE, MAX_PAGE_SIMILAR, Library

if TYPE_CHECKING:
    from photosearch import Answer, Match

MAX_STORED = 8  # results; a tab with an older one has to search again


@dataclass(frozen=True, slots=True)
class Search:
    """What a search form says, as Library.find takes it. like, unlike: paths of photos."""

    words: str
    query_mode: Literal["label", "text"] | None
    like: tuple[str, ...]
    unlike: tuple[str, ...]
    min_score: float | None
    min_similarity: float | None
    under: str | None
    since: str | None
    until: str | None
    file_dates: bool
    sort: Literal["best", "date"]

    def run(self, library: Library, limit: int, max_similar: int) -> "Answer":
        """Raises QueryError, InputError, ModelError."""
        return library.find(
            self.words, limit=limit, max_similar=max_similar, query_mode=self.query_mode, like=self.like,
            unlike=self.unlike, min_score=self.min_score, min_similarity=self.min_similarity, under=self.under,
            since=self.since, until=self.until, file_dates=self.file_dates, sort=self.sort, copies=True,
        )  # fmt: skip


@dataclass(slots=True)
class Result:
    """A search with its first answer. photos: all of them if is_complete."""

    search: Search
    answer: "Answer"
    photos: "Sequence[Match]"
    is_complete: bool
    lock: threading.Lock = field(default_factory=threading.Lock)

    def complete(self, library: Library) -> "Result":
        """Find all photos. Waits if another thread is doing so."""
        with self.lock:
            if not self.is_complete:
                self.photos, self.is_complete = self.search.run(library, MAX_PAGE, MAX_PAGE_SIMILAR).photos, True
        return self


class Results:
    """The latest results by their ids. Thread-safe."""

    def __init__(self) -> None:
        self._results: OrderedDict[str, Result] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, library: Library, search: Search) -> tuple[str, Result]:
        """Run a search for its first photos -> (the id under which the result is stored, the result)."""
        answer = search.run(library, FIRST_PAGE, FIRST_PAGE)
        result_id, result = secrets.token_urlsafe(8), Result(search, answer, answer.photos, not answer.more)
        with self._lock:
            self._results[result_id] = result
            while len(self._results) > MAX_STORED:
                self._results.popitem(last=False)
        return result_id, result

    def get(self, result_id: str) -> Result | None:
        with self._lock:
            if result_id in self._results:
                self._results.move_to_end(result_id)
            return self._results.get(result_id)
