"""Questions by label, description and picture: how they are read, what they find, and errors."""

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, WHITE, WINE, card, fill, forget_names, open_filled, open_seen
from hypothesis import example, given, settings
from hypothesis import strategies as st
from library import Counting
from PIL import Image
from toy import toy_card, write_toy

import photosearch
from photosearch.errors import InputError, ModelError, PhotosearchError, QueryError
from photosearch.models import catalog
from photosearch.search import similar
from photosearch.search.hints import Hint
from photosearch.search.labels import list_labels
from photosearch.search.similar import read_weight
from photosearch.search.understand import Question, measure_named, understand

FIVE = {"red": RED, "wine": WINE, "green": GREEN, "blue": BLUE, "black": BLACK}


@pytest.fixture
def seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path) as seen:
        yield seen


@pytest.fixture
def few(seen):
    """Five photos of one colour each, whose names say nothing."""
    return forget_names(fill(seen, FIVE))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The same five, for tests that only ask."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch, open_filled(folder, FIVE) as seen:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        forget_names(seen).ask("black")  # the text model stays open
        yield seen


@pytest.fixture
def kept_few(kept, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(kept.folder.parent))
    return kept


# ---- how words are read


@pytest.mark.parametrize(
    ("words", "labels", "texts"),
    [
        ("red", ["red"], [("red", True)]),
        ("RED", ["red"], [("RED", True)]),
        ("a red?", ["red"], [("a red?", True)]),
        ('"red"', ["red"], [("red", True)]),
        ("red and not blue", ["red", "blue"], [("red", True), ("blue", False)]),
        ("red -blue", ["red", "blue"], [("red", True), ("blue", False)]),
        ("red no blue", ["red", "blue"], [("red", True), ("blue", False)]),
        ("red & green", ["red", "green"], [("red & green", True)]),
        ("red, green", ["red", "green"], [("red, green", True)]),
        ("red | green", ["red", "green"], [("red | green", True)]),
        ("not red", ["red"], []),
        ("no parking sign", [], [("no parking sign", True)]),
        ("no people", [], [("people", False)]),
        ("dark thing without a wet thing", [], [("dark thing", True), ("a wet thing", False)]),
        ("dark -wet thing", [], [("dark thing", True), ("wet", False)]),
        ("black-and-white dog", [], [("black-and-white dog", True)]),
        ("rock & roll", [], [("rock & roll", True)]),
        ("a t-shirt", [], [("a t-shirt", True)]),
        ('"dark thing" or red', ["red"], [("dark thing or red", True)]),
        ('not ("dark thing" and red)', ["red"], [("dark thing red", False)]),
        ('red and not "dark thing"', ["red"], [("red", True), ("dark thing", False)]),
        ("dark thing", [], [("dark thing", True)]),
        ("a red dark thing", [], [("a red dark thing", True)]),
        ('red and "dark thing"', ["red"], [("red dark thing", True)]),
        ('"dark thing" and red and not green', ["red", "green"], [("dark thing red", True), ("green", False)]),
        ('"dark thing" and not red', ["red"], [("dark thing", True), ("red", False)]),
        ("dark thing and not red", ["red"], [("dark thing", True), ("red", False)]),
        ('"dark thing" and not "wet thing"', [], [("dark thing", True), ("wet thing", False)]),
        ('(red or blue) and "dark thing"', ["red", "blue"], [("red or blue dark thing", True)]),
        ("a man and a red dog", [], [("a man and a red dog", True)]),
        ("red and a dog on a beach", [], [("red and a dog on a beach", True)]),
        ("cats or dark things", [], [("cats or dark things", True)]),
        ("the dog's bowl", [], [("the dog's bowl", True)]),
        ("it's a dog's life", [], [("it's a dog's life", True)]),
        ("a dog not on a lead", [], [("a dog not on a lead", True)]),
        ("all that I am and", [], [("all that I am", True)]),
        ("the dog's bowl and a cat", [], [("the dog's bowl and a cat", True)]),
        ("a dog NOT blue", ["blue"], [("a dog", True), ("blue", False)]),
        ("dark and NOT wet", [], [("dark", True), ("wet", False)]),
        ("'dark thing' and wet", [], [("dark thing wet", True)]),
        ("  dark \n thing ", [], [("dark thing", True)]),
        ("鳥 と 犬", [], [("鳥 と 犬", True)]),
        ("red photos", ["red"], [("red", True)]),
        ("the red pictures", ["red"], [("the red", True)]),
        ("dark photos", [], [("dark photos", True)]),
        ("'red photos'", [], [("red photos", True)]),
    ],
)
def test_understand_reads_known_labels_and_else_descriptions(kept_few, words, labels, texts):
    known = list_labels(kept_few.under.db)
    read = understand(Question(words), known, model="toy", has_vectors=True).words
    assert list(dict.fromkeys(label.name for label in read.labels.values())) == labels
    assert [(description.text, description.wanted) for description in read.descriptions] == texts


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("and or not", "say what to find"),
        (" | & ", "say what to find"),
        ("(dark thing", "a bracket is opened and not closed"),
        ('dark "thing', "a quote is opened and not closed"),
        ('""', "a label should stand where '' does"),
        ("x" * 2001, "2001 characters, more than 2000"),
    ],
)
def test_find_refuses_malformed_questions_in_one_line(kept_few, words, said):
    with pytest.raises(QueryError) as error:
        kept_few.ask(words)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "words",
    [
        "x" * 2000,
        "ab " * 660,
        "🐕 🏖",
        "собака на пляже",
        "犬が海で走る",
        "کلب",
        "e\u0301",
        "a\0b",
        "\udce9t\udce9",
        "?!",
    ],
)
@pytest.mark.parametrize("query_mode", [None, "text"])
def test_find_answers_any_words_or_refuses_in_one_line(kept_few, words, query_mode):
    said = ""
    try:
        assert kept_few.ask(words, query_mode=query_mode).ranked_by == "similarity"
    except PhotosearchError as error:
        said = str(error)
    assert "\n" not in said


def test_query_mode_overrides_the_reading(few):
    assert few.ask("red").ranked_by == "label"
    as_text = few.ask("red", query_mode="text", min_similarity=-1)
    assert (as_text.ranked_by, few.names(as_text)[0]) == ("similarity", "red.png")
    assert few.find('"black"', query_mode="text") == few.find("black", query_mode="text")
    with pytest.raises(QueryError, match="no label 'dark thing'; the nearest are: "):
        few.ask("dark thing", query_mode="label")
    with pytest.raises(QueryError, match='no label "it\'s"'):
        few.ask("it's", query_mode="label")
    with pytest.raises(InputError, match="the text is empty"):
        few.ask('""', query_mode="text")


def test_answer_question_is_as_understood(few):
    assert few.ask("RED").question == "red"
    assert few.ask("not red").question == "not red"
    assert few.ask("red and not blue").question == "red and not blue"
    assert few.ask("black", like=[few.folder / "red.png"]).question.startswith("black like ")


def test_understand_is_pure_and_reads_dates():
    parsed = understand(Question("dark", since="2024", until="2024-05-31 12:00"), [], model="m", has_vectors=True)
    assert (parsed.since, parsed.until) == ("2024", "2024-05-31T12:00")
    with pytest.raises(InputError, match="'2024-13' is not a date"):
        understand(Question("dark", until="2024-13"), [], model="m", has_vectors=True)
    with pytest.raises(QueryError, match="no label 'dark': nothing is indexed yet"):
        understand(Question("dark"), [], model=None, has_vectors=False)


@pytest.mark.parametrize(
    ("words", "rest", "since", "until", "said"),
    [
        ("dark, last summer", "dark", "2026-06-01", "2026-08-31", "'last summer' as 2026-06-01 to 2026-08-31"),
        ("red, in 2019", "red", "2019-01-01", "2019-12-31", "'in 2019' as 2019-01-01 to 2019-12-31"),
        ("since 2020 until 2021", "", "2020-01-01", "2021-12-31", "'since 2020' as from 2020-01-01 on"),
        ("red yesterday", "red", "2026-11-29", "2026-11-29", "'yesterday' as 2026-11-29"),
        ('red and "last summer"', 'red and "last summer"', None, None, None),
        ("it's last summer 'in 2019'", "it's 'in 2019'", "2026-06-01", "2026-08-31", "'last summer'"),
        ("dark thing", "dark thing", None, None, None),
    ],
)  # fmt: skip
def test_understand_reads_dates_in_words(words, rest, since, until, said):
    today = date(2026, 11, 30)
    parsed = understand(Question(words), [], model="m", has_vectors=True, today=today)
    assert (parsed.question.words, parsed.since, parsed.until) == (rest, since, until)
    assert (said in parsed.words.hints[0]) if said else not parsed.words.hints
    one_text = understand(Question(words, query_mode="text"), [], model="m", has_vectors=True, today=today)
    assert (one_text.question.words, one_text.since) == (words, None)


def test_find_by_words_and_dates_in_words(seen):
    for name in ("20200101_000000", "20220101_000000", "20210101_000000"):
        seen.photo(f"{name}.png", RED)
    seen.index()
    answer = seen.ask("red from 2020 to 2021", copies=True)
    assert seen.names(answer)[:2] == ["20200101_000000.png", "20210101_000000.png"]
    assert {os.path.basename(photo.path) for photo in answer} <= {"20200101_000000.png", "20210101_000000.png"}
    assert "Read 'from 2020 to 2021' as 2020-01-01 to 2021-12-31" in answer.hints[0]
    assert (answer.since, answer.until) == ("2020-01-01", "2021-12-31")
    assert seen.find("in 2022") == ["20220101_000000.png"]
    assert seen.find("red in 2019") == []
    assert seen.asks.count("in 2020 ", up_to=5) == 1


def test_find_gives_advice_on_words(seen):
    seen.photo("red.png", RED)
    seen.index()
    assert seen.ask("beech").hints == ("Did you mean beach for 'beech'?",)
    assert seen.ask("'beech'").hints == seen.ask("beech", query_mode="text").hints == ()


# ---- what is found


def test_answer_is_a_sequence_of_its_photos(few):
    answer = few.ask("black", limit=2)
    assert (len(answer), list(answer), answer[0], answer[-1:]) == (
        2, list(answer.photos), answer.photos[0], answer.photos[1:],
    )  # fmt: skip
    assert [os.path.basename(photo.path) for photo in answer] == ["black.png", "wine.png"]


def test_find_ranks_by_descriptions_and_filters_by_labels(few):
    assert few.find("black")[:2] == ["black.png", "wine.png"]
    assert few.find('"black" and red') == ["wine.png", "red.png"]
    assert few.find('"black" and not red')[0] == "black.png"
    assert "wine.png" not in few.find('"black" and not red')
    assert few.find('"black" and not "red"', min_similarity=0.1) == ["black.png"]
    assert few.find('"black" and red', min_score=0.6, min_similarity=-1) == ["red.png"]


def test_find_scores_are_cosines(few):
    found = {os.path.basename(f.path): f.score for f in few.ask("black", min_similarity=-1)}
    wine = np.array([128 / 255, 0, 0, 127 / 255])
    assert found["black.png"] == pytest.approx(1, abs=1e-3)
    assert found["wine.png"] == pytest.approx(wine[3] / np.linalg.norm(wine), abs=1e-3)
    assert found["red.png"] == pytest.approx(0, abs=1e-3)


def test_find_gives_the_nearest_where_none_is_sure(few):
    noise = few.ask("zebra")
    assert (noise.sure, len(noise), noise.more, {photo.sure for photo in noise}) == (False, 5, False, {False})
    assert few.ask("zebra", sure_only=True).photos == ()
    assert few.ask("black").sure
    assert all(photo.sure for photo in few.ask("black", sure_only=True))


def test_photos_are_judged_one_by_one_whatever_else_lies_there(few):
    """The black photo is somewhere else, so its likeness says nothing of this folder."""
    few.photo("sub/green.png", (0, 255, 1))
    few.index()
    there = few.ask("black", under=few.folder / "sub")
    assert (there.sure, few.names(there)) == (False, ["sub/green.png"])


def test_label_goes_on_with_the_nearest_by_description(few):
    answer = few.ask("red")
    assert few.names(answer)[:2] == ["red.png", "wine.png"]
    assert {photo.by for photo in answer[:2]} == {"label"}
    assert {(photo.by, photo.image_id in {p.image_id for p in answer[:2]}) for photo in answer[2:]} == {
        ("similarity", False)
    }  # fmt: skip
    assert few.find("red", sure_only=True)[:2] == ["red.png", "wine.png"]
    assert [few.find("red", limit=n) for n in (1, 2)] == [["red.png"], ["red.png", "wine.png"]]
    assert few.find("red", query_mode="label") == few.find("red", min_score=0.5) == ["red.png", "wine.png"]
    assert few.find("not red", limit=20) == few.find("not red", query_mode="label")
    few.asks.labels.set_threshold(few.asks.labels.get("red"), 0.99)
    (few.folder / "red.png").unlink()
    few.index()
    answer = few.ask("red")
    assert (few.names(answer)[0], answer[0].by) == ("wine.png", "similarity")
    assert answer.hints == ("No photo reaches the threshold of red; these come nearest.",)


def test_label_in_a_description_raises_the_photos_that_have_it(few):
    """Black and wine are as near to `black`; the label decides."""
    assert few.find("black", limit=2) == ["black.png", "wine.png"]
    assert few.find("red on black", limit=1) == few.find('red and "on black"', limit=1)
    assert few.find('"black" and red', limit=5)[0] == "wine.png"
    assert len(few.find('"black" and red', limit=5)) == 5, "a photo below the threshold is not lost"


def test_unwanted_labels_exclude_and_unwanted_descriptions_lower(few):
    assert "wine.png" not in few.find("black -red", limit=5)
    assert sorted(few.find("black -green", limit=9)) == ["black.png", "blue.png", "red.png", "wine.png"]
    both = few.find("black red", query_mode="text", limit=5)
    assert both[0] == "wine.png"
    assert few.ask("no zebras").photos, "the least like one"


def test_unwanted_text_lowers_what_shows_it_and_nothing_else(few):
    with few.asks._session.open_search() as search:
        red, black = search.embed_texts(["red", "black"])
        before, after = (
            {r.image_id: r.rank for r in search.rank(red, limit=5, unwanted=unwanted)} for unwanted in ([], [black])
        )
    of = {os.path.basename(photo.path): photo.image_id for photo in few.ask("red", limit=5)}
    assert {name for name, i in of.items() if after[i] < before[i] - 1e-6} >= {"black.png", "wine.png"}
    assert after[of["green.png"]] == before[of["green.png"]]


def test_find_applies_limit_and_min_similarity(few):
    every = few.find("black", min_similarity=-1)
    assert len(every) == 5
    for n in (0, 1, 2, 5, 9):
        answer = few.ask("black", min_similarity=-1, limit=n)
        assert few.names(answer) == every[:n]
        assert answer.more == (n < 5)
    assert few.find("black", min_similarity=0.5) == ["black.png", "wine.png"]
    assert few.find("black", min_similarity=0.9999) in (["black.png"], [])
    assert few.find("red", limit=1) == ["red.png"]


def test_find_gives_twenty_similar_photos_by_default(seen):
    for i in range(23):
        seen.photo(f"{i:02}.png", (0, 0, i))
    seen.index()
    answer = seen.ask("black")
    assert (len(answer), answer.more) == (20, True)
    assert seen.names(answer)[0] == "00.png"
    assert len(seen.find("black", limit=23)) == 23


def test_find_fetches_more_neighbours_when_photos_are_removed(seen):
    """More of them, all nearer, than are asked for at first."""
    for i in range(20):
        seen.photo(f"gone/{i}.png", (0, 0, i))
    seen.photo("wine.png", WINE)
    seen.photo("navy.png", (0, 0, 100))
    seen.index()
    for path in (seen.folder / "gone").iterdir():
        path.unlink()
    seen.index(prune=True)
    assert seen.find("black", limit=2) == ["navy.png", "wine.png"]
    assert seen.find("black", limit=1) == ["navy.png"]


def test_find_refuses_a_minimum_of_the_other_kind(few):
    with pytest.raises(QueryError, match="a minimum score applies to labels"):
        few.ask("dark thing", min_score=0.5)
    with pytest.raises(QueryError, match="a minimum similarity applies to descriptions"):
        few.ask("red", min_similarity=0.5, query_mode="label")


def test_find_sorts_by_date_newest_first(seen):
    for name, colour in {
        "20200101_000000": BLACK,
        "20220101_000000": (0, 0, 20),
        "20210101_000000": (0, 0, 10),
    }.items():
        seen.photo(f"{name}.png", colour)
    seen.photo("red.png", RED)
    seen.index()
    assert seen.find("black", min_similarity=0.5) == [
        "20200101_000000.png",
        "20210101_000000.png",
        "20220101_000000.png",
    ]
    by_date = seen.find("black", min_similarity=0.5, sort="date")
    assert by_date == ["20220101_000000.png", "20210101_000000.png", "20200101_000000.png"]
    assert seen.find("black", limit=2, sort="date") == ["20210101_000000.png", "20200101_000000.png"]
    assert seen.find("not red", limit=2, sort="date") == ["20220101_000000.png", "20210101_000000.png"]


def test_answer_explanation_lists_labels_descriptions_and_evidence(few):
    lines = few.ask('"black" and not RED').explanation
    assert lines[0] == "red (RED): a label of toy, which holds from a score of 0.500 on"
    assert lines[1:3] == ("'black': a description, which ranks", "'RED': a description, to be unlike")
    assert lines[3].startswith("the nearest has a similarity of 1.000, ")
    assert few.ask("red", min_score=0.25).explanation == ("red: a label of toy, which holds from a score of 0.250 on",)
    red = str(few.folder / "red.png")
    assert f"2:{red}: a picture to be like" in few.ask(like=[f"2:{red}"]).explanation
    assert "'green lamp': a description, to be unlike" in few.ask('"black" and not "green lamp"').explanation
    assert "raises the rank" in few.ask("a red lamp").explanation[0]


def test_included_model_that_finds_nothing_sure_names_a_larger_one(kept_few, monkeypatch):
    monkeypatch.setattr(catalog, "DEFAULT_MODEL", "toy")
    unsure = kept_few.ask("an odd thing")
    assert not unsure.sure
    assert unsure.hints[-1] == (
        "toy is a small model; a larger one understands more: photosearch models pull openclip-b32-256 (0.6 GB at most)"
    )
    (hint,) = unsure.hints[-1:]
    assert isinstance(hint, Hint)
    assert (hint.model, hint.about) == (catalog.LARGER_MODEL, "toy is a small model; a larger one understands more")
    monkeypatch.setattr(catalog, "DEFAULT_MODEL", "sight")
    assert not [hint for hint in kept_few.ask("an odd thing").hints if "larger" in hint]


@pytest.mark.parametrize(("text", "share"), [
    ("dog", 1), ("a dog on the beach", 1), ("a dog runs on the beach", 2 / 3), ("hot dog stand", 1 / 3),
    ("a lamp", 0), ("", 0),
])  # fmt: skip
def test_words_that_name_labels_are_measured(text, share):
    assert measure_named(text, ["dog", "beach"])[1] == pytest.approx(share)


def test_labels_weigh_less_the_more_else_a_description_says(kept_few):
    question = understand(Question("a red lamp"), list_labels(kept_few.under.db), model="toy", has_vectors=True)
    assert question.words.named == 0.5
    weights = {
        named: similar.LabelScores((), 0.5, lambda ids: {1: 0.999, 2: 0.5}, named).weigh([1, 2, 3])
        for named in (1.0, 0.5)
    }
    assert weights[1.0].tolist() == pytest.approx([2, 1, 0])
    assert weights[0.5].tolist() == pytest.approx([0.5, 0.25, 0])


# ---- filters never make it wrong


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Sixty photos: some are there twice, some were removed, some excluded since; four folders, two years."""
    folder = tmp_path_factory.mktemp("many")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        with open_seen(folder) as seen:
            rng = np.random.default_rng(1)
            for i in range(60):
                colour = tuple(int(c) for c in rng.integers(0, 4, 3) * 85)
                path = seen.photo(f"{i % 4}/{2020 + i % 2}0{1 + i % 9}01_{i:06}.png", colour)
                if i % 7 == 0:
                    shutil.copy(path, path.with_name(f"copy{i}.png"))
            seen.index()
            for path in sorted(seen.folder.rglob("*.png"))[::9]:
                path.unlink()
            seen.index(exclude=("3/*_00000*.png",))
            yield seen


def read_all(seen):
    """Each photo that is there: (path, taken, unit vector), from the tables themselves."""
    with closing(sqlite3.connect(seen.under.db.path)) as db:
        rows = db.execute(
            "SELECT r.path || '/' || f.path || '/' || p.name, coalesce(i.taken, p.name_date), v.vector FROM photos p "
            "JOIN images i ON i.id = p.image_id JOIN folders f "
            "ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id JOIN vectors v ON v.image_id = p.image_id "
            "WHERE p.absent IS NULL"
        ).fetchall()
    vectors = [np.frombuffer(v, np.float16).astype(np.float64) for _, _, v in rows]
    return [(path, taken or "", v / np.linalg.norm(v)) for (path, taken, _), v in zip(rows, vectors, strict=True)]


WORD = {"red": (1, 0, 0, 0), "green": (0, 1, 0, 0), "blue": (0, 0, 1, 0), "black": (0, 0, 0, 1)}


def hold(label: str, unit) -> bool:
    """A score is the colour's share of 255; a vector of unit length holds it but for its length."""
    colour = unit[:3]
    whole = colour.max() + unit[3]  # the largest colour and the darkness are one together
    return colour[["red", "green", "blue"].index(label)] / whole >= 0.499


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@example(  # a nearer photo is less sure than others
    text="black black black green", label=None, under=None, year=None, limit=100, least=-1.0
)
@given(
    text=st.lists(st.sampled_from(sorted(WORD)), min_size=2, max_size=4).map(" ".join),
    label=st.sampled_from([None, "red", "blue"]),
    under=st.sampled_from([None, "0", "1", "3"]),
    year=st.sampled_from([None, "2020", "2021", "2020-03"]),
    limit=st.sampled_from([1, 3, 20, 100]),
    least=st.sampled_from([-1.0, 0.0, 0.6]),
)
def test_find_agrees_with_all_vectors_under_any_filter(many, text, label, under, year, limit, least):
    words = f'"{text}" and {label}' if label else text
    answer = many.ask(words, query_mode=None if label else "text", under=under and many.folder / under,
                      since=year, until=year, limit=limit, min_similarity=least, copies=True,
                      min_score=0.5 if label else None)  # fmt: skip
    wanted = np.sum([WORD[word] for word in text.split()], axis=0)
    unit = wanted / np.linalg.norm(wanted)
    inside = str(many.folder / under) + "/" if under else ""
    expected = {}
    for path, taken, vector in read_all(many):
        if label and not hold(label, vector):
            continue
        if path.startswith(inside) and (year is None or taken.startswith(year)) and vector @ unit >= least - 1e-4:
            expected[path] = float(vector @ unit)
    found = {f.path: f.score for f in answer}
    best = sorted(expected.values(), reverse=True)
    assert found.keys() <= expected.keys()
    assert len(found) == len(answer)
    edge = sum(abs(s - least) < 1e-4 for s in best)  # may fall on either side
    assert min(limit, len(best) - edge) <= len(found) <= limit
    assert sorted(found.values(), reverse=True) == pytest.approx(best[: len(found)], abs=1e-3)
    assert list(answer) == sorted(answer, key=lambda f: (not f.sure, -f.score))
    assert all(found[path] == pytest.approx(expected[path], abs=1e-3) for path in found)


def test_find_without_words_lists_the_newest_first(seen):
    for name in ("20200101_000000", "20220101_000000", "20210101_000000"):
        seen.photo(f"{name}.png", RED)
    seen.photo("sub/undated.png", GREEN)
    os.utime(seen.folder / "sub/undated.png", (1, 1))
    seen.index()
    answer = seen.ask(copies=True)
    assert seen.names(answer) == [
        "20220101_000000.png", "20210101_000000.png", "20200101_000000.png", "sub/undated.png",
    ]  # fmt: skip
    assert (answer.ranked_by, answer.more, {(p.by, p.score, p.sure) for p in answer}) == (
        "date", False, {("date", None, True)},
    )  # fmt: skip
    assert [(photo.copies, os.path.basename(photo.path)) for photo in seen.ask()] == [
        (2, "20220101_000000.png"), (0, "undated.png"),
    ]  # fmt: skip
    assert seen.ask(limit=1).more
    assert seen.find(since="2021", until="2021", copies=True) == ["20210101_000000.png"]
    assert seen.find(under=seen.folder / "sub") == ["sub/undated.png"]
    assert seen.asks.count("", up_to=3) == 3


def test_year_without_photos_is_a_word(seen):
    seen.photo("20200101_000000.png", RED)
    seen.photo("trip/room 1987.png", GREEN)
    os.utime(seen.folder / "trip/room 1987.png", (1, 1))
    seen.index()
    assert seen.find("2020") == ["20200101_000000.png"]
    answer = seen.ask("1987")
    assert (seen.names(answer)[0], answer.since, answer.photos[0].why[0]) == (
        "trip/room 1987.png",
        None,
        "name: room 1987",
    )
    assert seen.ask("1970", file_dates=True).photos[0].path.endswith("1987.png")
    assert seen.ask("dog in 1987").photos == ()


# ---- pictures as questions


def test_like_finds_the_photo_itself_and_similar_ones(few):
    wine = few.folder / "wine.png"
    assert few.find(like=[wine])[:1] == ["wine.png"]
    assert few.ask(like=[wine])[0].score == pytest.approx(1, abs=1e-3)
    assert few.find(like=[wine], unlike=[few.folder / "red.png"], limit=1) == ["black.png"]
    assert few.find("not red", like=[wine], limit=1) == ["black.png"]


def test_like_scores_a_picture_outside_the_library(few, tmp_path):
    Image.new("RGB", (9, 9), (0, 250, 0)).save(tmp_path / "else.png")
    assert few.find(like=[tmp_path / "else.png"], limit=1) == ["green.png"]
    assert few.asks.status().counts.photos == 5


def test_like_uses_the_stored_vector_of_a_library_photo(few):
    (few.folder / "wine.png").write_bytes(b"nothing")
    assert few.find(like=[few.folder / "wine.png"], limit=1) == ["wine.png"]


def test_like_weighs_pictures_and_words(few):
    red, green = few.folder / "red.png", few.folder / "green.png"
    assert few.find(like=[f"3:{red}", green], limit=2) == ["red.png", "wine.png"]
    assert few.find(like=[f"3:{green}", red], limit=1) == ["green.png"]
    assert few.find("black", like=[f"9:{green}"], limit=2) == ["green.png", "black.png"]
    assert few.find("green", query_mode="text", unlike=[f"0.5:{green}"], limit=1) == ["green.png"]


@pytest.mark.parametrize(
    ("like", "said"),
    [
        ("nowhere.png", "nowhere.png: can't be read"),
        ("broken.png", "broken.png: can't be read"),
        ("", "can't be read"),
        (".", "can't be read"),
        ("0:red.png", "a weight must lie between 0 and 100"),
        ("-1:red.png", "a weight must lie between 0 and 100"),
        ("nan:red.png", "a weight must lie between 0 and 100"),
        ("1e9:red.png", "a weight must lie between 0 and 100"),
    ],
)
def test_like_refuses_unreadable_pictures_in_one_line(few, monkeypatch, like, said):
    monkeypatch.chdir(few.folder)
    Path("broken.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(InputError, match=said) as error:
        few.ask(like=[like])
    assert "\n" not in str(error.value)


def test_like_refuses_cancelling_and_only_negative_pictures(few):
    red = few.folder / "red.png"
    with pytest.raises(QueryError, match="cancel each other out"):
        few.ask(like=[red], unlike=[red])
    with pytest.raises(QueryError, match="not only what they should not"):
        few.ask(unlike=[red])


def test_read_weight_parses_weight_and_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    Path("3:b.png").touch()
    texts = {"a.png": (1, "a.png"), "2:a.png": (2, "a.png"), "0.5:a.png": (0.5, "a.png"), "x:a.png": (1, "x:a.png"),
             "3:b.png": (1, "3:b.png"), "2:": (1, "2:"), "2:~/a.png": (2, "/home/me/a.png")}  # fmt: skip
    assert {text: read_weight(text) for text in texts} == texts


# ---- the map follows the library


def test_map_follows_new_removed_and_rescored_photos(few):
    assert few.find("black", limit=1) == ["black.png"]
    few.photo("night.png", (0, 0, 5))
    few.index()
    assert few.find("black", limit=2) == ["black.png", "night.png"]
    few.asks.forget([few.folder / "black.png"])
    (few.folder / "black.png").unlink()
    assert few.find("black", limit=1) == ["night.png"]
    few.index(force=True)
    assert few.find("black", limit=2) == ["night.png", "wine.png"]


def test_map_is_rebuilt_when_the_last_photo_was_replaced(few):
    """As many photos as before, the last of them another; the map is the one of before, as a backup may bring back."""
    few.photo("z.png", (0, 0, 7))
    few.index()
    assert "z.png" in few.find("black", min_similarity=0.9)
    (kept,) = few.under.db.path.parent.glob("*.vectors-*")
    data = kept.read_bytes()
    few.asks.forget([few.folder / "z.png"])
    few.photo("z.png", (250, 0, 0))
    few.index()
    kept.write_bytes(data)
    assert "z.png" not in few.find("black", min_similarity=0.9)


def test_forget_deletes_the_map(few):
    few.find("black")
    maps = list(few.under.db.path.parent.glob("*.vectors-*"))
    assert len(maps) == 1
    few.asks.forget([few.folder / "black.png"])
    assert not maps[0].exists()


def test_map_of_a_deleted_library_is_not_reused(few):
    """The same number of photos, and the same ids, but other photos."""
    few.find("black")
    few.under.db.close()
    few.asks.close()
    path = few.under.db.path
    for left in (path, *path.parent.glob("library.db-*")):
        left.unlink(missing_ok=True)
    (few.folder / "black.png").rename(few.folder / "z.png")
    with photosearch.Library(path) as again:
        few.asks, few.under.db = again, again._session.db
        few.index()
        assert few.find("black", limit=1) == ["z.png"]


def test_everyday_descriptions_are_embedded_once(few, monkeypatch):
    few.find("black")
    read = []
    before = similar.TextModel.embed
    monkeypatch.setattr(similar.TextModel, "embed", lambda self, texts: read.append(len(texts)) or before(self, texts))
    few.find("black")
    assert max(read) <= 2  # the question, and the tower's own trial


@pytest.mark.parametrize("kept", ["", "null", "AAAA", "\N{SNOWMAN}", "fH4AAAAAAAA="])
def test_everyday_descriptions_are_embedded_again_after_a_broken_record(few, kept):
    few.find("black")
    with closing(sqlite3.connect(few.under.db.path)) as db, db:
        assert db.execute("UPDATE properties SET value = ? WHERE name LIKE 'everyday %'", [kept]).rowcount == 1
    assert few.ask("black").sure
    assert few.find("black", limit=1) == ["black.png"]


@pytest.fixture
def carried(few, tmp_path):
    """What a backup holds: each file's name and bytes."""
    few.asks.close()
    few.under.db.close()
    return {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file() and "-wal" not in path.name}


def test_find_answers_from_a_read_only_library(carried, as_nobody, monkeypatch):
    for name, data in carried.items():
        (as_nobody / name).write_bytes(data)
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(as_nobody))
    before = sorted(os.listdir(as_nobody))
    (as_nobody / "library.db").chmod(0o400)
    as_nobody.chmod(0o500)
    with photosearch.Library(as_nobody / "library.db", create=False) as asks:
        found = asks.find("black", limit=1)
        assert [os.path.basename(f.path) for f in found] == ["black.png"]
    assert sorted(os.listdir(as_nobody)) == before


# ---- models


def test_find_never_mixes_vectors_of_two_models(few, tmp_path):
    path = write_toy(tmp_path / "other.onnx", card(name="other", space="other-space"), scale=1 / 510)
    few.photo("late.png", (0, 0, 1))
    few.index(model=Counting(path, provider="cpu", threads=1))
    assert few.ask("black").models == ("toy",)
    assert "late.png" not in few.find("black", min_similarity=-1)
    few.asks.models.set_default("other")
    with pytest.raises(ModelError, match="no text model for the space 'other-space'"):
        few.ask("black", query_mode="text")
    likes = few.ask(like=[few.folder / "black.png"])
    assert likes.models == ("other",)
    assert len(likes) == 6
    assert few.ask("black", model="toy").models == ("toy",)


def test_find_refuses_similarity_without_vectors(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path, toy_card(thresholds={"red": 0.5})) as seen:
        with pytest.raises(QueryError, match="nothing is indexed yet"):
            seen.ask("black")
        red = seen.photo("red.png", RED)
        seen.index()
        for options in ({"words": "black", "query_mode": "text"}, {"like": [red]}):
            with pytest.raises(QueryError, match="toy gives no vectors, so it can't search by similarity"):
                seen.ask(**options)
        with pytest.raises(QueryError, match="no label 'black'; the nearest are"):
            seen.ask("black")
        answer = seen.ask("red and")
        assert (seen.names(answer), answer.hints) == (["red.png"], ("'and' joins nothing there, so it was ignored",))
        answer = seen.ask("a red thing on a wall")
        assert (seen.names(answer), answer.hints) == (["red.png"], ("toy knows labels only; read as: red",))


def test_find_refuses_a_label_of_a_model_without_labels(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    its = card(labels=(), outputs=("vectors",), thresholds={}, pooling={})
    with open_seen(tmp_path, its) as seen:
        seen.photo("black.png", BLACK)
        seen.photo("white.png", WHITE)
        seen.index()
        assert seen.find("black", limit=1) == ["black.png"]
        with pytest.raises(QueryError, match="no label 'red': toy knows no labels, only descriptions"):
            seen.ask("red", query_mode="label")


def test_find_closes_the_map_when_a_question_fails(few, monkeypatch):
    closed = []
    monkeypatch.setattr(similar.VectorMap, "close", lambda self: closed.append(self))
    with pytest.raises(QueryError):
        few.ask(unlike=[few.folder / "red.png"])
    assert len(closed) == 1


def test_find_opens_no_map_for_a_label(few, monkeypatch):
    monkeypatch.setattr(similar, "open_vector_map", lambda *_: pytest.fail("a label needs no map"))
    assert few.find("red", limit=2) == few.find("red", query_mode="label") == ["red.png", "wine.png"]


# ---- any question gets an answer, or a line


PIECES = (
    "red", "green", "Blue", "dark thing", "zebra", "and", "or", "not", "no", "without", "-", "-red", "&", "|", ",", "?",
    "!", ".", "(", ")", '"', "'", "the", "a", "on", "🐕", "犬", "\0", "x" * 200, "t-shirt", "red,blue", "red|blue",
)  # fmt: skip


def ask_or_refuse(seen, words, **options):
    """The answer, None where one line refuses the question."""
    said, answer = "", None
    try:
        answer = seen.ask(words, **options)
    except PhotosearchError as error:
        said = str(error)
    assert "\n" not in said
    return answer


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    words=st.one_of(
        st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join),
        st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.text(max_size=40),
    ),
    query_mode=st.sampled_from([None, None, "label", "text"]), sure_only=st.booleans(), copies=st.booleans(),
)  # fmt: skip
def test_any_words_get_an_answer_or_one_line(many, words, query_mode, sure_only, copies):
    answer = ask_or_refuse(many, words, query_mode=query_mode, sure_only=sure_only, copies=copies)
    if answer is None:
        return
    assert [photo.sure for photo in answer] == sorted((photo.sure for photo in answer), reverse=True)
    assert len({photo.path for photo in answer}) == len(answer)
    assert answer.sure == any(photo.sure for photo in answer)
    assert not sure_only or all(photo.sure for photo in answer)
    if query_mode is None and answer.ranked_by == "similarity" and not sure_only:
        assert answer.photos, "the nearest are always shown"


@pytest.mark.parametrize("words", ["red", "black", "red and black", "no red", "", "a red thing", "red -black"])
@pytest.mark.parametrize("photos", [0, 1, 2])
def test_tiny_libraries_answer_everything(seen, words, photos):
    (seen.folder / "empty").mkdir()
    for name in ("red.png", "black.png")[:photos]:
        seen.photo(name, FIVE[name.removesuffix(".png")])
    seen.index()
    assert len(seen.ask(words)) <= photos
    if photos and words in ("red", "black", ""):
        assert seen.ask(words).photos


@pytest.mark.parametrize("words", [" and ".join(["red"] * 500), "not " * 500 + "red", "- " * 500, ", " * 500 + "red"])
def test_hundreds_of_operators_get_an_answer_or_one_line(kept_few, words):
    ask_or_refuse(kept_few, words)
