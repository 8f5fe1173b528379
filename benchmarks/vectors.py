"""The nearest of many vectors, three ways: numpy over a memory map, sqlite-vec, usearch.

Vectors of 384 float16 around a thousand centres, made up, the same for each way. Every way builds and answers in
processes of its own, so that memory and the cost of a whole command are its own. sqlite-vec and usearch are left out
where they are not installed: `pip install sqlite-vec apsw usearch`. usearch's graph takes minutes of a core at 100,000,
so it is built for few vectors only; its answers are not exact: see recall.
"""

import contextlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Figures, core_seconds, read_peak_bytes, run_in_process
from photosearch.search.vectors import open_or_build

D, LIMIT, N_QUERIES = 384, 20, 7
WAYS = {  # name -> (what must be installed, whether its answer is exact)
    "map: int8, then float16": ("numkong", True),
    "numpy, float16": ("numpy", True),
    "sqlite-vec, float32": ("apsw", True),
    "usearch, graph, float16": ("usearch", False),
}
ROWS_AT_ONCE = 256


def measure_vectors(
    work: Path, *, sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000), max_graph: int = 10_000
) -> Figures:
    """work: for vectors and indexes: 5 GB for a million. max_graph: vectors for which usearch's graph is built."""
    work.mkdir(parents=True, exist_ok=True)
    rows = []
    for n in sizes:
        source = make_vectors(work / f"vectors-{n}.f16", n)
        for way, (needs, _) in WAYS.items():
            if importlib.util.find_spec(needs) and (n <= max_graph or "graph" not in way):
                rows.append({"n": n, "way": way, **_measure_way(way, source)})
    return {"dimensions": D, "limit": LIMIT, "queries": N_QUERIES, "rows": rows}


def make_vectors(path: Path, n: int, *, seed: int = 1) -> Path:
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


def _measure_way(way: str, source: Path) -> Figures:
    """Build, then answer in a running program, then answer as a whole command: processes of their own."""

    def run(task: str) -> Figures:
        return run_in_process("benchmarks.vectors", {"way": way, "source": str(source), "task": task})

    built, answered, peak_mb = run("build"), run("answer"), run("command")["peak_mb"]
    command = _measure_times(3 * [partial(run, "command")])
    return {"build": built, "answer": answered, "command": {**command, "peak_mb": peak_mb}}


Ask = Callable[[Any, Any], list[int]]  # a query [D], ids or None -> the ids of the nearest


@contextlib.contextmanager
def _open_index(way: str, source: Path) -> Iterator[Ask]:
    """The way's index, built where it is not there."""
    name, rows = _index_path(way, source), read(source)
    if way.startswith("map"):
        given = lambda: ((i, row.tobytes()) for i, row in enumerate(rows))  # noqa: E731
        with open_or_build(name, digest="made-up", dimensions=D, stamp=str(len(rows)), rows=given) as held:
            yield lambda query, among: [i for i, _ in held.nearest(query, limit=LIMIT, among=among)]
    elif way.startswith("numpy"):
        yield lambda query, among: _scan(rows, query, among)
    elif way.startswith("sqlite-vec"):
        yield from _open_sqlite(name, rows)
    else:
        yield from _open_usearch(name, rows)


def _scan(flat: Any, query: Any, among: Any) -> list[int]:
    ids = np.arange(len(flat)) if among is None else among
    found = np.empty(len(ids), np.float32)
    for first in range(0, len(ids), ROWS_AT_ONCE):
        some = flat[first : first + ROWS_AT_ONCE] if among is None else flat[ids[first : first + ROWS_AT_ONCE]]
        found[first : first + ROWS_AT_ONCE] = some.astype(np.float32, copy=False) @ query
    best = np.argpartition(-found, min(LIMIT, len(ids) - 1))[:LIMIT]
    return [int(ids[i]) for i in best[np.argsort(-found[best])]]


def _open_sqlite(name: Path, rows: Any) -> Iterator[Ask]:
    import apsw  # Python's own sqlite3 is often built without extensions: pyenv's and macOS's are
    import sqlite_vec

    db = apsw.Connection(str(name))
    db.enable_load_extension(True)
    db.load_extension(sqlite_vec.loadable_path())
    if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'v'").fetchone()[0]:
        db.execute(f"CREATE VIRTUAL TABLE v USING vec0(e float[{D}] distance_metric=cosine)")
        with db:
            given = ((i, row.astype(np.float32).tobytes()) for i, row in enumerate(rows))
            db.executemany("INSERT INTO v(rowid, e) VALUES (?, ?)", given)

    def ask(query: Any, among: Any) -> list[int]:
        within = "" if among is None else " AND rowid IN (SELECT value FROM json_each(?))"
        values = (query.astype(np.float32).tobytes(), *(() if among is None else (json.dumps(among.tolist()),)))
        sql = f"SELECT rowid FROM v WHERE e MATCH ? AND k = {LIMIT}{within} ORDER BY distance"
        return [i for (i,) in db.execute(sql, values)]

    yield ask
    db.close()


def _open_usearch(name: Path, rows: Any) -> Iterator[Ask]:
    from usearch.index import Index

    index = Index(ndim=D, metric="cos", dtype="f16")
    if name.exists():
        index.view(str(name))
    else:
        index.add(np.arange(len(rows)), np.asarray(rows))
        index.save(str(name))
    # Its Python interface takes no filter: ask for more until enough are among them, which is only nearly right.
    yield lambda query, among: _search_wider(index, query, among, len(rows))


def _search_wider(index: Any, query: Any, among: Any, n: int) -> list[int]:
    wanted = None if among is None else set(among.tolist())
    limit = LIMIT
    while True:
        found = [
            int(i) for i in index.search(query.astype(np.float16), limit).keys if wanted is None or int(i) in wanted
        ]
        if len(found) >= LIMIT or limit >= n:
            return found[:LIMIT]
        limit = min(n, limit * 4)


def main(way: str, source: str, task: str) -> Figures:
    """task: build, answer or command."""
    path = Path(source)
    rows, rng = read(path), np.random.default_rng(2)
    if task == "build":
        index, start = _index_path(way, path), core_seconds()
        index.unlink(missing_ok=True)
        with _open_index(way, path):
            used = core_seconds() - start
        return {"core_seconds": used, "megabytes": (index if index.exists() else path).stat().st_size / 1e6}
    picked = rows[rng.integers(0, len(rows), N_QUERIES)].astype(np.float32)
    queries = picked + 0.05 * rng.standard_normal(picked.shape).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    with _open_index(way, path) as ask:
        if task == "command":
            ask(queries[0], None)
            return {"peak_mb": read_peak_bytes("self") / 1e6}
        hundredth, half = (np.flatnonzero(rng.random(len(rows)) < share) for share in (0.01, 0.5))
        subsets = {"all": None, "a hundredth": hundredth, "half": half}
        times = {name: _measure_times(partial(ask, q, among) for q in queries) for name, among in subsets.items()}
        recall = [len({*ask(query, None)} & {*_scan(rows, query, None)}) / LIMIT for query in queries]
    return {**times, "recall": statistics.mean(recall)}


def _index_path(way: str, source: Path) -> Path:
    return source.with_suffix(f".{''.join(filter(str.isalnum, way))}")


def _measure_times(runs: Iterable[Callable[[], object]]) -> dict[str, float]:
    """The medians of wall-clock and core milliseconds."""
    times = []
    for run in runs:
        start, cores = time.perf_counter(), core_seconds()
        run()
        times.append((1000 * (time.perf_counter() - start), 1000 * (core_seconds() - cores)))
    ms, core_ms = map(statistics.median, zip(*times, strict=True))
    return {"ms": ms, "core_ms": core_ms}


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
