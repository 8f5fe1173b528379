"""Slips of the keyboard: what is corrected, what is asked about, what stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch import query
from photosearch.search.lexicon import Lexicon, read_lexicon
from photosearch.search.spelling import Change, Correction, correct, measure_slip, weigh_label_words

WORDS = Lexicon(
    {"a": 9000, "dog": 6000, "on": 5000, "the": 9000, "running": 1500, "beach": 800, "car": 600,
     "cat": 90, "cap": 90, "beech": 0, "birthday": 90, "cake": 70, "snow": 900, "house": 300, "text": 0,
      "elephant": 9, "elegant": 9,      "boar": 0},
    frozenset({"dodo"}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dgo", "dog"),
        ("doog", "dog"),
        ("dof", "dog"),
        ("runing", "running"),
        ("a dgo  runing on teh beach", "a dog  running on the beach"),
        ("DGO", "dog"),
        ("dgo, snwo?", "dog, snow?"),
        ("dgo and not (snwo or birthdya cake)", "dog and not (snow or birthday cake)"),
        ("txet", "text"),
        ("elefant", "elephant"),
    ],
)
def test_correct_repairs_words_that_mean_nothing(typed, meant):
    assert correct(typed, WORDS).text == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "dog", "the dogs", "a dodo", '"runing dgo"', "'dgo'", '"dgo"', '"dgo', "IMG_1234 dsc pxl", "2024-05", "dg",
        "d", "Zugspitze", "kowalski", "rex", "dgo@example.com", "a/dgo", "é", "dög", "🐶", "x" * 3000, "houseboar",
        "and or not",
    ],
)  # fmt: skip
def test_correct_leaves_quotes_names_and_numbers(text):
    assert correct(text, WORDS).text == text


def test_correct_asks_where_the_word_means_something():
    assert correct("beech", WORDS) == Correction("beech", (), (Change("beech", "beach"),))
    assert correct("beech", WORDS, weigh_label_words({"beech": 3})) == Correction("beech")


def test_correct_asks_about_capitals_and_close_races():
    assert correct("Dgo", WORDS).suggestions == (Change("Dgo", "dog"),)
    close = correct("cae", Lexicon({"cat": 90, "cap": 90}))
    assert (close.text, [s.typed for s in close.suggestions]) == ("cae", ["cae"])


def test_correct_prefers_labels_of_this_library():
    lexicon = Lexicon({"boat": 40, "goat": 40})
    assert correct("voat", lexicon).changes == ()
    assert correct("voat", lexicon, weigh_label_words({"goat": 5000})).text == "goat"
    assert correct("dowitchr", WORDS, weigh_label_words({"dowitcher": 2})).text == "dowitcher"


def test_correct_never_changes_what_files_say():
    def read(text, *said):
        found = correct(text, read_lexicon(), is_said=said.__contains__)
        return found.text, [change.meant for change in found.suggestions]

    assert read("runing oma") == ("running coma", [])
    assert read("runing oma", "oma") == ("running oma", ["coma"]), "may be a slip all the same"
    assert (read("Oma"), read("Oma", "oma")) == (("Oma", ["coma"]), ("Oma", []))
    assert (read("beech"), read("beech", "beech")) == (("beech", ["beach"]), ("beech", []))


def test_correct_names_each_change_in_order():
    assert correct("dgo snwo", WORDS).changes == (Change("dgo", "dog"), Change("snwo", "snow"))


def test_correct_leaves_other_languages():
    assert correct("ein hund am strand", read_lexicon()) == Correction("ein hund am strand")


def test_measure_slip_ranks_slips():
    slips = ["dgo", "dof", "dig", "dxg", "pog"]
    costs = [measure_slip("dog", typed) for typed in slips]
    assert costs == sorted(costs)
    assert measure_slip("dog", "dog") == 0


@given(st.text(max_size=60))
def test_correct_takes_any_text_and_keeps_its_quotes(text):
    correction = correct(text, WORDS, weigh_label_words({"dog": 3}))
    quoted = [t.text for t in query.tokenize(text) if t.kind not in ("word", "keyword")]
    assert [t.text for t in query.tokenize(correction.text) if t.kind not in ("word", "keyword")] == quoted


@pytest.mark.parametrize("word", "dogs boxes parties running stopped biggest riding hiker snowboard dancefloor".split())
def test_lexicon_knows_words_and_their_forms(word):
    assert read_lexicon().knows(word)


@pytest.mark.parametrize("word", "runing dgo mountian sunste chrismas dogss qwxz".split())
def test_lexicon_does_not_know_slips(word):
    assert not read_lexicon().knows(word)


def test_lexicon_file_is_sorted_and_counts_names():
    lexicon = read_lexicon()
    assert 10_000 < len(lexicon.counts) + len(lexicon.rare) < 50_000
    assert not lexicon.counts.keys() & lexicon.rare
    assert all(word.isascii() and word.isalpha() and word == word.lower() for word in lexicon.counts)
    assert lexicon.count_name("Dog") == lexicon.count("dog") > lexicon.count_name("hot dog") > 0
    assert lexicon.count_name("") == 0
