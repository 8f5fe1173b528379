"""Queries and the photos that answer them -> recall among the first, reciprocal rank, average precision. Pure.

A query's relevant photos have ranks, 1 the best, among all photos that were ranked. Several may be relevant.
- recall at k: of what answers a query, the share that is among its first k; the mean over the queries. Where each
  query has one photo, as Flickr8k's captions have, that is the R@k of the literature.
- mrr: the mean of 1 / the best rank. Voorhees, "The TREC-8 question answering track report" (1999).
- map: the mean of the average precisions; of one query, the mean over its photos of (how many of them are ranked so
  far) / rank. Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 8.4 (2008).
Intervals are 95 %: queries are drawn again and again with replacement, DRAWS times, and the middle taken. Efron,
"Bootstrap methods", Annals of Statistics 7 (1979). They speak of other queries to the same photos.

    query,path
    a dog running on the beach,2019/IMG_1.jpg
    a dog running on the beach,2019/IMG_7.jpg
"""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError

COLUMNS = ("query", "path")
MAX_FIELD = 100_000  # characters; csv's own limit is for the whole process and may have been changed
MAX_ROWS = 1_000_000
AT = (1, 5, 10)
DRAWS = 2000
AT_ONCE = 200_000  # queries drawn in one go: 8 MB
MEASURES = (*(f"recall_at_{k}" for k in AT), "mrr", "map")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How well queries found their photos. intervals: of each measure, 95 %."""

    queries: int
    photos: int
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    mrr: float
    map: float
    intervals: Mapping[str, tuple[float, float]]


def read_queries(path: str | Path) -> dict[str, list[str]]:
    """query -> the absolute paths of the photos that answer it, each once, both in the file's order.

    A relative path counts from the file's own folder. Raises InputError, which names the line.
    """
    folder = os.path.dirname(os.path.abspath(path))
    found: dict[str, dict[str, None]] = {}
    try:
        # surrogateescape: a path need not be UTF-8. utf-8-sig: spreadsheets write a byte order mark.
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            for query, photo in _rows(file, str(path), folder):
                found.setdefault(query, {})[photo] = None
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from None
    if not found:
        raise InputError(f"{path}: holds no query below its first line")
    return {query: list(photos) for query, photos in found.items()}


def evaluate(ranks: Sequence[Sequence[int]], photos: int, *, seed: int = 0) -> Retrieval:
    """ranks: for each query, those of its relevant photos, from 1, in any order. photos: how many were ranked.

    Of equal similarities, give each the rank it was shown at. Raises InputError where a query has no photo, or a rank
    is not one of 1..photos, or two photos share it.
    """
    if not ranks:
        raise InputError("no query to judge by")
    table = np.array([_measure(np.asarray(some), photos, i) for i, some in enumerate(ranks)])  # [queries, measures]
    means = table.mean(0)
    low, high = _intervals(table, np.random.default_rng(seed))
    return Retrieval(
        queries=len(ranks),
        photos=photos,
        **dict(zip(MEASURES, means.tolist(), strict=True)),
        intervals=dict(zip(MEASURES, zip(low.tolist(), high.tolist(), strict=True), strict=True)),
    )


def to_json(retrieval: Retrieval) -> dict[str, Any]:
    """What `report --retrieval --json` prints."""
    measures = {name: getattr(retrieval, name) for name in MEASURES}
    intervals = {name: list(interval) for name, interval in retrieval.intervals.items()}
    return {"queries": retrieval.queries, "photos": retrieval.photos, **measures, "intervals": intervals}


def _measure(ranks: npt.NDArray[Any], photos: int, query: int) -> list[float]:
    """One query's values, in the order of MEASURES."""
    ranks = np.sort(ranks)
    if not len(ranks):
        raise InputError(f"query {query + 1} has no photo that answers it")
    if ranks[0] < 1 or ranks[-1] > photos or (np.diff(ranks) == 0).any():
        raise InputError(f"query {query + 1}: ranks must be different numbers from 1 to {photos}")
    recalls = [float((ranks <= k).mean()) for k in AT]
    return [*recalls, float(1 / ranks[0]), float((np.arange(1, len(ranks) + 1) / ranks).mean())]


def _intervals(table: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The 2.5 % and 97.5 % quantiles of each column's mean over queries drawn with replacement."""
    at_once = max(1, AT_ONCE // len(table))
    means = [
        table[rng.integers(0, len(table), (min(at_once, DRAWS - first), len(table)))].mean(1)
        for first in range(0, DRAWS, at_once)
    ]
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975), axis=0)
    return low, high


def _rows(file: TextIO, source: str, folder: str) -> Iterator[tuple[str, str]]:
    before = csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(file, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if missing := [name for name in COLUMNS if name not in header]:
            raise InputError(f"{source}, line 1: lacks the column {missing[0]}; it must name {', '.join(COLUMNS)}")
        places = [header.index(name) for name in COLUMNS]
        for n, cells in enumerate(reader):
            if n >= MAX_ROWS:
                raise InputError(f"{source}, line {reader.line_num}: more than {MAX_ROWS:,} rows")
            if any(cell.strip() for cell in cells):
                yield _row(cells, places, f"{source}, line {reader.line_num}", folder)
    except csv.Error as error:
        raise InputError(f"{source}, line {reader.line_num}: not CSV: {error}") from None
    finally:
        csv.field_size_limit(before)


def _row(cells: list[str], places: list[int], where: str, folder: str) -> tuple[str, str]:
    if len(cells) <= max(places):
        raise InputError(f"{where}: has {len(cells)} columns, fewer than the first line")
    query, path = (cells[i] for i in places)
    if not query.strip():
        raise InputError(f"{where}: has no query")
    if not path or "\0" in path:
        raise InputError(f"{where}: has no usable path")
    return query.strip(), os.path.join(folder, path)
