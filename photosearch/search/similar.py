"""Ranking by similarity: descriptions and pictures -> one vector -> the nearest photos, and how sure each is.

Terms add up: a question's vector is the weighted sum of its terms' vectors, each of unit length, so a photo's
similarity is the same sum of its similarities to each term. A picture that photos should be unlike has a negative
weight. A text that they should not show lowers their rank by its evidence instead: subtracting its vector also takes
away what it shares with the text that is wanted. A label that the text names raises it.
"""

import base64
import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    find_space,
    read_stamp,
    read_vectors,
    read_vectors_since,
)
from photosearch.models.catalog import text_model_for
from photosearch.models.text import TextModel
from photosearch.search.scope import choose_model
from photosearch.search.similarity_cutoff import SURE, measure_evidence
from photosearch.search.vectors import VectorMap, open_or_build

DESCRIPTIONS = Path(__file__).parent / "descriptions.txt"
EVERYDAY = 100  # descriptions; embedding them takes half a second
CHUNK = 10_000  # photos compared with them at a time
NEAREST = 10  # photos that give a description's threshold
# `python -m train cutoff` chose these on Flickr8k's development part, in standard deviations of everyday similarities.
LABEL_WEIGHT = 2.0  # of a label that is all of the description, and that the photo surely has
LABEL_SHARE_POWER = 2.0  # of the share of the description's words that name labels: of many words they say little
LABEL_REACH = 4.0  # logits on both sides of its threshold, between which a label's weight rises from 0 to 1
FREE = 0.5  # evidence of what is not wanted, above which a photo falls

Floats = npt.NDArray[np.float32]
ReadPicture = Callable[[str, str], Floats]  # (a picture's file, a model's name) -> its vector


@dataclass(frozen=True, slots=True)
class Term:
    """A description, or a picture's file, that photos should be like; unlike where its weight is negative."""

    weight: float
    text: str | None = None
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class LabelScores:
    """What is known of a label. best: the images with the highest scores. threshold: from which score on it applies.
    read: image ids -> the score of each that has one. named: the share of the description's words that name labels."""

    best: Sequence[int]
    threshold: float
    read: Callable[[Sequence[int]], Mapping[int, float]]
    named: float = 1.0

    def weigh(self, ids: Sequence[int]) -> Floats:
        """What the label adds to each image's rank, in standard deviations, 0..LABEL_WEIGHT; half at the threshold."""
        known = self.read(ids)
        scores = np.array([known.get(i, 0.0) for i in ids])
        above = _logit(scores) - _logit(np.array(self.threshold))
        weights: Floats = np.clip(above / (2 * LABEL_REACH) + 0.5, 0, 1) * LABEL_WEIGHT * self.named**LABEL_SHARE_POWER
        return weights


@dataclass(frozen=True, slots=True)
class Ranked:
    """An image that was found. evidence: see similarity_cutoff.py. rank: what orders it, the highest first."""

    image_id: int
    similarity: float
    evidence: float
    rank: float


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
    space = db.recall(find_space, name)
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
        self._everyday: Floats | None = None
        self.map = open_vector_map(db, space)

    def __enter__(self) -> "SimilaritySearch":
        return self

    def __exit__(self, *_: object) -> None:
        self.map.close()

    def combine(self, terms: Sequence[Term], *, filtered: bool = False) -> Floats:
        """One vector for all terms, [D], of unit length. Raises QueryError, InputError, ModelError.

        filtered: pictures with a negative weight are enough.
        """
        if not filtered and all(term.weight < 0 and term.picture is not None for term in terms):
            raise QueryError("say what photos should show or be like, not only what they should not")
        total = np.zeros(self.space.dimensions, np.float32)
        for term in terms:
            total += np.float32(term.weight) * self._vector(term)
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise QueryError("what photos should be like and unlike cancel each other out; ask for something else")
        unit: Floats = total / length
        return unit

    def rank(
        self, unit: Floats, *, limit: int, among: Sequence[int] | None = None,
        unwanted: Sequence[Floats] = (), labels: Sequence[LabelScores] = (), also: Sequence[int] = (),
        judge: bool = True,
    ) -> list[Ranked]:  # fmt: skip
        """The images nearest to a vector, best first, and what labels bring in beside them.

        among: image ids. also: images to rank beside the nearest. unwanted: vectors that lower a photo's rank by what
        their similarity has in excess. labels: what is known of labels that the description names. judge: whether to
        measure the evidence, which needs a text model; 0 without.
        """
        if not len(self.map) or (among is not None and not among):
            return []
        nearest = self.map.nearest(unit, limit=limit, among=among)
        if not judge:
            return [Ranked(image_id, similarity, 0.0, similarity) for image_id, similarity in nearest]
        allowed = None if among is None else set(among)
        ids = dict.fromkeys(image_id for image_id, _ in nearest)
        for more in (also, *(label.best for label in labels)):
            ids.update((i, None) for i in more if allowed is None or i in allowed)
        found: list[Ranked] = []
        every = np.array(list(ids), np.int64)
        for first in range(0, len(every), CHUNK):
            found += self._rank_some(every[first : first + CHUNK], unit, unwanted, labels)
        return sorted(found, key=lambda r: (-r.rank, r.image_id))

    def _rank_some(
        self, ids: npt.NDArray[np.int64], unit: Floats, unwanted: Sequence[Floats], labels: Sequence[LabelScores]
    ) -> Iterator[Ranked]:
        ids, vectors = self.map.vectors_of(ids)
        if not len(ids):
            return
        everyday = self.embed_everyday() @ vectors.T
        similarities = self.map.similarity(ids, unit)
        evidence, spread = measure_evidence(similarities, everyday)
        rank, scale = similarities.astype(np.float64), float(spread.mean())
        for label in labels:
            rank += scale * label.weigh(ids.tolist())
        for other in unwanted:
            excess = np.maximum(0, measure_evidence(vectors @ other, everyday)[0] - FREE)
            rank -= scale * excess
            evidence = evidence - excess
        for row in zip(ids.tolist(), similarities.tolist(), evidence.tolist(), rank.tolist(), strict=True):
            yield Ranked(*row)

    def choose_candidates(self, unit: Floats, weights: Mapping[int, float], limit: int) -> list[int]:
        """Of images with a weight the heaviest, up to `limit`; of equal ones those nearest to a vector."""
        if len(weights) <= limit:
            return list(weights)
        least = sorted(weights.values(), reverse=True)[limit - 1]
        chosen = [i for i, weight in weights.items() if weight > least]
        equal = [i for i, weight in weights.items() if weight == least]
        return chosen + [i for i, _ in self.map.nearest(unit, limit=limit - len(chosen), among=equal)]

    def estimate_threshold(self, unit: Floats) -> float:
        """The similarity from which on a photo surely is like a vector, as far as one number can say it: the median of
        that of the nearest photos. 1 without photos."""
        ids, vectors = self.map.vectors_of(np.array([i for i, _ in self.map.nearest(unit, limit=NEAREST)], np.int64))
        if not len(ids):
            return 1.0
        everyday = self.embed_everyday() @ vectors.T
        _, spread = measure_evidence(np.zeros(len(ids)), everyday)
        return float(np.median(everyday.mean(0) + SURE * spread))

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

    def embed_everyday(self) -> Floats:
        """The vectors of many everyday descriptions, [M, D]; stored in the library, since embedding them takes time."""
        if self._everyday is None:
            key = f"everyday {self.space.digest}"
            stored = _decode(read_value(self.db, key), self.space.dimensions)
            if stored is None:
                texts = DESCRIPTIONS.read_text(encoding="utf-8").splitlines()
                stored = self.embed_texts(texts[:: len(texts) // EVERYDAY]).astype(np.float16)
                if os.access(self.db.path, os.W_OK):
                    with contextlib.suppress(StoreError):  # a full or read-only disk: embedded again next time
                        write_value(self.db, key, base64.b64encode(stored.tobytes()).decode())
            self._everyday = stored.astype(np.float32)
        return self._everyday


def _decode(text: str | None, dimensions: int) -> npt.NDArray[np.float16] | None:
    """The stored vectors, if they are whole."""
    try:
        vectors = np.frombuffer(base64.b64decode(text or "", validate=True), np.float16).reshape(-1, dimensions)
    except ValueError:
        return None
    return vectors if len(vectors) and np.isfinite(vectors).all() else None


def _logit(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    found: npt.NDArray[np.float64] = np.log(inside / (1 - inside))
    return found


@functools.lru_cache(maxsize=1)
def _open_text_model(path: Path, mtime_ns: int) -> TextModel:
    """Opening a text model takes longer than using it, so the last one stays open while the program runs."""
    return TextModel(path)


def close_text_model() -> None:
    """Free the memory of the text model that stayed open."""
    _open_text_model.cache_clear()


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
