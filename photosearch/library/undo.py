"""The undo log: one row for each action of the user that can be taken back, with the values before it in other tables.

A step is of marks, of an album, or of a label's threshold. Steps of one kind are undone apart from those of another.
"""

import time

from photosearch.library import database
from photosearch.library.database import Database

MAX_UNDO_STEPS = 100  # of marks, and of albums
OF_ALBUMS = "id IN (SELECT undo_id FROM undo_albums)"  # of a row of undo_log, in SQL
OF_MARKS = f"label_id IS NULL AND NOT {OF_ALBUMS}"
EMPTY_STEPS = (  # delete the steps whose photos are all forgotten
    "DELETE FROM undo_albums WHERE change = 'photos' AND undo_id NOT IN (SELECT undo_id FROM undo_album_images)",
    "DELETE FROM undo_log WHERE label_id IS NULL AND id NOT IN (SELECT undo_id FROM undo_marks) AND NOT " + OF_ALBUMS,
)


def add_step(db: Database) -> int:
    """Begin a step of marks or of an album -> its id. In a transaction.

    Ids grow with the time, in microseconds: one that was undone must not be given again, since a page may hold it.
    """
    (undo_id,) = db.one(
        "INSERT INTO undo_log(id, logged_at) VALUES (max(?, coalesce((SELECT max(id) FROM undo_log), 0) + 1), ?) "
        "RETURNING id",
        [time.time_ns() // 1000, database.now()],
    )
    return int(undo_id)


def drop_old_steps(db: Database, kind: str) -> None:
    """Keep the last MAX_UNDO_STEPS of a kind: OF_MARKS or OF_ALBUMS. In a transaction."""
    db.write(
        f"DELETE FROM undo_log WHERE {kind} AND id <= "
        f"(SELECT id FROM undo_log WHERE {kind} ORDER BY id DESC LIMIT 1 OFFSET ?)",
        [MAX_UNDO_STEPS],
    )
