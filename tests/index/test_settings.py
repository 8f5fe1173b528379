"""How what is said of a folder adds up with what it remembers, and what that means in words."""

import pytest

from photosearch.index.settings import describe_change, describe_settings, merge_settings, to_walk_options
from photosearch.library.places import FolderSettings
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
