"""CSV in, CSV out: one bad row names its line and imports nothing."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy import photo, write_toy

from photosearch import truth
from photosearch.errors import InputError
from photosearch.index import index
from photosearch.model import Model
from photosearch.store import Store, Truth


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Store]:
    for name, colour in (("a.jpg", "red"), ("b.jpg", "blue"), ("sub/c.jpg", "green")):
        photo(tmp_path / "photos" / name, colour)
    photo(tmp_path / "photos" / "copy of a.jpg", "red")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    with Store(tmp_path / "library.db", create=True) as store:
        list(index([str(tmp_path / "photos")], store, Model(write_toy(tmp_path / "toy.onnx"))))
        yield store


def csv(folder: Path, text: str) -> Path:
    path = folder / "photos" / "truth.csv"
    path.write_text(text)
    return path


def imported(store: Store, path: Path, **options: bool) -> tuple[int, int]:
    return truth.import_rows(store, truth.read_rows(path), "truth.csv", **options)


def test_relative_paths_count_from_the_csv(tmp_path: Path, library: Store) -> None:
    path = csv(tmp_path, "path,label,present\nb.jpg,red,0\nsub/c.jpg,red,1\n")
    assert imported(library, path) == (2, 0)
    folder = str(tmp_path / "photos")
    assert library.truth("red") == [
        Truth(f"{folder}/b.jpg", "red", False, None),
        Truth(f"{folder}/sub/c.jpg", "red", True, None),
    ]


def test_what_is_true_of_a_photo_is_true_of_its_copy(tmp_path: Path, library: Store) -> None:
    imported(library, csv(tmp_path, "path,label,present\na.jpg,red,1\n"))
    assert [os.path.basename(t.path) for t in library.truth("red")] == ["a.jpg", "copy of a.jpg"]


def test_columns_may_stand_in_any_order_among_others(tmp_path: Path, library: Store) -> None:
    path = csv(tmp_path, "\ufeffnumber,Present,path,note,Label\n1,1,a.jpg,nice,RED\n\n2, 0 ,b.jpg,,red\n")
    assert imported(library, path) == (2, 0)


def test_rows_that_were_not_judged_are_passed_over(tmp_path: Path, library: Store) -> None:
    assert truth.read_rows(csv(tmp_path, "path,label,present\na.jpg,red,\n")) == []


def test_what_is_exported_can_be_imported(tmp_path: Path, library: Store) -> None:
    odd = 'photos/od,d "name"\n.jpg'
    photo(tmp_path / "od.jpg").rename(tmp_path / odd)
    list(index([str(tmp_path / "photos")], library, Model(tmp_path / "toy.onnx")))
    library.put_truth([("red", library.image_of(str(tmp_path / odd)), True)])
    before, out = library.truth(), io.StringIO(newline="")
    truth.write_rows(before, out)
    (tmp_path / "again.csv").write_text(out.getvalue(), newline="")
    assert imported(library, tmp_path / "again.csv") == (1, 0)
    assert library.truth() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: lacks the column path"),
        ("path,label\n", "line 1: lacks the column present"),
        ("path,label,present\na.jpg,red,1\nb.jpg,red,yes\n", "line 3: present is 'yes'; it must be 1 or 0"),
        ("path,label,present\na.jpg,red\n", "line 2: has 2 columns"),
        ("path,label,present\n,red,1\n", "line 2: has no usable path"),
        ("path,label,present\na\0.jpg,red,1\n", "line 2"),
        ("path,label,present\na.jpg, ,1\n", "line 2: has no label"),
        ('path,label,present\n"a.jpg,red,1\n', "line 2: not CSV"),
        ("path,label,present\n" + "x" * 200_000 + ",red,1\n", "line 2: not CSV: field larger than field limit"),
    ],
)
def test_a_bad_row_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match=message):
        truth.read_rows(csv(tmp_path, text))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("nowhere.jpg,red,1", "line 3: .*nowhere.jpg: not in the library"),
        ("broken.jpg,red,1", "line 3: .*broken.jpg: not in the library, or not readable"),
        ("b.jpg,rde,1", "line 3: no label 'rde'; the nearest are: red"),
        ("copy of a.jpg,red,0", "line 3: contradicts line 2"),
    ],
)
def test_a_bad_row_imports_nothing(tmp_path: Path, library: Store, rows: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        imported(library, csv(tmp_path, f"path,label,present\na.jpg,red,1\n{rows}\n"))
    assert library.truth() == []


def test_unknown_photos_can_be_passed_over(tmp_path: Path, library: Store) -> None:
    path = csv(tmp_path, "path,label,present\nnowhere.jpg,red,1\na.jpg,red,1\n")
    assert imported(library, path, skip_unknown=True) == (1, 1)
