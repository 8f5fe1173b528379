"""The map of vectors against a plain model: exact answers, and rebuilt where it is invalid."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photosearch.errors import InputError, StoreError
from photosearch.search import vectors
from photosearch.search.vectors import open_or_build

D = 8


def make_rows(n: int, *, seed: int = 0, d: int = D, first: int = 1) -> list[tuple[int, bytes]]:
    """Unit vectors around a few centres, some of them twice, under ids with gaps."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((5, d))
    found = centres[rng.integers(0, 5, n)] + 0.1 * rng.standard_normal((n, d))
    found[n // 2 : n // 2 + n // 10] = found[: n // 10]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return [(first + 3 * i, row.astype(np.float16).tobytes()) for i, row in enumerate(found)]


def open_map(path: Path, rows, *, stamp="1", digest="m", d=D, added=None):
    return open_or_build(path, digest=digest, dimensions=d, stamp=stamp, rows=lambda: iter(rows), added=added)


def refuse():
    raise AssertionError("asked for rows that it should have had")


def plain(rows, query, limit, among=None) -> list[tuple[int, float]]:
    """The plain model: every cosine in float64, sorted."""
    q = np.asarray(query, np.float64)
    found = []
    for i, blob in rows:
        v = np.frombuffer(blob, np.float16).astype(np.float64)
        if among is None or i in among:
            found.append((i, float(v @ q / np.linalg.norm(v) / np.linalg.norm(q))))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]


def same(found, expected) -> bool:
    """Equal cosines in order, and equal ids but for those whose cosines are one in float32."""
    close = np.allclose([c for _, c in found], [c for _, c in expected], atol=1e-6)
    surely = [i for i, c in expected if c > expected[-1][1] + 1e-6] if expected else []
    return len(found) == len(expected) and close and set(surely) <= {i for i, _ in found}


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 300),
    seed=st.integers(0, 9),
    limit=st.integers(1, 40),
    among=st.none() | st.lists(st.integers(-3, 1000), max_size=400),
    block=st.sampled_from([1, 7, 64, 4096]),
)
def test_nearest_agrees_with_a_plain_model(tmp_path_factory, n, seed, limit, among, block):
    rows, path = make_rows(n, seed=seed), tmp_path_factory.mktemp("map") / "map"
    query = np.random.default_rng(seed + 100).standard_normal(D)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "BLOCK", block)
        patch.setattr(vectors, "PIECE", min(block, 256))
        with open_map(path, rows) as held:
            assert len(held) == n
            assert same(held.nearest(query, limit=limit, among=among), plain(rows, query, limit, among))


def test_nearest_is_exact_with_coarse_codes(tmp_path):
    """One large number in each vector makes the scale coarse: the rest, which decides, rounds to nothing."""
    rng = np.random.default_rng(1)
    found = np.concatenate([np.ones((2000, 1)), 0.003 * rng.standard_normal((2000, D - 1))], axis=1)
    rows = [(i, row.astype(np.float16).tobytes()) for i, row in enumerate(found)]
    query = np.concatenate([[0.0], rng.standard_normal(D - 1)])
    with open_map(tmp_path / "map", rows) as held:
        assert same(held.nearest(query, limit=10), plain(rows, query, 10))
        assert same(held.nearest(query, limit=10, among=range(0, 2000, 2)), plain(rows, query, 10, range(0, 2000, 2)))


def test_nearest_is_exact_when_a_worse_code_ranks_higher(tmp_path):
    """In units of the scale, the first has 1.49 + 1.49 = 2.98 and its code 1 + 1; the second 2.97, its code 2 + 1."""
    scale = 1 / 127
    found = [[1, 1.49 * scale, 1.49 * scale], [1, 2 * scale, 0.97 * scale], [1, 0, 0]]
    rows = [(i, np.pad(row, (0, D - 3)).astype(np.float16).tobytes()) for i, row in enumerate(found)]
    with open_map(tmp_path / "map", rows) as held:
        query = np.pad([0.0, 1.0, 1.0], (0, D - 3))
        assert held.nearest(query, limit=1) == [(0, pytest.approx(2.98 * scale / 2**0.5, rel=1e-3))]


def test_nearest_orders_equal_vectors_by_id(tmp_path):
    rows = [(i, np.eye(D, dtype=np.float16)[0].tobytes()) for i in (9, 4, 7, 1, 8)]
    with open_map(tmp_path / "map", rows) as held:
        assert held.nearest(np.ones(D), limit=3) == [(i, pytest.approx(D**-0.5)) for i in (1, 4, 7)]
        assert held.nearest(np.ones(D), limit=3, among=[8, 9, 4, 8]) == [(i, pytest.approx(D**-0.5)) for i in (4, 8, 9)]


def test_similarity_and_vector_belong_to_the_image(tmp_path):
    rows = make_rows(50)[::-1]  # ids that fall
    query = np.arange(D) - 2.5
    with open_map(tmp_path / "map", rows) as held:
        known = dict(plain(rows, query, 50))
        found = held.similarity([148, 2, 1, 1], query)
        assert np.allclose(found, [known[148], np.nan, known[1], known[1]], atol=1e-6, equal_nan=True)
        assert held.nearest(query, limit=50) == [
            (i, float(held.similarity([i], query)[0])) for i, _ in held.nearest(query, limit=50)
        ]
        assert np.allclose(held.vector(148), np.frombuffer(rows[0][1], np.float16), atol=1e-3)
        assert held.vector(2) is None


@pytest.mark.parametrize("step", [1, 3, 10**6, 10**15])
@pytest.mark.parametrize("order", [1, -1])
def test_ids_are_found_in_dense_and_sparse_ranges(tmp_path, step, order):
    rows = [(7 + step * i, blob) for i, (_, blob) in enumerate(make_rows(40))][::order]
    query = np.arange(D) - 2.5
    known = dict(plain(rows, query, 40))
    asked = [7 + 5 * step, 6, 7, 8 if step > 1 else 99, 7 + 39 * step, 8 + 39 * step, -(2**63), 2**63 - 1]
    with open_map(tmp_path / "map", rows) as held:
        expected = [known.get(i, np.nan) for i in asked]
        assert np.allclose(held.similarity(asked, query), expected, atol=1e-6, equal_nan=True)
        assert same(held.nearest(query, limit=9, among=asked * 9), plain(rows, query, 9, asked))


def test_empty_map_has_no_neighbours(tmp_path):
    with open_map(tmp_path / "map", []) as held:
        assert held.nearest(np.ones(D), limit=3) == []
        assert held.nearest(np.ones(D), limit=3, among=[1]) == []
        assert held.vector(1) is None


def test_current_map_is_opened_without_reading_rows(tmp_path):
    rows = make_rows(20)
    open_map(tmp_path / "map", rows).close()
    with open_or_build(tmp_path / "map", digest="m", dimensions=D, stamp="1", rows=refuse) as held:
        assert same(held.nearest(np.ones(D), limit=5), plain(rows, np.ones(D), 5))


@pytest.mark.parametrize("change", [{"stamp": "2"}, {"digest": "n"}, {"d": D // 2}])
def test_map_of_another_stamp_or_model_is_rebuilt(tmp_path, change):
    open_map(tmp_path / "map", make_rows(20)).close()
    d = change.get("d", D)
    rows = make_rows(30, seed=5, d=d)
    with open_map(tmp_path / "map", rows, **change) as held:
        assert same(held.nearest(np.ones(d), limit=5), plain(rows, np.ones(d), 5))


@pytest.mark.parametrize("place", [0, 16, 20, 24, 32, 60, 4095])
def test_map_with_a_changed_header_is_rebuilt(tmp_path, place):
    rows, path = make_rows(20), tmp_path / "map"
    open_map(path, rows).close()
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1
    path.write_bytes(whole)
    with open_map(path, rows) as held:
        assert len(held) == 20
    whole[place] ^= 1
    assert path.read_bytes() == whole


@pytest.mark.parametrize("size", [0, 100, 4096, 5000, -1, "longer"])
def test_truncated_map_is_rebuilt(tmp_path, size):
    rows, path = make_rows(20), tmp_path / "map"
    open_map(path, rows).close()
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" if size == "longer" else whole[:size])
    with open_map(path, rows) as held:
        assert same(held.nearest(np.ones(D), limit=20), plain(rows, np.ones(D), 20))
    assert path.read_bytes() == whole


def test_tampered_map_gives_wrong_answers_without_a_crash(tmp_path):
    rows, path = make_rows(100), tmp_path / "map"
    open_map(path, rows).close()
    with path.open("r+b") as file:
        file.seek(vectors.HEADER_BYTES)
        file.write(b"\xff" * (path.stat().st_size - vectors.HEADER_BYTES))
    with np.errstate(all="ignore"), open_map(path, rows) as held:
        held.nearest(np.ones(D), limit=5)
        held.nearest(np.ones(D), limit=5, among=[1, 4])
        held.similarity([1], np.ones(D))


def test_links_and_pipes_in_the_maps_place_are_not_followed(tmp_path):
    rows = make_rows(20)
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    (tmp_path / "link").symlink_to(other)
    os.mkfifo(tmp_path / "pipe")
    open_map(tmp_path / "theirs", make_rows(20, seed=1)).close()  # another's, which says that it is the one
    (tmp_path / "link to a map").symlink_to(tmp_path / "theirs")
    for name in ("link", "pipe", "link to a map"):
        with open_map(tmp_path / name, rows) as held:
            assert held.vector(1) @ as_unit(rows[0]) == pytest.approx(1, abs=1e-3), name
        assert (tmp_path / name).is_file()
        assert not (tmp_path / name).is_symlink()
    assert other.read_bytes() == b"mine"


def as_unit(row):
    return np.frombuffer(row[1], np.float16).astype(np.float32)


@pytest.mark.parametrize(("before", "more"), [(0, 5), (5, 0), (5, 1), (7, 7), (20, 1), (20, 30), (21, 70)])
def test_appended_map_equals_a_rebuilt_one(tmp_path, monkeypatch, before, more):
    monkeypatch.setattr(vectors, "BLOCK", 7)
    monkeypatch.setattr(vectors, "PIECE", 7)
    rows = make_rows(before + more)
    open_map(tmp_path / "map", rows[:before]).close()
    asked = []

    def added(stamp):
        asked.append(stamp)
        return iter(rows[before:])

    open_or_build(tmp_path / "map", digest="m", dimensions=D, stamp="2", rows=refuse, added=added).close()
    open_map(tmp_path / "whole", rows, stamp="2").close()
    assert asked == ["1"]
    assert (tmp_path / "map").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("added", [lambda _: None, lambda _: iter(make_rows(3))])
def test_map_is_rebuilt_where_rows_cannot_be_appended(tmp_path, added):
    """Where rows went; and where a row that is said to be new was there."""
    open_map(tmp_path / "map", make_rows(20)).close()
    rows = make_rows(15, seed=4)
    with open_map(tmp_path / "map", rows, stamp="2", added=added) as held:
        assert same(held.nearest(np.ones(D), limit=15), plain(rows, np.ones(D), 15))


UNUSABLE = (
    b"", bytes(2 * D + 2), bytes(2 * D), b"\xff" * 2 * D, np.full(D, np.inf, np.float16).tobytes(),
    np.array([np.nan, *[1] * (D - 1)], np.float16).tobytes(), np.full(D, 1e-5, np.float16).tobytes(),
)  # fmt: skip


@pytest.mark.parametrize("n", [0, 5, vectors.BLOCK - 1, vectors.BLOCK])
def test_map_leaves_out_vectors_without_direction(tmp_path, n):
    rows = make_rows(n)
    bad = [(10**6 + i, blob) for i, blob in enumerate(UNUSABLE)]
    with open_map(tmp_path / "map", [*bad[:4], *rows, *bad[4:]]) as held, open_map(tmp_path / "fine", rows) as fine:
        assert held.ids.tolist() == fine.ids.tolist()
        assert held.nearest(np.ones(D), limit=n + 9) == fine.nearest(np.ones(D), limit=n + 9)
    assert (tmp_path / "map").read_bytes() == (tmp_path / "fine").read_bytes()
    more = [*bad, *make_rows(3, first=10**5)]
    with open_map(tmp_path / "map", [], stamp="2", added=lambda _: iter(more)) as held:
        assert len(held) == n + 3


def test_build_refuses_two_vectors_of_one_image(tmp_path):
    with pytest.raises(StoreError, match="two vectors"):
        open_map(tmp_path / "map", [*make_rows(5), *make_rows(1)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("query", [np.ones(D - 1), np.zeros(D), np.full(D, np.nan), np.full(D, np.inf)])
def test_nearest_refuses_a_query_without_direction(tmp_path, query):
    with open_map(tmp_path / "map", make_rows(5)) as held, pytest.raises(InputError):
        held.nearest(query, limit=1)


def test_nearest_refuses_limit_0_and_caps_large_ones(tmp_path):
    with open_map(tmp_path / "map", make_rows(5)) as held:
        assert len(held.nearest(np.ones(D), limit=10**12)) == 5
        with pytest.raises(InputError, match="limit is 0"):
            held.nearest(np.ones(D), limit=0)


def test_map_is_readable_by_its_owner_only(tmp_path):
    before = os.umask(0)
    try:
        open_map(tmp_path / "map", make_rows(5)).close()
    finally:
        os.umask(before)
    assert (tmp_path / "map").stat().st_mode & 0o777 == 0o600


def test_map_is_temporary_in_a_read_only_folder(as_nobody):
    rows = make_rows(20)
    as_nobody.chmod(0o500)
    with open_map(as_nobody / "map", rows) as held:
        assert same(held.nearest(np.ones(D), limit=5), plain(rows, np.ones(D), 5))
    assert list(as_nobody.iterdir()) == []


def test_build_deletes_abandoned_maps_only(tmp_path):
    left = (".map.0123abcd.part", 3600), (".map.4567cdef.part", 5), (".map2.0123abcd.part", 3600)
    for name, age in left:
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    open_map(tmp_path / "map", make_rows(5)).close()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".map.4567cdef.part", ".map2.0123abcd.part", "map"]


def build_at_once(path: str, start, results) -> None:
    rows = make_rows(9000)
    start.wait()
    with open_map(Path(path), rows) as held:
        results.put((len(held), held.nearest(np.ones(D), limit=3)))


@pytest.mark.slow
def test_vector_map_built_by_two_processes_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    start, results = context.Event(), context.Queue()
    both = [context.Process(target=build_at_once, args=(str(tmp_path / "map"), start, results)) for _ in range(2)]
    for process in both:
        process.start()
    start.set()
    answers = [results.get(timeout=60) for _ in both]
    for process in both:
        process.join(60)
    assert answers[0] == answers[1]
    assert answers[0][0] == 9000
    assert [p.name for p in tmp_path.iterdir()] == ["map"]


def test_open_map_answers_while_it_is_replaced(tmp_path):
    rows = make_rows(50)
    with open_map(tmp_path / "map", rows) as old:
        open_map(tmp_path / "map", make_rows(10, seed=8), stamp="2").close()
        assert same(old.nearest(np.ones(D), limit=5), plain(rows, np.ones(D), 5))


def test_find_module_imports_no_numpy():
    code = "import sys, photosearch.search; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("block", [1, 64, 4096])
def test_products_and_sample_units_agree_with_all_vectors(tmp_path, monkeypatch, block):
    monkeypatch.setattr(vectors, "BLOCK", block)
    monkeypatch.setattr(vectors, "PIECE", min(block, 32))
    rows = make_rows(150)
    weights = np.random.default_rng(1).standard_normal((3, D))
    with open_map(tmp_path / "map", rows) as held:
        found = held.products(weights)
        stored = np.stack([np.frombuffer(blob, np.float16) for _, blob in rows]).astype(np.float64)
        units = stored / np.linalg.norm(stored, axis=1, keepdims=True)
        np.testing.assert_allclose(found, weights @ units.T, atol=1e-5)
        assert found.shape == (3, 150)
        np.testing.assert_allclose(held.sample_units(1000), units, atol=1e-6)
        assert held.sample_units(10).shape == (10, D)
    with open_map(tmp_path / "none", []) as held:
        assert (held.products(weights).shape, held.sample_units(5).shape) == ((3, 0), (0, D))


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="a file in memory, of Linux")
def test_map_is_in_memory_where_no_disk_has_room(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    rows = make_rows(50)
    with open_map(tmp_path / "missing" / "map", rows) as held:
        assert same(held.nearest(np.ones(D), limit=5), plain(rows, np.ones(D), 5))
    assert list(tmp_path.iterdir()) == []
