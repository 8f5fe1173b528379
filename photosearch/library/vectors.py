"""Stored vectors: at most one for each image and model file.

A vector without a direction (NaN, infinity, zero, of another size) is unusable: searches pass over it, and the next
`index` scores its photo again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from photosearch.library.database import Database
from photosearch.library.models import parse_card
from photosearch.library.records import USER_MODEL, VectorSpace
from photosearch.library.runs import read_value, write_value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MIN_LENGTH = 1e-3  # float16 gives a shorter vector no direction
CHECKED = (
    "checked vectors"  # the name of a value in the library: the last id that was checked, and ids of unusable ones
)
PIECE = 4096  # vectors read at a time


@dataclass(frozen=True, slots=True)
class UnusableVector:
    """scorer_ids: those of its model's file, with any number of tiles."""

    vector_id: int
    image_id: int
    content_hash: bytes
    scorer_ids: frozenset[int]


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


def measure_lengths(blobs: Sequence[bytes], dimensions: int) -> "npt.NDArray[np.float32]":
    """The length of each float16 vector [N]; NaN for one that holds NaN, infinity, or another number of dimensions."""
    import numpy as np  # 100 ms: find by labels alone does without

    size = 2 * dimensions
    if not size:  # of a model that gives none
        return np.full(len(blobs), np.nan, np.float32)
    whole = [blob if isinstance(blob, bytes) and len(blob) == size else b"\xff" * size for blob in blobs]  # NaN
    vectors = np.frombuffer(b"".join(whole), "<f2").reshape(len(blobs), dimensions).astype(np.float32)
    with np.errstate(invalid="ignore"):
        lengths: npt.NDArray[np.float32] = np.sqrt(np.vecdot(vectors, vectors))
    lengths[~np.isfinite(lengths)] = np.nan
    return lengths


def find_unusable(db: Database) -> list[UnusableVector]:
    """The unusable vectors of all models. Reads those that were added since `check_vectors`, and its findings again."""
    last, known = _read_checked(db)
    cards = db.rows("SELECT id, card FROM models WHERE name <> ?", [USER_MODEL])
    dimensions = {model_id: parse_card(db, card).dimensions for model_id, card in cards}
    found = list(_filter_unusable(db, known, dimensions))
    while ids := [i for (i,) in db.rows("SELECT id FROM vectors WHERE id > ? ORDER BY id LIMIT ?", [last, PIECE])]:
        found += _filter_unusable(db, ids, dimensions)
        last = ids[-1]
    return _describe(db, found)


def check_vectors(db: Database) -> list[UnusableVector]:
    """The same, and remember what was found: a vector is read once, and an unusable one until it is replaced."""
    found = find_unusable(db)
    (last,) = db.one("SELECT coalesce(max(id), 0) FROM vectors")
    state = json.dumps([last, *(vector.vector_id for vector in found)])
    if state != read_value(db, CHECKED):
        write_value(db, CHECKED, state)
    return found


def _read_checked(db: Database) -> tuple[int, list[int]]:
    """-> (the last id that was checked, ids of unusable vectors)."""
    try:
        last, *known = map(int, json.loads(read_value(db, CHECKED) or "[0]"))
    except (ValueError, TypeError):
        return 0, []
    return last, known


def _filter_unusable(db: Database, ids: Sequence[int], dimensions: Mapping[int, int]) -> Iterator[int]:
    """Those of these vectors' ids that are unusable. dimensions: of each model."""
    rows = db.rows(
        "SELECT v.model_id, v.id, v.vector FROM json_each(?) j JOIN vectors v ON v.id = j.value",
        [json.dumps(list(ids))],
    )
    for model_id, size in dimensions.items():
        own = [(vector_id, vector) for its_model, vector_id, vector in rows if its_model == model_id]
        if own:
            usable = measure_lengths([vector for _, vector in own], size) > MIN_LENGTH
            yield from (vector_id for (vector_id, _), fine in zip(own, usable, strict=True) if not fine)


def _describe(db: Database, ids: Sequence[int]) -> list[UnusableVector]:
    rows = db.rows(
        """
        SELECT v.id, v.image_id, i.hash, json_group_array(b.id) FROM json_each(?) j JOIN vectors v ON v.id = j.value
        JOIN images i ON i.id = v.image_id JOIN models a ON a.id = v.model_id JOIN models b ON b.digest = a.digest
        GROUP BY v.id
        """,
        [json.dumps(list(ids))],
    )
    return [UnusableVector(i, image, content, frozenset(json.loads(scorers))) for i, image, content, scorers in rows]
