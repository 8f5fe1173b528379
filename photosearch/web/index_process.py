"""The child process of an index run that a page has started: it indexes by `Library.index`, and tells how far it is.

    python -m photosearch.web.index_process
    stdin:  one line of JSON: {"library": path, "folders": [...], "options": {...}, "watch": false}
    stdout: lines of JSON, each with a "kind": progress, note (an event that a user should know of), round, end, error

options: as of Library.index; none where the folders are watched. A round is told when all that was noticed is indexed.

The end of stdin is the wish to stop, as Ctrl-C is in a terminal: the current batch is committed. So a server that was
killed stops its run as well. Ctrl-C itself reaches all programs of a terminal and is left to the server.
"""

import json
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from photosearch import Library, RunSummary, events
from photosearch.errors import PhotosearchError

SAY_SECONDS = 0.25  # between two lines of progress
RATE_SECONDS = 20.0  # over which the rate is taken
TOLD = (events.ListFailed, events.RootMoved, events.RemovalRefused, events.PatternUnused, events.NotScored,
        events.WatchStarted, events.FolderAway)  # fmt: skip


class Rate:
    """Photos per second, lately: unchanged photos pass much faster than new ones."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock, self.start = clock, clock()
        self._seen = deque([(self.start, 0)])

    @property
    def seconds(self) -> float:
        return self._clock() - self.start

    def measure(self, done: int) -> float:
        """done: photos since the start."""
        now = self._clock()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_SECONDS:
            self._seen.popleft()
        before, former = self._seen[0]
        return (done - former) / max(now - before, 1e-9)


class Teller:
    """Tells the server of a run. Where it is gone, the run stops."""

    def __init__(self, stop: threading.Event):
        self.total: int | None = None
        self._stop, self._run, self._rate, self._said = stop, RunSummary(), Rate(), 0.0

    def add(self, event: events.Event) -> None:
        self._run.add(event)
        if isinstance(event, TOLD):
            self.say("note", event=type(event).__name__, **asdict(event))
        if isinstance(event, events.RoundEnded):
            self.say("round", summary=self._run.to_json())
            self._run = RunSummary()
        elif self._rate.seconds - self._said >= SAY_SECONDS:
            self.say_progress()

    def say_progress(self) -> None:
        run, self._said = self._run, self._rate.seconds
        self.say(
            "progress", done=run.present, total=self.total, scored=run.scored, unreadable=run.unreadable,
            seconds=self._rate.seconds, rate=self._rate.measure(run.present),
        )  # fmt: skip

    def say_end(self) -> None:
        self._run.stopped = self._stop.is_set()
        self.say_progress()
        self.say("end", stopped=self._run.stopped, summary=self._run.to_json())

    def say(self, kind: str, **values: object) -> None:
        try:
            data = json.dumps({"kind": kind, **values}).encode() + b"\n"
            while data:
                data = data[os.write(1, data) :]
        except OSError:
            self._stop.set()


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with open(0, "rb", buffering=0, closefd=False) as stdin:  # no byte beyond the line is read
        request = json.loads(stdin.readline())
    threading.Thread(target=_wait_for_end, args=(stop,), daemon=True).start()
    teller = Teller(stop)
    try:
        if request["watch"]:
            _watch(request["library"], request["folders"], stop, teller)
        else:
            _index(request["library"], request["folders"], request["options"], stop, teller)
    except PhotosearchError as error:
        teller.say("error", message=str(error))
        sys.exit(1)


def _index(
    path: str, folders: Sequence[str], options: Mapping[str, Any], stop: threading.Event, teller: Teller
) -> None:
    with Library(path) as library:

        def count() -> None:
            try:
                teller.total = library.folders.count_files(folders)
            except PhotosearchError:
                return  # the run itself says what is wrong

        threading.Thread(target=count, daemon=True).start()
        for event in library.index(*folders, stop=stop.is_set, **options):
            teller.add(event)
    teller.say_end()


def _watch(path: str, folders: Sequence[str], stop: threading.Event, teller: Teller) -> None:
    with Library(path) as library:
        for event in library.watch(*folders, stop=stop.is_set):
            teller.add(event)
    teller.say_end()


def _wait_for_end(stop: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    stop.set()


if __name__ == "__main__":
    main()
