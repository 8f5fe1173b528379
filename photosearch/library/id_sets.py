"""Sets of ids as the bits of an integer: with ids up to a million, 125 KB each, and & of two takes 20 microseconds."""

import json
import re

from photosearch.library.database import Database, SqlValue

MAX_ID = 10**9  # that SQLite gives only to a photo after as many others
ONE = ord("1")


def read_id_set(db: Database, sql: str, values: tuple[SqlValue, ...]) -> int:
    """The ids that a statement selects, as the one column of its rows.

    Through one JSON text, which takes a third of the time of rows, and digits: a shift for each id would copy all bits.
    """
    ids = json.loads(db.one(f"WITH found(id) AS ({sql}) SELECT json_group_array(id) FROM found", values)[0])
    if ids and not 0 <= min(ids) <= max(ids) <= MAX_ID:
        raise db.damaged()
    digits = bytearray(b"0") * (max(ids, default=0) + 1)
    for each in ids:
        digits[each] = ONE
    return int(digits[::-1], 2)


def list_ids(id_set: int) -> list[int]:
    """In ascending order."""
    return [found.start() for found in re.finditer(b"1", to_digits(id_set))]


def to_digits(id_set: int) -> bytes:
    """A byte for each id from 0 on, "1" for those in the set: for SQL, see is_in."""
    return format(id_set, "b")[::-1].encode()


def is_in(column: str) -> str:
    """A condition whose value is a set's digits. SQLite looks a byte up where a list would be copied first."""
    return f"substr(?, {column} + 1, 1) = x'31'"
