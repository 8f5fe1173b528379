"""Answers that are kept while somebody scrolls through them: all that was found, fetched in pages by their places.

A question is answered twice: the first screenfuls at once, and all of it when the page asks how many there are.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from photosearch import Library
from photosearch.library.matching import Match
from photosearch.search.find import Answer
from photosearch.search.limits import FIRST_PAGE, MAX_PAGE, MAX_PAGE_SIMILAR

KEPT = 8  # answers; a tab that comes back to an older one asks anew


@dataclass(slots=True)
class Result:
    """A question, as Library.find takes it, and its answer. whole: whether `found` holds all of it."""

    question: Mapping[str, Any]
    answer: Answer
    found: Sequence[Match]
    whole: bool
    lock: threading.Lock = field(default_factory=threading.Lock)

    def complete(self, library: Library) -> "Result":
        """Find the rest. Waits while another thread is at it."""
        with self.lock:
            if not self.whole:
                self.found, self.whole = _ask(library, self.question, MAX_PAGE, MAX_PAGE_SIMILAR).photos, True
        return self


class Results:
    """May be asked from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Result] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, library: Library, question: Mapping[str, Any]) -> tuple[str, Result]:
        """Answer the first part of a question -> (the name by which it is kept, the answer)."""
        answer = _ask(library, question, FIRST_PAGE, FIRST_PAGE)
        name, result = secrets.token_urlsafe(8), Result(question, answer, answer.photos, not answer.more)
        with self._lock:
            self._kept[name] = result
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return name, result

    def get(self, name: str) -> Result | None:
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)


def _ask(library: Library, question: Mapping[str, Any], limit: int, max_similar: int) -> Answer:
    return library.find(**question, limit=limit, max_similar=max_similar)
