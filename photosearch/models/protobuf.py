"""The little of an .onnx file that can be known without ONNX Runtime: its card, and which other files it wants.

An .onnx file is one protobuf message (https://protobuf.dev/programming-guides/encoding/): fields one after another,
each a tag (number and wire type) and a value. What lies between the fields that are wanted, hundreds of megabytes of
weights, is passed over by seeking. Not a parser of graphs: that is ONNX Runtime's work. Everything here takes hostile
input: each length is held against the file's size, and the number of fields is bounded.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

MAX_FIELDS = 20_000  # of a message; a model has a dozen
MAX_NODES = 2_000_000  # fields of all messages of a graph together
MAX_ENTRY_BYTES = 2**24  # of one entry of the metadata
MAX_NESTING = 64  # of messages in messages: a graph in a node of a graph is three

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4 are groups, which ONNX never had
METADATA = 14  # of ModelProto: entries of a key (1) and a value (2)
GRAPH, FUNCTION = 7, 25  # of ModelProto
# Where weights lie below a graph: message -> field -> the message there. Names as in onnx.proto.
BELOW = {
    "model": {GRAPH: "graph", FUNCTION: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},  # external_data: location, offset, length
}


def read_metadata(file: BinaryIO, key: str) -> str | None:
    """The value that stands under a key in a model's metadata, or None. Raises ValueError with a few words."""
    found: list[str] = []
    for number, kind, start, end in _fields(file, 0, _size(file), MAX_FIELDS):
        if number == METADATA and kind == BYTES:
            name, value = _entry(file, start, end)
            if name == key:
                found.append(value)
    if len(found) > 1:
        raise ValueError("it has two cards")
    return found[0] if found else None


def list_external_files(file: BinaryIO) -> set[str]:
    """The names of the files that hold a model's weights, as the model gives them: unchecked. Raises ValueError."""
    found: set[str] = set()
    left = MAX_NODES
    waiting = [("model", 0, _size(file), 0)]
    while waiting:
        message, start, end, depth = waiting.pop()
        if depth > MAX_NESTING:
            raise ValueError("its graph nests too deep")
        for number, kind, first, last in _fields(file, start, end, left):
            left -= 1
            below = BELOW[message].get(number)
            if below is None or kind != BYTES:
                continue
            if below == "entry":
                name, value = _entry(file, first, last)
                if name == "location":
                    found.add(value)
            else:
                waiting.append((below, first, last, depth + 1))
    return found


def _size(file: BinaryIO) -> int:
    """In bytes."""
    return file.seek(0, os.SEEK_END)


def _fields(file: BinaryIO, start: int, end: int, most: int) -> Iterator[tuple[int, int, int, int]]:
    """A message between two places of a file -> (field number, wire type, where its value starts and ends)."""
    at, n = start, 0
    while at < end:
        n += 1
        if n > most:
            raise ValueError("it has too many parts")
        tag, at = _varint(file, at, end)
        kind = tag & 7
        if kind == VARINT:
            _, after = _varint(file, at, end)
        elif kind == BYTES:
            length, at = _varint(file, at, end)
            after = at + length
        elif kind in (FIXED64, FIXED32):
            after = at + (8 if kind == FIXED64 else 4)
        else:
            raise ValueError("it is not an .onnx file")
        if after > end or tag >> 3 == 0:
            raise ValueError("it is not an .onnx file, or it was cut")
        yield tag >> 3, kind, at, after
        at = after


def _varint(file: BinaryIO, at: int, end: int) -> tuple[int, int]:
    """-> (the number at this place, the place behind it). Seven bits a byte, the lowest first, at most ten bytes."""
    file.seek(at)
    value = 0
    for i, byte in enumerate(file.read(min(10, end - at))):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError("it is not an .onnx file, or it was cut")


def _entry(file: BinaryIO, start: int, end: int) -> tuple[str, str]:
    """A StringStringEntryProto -> (key, value)."""
    if end - start > MAX_ENTRY_BYTES:
        raise ValueError("an entry of its metadata is too long")
    texts = {1: b"", 2: b""}
    for number, kind, first, last in _fields(file, start, end, MAX_FIELDS):
        if number in texts and kind == BYTES:
            file.seek(first)
            texts[number] = file.read(last - first)
    try:
        return texts[1].decode(), texts[2].decode()
    except UnicodeDecodeError:
        raise ValueError("its metadata is not UTF-8") from None
