"""Search results and other lists that are stored while somebody scrolls through them, and fetched in parts.

What labels find is searched twice: for the first screens at once, and for everything when the page asks for the total.
What similarity ranks ends after some photos, until the page asks for more. Where nothing ranks, all photos are listed:
as ids, whose rows are read when they are seen.
"""

import contextlib
import secrets
import threading
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from photosearch import FIRST_PAGE, MAX_PAGE, MAX_PAGE_SIMILAR, Library

if TYPE_CHECKING:
    from photosearch import Answer, Listing, Match

LOOK_SECONDS = 0.05  # between two looks at whether somebody still waits for what another thread computes
MAX_STORED = 8  # values of one kind; a tab with an older one has to ask again

Value = TypeVar("Value")
Sort = Literal["best", "newest", "oldest", "name", "size"]
Days = Sequence[tuple[str, int]]  # (day, photos)


@dataclass(frozen=True, slots=True)
class Search:
    """What a search form says, as Library.find takes it. like, unlike: paths of photos.

    all_similar: go on behind the end of what similarity ranks. sort: best: newest first where nothing ranks.
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
    sort: Sort
    all_similar: bool

    @property
    def may_list(self) -> bool:
        """Whether nothing may rank, so that all photos of the filters are listed."""
        return not (self.like or self.unlike or self.min_score is not None or (self.query_mode and self.words.strip()))

    def list(self, library: Library, limit: int | None, kept: Sequence[int] = ()) -> "Listing | None":
        """All photos of the filters, in order; None where something ranks. Raises QueryError, InputError.

        kept: photos that stand for their copies.
        """
        sort = "newest" if self.sort == "best" else self.sort
        return library.photos.list(
            self.words, under=self.under, since=self.since, until=self.until, file_dates=self.file_dates, sort=sort,
            limit=limit, copies=self.copies, kept=kept,
        )  # fmt: skip

    def run(self, library: Library, limit: int) -> "Answer":
        """limit: where labels or dates answer. Raises QueryError, InputError, ModelError."""
        return library.find(
            self.words, max_labeled=limit, max_similar=MAX_PAGE_SIMILAR if self.all_similar else None,
            query_mode=self.query_mode, like=self.like, unlike=self.unlike, min_score=self.min_score,
            sure_only=self.sure_only, copies=self.copies, under=self.under, since=self.since, until=self.until,
            file_dates=self.file_dates, sort="date" if self.sort == "newest" else "best",
        )  # fmt: skip


@dataclass(slots=True)
class Ranked:
    """A search with its first answer. photos: all of them if is_complete."""

    search: Search
    answer: "Answer"
    photos: "Sequence[Match]"
    is_complete: bool
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self.photos)

    def complete(self, library: Library) -> None:
        """Find all photos. Waits if another thread is doing so."""
        with _hold(self.lock, library):
            if not self.is_complete:
                self.photos, self.is_complete = self.search.run(library, MAX_PAGE).photos, True
                if self.search.sort in ("oldest", "name", "size"):
                    self.photos = _sort(library, self.photos, self.search.sort)

    def read(self, library: Library, first: int, n: int) -> "Sequence[Match | None]":
        if first + n > len(self.photos):
            self.complete(library)
        return self.photos[first : first + n]

    def pick(self, library: Library, ranges: Sequence[tuple[int, int]]) -> "list[Match]":
        """The photos of all (first, end)."""
        return [photo for first, end in ranges for photo in self.photos[first:end]]

    def count_sure(self) -> int:
        return sum(photo.sure for photo in self.photos)

    def list_days(self) -> Days:
        """The newest first; '' for photos without a date of their own."""
        days = Counter(photo.taken[:10] if photo.taken_from != "file" else "" for photo in self.photos)
        return sorted(days.items(), reverse=True)

    def list_ids(self) -> Sequence[int]:
        """The ids of all photos that were found."""
        return [photo.photo_id for photo in self.photos]


@dataclass(slots=True)
class Listed:
    """Photos in an order. listing: all of them if is_complete."""

    search: Search
    listing: "Listing"
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def answer(self) -> "Answer":
        return self.listing.answer

    @property
    def is_complete(self) -> bool:
        return self.listing.is_complete

    def __len__(self) -> int:
        return len(self.listing.ids)

    def complete(self, library: Library) -> None:
        """List all photos. Waits if another thread is doing so."""
        with _hold(self.lock, library):
            known = self.listing
            if not known.is_complete and (whole := self.search.list(library, None, known.ids)) is not None:
                # The first ones stay where they are: photos of one date may stand in another order now.
                first, ids = set(known.ids), array("q", known.ids)
                ids.extend(photo_id for photo_id in whole.ids if photo_id not in first)  # other threads run meanwhile
                self.listing = replace(whole, ids=ids)

    def read(self, library: Library, first: int, n: int) -> "Sequence[Match | None]":
        """None for a photo that has left the library meanwhile."""
        if first + n > len(self):
            self.complete(library)
        ids = self.listing.ids[first : first + n]
        found = self._read(library, ids)
        return [found.get(photo_id) for photo_id in ids]

    def pick(self, library: Library, ranges: Sequence[tuple[int, int]]) -> "list[Match]":
        """The photos of all (first, end) that are in the library still."""
        ids = [photo_id for first, end in ranges for photo_id in self.listing.ids[first:end]]
        found = self._read(library, ids)
        return [found[photo_id] for photo_id in ids if photo_id in found]

    def _read(self, library: Library, ids: Sequence[int]) -> "dict[int, Match]":
        copies = self.listing.copies
        return {i: replace(photo, copies=copies.get(i, 0)) for i, photo in library.photos.read(ids).items()}

    def count_sure(self) -> int:
        return len(self)

    def list_days(self) -> Days:
        """In the order of the photos; none where dates do not sort them."""
        return self.listing.days

    def list_ids(self) -> None:
        """None: those of the search's filters."""


Result = Ranked | Listed


@contextlib.contextmanager
def _hold(lock: threading.Lock, library: Library) -> Iterator[None]:
    """Wait for a lock. Raises StoppedError where nobody waits for the answer any more."""
    while not lock.acquire(timeout=LOOK_SECONDS):
        library.check_stopped()
    try:
        yield
    finally:
        lock.release()


def start_search(library: Library, search: Search) -> Result:
    """Run a search for its first photos."""
    if search.may_list and (listing := search.list(library, FIRST_PAGE)) is not None:
        return Listed(search, listing)
    answer = search.run(library, FIRST_PAGE)
    # A list that goes on is as long as the limit; what similarity ranks ends before, or at a limit of its own.
    result = Ranked(search, answer, answer.photos, not (answer.more and len(answer.photos) == FIRST_PAGE))
    if search.sort in ("oldest", "name", "size"):
        if not result.is_complete:
            result.complete(library)
        else:
            result.photos = _sort(library, result.photos, search.sort)
    return result


def _sort(library: Library, photos: "Sequence[Match]", sort: Literal["oldest", "name", "size"]) -> "Sequence[Match]":
    """The sure ones first, as `find` has it."""
    by_id = {photo.photo_id: photo for photo in photos}
    ordered = [by_id[photo_id] for photo_id in library.photos.sort(list(by_id), sort)]
    return sorted(ordered, key=lambda photo: not photo.sure)


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
