"""CSV in and CSV out: rows by the names of their columns, and errors that name the line.

Paths in it need not be UTF-8. Spreadsheets write a byte order mark, and semicolons where a comma parts decimals.
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

from photosearch.errors import InputError
from photosearch.photos.remote import is_address

MAX_FIELD = 100_000  # characters; csv's own limit is the process's, and may have been changed


@dataclass(frozen=True, slots=True)
class CsvRow:
    """The cells of the wanted columns, in their order. line: in the file, from 1. source: the file's name."""

    cells: tuple[str, ...]
    line: int
    source: str
    folder: str

    @property
    def where(self) -> str:
        return f"{self.source}, line {self.line}"

    def to_absolute(self, path: str) -> str:
        """A path in the row, relative to the file's own folder, or an address. Raises InputError where it has none."""
        if not path or "\0" in path:
            raise InputError(f"{self.where}: has no usable path")
        return path if is_address(path) else os.path.join(self.folder, path)


def read_csv(path: str | Path, columns: Sequence[str]) -> Iterator[CsvRow]:
    """The rows of a CSV file, - for stdin, that are not blank. Raises InputError, which names the line.

    columns: the wanted ones, which may stand in any order among others; letter case doesn't matter.
    """
    if str(path) == "-":
        text = sys.stdin.buffer.read().decode("utf-8-sig", "surrogateescape")
        yield from _read_rows(io.StringIO(text, newline=""), "stdin", os.path.abspath(""), columns)
        return
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from _read_rows(file, str(path), os.path.dirname(os.path.abspath(path)), columns)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from None


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


def _read_rows(file: TextIO, source: str, folder: str, columns: Sequence[str]) -> Iterator[CsvRow]:
    limit_before = csv.field_size_limit(MAX_FIELD)
    first = file.readline()
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(itertools.chain([first], file), strict=True, delimiter=delimiter)
    try:
        places = _find_columns(next(reader, []), columns, source)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) <= max(places):
                    raise InputError(
                        f"{source}, line {reader.line_num}: has {len(cells)} columns, fewer than the first line"
                    )
                yield CsvRow(tuple(cells[i] for i in places), reader.line_num, source, folder)
    except csv.Error as error:
        raise InputError(f"{source}, line {reader.line_num}: not CSV: {error}") from None
    finally:
        csv.field_size_limit(limit_before)


def _find_columns(header: Sequence[str], columns: Sequence[str], source: str) -> list[int]:
    names = [name.strip().lower() for name in header]
    if missing := [name for name in columns if name not in names]:
        raise InputError(f"{source}, line 1: lacks the column {missing[0]}; it must name {', '.join(columns)}")
    return [names.index(name) for name in columns]
