"""Photos in an order, as ids alone: a million take some megabytes, and their rows are read some at a time.

By date, the first photos come from the indexes of the dates of files, of contents and of names, merged, before the
others are read; all of them are read in the order in which they are stored, and sorted here: SQLite would take four
times as long, and write a file. Photos of one date may stand in another order then. Photos without any date come last,
by the dates of their files.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from photosearch.library.database import Database, Row, SqlValue
from photosearch.library.matching import FILE_DATE, LOCAL_DATE, MAX_LISTED, UNDATED, PhotoFilter

Sort = Literal["newest", "oldest", "name", "size"]

SORTED_AT_ONCE = 10_000  # photos that become Python's objects at once
_DATE_BYTES = 19  # YYYY-MM-DDTHH:MM:SS
_BY = {"name": "p.name COLLATE NOCASE, p.id", "size": "p.size_bytes DESC, p.id"}
_PRESENT = ("p.absent IS NULL", "p.image_id IS NOT NULL")
_WITH_IMAGES = "photos p CROSS JOIN images i ON i.id = p.image_id"
# Where a date is from, and the condition that no better one is known.
_DATED = (
    ("p.taken", "photos p", "p.taken IS NOT NULL"),
    ("i.taken", "images i CROSS JOIN photos p ON p.image_id = i.id", "i.taken IS NOT NULL AND p.taken IS NULL"),
    ("p.name_date", _WITH_IMAGES, "p.name_date IS NOT NULL AND p.taken IS NULL AND i.taken IS NULL"),
)


def iterate_photos(
    db: Database,
    only: PhotoFilter,
    sort: Sort,
    *,
    file_dates: bool = False,
    limit: int | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Iterator[tuple[int, str]]:
    """(photo id, date) of each readable photo of the filter, in order.

    date: local, YYYY-MM-DD...; "" where none is known, and where dates do not sort. file_dates: an undated photo has
    the date of its file. limit: None: all.
    since, until: between which the filter leaves dates, so that reading begins there.
    """
    left = -1 if limit is None else limit
    if sort not in ("newest", "oldest"):
        yield from _swap(db, _select("''", "photos p", (), only, _BY[sort]), [*only.values, left])
        return
    is_newest = sort == "newest"
    order = f"1 {'DESC' if is_newest else 'ASC'}"  # equal ones as their indexes have them: no sort is needed
    if file_dates:
        date, source, where = f"coalesce({LOCAL_DATE}, {FILE_DATE}, '')", "photos p", tuple[str, ...]()
    else:
        date, source = "coalesce(p.taken, i.taken, p.name_date)", _WITH_IMAGES
        where = (f"{date} IS NOT NULL",)
    if limit is None:
        rows = db.iterate(_select(f"CAST({date} AS BLOB)", source, where, only), only.values)
        pairs = _sort_by_date(rows, is_newest=is_newest)
    elif file_dates or (only.photos is not None and only.photos <= MAX_LISTED):
        pairs = _swap(db, _select(date, source, where, only, f"{order}, 2"), [*only.values, left])
    else:
        selects = [_select(date, source, (f"{date} BETWEEN ? AND ?", where), only) for date, source, where in _DATED]
        values = [since or "", (until or "") + "~", *only.values]  # ~ sorts after any more exact date
        merged = f"{' UNION ALL '.join(selects)} ORDER BY {order} LIMIT ?"
        pairs = _swap(db, merged, [*values * len(selects), left])
    n = 0
    for pair in pairs:
        n += 1
        yield pair
    if not file_dates and (limit is None or n < limit) and not (since or until):
        by = f"p.mtime_ns {'DESC' if is_newest else 'ASC'}, p.id"
        rest = _select("''", _WITH_IMAGES, (UNDATED,), only, by)
        yield from _swap(db, rest, [*only.values, -1 if limit is None else limit - n])


def _select(date: str, source: str, where: Sequence[str], only: PhotoFilter, order: str | None = None) -> str:
    """SELECT date, id; order: with it, and a limit that is the last value."""
    conditions = " AND ".join([*where, *_PRESENT, *filter(None, [only.where])])
    end = "" if order is None else f" ORDER BY {order} LIMIT ?"
    return f"SELECT {date}, p.id FROM {source} WHERE {conditions}{end}"


def _swap(db: Database, sql: str, values: Sequence[SqlValue]) -> Iterator[tuple[int, str]]:
    return ((photo_id, date) for date, photo_id in db.iterate(sql, values))


def _sort_by_date(rows: Iterator[Row], *, is_newest: bool) -> Iterator[tuple[int, str]]:
    """(date, photo id), dates as bytes -> (photo id, date), sorted by date and then by id. 27 bytes a photo."""
    import numpy as np  # takes 80 ms to import: only where all photos are listed

    found = np.fromiter(rows, np.dtype([("date", f"S{_DATE_BYTES}"), ("id", np.int64)]))
    ids = -found["id"] if is_newest else found["id"]
    order = np.lexsort((ids, found["date"]))[:: -1 if is_newest else 1]
    for first in range(0, len(order), SORTED_AT_ONCE):
        for date, photo_id in found[order[first : first + SORTED_AT_ONCE]].tolist():
            yield photo_id, date.decode("utf-8", "replace")


def sort_photos(db: Database, photo_ids: Sequence[int], sort: Sort) -> list[int]:
    """These photos in another order."""
    return [photo_id for photo_id, _ in iterate_photos(db, match_ids(photo_ids), sort)]


def list_copies(db: Database) -> dict[int, int]:
    """photo id -> image id, of the photos on the disk whose image several photos show."""
    several = "SELECT image_id FROM photos WHERE image_id IS NOT NULL GROUP BY image_id HAVING count(*) > 1"
    sql = f"SELECT p.id, p.image_id FROM ({several}) c CROSS JOIN photos p USING (image_id) WHERE p.absent IS NULL"
    return dict(db.rows(sql))


def find_images(db: Database, photo_ids: Sequence[int]) -> dict[int, int]:
    """photo id -> the id of its image."""
    sql = "SELECT p.id, p.image_id FROM json_each(?) j CROSS JOIN photos p ON p.id = j.value"
    return dict(db.rows(sql, [json.dumps(list(photo_ids))]))


def count_showing(db: Database, image_ids: Sequence[int], only: PhotoFilter) -> dict[int, int]:
    """image id -> how many photos of the filter show it. image_ids: each once."""
    shown = "json_each(?) j CROSS JOIN photos p ON p.image_id = j.value"
    rows = db.rows(_select("p.image_id", shown, (), only), [json.dumps(list(image_ids)), *only.values])
    return Counter(image_id for image_id, _ in rows)


def match_ids(photo_ids: Sequence[int]) -> PhotoFilter:
    """The photos with these ids."""
    return PhotoFilter("p.id IN (SELECT value FROM json_each(?))", (json.dumps(list(photo_ids)),), len(photo_ids))


def list_neighbours(db: Database, photo_id: int, n: int) -> list[int]:
    """Up to n photos taken before one, and up to n after it, in the order of their dates, the photo among them.

    Without a date: those of its folder, by their files' dates.
    """
    row = db.row(f"SELECT {LOCAL_DATE}, p.folder_id, p.mtime_ns FROM photos p WHERE p.id = ?", [photo_id])
    if row is None:
        return []
    date, folder_id, mtime_ns = row
    sides = []
    for sign, order in (("<", "DESC"), (">", "ASC")):
        if date is None:
            sql = _select("p.mtime_ns", "photos p", (f"p.folder_id = ? AND (p.mtime_ns, p.id) {sign} (?, ?)",), _ALL)
            values: list[SqlValue] = [folder_id, mtime_ns, photo_id]
        else:
            # Each arm is bounded by its own index first: (a, b) < (?, ?) alone would not use it.
            selects = [
                _select(column, source, (where, f"{column} {sign}= ? AND ({column}, p.id) {sign} (?, ?)"), _ALL)
                for column, source, where in _DATED
            ]
            sql, values = " UNION ALL ".join(selects), [date, date, photo_id] * len(selects)
        rows = db.rows(f"{sql} ORDER BY 1 {order}, 2 {order} LIMIT ?", [*values, n])
        sides.append([found for _, found in rows])
    before, after = sides
    return [*reversed(before), photo_id, *after]


_ALL = PhotoFilter("", (), None)
