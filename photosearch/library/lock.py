"""A lock that only one process may hold at a time: of an index run, or whatever else rewrites the library."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from photosearch.errors import BusyError, StoreError
from photosearch.library.database import READ_ONLY, Database
from photosearch.library.runs import read_last_run


@contextlib.contextmanager
def lock_library(library: Database | Path) -> Iterator[None]:
    """Hold the library's lock. The operating system releases it when the process is killed.

    library: its path, where it may be too damaged to open. Raises BusyError, naming the run that holds the lock, and
    StoreError.
    """
    path = library if isinstance(library, Path) else library.path
    if isinstance(library, Database) and library.read_only:
        raise StoreError(f"{path}: {READ_ONLY}")
    # The real path, so that a link to a library shares its lock.
    lock = filelock.FileLock(f"{os.path.realpath(path)}.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except filelock.Timeout:
        holder = "another process" if isinstance(library, Path) else _describe_holder(library)
        raise BusyError(f"{path}: is being indexed by {holder}; wait for it, or use another --db") from None
    except OSError as error:
        raise StoreError(
            f"{path}: can't be written ({error.strerror or error}, of its .lock file); check its permissions, or "
            "choose a place with --db"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _describe_holder(db: Database) -> str:
    run = read_last_run(db)
    if run is None or run.finished_at is not None:  # the holder has not recorded its run yet
        return "another process"
    return f"process {run.pid} on {run.host} since {run.started_at}"
