"""Nearest neighbours over a library's vectors: exact, from a memory map beside the database.

The map is derived data: it is rebuilt where it is missing, stale, truncated or of another model, and may be deleted at
any time. It is written aside and renamed, so that two programs may build it at once and none reads an unfinished one;
only its owner may read it. It does not know SQLite: the caller hands over the rows.

    header, 4,096 bytes: magic, version, dimensions, dtype, number of vectors, block size, digest, stamp, CRC-32
    blocks of 4,096 rows, each: ids int64 [B] | scales, errors float32 [B] | codes int8 [B, D] | vectors float16 [B, D]

A search reads the codes alone, a third of the file. A code is the unit vector divided by the row's scale, rounded;
`errors` holds the length of the rounding error. The query gets a code, too, and numkong multiplies the codes: sums of
integers, the same on every processor. By Cauchy and Schwarz, their product differs from the cosine by no more than both
errors. So the candidates for the nearest are certain, their vectors decide, and the answer is exact for any vectors.
Why this and not sqlite-vec or usearch: `python -m benchmarks vectors`, docs/performance.md.
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
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Self

import numkong
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
PIECE = 256  # rows that are converted at a time: their float32 copy stays in a core's cache
DIRECT_SHARE = 16  # where at most 1/16 of the rows is asked for, their vectors are read and no codes
SLACK = 2e-6  # error of float32 sums of up to 8,192 products of unit vectors, beside the errors of the codes
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
        blocks = -(-count // BLOCK)
        if status.st_size != HEADER_BYTES + blocks * model.block.itemsize:
            raise ValueError("truncated, or longer than its header says")
        self.dimensions = dimensions
        self._count = count
        self._bytes = mmap.mmap(file.fileno(), status.st_size, access=mmap.ACCESS_READ)
        self._blocks = np.ndarray(blocks, model.block, self._bytes, HEADER_BYTES if blocks else 0)
        self._scales: Floats = self._blocks["scales"].reshape(-1)[:count]  # reshape copies: 16 bytes a vector
        self._errors: Floats = self._blocks["errors"].reshape(-1)[:count] + np.float32(SLACK)
        self.ids: Ids = self._blocks["ids"].reshape(-1)[:count]
        self._read_rows = 0  # since pages were released

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        del self._blocks
        with contextlib.suppress(BufferError):  # a caller holds a view; the map closes with it
            self._bytes.close()

    def nearest(
        self, query: npt.ArrayLike, *, limit: int, among: Sequence[int] | Ids | None = None
    ) -> list[tuple[int, float]]:
        """The nearest vectors -> (image id, cosine), best first, of equal ones the lower id first. Exact.

        query: [D], of any length but 0. among: image ids, in any order; those without a vector are skipped.
        """
        unit = self._unit(query)
        if limit < 1:
            raise InputError(f"limit is {limit}; it must be 1 or more")
        asked = None if among is None else np.asarray(among, np.int64)
        if asked is not None and len(asked) * DIRECT_SHARE <= len(self):
            rows = np.unique(self._places(asked)[0])
        else:
            wanted = np.ones(len(self), np.bool_) if asked is None else np.isin(self.ids, asked)
            rows = self._choose_candidates(unit, limit, wanted)
        similar, ids = self._exact(unit, rows), self.ids[rows]
        if limit < len(rows):  # the last one may tie with others: the sort below decides
            keep = np.flatnonzero(similar >= np.partition(similar, -limit)[-limit])
            similar, ids = similar[keep], ids[keep]
        order = np.lexsort((ids, -similar))[:limit]
        return [(int(ids[i]), float(similar[i])) for i in order]

    def similarity(self, ids: Sequence[int] | Ids, query: npt.ArrayLike) -> Floats:
        """The exact cosines of these images [N] with a query [D], in their order; NaN for one without a vector."""
        unit = self._unit(query)
        rows, known = self._places(np.asarray(ids, np.int64))
        found = np.full(len(known), np.nan, np.float32)
        found[known] = self._exact(unit, rows)
        return found

    def vectors_of(self, ids: Ids) -> tuple[Ids, Floats]:
        """-> (those of the ids that have a vector, in order; their vectors [n, D], each of unit length)."""
        rows, known = self._places(ids)
        return ids[known], self._units(rows)

    def products(self, weights: npt.ArrayLike) -> Floats:
        """The exact products of several weights [W, D] with every vector, as [W, N], in the order of `ids`.

        One pass for all weights, which holds PIECE vectors at a time.
        """
        columns = np.asarray(weights, np.float32).T
        found = np.empty((columns.shape[1], len(self)), np.float32)
        for rows in _cut(np.arange(len(self))):
            found[:, rows] = (self._units(rows) @ columns).T
        return found

    def sample_units(self, limit: int) -> Floats:
        """Up to `limit` of the vectors [n, D], evenly spaced, each of unit length."""
        return self._units(np.unique(np.linspace(0, len(self) - 1, min(limit, len(self))).astype(np.intp)))

    def vector(self, image_id: int) -> Floats | None:
        """The vector of an image [D], of unit length; None where it has none."""
        _, found = self.vectors_of(np.array([image_id], np.int64))
        return found[0] if len(found) else None

    def read_units(self, ids: Ids) -> Floats:
        """The vectors of these images [n, D], in their order, each of unit length; NaN for one without a vector.

        Pages of the map are given back to the system after RELEASE_ROWS rows, so that reading all takes no memory.
        """
        rows, known = self._places(ids)
        found = np.full((len(ids), self.dimensions), np.nan, np.float32)
        for part in _cut(np.flatnonzero(known), RELEASE_ROWS):
            found[part] = self._units(rows[: len(part)])
            rows = rows[len(part) :]
            self._read_rows += len(part)
            if self._read_rows >= RELEASE_ROWS and hasattr(mmap, "MADV_DONTNEED"):
                self._bytes.madvise(mmap.MADV_DONTNEED)
                self._read_rows = 0
        return found

    def blocks_before(self, row: int) -> memoryview:
        """The bytes of the blocks before this row, to copy into a new map."""
        return memoryview(self._bytes)[HEADER_BYTES : HEADER_BYTES + row // BLOCK * self._blocks.itemsize]

    def rows_from(self, row: int) -> Iterator[tuple[int, bytes]]:
        """The rows from this one on, which must be the first of the last block."""
        for place in range(len(self) - row):
            yield int(self.ids[row + place]), self._blocks["vectors"][row // BLOCK, place].tobytes()

    def _unit(self, query: npt.ArrayLike) -> Floats:
        """A query [D], of unit length. Raises InputError."""
        given = np.asarray(query, np.float64)
        if given.shape != (self.dimensions,):
            raise InputError(f"a query has the shape {list(given.shape)}; this model's vectors have {self.dimensions}")
        length = np.sqrt(given @ given)
        if not (np.isfinite(length) and length > 0):
            raise InputError("the query has no direction: it is all zeros, or holds NaN or infinity")
        unit: Floats = (given / length).astype(np.float32)
        return unit

    @functools.cached_property
    def _order(self) -> npt.NDArray[np.intp]:
        return np.argsort(self.ids, kind="stable")  # 10 times as fast where they rise already, as they mostly do

    def _places(self, ids: Ids) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """(the rows of the ids that have a vector, in order; which ids have one [N])."""
        if not len(self):
            return np.empty(0, np.intp), np.zeros(len(ids), np.bool_)
        places = np.searchsorted(self.ids, ids, sorter=self._order)
        rows = self._order[np.minimum(places, len(self) - 1)]
        known = self.ids[rows] == ids
        return rows[known], known

    def _choose_candidates(self, unit: Floats, limit: int, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """Those of the wanted rows [N] that may be among the nearest, by the codes."""
        if limit >= np.count_nonzero(wanted):
            return np.flatnonzero(wanted)
        scale = np.abs(unit).max() / 127
        code = np.rint(unit / scale).astype(np.int8)
        error = np.linalg.norm(unit - code * scale)
        similar = np.empty((len(self._blocks), BLOCK, 1), np.float32)
        for codes, to in zip(self._blocks["codes"], similar, strict=True):
            numkong.cdist(codes, code[None], "dot", out=to)
        similar = similar.reshape(-1)[: len(self)]
        similar *= self._scales * scale
        errors = self._errors * (1 + error) + error
        similar -= ~wanted * np.float32(9)  # below all cosines; a quarter of the time of a mask
        least = np.partition(similar - errors, -limit)[-limit]
        return np.flatnonzero(similar + errors >= least)

    def _units(self, rows: npt.NDArray[np.intp]) -> Floats:
        """The vectors of these rows [n, D], each of unit length."""
        vectors: Floats = self._blocks["vectors"][rows // BLOCK, rows % BLOCK].astype(np.float32)
        vectors /= np.sqrt(np.vecdot(vectors, vectors))[:, None]
        return vectors

    def _exact(self, unit: Floats, rows: npt.NDArray[np.intp]) -> Floats:
        """The cosines of the vectors themselves, the same for a row whatever the other rows are."""
        found = np.empty(len(rows), np.float32)
        for places in _cut(np.arange(len(rows))):
            part = rows[places]
            vectors = self._blocks["vectors"][part // BLOCK, part % BLOCK].astype(np.float32)
            found[places] = np.vecdot(vectors, unit) / np.sqrt(np.vecdot(vectors, vectors))
        return found


def _cut(rows: npt.NDArray[np.intp], size: int = PIECE) -> Iterator[npt.NDArray[np.intp]]:
    """The rows, up to `size` at a time."""
    return (rows[first : first + size] for first in range(0, len(rows), size))


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
    return open(os.memfd_create("vectors"), "r+b")


@dataclass(frozen=True, slots=True)
class _Model:
    digest: str
    dimensions: int

    @property
    def block(self) -> np.dtype[np.void]:
        """The bytes of BLOCK rows: the last block of a file is padded with zeros."""
        wide = (BLOCK, self.dimensions)
        columns: list[Any] = [("ids", "<i8", BLOCK), ("scales", "<f4", BLOCK), ("errors", "<f4", BLOCK)]
        return np.dtype([*columns, ("codes", "i1", wide), ("vectors", "<f2", wide)])


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
    with atomic.write_file(path, mode=0o600) as part, open(part, "r+b") as file:
        _write(file, model, stamp, rows, old)
    made = _open(path, model)
    if made is None or made.stamp != stamp:
        raise OSError("another program has replaced it")
    return made


def _write(file: IO[bytes], model: _Model, stamp: str, rows: Rows, old: VectorMap | None = None) -> None:
    """Write a whole map, its header last, so that an interrupted one is not valid."""
    ids, count = [np.empty(0, np.int64)], 0
    file.seek(HEADER_BYTES)
    rows = _filter_usable(rows, model)
    if old is not None:
        count = len(old) - len(old) % BLOCK
        file.write(old.blocks_before(count))
        ids, rows = [old.ids[:count]], chain(old.rows_from(count), rows)
    while part := list(islice(rows, BLOCK)):
        block = _encode(part, model)
        file.write(block.tobytes())
        ids.append(block["ids"][: len(part)])
    joined = np.concatenate(ids)
    if len(np.unique(joined)) < len(joined):
        raise _NotNew if old is not None else StoreError("two vectors of one image and one model; index again")
    file.seek(0)
    file.write(_header(model, len(joined), stamp))
    file.flush()


def _filter_usable(rows: Rows, model: _Model) -> Iterator[tuple[int, bytes]]:
    """The rows with a vector of the model that has a direction."""
    rows = iter(rows)
    while part := list(islice(rows, BLOCK)):
        lengths = measure_lengths([blob for _, blob in part], model.dimensions)
        yield from (row for row, length in zip(part, lengths, strict=True) if length > MIN_LENGTH)


def _encode(rows: Sequence[tuple[int, bytes]], model: _Model) -> npt.NDArray[np.void]:
    """One block, of up to BLOCK rows."""
    block = np.zeros((), model.block)
    block["ids"][: len(rows)] = [image_id for image_id, _ in rows]
    vectors = np.frombuffer(b"".join(blob for _, blob in rows), "<f2").reshape(len(rows), model.dimensions)
    block["vectors"][: len(rows)] = vectors
    for first in range(0, len(rows), PIECE):
        part = slice(first, min(first + PIECE, len(rows)))
        units = vectors[part].astype(np.float32)
        units /= np.sqrt(np.vecdot(units, units))[:, None]
        scales = np.maximum(units.max(1), -units.min(1)) / 127
        codes = np.rint(units / scales[:, None])
        units -= codes * scales[:, None]
        block["scales"][part], block["codes"][part] = scales, codes
        block["errors"][part] = np.sqrt(np.vecdot(units, units))
    return block


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
