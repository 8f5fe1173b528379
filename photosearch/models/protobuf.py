"""Reads an .onnx file's metadata, its operators and the names of its external files, without ONNX Runtime.

An .onnx file is one protobuf message (https://protobuf.dev/programming-guides/encoding/): a sequence of fields, each a
tag (number and wire type) and a value. Unwanted fields, hundreds of megabytes of weights, are skipped by seeking. Not a
parser of graphs: that is ONNX Runtime's job. Input is hostile: each length is checked against the file's size, and the
number of fields is limited.
"""

import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

MAX_FIELDS = 20_000  # in a message; a model has a dozen
MAX_GRAPH_FIELDS = 2_000_000  # in all messages of a graph and its functions together
MAX_ENTRY_BYTES = 2**24  # of one entry of the metadata
MAX_NAME_BYTES = 1000  # of an operator or a function
MAX_NESTING = 64  # of messages; a graph in a node of a graph is three

MAX_NODES = 200_000  # of a graph, with its functions written out; CLIP has two thousand

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4 are groups, which ONNX never had
METADATA = 14  # of ModelProto: entries of a key (1) and a value (2)
GRAPH, FUNCTION = 7, 25  # of ModelProto
# The way to the weights: message -> field -> message. Names as in onnx.proto.
SUBMESSAGES = {
    "model": {GRAPH: "graph", FUNCTION: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},  # external_data: location, offset, length
}
OP_TYPE, DOMAIN = 4, 7  # of a node
FUNCTION_NAME, FUNCTION_DOMAIN = 1, 10


def check_operators(file: BinaryIO) -> None:
    """Raises ValueError where nobody can say how long a model will run: it loops, or its functions multiply.

    An `If` runs one of its graphs once. Any other operator with a graph of its own (Loop, Scan, SequenceMap) runs it as
    often as its data say, and ONNX Runtime writes each call of a function out, before it starts.
    """
    calls: dict[bytes, list[bytes]] = {b"": []}  # function, or "" for the graph -> the operators of its nodes
    left = [MAX_GRAPH_FIELDS]
    for number, wire_type, start, end in _iterate_fields(file, 0, _get_size(file), MAX_FIELDS):
        if number in (GRAPH, FUNCTION) and wire_type == BYTES:
            message = "graph" if number == GRAPH else "function"
            names = _read_texts(file, start, end, (FUNCTION_DOMAIN, FUNCTION_NAME))
            name = _join(*names) if number == FUNCTION else b""
            calls.setdefault(name, []).extend(_list_operators(file, message, start, end, left))
    counts: dict[bytes, int] = {}
    waiting = [b""]
    while waiting:
        name = waiting[-1]
        needed = [op for op in calls[name] if op in calls and op not in counts]
        if set(needed) & set(waiting):
            raise ValueError("a function of its graph calls itself")
        if needed:
            waiting.append(needed[0])
            continue
        counts[name] = sum(counts.get(op, 1) for op in calls[waiting.pop()])
        if counts[name] > MAX_NODES:
            raise ValueError(f"its graph has more than {MAX_NODES:,} operators")


def _list_operators(file: BinaryIO, message: str, start: int, end: int, left: list[int]) -> Iterator[bytes]:
    """Domain and type of each node, those of the graphs in it too. Raises ValueError for an operator that loops.

    left: how many fields may still be read, of all messages together; counted down.
    """
    pending = [(message, start, end, 0, b"")]
    while pending:
        message, start, end, depth, op = pending.pop()
        if depth > MAX_NESTING:
            raise ValueError("its graph nests too deep")
        if message == "node":
            op = _join(*_read_texts(file, start, end, (DOMAIN, OP_TYPE)))
            yield op
        for number, wire_type, first, last in _iterate_fields(file, start, end, left[0]):
            left[0] -= 1
            submessage = SUBMESSAGES[message].get(number)
            if wire_type != BYTES or submessage not in ("node", "attribute", "graph"):
                continue
            if submessage == "graph" and op != _join(b"", b"If"):
                name = op.decode(errors="replace").strip("\0")[:40]
                raise ValueError(f"its graph loops ({name}), so that it may never end; export it without loops")
            pending.append((submessage, first, last, depth + 1, op))


def _join(domain: bytes, name: bytes) -> bytes:
    """An operator's or function's full name. ai.onnx is the domain without a name."""
    return (b"" if domain == b"ai.onnx" else domain) + b"\0" + name


def _read_texts(file: BinaryIO, start: int, end: int, numbers: Sequence[int]) -> list[bytes]:
    """The values of these fields of a message, b"" where one is missing."""
    found = dict.fromkeys(numbers, b"")
    for number, wire_type, first, last in _iterate_fields(file, start, end, MAX_FIELDS):
        if number in found and wire_type == BYTES:
            file.seek(first)
            found[number] = file.read(min(last - first, MAX_NAME_BYTES))
    return list(found.values())


def read_metadata(file: BinaryIO, key: str) -> str | None:
    """The value of a key in a model's metadata, or None. Raises ValueError with a short reason."""
    found: list[str] = []
    for number, wire_type, start, end in _iterate_fields(file, 0, _get_size(file), MAX_FIELDS):
        if number == METADATA and wire_type == BYTES:
            name, value = _read_entry(file, start, end)
            if name == key:
                found.append(value)
    if len(found) > 1:
        raise ValueError("it has two cards")
    return found[0] if found else None


def list_external_files(file: BinaryIO) -> set[str]:
    """The names of other files with a model's weights, as the model gives them: unchecked. Raises ValueError."""
    found: set[str] = set()
    left = MAX_GRAPH_FIELDS
    pending = [("model", 0, _get_size(file), 0)]
    while pending:
        message, start, end, depth = pending.pop()
        if depth > MAX_NESTING:
            raise ValueError("its graph nests too deep")
        for number, wire_type, first, last in _iterate_fields(file, start, end, left):
            left -= 1
            submessage = SUBMESSAGES[message].get(number)
            if submessage is None or wire_type != BYTES:
                continue
            if submessage == "entry":
                name, value = _read_entry(file, first, last)
                if name == "location":
                    found.add(value)
            else:
                pending.append((submessage, first, last, depth + 1))
    return found


def _get_size(file: BinaryIO) -> int:
    """In bytes."""
    return file.seek(0, os.SEEK_END)


def _iterate_fields(file: BinaryIO, start: int, end: int, max_fields: int) -> Iterator[tuple[int, int, int, int]]:
    """A message between two positions -> (field number, wire type, its value's start, its end) of each field."""
    at, n = start, 0
    while at < end:
        n += 1
        if n > max_fields:
            raise ValueError("it has too many parts")
        tag, at = _read_varint(file, at, end)
        wire_type = tag & 7
        if wire_type == VARINT:
            _, after = _read_varint(file, at, end)
        elif wire_type == BYTES:
            length, at = _read_varint(file, at, end)
            after = at + length
        elif wire_type in (FIXED64, FIXED32):
            after = at + (8 if wire_type == FIXED64 else 4)
        else:
            raise ValueError("it is not an .onnx file")
        if after > end or tag >> 3 == 0:
            raise ValueError("it is not an .onnx file, or it is truncated")
        yield tag >> 3, wire_type, at, after
        at = after


def _read_varint(file: BinaryIO, at: int, end: int) -> tuple[int, int]:
    """-> (the number at this position, the position after it). Seven bits a byte, lowest first, at most ten bytes."""
    file.seek(at)
    value = 0
    for i, byte in enumerate(file.read(min(10, end - at))):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError("it is not an .onnx file, or it is truncated")


def _read_entry(file: BinaryIO, start: int, end: int) -> tuple[str, str]:
    """A StringStringEntryProto -> (key, value)."""
    if end - start > MAX_ENTRY_BYTES:
        raise ValueError("an entry of its metadata is too long")
    texts = {1: b"", 2: b""}
    for number, wire_type, first, last in _iterate_fields(file, start, end, MAX_FIELDS):
        if number in texts and wire_type == BYTES:
            file.seek(first)
            texts[number] = file.read(last - first)
    try:
        return texts[1].decode(), texts[2].decode()
    except UnicodeDecodeError:
        raise ValueError("its metadata is not UTF-8") from None
