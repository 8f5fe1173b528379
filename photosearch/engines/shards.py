"""What was looked at, as a Parquet file: one shard, some hundreds of photos, with all that was said of them.

    metadata: which format, decoder, models and root        row: one photo: its file, its content, what each model says

A shard's name is a hash of what it covers: the files with sizes and dates, who looks and how. The same work has the
same name wherever it is done, so that what is there need not be done again, and doing it twice changes nothing. Names
of files are bytes, for they need not be UTF-8. A file comes from another machine and is checked like any input.
Parquet: https://parquet.apache.org/docs/file-format/; written by pyarrow, which the extra `ray` brings.
"""

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO

from photosearch.errors import InputError, first_line
from photosearch.index.infer import PhotoResult, Prediction, Scorer
from photosearch.photos import dates, decode
from photosearch.photos.walk import MAX_INTEGER, Photo

FORMAT = 1  # raised when a reader of today's would misread what is written
KEY = b"photosearch"  # of the metadata
END = ".parquet"
MAX_BYTES = 2**28  # of a file, and of what it says it unpacks to
MAX_ROWS = 10_000
NEEDS = "reading and writing shards needs pyarrow: pip install 'photosearch[ray]'"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Who looked: one model's file, with so many tiles."""

    name: str
    version: str
    digest: str
    tiles: int
    floor: float

    @classmethod
    def by(cls, reading: Scorer) -> "ModelRef":
        card = reading.model.card
        return cls(card.name, card.version, reading.model.digest, reading.tiles, float(card.min_score))

    def __str__(self) -> str:
        tiles = f" with {self.tiles} tiles" if self.tiles else ""
        return f"{self.name} {self.version} ({self.digest[:8]}){tiles}"


@dataclass(frozen=True, slots=True)
class Shard:
    """Photos that are looked at together, by the same models. root: an absolute folder, or an address, above them all.

    unless: for each photo, the hash of a content that these models have seen already, or None: then it is not decoded.
    """

    root: str
    seen: tuple[ModelRef, ...]
    photos: tuple[Photo, ...]
    unless: tuple[bytes | None, ...]
    max_pixels: int = decode.MAX_PIXELS

    @property
    def name(self) -> str:
        """The file's: 32 hexadecimal digits of BLAKE2 over all that the rows can depend on."""
        of = hashlib.blake2b(digest_size=16)
        head = [FORMAT, decode.VERSION, self.max_pixels, [asdict(s) for s in self.seen], os.fsencode(self.root).hex()]
        of.update(json.dumps(head).encode())
        for photo, unless in zip(self.photos, self.unless, strict=True):
            below = _below(photo.path, self.root)
            of.update(b"%d %d %d " % (len(below), photo.size_bytes, photo.mtime_ns) + below + (unless or b""))
        return of.hexdigest() + END

    def split(self) -> "Iterator[Shard]":
        """One shard for each of its photos."""
        for photo, unless in zip(self.photos, self.unless, strict=True):
            yield Shard(self.root, self.seen, (photo,), (unless,), self.max_pixels)


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A shard's file, read and checked. looked: `said` counts the models as `seen` does."""

    root: str
    seen: tuple[ModelRef, ...]
    looked: tuple[PhotoResult, ...] = field(repr=False)


def _below(path: str, root: str) -> bytes:
    return os.fsencode(path[len(root.rstrip("/")) + 1 :])


def write(shard: Shard, looked: Iterable[PhotoResult]) -> bytes:
    """A shard's file. looked: one for each of its photos, in any order. The same rows give the same bytes."""
    pa, parquet = _arrow()
    rows = [_to_row(shard, one) for one in looked]
    told = {
        "format": FORMAT, "decoder": decode.VERSION, "root": os.fsencode(shard.root).hex(),
        "max_pixels": shard.max_pixels, "seen": [asdict(s) for s in shard.seen], "name": shard.name,
    }  # fmt: skip
    schema = _schema(len(shard.seen)).with_metadata({KEY: json.dumps(told).encode()})
    out = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), out, compression="zstd")
    data: bytes = out.getvalue().to_pybytes()
    return data


def _to_row(shard: Shard, looked: PhotoResult) -> dict[str, Any]:
    photo = looked.photo
    row = {
        "path": _below(photo.path, shard.root), "size_bytes": photo.size_bytes, "mtime_ns": photo.mtime_ns,
        "hash": looked.content_hash, "width": looked.width, "height": looked.height, "taken": looked.taken,
        "taken_from": looked.taken_from, "fingerprint": looked.fingerprint, "reason": looked.reason,
        "passing": looked.passing,
    }  # fmt: skip
    for i in range(len(shard.seen)):
        said = looked.said.get(i)
        row[f"said_{i}"] = None if said is None else {"scores": list(said.scores.items()), "vector": said.vector}
    return row


def read(file: BinaryIO, name: str) -> ShardFile:
    """A shard's file, whole or not at all. name: for the message. Raises InputError in a line where it is none."""
    with _in_words(name):
        opened, root, seen = _open(file, name)
        rows = opened.read(use_threads=False).to_pylist()
        return ShardFile(root, seen, tuple(_to_result(row, root, len(seen)) for row in rows))


@dataclass(frozen=True, slots=True)
class ShardHeader:
    root: str
    seen: tuple[ModelRef, ...]
    rows: int


def read_header(file: BinaryIO, name: str) -> ShardHeader:
    """What the end of a file says: enough to tell one that was cut short, or is another's. Raises InputError."""
    with _in_words(name):
        opened, root, seen = _open(file, name)
        return ShardHeader(root, seen, opened.metadata.num_rows)


def _open(file: BinaryIO, name: str) -> tuple[Any, str, tuple[ModelRef, ...]]:
    _, parquet = _arrow()
    if file.seek(0, os.SEEK_END) > MAX_BYTES:
        raise ValueError("longer than any shard")
    file.seek(0)
    opened = parquet.ParquetFile(file, thrift_string_size_limit=2**24)
    told = (opened.schema_arrow.metadata or {}).get(KEY)
    if told is None:
        raise InputError(f"{name}: a Parquet file, but no shard of photosearch; leave it out")
    root, seen = _read_head(json.loads(told), name)
    sizes = [opened.metadata.row_group(i).total_byte_size for i in range(opened.metadata.num_row_groups)]
    if opened.metadata.num_rows > MAX_ROWS or sum(sizes) > MAX_BYTES:
        raise ValueError("more than any shard holds")
    if not opened.schema_arrow.remove_metadata().equals(_schema(len(seen))):
        raise ValueError("other columns")
    return opened, root, seen


@contextlib.contextmanager
def _in_words(name: str) -> Iterator[None]:
    """Whatever a damaged file makes pyarrow, or us, raise -> InputError."""
    pa, _ = _arrow()
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise InputError(
            f"{name}: damaged, cut short, or no shard ({first_line(error)}); delete it, and index again"
        ) from None


def _read_head(told: Mapping[str, Any], name: str) -> tuple[str, tuple[ModelRef, ...]]:
    number, decoder = told["format"], told["decoder"]
    if number != FORMAT:
        raise InputError(
            f"{name}: format {number!r}, and this photosearch reads {FORMAT}; use the same version everywhere"
        )
    if decoder != decode.VERSION:
        raise InputError(f"{name}: decoder {decoder!r}, and this photosearch has {decode.VERSION}; index anew")
    root = os.fsdecode(bytes.fromhex(told["root"]))
    if not root.startswith("/") and "://" not in root:
        raise ValueError("its root is no absolute path")
    seen = tuple(ModelRef(**one) for one in told["seen"])
    if not all(type(value) is kind for s in seen for value, kind in zip(asdict(s).values(), _SEEN, strict=True)):
        raise ValueError("no models stand there")
    return root, seen


_SEEN = (str, str, str, int, float)


def _to_result(row: Mapping[str, Any], root: str, n: int) -> PhotoResult:
    """A row, if it can be true; else ValueError."""
    below = row["path"]
    if b"\0" in below or any(part in (b"", b".", b"..") for part in below.split(b"/")):
        raise ValueError("a path leads out of its root")
    numbers = [row["size_bytes"], row["mtime_ns"]]
    if not all(-MAX_INTEGER - 1 <= number <= MAX_INTEGER for number in numbers):
        raise ValueError("no file has such a size")
    photo = Photo(f"{root.rstrip('/')}/{os.fsdecode(below)}", *numbers)
    if row["reason"] is not None:
        return PhotoResult(photo, reason=row["reason"][:200], passing=bool(row["passing"]))
    width, height, fingerprint, content = row["width"], row["height"], row["fingerprint"], row["hash"]
    if content is None or len(content) != 32:
        raise ValueError("no hash is that long")
    said = {i: _to_prediction(row[f"said_{i}"]) for i in range(n) if row[f"said_{i}"] is not None}
    if width is None:
        if said:
            raise ValueError("a photo that was not decoded has no scores")
        return PhotoResult(photo, content)
    taken, taken_from = row["taken"], row["taken_from"]
    if not (width > 0 and height is not None and height > 0 and fingerprint is not None):
        raise ValueError("no photo has such sides")
    if (taken is None) != (taken_from is None) or taken_from not in (None, *dates.SOURCES):
        raise ValueError("no date stands there")
    if taken is not None and not re.fullmatch(r"[0-9T:-]{19}", taken):
        raise ValueError("that is not a date")
    return PhotoResult(photo, content, width, height, taken, taken_from, fingerprint, said)


def _to_prediction(said: Mapping[str, Any]) -> Prediction:
    scores = dict(said["scores"])
    if not all(score is not None and math.isfinite(score) and 0 <= score <= 1 for score in scores.values()):
        raise ValueError("a score is not in 0..1")
    return Prediction(scores, said["vector"])


def check_predictions(kept: ShardFile, readings: Sequence[Scorer], name: str) -> None:
    """Raises InputError where a shard says what its models can't: a label, or a vector, that they don't have."""
    labels = [frozenset(reading.model.card.labels) for reading in readings]
    widths = [2 * r.model.card.dimensions if "vectors" in r.model.card.outputs else None for r in readings]
    for looked in kept.looked:
        for i, said in looked.said.items():
            width = None if said.vector is None else len(said.vector)
            if not labels[i].issuperset(said.scores) or width != widths[i]:
                raise InputError(f"{name}: holds what {kept.seen[i]} can't have said; delete it, and index again")


def _schema(n: int) -> Any:
    pa, _ = _arrow()
    said = pa.struct([("scores", pa.map_(pa.string(), pa.float32())), ("vector", pa.binary())])
    columns = [
        pa.field("path", pa.binary(), nullable=False), pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False), ("hash", pa.binary()), ("width", pa.int32()),
        ("height", pa.int32()), ("taken", pa.string()), ("taken_from", pa.string()), ("fingerprint", pa.uint64()),
        ("reason", pa.string()), pa.field("passing", pa.bool_(), nullable=False),
    ]  # fmt: skip
    return pa.schema([*columns, *((f"said_{i}", said) for i in range(n))])


def _arrow() -> tuple[Any, Any]:
    """pyarrow and its Parquet reader: some 150 ms, which only who has shards pays."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(NEEDS) from None
    return pyarrow, parquet
