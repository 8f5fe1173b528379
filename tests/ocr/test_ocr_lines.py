"""What is stored of the text in a picture, and how much of it. The reader itself: test_reader.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from photosearch.ocr import lines
from photosearch.ocr.lines import TextLine, TextWord, pack_lines, unpack_lines
from photosearch.ocr.reader import _order_corners, _place_words

BOX = (0.0, 0.0, 1.0, 0.0, 1.0, 0.5, 0.0, 0.5)


def line(*words: str) -> TextLine:
    return TextLine(0.875, tuple(TextWord(word, BOX) for word in words))


def test_packed_lines_are_unpacked_as_they_were():
    said = (line("GATE", "14"), line("Exit"))
    text, boxes = pack_lines(said)
    assert unpack_lines(text, boxes) == said
    assert " " not in (boxes or " "), "there are as many as photos with text, and blanks are a sixth of them"
    assert (pack_lines(()), unpack_lines(None, None)) == ((None, None), ())


def test_first_lines_are_stored_up_to_the_bound(monkeypatch):
    monkeypatch.setattr(lines, "MAX_CHARACTERS", 12)
    text, boxes = pack_lines([line("12345"), line("67890"), line("a")])
    assert (text, len(unpack_lines(text, boxes))) == ("12345\n67890", 2)
    assert pack_lines([line("x" * 12)]) == (None, None)


SQUARE = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])  # a line as wide as the picture


@pytest.mark.parametrize(
    ("sides", "upside_down", "first"),  # of a line that is so wide at its head, high, and wide at its foot
    [((4, 1, 4), False, 0), ((4, 1, 4), True, 2), ((1, 4, 1), False, 1), ((1, 4, 1), True, 3), ((1, 2, 3), False, 0),
     ((2, 3, 2), False, 1), ((2.1, 3, 2.1), False, 0)],
)  # fmt: skip
def test_line_that_is_higher_than_wide_is_read_downwards(sides, upside_down, first):
    head, height, foot = sides
    corners = np.array([(0, 0), (head, 0), (foot, height), (0, height)], float)
    ordered = _order_corners(corners, upside_down=upside_down)
    assert ordered[0].tolist() == corners[first].tolist()


@pytest.mark.parametrize(
    ("text", "columns", "length", "parts"),
    [
        ("AB C", ([2, 4], [9]), 12, [("AB", 0.08, 0.5), ("C", 0.67, 0.92)]),
        ("AB C", ([2, 4], [5]), 10, [("AB", 0.1, 0.5), ("C", 0.5, 0.7)]),  # they meet in the middle
        ("AB\u200b", ([2, 4, 6],), 10, [("AB", 0.1, 0.8)]), ("\u200b C", ([2], [9]), 10, [("C", 0.8, 1.0)]),
        ("A B", ([2],), 0, [("A", 1.0, 1.0), ("B", 1.0, 1.0)]),  # it said no length, nor where the second is
    ],
)  # fmt: skip
def test_each_word_of_a_line_has_its_part_of_the_box(text, columns, length, parts):
    info = SimpleNamespace(word_cols=columns, line_txt_len=length)
    words = list(_place_words(text, info, SQUARE))
    assert [(word.text, round(word.box[0], 2), round(word.box[2], 2)) for word in words] == parts
    assert {word.box[1::2] for word in words} == {(0.0, 0.0, 1.0, 1.0)}


@pytest.mark.parametrize(
    ("text", "boxes"),
    [("a", "[]"), ("a\nb", "[[1,[0,0,0,0,0,0,0,0]]]"), ("a b", "[[1,[0,0,0,0,0,0,0,0]]]"), ("a", "[[1,[0,0]]]"),
     ("a", "{"), ("a", "[5]"), ("a", '[["x",[0,0,0,0,0,0,0,0]]]')],
)  # fmt: skip
def test_text_and_places_that_do_not_belong_together_are_damage(text, boxes):
    with pytest.raises((ValueError, TypeError)):
        unpack_lines(text, boxes)


@pytest.mark.parametrize(("text", "boxes"), [(None, None), ("gate", None), (None, "[]")])
def test_photo_without_text_or_places_has_no_lines(text, boxes):
    assert unpack_lines(text, boxes) == ()
