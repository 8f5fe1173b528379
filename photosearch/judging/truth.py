"""Marks in CSV, in and out. Columns path, label, present; present is 1 or 0, yes or no, true or false.

    path,label,present
    2019/heron.jpg,bird,1
    2019/dog.jpg,bird,0

A relative path counts from the CSV's own folder. A row whose `present` is empty was not judged and is skipped, so that
a sheet may be filled in bit by bit. One bad row, and nothing is imported: the error names its line.
"""

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from photosearch.errors import InputError, QueryError
from photosearch.judging.csv_rows import CsvRow, format_csv, read_csv
from photosearch.library import marks
from photosearch.library.database import Database
from photosearch.library.marks import Mark
from photosearch.library.photos import PhotoFinder
from photosearch.search.label_names import check_label_name, resolve_label
from photosearch.search.labels import list_known_names

MAX_LABELS = 10_000  # resolved ones that are remembered
COLUMNS = ("path", "label", "present")
YES, NO = ("1", "yes", "true"), ("0", "no", "false")


@dataclass(frozen=True, slots=True)
class Row:
    """A judged row. line: in the file, from 1. path: absolute."""

    line: int
    path: str
    label: str
    present: bool


def read_rows(path: str | Path) -> Iterator[Row]:
    """The judged rows of a CSV file, - for stdin. Raises InputError, which names the line."""
    return (judged for row in read_csv(path, COLUMNS) if (judged := _parse_row(row)) is not None)


def import_rows(
    db: Database, rows: Iterable[Row], source: str, *, skip_unknown: bool = False, new: Sequence[str] = ()
) -> tuple[int, int]:
    """Store the rows as marks, all or none -> (rows stored, rows skipped). Raises InputError, which names the line.

    skip_unknown: skip photos that the library doesn't hold, instead of refusing the file. new: labels to create.
    """
    known = [*list_known_names(db), *map(check_label_name, new)]
    find_label = functools.lru_cache(MAX_LABELS)(lambda name: resolve_label(name, known))
    find_image = PhotoFinder(db).find
    stored: dict[str, dict[int, int]] = defaultdict(dict)  # label -> image id -> its line, negative where not present
    skipped = 0
    for row in rows:
        where = f"{source}, line {row.line}"
        try:
            label = find_label(row.label)
        except QueryError as error:
            raise InputError(f"{where}: {error}") from None
        image_id = find_image(row.path)
        if image_id is None and not skip_unknown:
            raise InputError(
                f"{where}: {row.path}: not in the library, or not readable; index it first, or skip such rows with "
                "--skip-unknown"
            )
        if image_id is None:
            skipped += 1
            continue
        other = stored[label].setdefault(image_id, row.line if row.present else -row.line)
        if (other > 0) != row.present:
            raise InputError(f"{where}: contradicts line {abs(other)}: the same picture, once 1 and once 0")
    marks.put_marks(db, ((label, i, line > 0) for label, lines in stored.items() for i, line in lines.items()))
    return sum(map(len, stored.values())), skipped


def write_rows(rows: Iterable[Mark], out: TextIO) -> None:
    out.write(format_csv([COLUMNS, *((mark.path, mark.label, int(mark.present)) for mark in rows)]))


def _parse_row(row: CsvRow) -> Row | None:
    """None where the photo was not judged. Raises InputError."""
    path, label, present = row.cells
    answer = present.strip().casefold()
    if not answer:
        return None
    if answer not in YES + NO:
        raise InputError(f"{row.where}: present is {present.strip()!r}; it must be 1 or 0")
    path = row.to_absolute(path)
    if not label.strip():
        raise InputError(f"{row.where}: has no label")
    return Row(row.line, path, label.strip(), answer in YES)
