"""The text in pictures, by image: which were read, by which version of the reader, and what stands there."""

import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from photosearch.library import database
from photosearch.library.database import Database, is_below, join
from photosearch.library.folders import Scope, list_folders, list_roots, list_settings, read_settings
from photosearch.library.matching import LOCAL_DATE
from photosearch.ocr.lines import TextLine, pack_lines, unpack_lines

MAX_STORED_REASON = 200  # characters


@dataclass(frozen=True, slots=True)
class TextCounts:
    """Images. read: the reader has seen them, or tried to. found: with text."""

    read: int
    found: int


def put_texts(db: Database, image_id: int, version: int, lines: Sequence[TextLine], reason: str | None = None) -> None:
    """Store what was read in an image, in the place of what was read before. reason: why it could not be read."""
    text, boxes = pack_lines(lines)
    reason = None if reason is None else reason[:MAX_STORED_REASON]
    db.write("DELETE FROM texts WHERE image_id = ?", [image_id])
    since = None if reason is None else database.now()
    db.write("INSERT INTO texts VALUES (?, ?, ?, ?, ?, ?)", [image_id, version, text, boxes, reason, since])


def read_texts(db: Database, image_id: int) -> tuple[TextLine, ...] | None:
    """The lines in an image, from the top down; None where the reader has not seen it. Raises DamagedError."""
    row = db.row("SELECT text, boxes FROM texts WHERE image_id = ?", [image_id])
    if row is None:
        return None
    try:
        return unpack_lines(*row)
    except (ValueError, TypeError):
        raise db.damaged() from None


def read_plain_texts(db: Database, image_ids: Iterable[int]) -> dict[int, str]:
    """image id -> its text, a line for each line in the picture, for those of these images that have text."""
    rows = db.rows(
        "SELECT t.image_id, t.text FROM json_each(?) j CROSS JOIN texts t ON t.image_id = j.value "
        "WHERE t.text IS NOT NULL",
        [json.dumps(list(image_ids))],
    )
    return dict(rows)


def list_unread(db: Database, folder_ids: Iterable[int], version: int, *, retry: bool, force: bool) -> "array[int]":
    """The images of these folders that a reader of this version has not seen, the newest photo first.

    retry: those as well that it could not read. force: all.
    """
    rows = db.iterate(
        f"""
        SELECT p.image_id FROM json_each(?) j CROSS JOIN photos p ON p.folder_id = j.value
        LEFT JOIN texts t ON t.image_id = p.image_id
        WHERE p.absent IS NULL AND p.image_id IS NOT NULL
            AND (? OR t.image_id IS NULL OR t.version <> ? OR (? AND t.reason IS NOT NULL))
        GROUP BY p.image_id ORDER BY max(coalesce({LOCAL_DATE}, '')) DESC, p.image_id DESC
        """,
        [json.dumps(list(folder_ids)), int(force), version, int(retry)],
    )
    return array("q", (image_id for (image_id,) in rows))


def find_reading_folders(db: Database, scopes: Sequence[Scope]) -> list[int]:
    """The ids of the folders at or below these whose settings say that text is read."""
    return [folder_id for folder_id, ocr in _list_ocr(db, scopes) if ocr]


def delete_unwanted_texts(db: Database, scopes: Sequence[Scope]) -> None:
    """Forget what was read in images of which each photo is in a folder that says not to read it (--no-ocr)."""
    unwanted = [folder_id for folder_id, ocr in _list_ocr(db, scopes) if ocr is False]
    if not unwanted or not db.row("SELECT 1 FROM texts LIMIT 1"):
        return
    wanted = [folder_id for folder_id, ocr in _list_ocr(db, list_roots(db)) if ocr]
    db.write(
        """
        DELETE FROM texts WHERE image_id IN (
            SELECT p.image_id FROM json_each(?) j CROSS JOIN photos p ON p.folder_id = j.value
            EXCEPT SELECT p.image_id FROM json_each(?) j CROSS JOIN photos p ON p.folder_id = j.value)
        """,
        [json.dumps(unwanted), json.dumps(wanted)],
    )


def _list_ocr(db: Database, scopes: Sequence[Scope]) -> list[tuple[int, bool | None]]:
    """(id, setting) of each folder at or below these."""
    known = {scope.path: scope for scope in (*list_roots(db), *(scope for scope, _ in list_settings(db)))}
    deepest = sorted(((path, read_settings(db, known[path]).ocr) for path in known), key=lambda s: -len(s[0]))
    return list({
        folder_id: next(ocr for above, ocr in deepest if path == above or is_below(path, above))
        for scope in scopes for folder_id, path in list_folders(db, scope)
    }.items())  # fmt: skip


def list_unreadable_texts(db: Database) -> list[tuple[str, str, str]]:
    """(path, reason, since when, UTC) of each photo on the disk whose text could not be read."""
    rows = db.rows(
        """
        SELECT r.path, f.path, p.name, t.reason, t.reason_at FROM texts t JOIN photos p ON p.image_id = t.image_id
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
        WHERE t.reason IS NOT NULL AND p.absent IS NULL ORDER BY p.id
        """
    )
    return [(join(root, folder, name), reason, since) for root, folder, name, reason, since in rows]


def count_texts(db: Database) -> TextCounts:
    """From indexes alone."""
    (read,) = db.one("SELECT count(*) FROM texts")
    (found,) = db.one("SELECT count(*) FROM texts WHERE text IS NOT NULL")
    return TextCounts(int(read), int(found))
