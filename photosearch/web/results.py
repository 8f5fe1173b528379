"""Search results and other lists that are stored while somebody scrolls through them, and fetched in parts.

Where labels or dates answer, a search runs twice: for the first screens at once, and for everything when the page asks
for the total. What similarity ranks ends after some photos, until the page asks for more.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from photosearch import FIRST_PAGE, MAX_PAGE, MAX_PAGE_SIMILAR, Library

if TYPE_CHECKING:
    from photosearch import Answer, Match

MAX_STORED = 8  # values of one kind; a tab with an older one has to ask again

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Search:
    """What a search form says, as Library.find takes it. like, unlike: paths of photos.

    all_similar: go on behind the end of what similarity ranks.
    """

    words: str
    query_mode: Literal["label", "text"] | None
    like: tuple[str, ...]
    unlike: tuple[str, ...]
    min_score: float | None
    sure_only: bool
    copies: bool
    under: str | None
    since: str | None
    until: str | None
    file_dates: bool
    sort: Literal["best", "date"]
    all_similar: bool

    def run(self, library: Library, limit: int) -> "Answer":
        """limit: where labels or dates answer. Raises QueryError, InputError, ModelError."""
        return library.find(
            self.words, max_labeled=limit, max_similar=MAX_PAGE_SIMILAR if self.all_similar else None,
            query_mode=self.query_mode, like=self.like, unlike=self.unlike, min_score=self.min_score,
            sure_only=self.sure_only, copies=self.copies, under=self.under, since=self.since, until=self.until,
            file_dates=self.file_dates, sort=self.sort,
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
                self.photos, self.is_complete = self.search.run(library, MAX_PAGE).photos, True
        return self

    def count_sure(self) -> int:
        return sum(photo.sure for photo in self.photos)


def start_search(library: Library, search: Search) -> Result:
    """Run a search for its first photos."""
    answer = search.run(library, FIRST_PAGE)
    # A list that goes on is as long as the limit; what similarity ranks ends before, or at a limit of its own.
    return Result(search, answer, answer.photos, not (answer.more and len(answer.photos) == FIRST_PAGE))


class Recent(Generic[Value]):
    """The latest values by ids that nobody can guess, so that tabs don't mix up theirs. Thread-safe."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, value: Value) -> str:
        """Store a value -> its id. The least recently used one goes beyond MAX_STORED."""
        value_id = secrets.token_urlsafe(8)
        with self._lock:
            self._values[value_id] = value
            while len(self._values) > MAX_STORED:
                self._values.popitem(last=False)
        return value_id

    def get(self, value_id: str) -> Value | None:
        with self._lock:
            if value_id in self._values:
                self._values.move_to_end(value_id)
            return self._values.get(value_id)
