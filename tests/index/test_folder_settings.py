"""How new settings of a folder combine with stored ones, and what they are in words."""

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


def test_merge_settings_changes_nothing_without_new_ones():
    own = FolderSettings(("a", None), 4, ("*.png",), ("b.png",), True)
    assert merge(OPEN, own) == own
    assert merge(OPEN, above=own) == OPEN


def test_merge_settings_replaces_tiles_and_links():
    own = FolderSettings(tiles=4, follow_symlinks=True)
    assert merge(FolderSettings(tiles=9), own) == FolderSettings(tiles=9, follow_symlinks=True)
    assert merge(FolderSettings(follow_symlinks=False), own) == FolderSettings(tiles=4, follow_symlinks=False)


@pytest.mark.parametrize(
    ("own", "above", "said", "known", "models"),
    [
        (None, None, ("b",), True, (None, "b")),  # it was indexed by the default model
        (None, None, ("b",), False, ("b",)),
        (("a",), None, ("b",), True, ("a", "b")),
        (("a", "b"), None, ("b",), True, ("a", "b")),
        (None, ("a",), ("b",), False, ("a", "b")),
        (None, ("a",), ("a",), True, None),  # as the folder above has it
        (None, None, (None,), True, None),  # the default model is usual
    ],
)
def test_merge_settings_adds_models(own, above, said, known, models):
    merged = merge(FolderSettings(said), FolderSettings(own), FolderSettings(above), known)
    assert merged == FolderSettings(models)


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        # (excluded, included)
        ((None, None), (("*.png",), None), (("*.png",), None)),
        ((("*.png",), None), (("raw", "*.png"), None), (("*.png", "raw"), None)),
        ((None, ("raw",)), (("raw",), None), (("raw",), None)),  # included before, excluded now
        ((("raw", "x"), None), (None, ("raw",)), (("x",), None)),  # the reverse: nothing to override
        ((None, None), (None, (".hidden",)), (None, (".hidden",))),
        ((None, (".hidden",)), (None, (".git",)), (None, (".hidden", ".git"))),
        ((("raw",), None), (("*.png",), ("raw",)), (("*.png",), None)),
    ],
)
def test_merge_settings_adds_patterns_and_cancels_opposite_ones(before, said, after):
    def settings(pair: tuple[tuple[str, ...] | None, tuple[str, ...] | None]) -> FolderSettings:
        return FolderSettings(exclude=pair[0], include=pair[1])

    assert merge(settings(said), settings(before)) == settings(after)
    below = merge(settings(said), above=settings(before))  # settings of the folder above are copied
    assert below.over(settings(before)) == settings(after).over(settings(before))


def test_describe_change_names_only_what_changed():
    before = FolderSettings(tiles=4, exclude=("raw",))
    after = FolderSettings(("a", None), 9, ("raw",), follow_symlinks=True)
    assert describe_change(before, after) == "models: a, default, tiles: 9, links: followed"
    assert describe_change(after, after) == ""
    assert describe_settings(OPEN) == {
        "models": "default", "tiles": "the model's default", "excluded": "nothing extra", "included": "nothing extra",
        "links": "not followed", "metadata": "stored", "text in pictures": "not read",
    }  # fmt: skip
    assert describe_settings(FolderSettings(exclude=("a", "b"), include=("c",)))["excluded"] == "a, b"


def test_walk_options_follow_settings():
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


def test_set_folder_replaces_each_setting(library: Library) -> None:
    put(library, "", FolderSettings(exclude=("a",), tiles=4))
    described = put(library, "2019", FolderSettings(("toy", "other"), exclude=("b",)))
    assert described.startswith("models: default, other; tiles: 4; excluded: b; ")
    assert put(library, "2019", FolderSettings(exclude=("c",))).startswith("models: default, other; ")
    assert "excluded: a;" in put(library, "2019", OPEN, reset=True)
    (report,) = describe_folders(library.db)
    assert report.to_json() == {
        "path": str(library.folder), "photos": 1, "unreadable": 0, "removed": 0, "excluded": 0, "present": True,
        "settings": {"exclude": ("a",), "tiles": 4},
    }  # fmt: skip


def test_set_folder_refuses_tiles_that_a_model_lacks(library: Library) -> None:
    assert "tiles: 4" in put(library, "", FolderSettings(tiles=4))
    with pytest.raises(InputError, match="toy is not calibrated for 9 tiles"):
        put(library, "", FolderSettings(tiles=9))
    with pytest.raises(InputError, match="other is not calibrated for 4 tiles"):
        put(library, "", FolderSettings(("other",), tiles=4))


def test_set_folder_refuses_an_unknown_folder_and_lists_roots(library: Library) -> None:
    for folder in ("..", "nowhere"):
        with pytest.raises(InputError, match=f"not in any indexed folder; indexed are {library.folder}"):
            put(library, folder, OPEN)


def test_report_tells_a_folders_own_settings_from_those_above(library):
    library.photo("below/a.png")
    library.index(exclude=("*.gif",))
    set_folder(library.db, str(library.path("below")), FolderSettings(tiles=0), lambda _: toy_card())
    root, below = describe_folders(library.db)
    assert root.own == root.settings == FolderSettings(exclude=("*.gif",))
    assert (below.own, below.settings) == (FolderSettings(tiles=0), FolderSettings(tiles=0, exclude=("*.gif",)))
