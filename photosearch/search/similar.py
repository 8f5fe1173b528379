"""Ranking by likeness: descriptions and pictures -> one vector -> the nearest photos, and what a similarity means here.

Terms add up: the question is the weighted sum of their vectors, each of unit length, so a photo's similarity is the
same sum of its similarities to each of them. What is unlike has a negative weight.
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
from photosearch.library.records import VectorSpace
from photosearch.library.runs import read_value, write_value
from photosearch.library.vectors import count_vectors, read_stamp, read_vector, read_vectors, read_vectors_since
from photosearch.models.catalog import text_model_for
from photosearch.models.text import TextModel
from photosearch.search import similarity_cutoff
from photosearch.search.vectors import VectorMap, open_or_build

DESCRIPTIONS = Path(__file__).parent / "descriptions.txt"
FEWEST, MOST = 20, 200  # descriptions that are compared; reading 200 takes a second
COMPARED = 200_000_000  # products of a description and a photo, at most, to learn what similarities mean here
MAX_GROWTH = 1.1  # so many times as many photos, or as few, and that is learned again

Floats = npt.NDArray[np.float32]
ReadPicture = Callable[[str], Floats]


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to be like, or unlike where its weight is negative: a description, or a picture's file."""

    weight: float
    text: str | None = None
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class SimilarityCutoff:
    """What a question's similarities mean here. best: the highest. least: what it must exceed, None: nobody can say.

    photos: every photo's, rising. descriptions: the best that each description of nothing here reaches, rising.
    """

    best: float
    least: float | None
    photos: Floats
    descriptions: Floats

    @property
    def above(self) -> float:
        """The share of the descriptions whose best this question's best exceeds, 0..1; of none 0."""
        return similarity_cutoff.share_below(self.best, self.descriptions) or 0.0

    def is_enough(self, similarity: float) -> bool:
        """Whether a photo so similar is what was asked for; True where nobody can say."""
        return similarity_cutoff.is_similar(similarity, self.descriptions)


def open_vector_map(db: Database, space: VectorSpace) -> VectorMap:
    """The map of a space's vectors, beside the library; made or made anew where it must be."""
    return open_or_build(
        db.path.with_name(f"{db.path.name}.vectors-{space.digest}"),
        digest=space.digest,
        dimensions=space.dimensions,
        stamp=read_stamp(db, space),
        rows=lambda: read_vectors(db, space),
        added=lambda stamp: read_vectors_since(db, space, stamp),
    )


class SimilaritySearch:
    """Asks a library by likeness. Owns the map; a context manager.

    model: whose vectors these are. read_picture: a photo's file that the library does not hold -> its vector.
    """

    def __init__(
        self, db: Database, model: str, space: VectorSpace, read_picture: ReadPicture,
        image_of: Callable[[str], int | None],
    ):  # fmt: skip
        self.db, self.model, self.space = db, model, space
        self._read_picture, self._image_of = read_picture, image_of
        self._text: TextModel | None = None
        self.map = open_vector_map(db, space)

    def __enter__(self) -> "SimilaritySearch":
        return self

    def __exit__(self, *_: object) -> None:
        self.map.close()

    def combine(self, terms: Sequence[Term], *, filtered: bool = False) -> Floats:
        """One vector for all terms, [D], of unit length. Raises QueryError, InputError, ModelError.

        filtered: labels say already what is wanted, so that it is enough to say what it should be unlike.
        """
        if not filtered and not any(term.weight > 0 for term in terms):
            raise QueryError("say what it should show or be like, not only what it should not")
        total = np.zeros(self.space.dimensions, np.float32)
        for term in terms:
            total += np.float32(term.weight) * self._vector(term)
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise QueryError("what it should be like and unlike cancel each other out; ask for something else")
        unit: Floats = total / length
        return unit

    def learn(self, unit: Floats) -> SimilarityCutoff:
        """What this question's similarities mean among this library's photos."""
        photos = np.sort(self.map.similarities(unit)) if len(self.map) else np.zeros(0, np.float32)
        best = self.map.nearest(unit, limit=1)[0][1] if len(self.map) else -1.0  # exact, as the descriptions' best are
        known = self.learn_descriptions()
        return SimilarityCutoff(best, similarity_cutoff.estimate_cutoff(known), photos, known)

    def _vector(self, term: Term) -> Floats:
        if term.text is not None:
            read: Floats = self.read_texts([term.text])[0]
            return read
        assert term.picture is not None
        image_id = self._image_of(term.picture)
        stored = None if image_id is None else read_vector(self.db, self.space, image_id)
        if stored is None:
            return self._read_picture(term.picture)
        vector = np.frombuffer(stored, np.float16).astype(np.float32)
        unit: Floats = vector / np.linalg.norm(vector)
        return unit

    def read_texts(self, texts: Sequence[str]) -> Floats:
        """Texts -> [N, D]. Raises InputError, ModelError where no text model reads for these photos."""
        if self._text is None:
            path = text_model_for(self.space.name)
            self._text = _open_text_model(path, path.stat().st_mtime_ns)
        read: Floats = self._text.embed(texts)
        return read

    def learn_descriptions(self) -> Floats:
        """The best that each of many descriptions reaches here, rising; learned once, and again when photos changed."""
        if not len(self.map):
            return np.zeros(0, np.float32)
        key = f"descriptions {self.space.digest}"
        if (kept := self._recall(key)) is not None:
            return kept
        texts = DESCRIPTIONS.read_text(encoding="utf-8").splitlines()
        n = max(FEWEST, min(MOST, COMPARED // len(self.map)))
        texts = texts[:: -(-len(texts) // n)]
        best = [found[0][1] for found in self.map.nearest_many(self.read_texts(texts), limit=1)]
        told = sorted(round(float(b), 6) for b in best)
        if os.access(self.db.path, os.W_OK):
            with contextlib.suppress(StoreError):  # a disk that is full or can't be written: learned again next time
                write_value(self.db, key, json.dumps({"stamp": self.map.stamp, "best": told}))
        return np.array(told, np.float32)

    def _recall(self, key: str) -> Floats | None:
        """What was learned, where nearly all the photos are still those that it was learned from."""
        try:
            kept = json.loads(read_value(self.db, key) or "null")
            then, still, _ = count_vectors(self.db, self.space, kept["stamp"])
            best = np.array(kept["best"], np.float32)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return best if then <= MAX_GROWTH * still and len(self.map) <= MAX_GROWTH * then and best.ndim == 1 else None


@functools.lru_cache(maxsize=1)
def _open_text_model(path: Path, mtime_ns: int) -> TextModel:
    """Opening one takes longer than asking it; whoever asks again in the same program has it already."""
    return TextModel(path)


def read_weight(text: str) -> tuple[float, str]:
    """2:a.jpg -> (2.0, a.jpg); a.jpg -> (1.0, a.jpg). A file whose name begins so is meant where it exists."""
    weight, colon, rest = text.partition(":")
    if colon and rest and not os.path.exists(text):
        try:
            number = float(weight)
        except ValueError:
            return 1.0, text
        if not 0 < number <= 100:
            raise InputError(f"{text}: a weight lies between 0 and 100")
        return number, os.path.expanduser(rest)  # a shell expands ~ only where a word begins
    return 1.0, text
