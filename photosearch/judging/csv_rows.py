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
from typing import Self, TextIO

from photosearch.errors import InputError
from photosearch.photos.remote import is_address

MAX_FIELD = 100_000  # characters; csv's own limit is the process's, and may have been changed
MAX_LINE, MAX_LINES = 500_000, 100  # characters of a line, and lines of a row: a quoted cell may hold some
MAX_ROWS = 1_000_000  # a mark of each photo of a large library; read in seconds


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
    """The rows of a CSV file, - for stdin, that are not blank, one at a time. Raises InputError, which names the line.

    columns: the wanted ones, which may stand in any order among others; letter case doesn't matter. More than MAX_ROWS
    rows are refused, and longer ones than MAX_LINE or MAX_LINES.
    """
    if str(path) == "-":
        text = io.TextIOWrapper(sys.stdin.buffer, "utf-8-sig", "surrogateescape", newline="")
        try:
            yield from _read_rows(text, "stdin", os.path.abspath(""), columns)
        finally:
            text.detach()  # or stdin would be closed
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
    lines = _Lines(file, source)
    try:
        first = next(lines, "")
        delimiter = ";" if ";" in first and "," not in first else ","
        reader = csv.reader(itertools.chain([first], lines), strict=True, delimiter=delimiter)
        places = _find_columns(next(reader, []), columns, source)
        for n, cells in enumerate(reader, 1):
            lines.left = MAX_LINES
            if n > MAX_ROWS:
                raise InputError(f"{source}: more than {MAX_ROWS:,} rows; split it, and take one file after the other")
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


class _Lines:
    """Lines with their ends. Raises InputError where one, or a row, is too long. left: lines that a row may have."""

    def __init__(self, file: TextIO, source: str):
        self._file, self._source, self._n, self.left = file, source, 0, MAX_LINES

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE)
        self._n, self.left = self._n + 1, self.left - 1
        if len(line) == MAX_LINE or self.left < 0:
            bound = f"{MAX_LINE:,} characters" if self.left >= 0 else f"{MAX_LINES:,} lines in one row"
            raise InputError(f"{self._source}, line {self._n}: longer than {bound}: not CSV")
        if not line:
            raise StopIteration
        return line


def _find_columns(header: Sequence[str], columns: Sequence[str], source: str) -> list[int]:
    names = [name.strip().lower() for name in header]
    if missing := [name for name in columns if name not in names]:
        raise InputError(f"{source}, line 1: lacks the column {missing[0]}; it must name {', '.join(columns)}")
    return [names.index(name) for name in columns]
