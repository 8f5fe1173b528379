"""Index runs, and single values that are kept between them."""

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from photosearch.library import database
from photosearch.library.database import Database


def begin_run(db: Database, models: Sequence[str], provider: str) -> int:
    with db.transaction():
        return int(
            db.one(
                "INSERT INTO runs(started_at, host, pid, models, provider) VALUES (?, ?, ?, ?, ?) RETURNING id",
                [database.now(), socket.gethostname(), os.getpid(), json.dumps(list(models)), provider],
            )[0]
        )


def end_run(db: Database, run_id: int, summary: Mapping[str, Any]) -> None:
    with db.transaction():
        values = [database.now(), json.dumps(summary), run_id]
        db.write("UPDATE runs SET finished_at = ?, summary = ? WHERE id = ?", values)


def read_last_run(db: Database) -> dict[str, Any] | None:
    """started_at, finished_at, host, pid, models, provider, summary of the run that began last."""
    names = "started_at, finished_at, host, pid, models, provider, summary"
    row = db.row(f"SELECT {names} FROM runs ORDER BY id DESC LIMIT 1")
    if row is None:
        return None
    told = dict(zip(names.split(", "), row, strict=True))
    return {**told, "models": json.loads(told["models"]), "summary": json.loads(told["summary"] or "null")}


def is_running(run: Mapping[str, Any]) -> bool:
    """Whether a run that has not ended is at work: its process lives. On another machine, or Windows: who knows, yes.

    Only looked at: whoever tried the library's lock would hold it for a moment, and turn a run away that begins.
    """
    if run["finished_at"] is not None:
        return False
    if run["host"] != socket.gethostname() or sys.platform == "win32":
        return True
    try:
        os.kill(run["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def write_value(db: Database, name: str, value: str) -> None:
    """Keep a few words about the library itself."""
    db.write(
        "INSERT INTO properties VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value", [name, value]
    )


def read_value(db: Database, name: str) -> str | None:
    row = db.row("SELECT value FROM properties WHERE name = ?", [name])
    return None if row is None else row[0]
