"""Index runs, and the properties of the library: named values that outlive a run."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence

from photosearch.library import database
from photosearch.library.database import Database, SqlValue
from photosearch.library.records import Run


def begin_run(db: Database, models: Sequence[str], provider: str) -> int:
    """Record that an index run starts, with models by name -> its id."""
    values: list[SqlValue] = [database.now(), platform.node(), os.getpid(), json.dumps(list(models)), provider]
    with db.transaction():
        (run_id,) = db.one(
            "INSERT INTO runs(started_at, host, pid, models, provider) VALUES (?, ?, ?, ?, ?) RETURNING id", values
        )
    return int(run_id)


def end_run(db: Database, run_id: int, summary: Mapping[str, object]) -> None:
    """Record that a run has finished, with its counts and whether it was `stopped`."""
    with db.transaction():
        db.write(
            "UPDATE runs SET finished_at = ?, summary = ? WHERE id = ?",
            [database.now(), json.dumps(dict(summary)), run_id],
        )


def read_last_run(db: Database) -> Run | None:
    """The run that started last. Raises StoreError where its record is damaged."""
    return next(iter(list_runs(db, 1)), None)


def list_runs(db: Database, limit: int) -> list[Run]:
    """The runs that started last, the newest first. Raises StoreError where a record is damaged."""
    rows = db.rows(
        "SELECT started_at, finished_at, host, pid, models, provider, summary FROM runs ORDER BY id DESC LIMIT ?",
        [limit],
    )
    return [_make_run(db, *row) for row in rows]


def _make_run(
    db: Database, started_at: str, finished_at: str | None, host: str, pid: int, models: str, provider: str,
    summary: str | None,
) -> Run:  # fmt: skip
    try:
        names, counts = tuple(json.loads(models)), json.loads(summary or "null")
    except (ValueError, TypeError):
        raise db.damaged() from None
    return Run(started_at, finished_at, host, pid, names, provider, counts)


def is_running(run: Run) -> bool:
    """Whether a run is still in progress: its process exists. Assumed of another host, and of Windows.

    The library's lock is not tried: holding it for a moment could turn away a run that is just starting.
    """
    if run.finished_at is not None:
        return False
    if run.host != platform.node() or sys.platform == "win32":
        return True
    try:
        os.kill(run.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's process
        return True
    return True


def write_value(db: Database, name: str, value: str) -> None:
    """Set a property."""
    db.write(
        "INSERT INTO properties VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value", [name, value]
    )


def read_value(db: Database, name: str) -> str | None:
    """A property's value, None where it is not set."""
    row = db.row("SELECT value FROM properties WHERE name = ?", [name])
    return None if row is None else row[0]
