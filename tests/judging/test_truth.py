"""Marks in CSV: one bad row names its line and imports nothing."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from library import Library, kept_decoders, make

from photosearch.errors import InputError
from photosearch.judging import csv_rows, truth
from photosearch.library import marks
from photosearch.library.marks import Mark
from photosearch.library.photos import find_image_at


@pytest.fixture(scope="module", autouse=True)
def _decoders() -> Iterator[None]:
    with kept_decoders():
        yield


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = make(tmp_path)
    for name, colour in (("a.jpg", "red"), ("b.jpg", "blue"), ("sub/c.jpg", "green"), ("copy of a.jpg", "red")):
        made.photo(name, colour)
    made.path("broken.jpg").write_bytes(b"no photo")
    with made.db:
        made.index()
        yield made


def read_rows(path: Path) -> list[truth.Row]:
    return list(truth.read_rows(path))


def csv(folder: Path, text: str) -> Path:
    path = folder / "photos" / "truth.csv"
    path.write_text(text)
    return path


def imported(library: Library, path: Path, **options: Any) -> tuple[int, int]:
    return truth.import_rows(library.db, read_rows(path), "truth.csv", **options)


def test_import_resolves_paths_from_the_csv_folder(tmp_path: Path, library: Library) -> None:
    path = csv(tmp_path, "path,label,present\nb.jpg,red,0\nsub/c.jpg,red,1\n")
    assert imported(library, path) == (2, 0)
    folder = str(tmp_path / "photos")
    assert marks.list_marks(library.db, "red") == [
        Mark(f"{folder}/b.jpg", "red", False, None),
        Mark(f"{folder}/sub/c.jpg", "red", True, None),
    ]


def test_import_marks_copies_too(tmp_path: Path, library: Library) -> None:
    imported(library, csv(tmp_path, "path,label,present\na.jpg,red,1\n"))
    assert [os.path.basename(t.path) for t in marks.list_marks(library.db, "red")] == ["a.jpg", "copy of a.jpg"]


def test_import_takes_columns_in_any_order(tmp_path: Path, library: Library) -> None:
    path = csv(tmp_path, "\ufeffnumber,Present,path,note,Label\n1,1,a.jpg,nice,RED\n\n2, 0 ,b.jpg,,red\n")
    assert imported(library, path) == (2, 0)


def test_read_rows_skips_unjudged_rows(tmp_path: Path, library: Library) -> None:
    assert read_rows(csv(tmp_path, "path,label,present\na.jpg,red,\n")) == []


def test_export_and_import_round_trip(tmp_path: Path, library: Library) -> None:
    odd = library.photo("od.jpg", "red", quality=50).rename(library.path('od,d "name"\n.jpg'))
    library.index()
    marks.put_marks(library.db, [("red", find_image_at(library.db, str(odd)), True)])
    before, out = marks.list_marks(library.db), io.StringIO(newline="")
    truth.write_rows(before, out)
    (tmp_path / "again.csv").write_text(out.getvalue(), newline="")
    assert imported(library, tmp_path / "again.csv") == (1, 0)
    assert marks.list_marks(library.db) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: lacks the column path"),
        ("path,label\n", "line 1: lacks the column present"),
        ("path,label,present\na.jpg,red,1\nb.jpg,red,perhaps\n", "line 3: present is 'perhaps'; it must be 1 or 0"),
        ("path,label,present\na.jpg,red\n", "line 2: has 2 columns"),
        ("path,label,present\n,red,1\n", "line 2: has no usable path"),
        ("path,label,present\na\0.jpg,red,1\n", "line 2"),
        ("path,label,present\na.jpg, ,1\n", "line 2: has no label"),
        ('path,label,present\n"a.jpg,red,1\n', "line 2: not CSV"),
        ("path,label,present\n" + "x" * 200_000 + ",red,1\n", "line 2: not CSV: field larger than field limit"),
    ],
)
def test_read_rows_names_the_bad_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match=message):
        read_rows(csv(tmp_path, text))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("nowhere.jpg,red,1", "line 3: .*nowhere.jpg: not in the library"),
        ("broken.jpg,red,1", "line 3: .*broken.jpg: not in the library, or not readable"),
        ("b.jpg,rde,1", "line 3: no label 'rde'; the nearest are: red"),
        ("copy of a.jpg,red,0", "line 3: contradicts line 2"),
    ],
)
def test_import_stores_nothing_after_a_bad_row(tmp_path: Path, library: Library, rows: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        imported(library, csv(tmp_path, f"path,label,present\na.jpg,red,1\n{rows}\n"))
    assert marks.list_marks(library.db) == []


def test_import_skips_unknown_photos(tmp_path: Path, library: Library) -> None:
    path = csv(tmp_path, "path,label,present\nnowhere.jpg,red,1\na.jpg,red,1\n")
    assert imported(library, path, skip_unknown=True) == (1, 1)


def test_import_strips_cells_and_takes_paths_that_are_not_utf8(library: Library) -> None:
    odd = os.fsdecode(b"r\xff.jpg")
    library.path("b.jpg").rename(library.path(odd))
    library.index()
    path = csv(library.folder.parent, "")
    path.write_bytes(b"path , Label,present\na.jpg, red , 1 \nr\xff.jpg,red,\t0\n")
    assert imported(library, path) == (2, 0)
    told = [(library.below(t.path), t.present) for t in marks.list_marks(library.db, "red")]
    assert told == [("a.jpg", True), (odd, False), ("copy of a.jpg", True)]


def test_import_creates_only_named_labels(tmp_path: Path, library: Library) -> None:
    path = csv(tmp_path, "path,label,present\na.jpg,my dog,1\n")
    with pytest.raises(InputError, match="line 2: no label 'my dog'"):
        imported(library, path)
    assert imported(library, path, new=["my  dog"]) == (1, 0)
    assert imported(library, path) == (1, 0)
    with pytest.raises(InputError, match="can't be a label's name"):
        imported(library, path, new=[""])


# ---- bounds


def test_read_rows_names_the_bound_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_ROWS", 3)
    path = tmp_path / "m.csv"
    path.write_text("path,label,present\n" + "a.jpg,red,1\n" * 3)
    assert len(read_rows(path)) == 3
    for more in ("a.jpg,red,1\n", "\n", "a.jpg,red,\n"):
        path.write_text("path,label,present\n" + "a.jpg,red,1\n" * 3 + more)
        with pytest.raises(InputError, match=r"m\.csv: more than 3 rows; split it"):
            read_rows(path)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("x" * 10**7, "line 1: longer than 500,000 characters"),
        ("path,label,present\n" + "a," * 10**6, "line 2: longer than 500,000 characters"),
        ("path,label,present\n" + '"a\n",' * 10**5, "line 101: longer than 100 lines in one row"),
        ("path,label,present\n" + '"' + "a\n" * 10**5, "line 101: longer than 100 lines in one row"),
    ],
    ids=["a line", "a line of cells", "a row of lines", "an open quote"],
)
def test_read_rows_names_the_bound_of_a_row(tmp_path: Path, text: str, bound: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=bound) as told:
        read_rows(path)
    assert "\n" not in str(told.value)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_large_csv_is_refused_in_bounded_memory(library: Library, tmp_path: Path) -> None:
    """By the command, in a process of its own: its own peak, without what pytest takes."""
    path = tmp_path / "m.csv"
    path.write_bytes(b"path,label,present\n" + b"a/long/folder/IMG_000001.jpg,red,1\n" * 200_001)
    program = """
import re, sys
from pathlib import Path
import photosearch, photosearch.errors
from photosearch.judging import csv_rows
csv_rows.MAX_ROWS = 200_000
try:
    with photosearch.Library(sys.argv[1]) as library:
        library.marks.import_csv(sys.argv[2], skip_unknown=True)
except photosearch.errors.InputError as error:
    print(error)
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""
    command = [sys.executable, "-c", program, str(library.db.path), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, peak = done.stdout.splitlines()
    assert said == f"{path}: more than 200,000 rows; split it, and take one file after the other"
    assert int(peak) < 100_000


@pytest.mark.slow
def test_many_rows_take_little_memory_and_linear_time(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("path,label,present\n" + f"{library.path('a.jpg')},red,1\n" * 20_000)
    assert truth.import_rows(library.db, truth.read_rows(path), "m.csv") == (1, 0)
    asked = []
    library.db._conn.set_trace_callback(asked.append)
    assert truth.import_rows(library.db, truth.read_rows(path), "m.csv") == (1, 0)
    library.db._conn.set_trace_callback(None)
    assert len(asked) < 20_100, "one statement a row"
