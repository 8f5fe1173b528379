"""Each change that a user makes is one transaction: whichever of its statements fails, the library is as it was."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from toy import toy_card
from user_library import make_folder

from photosearch import Library
from photosearch.errors import StoreError
from photosearch.library.database import Database, find_written_table
from photosearch.library.folders import add_root, find_scope, move_root
from photosearch.library.models import put_model
from photosearch.library.user_copy import UserCopy

Change = Callable[[Library, Path], object]
CHANGES: dict[str, Change] = {
    "mark": lambda library, photos: library.marks.add(some(photos), positive=["red"], negative=["blue"]),
    "unmark": lambda library, photos: library.marks.remove(some(photos), ["red"]),
    "undo a mark": lambda library, photos: library.marks.undo(),
    "mark pictures": lambda library, photos: library.marks.set_images([1, 2, 3], "red", False),
    "import marks": lambda library, photos: library.marks.import_csv(write_marks(photos)),
    "describe a label": lambda library, photos: library.labels.add("wine", "red black"),
    "score described labels": lambda library, photos: rescore(library, "search.user_labels", "update_described"),
    "remove a label": lambda library, photos: library.labels.remove("dusk"),
    "learn": lambda library, photos: library.labels.learn("pale"),
    "learn again": lambda library, photos: learn_again(library, "pale"),
    "score learned labels": lambda library, photos: rescore(library, "learning.learn", "update_learned"),
    "set a threshold": lambda library, photos: library.labels.set_threshold(library.labels.get("red"), 0.4),
    "undo a threshold": lambda library, photos: library.labels.undo_threshold(library.labels.get("red")),
    "draw a sample": lambda library, photos: library.samples.draw("red", 5, seed=7),
    "judge": lambda library, photos: library.samples.judge("red", ["4"]),
    "make an album": lambda library, photos: library.albums.add("new", some(photos)),
    "add to an album": lambda library, photos: library.albums.add("trip", photos / "white0.png"),
    "take from an album": lambda library, photos: library.albums.remove("trip", some(photos)),
    "rename an album": lambda library, photos: library.albums.rename("trip", "Rome"),
    "delete an album": lambda library, photos: library.albums.delete("trip"),
    "undo an album": lambda library, photos: library.albums.undo(),
    "save a search": lambda library, photos: library.albums.save_search("reds", "red"),
    "store a model": lambda library, photos: put_model(library._session.db, toy_card(name="another"), "d" * 16, 0),
    "set a folder": lambda library, photos: library.folders.set(photos, exclude=["*.gif"]),
    "add a folder above": lambda library, photos: add_root(library._session.db, str(photos.parent)),
    "move a folder": lambda library, photos: move(library._session.db, str(photos), str(photos.with_name("moved"))),
    "forget a photo": lambda library, photos: library.forget([photos / "red0.png"]),
    "forget all": lambda library, photos: library.forget(None),
}  # fmt: skip


def some(photos: Path) -> list[Path]:
    return [photos / f"red{i}.png" for i in range(6)]


def write_marks(photos: Path) -> Path:
    file = photos.with_name("marks.csv")
    file.write_text("path,label,present\n" + "".join(f"{path},red,no\n" for path in some(photos)))
    return file


def rescore(library: Library, module: str, name: str) -> None:
    import importlib

    getattr(importlib.import_module(f"photosearch.{module}"), name)(library._session.db, library._session.open_search)


def learn_again(library: Library, name: str) -> None:
    """As where a model has a new file."""
    from photosearch.learning.learn import _learn_again

    model = library._session.default_model
    assert model is not None
    with library._session.open_search(model) as search:
        _learn_again(library._session.db, search.space, search.map, model, name)


def move(db: Database, folder: str, to: str) -> None:
    scope = find_scope(db, folder)
    assert scope is not None
    move_root(db, scope, to)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        patch.setattr(UserCopy, "update", lambda self: None)  # it has tests of its own
        make_folder(folder)
        with Library(folder / "whole.db") as library:
            library.albums.add("trip", some(folder / "photos"))
            add_root(library._session.db, str(folder / "moved" / "inner"))
            for kind, side in (("white", "positive"), ("red", "negative"), ("dark", "negative")):
                library.marks.add(
                    [folder / "photos" / f"{kind}{i}.png" for i in range(6)], **{side: ["pale"]}, new=True
                )
        yield folder


def read_all(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as conn:
        tables = conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")
        return {name: conn.execute(f"SELECT * FROM {name}").fetchall() for (name,) in tables.fetchall()}


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of the statement to fail, of those that write in a transaction, counted down to 0."""
    left = [0]

    def fail_at_last(run: Callable[..., Any]) -> Callable[..., Any]:
        def execute(self: Database, sql: str, *values: Any) -> Any:
            if self._conn.in_transaction and find_written_table(sql) is not None:
                left[0] -= "optimize" not in sql  # which follows what is done already
                if left[0] == 0:
                    raise StoreError("this statement fails")
            return run(self, sql, *values)

        return execute

    for name in ("rows", "write_many"):
        monkeypatch.setattr(Database, name, fail_at_last(getattr(Database, name)))
    return left


@pytest.mark.parametrize("change", CHANGES)
def test_change_that_fails_at_any_statement_leaves_all_as_it_was(
    tmp_path: Path, folder: Path, fails: list[int], change: str
) -> None:
    shutil.copy(folder / "whole.db", tmp_path)
    with Library(tmp_path / "whole.db") as library:
        before = read_all(library.path)
        for statement in range(1, 100):
            fails[0] = statement
            try:
                CHANGES[change](library, folder / "photos")
            except StoreError:
                assert read_all(library.path) == before, f"after statement {statement} failed"
            else:
                break
        assert statement > 1, "it writes nothing"
        assert read_all(library.path) != before or change.startswith("score")


@pytest.mark.parametrize("label", ["dark", "dusk"])
def test_learning_that_is_undone_is_undone_whole_or_by_the_next_index(
    tmp_path: Path, folder: Path, fails: list[int], label: str
) -> None:
    """Its scores follow in a second transaction, and each index computes them anew."""

    shutil.copy(folder / "whole.db", tmp_path)
    if label == "dusk":  # a description, and again one afterwards
        with Library(tmp_path / "whole.db") as library:
            for kind, side in (("white", "positive"), ("red", "negative")):
                library.marks.add([folder / "photos" / f"{kind}{i}.png" for i in range(6)], **{side: [label]})
            assert library.labels.learn(label).kept == "learned"

    def open_copy() -> Library:
        shutil.copy(tmp_path / "whole.db", tmp_path / "copy.db")
        return Library(tmp_path / "copy.db")

    with open_copy() as library:
        library.labels.undo_learning(label)
        undone = read_all(library.path)
    for statement in range(1, 100):
        with open_copy() as library:
            before = read_all(library.path)
            fails[0] = statement
            try:
                library.labels.undo_learning(label)
            except StoreError:
                pass
            else:
                break
            if read_all(library.path) != before:
                fails[0] = 0
                rescore(library, "search.user_labels", "update_described")
                rescore(library, "learning.learn", "update_learned")
                assert read_all(library.path) == undone, f"after statement {statement} failed"
    assert statement > 3
