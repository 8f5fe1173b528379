"""Nearest neighbours over a library's vectors: exact, from a memory map beside the database.

The map is derived data: it is rebuilt where it is missing, stale, truncated or of another model, and may be deleted at
any time. It is written aside and renamed, so that two programs may build it at once and none reads an unfinished one;
only its owner may read it. It does not know SQLite: the caller hands over the rows.

    header, 4,096 bytes: magic, version, dimensions, dtype, number of vectors, block size, digest, stamp, CRC-32
    blocks of 4,096 rows, each: ids int64 [B] | scales, errors float32 [B] | codes int8 [B, D] | vectors float16 [B, D]

A search reads the codes alone, a third of the file. A code is the unit vector divided by the row's scale, rounded;
`errors` holds the length of the rounding error. By Cauchy and Schwarz, the cosine of a unit query with the code differs
from that with the vector by no more. So the candidates for the nearest are certain, their vectors decide, and the
answer is exact for any vectors. Why numpy over a map, and not sqlite-vec or usearch: `python -m benchmarks vectors`,
docs/performance.md.
"""

import contextlib
import functools
import mmap
import operator
import os
import stat
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt

from photosearch import atomic
from photosearch.errors import InputError, StoreError
from photosearch.library.vectors import MIN_LENGTH, measure_lengths

MAGIC, VERSION, DTYPE = b"photosearch-vec\n", 1, b"float16\0"
HEADER = struct.Struct("<16sIIQI8sHH")  # magic, version, dimensions, count, rows a block, dtype, bytes of digest, stamp
HEADER_BYTES = 4096
BLOCK = 4096  # rows
MAX_DIMENSIONS = 8192
MAX_TEXT_BYTES = 1024  # of a digest, and of a stamp
# Rows that are converted at a time: their float32 copy stays in a core's cache. `python -m benchmarks vectors`: 96 to
# 512 are alike, 4,096 are four times slower.
PIECE = 256
MIN_PARALLEL = 50_000  # vectors for which a second core pays
MAX_THREADS = 4
DIRECT_SHARE = 16  # where at most 1/16 of the rows is searched, their vectors are read and no codes
MAX_TABLE_RATIO = 8  # ids are looked up in a table if their range is at most 8 times their number
MAX_SIMILARITIES = 1 << 25  # held at a time for several queries: 128 MiB
SLACK = 2e-6  # error of float32 sums of up to 8,192 products of unit vectors, beside the rounding error of the codes
RELEASE_ROWS = 64  # whose pages may stay in memory; Linux maps up to 512 KB around each
ABANDONED_SECONDS = 600  # after which an unfinished map without writes belongs to a program that was killed

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Rows = Iterable[tuple[int, bytes]]


class VectorMap:
    """An open map: `with open_or_build(...) as vectors: vectors.nearest(query, limit=20)`.

    stamp: the one it was built with. ids: of the images, in the order of the rows. len(): the number of vectors.
    """

    def __init__(self, file: IO[bytes], *, digest: str, dimensions: int):
        """file: may be closed afterwards. Raises ValueError where it is not a whole map of this model."""
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a file")
        model = _Model(digest, dimensions)
        file.seek(0)
        count, self.stamp = _read_header(file.read(HEADER_BYTES), model)
        self._blocks, self._block_bytes = -(-count // BLOCK), model.block_bytes
        if status.st_size != HEADER_BYTES + self._blocks * self._block_bytes:
            raise ValueError("truncated, or longer than its header says")
        self.dimensions = dimensions
        self._count = count
        self._bytes = mmap.mmap(file.fileno(), status.st_size, access=mmap.ACCESS_READ)
        self._codes = self._column(np.int8, 16 * BLOCK, dimensions)  # [blocks, B, D]
        self._vectors = self._column(np.float16, (16 + dimensions) * BLOCK, dimensions)
        self._scales = self._column(np.float32, 8 * BLOCK).reshape(-1)[:count]  # reshape copies: 16 bytes a vector
        self._errors = self._column(np.float32, 12 * BLOCK).reshape(-1)[:count] + np.float32(SLACK)
        self.ids: Ids = self._column(np.int64, 0).reshape(-1)[:count]
        self._span = (int(self.ids.min()), int(self.ids.max())) if count else (0, 0)
        self._read_rows = 0  # since pages were released
        self._order: npt.NDArray[np.intp] | None = None
        self._table: npt.NDArray[np.int32] | None = None  # id - smallest id -> row

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        del self._codes, self._vectors
        with contextlib.suppress(BufferError):  # a caller holds a view; the map closes with it
            self._bytes.close()

    def nearest(
        self, query: npt.ArrayLike, *, limit: int, among: Sequence[int] | Ids | None = None
    ) -> list[tuple[int, float]]:
        """The nearest vectors -> (image id, cosine), best first, of equal ones the lower id first. Exact.

        query: [D], of any length but 0. among: image ids, in any order; those without a vector are skipped.
        """
        return self.nearest_many(np.asarray(query)[None], limit=limit, among=among)[0]

    def nearest_many(
        self, queries: npt.ArrayLike, *, limit: int, among: Sequence[int] | Ids | None = None
    ) -> list[list[tuple[int, float]]]:
        """The same for each of several queries [Q, D], which share the reading of the codes."""
        units = self._unit(queries)
        if limit < 1:
            raise InputError(f"limit is {limit}; it must be 1 or more")
        rows = None if among is None else self._rows(among)
        if rows is not None and len(rows) * DIRECT_SHARE <= len(self):
            return [self._best(unit, rows, limit) for unit in units]
        found = []
        step = max(1, MAX_SIMILARITIES // max(1, len(self)))
        for first in range(0, len(units), step):
            part = units[first : first + step]
            found += [self._refine(*pair, limit, rows) for pair in zip(part, self._scan(part), strict=True)]
        return found

    def similarity(self, ids: Sequence[int] | Ids, query: npt.ArrayLike) -> Floats:
        """The exact cosines of these images [N] with a query [D], in their order; NaN for one without a vector."""
        (unit,) = self._unit(np.asarray(query)[None])
        wanted = np.asarray(ids, np.int64)
        rows, known = self._places(wanted)
        found = np.full(len(wanted), np.nan, np.float32)
        found[known] = self._exact(unit, rows)
        return found

    def vectors_of(self, ids: Ids) -> tuple[Ids, Floats]:
        """-> (those of the ids that have a vector, in order; their vectors [n, D], each of unit length)."""
        rows, known = self._places(ids)
        if not len(rows):
            return ids[known], np.empty((0, self.dimensions), np.float32)
        return ids[known], self._unit(self._vectors[rows // BLOCK, rows % BLOCK])

    def similarities(self, query: npt.ArrayLike) -> Floats:
        """The cosines with every vector [N], in the order of `ids`, within 0.01: to rank, use `nearest`."""
        (unit,) = self._unit(np.asarray(query)[None])
        found: Floats = self._scan(unit[None])[0]
        return found

    def products(self, weights: npt.ArrayLike) -> Floats:
        """The exact products of several weights [W, D] with every vector, as [W, N], in the order of `ids`.

        One pass for all weights, which holds PIECE vectors at a time.
        """
        columns = np.asarray(weights, np.float32).T
        found = np.empty((columns.shape[1], len(self)), np.float32)
        for first in range(0, len(self), PIECE):
            vectors = self._units(first, min(first + PIECE, len(self)))
            found[:, first : first + PIECE] = (vectors @ columns).T
        return found

    def sample_units(self, limit: int) -> Floats:
        """Up to `limit` of the vectors [n, D], evenly spaced, each of unit length."""
        if not len(self):
            return np.empty((0, self.dimensions), np.float32)
        rows = np.unique(np.linspace(0, len(self) - 1, min(limit, len(self))).astype(np.intp))
        return self._unit(self._vectors[rows // BLOCK, rows % BLOCK])

    def _units(self, first: int, end: int) -> Floats:
        """The vectors of these rows, all of one block, each of unit length."""
        vectors: Floats = self._vectors[first // BLOCK, first % BLOCK : first % BLOCK + end - first].astype(np.float32)
        vectors /= np.sqrt(np.vecdot(vectors, vectors))[:, None]
        return vectors

    def vector(self, image_id: int) -> Floats | None:
        """The vector of an image [D], of unit length; None where it has none."""
        rows, _ = self._places(np.array([image_id], np.int64))
        if not len(rows):
            return None
        found: Floats = self._vectors[rows[0] // BLOCK, rows[0] % BLOCK].astype(np.float32)
        found /= np.sqrt(found @ found)
        return found

    def read_units(self, ids: Ids) -> Floats:
        """The vectors of these images [n, D], in their order, each of unit length; NaN for one without a vector.

        Pages of the map are given back to the system after RELEASE_ROWS rows, so that reading all takes no memory.
        """
        rows, known = self._places(ids)
        found = np.full((len(ids), self.dimensions), np.nan, np.float32)
        to = np.flatnonzero(known)
        for first in range(0, len(rows), RELEASE_ROWS):
            part = rows[first : first + RELEASE_ROWS]
            units = self._vectors[part // BLOCK, part % BLOCK].astype(np.float32)
            units /= np.sqrt(np.vecdot(units, units))[:, None]
            found[to[first : first + RELEASE_ROWS]] = units
            self._read_rows += len(part)
            if self._read_rows >= RELEASE_ROWS and hasattr(mmap, "MADV_DONTNEED"):
                self._bytes.madvise(mmap.MADV_DONTNEED)
                self._read_rows = 0
        return found

    def bytes_of_blocks(self, n: int) -> memoryview:
        """The first n blocks of the file, to copy into a new map."""
        return memoryview(self._bytes)[HEADER_BYTES : HEADER_BYTES + n * self._block_bytes]

    def vectors_from(self, row: int) -> npt.NDArray[np.float16]:
        """A copy of the vectors from this row on, which must be the first of the last block."""
        return self._vectors[row // BLOCK, : len(self) - row].copy()

    def _column(self, dtype: type, offset: int, width: int = 0) -> npt.NDArray[Any]:
        """One column of all blocks, [blocks, B] or [blocks, B, width]; offset: in bytes, from the start of a block."""
        size = np.dtype(dtype).itemsize
        shape = (self._blocks, BLOCK, width) if width else (self._blocks, BLOCK)
        strides = (self._block_bytes, size * width, size) if width else (self._block_bytes, size)
        return np.ndarray(shape, dtype, self._bytes, HEADER_BYTES + offset if self._blocks else 0, strides)

    def _unit(self, queries: npt.ArrayLike) -> Floats:
        """Queries [Q, D], each of unit length. Raises InputError."""
        given = np.asarray(queries, np.float64)
        if given.ndim != 2 or given.shape[1] != self.dimensions:
            raise InputError(
                f"a query has the shape {list(given.shape[1:])}; this model's vectors have {self.dimensions}"
            )
        lengths = np.sqrt((given * given).sum(1, keepdims=True))
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            raise InputError("the query has no direction: it is all zeros, or holds NaN or infinity")
        units: Floats = (given / lengths).astype(np.float32)
        return units

    def _places(self, ids: Ids) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """(the rows of the ids that have a vector, in order; which ids have one [N])."""
        if not len(self):
            return np.empty(0, np.intp), np.zeros(len(ids), np.bool_)
        low, high = self._span
        if high - low < MAX_TABLE_RATIO * len(self):
            if self._table is None:
                self._table = np.full(high - low + 1, -1, np.int32)
                self._table[self.ids - low] = np.arange(len(self))
            rows = self._table[np.clip(ids, low, high) - low].astype(np.intp)
            known = (rows >= 0) & (ids >= low) & (ids <= high)
        else:
            if self._order is None:
                self._order = np.argsort(self.ids)
            places = np.searchsorted(self.ids, ids, sorter=self._order)
            rows = self._order[np.minimum(places, len(self) - 1)]
            known = self.ids[rows] == ids
        return rows[known], known

    def _rows(self, ids: Sequence[int] | Ids) -> npt.NDArray[np.intp]:
        """The rows of these ids, rising, each once."""
        rows, _ = self._places(np.asarray(ids, np.int64))
        if len(rows) * DIRECT_SHARE <= len(self):
            return np.unique(rows)
        wanted = np.zeros(len(self), np.bool_)  # numpy's unique takes a second for half a million
        wanted[rows] = True
        return np.flatnonzero(wanted)

    def _scan(self, units: Floats) -> Floats:
        """The approximate cosines [Q, N] of all vectors, from their codes."""
        found = np.empty((len(units), self._blocks * BLOCK), np.float32)
        blocks = range(self._blocks)
        threads = min(MAX_THREADS, os.cpu_count() or 1) if len(self) >= MIN_PARALLEL else 1
        if threads == 1:
            self._scan_blocks(units, found, blocks)
        else:
            with ThreadPoolExecutor(threads) as pool:  # numpy releases the interpreter's lock
                list(pool.map(lambda i: self._scan_blocks(units, found, blocks[i::threads]), range(threads)))
        similar = found[:, : len(self)]
        similar *= self._scales
        return similar

    def _scan_blocks(self, units: Floats, found: Floats, blocks: Iterable[int]) -> None:
        piece = np.empty((PIECE, self.dimensions), np.float32)
        for block in blocks:
            for first in range(0, BLOCK, PIECE):
                np.copyto(piece, self._codes[block, first : first + PIECE])
                to = block * BLOCK + first
                if len(units) == 1:
                    np.dot(piece, units[0], out=found[0, to : to + PIECE])
                else:
                    found[:, to : to + PIECE] = units @ piece.T

    def _refine(
        self, unit: Floats, similar: Floats, limit: int, rows: npt.NDArray[np.intp] | None
    ) -> list[tuple[int, float]]:
        """The nearest of these rows (None: all), exact: candidates by their codes, ranked by their vectors."""
        errors = self._errors
        if rows is not None:
            similar, errors = similar[rows], errors[rows]
        if limit < len(similar):
            least = np.partition(similar - errors, -limit)[-limit]
            candidates = np.flatnonzero(similar + errors >= least)
        else:
            candidates = np.arange(len(similar))
        return self._best(unit, candidates if rows is None else rows[candidates], limit)

    def _best(self, unit: Floats, rows: npt.NDArray[np.intp], limit: int) -> list[tuple[int, float]]:
        similar, ids = self._exact(unit, rows), self.ids[rows]
        if limit < len(rows):  # the last one may tie with others: the sort below decides
            keep = np.flatnonzero(similar >= np.partition(similar, -limit)[-limit])
            similar, ids = similar[keep], ids[keep]
        order = np.lexsort((ids, -similar))[:limit]
        return [(int(ids[i]), float(similar[i])) for i in order]

    def _exact(self, unit: Floats, rows: npt.NDArray[np.intp]) -> Floats:
        """The cosines of the vectors themselves, the same for a row whatever the other rows are."""
        found = np.empty(len(rows), np.float32)
        for first in range(0, len(rows), PIECE):
            part = rows[first : first + PIECE]
            vectors = self._vectors[part // BLOCK, part % BLOCK].astype(np.float32)
            found[first : first + PIECE] = np.vecdot(vectors, unit) / np.sqrt(np.vecdot(vectors, vectors))
        return found


def open_or_build(
    path: str | Path,
    *,
    digest: str,
    dimensions: int,
    stamp: str,
    rows: Callable[[], Rows],
    added: Callable[[str], Rows | None] | None = None,
) -> VectorMap:
    """Open the map at a path if it has this stamp; otherwise build a new one, which replaces it.

    digest: of the model that made the vectors. stamp: changes whenever the rows do. rows: gives (image id, float16 blob
    of D numbers) for all vectors, each id once. added: given the old map's stamp, the rows added since, or None where a
    row was changed or removed; appending them to a copy of the old map takes a quarter of the time. Where the folder
    can't be written, the map is a temporary file, and on a full disk in memory; it goes with the program. A row
    without a direction, or that is no vector of the model, is left out. Raises StoreError.
    """
    path = Path(path)
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise InputError(f"vectors of {dimensions} dimensions; from 1 to {MAX_DIMENSIONS} are possible")
    if max(len(digest.encode()), len(stamp.encode())) > MAX_TEXT_BYTES:
        raise ValueError(f"a digest or stamp of more than {MAX_TEXT_BYTES} bytes")
    model = _Model(digest, dimensions)
    if (old := _open(path, model)) is not None:
        if old.stamp == stamp:
            return old
        with old:
            new = added(old.stamp) if added is not None else None
            if new is not None:
                with contextlib.suppress(_NotNew, OSError):
                    return _build(path, model, stamp, new, old)
    with contextlib.suppress(OSError):  # a read-only folder, or a full disk
        return _build(path, model, stamp, rows())
    for create in (tempfile.TemporaryFile, _create_in_memory):
        try:
            with create() as file:
                _write(file, model, stamp, rows())
                return VectorMap(file, digest=digest, dimensions=dimensions)
        except OSError as error:
            reason = error.strerror or error
    raise StoreError(
        f"{path}: can't be written, nor can a temporary file ({reason}); make room for "
        f"{3 * dimensions + 16} bytes a photo"
    )


def _create_in_memory() -> IO[bytes]:
    """A file that takes no disk; only Linux has these."""
    if not hasattr(os, "memfd_create"):
        raise OSError("the disk is full")
    return open(os.memfd_create("vectors"), "r+b", buffering=0)


@dataclass(frozen=True, slots=True)
class _Model:
    digest: str
    dimensions: int

    @property
    def block_bytes(self) -> int:
        return BLOCK * (16 + 3 * self.dimensions)


class _NotNew(Exception):
    """A row to append whose image the map holds already."""


def _open(path: Path, model: _Model) -> VectorMap | None:
    """The existing map, if it is one of this model. A link or a named pipe is not followed."""
    flags = [getattr(os, name, 0) for name in ("O_RDONLY", "O_BINARY", "O_NOFOLLOW", "O_NONBLOCK")]
    try:
        with open(os.open(path, functools.reduce(operator.or_, flags)), "rb", buffering=0) as file:
            return VectorMap(file, digest=model.digest, dimensions=model.dimensions)
    except (OSError, ValueError):
        return None


def _build(path: Path, model: _Model, stamp: str, rows: Rows, old: VectorMap | None = None) -> VectorMap:
    """Write a map aside, as a copy of the old one with rows appended if one is given, and rename it into place."""
    atomic.remove_abandoned(path, older_than_seconds=ABANDONED_SECONDS)
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(os.lstat(path).st_mode):  # a named pipe that somebody put there
            os.unlink(path)
    with atomic.write_file(path, mode=0o600) as part, open(part, "r+b", buffering=0) as file:
        _write(file, model, stamp, rows, old)
    made = _open(path, model)
    if made is None or made.stamp != stamp:
        raise OSError("another program has replaced it")
    return made


def _write(file: IO[bytes], model: _Model, stamp: str, rows: Rows, old: VectorMap | None = None) -> None:
    """Write a whole map, its header last, so that an interrupted one is not valid."""
    all_ids: list[Ids] = []
    count, rows = 0, _filter_usable(rows, model)
    if old is not None:
        all_ids.append(old.ids.copy())
        count = len(old) - len(old) % BLOCK
        _write_all(file, old.bytes_of_blocks(count // BLOCK), HEADER_BYTES)
    partial = 0 if old is None else len(old) - count  # rows of a last block that is not full
    while part := list(islice(rows, BLOCK - partial)):
        ids, vectors = _read_rows(part, model)
        all_ids.append(ids)
        if partial and old is not None:
            ids = np.concatenate([old.ids[count:], ids])
            vectors = np.concatenate([old.vectors_from(count), vectors])
        _write_all(file, _block(ids, vectors, model), HEADER_BYTES + count // BLOCK * model.block_bytes)
        count, partial = count + len(ids), 0
    if partial and old is not None:  # no row was added
        block = _block(old.ids[count:], old.vectors_from(count), model)
        _write_all(file, block, HEADER_BYTES + count // BLOCK * model.block_bytes)
        count = len(old)
    joined = np.concatenate(all_ids) if all_ids else np.empty(0, np.int64)
    if len(np.unique(joined)) < len(joined):
        raise _NotNew if old is not None else StoreError("two vectors of one image and one model; index again")
    _write_all(file, _header(model, count, stamp), 0)


def _write_all(file: IO[bytes], data: bytes | memoryview, at: int) -> None:
    file.seek(at)
    rest = memoryview(data).cast("B")
    while len(rest):
        rest = rest[file.write(rest[: 1 << 26]) :]


def _filter_usable(rows: Rows, model: _Model) -> Iterator[tuple[int, bytes]]:
    """The rows with a vector of the model that has a direction."""
    rows = iter(rows)
    while part := list(islice(rows, BLOCK)):
        lengths = measure_lengths([blob for _, blob in part], model.dimensions)
        yield from (row for row, length in zip(part, lengths, strict=True) if length > MIN_LENGTH)


def _read_rows(rows: Sequence[tuple[int, bytes]], model: _Model) -> tuple[Ids, npt.NDArray[np.float16]]:
    """(ids, vectors [n, D])."""
    vectors = np.frombuffer(b"".join(blob for _, blob in rows), "<f2").reshape(len(rows), model.dimensions)
    return np.array([image_id for image_id, _ in rows], np.int64), vectors


def _block(ids: Ids, vectors: npt.NDArray[np.float16], model: _Model) -> bytes:
    """The bytes of one block, padded with zeros."""
    n = len(ids)
    scales, errors = np.zeros(n, np.float32), np.zeros(n, np.float32)
    codes = np.zeros(vectors.shape, np.int8)
    for first in range(0, n, PIECE):
        part = slice(first, first + PIECE)
        units = vectors[part].astype(np.float32)
        units /= np.sqrt(np.vecdot(units, units))[:, None]
        scales[part] = np.maximum(units.max(1), -units.min(1)) / 127
        coded = np.rint(units / scales[part, None])
        codes[part] = coded
        coded *= scales[part, None]
        units -= coded
        errors[part] = np.sqrt(np.vecdot(units, units))
    whole = bytearray(model.block_bytes)
    at = 0
    for column in (ids.astype("<i8"), scales.astype("<f4"), errors.astype("<f4"), codes, vectors):
        data = column.tobytes()
        whole[at : at + len(data)] = data
        at += BLOCK * len(data) // n
    return bytes(whole)


def _header(model: _Model, count: int, stamp: str) -> bytes:
    texts = [text.encode() for text in (model.digest, stamp)]
    fixed = HEADER.pack(MAGIC, VERSION, model.dimensions, count, BLOCK, DTYPE, *map(len, texts))
    body = b"".join([fixed, *texts]).ljust(HEADER_BYTES - 4, b"\0")
    return body + struct.pack("<I", zlib.crc32(body))


def _read_header(data: bytes, model: _Model) -> tuple[int, str]:
    """(number of vectors, stamp). Raises ValueError where this is not a header of a map of the model."""
    if len(data) != HEADER_BYTES or struct.pack("<I", zlib.crc32(data[:-4])) != data[-4:]:
        raise ValueError("not a map of vectors")
    *fixed, count, rows, dtype, of_digest, of_stamp = HEADER.unpack_from(data)
    at = HEADER.size + of_digest
    digest, stamp = data[HEADER.size : at], data[at : at + of_stamp]
    if (*fixed, rows, dtype, digest) != (MAGIC, VERSION, model.dimensions, BLOCK, DTYPE, model.digest.encode()):
        raise ValueError("of another version or model")
    return count, stamp.decode()
