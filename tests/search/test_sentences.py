"""Sentences, drawn from places, dates, cameras and subjects, and the guide's table: each is read as it was made."""

import contextlib
import random
import re
from datetime import date
from pathlib import Path

import pytest

from photosearch.errors import QueryError
from photosearch.library.filtering import KnownNames
from photosearch.search.date_phrases import find_date_phrases
from photosearch.search.filter_grammar import read_typed_filters
from photosearch.search.filters import NO_FILTERS
from photosearch.search.plain_filters import blank_quotes, read_filters
from photosearch.search.reading import describe_reading
from photosearch.search.understand import Question, understand

TODAY = date(2026, 11, 30)
KNOWN = KnownNames(
    places=frozenset(
        ["portugal", "porto", "lisbon", "united kingdom", "london", "united states", "boston", "the netherlands",
         "amsterdam", "germany", "cologne", "cape town", "south africa", "rome", "italy"]
    ),
    towns=frozenset([("lisbon", "PT"), ("porto", "PT"), ("koln", "DE"), ("munich", "DE"), ("rome", "IT")]),
    cameras=" apple iphone 12 | canon canon eos 5d | nikon nikon d90 ",
    people=frozenset(["anna muller", "ben"]),
    parts=frozenset(["anna", "muller", "ben"]),
)  # fmt: skip
SUBJECTS = [
    "a dog", "the beach at sunset", "a red car", "two children playing in the snow", "a birthday cake", "an old church",
    "my grandmother in her garden", "a cat asleep on a sofa", "a crowd of people", "a boat on a lake", "mountains",
    "a boy with a ball", "a man on a bicycle", "the sea", "a woman in a white dress",
]  # fmt: skip
PLACES = [
    ("", {}), ("in Portugal", {"places": ["Portugal"]}), ("in portugal", {"places": ["portugal"]}),
    ("near Porto", {"near": "Porto"}), ("in the UK", {"places": ["UK"]}), ("in the US", {"places": ["US"]}),
    ("in the USA", {"places": ["USA"]}), ("in the Netherlands", {"places": ["Netherlands"]}),
    ("in Lisboa", {"places": ["Lisboa"]}), ("from Portugal", {"places": ["Portugal"]}),
    ("in Cape Town", {"places": ["Cape Town"]}), ("in Deutschland", {"places": ["Deutschland"]}),
    ("at Rome", {"places": ["Rome"]}), ("in Holland", {"places": ["Holland"]}), ("in München", {"places": ["München"]}),
    ("not in Italy", {"unwanted": ["in:Italy"]}),
]  # fmt: skip
DATES = [
    ("", {}), ("in 2019", {"since": "2019-01-01", "until": "2020-01-01"}),
    ("last summer", {"since": "2026-06-01", "until": "2026-09-01"}),
    ("two years ago", {"since": "2024-01-01", "until": "2025-01-01"}),
    ("christmas 2018", {"since": "2018-12-24", "until": "2018-12-27"}), ("since march", {"since": "2026-03-01"}),
    ("between 2015 and 2017", {"since": "2015-01-01", "until": "2018-01-01"}),
    ("on 3 May 2020", {"since": "2020-05-03", "until": "2020-05-04"}),
    ("yesterday", {"since": "2026-11-29", "until": "2026-11-30"}),
    ("winter 2020/21", {"since": "2020-12-01", "until": "2021-03-01"}),
    ("in august 2021", {"since": "2021-08-01", "until": "2021-09-01"}), ("before 2015", {"until": "2015-01-01"}),
]  # fmt: skip
CAMERAS = [
    ("", {}), ("", {}), ("with the iPhone", {"camera": "iPhone"}),
    ("taken with the Canon EOS 5D", {"camera": "Canon EOS 5D"}), ("with my Nikon", {"camera": "Nikon"}),
]  # fmt: skip
PREFIXES = [("", {}), ("", {}), ("photos of ", {}), ("pictures of ", {}), ("portrait of ", {"is": ["portrait"]}),
            ("a panorama of ", {"is": ["panorama"]}), ("screenshots of ", {"is": ["screenshot"]})]  # fmt: skip


def read(words: str) -> dict[str, object]:
    """What is asked for, without what is not; of `near` the name."""
    filters, rest = read_filters(words, KNOWN, TODAY)
    question = Question(rest)
    asked = describe_reading(understand(question, [], model="m", has_vectors=True, today=TODAY, filters=filters))
    if asked["near"]:
        asked["near"] = asked["near"]["name"]
    return {key: value for key, value in asked.items() if value is not None}


def is_changed(caption: str) -> bool:
    """Whether a description is read as anything else than it says."""
    filters, rest = read_filters(caption, KNOWN, TODAY)
    return filters != NO_FILTERS or rest != caption or bool(find_date_phrases(blank_quotes(rest), TODAY))


def draw_sentences(n: int) -> list[tuple[str, dict[str, object]]]:
    """(a sentence, how it was made); the order of place, date and camera is drawn as well."""
    drawn, seen = [], random.Random(1)
    while len(drawn) < n:
        prefix, kind = seen.choice(PREFIXES)
        subject = seen.choice(SUBJECTS)
        parts = [seen.choice(PLACES), seen.choice(DATES), seen.choice(CAMERAS)]
        seen.shuffle(parts)
        words = " ".join(filter(None, [prefix + subject, *(text for text, _ in parts)]))
        asked = {"description": subject, **kind}
        for _, more in parts:
            asked |= more
        drawn.append((words, asked))
    return drawn


def test_generated_sentences_are_read_right(capsys):
    """All 200; pytest -s prints the share, and each that is not."""
    wrong = [(words, asked, read(words)) for words, asked in draw_sentences(200) if read(words) != asked]
    with capsys.disabled():
        print(f"\n{200 - len(wrong)} of 200 generated sentences are read right")
    assert wrong == []


def test_flickr8k_captions_stay_descriptions(data, capsys):
    """Of the 5,000 test captions, dates and filters change fewer than 0.5 % that hold none."""
    names = data("Flickr8k") / "Flickr8k" / "Flickr8k_text"
    wanted = set((names / "Flickr_8k.testImages.txt").read_text().split())
    lines = (line.split("\t") for line in (names / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines())
    captions = [caption for photo, caption in lines if photo.partition("#")[0] in wanted]
    changed = [caption for caption in captions if is_changed(caption)]
    quoting = [caption for caption in changed if re.search(r'\bsay(?:s|ing)\b[^"]*"', caption)]
    with capsys.disabled():
        print(f"\n{len(changed)} of {len(captions)} captions are changed, {len(quoting)} of which quote a text")
    assert len(changed) - len(quoting) < 0.005 * len(captions), changed


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("photos of a dog in Portugal", {"description": "a dog", "places": ["Portugal"]}),
        ("show me photos of a dog in Portugal, please", {"description": "a dog", "places": ["Portugal"]}),
        ("find people", {"description": "people"}),
        ("please find me a red car", {"description": "a red car"}),
        ("I'm looking for Anna", {"people": ["Anna"]}),
        ("search for photos from last summer", {"since": "2026-06-01", "until": "2026-09-01"}),
        ("pictures with a bird", {"description": "a bird"}),
        ("photos with a dog and with Anna", {"description": "a dog", "people": ["Anna"]}),
        ("all my photos", {}),
        ("show me photos", {}),
        ("a please touch sign", {"description": "a please touch sign"}),
        ("wedding photos", {"description": "wedding photos"}),
        ("a show of photos", {"description": "a show of photos"}),
        ("all my photos of Anna on the beach", {"description": "on the beach", "people": ["Anna"]}),
        ("photos from Portugal", {"places": ["Portugal"]}),
        ("pictures from the window", {"description": "pictures from the window"}),
        ("a photo of a dog", {"description": "a photo of a dog"}),
        ("portrait of Anna", {"people": ["Anna"], "is": ["portrait"]}),
        ("a portrait of a man in Rome", {"description": "a man", "places": ["Rome"], "is": ["portrait"]}),
        ("a video still of a goal", {"description": "a goal", "is": ["video-still"]}),
        ("is:video-still is:video-stills", {"is": ["video-still"]}),
        ('is:"video still"', {"is": ["video-still"]}),
        ("a train from Rome to London", {"description": "a train from Rome to London"}),
        ("a dog in us", {"description": "a dog in us"}),
        ("a man in uk", {"description": "a man", "places": ["uk"]}),
        ("a dog in the U.S.", {"description": "a dog", "places": ["U.S"]}),
        ("a letter in Wien", {"description": "a letter in Wien"}),  # no photo is from there
        ("a man in the Uk shirt", {"description": "a man in the Uk shirt"}),
        (
            "(camera:Canon or camera:Nikon) taken:2019 -person:Anna dog",
            {"description": "dog", "since": "2019-01-01", "until": "2020-01-01", "unwanted": ["person:Anna"],
             "filters": "(camera:Canon or camera:Nikon) -person:Anna taken:2019-01-01..2019-12-31"},
        ),
    ],
)  # fmt: skip
def test_sentence_is_read(words, asked):
    assert read(words) == asked


def test_the_guides_table_of_joined_filters_is_what_is_read():
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^|]+)` \| `([^|]+)` \| (?:`([^|]+)`)? *\|$", guide, re.MULTILINE)
    assert len(rows) >= 8
    for typed, filters, words in rows:
        read_as, rest = read_typed_filters(typed, TODAY)
        assert (" ".join(map(str, read_as.parts)), rest) == (filters, words or ""), typed


@pytest.mark.parametrize(
    "words", ["in the UK " * 200, "(" * 500 + "in:Porto" + ")" * 500, "in:Porto or " * 200, "not " * 480 + "in:Porto"]
)
def test_hostile_sentences_are_read_or_refused(words):
    with contextlib.suppress(QueryError):
        assert read(words[:2000]).keys() <= {"description", "places", "near", "unwanted", "filters"}
