"""How well descriptions find photos: recall among the first, reciprocal rank, average precision.

A CSV file says which photos each query should find:

    query,path
    a dog running on the beach,2019/IMG_1.jpg
    a dog running on the beach,2019/IMG_7.jpg

A query's relevant photos have ranks, 1 the best, among all photos that were ranked. Several may be relevant.
- recall at k: of what answers a query, the share that is among its first k; the mean over the queries. Where each
  query has one photo, as Flickr8k's captions have, that is the R@k of the literature.
- mrr: the mean of 1 / the best rank. Voorhees, "The TREC-8 question answering track report" (1999).
- map: the mean of the average precisions; of one query, the mean over its photos of (how many of them are ranked so
  far) / rank. Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 8.4 (2008).
Intervals are 95 %: the middle of the means of DRAWS draws of the queries, with replacement. Efron, "Bootstrap
methods", Annals of Statistics 7 (1979). They hold for other queries to the same photos.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError
from photosearch.judging.csv_rows import CsvRow, read_csv
from photosearch.library import matching
from photosearch.library.database import Database
from photosearch.library.photos import find_image_at
from photosearch.search.similar import SimilaritySearch

COLUMNS = ("query", "path")
MAX_ROWS = 1_000_000
CUTOFFS = (1, 5, 10)  # the k of recall at k
DRAWS = 2000
MAX_DRAWN = 200_000  # queries drawn in one go: 8 MB
MEASURES = (*(f"recall_at_{k}" for k in CUTOFFS), "mrr", "map")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """How well queries found their photos: the mean of each measure, 0..1, and its 95 % interval, by name."""

    queries: int
    photos: int
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    mrr: float
    map: float
    intervals: Mapping[str, tuple[float, float]]

    def to_json(self) -> dict[str, object]:
        measures = {name: getattr(self, name) for name in MEASURES}
        intervals = {name: list(interval) for name, interval in self.intervals.items()}
        return {"queries": self.queries, "photos": self.photos, **measures, "intervals": intervals}


def judge_retrieval(db: Database, search: SimilaritySearch, file: str | Path) -> RetrievalReport:
    """Rank every image that is present and has a vector by each query of a file. Raises InputError, ModelError."""
    queries = read_queries(file)
    present = set(matching.find_images(db, None, {}, None, matching.NO_FILTER))
    ids = np.array([image_id for image_id in search.map.ids.tolist() if image_id in present], np.int64)
    row_of = {image_id: row for row, image_id in enumerate(ids.tolist())}
    relevant = [_find_rows(db, row_of, paths, os.fspath(file)) for paths in queries.values()]
    units = search.embed_texts(list(queries))
    ranks = [_rank(ids, search.map.similarity(ids, unit))[rows] for unit, rows in zip(units, relevant, strict=True)]
    return evaluate(ranks, len(ids))


def _find_rows(db: Database, row_of: Mapping[int, int], paths: Sequence[str], file: str) -> list[int]:
    """The rows of the images that these photos show, each once. Raises InputError."""
    rows = set()
    for path in paths:
        image_id = find_image_at(db, path)
        if image_id is None or image_id not in row_of:
            raise InputError(f"{file}: {path}: not in the library, or without a vector; index it first")
        rows.add(row_of[image_id])
    return sorted(rows)


def _rank(ids: npt.NDArray[np.int64], similarities: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """The rank of each image, from 1, the most similar first; of equal ones the lower id."""
    ranks = np.empty(len(ids), np.intp)
    ranks[np.lexsort((ids, -similarities))] = np.arange(1, len(ids) + 1)
    return ranks


def read_queries(path: str | Path) -> dict[str, list[str]]:
    """query -> the absolute paths of its relevant photos, each once, both in the file's order.

    A relative path counts from the file's own folder. Raises InputError, which names the line.
    """
    found: dict[str, dict[str, None]] = {}
    for n, row in enumerate(read_csv(path, COLUMNS)):
        if n >= MAX_ROWS:
            raise InputError(f"{row.where}: more than {MAX_ROWS:,} rows")
        query, photo = _parse_row(row)
        found.setdefault(query, {})[photo] = None
    if not found:
        raise InputError(f"{path}: holds no query below its first line")
    return {query: list(photos) for query, photos in found.items()}


def _parse_row(row: CsvRow) -> tuple[str, str]:
    query, path = row.cells
    if not query.strip():
        raise InputError(f"{row.where}: has no query")
    return query.strip(), row.to_absolute(path)


def evaluate(ranks: Sequence[npt.ArrayLike], photos: int, *, seed: int = 0) -> RetrievalReport:
    """Pure. ranks: for each query, those of its relevant photos, from 1, in any order. photos: how many were ranked.

    Raises InputError where a query has no photo, or a rank is not one of 1..photos, or two photos share it.
    """
    if not ranks:
        raise InputError("there are no queries to judge by")
    table = np.array([_measure(np.asarray(some), photos, i) for i, some in enumerate(ranks)])  # [queries, measures]
    means = table.mean(0)
    low, high = _intervals(table, np.random.default_rng(seed))
    return RetrievalReport(
        queries=len(ranks),
        photos=photos,
        **dict(zip(MEASURES, means.tolist(), strict=True)),
        intervals=dict(zip(MEASURES, zip(low.tolist(), high.tolist(), strict=True), strict=True)),
    )


def _measure(ranks: npt.NDArray[np.int64], photos: int, query: int) -> list[float]:
    """One query's values, in the order of MEASURES."""
    ranks = np.sort(ranks)
    if not len(ranks):
        raise InputError(f"query {query + 1} has no photo that answers it")
    if ranks[0] < 1 or ranks[-1] > photos or (np.diff(ranks) == 0).any():
        raise InputError(f"query {query + 1}: ranks must be different numbers from 1 to {photos}")
    recalls = [float((ranks <= k).mean()) for k in CUTOFFS]
    return [*recalls, float(1 / ranks[0]), float((np.arange(1, len(ranks) + 1) / ranks).mean())]


def _intervals(table: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The 2.5 % and 97.5 % quantiles of each column's mean over queries drawn with replacement."""
    at_once = max(1, MAX_DRAWN // len(table))
    means = [
        table[rng.integers(0, len(table), (min(at_once, DRAWS - first), len(table)))].mean(1)
        for first in range(0, DRAWS, at_once)
    ]
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975), axis=0)
    return low, high
