"""Bounds on a Parquet file before pyarrow reads it: its footer, and what each of its pages unpacks to.

pyarrow believes what a file says of itself: a page of 5 kB may unpack to gigabytes, a run-length code of six bytes may
mean two billion values, and a footer that contradicts itself ends the process. So footer and page headers are read here
first. An unpacked page is then no longer than it says, and its values no more; where repeated strings stay
dictionary-encoded, reading takes memory for just these. Both are in Thrift's compact protocol:
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

MAX_FOOTER_BYTES = 2**18  # ours: 10 kB; pyarrow takes two hundred times as much memory
MAX_HEADER_BYTES = 2**16  # of a page; ours: 30 bytes, others' hold their smallest and largest value
MAX_PAGES = 100_000  # ours: 3 for each column
MAX_DEPTH = 10  # of structs and lists in each other
MAGIC = b"PAR1"
WRITER = b"parquet-cpp-arrow "  # for other writers' old files, pyarrow reads more than the footer says

BYTE_ARRAY = 6  # the physical type of texts
DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 0, 2, 3
# Page type -> the field of the PageHeader that describes it, and in that the field of its encoding; of its values: 1.
DESCRIPTIONS = {DATA_PAGE: (5, 2), DICTIONARY_PAGE: (7, 2), DATA_PAGE_V2: (8, 4)}
ENCODINGS = {0, 2, 3, 8}  # plain, dictionary (two numbers), run lengths; others' values grow with those before them

# Thrift's types: true, false, byte, 16, 32 and 64 bits, binary, list, struct.
TRUE, FALSE, BYTE, I16, I32, I64, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 8, 9, 12

Fields = dict[int, Any]  # field number -> bool, int, bytes, list or Fields


@dataclass(frozen=True, slots=True)
class Chunk:
    """One column of one row group: its physical type and path, and where its pages are."""

    kind: int
    path: str
    n_values: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Footer:
    """metadata: of the file, by keys. rows: of each row group."""

    metadata: Mapping[bytes, bytes]
    rows: tuple[int, ...]
    chunks: tuple[Chunk, ...]

    @property
    def text_paths(self) -> list[str]:
        return list(dict.fromkeys(chunk.path for chunk in self.chunks if chunk.kind == BYTE_ARRAY))


def read_footer(file: BinaryIO, max_bytes: int) -> Footer:
    """Raises ValueError where a file is longer than max_bytes, or its footer not one that pyarrow writes."""
    size = file.seek(0, os.SEEK_END)
    if size > max_bytes:
        raise ValueError(f"longer than {max_bytes:,} bytes")
    file.seek(max(0, size - 8))
    tail = file.read(8)
    if len(tail) < 8 or tail[4:] != MAGIC:
        raise ValueError("not a Parquet file")
    length = struct.unpack("<I", tail[:4])[0]
    if length > min(MAX_FOOTER_BYTES, size - 12):
        raise ValueError("its footer is too long")
    file.seek(size - 8 - length)
    try:
        values, _ = _read_struct(file.read(length), 0)
        groups = values[4]
        rows = tuple(group[3] for group in groups)
        pairs = {pair[1]: pair.get(2, b"") for pair in values.get(5, ())}
        n = len([element for element in values[2] if 5 not in element])  # columns: elements without children
        if any(len(group[1]) != n for group in groups) or sum(rows) != values[3] or min(rows, default=0) < 0:
            raise ValueError("its footer contradicts itself")
        if not values[6].startswith(WRITER):
            raise ValueError("written by another program")
        chunks = tuple(_read_chunk(chunk[3], size) for group in groups for chunk in group[1])
    except (IndexError, KeyError, TypeError, AttributeError):
        raise ValueError("its footer is damaged") from None
    finally:
        file.seek(0)
    return Footer(pairs, rows, chunks)


def _read_chunk(values: Fields, size: int) -> Chunk:
    start, first = values[9], values.get(11, 0)
    start = min(start, first) if first > 0 else start
    end = start + values[7]
    if not 0 <= start <= end <= size or values[5] < 0:
        raise ValueError("its footer contradicts itself")
    return Chunk(values[1], b".".join(values[3]).decode(), values[5], start, end)


def check_pages(file: BinaryIO, footer: Footer, *, max_bytes: int, max_values: int) -> None:
    """Raises ValueError where all pages together unpack to more bytes or values, or are not such as pyarrow writes."""
    n_bytes = n_values = n_pages = 0
    for chunk in footer.chunks:
        at = chunk.start
        while at < chunk.end:
            unpacked, values, at = _read_page(file, at, chunk.end)
            n_bytes, n_values, n_pages = n_bytes + unpacked, n_values + values, n_pages + 1
            if n_bytes > max_bytes or max(n_values, chunk.n_values) > max_values or n_pages > MAX_PAGES:
                raise ValueError(f"unpacks to more than {max_bytes:,} bytes or {max_values:,} values")


def _read_page(file: BinaryIO, at: int, end: int) -> tuple[int, int, int]:
    """-> (bytes once unpacked, values, the position after the page)."""
    file.seek(at)
    data = file.read(min(MAX_HEADER_BYTES, end - at))
    try:
        header, length = _read_struct(data, 0)
        description, encoding = DESCRIPTIONS[header[1]]
        unpacked, packed, values = header[2], header[3], header[description][1]
        known = header[description][encoding] in ENCODINGS
        after = at + length + packed
        if not known or min(unpacked, packed, values) < 0 or after > end:
            raise ValueError("a page that photosearch does not write")
    except (IndexError, KeyError, TypeError):
        raise ValueError("a page without a usable header") from None
    return unpacked, values, after


def _read_struct(data: bytes, at: int, depth: int = 0) -> tuple[Fields, int]:
    """-> (its fields, the position after it). Raises IndexError, ValueError.

    Strict, so that pyarrow can't read it in another way: each field once, and in rising order.
    """
    fields: Fields = {}
    number = 0
    while byte := data[at]:
        at, kind = at + 1, byte & 15
        if not byte >> 4:
            raise ValueError("its parts are not in order")
        number += byte >> 4
        if kind in (TRUE, FALSE):
            fields[number] = kind == TRUE
        else:
            fields[number], at = _read_value(data, at, kind, depth + 1)
    return fields, at + 1


def _read_value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """-> (a value of a type, the position after it). Raises IndexError, ValueError."""
    if depth > MAX_DEPTH:
        raise ValueError("its parts nest too deep")
    if kind == STRUCT:
        return _read_struct(data, at, depth)
    if kind == BYTE:
        return data[at], at + 1
    if kind in (I16, I32, I64):
        value, at = _read_varint(data, at)
        return value >> 1 ^ -(value & 1), at
    if kind == BINARY:
        length, at = _read_varint(data, at)
        if length > len(data) - at:
            raise IndexError
        return data[at : at + length], at + length
    if kind != LIST:
        raise ValueError("a part of an unknown type")
    n, kind, at = data[at] >> 4, data[at] & 15, at + 1
    if n == 15:
        n, at = _read_varint(data, at)
    found = []
    for _ in range(n):
        value, at = _read_value(data, at, kind, depth + 1)
        found.append(value)
    return found, at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """-> (an unsigned number, the position after it). Raises IndexError, ValueError."""
    value = 0
    for i in range(10):
        byte = data[at + i]
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError("a number is too long")
