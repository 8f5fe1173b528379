"""A shard's file: a round trip, a name for the same work, and one-line refusals of everything else."""

import io
import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="shards need pyarrow")
from pyarrow import parquet  # noqa: E402
from toy import sight_card, write_toy  # noqa: E402

from photosearch.engines import shards  # noqa: E402
from photosearch.engines.shards import ModelRef, Shard, read, read_header, write  # noqa: E402
from photosearch.engines.store import FolderStore  # noqa: E402
from photosearch.errors import InputError  # noqa: E402
from photosearch.index.infer import LoadedScorer, PhotoResult, Prediction, Scorer  # noqa: E402
from photosearch.metadata.dates import Taken  # noqa: E402
from photosearch.metadata.record import PhotoMetadata, Position  # noqa: E402
from photosearch.models.session import Model  # noqa: E402
from photosearch.photos import decode  # noqa: E402
from photosearch.photos.walk import Photo  # noqa: E402

MODEL = ModelRef(Scorer("0123456789abcdef", 4), "toy", "1", 0.01)
OTHER = ModelRef(Scorer("fedcba9876543210"), "other", "2", 0.0)
VECTORS = {
    "NaN": np.array([np.nan, 0, 0, 1], np.float16).tobytes(),
    "infinity": np.array([np.inf, 0, 0, 0], np.float16).tobytes(),
    "zero": bytes(8),
    "short": np.full(4, 0.4, np.float16).tobytes(),
    "long": np.full(4, 0.6, np.float16).tobytes(),
    "of half a number": bytes(7),
    "empty": b"",
}
STRANGE = "/photos/a/" + os.fsdecode(b"\xff\xfe.jpg")
PHOTOS = (Photo("/photos/b.png", 10, 1), Photo(STRANGE, 20, -2), Photo("/photos/c.gif", 2**40, 2**62))
SHARD = Shard("/photos", (MODEL, OTHER), PHOTOS, (None, None, b"h" * 32))
SCORE = float(np.float32(0.1234567))
UNIT = np.full(4, 0.5, np.float16).tobytes()
RESULTS = (
    PhotoResult(PHOTOS[0], b"a" * 32, 4, 3, "2024-01-02T03:04:05", "xmp", 2**64 - 1,
           {MODEL.scorer: Prediction({"red": SCORE, "blue": 1.0}), OTHER.scorer: Prediction({}, UNIT)}),
    PhotoResult(PHOTOS[1], reason="the file is empty", transient=True),
    PhotoResult(PHOTOS[2], b"h" * 32),
)  # fmt: skip


def test_shard_file_round_trips_results_exactly():
    kept = read(io.BytesIO(write(SHARD, RESULTS)), "here")
    assert (kept.root, kept.models, kept.results) == ("/photos", SHARD.models, RESULTS)
    assert read_header(io.BytesIO(write(SHARD, RESULTS)), "here").rows == 3
    assert write(SHARD, RESULTS) == write(SHARD, RESULTS)


FOUND = PhotoMetadata(
    ("cake", "Müller"), ("food|cake",), 4.0, "Jantar", "two\nlines", ("Anna",),
    (Taken("2024-01-02T03:04:05", "sidecar", "+02:00"),), Position(41.15, -8.61, 12.5), "Porto", None,
    "Portugal", "Canon",
)  # fmt: skip


def test_shard_file_carries_what_files_say():
    known = replace(RESULTS[2], metadata=FOUND)
    results = (replace(RESULTS[0], metadata=FOUND), RESULTS[1], known)
    assert read(io.BytesIO(write(SHARD, results)), "here").results == results
    long = replace(RESULTS[0], metadata=replace(FOUND, caption="é" * 10_000))
    assert read(io.BytesIO(write(SHARD, (long, *RESULTS[1:]))), "here").results == RESULTS
    assert replace(SHARD, metadata=False).name != SHARD.name


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"dates": 7}', '{"people": 7}', '{"x": 1}', "[" * 4000, '{"width": -1}']
)
def test_read_refuses_metadata_that_nobody_writes(text):
    assert "row 1: invalid metadata" in refusal(changed(metadata=text))


def test_read_bounds_metadata():
    assert "metadata: 9,000 bytes, and 8,192 is the most" in refusal(changed(metadata="x" * 9_000))
    named = (
        read(io.BytesIO(changed(metadata='{"title": "a\\u001b[2Jb", "keywords": ["k", "K", 7]}')), "here")
        .results[0]
        .metadata
    )
    assert (named.title, named.keywords) == ("a[2Jb", ("k",))


def test_read_takes_shards_of_the_format_before():
    table = parquet.read_table(io.BytesIO(write(SHARD, RESULTS))).drop_columns(["metadata"])
    head = {**json.loads(table.schema.metadata[shards.METADATA_KEY]), "format": 2}
    data = to_file(table.replace_schema_metadata({shards.METADATA_KEY: json.dumps(head)}))
    assert read(io.BytesIO(data), "here").results == RESULTS


@pytest.mark.parametrize(
    "change",
    [
        {"root": "/"},
        {"models": (MODEL,)},
        {"max_pixels": 5},
        {"known_hashes": (None, None, None)},
        {"photos": (replace(PHOTOS[0], mtime_ns=2), *PHOTOS[1:])},
        {"photos": (replace(PHOTOS[0], size_bytes=2), *PHOTOS[1:])},
        {"photos": (replace(PHOTOS[0], path="/photos/B.png"), *PHOTOS[1:])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_shard_name_depends_on_all_it_covers(change):
    assert SHARD.name == replace(SHARD).name
    assert replace(SHARD, **change).name != SHARD.name


def test_shard_name_is_the_same_on_all_machines():
    moved = tuple(replace(photo, inode=7, device=8, ctime_ns=9) for photo in PHOTOS)
    assert replace(SHARD, photos=moved).name == SHARD.name


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as error:
        read(io.BytesIO(data), "x.parquet")
    (line,) = str(error.value).splitlines()
    return line


def changed(**columns: object) -> bytes:
    """The shard's file with other values in its first row."""
    table = parquet.read_table(io.BytesIO(write(SHARD, RESULTS)))
    rows = table.to_pylist()
    rows[0] |= columns
    return to_file(pa.Table.from_pylist(rows, schema=table.schema))


def to_file(table: object) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out)
    return out.getvalue()


def change_metadata(**head: object) -> bytes:
    table = parquet.read_table(io.BytesIO(write(SHARD, RESULTS)))
    metadata = {**json.loads(table.schema.metadata[shards.METADATA_KEY]), **head}
    return to_file(table.replace_schema_metadata({shards.METADATA_KEY: json.dumps(metadata)}))


def test_read_refuses_a_truncated_shard():
    data = write(SHARD, RESULTS)
    for n in (0, 1, 8, len(data) // 2, len(data) - 9, len(data) - 1):
        assert refusal(data[:n]).startswith("x.parquet: damaged, cut short, or not a shard (")


@pytest.mark.slow
def test_read_survives_flipped_bytes():
    data = write(SHARD, RESULTS)
    messages = set()
    for at in range(0, len(data), 3):
        broken = bytearray(data)
        broken[at] ^= 0x55
        try:
            read(io.BytesIO(bytes(broken)), "x.parquet")
        except InputError as error:
            messages.add(str(error).partition("(")[0])
    assert messages


def test_read_refuses_another_programs_parquet_file():
    assert refusal(to_file(pa.table({"a": [1]}))) == (
        "x.parquet: a Parquet file, but no shard of photosearch; leave it out"
    )


def test_read_names_another_format_or_decoder():
    assert refusal(change_metadata(format=1)).startswith("x.parquet: format 1, and this photosearch reads 3")
    assert refusal(change_metadata(decoder=decode.VERSION + 1)).startswith(f"x.parquet: decoder {decode.VERSION + 1},")


@pytest.mark.parametrize(
    "columns",
    [
        {"path": b"../b.png"}, {"path": b"/etc/passwd"}, {"path": b"a//b.png"}, {"path": b"a\0.png"}, {"path": b""},
        {"hash": b"short"}, {"hash": None}, {"width": 0}, {"height": None}, {"fingerprint": None}, {"width": None},
        {"size_bytes": -1}, {"path": b"a/" + b"b" * 20_000}, {"reason": "a" * 5000}, {"path": b"c.gif"},
        {"taken": "yesterday"}, {"taken_from": "a dream"}, {"taken": None}, {"taken": "2024-02-30T03:04:05"},
        {"taken": "9999-99-99T99:99:99"}, {"taken": "2024-01-02T24:00:00"}, {"taken": "1492-10-12T00:00:00"},
        {"prediction_0": {"scores": [("red", 1.5)], "vector": None}},
        {"prediction_0": {"scores": [("red", float("nan"))], "vector": None}},
        {"prediction_0": {"scores": [("red", None)], "vector": None}},
        {"prediction_0": {"scores": [("red", float("inf"))], "vector": None}},
        {"prediction_0": {"scores": [("red", -0.1)], "vector": None}},
        {"prediction_0": {"scores": [("red", 0.5), ("red", 0.6)], "vector": None}},
        {"prediction_0": {"scores": [("r" * 5000, 0.5)], "vector": None}},
        {"prediction_0": {"scores": None, "vector": None}},
        *({"prediction_1": {"scores": [], "vector": vector}} for vector in VECTORS.values()),
    ],
    ids=lambda columns: str(columns)[:60],
)  # fmt: skip
def test_read_refuses_an_impossible_row(columns):
    line = refusal(changed(**columns))
    assert line.endswith("delete it and index again")
    assert re.match(r"x\.parquet: row \d: |x\.parquet: damaged, .* \(\w+: [\d,]+ bytes, and", line)


def test_read_names_the_row_and_what_is_wrong_with_it():
    assert refusal(changed(path=b"c.gif")).startswith("x.parquet: row 3: the photo has a row already; nothing of")
    bad = {"scores": [], "vector": VECTORS["NaN"]}
    assert refusal(changed(prediction_1=bad)).startswith("x.parquet: row 1: a vector of length nan, not 1; nothing of")


@pytest.mark.slow
def test_read_takes_every_unit_vector_that_float16_can_hold():
    rng = np.random.default_rng(0)
    for dimensions in (1, 3, 64, 512, 8192):
        units = rng.standard_normal((40, dimensions)) ** 3  # few large numbers, many tiny
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        for unit in units.astype(np.float16):
            value = {"scores": [], "vector": unit.tobytes()}
            read(io.BytesIO(changed(prediction_1=value)), "x")


def test_read_shows_a_reason_in_one_line():
    kept = read(io.BytesIO(changed(reason="broken\n\x1b[2Jx" + "y" * 300)), "x.parquet")
    assert kept.results[0].reason.startswith("broken  [2Jxy")
    assert len(kept.results[0].reason) <= 200


@pytest.mark.parametrize(
    "head",
    [
        {"root": "zz"},
        {"root": b"photos".hex()},
        {"models": [{}]},
        {"models": [1]},
        {"models": [{**MODEL.to_json(), "tiles": "4"}]},
        {"models": [MODEL.to_json(), {**MODEL.to_json(), "name": "other"}]},
        {"models": [{**MODEL.to_json(), "name": "toy\n\x1b[2J"}]},
        {"models": [{**MODEL.to_json(), "name": "t" * 1000}]},
        {"models": [{**MODEL.to_json(), "min_score": float("nan")}]},
        {"models": [{**MODEL.to_json(), "digest": f"{i:016}"} for i in range(33)]},
        *({"root": root.encode().hex()} for root in ("/photos/../etc", "/photos//a", "/photos/.", "/a\0b", "s3:///a")),
        {"root": (b"/" + b"a" * 20_000).hex()},
        {"root": b"file://x/../y".hex()},
    ],
    ids=str,
)
def test_read_refuses_impossible_metadata(head):
    assert refusal(change_metadata(**head)).startswith("x.parquet: damaged, cut short, or not a shard (")


def test_what_a_file_says_is_written_up_to_a_bound(monkeypatch):
    found = PhotoMetadata(caption="Lübeck")
    text = shards._write_metadata(found)
    for most, written in ((len(text.encode()), text), (len(text.encode()) - 1, None)):
        monkeypatch.setattr(shards, "METADATA_BYTES", most)
        assert shards._write_metadata(found) == written


def test_read_refuses_too_many_rows_before_reading_them(monkeypatch):
    monkeypatch.setattr(shards, "MAX_ROWS", 2)
    assert "more than 2 rows" in refusal(write(SHARD, RESULTS))
    monkeypatch.setattr(shards, "MAX_ROWS", len(RESULTS))
    assert read(io.BytesIO(write(SHARD, RESULTS)), "x.parquet").results == RESULTS


def test_store_keeps_whole_files_only(tmp_path):
    store = FolderStore(str(tmp_path / "shards"))
    store.put("a.parquet", b"whole")
    assert list(store.names()) == ["a.parquet"]
    assert os.listdir(store.place) == ["a.parquet"]
    with store.open("a.parquet") as file:
        assert file.read() == b"whole"
    store.drop_if_empty()
    assert store.has("a.parquet")
    store.remove("a.parquet")
    store.remove("a.parquet")
    store.drop_if_empty()
    assert not store.has("a.parquet")
    assert not (tmp_path / "shards").exists()


def test_store_leaves_no_part_of_a_shard_on_a_full_disk(tmp_path):
    import resource

    store = FolderStore(str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(
            InputError, match=r"a\.parquet: can't be written: .*; make room, or choose another --shards"
        ):
            store.put("a.parquet", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1500, 3001])
def test_large_shard_round_trips_results_exactly(n):
    """With more vectors than a dictionary of Parquet holds, and photos between them that have none."""
    rng = np.random.default_rng(n)
    photos = tuple(Photo(f"/photos/{i // 100}/IMG_{i:06}.jpg", i, i) for i in range(n))
    shard = Shard("/photos", (MODEL, OTHER), photos, (None,) * n)
    units = rng.standard_normal((n, 384))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    results = tuple(
        PhotoResult(photo, reason="broken") if rng.random() < 0.3
        else PhotoResult(photo, rng.bytes(32), 4, 3, None, None, 5, {
            MODEL.scorer: Prediction({f"label {j}": 0.5 for j in rng.integers(0, 1000, rng.integers(0, 30))}),
            OTHER.scorer: Prediction({}, unit.astype(np.float16).tobytes())})
        for photo, unit in zip(photos, units, strict=True)
    )  # fmt: skip
    assert read(io.BytesIO(write(shard, results)), "x").results == results


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_store_opens_files_only(tmp_path):
    store = FolderStore(str(tmp_path))
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "folder.parquet").mkdir()
    for name in ("pipe.parquet", "folder.parquet", "missing.parquet"):
        with pytest.raises(InputError, match=f"{name}: no such shard"), store.open(name):
            pass


def test_vectors_are_as_wide_as_their_models(tmp_path):
    """One of another width would be stored, and searched as if it were one of the model's."""
    scorer = LoadedScorer(Model(write_toy(tmp_path / "toy.onnx", sight_card()), provider="cpu", threads=1))

    def check(vector):
        result = replace(RESULTS[0], predictions={scorer.key: Prediction({"red": 0.5}, vector)})
        shards.check_predictions(shards.ShardFile("/photos", (ModelRef.of(scorer),), (result,)), [scorer], "x")

    check(UNIT)
    for wrong in (np.array([1], np.float16).tobytes(), UNIT * 2, None):
        with pytest.raises(InputError, match=r"x: row 1: predictions that toy 1 .* can't have made"):
            check(wrong)


def test_shard_names_no_more_models_than_bounded(monkeypatch):
    data = write(SHARD, RESULTS)
    monkeypatch.setattr(shards, "MAX_MODELS", 1)
    assert "more than 1 models" in refusal(data)
