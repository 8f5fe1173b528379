"""Advice on a question."""

import pytest
from embedding_library import BLUE, GREEN, RED, open_filled

from photosearch.models.catalog import ENGLISH_MODELS, MULTILINGUAL_MODEL, reads_english_only
from photosearch.models.hub import OFFERS
from photosearch.search.hints import check_words


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    with open_filled(tmp_path_factory.mktemp("hints"), {"red": RED, "green": GREEN, "blue": BLUE}) as seen:
        yield seen


def check(seen, words, model="sight"):
    return check_words(seen.under.db, words, seen.asks.labels.list(), model)


def test_check_words_says_what_it_corrected(seen):
    checked = check(seen, "a dgo runing")
    assert checked.words == "a dog running"
    assert checked.hints == (
        "Read 'dgo' as dog; in quotes it stays as it is.", "Read 'runing' as running; in quotes it stays as it is.",
    )  # fmt: skip
    assert check(seen, "gren and not bluee").words == "green and not blue"
    assert check(seen, '"dgo"').hints == ()


def test_check_words_asks(seen):
    (hint,) = check(seen, "beech").hints
    assert (hint, hint.words, hint.label) == ("Did you mean beach for 'beech'?", "beach", "")
    (hint,) = check(seen, "beeches, a beech and a Dgo").hints
    assert hint.words == "beeches, a beach and a dog", "whole words alone are replaced, all suggested ones"


def test_check_words_names_the_model_for_other_languages(seen):
    (hint,) = check(seen, "ein hund am strand").hints
    assert [part for part in ("English", "German", f"models pull {MULTILINGUAL_MODEL}") if part not in hint] == []
    assert (hint.model, "photosearch" in hint.about) == (MULTILINGUAL_MODEL, False)
    assert check(seen, "ein hund am strand", MULTILINGUAL_MODEL).hints == ()
    assert check(seen, "dgo", MULTILINGUAL_MODEL).words == "dgo"


def test_models_named_for_languages_are_offered():
    assert {MULTILINGUAL_MODEL, *ENGLISH_MODELS} == set(OFFERS)
    assert reads_english_only("sight")
    assert not reads_english_only(MULTILINGUAL_MODEL)
    assert not reads_english_only("a model of the user's own")


def test_check_words_names_the_next_step_of_own_labels(seen):
    (first,) = check(seen, "my dog", None).hints
    assert (first.words, first.label) == ("", "my dog")
    assert [
        p for p in ("photosearch mark PHOTO... --is 'my dog' --new", "photosearch learn 'my dog'") if p not in first
    ] == []
    seen.asks.marks.add(seen.folder / "red.png", positive=["Mila"], new=True)
    for words in ("mila", "MILAS", 'red and "Mila"'):
        (hint,) = check(seen, words, None).hints
        assert hint.startswith("Mila: 1 marked yes and 0 no; 5 each")
        assert hint.label == "Mila"
    seen.asks.marks.undo()
    assert check(seen, "my").hints == ()


@pytest.mark.parametrize("words", ["", " ", "and", "(", '"', "🐶" * 500, "a " * 1000, "not not", "\x00"])
def test_check_words_never_fails(seen, words):
    check(seen, words)


def test_check_words_of_an_empty_library(tmp_path):
    from photosearch import Library

    with Library(tmp_path / "empty.db") as library:
        assert check_words(library._session.db, "dgo", [], None).words == "dog"
