"""Spare photos that a page moves, and moves back: one move at a time, in a thread.

A server that ends cuts a move off between two photos; as after a kill, the log says so, and the next move to that
folder finishes it.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from photosearch.errors import InputError, PhotosearchError

if TYPE_CHECKING:
    from photosearch import Library, SparePlan
    from photosearch.web.state import LibraryPool

MAX_NAMED = 20  # files that stayed where they are

Work = Callable[["Library", Callable[[], None]], "MoveState"]


@dataclass(frozen=True, slots=True)
class MoveState:
    """The move that a page asked for last. number: 0 where there was none. back: whether it moves files back.

    done: things so far, of total; None where nobody has counted them. photos, files (photos included), size_bytes: that
    were moved. left: (path, why it was not moved), the first of n_left. log: which takes it back, None without one.
    """

    number: int = 0
    running: bool = False
    back: bool = False
    folder: str = ""
    done: int = 0
    total: int | None = None
    photos: int = 0
    files: int = 0
    size_bytes: int = 0
    n_left: int = 0
    left: Sequence[tuple[str, str]] = ()
    log: str | None = None
    error: str | None = None


class _Ended(Exception):
    """The server ends."""


class SpareMoves:
    """Starts and follows moves. Thread-safe. Close it."""

    def __init__(self, libraries: "LibraryPool", moved: Callable[[], None]):
        """moved: called after photos were moved."""
        self._libraries, self._moved = libraries, moved
        self._lock, self._state = threading.Lock(), MoveState()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def read(self) -> MoveState:
        with self._lock:
            return self._state

    def move(self, plan: "SparePlan") -> MoveState:
        """Raises InputError while another move goes on."""

        def work(library: "Library", progress: Callable[[], None]) -> MoveState:
            done = library.spares.move(plan, progress)
            return replace(
                self._state, photos=done.photos, files=done.files, size_bytes=done.size_bytes, log=done.log,
                n_left=len(done.left), left=done.left[-MAX_NAMED:],
            )  # fmt: skip

        return self._start(MoveState(folder=plan.folder, total=len(plan.things)), work)

    def undo(self, log: str) -> MoveState:
        """Raises InputError while another move goes on."""

        def work(library: "Library", progress: Callable[[], None]) -> MoveState:
            done = library.spares.undo(log, progress)
            log_left = log if done.left else None
            return replace(
                self._state, photos=done.photos, files=done.files, log=log_left, n_left=len(done.left),
                left=done.left[:MAX_NAMED],
            )  # fmt: skip

        return self._start(MoveState(back=True, log=log), work)

    def wait(self) -> MoveState:
        """The state once the move has ended."""
        if self._thread is not None:
            self._thread.join()
        return self.read()

    def close(self) -> None:
        self._is_closed = True
        self.wait()

    def _start(self, state: MoveState, work: Work) -> MoveState:
        with self._lock:
            if self._state.running or self._is_closed:
                raise InputError("photos are being moved already; wait until that has ended")
            self._state = replace(state, number=self._state.number + 1, running=True)
            self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
            self._thread.start()
            return self._state

    def _run(self, work: Work) -> None:
        ended = replace(self._state, error="the move ended unexpectedly; move again to finish it")
        try:
            with contextlib.suppress(_Ended), self._libraries.lend() as library:
                ended = work(library, self._advance)
        except PhotosearchError as error:
            ended = replace(self._state, error=str(error))
        finally:
            self._moved()
            with self._lock:
                self._state = replace(ended, done=self._state.done, running=False)

    def _advance(self) -> None:
        with self._lock:
            self._state = replace(self._state, done=self._state.done + 1)
        if self._is_closed:
            raise _Ended
