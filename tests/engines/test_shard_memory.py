"""A shard of some kilobytes that unpacks to gigabytes: refused in one line, in bounded memory and time."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="shards need pyarrow")
from pyarrow import parquet  # noqa: E402
from test_shards import MODEL, RESULTS, SHARD, change_metadata, to_file  # noqa: E402

from photosearch.engines.shards import MAX_VALUES, write  # noqa: E402

MAX_MB = 300  # over what importing pyarrow and reading a good shard take
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc"),
]
READ = r"""
import re, sys, time
from pathlib import Path
from photosearch.engines.shards import read
from photosearch.errors import InputError
for path in sys.argv[1:]:
    start, said = time.process_time(), "read"
    try:
        with open(path, "rb") as file:
            read(file, "x")
    except InputError as error:
        said = str(error)
    peak = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]  # ru_maxrss counts the parent's
    print(int(peak) // 1024, time.process_time() - start, said, sep="|")
"""


def repeated(rows: int, **columns: object) -> bytes:
    """A shard of so many photos, each row with the same values."""
    table = parquet.read_table(io.BytesIO(write(SHARD, RESULTS)))
    row = {**table.to_pylist()[0], **columns}
    schema = table.schema
    names = [b"%06d.png" % i for i in range(rows)]
    arrays = [pa.array([row[name]], schema.field(name).type) for name in schema.names]
    whole = [pa.array(names) if name == "path" else pa.concat_arrays([array] * rows)
             for name, array in zip(schema.names, arrays, strict=True)]  # fmt: skip
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays(whole, schema=schema), out, compression="zstd",
                        dictionary_pagesize_limit=2**30, write_statistics=False)  # fmt: skip
    return out.getvalue()


def plain(mb: int) -> bytes:
    """One page of so many megabytes of zeros, which is no dictionary."""
    table = parquet.read_table(io.BytesIO(write(SHARD, RESULTS))).slice(0, 1)
    reason = pa.array(["\0" * (mb << 20)], pa.string())
    out = io.BytesIO()
    parquet.write_table(table.set_column(table.schema.names.index("reason"), table.schema.field("reason"), reason), out,
                        compression="zstd", use_dictionary=False, write_statistics=False)  # fmt: skip
    return out.getvalue()


def many_scores(n: int) -> bytes:
    """One photo with so many scores of one label."""
    table = parquet.read_table(io.BytesIO(write(SHARD, RESULTS))).slice(0, 1)
    kind = table.schema.field("prediction_0").type
    keys = pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array(["red"])).cast(pa.string())
    scores = pa.MapArray.from_arrays(pa.array([0, n], pa.int32()), keys, pa.array(np.zeros(n, np.float32)))
    column = pa.StructArray.from_arrays([scores.cast(kind.field(0).type), pa.array([None], pa.binary())],
                                        fields=[kind.field(0), kind.field(1)])  # fmt: skip
    place = table.schema.get_field_index("prediction_0")
    return to_file(table.set_column(place, table.schema.field("prediction_0"), column))


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What reading each hostile shard took in one process: (MB over a good one, core-seconds, what it said, bytes)."""
    folder = tmp_path_factory.mktemp("shards")
    long = "x" * 3_000_000
    hostile = {
        "good": write(SHARD, RESULTS),
        "texts": repeated(150, reason=long),
        "hashes": repeated(30, hash=long.encode()),
        "labels": repeated(30, prediction_0={"scores": [(long, 0.5)], "vector": None}),
        "vectors": repeated(30, prediction_1={"scores": [], "vector": bytes(3_000_000)}),
        "many vectors": repeated(3000, prediction_1={"scores": [], "vector": np.full(2**14, 2**-7, "<f2").tobytes()}),
        "many labels": repeated(2000, prediction_0={"scores": [(f"{i}", 0.5) for i in range(1000)], "vector": None}),
        "more labels": repeated(2000, prediction_0={"scores": [(f"{i}", 0.5) for i in range(1600)], "vector": None}),
        "one page": plain(200),
        "a page just short enough": plain(60),
        "one photo": many_scores(3_000_000),
        "few entries": many_scores(100_000),
        "a footer": change_metadata(models=[{**MODEL.to_json(), "name": "x" * 2**20}]),
    }
    for name, data in hostile.items():
        (folder / name).write_bytes(data)
    paths = [str(folder / name) for name in hostile]
    done = subprocess.run([sys.executable, "-c", READ, *paths], capture_output=True, text=True, check=True)
    lines = [line.split("|", 2) for line in done.stdout.splitlines()]
    base = int(lines[0][0])
    return {
        name: (int(mb) - base, float(seconds), said, len(data))
        for (name, data), (mb, seconds, said) in zip(hostile.items(), lines, strict=True)
    }


def test_hostile_shards_are_small_and_take_bounded_memory_and_time(told):
    assert told["texts"][3] < 10_000
    assert max(n for *_, n in told.values()) < 3_000_000
    assert {name: mb for name, (mb, *_) in told.items() if mb > MAX_MB} == {}
    assert {name: seconds for name, (_, seconds, *_) in told.items() if seconds > 20} == {}


def test_hostile_shards_are_refused_in_one_line_that_names_the_bound(told):
    said = {name: text for name, (_, _, text, _) in told.items()}
    assert said.pop("good") == said.pop("many vectors") == said.pop("many labels") == "read"
    assert {name: text for name, text in said.items() if not text.startswith("x: damaged, cut short, or not a")} == {}
    assert "reason: 3,000,000 bytes, and 4,096 is the most" in said["texts"]
    assert f"bytes or {MAX_VALUES:,} values" in said["more labels"]
    assert "unpacks to more than 67,108,864 bytes" in said["one page"]
    assert "100,000 scores of one photo, and 65,536 is the most" in said["few entries"]
    assert "its footer is too long" in said["a footer"]
