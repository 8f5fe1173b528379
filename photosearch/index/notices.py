"""What the system reports of changes below folders, by `watchfiles`; where it reports none, by looking again and again.

inotify and its like report only what this computer does: on a network drive, folders are polled. So they are where a
name is not UTF-8: `watchfiles` gives up at the first report of one, and reading it is reported too. At a folder that
may not be listed it watches none of those behind it, and polls none: there, all is looked at again.
"""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Self

from photosearch.errors import InputError, first_line
from photosearch.index.events import WatchStarted
from photosearch.photos.mounts import find_network, list_mounts
from photosearch.photos.remote import is_address

if TYPE_CHECKING:
    from watchfiles.main import FileChange

POLL_SECONDS = 60.0  # between two looks at a network folder: each look asks for the date of every file
TICK_MS = 1000  # the longest wait of one call
STEP_MS = 200  # between two looks at what was reported, and at Ctrl-C
GROUP_MS = 1000  # for which a stream of reports is gathered into one answer
NOT_UTF8 = "a name in it is not UTF-8"
NOT_LISTED = "a folder in it can't be listed"


class Kind(Enum):
    """added, modified: with what is there now. deleted: or renamed."""

    ADDED = 1
    MODIFIED = 2
    DELETED = 3


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened to a file or folder. path: absolute."""

    kind: Kind
    path: str


@dataclass(frozen=True, slots=True)
class _Stop:
    """An event as `watchfiles` asks for it."""

    is_set: Callable[[], bool]


class Notices:
    """Watches folders, with all below them, until it is closed.

    started: how each folder is watched; grows where that changes.
    """

    def __init__(self, folders: Sequence[str], poll_seconds: float | None, stop: Callable[[], bool]):
        """folders: that can be seen. poll_seconds: of all folders, None: only where nothing is reported, once a minute.

        stop: ends a wait. Raises InputError.
        """
        self.started: list[WatchStarted] = []
        self._stop = _Stop(stop)
        self._early: set[Notice] = set()
        self._streams: list[_Stream | _Looks] = []
        reported, polled = self._sort(folders, poll_seconds)
        if reported:
            try:
                self._open(reported, None)
                self.started += [WatchStarted(folder) for folder in reported]
            except PermissionError:
                polled += self._open_each(reported)
            except (OSError, RuntimeError) as error:
                polled += [WatchStarted(folder, POLL_SECONDS, _describe(error)) for folder in reported]
        self._poll(polled)

    def _sort(self, folders: Sequence[str], poll_seconds: float | None) -> tuple[list[str], list[WatchStarted]]:
        """Folders whose changes are reported, and those that are polled. What can't be watched is noted as started."""
        mounts, reported, polled = list_mounts(), list[str](), list[WatchStarted]()
        for folder in folders:
            network = find_network(folder, mounts)
            if is_address(folder) or not _is_utf8(folder):
                why = "it is an address" if is_address(folder) else "its name is not UTF-8"
                self.started.append(WatchStarted(folder, None, why))
            elif poll_seconds is not None:
                polled.append(WatchStarted(folder, poll_seconds, "--poll"))
            elif network is not None:
                polled.append(WatchStarted(folder, POLL_SECONDS, f"it is on a network ({network})"))
            else:
                reported.append(folder)
        return reported, polled

    def _open_each(self, folders: Sequence[str]) -> list[WatchStarted]:
        """-> those whose changes are not reported."""
        others = []
        for folder in folders:
            try:
                self._open([folder], None)
                self.started.append(WatchStarted(folder))
            except (OSError, RuntimeError) as error:
                others.append(WatchStarted(folder, POLL_SECONDS, _describe(error)))
        return others

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams:
            stream.close()

    def wait(self) -> set[Notice]:
        """What has happened since the last call; waits a second for it. Raises InputError, KeyboardInterrupt."""
        found, self._early = self._early, set()
        if not self._streams:
            time.sleep(TICK_MS / 1000)
        for stream in list(self._streams):
            try:
                found |= stream.take()
            except (OSError, RuntimeError) as error:
                stream.close()
                self._streams.remove(stream)
                reason = NOT_UTF8 if "decode" in str(error) else _describe(error)
                self._poll([WatchStarted(f, stream.seconds or POLL_SECONDS, reason) for f in stream.folders])
                found |= {Notice(Kind.ADDED, folder) for folder in stream.folders}
        return found

    def _poll(self, folders: Sequence[WatchStarted]) -> None:
        told = list[WatchStarted]()
        for seconds, unlisted in dict.fromkeys((one.seconds, one.reason == NOT_LISTED) for one in folders):
            some = [one for one in folders if (one.seconds, one.reason == NOT_LISTED) == (seconds, unlisted)]
            paths = [one.path for one in some]
            try:
                if not unlisted:
                    self._open(paths, seconds)
            except (OSError, RuntimeError) as error:
                if _describe(error) != NOT_LISTED:
                    raise InputError(f"{paths[0]}: can't be watched: {first_line(error)}") from None
                unlisted, some = True, [replace(one, reason=NOT_LISTED) for one in some]
            if unlisted:
                self._streams.append(_Looks(paths, seconds or POLL_SECONDS, self._stop))
            told += some
        known = {(one.path, one.seconds, one.reason) for one in self.started}
        self.started += [one for one in told if (one.path, one.seconds, one.reason) not in known]

    def _open(self, folders: Sequence[str], seconds: float | None) -> None:
        """seconds: to poll. Raises OSError, RuntimeError."""
        stream = _Stream(folders, seconds, self._stop)
        self._early |= stream.take()  # which begins it
        self._streams.append(stream)


class _Stream:
    """The reports of one watcher: of the system's, or of one that polls every `seconds`."""

    def __init__(self, folders: Sequence[str], seconds: float | None, stop: _Stop):
        self.folders, self.seconds, self._stop = tuple(folders), seconds, stop
        self._changes = self._watch()

    def take(self) -> set[Notice]:
        """Raises OSError, RuntimeError, KeyboardInterrupt."""
        some = next(self._changes, set())
        return {Notice(Kind(int(kind)), path) for kind, path in some}

    def close(self) -> None:
        self._changes.close()

    def _watch(self) -> "Generator[set[FileChange], None, None]":
        from watchfiles import watch

        return watch(
            *self.folders, watch_filter=None, debounce=GROUP_MS, step=STEP_MS, stop_event=self._stop,
            rust_timeout=TICK_MS, yield_on_timeout=True, force_polling=self.seconds is not None,
            poll_delay_ms=int((self.seconds or 0) * 1000),
        )  # fmt: skip


class _Looks:
    """In the place of a stream: all that folders hold is taken as changed every `seconds`."""

    def __init__(self, folders: Sequence[str], seconds: float, stop: _Stop):
        self.folders, self.seconds, self._stop = tuple(folders), seconds, stop
        self._last = time.monotonic()

    def take(self) -> set[Notice]:
        """Raises KeyboardInterrupt."""
        end = time.monotonic() + TICK_MS / 1000
        while time.monotonic() < end and not self._stop.is_set():
            time.sleep(STEP_MS / 1000)
        if time.monotonic() - self._last < self.seconds:
            return set()
        self._last = time.monotonic()
        return {Notice(Kind.ADDED, folder) for folder in self.folders}

    def close(self) -> None:
        pass


def _describe(error: Exception) -> str:
    """Why the system reports no changes."""
    if isinstance(error, PermissionError) or "Permission denied" in str(error):
        return NOT_LISTED
    if "limit" in str(error) or "Too many open files" in str(error):
        return "the system's limit of watched folders is reached; see inotify(7)"
    return first_line(error)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
