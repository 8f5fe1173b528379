"""Index runs and watches that pages start: one of each at a time, in a child process (index_process.py).

A process of its own keeps the pages quick and the server small, and ends as Ctrl-C ends the command: what was committed
stays. It ends with the server, however that ends.
"""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from photosearch.errors import InputError
from photosearch.web import index_process

MAX_NOTES = 50
NEWS = ("new", "changed", "rescored", "moved", "returned", "excluded", "removed")  # counts of a summary
ENDED_BADLY = "the index run ended unexpectedly; what it had done is kept; index again to go on"


@dataclass(frozen=True, slots=True)
class RunState:
    """The run that a page started last. number: 0 where there was none.

    folders: as they were named, none: all. done: photos so far; total: in the folders, None while they are counted.
    scored: of them, by a model. seconds: since the start. rate: photos per second, lately. notes: what a user should
    know of. error: in one line, why it could not begin or go on. summary: as of `index --json`, once it has ended.
    watching: whether it goes on until it is stopped. Then indexing says whether something is indexed now, and summary
    what changed last, at changed_at, in UTC.
    """

    number: int = 0
    running: bool = False
    stopping: bool = False
    folders: Sequence[str] = ()
    done: int = 0
    total: int | None = None
    scored: int = 0
    unreadable: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    notes: Sequence[Mapping[str, object]] = ()
    error: str | None = None
    stopped: bool = False
    summary: Mapping[str, object] | None = None
    watching: bool = False
    indexing: bool = False
    changed_at: str | None = None


class IndexRuns:
    """Starts, follows and stops index runs of one library. Thread-safe. Close it."""

    def __init__(self, library: Path):
        self._library, self._lock = library, threading.Lock()
        self._state = RunState()
        self._process: subprocess.Popen[bytes] | None = None
        self._follower: threading.Thread | None = None
        self._is_closed = False

    def read(self) -> RunState:
        with self._lock:
            return self._state

    def start(self, folders: Sequence[str], options: Mapping[str, object], *, watch: bool = False) -> RunState:
        """Start a run. folders: none for all known ones. options: as of Library.index. watch: go on until it is
        stopped.

        Raises InputError while one is running. Another program's run is found out by the child.
        """
        with self._lock:
            if self._state.running or self._is_closed:
                raise InputError(
                    "photosearch is watching already; stop that first" if watch else
                    "photosearch is indexing already; wait until it has ended, or stop it"
                )  # fmt: skip
            # A session of its own: Ctrl-C in the terminal is for the server, which then stops the run.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", index_process.__name__],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            request = {
                "library": str(self._library.absolute()), "folders": list(folders), "options": dict(options),
                "watch": watch,
            }  # fmt: skip
            assert process.stdin is not None
            with contextlib.suppress(OSError):  # it died at once
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            self._process = process
            self._state = RunState(self._state.number + 1, running=True, folders=tuple(folders), watching=watch)
            self._follower = threading.Thread(target=self._follow, args=(process,), daemon=True)
            self._follower.start()
            return self._state

    def stop(self, *, at_once: bool = False) -> RunState:
        """Ask the run to end after its current batch. at_once: end it now; what was committed stays."""
        with self._lock:
            if self._process is not None and self._state.running:
                self._state = replace(self._state, stopping=True)
                if at_once:
                    self._process.kill()
                self._close_stdin(self._process)
            return self._state

    def wait(self) -> RunState:
        """The state of the run once it has ended."""
        if self._follower is not None:
            self._follower.join()
        return self.read()

    def close(self) -> None:
        """Stop the run, and wait for its end. An interrupt meanwhile ends it at once."""
        self._is_closed = True
        self.stop()
        try:
            self.wait()
        except KeyboardInterrupt:
            self.stop(at_once=True)
            self.wait()

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                self._take(json.loads(line))
        code = process.wait()
        process.stdout.close()
        with self._lock:
            self._close_stdin(process)
            state = self._state
            was_killed = state.stopping and not state.stopped and state.error is None
            if code and state.error is None and not was_killed:
                state = replace(state, error=ENDED_BADLY)
            self._state = replace(
                state, running=False, stopping=False, indexing=False, stopped=state.stopped or was_killed
            )

    def _take(self, told: dict[str, Any]) -> None:
        kind = told.pop("kind")
        with self._lock:
            state = self._state
            if kind == "progress":
                self._state = replace(state, **told, indexing=state.watching)
            elif kind == "round":
                changes = {"summary": told["summary"], "changed_at": _now()} if _has_news(told["summary"]) else {}
                self._state = replace(state, indexing=False, **changes)
            elif kind == "note":
                if told not in state.notes:  # each round of a watch may tell it
                    notes = (*state.notes, told)
                    self._state = replace(state, notes=notes[-MAX_NOTES:] if state.watching else notes[:MAX_NOTES])
            elif kind == "error":
                self._state = replace(state, error=told["message"])
            elif kind == "end":
                summary = state.summary if state.watching else told["summary"]
                self._state = replace(state, stopped=told["stopped"], summary=summary)

    def _close_stdin(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()


def _has_news(summary: Mapping[str, Any]) -> bool:
    return any(summary.get(name) for name in NEWS)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
