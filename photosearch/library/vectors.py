"""Stored vectors: at most one for each image and model file."""

from collections.abc import Iterator

from photosearch.library.database import Database
from photosearch.library.models import parse_card
from photosearch.library.records import USER_MODEL, VectorSpace
from photosearch.library.runs import read_value


def find_space(db: Database, model: str) -> VectorSpace | None:
    """The vectors of the newest file of a model that gives vectors; None where no stored file of it does."""
    if model == USER_MODEL:  # has no vectors of its own
        return None
    rows = db.rows("SELECT min(id), digest, card FROM models WHERE name = ? GROUP BY digest ORDER BY 1 DESC", [model])
    for model_id, digest, text in rows:
        card = parse_card(db, text)
        if "vectors" in card.outputs:
            return VectorSpace(model_id, digest, card.space, card.dimensions)
    return None


def read_stamp(db: Database, space: VectorSpace) -> str:
    """A text that changes whenever a space's vectors do: their number, the last one's id, and the library's id."""
    n, last = db.one("SELECT count(*), coalesce(max(id), 0) FROM vectors WHERE model_id = ?", [space.model_id])
    return f"{n} {last} {read_value(db, 'id')}"


def read_vectors(db: Database, space: VectorSpace, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """(image id, float16 bytes) of each vector whose own id is larger than `after`, ordered by that id."""
    yield from db.iterate(
        "SELECT image_id, vector FROM vectors WHERE model_id = ? AND id > ? ORDER BY id", [space.model_id, after]
    )


def read_vectors_since(db: Database, space: VectorSpace, stamp: str) -> Iterator[tuple[int, bytes]] | None:
    """The vectors added since a stamp was read; None where any other was replaced or deleted since."""
    before, remaining, last = count_vectors(db, space, stamp)
    return read_vectors(db, space, last) if before == remaining else None


def count_vectors(db: Database, space: VectorSpace, stamp: str) -> tuple[int, int, int]:
    """-> (number of vectors when the stamp was read, how many of them remain, the id of the last of them).

    None remain where the stamp is another library's, or malformed.
    """
    n, last, library = (*stamp.split(), "", "", "")[:3]
    if not (n.isdecimal() and last.isdecimal()) or library != read_value(db, "id"):
        return 1, 0, 0
    (remaining,) = db.one("SELECT count(*) FROM vectors WHERE model_id = ? AND id <= ?", [space.model_id, int(last)])
    return int(n), int(remaining), int(last)


def read_vector(db: Database, space: VectorSpace, image_id: int) -> bytes | None:
    row = db.row("SELECT vector FROM vectors WHERE image_id = ? AND model_id = ?", [image_id, space.model_id])
    return None if row is None else row[0]
