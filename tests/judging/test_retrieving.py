"""How well descriptions find a library's own photos."""

import shutil

import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, open_seen
from toy import toy_card

from photosearch.errors import InputError, QueryError


@pytest.fixture
def seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path) as seen:
        for name, colour in {"red": RED, "green": GREEN, "blue": BLUE, "black": BLACK, "dusk": (0, 0, 60)}.items():
            seen.photo(f"{name}.png", colour)
        seen.index()
        yield seen


def judge(seen, *rows: str, **options):
    file = seen.folder / "queries.csv"
    file.write_text("\n".join(["query,path", *rows]))
    return seen.asks.report_retrieval(file, **options)


def test_each_description_is_ranked_against_every_picture(seen):
    told = judge(seen, "red,red.png", "black,dusk.png")
    assert (told["queries"], told["photos"]) == (2, 5)
    assert told["recall_at_1"] == 0.5
    assert told["recall_at_5"] == told["recall_at_10"] == 1
    assert told["mrr"] == told["map"] == 0.75
    assert list(told) == ["queries", "photos", "recall_at_1", "recall_at_5", "recall_at_10", "mrr", "map", "intervals"]


def test_several_photos_may_answer_one_description(seen):
    told = judge(seen, "black,black.png", "black,dusk.png", "black,blue.png")
    assert told["queries"] == 1
    assert told["recall_at_1"] == pytest.approx(1 / 3)
    assert told["mrr"] == 1


def test_a_copy_is_the_same_picture_and_counts_once(seen):
    shutil.copy(seen.folder / "black.png", seen.folder / "copy.png")
    seen.index()
    told = judge(seen, "black,black.png", "black,copy.png")
    assert (told["photos"], told["recall_at_1"]) == (5, 1)


def test_a_label_is_read_as_words_too(seen):
    """A label's name is a description here: it is likeness that is judged."""
    assert judge(seen, "green,green.png")["recall_at_1"] == 1


def test_what_is_gone_is_not_ranked(seen):
    (seen.folder / "black.png").unlink()
    seen.index()
    told = judge(seen, "black,dusk.png")
    assert (told["photos"], told["recall_at_1"]) == (4, 1)
    with pytest.raises(InputError, match=r"black\.png: not in the library"):
        judge(seen, "black,black.png")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["black,nowhere.png"], r"nowhere\.png: not in the library, or without a vector; index it first"),
        ([], "holds no query"),
        (["?,"], "no usable path"),
    ],
)
def test_what_can_not_be_judged_is_told_in_one_line(seen, rows, said):
    with pytest.raises(InputError, match=said) as error:
        judge(seen, *rows)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="can't be read"):
        seen.asks.report_retrieval(seen.folder / "nothing.csv")


def test_a_model_without_vectors_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path, toy_card()) as seen:
        seen.photo("red.png", RED)
        seen.index()
        with pytest.raises(QueryError, match="toy gives no vectors"):
            judge(seen, "red,red.png")
