"""Rows of CSV: what reading them leaves as it was."""

import contextlib
import csv
import io
import sys
from pathlib import Path

import pytest

from photosearch.errors import InputError
from photosearch.judging.csv_rows import MAX_FIELD, read_csv


@pytest.mark.parametrize("rows", ["a,b\n1,2\n", "a,b\n1\n", "b\n"])
def test_limit_of_the_process_is_what_it_was(tmp_path: Path, rows: str) -> None:
    (tmp_path / "rows.csv").write_text(rows)
    before = csv.field_size_limit(MAX_FIELD + 1)
    try:
        with contextlib.suppress(InputError):
            list(read_csv(tmp_path / "rows.csv", ("a", "b")))
        after = csv.field_size_limit()
    finally:
        csv.field_size_limit(before)
    assert after == MAX_FIELD + 1


def test_stdin_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.BytesIO(b"a,b\n1,2\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stdin))
    assert len(list(read_csv("-", ("a", "b")))) == 1
    assert not stdin.closed
