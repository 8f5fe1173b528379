"""Ranking by similarity: descriptions and pictures -> one vector -> the nearest photos, and the cut-off.

Terms add up: a question's vector is the weighted sum of its terms' vectors, each of unit length, so a photo's
similarity is the same sum of its similarities to each term. What photos should be unlike has a negative weight.
"""

import contextlib
import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError, QueryError, StoreError
from photosearch.library.database import Database
from photosearch.library.photos import find_image_at
from photosearch.library.records import VectorSpace
from photosearch.library.runs import read_value, write_value
from photosearch.library.vectors import (
    count_vectors,
    find_space,
    read_stamp,
    read_vectors,
    read_vectors_since,
)
from photosearch.models.catalog import text_model_for
from photosearch.models.text import TextModel
from photosearch.search.scope import choose_model
from photosearch.search.similarity_cutoff import SimilarityCutoff
from photosearch.search.vectors import VectorMap, open_or_build

DESCRIPTIONS = Path(__file__).parent / "descriptions.txt"
MIN_DESCRIPTIONS, MAX_DESCRIPTIONS = 20, 200  # measured for the cut-off; embedding 200 takes a second
MAX_PRODUCTS = 200_000_000  # of a description's and a photo's vector, to measure them; MIN_DESCRIPTIONS are always
MAX_GROWTH = 1.1  # the descriptions are measured again once the photos have grown or shrunk by this factor

Floats = npt.NDArray[np.float32]
ReadPicture = Callable[[str, str], Floats]  # (a picture's file, a model's name) -> its vector


@dataclass(frozen=True, slots=True)
class Term:
    """A description, or a picture's file, that photos should be like; unlike where its weight is negative."""

    weight: float
    text: str | None = None
    picture: str | None = None


def open_vector_map(db: Database, space: VectorSpace) -> VectorMap:
    """The map of a space's vectors, beside the library; built where it is missing or stale."""
    return open_or_build(
        db.path.with_name(f"{db.path.name}.vectors-{space.digest}"),
        digest=space.digest,
        dimensions=space.dimensions,
        stamp=read_stamp(db, space),
        rows=lambda: read_vectors(db, space),
        added=lambda stamp: read_vectors_since(db, space, stamp),
    )


def open_similarity_search(db: Database, model: str | None, read_picture: ReadPicture) -> "SimilaritySearch":
    """Search the vectors of the given model, else the default model's. Raises QueryError where there are none.

    read_picture: gives the vector of a picture that the library does not hold.
    """
    name = choose_model(db, model)
    if name is None:
        raise QueryError("nothing is indexed yet; run `photosearch index FOLDER`")
    space = find_space(db, name)
    if space is None:
        raise QueryError(f"{name} gives no vectors, so it can't search by similarity; index with another model")
    return SimilaritySearch(db, name, space, read_picture)


class SimilaritySearch:
    """Ranks the photos of a library by similarity. A context manager, which owns the map of their vectors."""

    def __init__(self, db: Database, model: str, space: VectorSpace, read_picture: ReadPicture):
        """model: the name of the model whose vectors lie in the space."""
        self.db, self.model, self.space = db, model, space
        self._read_picture = read_picture
        self._text: TextModel | None = None
        self.map = open_vector_map(db, space)

    def __enter__(self) -> "SimilaritySearch":
        return self

    def __exit__(self, *_: object) -> None:
        self.map.close()

    def combine(self, terms: Sequence[Term], *, filtered: bool = False) -> Floats:
        """One vector for all terms, [D], of unit length. Raises QueryError, InputError, ModelError.

        filtered: labels filter already, so that terms with a negative weight are enough.
        """
        if not filtered and not any(term.weight > 0 for term in terms):
            raise QueryError("say what photos should show or be like, not only what they should not")
        total = np.zeros(self.space.dimensions, np.float32)
        for term in terms:
            total += np.float32(term.weight) * self._vector(term)
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise QueryError("what photos should be like and unlike cancel each other out; ask for something else")
        unit: Floats = total / length
        return unit

    def measure_cutoff(self, unit: Floats) -> SimilarityCutoff:
        """What the similarities to this vector mean among this library's photos."""
        photos = np.sort(self.map.similarities(unit)) if len(self.map) else np.zeros(0, np.float32)
        best = self.map.nearest(unit, limit=1)[0][1] if len(self.map) else -1.0  # exact, like the descriptions' best
        return SimilarityCutoff(best, photos, self.measure_descriptions())

    def _vector(self, term: Term) -> Floats:
        if term.text is not None:
            embedded: Floats = self.embed_texts([term.text])[0]
            return embedded
        assert term.picture is not None
        image_id = find_image_at(self.db, term.picture)
        stored = None if image_id is None else self.map.vector(image_id)
        return self._read_picture(term.picture, self.model) if stored is None else stored

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """Texts -> [N, D]. Raises InputError, and ModelError where no text model shares these vectors' space."""
        if self._text is None:
            path = text_model_for(self.space.name)
            self._text = _open_text_model(path, path.stat().st_mtime_ns)
        embedded: Floats = self._text.embed(texts)
        return embedded

    def measure_descriptions(self) -> Floats:
        """The best similarity here of each of many everyday descriptions, rising; stored until the photos change."""
        if not len(self.map):
            return np.zeros(0, np.float32)
        key = f"descriptions {self.space.digest}"
        if (stored := self._recall(key)) is not None:
            return stored
        texts = DESCRIPTIONS.read_text(encoding="utf-8").splitlines()
        n = max(MIN_DESCRIPTIONS, min(MAX_DESCRIPTIONS, MAX_PRODUCTS // len(self.map)))
        texts = texts[:: -(-len(texts) // n)]
        nearest = self.map.nearest_many(self.embed_texts(texts), limit=1)
        best = sorted(round(float(found[0][1]), 6) for found in nearest)
        if os.access(self.db.path, os.W_OK):
            with contextlib.suppress(StoreError):  # a full or read-only disk: measured again next time
                write_value(self.db, key, json.dumps({"stamp": self.map.stamp, "best": best}))
        return np.array(best, np.float32)

    def _recall(self, key: str) -> Floats | None:
        """The stored measurement, if nearly all photos are still those that it was made with."""
        try:
            stored = json.loads(read_value(self.db, key) or "null")
            then, still, _ = count_vectors(self.db, self.space, stored["stamp"])
            best = np.array(stored["best"], np.float32)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return best if then <= MAX_GROWTH * still and len(self.map) <= MAX_GROWTH * then and best.ndim == 1 else None


@functools.lru_cache(maxsize=1)
def _open_text_model(path: Path, mtime_ns: int) -> TextModel:
    """Opening a text model takes longer than using it, so the last one stays open while the program runs."""
    return TextModel(path)


def read_weight(text: str) -> tuple[float, str]:
    """2:a.jpg -> (2.0, a.jpg); a.jpg -> (1.0, a.jpg). An existing file of the whole name is that file."""
    weight, colon, rest = text.partition(":")
    if colon and rest and not os.path.exists(text):
        try:
            number = float(weight)
        except ValueError:
            return 1.0, text
        if not 0 < number <= 100:
            raise InputError(f"{text}: a weight must lie between 0 and 100")
        return number, os.path.expanduser(rest)  # a shell expands ~ only where a word begins
    return 1.0, text
