"""Which label a word means, and what an unknown one is answered with."""

import pytest

from photosearch.errors import InputError, QueryError
from photosearch.search import label_names
from photosearch.search.hierarchy import read_synonyms
from photosearch.search.label_names import MAX_NAME_LENGTH, check_label_name, match_label, resolve_label


def test_match_label_ignores_letter_case_and_articles():
    known = ["dog", "Bird", "hot dog"]
    words = {"dog": "dog", "DOG": "dog", "a dog": "dog", "The Dog": "dog", "bird": "Bird", "some bird": "Bird",
             "hot dog": "hot dog", "an hot dog": "hot dog"}  # fmt: skip
    assert {word: match_label(word, known) for word in words} == words


def test_match_label_prefers_the_exact_name():
    assert match_label("bird", ["Bird", "bird"]) == "bird"
    assert match_label("BIRD", ["Bird", "bird"]) == "Bird"
    assert read_synonyms()["puppy"] == "dog"
    assert match_label("puppy", ["dog", "puppy"]) == "puppy"


def test_match_label_finds_synonyms_of_known_labels():
    assert match_label("dogs", ["dog"]) == "dog"
    assert match_label("Puppies", ["dog"]) == "dog"
    assert match_label("the dogs", ["dog"]) == "dog"
    assert match_label("dogs", ["cat"]) is None


def test_match_label_finds_activities_by_what_they_need():
    known = ["skateboard", "surfboard", "bicycle", "mountain bike", "canoe", "horse", "ski", "sled", "dogsled"]
    words = {"skateboarding": "skateboard", "surfing": "surfboard", "cycling": "bicycle", "biking": "bicycle",
             "mountain biking": "mountain bike", "kayaking": "canoe", "horse riding": "horse", "skiing": "ski",
             "sledding": "sled", "dog sledding": "dogsled", "swimming": None, "skateboardings": None}  # fmt: skip
    assert {word: match_label(word, known) for word in words} == words


def test_match_label_is_none_for_other_words():
    for word in ("", "a", "a ", "dog on a beach", "dogg", "zzz"):
        assert match_label(word, ["dog"]) is None
    assert match_label("dog", []) is None


def test_match_label_takes_an_iterator():
    assert match_label("dogs", iter(["cat", "dog"])) == "dog"


def test_resolve_label_folds_letter_case():
    assert resolve_label("Bird", ["bird", "dog"]) == "bird"
    assert resolve_label("bird", ["Bird", "bird"]) == "bird"
    assert resolve_label("BIRD", ["Bird", "bird"]) == "Bird"
    assert resolve_label("STRASSE", ["Straße"]) == "Straße"


def test_resolve_label_suggests_the_nearest_labels():
    with pytest.raises(QueryError) as error:
        resolve_label("brid", ["dog", "Bird", "bread"])
    assert str(error.value) == "no label 'brid'; the nearest are: Bird, bread (all: `photosearch labels`)"
    with pytest.raises(QueryError, match="the nearest are: dog, cat"):
        resolve_label("zzz", ["dog", "cat"])
    with pytest.raises(QueryError, match="nothing is indexed yet; run `photosearch index FOLDER`"):
        resolve_label("bird", [])


def test_resolve_label_appends_the_hint():
    with pytest.raises(QueryError, match=r"^no label 'brid'; the nearest are: bird \(all: .*\); add --new$"):
        resolve_label("brid", ["bird"], hint="add --new")
    with pytest.raises(QueryError, match=r"^no label 'bird': nothing is indexed yet; .*; add --new$"):
        resolve_label("bird", [], hint="add --new")


def test_check_label_name_tidies_or_refuses():
    assert check_label_name("  my \n dog ") == "my dog"
    for name in ("", " ", "a\x1bb", "x" * (MAX_NAME_LENGTH + 1)):
        with pytest.raises(InputError, match="can't be a label's name"):
            check_label_name(name)


def test_match_label_finds_plurals_and_other_compositions():
    known = ["my dog", "café", "glass", "Jeans", "my puppy"]
    words = {"my dogs": "my dog", "My Dogs": "my dog", "cafe\u0301": "café", "CAFE\u0301S": "café", "glasses": "glass",
             "jeans": "Jeans", "my puppies": "my puppy", "  my   dog ": "my dog"}  # fmt: skip
    assert {word: match_label(word, known) for word in words} == words
    assert match_label("café", ["cafe\u0301"]) == "cafe\u0301"
    assert match_label("glas", known) is None
    assert check_label_name("cafe\u0301") == "café"


def test_label_names_are_folded_once_for_all_words(monkeypatch):
    known, folded = [f"Thing {i}" for i in range(50)], []
    fold = label_names.fold_name
    monkeypatch.setattr(label_names, "fold_name", lambda name: folded.append(name) or fold(name))
    assert [match_label(f"THING {i}", known) for i in range(50)] == known
    assert sum(name in known for name in folded) == len(known)
