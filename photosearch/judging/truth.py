"""What the user knows: CSV in, CSV out. Columns path, label, present; present is 1 or 0, yes or no, true or false.

    path,label,present
    2019/heron.jpg,bird,1
    2019/dog.jpg,bird,0

A relative path counts from the CSV's own folder. A row whose `present` is empty was not judged and is passed
over, so that a sheet may be filled in bit by bit. One bad row, and nothing is imported: it is named by its line.
"""

import csv
import io
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from photosearch.errors import InputError, QueryError
from photosearch.library import marks
from photosearch.library.database import Database
from photosearch.library.labels import read_labels
from photosearch.library.marks import Mark
from photosearch.library.photos import find_image_at
from photosearch.search.label_names import check_label_name, resolve_label

COLUMNS = ("path", "label", "present")
YES, NO = ("1", "yes", "true"), ("0", "no", "false")
MAX_FIELD = 100_000  # characters; csv's own limit is for the whole process and may have been changed


@dataclass(frozen=True, slots=True)
class Row:
    """line: in the file, from 1. path: absolute."""

    line: int
    path: str
    label: str
    present: bool


def read_rows(path: str | Path) -> list[Row]:
    """The judged rows of a CSV file, - for stdin. Raises InputError, which names the line."""
    folder = os.path.dirname(os.path.abspath(path))
    if str(path) == "-":
        text = sys.stdin.buffer.read().decode("utf-8-sig", "surrogateescape")
        return list(_rows(io.StringIO(text, newline=""), "stdin", os.path.abspath("")))
    try:
        # surrogateescape: a path need not be UTF-8. utf-8-sig: spreadsheets write a byte order mark.
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            return list(_rows(file, str(path), folder))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from None


def import_rows(
    db: Database, rows: Iterable[Row], source: str, *, skip_unknown: bool = False, new: Sequence[str] = ()
) -> tuple[int, int]:
    """Keep what the rows say, all or nothing -> (rows kept, rows passed over).

    skip_unknown: pass over photos that the library doesn't hold, instead of refusing the file. new: labels that nobody
    knows yet. Raises InputError.
    """
    known = [label.name for label in read_labels(db)] + marks.list_marked_labels(db) + list(map(check_label_name, new))
    kept: dict[tuple[str, int], Row] = {}
    passed = 0
    for row in rows:
        try:
            label = resolve_label(row.label, known)
        except QueryError as error:
            raise InputError(f"{source}, line {row.line}: {error}") from None
        image_id = find_image_at(db, row.path)
        if image_id is None:
            if not skip_unknown:
                raise InputError(
                    f"{source}, line {row.line}: {row.path}: not in the library, or not readable; index it first, "
                    "or pass over such rows with --skip-unknown"
                )
            passed += 1
            continue
        other = kept.setdefault((label, image_id), row)
        if other.present != row.present:
            raise InputError(
                f"{source}, line {row.line}: contradicts line {other.line}: the same picture, once 1 and once 0"
            )
    marks.put_marks(db, ((label, image_id, row.present) for (label, image_id), row in kept.items()))
    return len(kept), passed


def write_rows(truths: Iterable[Mark], out: TextIO) -> None:
    out.write(format_csv([COLUMNS, *((t.path, t.label, int(t.present)) for t in truths)]))


def format_csv(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV that every Python reads back.

    The writer of Pythons before 3.11.9 and 3.12.3 quotes a carriage return only where it ends its lines with one.
    """
    lines = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow(row)
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)


def _rows(file: TextIO, source: str, folder: str) -> Iterator[Row]:
    before = csv.field_size_limit(MAX_FIELD)
    first = file.readline()
    delimiter = ";" if ";" in first and "," not in first else ","  # as spreadsheets write it where 1,5 is a number
    reader = csv.reader(itertools.chain([first], file), strict=True, delimiter=delimiter)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if missing := [name for name in COLUMNS if name not in header]:
            raise InputError(f"{source}, line 1: lacks the column {missing[0]}; it must name {', '.join(COLUMNS)}")
        places = [header.index(name) for name in COLUMNS]
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield from _row(cells, places, source, reader.line_num, folder)
    except csv.Error as error:
        raise InputError(f"{source}, line {reader.line_num}: not CSV: {error}") from None
    finally:
        csv.field_size_limit(before)


def _row(cells: list[str], places: list[int], source: str, line: int, folder: str) -> Iterator[Row]:
    if len(cells) <= max(places):
        raise InputError(f"{source}, line {line}: has {len(cells)} columns, fewer than the first line")
    path, label, present = (cells[i] for i in places)
    if present.strip() == "":
        return
    said = present.strip().casefold()
    if said not in YES + NO:
        raise InputError(f"{source}, line {line}: present is {present.strip()!r}; it must be 1 or 0")
    if not path or "\0" in path:
        raise InputError(f"{source}, line {line}: has no usable path")
    if not label.strip():
        raise InputError(f"{source}, line {line}: has no label")
    yield Row(line, os.path.join(folder, path), label.strip(), said in YES)
