"""One index run at a time on a library."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from photosearch.errors import StoreError
from photosearch.library.database import Database
from photosearch.library.runs import read_last_run


@contextlib.contextmanager
def only_one(library: Database | Path) -> Iterator[None]:
    """Hold a library for one index run. Raises StoreError, naming the run that holds it. A kill lets go of it too.

    library: its file will do, where it is too damaged to be opened.
    """
    path = library if isinstance(library, Path) else library.path
    # By its real path, so that a link to a library is locked together with it.
    lock = filelock.FileLock(f"{os.path.realpath(path)}.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except filelock.Timeout:
        run = None if isinstance(library, Path) else read_last_run(library)
        known = run is not None and run["finished_at"] is None  # else it has only just begun
        who = f"process {run['pid']} on {run['host']} since {run['started_at']}" if run and known else "another process"
        raise StoreError(f"{path}: is being indexed by {who}; wait for it, or use another --db") from None
    except OSError as error:
        raise StoreError(
            f"{path}: can't be written ({error.strerror or error}, of its .lock); check its permissions, or choose a "
            "place with --db"
        ) from None
    try:
        yield
    finally:
        lock.release()
