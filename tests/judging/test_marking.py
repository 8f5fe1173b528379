"""Marks of photos, and samples judged by the numbers on their sheets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from library import InThisProcess, Library, make

import photosearch
from photosearch.errors import InputError, QueryError
from photosearch.judging.marking import (
    JudgeResult,
    draw_sample,
    judge_sample,
    mark_images,
    mark_photos,
    parse_numbers,
    undo_marks,
    unmark_photos,
)
from photosearch.library import marks


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = make(tmp_path)
    for i in range(6):
        made.photo(f"{i}.png", "red" if i < 2 else "blue", size=(40 + i, 40))
    with made.db:
        made.index(decoders=InThisProcess)
        yield made


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["1"], {1}), (["6"], {6}), (["1-6"], {1, 2, 3, 4, 5, 6}), (["3-3"], {3}), (["1,3", "5-6"], {1, 3, 5, 6}),
        (["2", "2", "1-2"], {1, 2}), ([], set()),
    ],
)  # fmt: skip
def test_parse_numbers_reads_lists_and_ranges(words: list[str], numbers: set[int]) -> None:
    assert parse_numbers(words, 6) == numbers


@pytest.mark.parametrize("word", ["0", "7", "0-1", "6-7", "3-2", "-1", "1-", "x", "1-x", "1.5", "²", "1-2-3"])
def test_parse_numbers_refuses_numbers_off_the_sheet(word: str) -> None:
    with pytest.raises(InputError, match="is not a number on this sheet, nor a range such as 3-5; they go from 1 to 6"):
        parse_numbers([word], 6)


def test_judge_marks_named_photos_yes_and_others_no_but_unsure_ones(library: Library) -> None:
    draw_sample(library.db, "red", 6)
    label, told = judge_sample(library.db, "red", ["1-2", "6"], ["2", "3"])
    assert (label.name, told) == ("red", JudgeResult(judged=4, positive=2, unavailable=0, sheet=1, changed=()))
    kept = marks.find_sample(library.db, label)
    assert kept is not None
    assert [p.present for p in kept.photos] == [True, None, None, False, False, True]
    assert judge_sample(library.db, "red", ["5"])[1].changed == ("1 no", "5 yes", "6 no")


def test_judge_without_a_sample_says_how_to_draw_one(library: Library) -> None:
    with pytest.raises(InputError, match=r"no sample was drawn for red yet: photosearch sample red -n 60"):
        judge_sample(library.db, "red", ["1"])


def test_sample_whose_sheets_fail_leaves_no_folder_and_is_not_drawn(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, photosearch.Library(library.db.path) as opened:
        patch.setattr("photosearch.judging.sheet.write_sheet", fail)
        with pytest.raises(KeyboardInterrupt):
            opened.samples.draw_to(tmp_path / "sheets", "red", 4)
    assert not (tmp_path / "sheets").exists()
    with pytest.raises(InputError, match="no sample was drawn for red yet"):
        judge_sample(library.db, "red", ["1"])


def test_judge_skips_missing_photos_unless_named(library: Library) -> None:
    draw_sample(library.db, "red", 6)
    for i in range(2):
        library.path(f"{i}.png").unlink()
    assert judge_sample(library.db, "red", ["1"])[1] == JudgeResult(judged=5, positive=1, unavailable=1, sheet=1)


def test_mark_and_unmark_photos(library: Library) -> None:
    paths = [str(library.path(f"{i}.png")) for i in range(2)]
    assert mark_photos(library.db, paths, [("Red", True), ("blue", False)]) == 2
    assert {(t.label, t.present) for t in marks.list_marks(library.db)} == {("red", True), ("blue", False)}
    assert unmark_photos(library.db, paths, ["red"]) == 2
    assert unmark_photos(library.db, paths[:1], ["red", "blue"]) == 1
    assert [(t.path, t.label) for t in marks.list_marks(library.db)] == [(paths[1], "blue")]
    with pytest.raises(InputError, match="can't both show a label and not show it"):
        mark_photos(library.db, paths, [("red", True), ("RED", False)])


def test_many_images_are_marked_in_one_step(library: Library) -> None:
    first = mark_images(library.db, [1], "red", False)
    done = mark_images(library.db, [1, 2, 3, 3, 999], "Red", True)
    assert (done.label, done.images, done.missing) == ("red", 3, 1)
    assert marks.read_marks(library.db, "red", range(9)) == {1: True, 2: True, 3: True}
    with pytest.raises(InputError, match="was changed again since"):
        undo_marks(library.db, first.step)
    assert [(mark.image_id, mark.present) for mark in undo_marks(library.db, done.step)] == [
        (1, False), (2, None), (3, None),
    ]  # fmt: skip
    assert mark_images(library.db, [1, 2], "red", None).images == 2
    assert marks.read_marks(library.db, "red", range(9)) == {}
    library.path("5.png").unlink()
    library.index(decoders=InThisProcess)
    steps = marks.count_undo_steps(library.db)
    assert mark_images(library.db, [6, 999], "red", True) == ("red", 0, 2, None)
    assert marks.count_undo_steps(library.db) == steps, "nothing was changed"
    with pytest.raises(QueryError, match="no label 'my dog'"):
        mark_images(library.db, [1], "my dog", True)
    assert mark_images(library.db, [1], "my dog", True, new=True).label == "my dog"
