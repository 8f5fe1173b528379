"""Footers and page headers that lie: refused before pyarrow reads the file."""

import contextlib
import io

import pytest

pa = pytest.importorskip("pyarrow", reason="shards need pyarrow")
from pyarrow import parquet  # noqa: E402
from test_shards import RESULTS, SHARD  # noqa: E402

from photosearch.engines import parquet_pages, shards  # noqa: E402
from photosearch.engines.parquet_pages import check_pages, read_footer  # noqa: E402
from photosearch.engines.shards import read, write  # noqa: E402
from photosearch.errors import InputError  # noqa: E402

TABLE = parquet.read_table(io.BytesIO(write(SHARD, RESULTS)))


def to_file(table=TABLE, **options) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out, **options)
    return out.getvalue()


def check(data: bytes, *, max_bytes: int = 10**6, max_values: int = 1000) -> None:
    file = io.BytesIO(data)
    check_pages(file, read_footer(file, 10**7), max_bytes=max_bytes, max_values=max_values)


def varint(n: int) -> bytes:
    """A positive number as Thrift writes it: zigzag, seven bits a byte."""
    n, out = 2 * n, b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


@pytest.mark.parametrize(
    "options",
    [{}, {"use_dictionary": False}, {"compression": "none"}, {"compression": "gzip"}, {"data_page_version": "2.0"},
     {"row_group_size": 1}, {"write_statistics": False}, {"write_page_index": True}, {"write_page_checksum": True}],
    ids=str,
)  # fmt: skip
def test_every_way_in_which_pyarrow_writes_is_read(options):
    data = to_file(**options)
    check(data)
    assert read(io.BytesIO(data), "x").results == RESULTS


def test_footer_is_as_pyarrow_reads_it():
    data = to_file(row_group_size=2)
    footer, known = read_footer(io.BytesIO(data), 10**6), parquet.read_metadata(io.BytesIO(data))
    assert footer.rows == (2, 1)
    assert footer.metadata == known.metadata
    columns = [known.row_group(g).column(c) for g in range(2) for c in range(known.num_columns)]
    assert [(chunk.path, chunk.n_values) for chunk in footer.chunks] == [
        (column.path_in_schema, column.num_values) for column in columns
    ]
    assert set(footer.text_paths) == {c.path_in_schema for c in columns if c.physical_type == "BYTE_ARRAY"}


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_encodings_whose_values_grow_are_refused(encoding):
    table = pa.table({"a": pa.array(["x" * i for i in range(300)])})
    with pytest.raises(ValueError, match="a page that photosearch does not write"):
        check(to_file(table, use_dictionary=False, column_encoding={"a": encoding}))


def test_pages_are_counted_by_what_they_unpack_to():
    zeros = pa.table({"a": pa.array([bytes(500_000)])})
    data = to_file(zeros, use_dictionary=False, compression="zstd", write_statistics=False)
    assert len(data) < 2000
    check(data)
    with pytest.raises(ValueError, match="unpacks to more than 400,000 bytes"):
        check(data, max_bytes=400_000)
    says = b"\x15" + varint(500_010)  # with the length, and the levels
    assert data.count(says) == 1
    with pytest.raises(ValueError, match="unpacks to more than 1,000,000 bytes"):
        check(data.replace(says, b"\x15" + varint(1_040_000)))


def test_values_are_counted_over_all_pages():
    table = pa.table({"a": pa.array([None] * 100_000, pa.int32()), "b": pa.array([1] * 100_000, pa.int32())})
    data = to_file(table)
    assert len(data) < 3000
    check(data, max_values=200_100)
    with pytest.raises(ValueError, match="or 150,000 values"):
        check(data, max_values=150_000)


def test_chunks_that_share_pages_are_counted_each():
    table = pa.table(
        {"a": pa.array([bytes(400_000)]), "b": pa.array([bytes(400_000)]), "c": pa.array([bytes(400_000)])}
    )
    data = to_file(table, use_dictionary=False, write_statistics=False)
    with pytest.raises(ValueError, match="unpacks to more than 1,000,000 bytes"):
        check(data)


def test_file_is_no_longer_than_what_its_pages_may_unpack_to(monkeypatch):
    data = write(SHARD, RESULTS)
    read_footer(io.BytesIO(data), len(data))
    with pytest.raises(ValueError, match=f"longer than {len(data) - 1:,} bytes"):
        read_footer(io.BytesIO(data), len(data) - 1)
    monkeypatch.setattr(shards, "MAX_BYTES", len(data) - 1)
    with pytest.raises(InputError, match="longer than"):
        read(io.BytesIO(data), "x")


def test_footer_is_no_longer_than_bounded(monkeypatch):
    monkeypatch.setattr(parquet_pages, "MAX_FOOTER_BYTES", 100)
    with pytest.raises(ValueError, match="its footer is too long"):
        read_footer(io.BytesIO(to_file()), 10**7)


def test_pages_are_counted(monkeypatch):
    data = to_file(row_group_size=1)
    check(data)
    monkeypatch.setattr(parquet_pages, "MAX_PAGES", 20)
    with pytest.raises(ValueError, match="unpacks to more than"):
        check(data)


def test_nested_parts_are_refused():
    """A struct in a struct in a struct, each in its first field."""
    with pytest.raises(ValueError, match="its parts nest too deep"):
        parquet_pages._read_struct(b"\x1c" * 100 + bytes(101), 0)


def test_other_writers_are_refused():
    data = to_file()
    with pytest.raises(ValueError, match="written by another program"):
        check(data.replace(b"parquet-cpp-arrow version", b"parquet-mr version 1.2.8 "))


@pytest.mark.slow
def test_no_flipped_bit_of_footer_ends_the_process():
    """pyarrow's accessors of a contradicting footer abort: each is refused, or read as something."""
    data = to_file()
    footer = int.from_bytes(data[-8:-4], "little")
    for at in range(len(data) - 8 - footer, len(data) - 4):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        with contextlib.suppress(ValueError):
            check(bytes(changed))


@pytest.mark.parametrize("kind", [0, 7, 11, 13, 15])
def test_part_of_a_type_that_photosearch_does_not_write_is_refused(kind):
    with pytest.raises(ValueError, match="of an unknown type"):
        parquet_pages._read_value(bytes([16, 0, 0, 0]), 0, kind, 0)
