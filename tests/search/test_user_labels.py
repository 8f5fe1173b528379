"""Labels made from descriptions: stored, sampled, judged, reported, and updated with the photos."""

import sqlite3
from contextlib import closing

import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, WINE, card, open_seen
from toy import toy_card, write_toy, write_toy_text

from photosearch.errors import InputError, ModelError, QueryError, StoreError
from photosearch.library.vectors import find_space
from photosearch.search.label_names import MAX_NAME_LENGTH
from photosearch.search.user_labels import to_score, update_described


@pytest.fixture
def seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path) as seen:
        for name, colour in {"red": RED, "wine": WINE, "green": GREEN, "blue": BLUE, "black": BLACK}.items():
            seen.photo(f"{name}.png", colour)
        seen.index()
        yield seen


def refresh(seen):
    """What an index run does at its end."""
    update_described(seen.under.db, seen.asks._session.open_search)


def scores(seen, name):
    found = seen.ask(name, min_score=0)
    return dict(zip(seen.names(seen.ask(name, min_score=0)), [round(f.score, 2) for f in found], strict=True))


def test_add_label_makes_a_description_a_filter(seen):
    label = seen.asks.labels.add("  my   night ", " black ")
    assert (label.name, label.model, label.saved) == ("my night", "yours", False)
    assert label in seen.asks.labels.list()
    answer = seen.ask("My Night", query_mode="label")
    assert (answer.ranked_by, answer.models, seen.names(answer)) == ("label", ("yours",), ["black.png", "wine.png"])
    assert scores(seen, "my night") == {"black.png": 1.0, "wine.png": 0.85, "red.png": 0.5, "green.png": 0.5,
                                        "blue.png": 0.5}  # fmt: skip
    assert seen.find('"my night" and not red', query_mode="label") == ["black.png"]
    assert seen.find("my night and red", min_score=0.4) == ["wine.png", "red.png"]
    assert seen.asks.labels.describe("my night").to_json() | {"threshold": 0} == {
        "label": "my night", "model": "yours", "threshold": 0, "saved": False, "rests_on": None, "text": "black",
        "learned": None, "measured": [], "above": [], "below": [], "synonyms": [],
    }  # fmt: skip


def test_index_does_not_rescore_descriptions_without_new_photos(seen):
    seen.asks.labels.add("my night", "black")
    list(seen.asks.index(seen.folder, provider="cpu"))
    with seen.under.db.transaction():
        seen.under.db.write("DELETE FROM scores WHERE label_id IN (SELECT id FROM labels WHERE name = 'my night')")
    list(seen.asks.index(seen.folder, provider="cpu"))
    assert scores(seen, "my night") == dict.fromkeys(scores(seen, "my night"), 0.0), "as it was left"
    seen.photo("dark.png", (1, 1, 1))
    list(seen.asks.index(seen.folder, provider="cpu"))
    assert scores(seen, "my night")["black.png"] == scores(seen, "my night")["dark.png"] == 1.0


def test_add_label_takes_as_threshold_where_photos_are_surely_like_it(seen):
    label = seen.asks.labels.add("night", "black")
    sure = [photo for photo in seen.ask("black", query_mode="text", limit=2) if photo.sure]
    assert len(sure) == 2
    assert to_score(0) < label.threshold < min(to_score(photo.score) for photo in sure)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("", "black", "can't be a label's name"),
        ("  ", "black", "can't be a label's name"),
        ("a\x1bb", "black", "can't be a label's name"),
        ("x" * (MAX_NAME_LENGTH + 1), "black", "can't be a label's name"),
        ("night", "", "the text is empty"),
        ("night", " \n", "the text is empty"),
        ("RED", "black", "red is a label of toy already; give another name"),
    ],
)
def test_add_label_refuses_bad_names_and_texts_and_writes_nothing(seen, name, text, said):
    before = seen.under.rows()
    with pytest.raises(InputError, match=said):
        seen.asks.labels.add(name, text)
    assert seen.under.rows() == before


def test_add_label_refuses_a_taken_name(seen):
    seen.asks.labels.add("night", "black")
    with pytest.raises(InputError, match="night is a label of yours already"):
        seen.asks.labels.add("Night", "red")


def test_described_label_is_sampled_judged_and_reported(seen):
    seen.asks.labels.add("night", "black")
    drawn = seen.asks.samples.draw("night", 5)
    assert len(drawn.photos) == 5
    number = [p.path for p in drawn.photos].index(str(seen.folder / "black.png")) + 1
    label, told = seen.asks.samples.judge("night", [str(number)])
    assert (label.name, told.judged, told.positive) == ("night", 5, 1)
    report = seen.asks.report("night").to_json()
    assert (report["tp"], report["fp"], report["fn"], report["model"]) == (1, 1, 0, "yours")
    better = seen.asks.report("night", at_precision=1.0)
    seen.asks.labels.set_threshold(better.label, better.threshold)
    assert seen.find("night", query_mode="label") == ["black.png"]


def test_update_scores_new_photos_and_keeps_the_threshold(seen):
    label = seen.asks.labels.add("night", "black")
    seen.asks.labels.set_threshold(label, 0.9)
    seen.photo("dusk.png", (0, 0, 30))
    seen.photo("lamp.png", (250, 250, 0))
    seen.index()
    refresh(seen)
    assert seen.find("night", query_mode="label") == ["black.png", "dusk.png"]
    assert len(scores(seen, "night")) == 7
    (kept,) = [found for found in seen.asks.labels.list() if found.name == "night"]
    assert (kept.threshold, kept.saved, kept.id) == (0.9, True, label.id)
    seen.asks.labels.set_threshold(kept, None)
    assert seen.asks.labels.get("night").threshold == label.threshold


def test_index_scores_new_photos_by_descriptions(seen):
    """The whole way, by decoders in processes of their own."""
    seen.asks.labels.add("night", "black")
    seen.photo("dusk.png", (0, 0, 30))
    list(seen.asks.index(seen.folder, models=["toy"], workers=1, provider="cpu"))
    assert seen.find("night", query_mode="label") == ["black.png", "dusk.png", "wine.png"]


def test_new_photo_is_unknown_until_it_is_scored(seen):
    seen.asks.labels.add("night", "black")
    seen.photo("lamp.png", (255, 255, 0))
    seen.index()
    assert "lamp.png" not in seen.find("not night")
    refresh(seen)
    assert "lamp.png" in seen.find("not night")


def test_photo_without_a_vector_is_unknown(seen):
    seen.asks.labels.add("night", "black")
    with closing(sqlite3.connect(seen.under.db.path)) as db, db:
        db.execute("DELETE FROM vectors WHERE image_id = (SELECT image_id FROM photos WHERE name = 'green.png')")
    refresh(seen)
    assert sorted(seen.find("not night", min_score=0.9)) == ["blue.png", "red.png", "wine.png"]


def test_described_label_stays_with_its_model(seen, tmp_path):
    """Though another answers by now, whose vectors are others in the same space."""
    from library import Counting

    seen.asks.labels.add("night", "black")
    before = scores(seen, "night")
    other = write_toy(tmp_path / "other.onnx", card(name="other"), scale=1 / 510)
    seen.index(model=Counting(other, provider="cpu", threads=1))
    seen.asks.models.set_default("other")
    refresh(seen)
    assert scores(seen, "night") == before


def test_described_label_follows_its_model_to_a_new_file(seen, tmp_path):
    from library import Counting

    seen.asks.labels.add("night", "black")
    newer = write_toy(tmp_path / "toy.onnx", card(version="2"), scale=1 / 510)  # each colour half as bright
    seen.index(model=Counting(newer, provider="cpu", threads=1))
    refresh(seen)
    assert scores(seen, "night")["red.png"] == 0.85
    assert sorted(seen.find("not night", min_score=0.9)) == ["blue.png", "green.png", "red.png"]


def test_index_goes_on_without_the_text_model(seen, tmp_path):
    seen.asks.labels.add("night", "black")
    before = scores(seen, "night")
    (tmp_path / "toy-text.onnx").unlink()
    refresh(seen)
    assert scores(seen, "night") == before
    with pytest.raises(ModelError, match="no text model"):
        seen.asks.labels.add("dusk", "black")
    write_toy_text(tmp_path / "toy-text.onnx")
    refresh(seen)


def test_remove_label_keeps_its_marks(seen):
    seen.asks.labels.add("night", "black")
    seen.asks.marks.add(seen.folder / "black.png", positive=["night"])
    seen.asks.labels.remove("NIGHT")
    assert "night" not in [label.name for label in seen.asks.labels.list()]
    assert [t.present for t in seen.asks.marks.list("night")] == [True]
    assert seen.ask("night").ranked_by == "similarity"
    seen.asks.labels.add("night", "black")
    assert seen.asks.report("night").to_json()["tp"] == 1


def test_remove_label_refuses_a_models_label(seen):
    with pytest.raises(QueryError, match="no label of your own is called 'red'; known are none"):
        seen.asks.labels.remove("red")
    seen.asks.labels.add("night", "black")
    with pytest.raises(QueryError, match="no label of your own is called 'day'; known are night"):
        seen.asks.labels.remove("day")
    assert "red" in [label.name for label in seen.asks.labels.list()]


def test_user_model_cannot_be_the_default(seen):
    seen.asks.labels.add("night", "black")
    with pytest.raises(StoreError, match="yours has not indexed any photos in this library"):
        seen.asks.models.set_default("yours")
    with pytest.raises(QueryError, match="yours gives no vectors"):
        seen.ask("dark", query_mode="text", model="yours")
    assert seen.find("night", model="yours") == ["black.png", "wine.png"]
    assert find_space(seen.under.db, "yours") is None


def test_add_label_works_while_photos_come_and_go(seen):
    """The map was read before: a photo that went is passed over, one that came is unknown until the run ends."""
    from photosearch.search import user_labels

    with seen.asks._session.open_search() as search:
        (seen.folder / "green.png").unlink()
        seen.asks.forget([seen.folder / "green.png"])
        seen.photo("dusk.png", (0, 0, 30))
        seen.index()
        user_labels.add_label(seen.under.db, search, "night", "black")
    assert seen.find("night", query_mode="label") == ["black.png", "wine.png"]
    refresh(seen)
    assert seen.find("night", query_mode="label") == ["black.png", "dusk.png", "wine.png"]


def test_add_label_refuses_a_model_without_vectors(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path, toy_card()) as seen:
        with pytest.raises(QueryError, match="nothing is indexed yet"):
            seen.asks.labels.add("night", "black")
        seen.photo("red.png", RED)
        seen.index()
        with pytest.raises(QueryError, match="toy gives no vectors, so"):
            seen.asks.labels.add("night", "black")


def test_to_score_maps_similarities_to_0_1():
    assert [to_score(s) for s in (-1, 0, 1, -1.0001, 1.0001)] == [0, 0.5, 1, 0, 1]
