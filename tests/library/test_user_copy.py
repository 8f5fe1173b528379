"""The user's copy beside the library: it is what the library holds, after each change, and `rebuild` needs only it."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from embedding_library import card
from library import kept_decoders
from PIL import Image
from toy import write_toy, write_toy_text

from photosearch import Library
from photosearch.errors import StoreError
from photosearch.library import user_copy
from photosearch.library.database import Database
from photosearch.library.folders import add_root
from photosearch.library.rebuild import rebuild
from photosearch.library.user_copy import QUERIES, copy_path

COLOURS = {"dark": (10, 20, 30), "red": (250, 20, 10), "white": (250, 235, 230)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("models")
    write_toy(folder / "toy.onnx", card())
    write_toy(folder / "other.onnx", card(name="other"))
    write_toy_text(folder / "toy-text.onnx")
    (folder / "photos").mkdir()
    for kind, (r, g, b) in COLOURS.items():
        for i in range(6):
            Image.new("RGB", (16, 16), (r - i, g + (3 * i) % 7, b + i)).save(folder / "photos" / f"{kind}{i}.png")
    with pytest.MonkeyPatch.context() as patch, kept_decoders():
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        yield folder / "photos"


@pytest.fixture
def library(tmp_path: Path, photos: Path) -> Iterator[Library]:
    with Library(tmp_path / "library.db") as library:
        list(library.index(photos, models=["toy"], workers=1, provider="cpu"))
    with Library(tmp_path / "library.db") as library:  # which has written no copy yet
        yield library


def read(path: Path, queries: dict[str, str]) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as conn:
        return {table: sorted(conn.execute(sql).fetchall(), key=repr) for table, sql in queries.items()}


def assert_copied(library: Library) -> None:
    """The copy holds just what the library holds of these tables."""
    assert read(copy_path(library.path), {table: f"SELECT * FROM {table}" for table in QUERIES}) == read(
        library.path, QUERIES
    )


def change_all(library: Library, photos: Path) -> Iterator[str]:
    """Make each kind of change that the interface allows; after each, its name."""
    paths = {kind: [photos / f"{kind}{i}.png" for i in range(6)] for kind in COLOURS}
    changes: list[tuple[str, Callable[[], object]]] = [
        ("mark", lambda: library.marks.add(paths["red"], positive=["red"])),
        ("mark others", lambda: library.marks.add(paths["dark"] + paths["white"], negative=["red"])),
        ("unmark", lambda: library.marks.remove(paths["red"][0], ["red"])),
        ("undo", library.marks.undo),
        ("set_image", lambda: library.marks.set_image(1, "blue", True)),
        ("new label", lambda: library.marks.add(paths["dark"], positive=["dark"], new=True)),
        ("new label's others", lambda: library.marks.add(paths["red"] + paths["white"], negative=["dark"])),
        ("learn", lambda: library.labels.learn("dark")),
        ("undo learn", lambda: library.labels.undo_learning("dark")),
        ("describe", lambda: library.labels.add("night", "black")),
        ("threshold", lambda: library.labels.set_threshold(library.labels.get("red"), 0.75)),
        ("threshold again", lambda: library.labels.set_threshold(library.labels.get("night"), 0.7)),
        ("undo threshold", lambda: library.labels.undo_threshold(library.labels.get("red"))),
        ("sample", lambda: library.samples.draw("red", 6)),
        ("judge", lambda: library.samples.judge("red", ["1", "2"])),
        ("remove label", lambda: library.labels.remove("night")),
        ("folder", lambda: library.folders.set(photos, exclude=["*.tmp"])),
        ("index", lambda: list(library.index(photos, models=["other"], workers=1, provider="cpu"))),
        ("default", lambda: library.models.set_default("other")),
        ("album", lambda: library.albums.add("Rome", paths["dark"])),
        ("album's photo", lambda: library.albums.remove("Rome", paths["dark"][0])),
        ("saved search", lambda: library.albums.save_search("Reds", "red")),
        ("album's name", lambda: library.albums.rename("Rome", "Paris")),
        ("no album", lambda: library.albums.delete("Reds")),
        ("undo album", library.albums.undo),
        ("forget", lambda: library.forget([paths["red"][0]])),
    ]
    for name, change in changes:
        change()
        yield name


@pytest.mark.slow
def test_copy_equals_the_library_after_each_change(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_copy, "MAX_SHARE", 1e9)  # never later
    assert_copied(library)
    before = copy_path(library.path).read_bytes()
    for name in change_all(library, photos):
        assert_copied(library)
        now = copy_path(library.path).read_bytes()
        assert now != before, name
        before = now
    library.forget(None)
    assert [p.name for p in library.path.parent.iterdir() if "copy" in p.name] == []


def test_no_copy_is_written_by_questions(library: Library) -> None:
    before = copy_path(library.path).stat()
    library.find("red and not blue")
    library.labels.describe("red")
    library.status()
    after = copy_path(library.path).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("end", ["timer", "close"])
def test_slow_copy_is_written_later_and_at_the_latest_at_the_end(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(user_copy, "MAX_SHARE", 0.1 if end == "timer" else 1e-6)
    for i in range(6):
        library.marks.add(photos / f"red{i}.png", positive=["red"])
    if end == "close":
        with pytest.raises(AssertionError):
            assert_copied(library)
        library.close()
    deadline = time.monotonic() + 30
    while len(read(copy_path(library.path), {"marks": "SELECT * FROM marks"})["marks"]) < 6:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert_copied(library)


def test_mark_is_kept_where_no_copy_can_be_written(library: Library, photos: Path) -> None:
    copy_path(library.path).unlink()
    copy_path(library.path).mkdir()
    library.marks.add(photos / "red0.png", positive=["red"])
    assert [mark.label for mark in library.marks.list()] == ["red"]


@pytest.mark.slow
def test_deleted_library_is_rebuilt_from_its_copy(tmp_path: Path, library: Library, photos: Path) -> None:
    for _ in change_all(library, photos):
        pass
    library.close()
    before = read(copy_path(library.path), {table: QUERIES[table] for table in ("roots", "marks", "samples")})
    for file in tmp_path.glob("library.db*"):
        if file.is_file() and file != copy_path(library.path):
            file.unlink()
    with pytest.raises(StoreError, match="no library here yet"):
        Library(library.path, create=False)
    result = rebuild(library.path)
    assert (result.aside, result.folder_paths, result.marks) == (None, (str(photos),), len(before["marks"]))
    assert read(library.path, {table: QUERIES[table] for table in before}) == before


def test_copy_of_another_library_is_kept_and_ignored(tmp_path: Path, library: Library, photos: Path) -> None:
    library.marks.add(photos / "red0.png", positive=["red"])
    library.close()
    for file in tmp_path.glob("library.db*"):  # a new library at the place of a deleted one
        if file.is_file() and file != copy_path(library.path):
            file.unlink()
    old = copy_path(library.path).read_bytes()
    with Database(library.path, create=True) as db:
        add_root(db, "/new")
    assert (tmp_path / "library.db.user-copy.before").read_bytes() == old
    copy_path(library.path).write_bytes(old)
    result = rebuild(library.path, force=True)
    assert (result.marks, result.folder_paths) == (0, ("/new",)), "its ids are of other images"
    with Library(library.path) as library:
        library.forget(None)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("library.db.")] == ["library.db.lock"]


@pytest.mark.parametrize("damage", [b"", b"no database", b"\0" * 4096, "cut"])
def test_damaged_copy_does_no_harm(library: Library, photos: Path, damage: bytes | str) -> None:
    library.marks.add(photos / "red0.png", positive=["red"])
    library.close()
    copy = copy_path(library.path)
    copy.write_bytes(copy.read_bytes()[:5000] if isinstance(damage, str) else damage)
    assert rebuild(library.path, force=True).marks == 1
    with Library(library.path) as library:
        assert_copied(library)
