"""Results of inference as a Parquet file: one shard, some hundreds of photos, with the predictions for them.

    metadata: the format, decoder, models and root        row: one photo: its file, its content, each model's prediction

A shard's name is a hash of what it covers: the files with their sizes and dates, the models and the options. The same
work has the same name wherever it is done, so existing shards need not be made again, and making one twice changes
nothing. Paths are bytes, since they need not be UTF-8. A file comes from another machine and is checked like any input.
Parquet: https://parquet.apache.org/docs/file-format/; written by pyarrow, which the extra `ray` installs.
"""

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from photosearch.errors import InputError, first_line
from photosearch.index.infer import LoadedScorer, PhotoResult, Prediction, Scorer
from photosearch.photos import dates, decode
from photosearch.photos.decode import DAMAGED
from photosearch.photos.walk import MAX_INTEGER, Photo

FORMAT = 2  # raised when an older reader would misread a new file
METADATA_KEY = b"photosearch"
SUFFIX = ".parquet"
MAX_BYTES = 2**28  # of a file, and of its contents once unpacked
MAX_ROWS = 10_000
NEEDS = "reading and writing shards needs pyarrow: pip install 'photosearch[ray]'"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A scorer as a shard names it, with its model's name, version and minimum score."""

    scorer: Scorer
    name: str
    version: str
    min_score: float

    @classmethod
    def of(cls, loaded: LoadedScorer) -> "ModelRef":
        card = loaded.model.card
        return cls(loaded.key, card.name, card.version, float(card.min_score))

    def __str__(self) -> str:
        tiles = f" with {self.scorer.tiles} tiles" if self.scorer.tiles else ""
        return f"{self.name} {self.version} ({self.scorer.digest[:8]}){tiles}"

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name, "version": self.version, "digest": self.scorer.digest, "tiles": self.scorer.tiles,
            "min_score": self.min_score,
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ModelRef":
        """Raises ValueError, KeyError or TypeError where a value is missing or of another type."""
        ref = cls(Scorer(values["digest"], values["tiles"]), values["name"], values["version"], values["min_score"])
        types = {"name": str, "version": str, "digest": str, "tiles": int, "min_score": float}
        if not all(type(value) is types[name] for name, value in ref.to_json().items()):
            raise ValueError("a model's reference is wrong")
        return ref


@dataclass(frozen=True, slots=True)
class Shard:
    """Photos to score together, by the same models. root: an absolute folder, or an address, above them all.

    known_hashes: for each photo the hash of a content that these models have scored already, or None. While the file
    has that content, it is not decoded.
    """

    root: str
    models: tuple[ModelRef, ...]
    photos: tuple[Photo, ...]
    known_hashes: tuple[bytes | None, ...]
    max_pixels: int = decode.MAX_PIXELS

    @property
    def name(self) -> str:
        """The file's name: 32 hexadecimal digits of BLAKE2 over all that the rows can depend on."""
        digest = hashlib.blake2b(digest_size=16)
        models = [model.to_json() for model in self.models]
        head = [FORMAT, decode.VERSION, self.max_pixels, models, os.fsencode(self.root).hex()]
        digest.update(json.dumps(head).encode())
        for photo, known_hash in zip(self.photos, self.known_hashes, strict=True):
            path = _to_relative(photo.path, self.root)
            numbers = b"%d %d %d " % (len(path), photo.size_bytes, photo.mtime_ns)
            digest.update(numbers + path + (known_hash or b""))
        return digest.hexdigest() + SUFFIX

    def split(self) -> "Iterator[Shard]":
        """One shard for each of its photos."""
        for photo, known_hash in zip(self.photos, self.known_hashes, strict=True):
            yield Shard(self.root, self.models, (photo,), (known_hash,), self.max_pixels)


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A shard's file, read and checked."""

    root: str
    models: tuple[ModelRef, ...]
    results: tuple[PhotoResult, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShardHeader:
    root: str
    models: tuple[ModelRef, ...]
    rows: int


def write(shard: Shard, results: Iterable[PhotoResult]) -> bytes:
    """A shard's file. results: one for each of its photos, in any order. The same rows give the same bytes."""
    pa, parquet = _import_arrow()
    rows = [_to_row(shard, result) for result in results]
    metadata = {
        "format": FORMAT, "decoder": decode.VERSION, "root": os.fsencode(shard.root).hex(),
        "max_pixels": shard.max_pixels, "models": [model.to_json() for model in shard.models], "name": shard.name,
    }  # fmt: skip
    schema = _make_schema(len(shard.models)).with_metadata({METADATA_KEY: json.dumps(metadata).encode()})
    out = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), out, compression="zstd")
    data: bytes = out.getvalue().to_pybytes()
    return data


def _to_row(shard: Shard, result: PhotoResult) -> dict[str, object]:
    photo = result.photo
    row: dict[str, object] = {
        "path": _to_relative(photo.path, shard.root), "size_bytes": photo.size_bytes, "mtime_ns": photo.mtime_ns,
        "hash": result.content_hash, "width": result.width, "height": result.height, "taken": result.taken,
        "taken_from": result.taken_from, "fingerprint": result.fingerprint, "reason": result.reason,
        "transient": result.transient,
    }  # fmt: skip
    for i, model in enumerate(shard.models):
        found = result.predictions.get(model.scorer)
        values = None if found is None else {"scores": list(found.scores.items()), "vector": found.vector}
        row[f"prediction_{i}"] = values
    return row


def _to_relative(path: str, root: str) -> bytes:
    return os.fsencode(path[len(root.rstrip("/")) + 1 :])


def read(file: BinaryIO, name: str) -> ShardFile:
    """Read a shard's file, all of it or nothing. name: for messages. Raises InputError."""
    with _as_input_errors(name):
        opened, root, models = _open(file, name)
        rows = opened.read(use_threads=False).to_pylist()
        return ShardFile(root, models, tuple(_to_result(row, root, models) for row in rows))


def read_header(file: BinaryIO, name: str) -> ShardHeader:
    """Read the end of a shard's file: enough to recognise one that was cut short or is no shard. Raises InputError."""
    with _as_input_errors(name):
        opened, root, models = _open(file, name)
        return ShardHeader(root, models, opened.metadata.num_rows)


def _open(file: BinaryIO, name: str) -> tuple[Any, str, tuple[ModelRef, ...]]:
    _, parquet = _import_arrow()
    if file.seek(0, os.SEEK_END) > MAX_BYTES:
        raise ValueError("longer than any shard")
    file.seek(0)
    opened = parquet.ParquetFile(file, thrift_string_size_limit=2**24)
    metadata = (opened.schema_arrow.metadata or {}).get(METADATA_KEY)
    if metadata is None:
        raise InputError(f"{name}: a Parquet file, but no shard of photosearch; leave it out")
    root, models = _parse_metadata(json.loads(metadata), name)
    sizes = [opened.metadata.row_group(i).total_byte_size for i in range(opened.metadata.num_row_groups)]
    if opened.metadata.num_rows > MAX_ROWS or sum(sizes) > MAX_BYTES:
        raise ValueError("larger than any shard")
    if not opened.schema_arrow.remove_metadata().equals(_make_schema(len(models))):
        raise ValueError("unexpected columns")
    return opened, root, models


@contextlib.contextmanager
def _as_input_errors(name: str) -> Iterator[None]:
    """Whatever a damaged file makes pyarrow, or us, raise -> InputError."""
    pa, _ = _import_arrow()
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise InputError(
            f"{name}: damaged, cut short, or not a shard ({first_line(error)[:120]}); delete it and index again"
        ) from None


def _parse_metadata(values: Mapping[str, Any], name: str) -> tuple[str, tuple[ModelRef, ...]]:
    """-> (root, models). Raises InputError for another format or decoder, else ValueError, KeyError, TypeError."""
    number, decoder = values["format"], values["decoder"]
    if number != FORMAT:
        raise InputError(
            f"{name}: format {number!r}, and this photosearch reads {FORMAT}; use the same version everywhere"
        )
    if decoder != decode.VERSION:
        raise InputError(f"{name}: decoder {decoder!r}, and this photosearch has {decode.VERSION}; index again")
    root = os.fsdecode(bytes.fromhex(values["root"]))
    if not root.startswith("/") and "://" not in root:
        raise ValueError("its root is not an absolute path")
    models = tuple(map(ModelRef.from_json, values["models"]))
    if len({model.scorer for model in models}) < len(models):
        raise ValueError("it names a model twice")
    return root, models


def _to_result(row: Mapping[str, Any], root: str, models: Sequence[ModelRef]) -> PhotoResult:
    """A row as a result. Raises ValueError where it can't be true."""
    path = row["path"]
    if b"\0" in path or any(part in (b"", b".", b"..") for part in path.split(b"/")):
        raise ValueError("a path leads out of its root")
    numbers = [row["size_bytes"], row["mtime_ns"]]
    if not all(-MAX_INTEGER <= number < MAX_INTEGER for number in numbers):
        raise ValueError("invalid size or date of a file")
    photo = Photo(f"{root.rstrip('/')}/{os.fsdecode(path)}", *numbers)
    damage = row["reason"]
    if damage is not None and not damage.startswith(DAMAGED):
        return PhotoResult(photo, reason=row["reason"][:200], transient=bool(row["transient"]))
    width, height, fingerprint, content_hash = row["width"], row["height"], row["fingerprint"], row["hash"]
    if content_hash is None or len(content_hash) != 32:
        raise ValueError("invalid hash")
    found = {model.scorer: row[f"prediction_{i}"] for i, model in enumerate(models)}
    predictions = {scorer: _to_prediction(value) for scorer, value in found.items() if value is not None}
    if width is None:
        if predictions:
            raise ValueError("scores of a photo that was not decoded")
        return PhotoResult(photo, content_hash)
    taken, taken_from = row["taken"], row["taken_from"]
    if not (width > 0 and height is not None and height > 0 and fingerprint is not None):
        raise ValueError("invalid width or height")
    if (taken is None) != (taken_from is None) or taken_from not in (None, *dates.SOURCES):
        raise ValueError("taken_from without a date")
    if taken is not None and not re.fullmatch(r"[0-9T:-]{19}", taken):
        raise ValueError("invalid date")
    damage = None if damage is None else damage[:200]
    return PhotoResult(photo, content_hash, width, height, taken, taken_from, fingerprint, predictions, damage)


def _to_prediction(value: Mapping[str, Any]) -> Prediction:
    scores = dict(value["scores"])
    if not all(score is not None and math.isfinite(score) and 0 <= score <= 1 for score in scores.values()):
        raise ValueError("a score is not in 0..1")
    return Prediction(scores, value["vector"])


def check_predictions(file: ShardFile, scorers: Sequence[LoadedScorer], name: str) -> None:
    """Raises InputError where a shard has a label, or a vector, that its models don't have.

    scorers: all of the shard's models, and others perhaps.
    """
    cards = {scorer.key: scorer.model.card for scorer in scorers}
    labels = {key: frozenset(card.labels) for key, card in cards.items()}
    sizes = {key: 2 * card.dimensions if "vectors" in card.outputs else None for key, card in cards.items()}
    for result in file.results:
        for key, prediction in result.predictions.items():
            size = None if prediction.vector is None else len(prediction.vector)
            if key not in cards or not labels[key].issuperset(prediction.scores) or size != sizes[key]:
                model = next(model for model in file.models if model.scorer == key)
                raise InputError(f"{name}: predictions that {model} can't have made; delete it and index again")


def _make_schema(n: int) -> Any:
    """The columns of a shard with n models."""
    pa, _ = _import_arrow()
    prediction = pa.struct([("scores", pa.map_(pa.string(), pa.float32())), ("vector", pa.binary())])
    columns = [
        pa.field("path", pa.binary(), nullable=False), pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False), ("hash", pa.binary()), ("width", pa.int32()),
        ("height", pa.int32()), ("taken", pa.string()), ("taken_from", pa.string()), ("fingerprint", pa.uint64()),
        ("reason", pa.string()), pa.field("transient", pa.bool_(), nullable=False),
    ]  # fmt: skip
    return pa.schema([*columns, *((f"prediction_{i}", prediction) for i in range(n))])


def _import_arrow() -> tuple[Any, Any]:
    """pyarrow and its Parquet reader. Importing them takes 150 ms, so only shards do."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(NEEDS) from None
    return pyarrow, parquet
