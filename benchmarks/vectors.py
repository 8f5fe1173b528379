"""The nearest of many vectors, three ways: numpy over a memory map, sqlite-vec, usearch.

Vectors of 384 float16 around a thousand centres, made up, the same for each way. Every way builds and answers in
processes of its own: what it holds, and what it costs as a whole command, is then its own. sqlite-vec and usearch are
left out where they are not installed: `pip install sqlite-vec apsw usearch`. A graph of usearch takes minutes of a core
at 100,000, so it is built up to --most-for-a-graph, and its answers are not exact: recall says how nearly.
"""

import contextlib
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import _high_water, core_seconds
from photosearch.search.vectors import open_or_build

D, LIMIT, QUERIES = 384, 20, 7
WAYS = {  # name -> (what must be installed, whether its answer is exact)
    "map: int8, then float16": ("numpy", True),
    "numpy, float16": ("numpy", True),
    "numpy, float32": ("numpy", True),
    "sqlite-vec, float32": ("apsw", True),
    "sqlite-vec, int8": ("apsw", False),
    "usearch, exact, float16": ("usearch", True),
    "usearch, graph, float16": ("usearch", False),
}
PIECE = 256


def vectors(to: Path, *, sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000), most: int = 10_000) -> dict[str, Any]:
    """to: where vectors and indexes are kept: 5 GB for a million. most: vectors for which a graph is built."""
    to.mkdir(parents=True, exist_ok=True)
    rows = []
    for n in sizes:
        source = make(to / f"vectors-{n}.f16", n)
        for way, (needs, _) in WAYS.items():
            if importlib.util.find_spec(needs) and (n <= most or "graph" not in way):
                rows.append({"n": n, "way": way, **_measure(way, source, n)})
    return {"dimensions": D, "limit": LIMIT, "queries": QUERIES, "most_for_a_graph": most, "rows": rows}


def make(path: Path, n: int, *, seed: int = 1) -> Path:
    """n unit vectors, float16, in one file."""
    if path.exists():
        return path
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((1000, D), np.float32)
    with path.with_suffix(".part").open("wb") as file:
        for first in range(0, n, 10_000):
            size = min(10_000, n - first)
            some = centres[rng.integers(0, len(centres), size)] + rng.standard_normal((size, D), np.float32)
            file.write((some / np.linalg.norm(some, axis=1, keepdims=True)).astype(np.float16).tobytes())
    return path.with_suffix(".part").replace(path)


def read(path: Path) -> np.ndarray[Any, np.dtype[np.float16]]:
    return np.memmap(path, np.float16, mode="r").reshape(-1, D)


def _measure(way: str, source: Path, n: int) -> dict[str, Any]:
    """Build, then answer in a running program, then answer as a whole command: three processes."""
    built = _afresh(way, source, "build")
    warm = _afresh(way, source, "answer")
    whole = []
    for _ in range(3):
        begun, cores = time.perf_counter(), core_seconds()
        one = _afresh(way, source, "one")
        whole.append((1000 * (time.perf_counter() - begun), 1000 * (core_seconds() - cores)))
    command = {name: statistics.median(w[i] for w in whole) for i, name in enumerate(("ms", "core_ms"))}
    return {"build": built, "answer": warm, "command": {**command, "peak_mb": one["peak_mb"]}}


def _afresh(way: str, source: Path, what: str) -> dict[str, Any]:
    run = [sys.executable, "-m", "benchmarks.vectors", way, str(source), what]
    done = subprocess.run(run, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    if done.returncode:
        raise RuntimeError(f"{run}: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


Ask = Callable[[Any, Any], list[int]]  # a query [D], ids or None -> the ids of the nearest


@contextlib.contextmanager
def _opened(way: str, source: Path) -> Iterator[Ask]:
    """The way's index, built where it is not there."""
    name, rows = source.with_suffix(f".{''.join(filter(str.isalnum, way))}"), read(source)
    if way.startswith("map"):
        given = lambda: ((i, row.tobytes()) for i, row in enumerate(rows))  # noqa: E731
        with open_or_build(name, digest="made-up", dimensions=D, stamp=str(len(rows)), rows=given) as held:
            yield lambda query, among: [i for i, _ in held.nearest(query, limit=LIMIT, among=among)]
    elif way.startswith("numpy"):
        dtype = np.dtype(way.split()[-1])
        if not name.exists():
            with name.open("wb") as file:
                for first in range(0, len(rows), 10_000):
                    file.write(rows[first : first + 10_000].astype(dtype).tobytes())
        flat = np.memmap(name, dtype, mode="r").reshape(-1, D)
        yield lambda query, among: _scan(flat, query, among)
    elif way.startswith("sqlite-vec"):
        yield from _sqlite(name, rows, int8=way.endswith("int8"))
    else:
        yield from _usearch(name, rows, exact="exact" in way)


def _scan(flat: Any, query: Any, among: Any) -> list[int]:
    ids = np.arange(len(flat)) if among is None else among
    found = np.empty(len(ids), np.float32)
    for first in range(0, len(ids), PIECE):
        some = flat[first : first + PIECE] if among is None else flat[ids[first : first + PIECE]]
        found[first : first + PIECE] = some.astype(np.float32, copy=False) @ query
    best = np.argpartition(-found, min(LIMIT, len(ids) - 1))[:LIMIT]
    return [int(ids[i]) for i in best[np.argsort(-found[best])]]


def _sqlite(name: Path, rows: Any, *, int8: bool) -> Iterator[Ask]:
    import apsw  # Python's own sqlite3 is often built without extensions: pyenv's and macOS's are
    import sqlite_vec

    db = apsw.Connection(str(name))
    db.enable_load_extension(True)
    db.load_extension(sqlite_vec.loadable_path())
    kind, wrap = ("int8", "vec_int8(?)") if int8 else ("float", "?")

    def pack(some: Any) -> Any:
        return np.rint(some * 127 / SPAN).clip(-127, 127).astype(np.int8) if int8 else some.astype(np.float32)

    if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'v'").fetchone()[0]:
        db.execute(f"CREATE VIRTUAL TABLE v USING vec0(e {kind}[{D}] distance_metric=cosine)")
        with db:
            for first in range(0, len(rows), 10_000):
                some = pack(rows[first : first + 10_000])
                given = ((first + i, row.tobytes()) for i, row in enumerate(some))
                db.executemany(f"INSERT INTO v(rowid, e) VALUES (?, {wrap})", given)

    def ask(query: Any, among: Any) -> list[int]:
        within = "" if among is None else " AND rowid IN (SELECT value FROM json_each(?))"
        values = (pack(query).tobytes(), *(() if among is None else (json.dumps(among.tolist()),)))
        sql = f"SELECT rowid FROM v WHERE e MATCH {wrap} AND k = {LIMIT}{within} ORDER BY distance"
        return [i for (i,) in db.execute(sql, values)]

    yield ask
    db.close()


SPAN = 0.25  # of a number in a unit vector of 384, for sqlite-vec's int8


def _usearch(name: Path, rows: Any, *, exact: bool) -> Iterator[Ask]:
    from usearch.index import Index, MetricKind, search

    if exact:  # over the vectors as they lie in their file
        yield lambda query, among: [
            int(i) if among is None else int(among[i])
            for i in search(
                np.asarray(rows if among is None else rows[among]),
                query.astype(np.float16),
                LIMIT,
                MetricKind.Cos,
                exact=True,
            ).keys
        ]
        return
    index = Index(ndim=D, metric="cos", dtype="f16")
    if name.exists():
        index.view(str(name))
    else:
        for first in range(0, len(rows), 10_000):
            some = rows[first : first + 10_000]
            index.add(np.arange(first, first + len(some)), np.asarray(some))
        index.save(str(name))
    # Its Python interface takes no filter: ask for more until enough are among them, which is only nearly right.
    yield lambda query, among: _widen(index, query, among, len(rows))


def _widen(index: Any, query: Any, among: Any, n: int) -> list[int]:
    wanted = None if among is None else set(among.tolist())
    limit = LIMIT
    while True:
        found = [
            int(i) for i in index.search(query.astype(np.float16), limit).keys if wanted is None or int(i) in wanted
        ]
        if len(found) >= LIMIT or limit >= n:
            return found[:LIMIT]
        limit = min(n, limit * 4)


def _run(way: str, source: Path, what: str) -> dict[str, Any]:
    """In a process of its own."""
    rows = read(source)
    rng = np.random.default_rng(2)
    if what == "build":
        before = set(source.parent.iterdir())
        begun, cores = time.perf_counter(), core_seconds()
        with _opened(way, source):
            spent = {"seconds": time.perf_counter() - begun, "core_seconds": core_seconds() - cores}
        mine = f"{source.stem}.{''.join(filter(str.isalnum, way))}"
        made = next((p for p in source.parent.iterdir() if p.name == mine), source)
        return {**spent, "megabytes": made.stat().st_size / 1e6, "fresh": made not in before, "peak_mb": _peak()}
    picked = rows[rng.integers(0, len(rows), QUERIES)].astype(np.float32)
    queries = picked + 0.05 * rng.standard_normal(picked.shape).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    with _opened(way, source) as ask:
        if what == "one":
            return {"found": len(ask(queries[0], None)), "peak_mb": _peak()}
        hundredth, half = (np.flatnonzero(rng.random(len(rows)) < share) for share in (0.01, 0.5))
        asked = {"all": None, "a hundredth": hundredth, "half": half}
        found = {name: _time(ask, queries, among) for name, among in asked.items()}
        recall = [len({*ask(query, None)} & {*_scan(rows, query, None)}) / LIMIT for query in queries]
    return {**found, "recall": statistics.mean(recall)}


def _time(ask: Ask, queries: Any, among: Any) -> dict[str, float]:
    took = []
    ask(queries[0], among)
    for query in queries:
        begun, cores = time.perf_counter(), core_seconds()
        ask(query, among)
        took.append((1000 * (time.perf_counter() - begun), 1000 * (core_seconds() - cores)))
    return {"ms": statistics.median(t for t, _ in took), "core_ms": statistics.median(c for _, c in took)}


def _peak() -> float:
    import os

    return _high_water(os.getpid()) / 1e6


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))
