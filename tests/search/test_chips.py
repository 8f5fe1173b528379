"""The pieces of a sentence, and the sentence without each of them, or with one more."""

from datetime import date

import pytest

from photosearch.errors import QueryError
from photosearch.library.filtering import KnownNames
from photosearch.library.records import Label
from photosearch.search.chips import Chip, add_chip, list_chips, remove_chip, replace_dates
from photosearch.search.plain_filters import read_filters
from photosearch.search.understand import ParsedQuestion, Question, understand

TODAY = date(2026, 11, 30)
KNOWN = KnownNames(
    frozenset({"portugal", "porto", "rome", "cape town"}),
    cameras="| apple iphone 12 |",
    people=frozenset({"anna"}),
    parts=frozenset({"anna"}),
)
LABELS = [Label(i, "toy", name, 0.5, False) for i, name in enumerate(("dog", "cat", "polar bear"), 1)]


def read(words: str) -> ParsedQuestion:
    filters, rest = read_filters(words, KNOWN, TODAY)
    return understand(Question(rest), LABELS, model="toy", has_vectors=True, today=TODAY, filters=filters)


def chips(words: str) -> list[str]:
    return [f"{'' if each.wanted else '-'}{each.kind}:{each.value}" for each in list_chips(read(words))]


@pytest.mark.parametrize(
    ("words", "pieces"),
    [
        ("", []),
        ("dog", ["label:dog"]),
        ("dog -cat", ["label:dog", "-label:cat"]),
        ("a red car in Portugal", ["description:a red car", "in:Portugal"]),
        ("in:Porto -camera:iphone rating:>=4", ["in:Porto", "-camera:iphone", "rating:>=4"]),
        ("dog in May 2019", ["label:dog", "taken:2019-05-01..2019-05-31"]),
        ("taken:2019-05-03", ["taken:2019-05-03"]),
        ("dog since 2019", ["label:dog", "taken:2019-01-01.."]),
    ],
)
def test_pieces_of_a_sentence(words, pieces):
    assert chips(words) == pieces


@pytest.mark.parametrize(
    ("words", "chip", "rest"),
    [
        ("the dog in Portugal last summer", Chip("in", "Portugal"), "the dog last summer"),
        ("the dog in Portugal last summer", Chip("taken", "2026-06-01..2026-08-31"), "the dog in Portugal"),
        ("the dog in Portugal last summer", Chip("label", "dog"), "in Portugal last summer"),
        ("dog -cat", Chip("label", "cat", wanted=False), "dog"),
        ('in:"Cape Town" dog', Chip("in", "Cape Town"), "dog"),
        ("a red car near:Porto~5km rating:>=4", Chip("rating", ">=4"), "a red car near:Porto~5km"),
        ("dog and cat", Chip("label", "dog"), "cat"),
        ("taken:2019 in:Porto", Chip("taken", "2019-01-01..2019-12-31"), "in:Porto"),
        ("in:Porto", Chip("in", "Rome"), "in:Porto"),
        ("in:Porto", Chip("in", "Porto"), ""),
    ],
)
def test_piece_is_taken_out_where_it_stands(words, chip, rest):
    assert remove_chip(words, chip, read) == rest


def test_piece_of_a_long_sentence_is_left_out_of_filters_that_are_written_anew():
    words = " ".join(["a", *["red"] * 45, "car in:Porto rating:5"])
    rest = remove_chip(words, Chip("in", "Porto"), read)
    assert chips(rest) == [chips(words)[0], "rating:5"]


@pytest.mark.parametrize(
    ("words", "chip"),
    [
        ("the dog in Portugal", Chip("person", "Anna")),
        ("", Chip("in", "Cape Town")),
        ("dog", Chip("camera", "Apple iPhone 12")),
        ("", Chip("label", "polar bear")),
        ("cat", Chip("label", "polar bear")),
        ("dog", Chip("in", "Porto", wanted=False)),
        ("dog", Chip("rating", "4")),
        ("", Chip("is", "portrait")),
    ],
)
def test_piece_is_added_and_taken_out_again(words, chip):
    more = add_chip(words, chip)
    assert chip in list_chips(read(more))
    assert list_chips(read(remove_chip(more, chip, read))) == list_chips(read(words))


def test_dates_take_the_place_of_those_before():
    assert (
        replace_dates("the dog in May 2019 in Portugal", Chip("taken", "2020"), read)
        == "the dog in Portugal taken:2020"
    )
    assert replace_dates("", Chip("taken", "2020-02"), read) == "taken:2020-02"


def test_sentence_that_is_not_understood_is_refused():
    with pytest.raises(QueryError):
        remove_chip('in:"Porto', Chip("in", "Porto"), read)
