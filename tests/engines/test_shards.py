"""A shard's file: what goes in comes out, the same work has the same name, and what is none is refused in a line."""

import io
import json
import os
from dataclasses import replace

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="shards need pyarrow")
from pyarrow import parquet  # noqa: E402

from photosearch.engines import shards  # noqa: E402
from photosearch.engines.shards import ModelRef, Shard, read, read_header, write  # noqa: E402
from photosearch.engines.store import FolderStore  # noqa: E402
from photosearch.errors import InputError  # noqa: E402
from photosearch.index.infer import PhotoResult, Prediction, Scorer  # noqa: E402
from photosearch.photos import decode  # noqa: E402
from photosearch.photos.walk import Photo  # noqa: E402

MODEL = ModelRef(Scorer("0123456789abcdef", 4), "toy", "1", 0.01)
OTHER = ModelRef(Scorer("fedcba9876543210"), "other", "2", 0.0)
STRANGE = "/photos/a/" + os.fsdecode(b"\xff\xfe.jpg")
PHOTOS = (Photo("/photos/b.png", 10, 1), Photo(STRANGE, 20, -2), Photo("/photos/c.gif", 2**40, 2**62))
SHARD = Shard("/photos", (MODEL, OTHER), PHOTOS, (None, None, b"h" * 32))
SCORE = float(np.float32(0.1234567))
RESULTS = (
    PhotoResult(PHOTOS[0], b"a" * 32, 4, 3, "2024-01-02T03:04:05", "xmp", 2**64 - 1,
           {MODEL.scorer: Prediction({"red": SCORE, "blue": 1.0}), OTHER.scorer: Prediction({}, b"\0\1" * 4)}),
    PhotoResult(PHOTOS[1], reason="the file is empty", transient=True),
    PhotoResult(PHOTOS[2], b"h" * 32),
)  # fmt: skip


def test_what_was_looked_at_comes_out_of_its_file_to_the_bit():
    kept = read(io.BytesIO(write(SHARD, RESULTS)), "here")
    assert (kept.root, kept.models, kept.results) == ("/photos", SHARD.models, RESULTS)
    assert read_header(io.BytesIO(write(SHARD, RESULTS)), "here").rows == 3
    assert write(SHARD, RESULTS) == write(SHARD, RESULTS)


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
def test_a_shards_name_says_what_it_covers(change):
    assert SHARD.name == replace(SHARD).name
    assert replace(SHARD, **change).name != SHARD.name


def test_a_shards_name_does_not_hang_on_what_differs_between_machines():
    moved = tuple(replace(photo, inode=7, device=8, ctime_ns=9) for photo in PHOTOS)
    assert replace(SHARD, photos=moved).name == SHARD.name


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as told:
        read(io.BytesIO(data), "x.parquet")
    (line,) = str(told.value).splitlines()
    return line


def changed(**columns: object) -> bytes:
    """The shard with other values in its first row."""
    table = parquet.read_table(io.BytesIO(write(SHARD, RESULTS)))
    rows = table.to_pylist()
    rows[0] |= columns
    return to_file(pa.Table.from_pylist(rows, schema=table.schema))


def to_file(table: object) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out)
    return out.getvalue()


def told_otherwise(**head: object) -> bytes:
    table = parquet.read_table(io.BytesIO(write(SHARD, RESULTS)))
    told = {**json.loads(table.schema.metadata[shards.METADATA_KEY]), **head}
    return to_file(table.replace_schema_metadata({shards.METADATA_KEY: json.dumps(told)}))


def test_a_shard_that_was_cut_short_anywhere_is_refused_in_a_line():
    data = write(SHARD, RESULTS)
    for n in (0, 1, 8, len(data) // 2, len(data) - 9, len(data) - 1):
        assert refusal(data[:n]).startswith("x.parquet: damaged, cut short, or not a shard (")


def test_flipped_bytes_never_end_in_a_traceback():
    data = write(SHARD, RESULTS)
    told = set()
    for at in range(0, len(data), 3):
        broken = bytearray(data)
        broken[at] ^= 0x55
        try:
            read(io.BytesIO(bytes(broken)), "x.parquet")
        except InputError as error:
            told.add(str(error).partition("(")[0])
    assert told


def test_another_programs_parquet_file_is_refused():
    assert refusal(to_file(pa.table({"a": [1]}))) == (
        "x.parquet: a Parquet file, but no shard of photosearch; leave it out"
    )


def test_another_format_and_another_decoder_are_refused_by_name():
    assert refusal(told_otherwise(format=1)).startswith("x.parquet: format 1, and this photosearch reads 2")
    assert refusal(told_otherwise(decoder=decode.VERSION + 1)).startswith(f"x.parquet: decoder {decode.VERSION + 1},")


@pytest.mark.parametrize(
    "columns",
    [
        {"path": b"../b.png"}, {"path": b"/etc/passwd"}, {"path": b"a//b.png"}, {"path": b"a\0.png"}, {"path": b""},
        {"hash": b"short"}, {"hash": None}, {"width": 0}, {"height": None}, {"fingerprint": None}, {"width": None},
        {"taken": "yesterday"}, {"taken_from": "a dream"}, {"taken": None},
        {"prediction_0": {"scores": [("red", 1.5)], "vector": None}},
        {"prediction_0": {"scores": [("red", float("nan"))], "vector": None}},
        {"prediction_0": {"scores": [("red", None)], "vector": None}},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_can_not_be_true_is_refused(columns):
    assert refusal(changed(**columns)).startswith("x.parquet: damaged, cut short, or not a shard (")


@pytest.mark.parametrize(
    "head",
    [
        {"root": "zz"},
        {"root": b"photos".hex()},
        {"models": [{}]},
        {"models": [1]},
        {"models": [{**MODEL.to_json(), "tiles": "4"}]},
        {"models": [MODEL.to_json(), {**MODEL.to_json(), "name": "other"}]},
    ],
    ids=str,
)
def test_a_head_that_can_not_be_true_is_refused(head):
    assert refusal(told_otherwise(**head)).startswith("x.parquet: damaged, cut short, or not a shard (")


def test_more_rows_than_a_shard_has_are_refused_before_they_are_read(monkeypatch):
    monkeypatch.setattr(shards, "MAX_ROWS", 2)
    assert "larger than any shard" in refusal(write(SHARD, RESULTS))


def test_a_file_in_a_store_is_whole_or_not_there(tmp_path):
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


def test_a_full_disk_leaves_no_part_of_a_shard(tmp_path):
    import resource

    store = FolderStore(str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(InputError, match=r"shards can't be kept here .*; make room"):
            store.put("a.parquet", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []
