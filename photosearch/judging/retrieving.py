"""How well descriptions find photos, by a file that says which photo each should find."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from photosearch.errors import InputError
from photosearch.judging import retrieval
from photosearch.library import matching
from photosearch.library.database import Database
from photosearch.library.photos import find_image_at
from photosearch.search.similar import SimilaritySearch


def judge_retrieval(db: Database, likeness: SimilaritySearch, file: str | Path) -> dict[str, Any]:
    """What `report --retrieval` prints. Every picture that is there and has a vector is ranked. Raises InputError."""
    queries = retrieval.read_queries(file)
    live = set(matching.find_images(db, None, {}, None, matching.NO_FILTER))
    ids = np.array([i for i in likeness.map.ids.tolist() if i in live], np.int64)
    place = {image_id: n for n, image_id in enumerate(ids.tolist())}
    ranks = []
    units = likeness.embed_texts(list(queries))
    for unit, paths in zip(units, queries.values(), strict=True):
        images = []
        for path in paths:
            image_id = find_image_at(db, path)
            if image_id not in place:
                raise InputError(f"{os.fspath(file)}: {path}: not in the library, or without a vector; index it first")
            images.append(place[image_id])
        similarities = likeness.map.similarity(ids, unit)
        order = np.lexsort((ids, -similarities))
        rank = np.empty(len(ids), np.intp)
        rank[order] = np.arange(1, len(ids) + 1)
        ranks.append(sorted({int(rank[i]) for i in images}))
    return retrieval.to_json(retrieval.evaluate(ranks, len(ids)))
