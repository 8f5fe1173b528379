"""Files that have changed and may still be written: each is whole once nothing about it has changed for a while."""

import errno
import os
import signal
import stat
from dataclasses import dataclass, field

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

WRITER_PATIENCE_SECONDS = 600.0  # a file that a program holds open for so long without writing is taken as it is


@dataclass(slots=True)
class _Seen:
    size_bytes: int
    mtime_ns: int
    since: float  # time.monotonic() when it was first seen so


@dataclass(slots=True)
class Unsettled:
    """settle_seconds: for which a file's size and date must stay the same, and no program have it open to write.

    now: always time.monotonic().
    """

    settle_seconds: float
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, path: object) -> bool:
        return path in self._seen

    def add(self, path: str, now: float) -> bool:
        """A file has changed -> whether there is a regular file."""
        found = _stat(path)
        if found is None:
            self._seen.pop(path, None)
            return False
        self._seen[path] = _Seen(*found, now)
        return True

    def take_whole(self, now: float) -> list[str]:
        """The files that are whole now, or gone; they are not watched any more."""
        whole = []
        for path, seen in list(self._seen.items()):
            found = _stat(path)
            if found is not None and found != (seen.size_bytes, seen.mtime_ns):
                self._seen[path] = _Seen(*found, now)
                continue
            quiet = now - seen.since
            if found is not None and quiet < self.settle_seconds:
                continue
            if found is None or quiet >= WRITER_PATIENCE_SECONDS or not has_writer(path):
                del self._seen[path]
                whole.append(path)
        return whole


def _stat(path: str) -> tuple[int, int] | None:
    """(size in bytes, mtime_ns) of a regular file, links followed."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def has_writer(path: str) -> bool:
    """Whether a program has the file open to write it. Only Linux tells, and only of one's own files; else False.

    A read lease is granted where nobody has (fcntl(2), "Leases"). It is given back at once; whoever opens the file
    meanwhile waits for that, and the signal that would tell of it is one that is ignored.
    """
    if fcntl is None or not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(fd)
    return False
