"""Languages and scripts other than English."""

import pytest

from photosearch.search.language import WORDS, detect_language
from photosearch.search.lexicon import read_lexicon


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("ein hund am strand", "German"), ("Hund", "German"), ("GEBURTSTAG", "German"), ("rotes auto", "German"),
        ("un chien sur la plage", "French"), ("le chat noir", "French"),
        ("un perro en la playa", "Spanish"), ("nin\u0303os jugando", "Spanish"),
        ("un gatto sul divano", "Italian"), ("cão na praia", "Portuguese"), ("een hond op het strand", "Dutch"),
        ("en hund på stranden", "Swedish"), ("pies na plaży", "Polish"),
        ("собака на пляже", "Cyrillic"), ("海辺の犬", "Japanese"), ("海滩上的狗", "Chinese or Japanese"),
        ("강아지", "Korean"), ("قط", "Arabic"), ("σκύλος", "Greek"), ("कुत्ता", "Devanagari"),
    ],
)  # fmt: skip
def test_detect_language_names_it(text, language):
    assert detect_language(text, read_lexicon()) == language


@pytest.mark.parametrize(
    "text",
    [
        "", "dog", "a dog on a beach", "café", "a piñata", "crème brûlée", "san francisco", "el capitan", "de niro",
        "la tour eiffel", "Zugspitze", "los angeles at night", "dgo", "IMG_1234", "2024", "🐶", "dog 犬", "x-ray",
        "naïve", "jalapeño", "a man in a sombrero", "Mount Fuji", "Oktoberfest", "kowalski", "a man and his hund",
        "a dog called Katze",
    ],
)  # fmt: skip
def test_detect_language_leaves_english_and_names(text):
    assert detect_language(text, read_lexicon()) is None


def test_words_of_languages_stand_once():
    for function_words, things in WORDS.values():
        words = [*function_words.split(), *things.split()]
        assert len(words) == len(set(words))
        assert [word.casefold() for word in words] == words
