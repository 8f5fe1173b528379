"""The pass that reads text in pictures: what it reads and in which order, that it goes on after a stop, and forgets.

The reader is a toy: a picture that is not black may have text, and says the name of its colour.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library import Library, Untouched, keep_decoders, kept_decoders, make
from toy import COLOURS

from photosearch.errors import DamagedError
from photosearch.index import texts
from photosearch.index.events import Event
from photosearch.index.plan import RunOptions
from photosearch.library.database import Database
from photosearch.library.folders import FolderSettings, find_scope, put_settings
from photosearch.library.forget import forget_all, forget_photos
from photosearch.library.images import read_details
from photosearch.library.photos import find_image_at, find_photo_paths
from photosearch.library.rebuild import rebuild
from photosearch.library.texts import count_texts, list_unreadable_texts, put_texts, read_texts
from photosearch.library.words import find_by_words
from photosearch.ocr.lines import MAX_CHARACTERS, TextLine, TextWord, pack_lines, unpack_lines
from photosearch.ocr.reader import VERSION
from photosearch.photos.decode import fit_within

BOX = (0.1, 0.2, 0.9, 0.2, 0.9, 0.4, 0.1, 0.4)
YEAR = 365 * 86_400


class ToyReader:
    """seen: the colours that it read, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def may_have_text(self, picture: np.ndarray) -> bool:
        assert max(picture.shape[:2]) <= 384
        return bool(picture.any())

    def read(self, picture: np.ndarray) -> Sequence[TextLine]:
        mean = picture.reshape(-1, 3).mean(0)
        name = min(COLOURS, key=lambda colour: float(np.abs(mean - COLOURS[colour]).sum()))
        if name == "white":
            raise ValueError("too bright")
        self.seen.append(name)
        return [TextLine(0.9, (TextWord("gate", BOX), TextWord(name, BOX)))]


@pytest.fixture(scope="module", autouse=True)
def _decoders() -> Iterator[None]:
    with kept_decoders():
        yield


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = make(tmp_path)
    with made.db:
        yield made


def run(library: Library, *folders: str, reader: ToyReader | None = None, stop: Any = None, **options: Any) -> list:
    """The pass alone -> its events after the first, and where there is none, nothing."""
    reader, decoders = reader or ToyReader(), options.pop("decoders", keep_decoders)
    events: list[Event] = list(texts.read_texts(
        library.db, [str(library.path(f)) for f in folders or ("",)], RunOptions(workers=1, **options),
        stop or (lambda: False), lambda: reader, decoders,
    ))  # fmt: skip
    return [(type(e).__name__, library.below(e.path), getattr(e, "lines", None)) for e in events[1:]]


def written(library: Library, name: str) -> list[str] | None:
    image_id = find_image_at(library.db, str(library.path(name)))
    assert image_id is not None
    lines = read_texts(library.db, image_id)
    return None if lines is None else [line.text for line in lines]


def words(library: Library, text: str) -> list[str]:
    found = [photo_id for photo_id, _ in find_by_words(library.db, text)]
    return sorted(library.below(path) for path in find_photo_paths(library.db, found))


def photos(library: Library, *colours: str) -> None:
    """The first is the oldest."""
    for i, colour in enumerate(colours):
        path = library.photo(f"{i}.png", colour)
        os.utime(path, (YEAR * i, YEAR * i))
        path.rename(library.path(f"IMG_200{i}0101_101010 {colour}.png"))
    library.index(ocr=True)


def test_pass_reads_newest_first_and_each_picture_once(library: Library) -> None:
    photos(library, "red", "green", "black", "blue")
    copy = library.path("IMG_20000101_101010 copy.png")
    copy.write_bytes(library.path("IMG_20000101_101010 red.png").read_bytes())
    library.index()
    reader = ToyReader()
    assert run(library, reader=reader) == [
        ("TextRead", "IMG_20030101_101010 blue.png", 1), ("TextRead", "IMG_20020101_101010 black.png", 0),
        ("TextRead", "IMG_20010101_101010 green.png", 1), ("TextRead", "IMG_20000101_101010 red.png", 1),
    ]  # fmt: skip
    assert reader.seen == ["blue", "green", "red"]
    assert written(library, "IMG_20030101_101010 blue.png") == ["gate blue"]
    assert written(library, "IMG_20020101_101010 black.png") == []
    counts = count_texts(library.db)
    assert (counts.read, counts.found) == (4, 3)
    assert run(library, reader=reader, decoders=Untouched) == []
    assert len(run(library, force=True)) == 4


def test_words_in_pictures_are_found_with_those_elsewhere(library: Library) -> None:
    photos(library, "red", "blue")
    run(library)
    blue = ["IMG_20010101_101010 blue.png"]
    for text in ("gate blue", '"gate blue"', "photos gate blue"):
        assert words(library, text) == blue, text
    assert len(words(library, "gate")) == 2
    assert words(library, '"blue gate"') == []
    image_id = find_image_at(library.db, str(library.path(blue[0])))
    assert image_id is not None
    found = read_details(library.db, image_id)
    assert found is not None
    assert found.texts == (TextLine(0.9, (TextWord("gate", BOX), TextWord("blue", BOX))),)


def test_stopped_pass_goes_on_where_it_was(library: Library) -> None:
    photos(library, "red", "green", "blue", "black")
    reader = ToyReader()
    first = run(library, reader=reader, stop=lambda: len(reader.seen) > 0)
    assert first
    assert len(first) < 4
    second = run(library, reader=reader)
    assert len(first) + len(second) == 4
    assert sorted(reader.seen) == ["blue", "green", "red"]


def test_pass_that_ends_midway_loses_only_what_it_had_not_written(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos(library, "red", "green", "blue")
    monkeypatch.setattr(texts, "BATCH_SIZE", 1)
    events = texts.read_texts(library.db, [str(library.folder)], RunOptions(workers=1), open_reader=ToyReader,
                              decoders=keep_decoders)  # fmt: skip
    next(events)
    next(events)
    events.close()
    assert count_texts(library.db).read == 1
    assert len(run(library)) == 2


def test_bad_picture_is_recorded_and_the_pass_goes_on(library: Library) -> None:
    photos(library, "red", "white")
    assert run(library) == [
        ("TextReadFailed", "IMG_20010101_101010 white.png", None), ("TextRead", "IMG_20000101_101010 red.png", 1),
    ]  # fmt: skip
    ((path, reason, since),) = list_unreadable_texts(library.db)
    assert (library.below(path), reason, since[-1]) == ("IMG_20010101_101010 white.png", "too bright", "Z")
    assert run(library) == []
    assert run(library, retry=True) == [("TextReadFailed", "IMG_20010101_101010 white.png", None)]


def test_photo_that_is_gone_or_changed_is_tried_again(library: Library) -> None:
    photos(library, "red", "green")
    red, green = sorted(library.folder.iterdir())
    kept = red.read_bytes()
    red.unlink()
    green.write_bytes(kept)
    assert {kind for kind, *_ in run(library)} == {"TextReadFailed"}
    assert count_texts(library.db).read == 0
    library.index(prune=True)
    run(library)
    assert written(library, green.name) == ["gate red"]


def test_image_that_left_the_library_while_it_was_read_gets_no_text(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos(library, "red", "green")
    green = library.path("IMG_20010101_101010 green.png")
    monkeypatch.setattr(texts, "BATCH_SECONDS", 60.0)
    asked = iter(range(9))  # before all, before the green one, before the red one

    def stop() -> bool:
        if next(asked) == 2:
            forget_photos(library.db, [str(green)])
        return False

    assert run(library, stop=stop) == [("TextRead", green.name, 1), ("TextRead", "IMG_20000101_101010 red.png", 1)]
    assert library.db.rows("SELECT text FROM texts") == [("gate red",)]


def test_copy_that_is_there_stands_for_one_that_is_gone(library: Library) -> None:
    first, second = library.photo("a.png"), library.path("b.png")
    second.write_bytes(first.read_bytes())
    library.index(ocr=True)
    first.unlink()
    assert run(library) == [("TextRead", "b.png", 1)]


def test_only_folders_that_ask_for_it_are_read_and_no_ocr_forgets(library: Library) -> None:
    library.photo("in/red.png", "red")
    library.photo("in/not/blue.png", "blue")
    library.photo("out/green.png", "green")
    library.index("in", ocr=True)
    library.index("in/not", ocr=False)
    library.index("out")
    run(library, "in", "out")
    assert written(library, "in/red.png") == ["gate red"]
    assert written(library, "in/not/blue.png") is None
    assert written(library, "out/green.png") is None
    library.index("in", ocr=False)
    assert run(library, "in") == []
    assert written(library, "in/red.png") is None
    assert words(library, "gate") == []


def test_copy_in_a_folder_that_asks_for_it_keeps_the_text(library: Library) -> None:
    library.photo("in/red.png")
    library.path("not").mkdir()
    library.path("not/red.png").write_bytes(library.path("in/red.png").read_bytes())
    library.index("in", ocr=True)
    library.index("not", ocr=False)
    run(library, "in")
    run(library, "not")
    assert written(library, "not/red.png") == ["gate red"]


def test_forget_deletes_the_text(library: Library) -> None:
    photos(library, "red", "blue")
    run(library)
    forget_photos(library.db, [str(library.path("IMG_20000101_101010 red.png"))])
    assert (words(library, "red"), count_texts(library.db).read) == ([], 1)
    forget_all(library.db)
    assert (words(library, "gate"), count_texts(library.db).read) == ([], 0)
    assert b"gate" not in library.db.path.read_bytes()


def test_rebuilt_library_reads_the_text_again(library: Library) -> None:
    photos(library, "red")
    run(library)
    path = library.db.path
    rebuild(path, force=True)
    with Database(path) as db:
        anew = Library(library.folder, db, library.model, library.options)
        anew.index()
        assert run(anew) == [("TextRead", "IMG_20000101_101010 red.png", 1)]


def test_text_of_another_version_is_read_again(library: Library) -> None:
    photos(library, "red")
    run(library)
    image_id = find_image_at(library.db, str(library.path("IMG_20000101_101010 red.png")))
    assert image_id is not None
    put_texts(library.db, image_id, VERSION - 1, [TextLine(0.5, (TextWord("old", BOX),))])
    assert words(library, "old") == ["IMG_20000101_101010 red.png"]
    assert len(run(library)) == 1
    assert words(library, "old") == []


def test_missing_package_is_said_once_and_loses_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(library, "red")
    monkeypatch.setattr(texts, "find_reader", lambda: "needs it")
    (event,) = texts.read_texts(library.db, [str(library.folder)], RunOptions())
    assert (type(event).__name__, event.reason) == ("TextPassRefused", "needs it")


def test_packed_lines_come_back_and_are_bounded() -> None:
    line = TextLine(0.875, (TextWord("Grüße", BOX), TextWord("14", BOX)))
    assert unpack_lines(*pack_lines([line, line])) == (line, line)
    assert pack_lines([]) == (None, None)
    long = TextLine(1.0, (TextWord("x" * 1000, BOX),))
    text, _ = pack_lines([long] * 50)
    assert text is not None
    assert MAX_CHARACTERS - 1001 < len(text) <= MAX_CHARACTERS


@pytest.mark.parametrize("boxes", ["[]", "[[0.9]]", "[[0.9,[1,2]]]", "{", '[["x",[1,2,3,4,5,6,7,8]]]'])
def test_boxes_that_do_not_fit_the_text_are_damage(library: Library, boxes: str) -> None:
    photos(library, "red")
    library.db.write("INSERT INTO texts VALUES (1, 1, 'gate', ?, NULL, NULL)", [boxes])
    with pytest.raises(DamagedError):
        read_texts(library.db, 1)


def test_picture_keeps_its_shape_and_is_not_enlarged() -> None:
    assert fit_within(4000, 3000, 384) == (384, 288)
    assert fit_within(100, 50, 384) == (100, 50)
    assert fit_within(10_000, 1, 384) == (384, 1)


def test_settings_of_a_folder_above_count(library: Library) -> None:
    library.photo("a/b/red.png")
    library.index()
    scope = find_scope(library.db, str(library.path("a")))
    assert scope is not None
    put_settings(library.db, scope, FolderSettings(ocr=True))
    assert run(library) == [("TextRead", "a/b/red.png", 1)]
