"""Results of inference as a Parquet file: one shard, some hundreds of photos, with the predictions for them.

    metadata: the format, decoder, models and root        row: one photo: its file, its content, each model's prediction

A shard's name is a hash of what it covers: the files with their sizes and dates, the models and the options. The same
work has the same name wherever it is done, so existing shards need not be made again, and making one twice changes
nothing. Paths are bytes, since they need not be UTF-8. A file comes from another machine and is hostile input: what it
unpacks to is bounded before it is read (parquet_pages.py), repeated strings stay dictionary-encoded until their lengths
are known, and each row must be one that its models can have given.
Parquet: https://parquet.apache.org/docs/file-format/; written by pyarrow, which the extra `ray` installs.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from photosearch.engines.parquet_pages import check_pages, read_footer
from photosearch.errors import InputError, first_line
from photosearch.index.infer import LoadedScorer, PhotoResult, Prediction, Scorer
from photosearch.library.vectors import measure_lengths
from photosearch.metadata import dates
from photosearch.metadata.record import PhotoMetadata
from photosearch.models.card import MAX_DIMENSIONS
from photosearch.photos import decode
from photosearch.photos.decode import DAMAGED
from photosearch.photos.walk import MAX_INTEGER, Photo

FORMAT = 3  # raised when an older reader would misread a new file, or refuse it without saying why
FORMATS = (2, 3)  # that are read; the former lack the metadata
METADATA_KEY = b"photosearch"
SUFFIX = ".parquet"
MAX_BYTES = 2**26  # of a file, and of all its pages once unpacked
MAX_VALUES = 6_000_000  # of all columns; a score has two
MAX_ROWS = 10_000
MAX_MODELS = 32
BATCH_ROWS, BATCH_ENTRIES = 64, 2**16  # converted to Python's objects at a time: photos, and scores of one model
PATH_BYTES = 2**14  # of a path, and of a root
TEXT_BYTES = 2**12  # of any other text
METADATA_BYTES = 2**13  # of one photo's, as JSON; longer is left out, and the next index where the photos are reads it
# In bytes, at most:
LENGTHS = {"path": PATH_BYTES, "hash": 32, "vector": 2 * MAX_DIMENSIONS, "metadata": METADATA_BYTES}
MAX_LENGTH_ERROR = 1e-3  # of a unit vector in float16, whose numbers are rounded by up to 1 / 2,048
_ROOT = re.compile(r"(?:/|[a-z][a-z0-9+.-]*://(?=[^/]))(.*)", re.DOTALL)
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
        texts = (ref.name, ref.version, ref.scorer.digest)
        if not all(0 < len(text) <= 200 and text.isprintable() for text in texts) or not 0 <= ref.min_score <= 1:
            raise ValueError("a model's reference is wrong")
        return ref


@dataclass(frozen=True, slots=True)
class Shard:
    """Photos to score together, by the same models. root: an absolute folder, or an address, above them all.

    known_hashes: for each photo the hash of a content that these models have scored already, or None. While the file
    has that content, it is not decoded. metadata: whether what files say is kept besides their dates.
    """

    root: str
    models: tuple[ModelRef, ...]
    photos: tuple[Photo, ...]
    known_hashes: tuple[bytes | None, ...]
    max_pixels: int = decode.MAX_PIXELS
    metadata: bool = True

    @property
    def name(self) -> str:
        """The file's name: 32 hexadecimal digits of BLAKE2 over all that the rows can depend on."""
        digest = hashlib.blake2b(digest_size=16)
        models = [model.to_json() for model in self.models]
        head = [FORMAT, decode.VERSION, self.max_pixels, models, os.fsencode(self.root).hex(), self.metadata]
        digest.update(json.dumps(head).encode())
        for photo, known_hash in zip(self.photos, self.known_hashes, strict=True):
            path = _to_relative(photo.path, self.root)
            numbers = b"%d %d %d " % (len(path), photo.size_bytes, photo.mtime_ns)
            digest.update(numbers + path + (known_hash or b""))
        return digest.hexdigest() + SUFFIX

    def split(self) -> "Iterator[Shard]":
        """One shard for each of its photos."""
        for photo, known_hash in zip(self.photos, self.known_hashes, strict=True):
            yield Shard(self.root, self.models, (photo,), (known_hash,), self.max_pixels, self.metadata)


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
    # Labels repeat; vectors, hashes and paths do not.
    repeated = [f"prediction_{i}.scores.key_value.key" for i in range(len(shard.models))]
    parquet.write_table(
        pa.Table.from_pylist(rows, schema=schema), out, compression="zstd", use_dictionary=repeated,
        write_statistics=False,
    )  # fmt: skip
    data: bytes = out.getvalue().to_pybytes()
    return data


def _to_row(shard: Shard, result: PhotoResult) -> dict[str, object]:
    photo = result.photo
    row: dict[str, object] = {
        "path": _to_relative(photo.path, shard.root), "size_bytes": photo.size_bytes, "mtime_ns": photo.mtime_ns,
        "hash": result.content_hash, "width": result.width, "height": result.height, "taken": result.taken,
        "taken_from": result.taken_from, "fingerprint": result.fingerprint, "reason": result.reason,
        "transient": result.transient, "metadata": _write_metadata(result.metadata),
    }  # fmt: skip
    for i, model in enumerate(shard.models):
        found = result.predictions.get(model.scorer)
        values = None if found is None else {"scores": list(found.scores.items()), "vector": found.vector}
        row[f"prediction_{i}"] = values
    return row


def _write_metadata(found: PhotoMetadata | None) -> str | None:
    """As JSON, what it does not say left out."""
    if found is None:
        return None
    text = json.dumps({key: value for key, value in found.to_json().items() if value}, ensure_ascii=False)
    return text if len(text.encode()) <= METADATA_BYTES else None


def _read_metadata(text: str | None) -> PhotoMetadata | None:
    """Raises ValueError."""
    if text is None:
        return None
    try:
        return PhotoMetadata.from_json(PhotoMetadata().to_json() | json.loads(text)).shorten()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("invalid metadata") from None


def _to_relative(path: str, root: str) -> bytes:
    return os.fsencode(path[len(root.rstrip("/")) + 1 :])


def read(file: BinaryIO, name: str) -> ShardFile:
    """Read a shard's file, all of it or nothing. name: for messages. Raises InputError, which names a bad row."""
    with _as_input_errors(name):
        opened, root, models = _open(file, name)
        results: dict[str, PhotoResult] = {}
        vectors: dict[bytes, bytes] = {}
        for n, row in enumerate(_iterate_rows(opened), 1):
            try:
                result = _to_result(row, root, models, vectors)
                if result.photo.path in results:
                    raise ValueError("the photo has a row already")
            except ValueError as error:
                raise InputError(_describe_bad_row(name, n, error)) from None
            results[result.photo.path] = result
        return ShardFile(root, models, tuple(results.values()))


def read_header(file: BinaryIO, name: str) -> ShardHeader:
    """Read the end of a shard's file: enough to recognise one that was cut short or is no shard. Raises InputError."""
    with _as_input_errors(name):
        opened, root, models = _open(file, name)
        return ShardHeader(root, models, opened.metadata.num_rows)


def find_max_photos(scorers: Sequence[LoadedScorer]) -> int:
    """The most photos that a shard with these scorers may hold, however long their paths and many their scores are."""
    cards = [scorer.model.card for scorer in scorers]
    n_values = 13 + sum(2 * len(card.labels) + 1 for card in cards)
    n_bytes = PATH_BYTES // 4 + sum(2 * card.dimensions + 16 * len(card.labels) for card in cards)
    return max(1, min(MAX_ROWS, MAX_VALUES // n_values, MAX_BYTES // n_bytes))


def _open(file: BinaryIO, name: str) -> tuple[Any, str, tuple[ModelRef, ...]]:
    pa, parquet = _import_arrow()
    footer = read_footer(file, MAX_BYTES)
    metadata = footer.metadata.get(METADATA_KEY)
    if metadata is None:
        raise InputError(f"{name}: a Parquet file, but no shard of photosearch; leave it out")
    values = json.loads(metadata)
    root, models = _parse_metadata(values, name)
    if sum(footer.rows) > MAX_ROWS:
        raise ValueError(f"more than {MAX_ROWS:,} rows")
    check_pages(file, footer, max_bytes=MAX_BYTES, max_values=MAX_VALUES)
    opened = parquet.ParquetFile(file, read_dictionary=footer.text_paths, pre_buffer=False)
    read_as = _make_schema(len(models), lambda kind: pa.dictionary(pa.int32(), kind))
    if values["format"] == 2:
        read_as = read_as.remove(read_as.get_field_index("metadata"))
    if not opened.schema_arrow.remove_metadata().equals(read_as):
        raise ValueError("unexpected columns")
    return opened, root, models


def _iterate_rows(opened: Any) -> Iterator[Mapping[str, Any]]:
    """The rows as Python's objects, few at a time. Raises ValueError where one is larger than a shard's can be."""
    groups = ([group] for group in range(opened.num_row_groups))  # each on its own: each has its own dictionaries
    for batch in (batch for some in groups for batch in opened.iter_batches(BATCH_ROWS, some, use_threads=False)):
        batch.validate(full=True)  # of the dictionaries' indices, too
        entries = max(map(_check_lengths, batch.columns, batch.schema.names))
        step = max(1, BATCH_ENTRIES // max(1, entries))
        for first in range(0, batch.num_rows, step):
            yield from batch.slice(first, step).to_pylist()


def _check_lengths(array: Any, name: str) -> int:
    """The most scores of one row in a column. Raises ValueError where a row's texts or scores are too long."""
    pa, _ = _import_arrow()
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        longest, most = pc.max(pc.binary_length(array.dictionary)).as_py() or 0, LENGTHS.get(name, TEXT_BYTES)
        if longest > most:
            raise ValueError(f"{name}: {longest:,} bytes, and {most:,} is the most")
    if pa.types.is_struct(array.type):
        fields = [array.type.field(i).name for i in range(array.type.num_fields)]
        return max(_check_lengths(array.field(field), field) for field in fields)
    if pa.types.is_map(array.type):
        _check_lengths(array.keys, "label")
        entries = int(np.diff(array.offsets.to_numpy()).max(initial=0))
        if entries > BATCH_ENTRIES:
            raise ValueError(f"{entries:,} scores of one photo, and {BATCH_ENTRIES:,} is the most")
        return entries
    return 0


def _describe_bad_row(name: str, n: int, reason: object) -> str:
    return f"{name}: row {n:,}: {reason}; nothing of this shard was imported; delete it and index again"


@contextlib.contextmanager
def _as_input_errors(name: str) -> Iterator[None]:
    """Whatever a damaged file makes pyarrow, or us, raise -> InputError."""
    pa, _ = _import_arrow()
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        told = "".join(c if c.isprintable() else "?" for c in first_line(error)[:120])  # pyarrow quotes the file
        raise InputError(f"{name}: damaged, cut short, or not a shard ({told}); delete it and index again") from None


def _parse_metadata(values: Mapping[str, Any], name: str) -> tuple[str, tuple[ModelRef, ...]]:
    """-> (root, models). Raises InputError for another format or decoder, else ValueError, KeyError, TypeError."""
    number, decoder = values["format"], values["decoder"]
    if number not in FORMATS:
        raise InputError(
            f"{name}: format {number!r}, and this photosearch reads {FORMAT}; use the same version everywhere"
        )
    if decoder != decode.VERSION:
        raise InputError(f"{name}: decoder {decoder!r}, and this photosearch has {decode.VERSION}; index again")
    root = os.fsdecode(bytes.fromhex(values["root"]))
    below = _ROOT.fullmatch(root)
    if below is None or len(root) > PATH_BYTES or "\0" in root or not _is_plain(below[1].split("/")):
        raise ValueError("its root is not an absolute path")
    if len(values["models"]) > MAX_MODELS:
        raise ValueError(f"more than {MAX_MODELS} models")
    models = tuple(map(ModelRef.from_json, values["models"]))
    if len({model.scorer for model in models}) < len(models):
        raise ValueError("it names a model twice")
    return root, models


def _is_plain(parts: Sequence[str]) -> bool:
    """Whether a path leads down alone, whatever folder it is appended to. The root of all is no parts but ''."""
    return list(parts) == [""] or not {"", ".", ".."} & set(parts)


def _to_result(
    row: Mapping[str, Any], root: str, models: Sequence[ModelRef], vectors: dict[bytes, bytes]
) -> PhotoResult:
    """A row as a result. vectors: those of former rows, which equal ones share. Raises ValueError where it can't be."""
    path = os.fsdecode(row["path"])
    if "\0" in path or not path or not _is_plain(path.split("/")):
        raise ValueError("a path leads out of its root")
    photo = Photo(f"{root.rstrip('/')}/{path}", row["size_bytes"], row["mtime_ns"])
    if not (0 <= photo.size_bytes < MAX_INTEGER and -MAX_INTEGER <= photo.mtime_ns < MAX_INTEGER):
        raise ValueError("invalid size or date of a file")
    damage = None if row["reason"] is None else _clean(row["reason"])
    if damage is not None and not damage.startswith(DAMAGED):
        return PhotoResult(photo, reason=damage, transient=bool(row["transient"]))
    width, height, fingerprint, content_hash = row["width"], row["height"], row["fingerprint"], row["hash"]
    if content_hash is None or len(content_hash) != 32:
        raise ValueError("invalid hash")
    found = {model.scorer: row[f"prediction_{i}"] for i, model in enumerate(models)}
    predictions = {scorer: _to_prediction(value, vectors) for scorer, value in found.items() if value is not None}
    metadata = _read_metadata(row.get("metadata"))
    if width is None:
        if predictions:
            raise ValueError("scores of a photo that was not decoded")
        return PhotoResult(photo, content_hash, metadata=metadata)
    taken, taken_from = row["taken"], row["taken_from"]
    if not (width > 0 and height is not None and height > 0 and fingerprint is not None):
        raise ValueError("invalid width or height")
    if (taken is None) != (taken_from is None) or taken_from not in (None, *dates.SOURCES):
        raise ValueError("taken_from without a date")
    if taken is not None and ((date := dates.read_date(taken, taken_from)) is None or date.local != taken):
        raise ValueError("no real date")
    return PhotoResult(
        photo, content_hash, width, height, taken, taken_from, fingerprint, predictions, damage, metadata=metadata
    )


def _clean(reason: str) -> str:
    """A reason for people: one line, without what moves a cursor."""
    return "".join(c if c.isprintable() else " " for c in reason[:200]).strip() or "unreadable"


def _to_prediction(value: Mapping[str, Any], vectors: dict[bytes, bytes]) -> Prediction:
    pairs, vector = value["scores"], value["vector"]
    if pairs is None or not all(s is not None and math.isfinite(s) and 0 <= s <= 1 for _, s in pairs):
        raise ValueError("a score is not in 0..1")
    scores = {sys.intern(label): score for label, score in pairs}  # a label of many photos is one string
    if len(scores) < len(pairs):
        raise ValueError("two scores of one label")
    if vector is None:
        return Prediction(scores)
    if len(vector) % 2 or not vector:
        raise ValueError("a vector of half a number, or of none")
    (length,) = measure_lengths([vector], len(vector) // 2)
    if not abs(length - 1) <= MAX_LENGTH_ERROR:  # NaN is no length either
        raise ValueError(f"a vector of length {length:.4g}, not 1")
    return Prediction(scores, vectors.setdefault(vector, vector))


def check_predictions(file: ShardFile, scorers: Sequence[LoadedScorer], name: str) -> None:
    """Raises InputError where a shard has a label, a score or a vector that its models can't have given.

    scorers: all of the shard's models, and others perhaps.
    """
    cards = {scorer.key: scorer.model.card for scorer in scorers}
    labels = {key: frozenset(card.labels) for key, card in cards.items()}
    sizes = {key: 2 * card.dimensions if "vectors" in card.outputs else None for key, card in cards.items()}
    lowest = {key: float(np.float32(card.min_score)) for key, card in cards.items()}
    for n, result in enumerate(file.results, 1):
        for key, prediction in result.predictions.items():
            size = None if prediction.vector is None else len(prediction.vector)
            if (
                key not in cards or not labels[key].issuperset(prediction.scores) or size != sizes[key]
                or min(prediction.scores.values(), default=1.0) < min(lowest[key], cards[key].min_score)
            ):  # fmt: skip
                model = next(model for model in file.models if model.scorer == key)
                raise InputError(_describe_bad_row(name, n, f"predictions that {model} can't have made"))


def _make_schema(n: int, stored_as: Callable[[Any], Any] = lambda kind: kind) -> Any:
    """The columns of a shard with n models. stored_as: the type of texts of a type."""
    pa, _ = _import_arrow()
    text, binary = stored_as(pa.string()), stored_as(pa.binary())
    prediction = pa.struct([("scores", pa.map_(text, pa.float32())), ("vector", binary)])
    columns = [
        pa.field("path", binary, nullable=False), pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False), ("hash", binary), ("width", pa.int32()),
        ("height", pa.int32()), ("taken", text), ("taken_from", text), ("fingerprint", pa.uint64()),
        ("reason", text), pa.field("transient", pa.bool_(), nullable=False), ("metadata", text),
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
