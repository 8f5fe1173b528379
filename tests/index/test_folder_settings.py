"""How what is said of a folder adds up with what it remembers, and what that means in words."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from library import InThisProcess, Library, make
from toy import toy_card

from photosearch.errors import InputError
from photosearch.index.folder_settings import (
    describe_change,
    describe_folders,
    describe_settings,
    merge_settings,
    set_folder,
    to_walk_options,
)
from photosearch.library.folders import FolderSettings
from photosearch.photos.walk import WalkOptions

OPEN = FolderSettings()


def merge(said: FolderSettings, own: FolderSettings = OPEN, above: FolderSettings = OPEN, known: bool = True):
    return merge_settings(own, own.over(above), said, known=known)


def test_nothing_said_changes_nothing():
    own = FolderSettings(("a", None), 4, ("*.png",), ("b.png",), True)
    assert merge(OPEN, own) == own
    assert merge(OPEN, above=own) == OPEN


def test_tiles_and_links_are_replaced():
    own = FolderSettings(tiles=4, follow_symlinks=True)
    assert merge(FolderSettings(tiles=9), own) == FolderSettings(tiles=9, follow_symlinks=True)
    assert merge(FolderSettings(follow_symlinks=False), own) == FolderSettings(tiles=4, follow_symlinks=False)


@pytest.mark.parametrize(
    ("own", "above", "said", "known", "models"),
    [
        (None, None, ("b",), True, (None, "b")),  # it was indexed by the library's own
        (None, None, ("b",), False, ("b",)),
        (("a",), None, ("b",), True, ("a", "b")),
        (("a", "b"), None, ("b",), True, ("a", "b")),
        (None, ("a",), ("b",), False, ("a", "b")),
        (None, ("a",), ("a",), True, None),  # as the folder above has it
        (None, None, (None,), True, None),  # the library's own is usual
    ],
)
def test_models_add_up(own, above, said, known, models):
    merged = merge(FolderSettings(said), FolderSettings(own), FolderSettings(above), known)
    assert merged == FolderSettings(models)


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        # (excluded, included)
        ((None, None), (("*.png",), None), (("*.png",), None)),
        ((("*.png",), None), (("raw", "*.png"), None), (("*.png", "raw"), None)),
        ((None, ("raw",)), (("raw",), None), (("raw",), None)),  # what was taken in is passed over now
        ((("raw", "x"), None), (None, ("raw",)), (("x",), None)),  # and the other way round: nothing to override
        ((None, None), (None, (".hidden",)), (None, (".hidden",))),
        ((None, (".hidden",)), (None, (".git",)), (None, (".hidden", ".git"))),
        ((("raw",), None), (("*.png",), ("raw",)), (("*.png",), None)),
    ],
)
def test_exclusions_and_inclusions_add_up_and_take_each_other_back(before, said, after):
    def settings(pair: tuple[tuple[str, ...] | None, tuple[str, ...] | None]) -> FolderSettings:
        return FolderSettings(exclude=pair[0], include=pair[1])

    assert merge(settings(said), settings(before)) == settings(after)
    below = merge(settings(said), above=settings(before))  # what the folder above says is taken over
    assert below.over(settings(before)) == settings(after).over(settings(before))


def test_what_changed_is_told_in_a_few_words_and_nothing_else():
    before = FolderSettings(tiles=4, exclude=("raw",))
    after = FolderSettings(("a", None), 9, ("raw",), follow_symlinks=True)
    assert describe_change(before, after) == "models: a, the library's own, tiles: 9, links: followed"
    assert describe_change(after, after) == ""
    assert describe_settings(OPEN) == {
        "models": "the library's own", "tiles": "as the model's card says", "excluded": "nothing more than usual",
        "included": "nothing more than usual", "links": "passed over",
    }  # fmt: skip
    assert describe_settings(FolderSettings(exclude=("a", "b"), include=("c",)))["excluded"] == "a, b"


def test_a_walk_goes_by_them():
    assert to_walk_options(OPEN) == WalkOptions()
    said = FolderSettings(exclude=("a",), include=("b",), follow_symlinks=True)
    assert to_walk_options(said) == WalkOptions(("a",), ("b",), True)


# ---- set, without an index


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = make(tmp_path)
    made.photo("2019/a.png")
    with made.db:
        made.index(decoders=InThisProcess)
        yield made


def put(library: Library, folder: str, said: FolderSettings, **options: bool) -> str:
    cards = {"toy": library.model.card, "other": toy_card(name="other", pooling={})}
    return set_folder(library.db, str(library.path(folder)), said, cards.__getitem__, **options)


def test_each_thing_that_is_said_takes_the_place_of_what_was_said_before(library: Library) -> None:
    put(library, "", FolderSettings(exclude=("a",), tiles=4))
    told = put(library, "2019", FolderSettings(("toy", "other"), exclude=("b",)))
    assert told.startswith("models: the library's own, other; tiles: 4; excluded: b; ")
    assert put(library, "2019", FolderSettings(exclude=("c",))).startswith("models: the library's own, other; ")
    assert "excluded: a;" in put(library, "2019", OPEN, reset=True)
    rows = {library.below(row["path"]): row["settings"] for row in describe_folders(library.db)}
    assert rows == {"": {"exclude": ("a",), "tiles": 4}}


def test_tiles_are_refused_that_a_model_is_not_calibrated_for(library: Library) -> None:
    assert "tiles: 4" in put(library, "", FolderSettings(tiles=4))
    with pytest.raises(InputError, match="toy is not calibrated for 9 tiles"):
        put(library, "", FolderSettings(tiles=9))
    with pytest.raises(InputError, match="other is not calibrated for 4 tiles"):
        put(library, "", FolderSettings(("other",), tiles=4))


def test_a_folder_that_no_root_holds_is_refused_with_those_that_are_known(library: Library) -> None:
    for folder in ("..", "nowhere"):
        with pytest.raises(InputError, match=f"not in a folder that is known; known are {library.folder}"):
            put(library, folder, OPEN)
