"""Stored vectors, one for each image and model file."""

from collections.abc import Iterator

from photosearch.errors import StoreError
from photosearch.library import database
from photosearch.library.database import Database
from photosearch.library.records import USER_MODEL, VectorSpace
from photosearch.library.runs import read_value
from photosearch.models.card import Card


def find_space(db: Database, model: str) -> VectorSpace | None:
    """Of the newest file of a model that gives vectors; None where none does, or it has looked at nothing."""
    if model == USER_MODEL:  # which has labels alone
        return None
    rows = db.rows("SELECT min(id), digest, card FROM models WHERE name = ? GROUP BY digest ORDER BY 1 DESC", [model])
    for model_id, digest, text in rows:
        try:
            card = Card.from_json(text)
        except (ValueError, TypeError):
            raise StoreError(f"{db.path}: {database.DAMAGED}") from None
        if "vectors" in card.outputs:
            return VectorSpace(model_id, digest, card.space, card.dimensions)
    return None


def read_stamp(db: Database, space: VectorSpace) -> str:
    """What changes whenever a space's vectors do: how many there are, the id of the last one, and which library."""
    n, last = db.one("SELECT count(*), coalesce(max(id), 0) FROM vectors WHERE model_id = ?", [space.model_id])
    return f"{n} {last} {read_value(db, 'id')}"


def read_vectors(db: Database, space: VectorSpace, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """(image id, float16 bytes) of each vector whose own id is larger than `after`, in the order of those ids."""
    yield from db.conn.execute(
        "SELECT image_id, vector FROM vectors WHERE model_id = ? AND id > ? ORDER BY id", [space.model_id, after]
    )


def read_vectors_since(db: Database, space: VectorSpace, stamp: str) -> Iterator[tuple[int, bytes]] | None:
    """Those that are new since a stamp; None where any other was changed or went since."""
    n, still, last = count_vectors(db, space, stamp)
    return read_vectors(db, space, last) if n == still else None


def count_vectors(db: Database, space: VectorSpace, stamp: str) -> tuple[int, int, int]:
    """-> (how many vectors a stamp speaks of, how many of them are still there, the id of its last one).

    None is there still where the stamp is another library's, or unreadable.
    """
    n, last, library = (*stamp.split(), "", "", "")[:3]
    if not (n.isdecimal() and last.isdecimal()) or library != read_value(db, "id"):
        return 1, 0, 0
    (still,) = db.one("SELECT count(*) FROM vectors WHERE model_id = ? AND id <= ?", [space.model_id, int(last)])
    return int(n), int(still), int(last)


def read_vector(db: Database, space: VectorSpace, image_id: int) -> bytes | None:
    row = db.row("SELECT vector FROM vectors WHERE image_id = ? AND model_id = ?", [image_id, space.model_id])
    return None if row is None else row[0]
