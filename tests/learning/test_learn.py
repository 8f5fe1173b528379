"""Labels learned from marks: kept where they are better, undone, and applied to new photos."""

import numpy as np
import pytest
from embedding_library import card, open_seen
from library import Counting
from PIL import Image
from toy import toy_card, write_toy

from photosearch.errors import InputError, QueryError, StoreError
from photosearch.learning import choose, learn
from photosearch.library import classifiers
from photosearch.library.scores import read_scores

N = 14  # photos of a kind


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Dark photos, bright red ones and nearly white ones, each of another shade."""
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    monkeypatch.setattr(choose, "DRAWS", 100)  # of photos that are told apart easily
    with open_seen(tmp_path) as seen:
        for i in range(N):
            seen.photo(f"dark{i:02}.png", (10 + i, 20 + (5 * i) % 17, 30 - i))
            seen.photo(f"red{i:02}.png", (250 - i, 20 + 3 * i, 10 + (7 * i) % 40))
            seen.photo(f"white{i:02}.png", (250 - (3 * i) % 11, 235 + i, 230 + (5 * i) % 13))
        seen.index()
        yield seen


def mark(seen, label, yes, no, n=10):
    for kind, present in ((yes, True), (no, False)):
        paths = [seen.folder / f"{name}{i:02}.png" for name in kind.split() for i in range(n)]
        if paths:
            seen.asks.marks.add(paths, **{"positive" if present else "negative": [label]}, new=True)


def kinds(names):
    return {name[:-6] for name in names}


def test_learn_new_label_finds_unmarked_photos(seen):
    mark(seen, "my night", "dark", "red white", 6)
    learned = seen.asks.labels.learn("my  night")
    assert (learned.kept, learned.label.name, learned.label.model, learned.label.threshold) == (
        "learned", "my night", "yours", 0.5,
    )  # fmt: skip
    found = seen.find("my night", query_mode="label")
    assert kinds(found) == {"dark"}
    assert len(found) > 10
    told = learned.to_json()
    assert (told["tp"] + told["fn"], told["fp"] + told["tn"], told["marked_yes"], told["marked_no"]) == (6, 12, 6, 12)
    assert (told["recall"], told["vectors_of"], told["corrects"], told["of_the_library"]) == (
        pytest.approx(0.8, abs=0.2), "toy", None, False,
    )  # fmt: skip
    assert told["intervals"]["recall"][0] < told["recall"] <= told["intervals"]["recall"][1]
    assert (told["pictures"], told["found"]) == (3 * N, len(found))
    assert "6 marked yes and 12 no, none of them drawn by `sample`" in told["rests_on"]
    described = seen.asks.labels.describe("my night").to_json()
    assert (described["rests_on"], described["learned"]["kept"]) == (told["rests_on"], "learned")


def test_index_scores_new_photos_by_learned_labels(seen):
    mark(seen, "my night", "dark", "red white")
    seen.asks.labels.learn("my night")
    seen.photo("dusk.png", (15, 25, 20))
    seen.photo("snow.png", (240, 245, 250))
    assert "dusk.png" not in seen.find("my night", query_mode="label")
    list(seen.asks.index(seen.folder, models=["toy"], workers=1, provider="cpu"))
    assert "dusk.png" in seen.find("my night", query_mode="label")
    assert "snow.png" in seen.find("not my night", query_mode="label")


def test_learn_corrects_a_models_label_and_replaces_it(seen):
    """The toy calls white photos red, as red as the red ones."""
    assert kinds(seen.find("red", query_mode="label")) == {"red", "white"}
    mark(seen, "red", "red", "white")
    learned = seen.asks.labels.learn("red")
    assert learned.kept == "learned"
    assert learned.report.corrects == "toy"
    assert learned.report.before.metrics.average_precision < learned.report.metrics.average_precision
    assert learned.report.before.found == 2 * N
    assert abs(learned.report.found - 2 * N) <= 2, "about as many as before, better ranked"
    right = [sum("red" in name for name in seen.find("red", limit=N, model=m)) for m in (None, "toy")]
    assert right[0] > right[1]
    assert seen.ask("red").models == ("yours",)
    assert seen.ask("red", model="toy").models == ("toy",)
    assert seen.asks.labels.list()[0].name == "red"


def test_learn_keeps_a_better_label_and_says_why(seen):
    seen.asks.labels.add("night", "black")
    seen.asks.labels.set_threshold(seen.asks.labels.get("night"), 0.6)
    mark(seen, "night", "dark", "red white")
    before = seen.find("night", query_mode="label")
    learned = seen.asks.labels.learn("night")
    assert (learned.kept, learned.label.saved, learned.to_json()["kept"]) == ("before", True, "before")
    assert "of the label before, by yours" in learned.report.why
    assert classifiers.list_classifiers(seen.under.db) == []
    assert seen.find("night", query_mode="label") == before


def test_undo_learning_restores_the_label_before(seen):
    mark(seen, "red", "red", "white")
    rows, found = seen.under.rows(), seen.find("red", query_mode="label")
    seen.asks.labels.learn("red")
    assert seen.asks.labels.undo_learning("RED").model == "toy"
    assert seen.find("red", query_mode="label") == found
    assert {name: rows[name] for name in ("labels", "scores", "marks")} == {
        name: seen.under.rows()[name] for name in ("labels", "scores", "marks")
    }
    with pytest.raises(QueryError, match="red was not learned; learned labels: none"):
        seen.asks.labels.undo_learning("red")


def test_undo_learning_of_a_new_label_keeps_its_marks(seen):
    mark(seen, "my night", "dark", "white")
    seen.asks.labels.learn("my night")
    assert seen.asks.labels.undo_learning("my night") is None
    assert "my night" not in [label.name for label in seen.asks.labels.list()]
    assert len(seen.asks.marks.list("my night")) == 20


def test_undo_learning_restores_a_description(seen):
    seen.asks.labels.add("mine", "green")  # which none of these is
    seen.asks.labels.set_threshold(seen.asks.labels.get("mine"), 0.4)
    before = [(f.path, f.score) for f in seen.ask("mine", min_score=0)]
    mark(seen, "mine", "dark", "red white")
    assert seen.asks.labels.learn("mine").kept == "learned"
    assert (seen.asks.labels.get("mine").threshold, seen.asks.labels.get("mine").saved) == (0.5, False)
    seen.asks._session.rescore()  # what an index run does at its end
    assert kinds(seen.find("mine", query_mode="label")) == {"dark"}
    assert seen.asks.labels.undo_learning("mine").threshold == 0.4
    assert [(f.path, f.score) for f in seen.ask("mine", min_score=0)] == before


def test_label_is_scored_again_where_undoing_its_learning_was_cut_off(seen, monkeypatch):
    """The classifier is gone then, and its scores are not: the next run computes them."""
    seen.asks.labels.add("mine", "green")
    before = [(f.path, f.score) for f in seen.ask("mine", min_score=0)]
    mark(seen, "mine", "dark", "red white")
    assert seen.asks.labels.learn("mine").kept == "learned"
    seen.asks._session.rescore()
    with monkeypatch.context() as patch:
        patch.setattr(learn, "update_described", raise_full)
        with pytest.raises(StoreError):
            seen.asks.labels.undo_learning("mine")
    assert [(f.path, f.score) for f in seen.ask("mine", min_score=0)] != before
    seen.asks._session.rescore()
    assert [(f.path, f.score) for f in seen.ask("mine", min_score=0)] == before


def raise_full(*_):
    raise StoreError("the disk is full")


def test_each_learned_label_is_scored_by_the_vectors_of_its_own_model(seen, tmp_path):
    """Those of the other have the same length, and would give numbers, too."""
    other = write_toy(tmp_path / "other.onnx", card(name="other"), scale=1 / 510)  # each colour half as bright
    seen.index(model=Counting(other, provider="cpu", threads=1))
    for label, model, yes, no in (("my night", "toy", "dark", "red white"), ("glow", "other", "red", "dark white")):
        mark(seen, label, yes, no, 6)
        assert seen.asks.labels.learn(label, model=model).kept == "learned"
    before = [scores_of(seen, label) for label in ("my night", "glow")]
    assert learn.update_learned(seen.under.db, seen.asks._session.open_search)
    assert [scores_of(seen, label) for label in ("my night", "glow")] == before


def scores_of(seen, name):
    """image id -> the stored score, to six digits."""
    ids, scores = read_scores(seen.under.db, seen.asks.labels.get(name))
    return {image_id: round(float(score), 6) for image_id, score in zip(ids, scores, strict=True)}


def test_label_of_a_model_that_is_gone_keeps_its_scores_and_is_tried_again(seen):
    mark(seen, "my night", "dark", "red white")
    seen.asks.labels.learn("my night")
    before = scores_of(seen, "my night")

    def fail(model):
        raise QueryError(f"{model} gives no vectors")

    assert not learn.update_learned(seen.under.db, fail)
    assert scores_of(seen, "my night") == before


def test_learn_again_keeps_the_better_and_undo_goes_step_by_step(seen):
    mark(seen, "my night", "dark", "white", 5)
    seen.asks.labels.learn("my night")
    first = [(f.path, f.score) for f in seen.ask("my night", min_score=0)]
    mark(seen, "my night", "dark", "red white", 12)
    again = seen.asks.labels.learn("my night")
    assert again.report.before.model == "yours"
    assert again.kept == "before", "all marks are told apart already"
    assert [(f.path, f.score) for f in seen.ask("my night", min_score=0)] == first
    mark(seen, "my night", "red", "dark", 12)  # the meaning has changed
    assert seen.asks.labels.learn("my night").kept == "learned"
    assert kinds(seen.find("my night", limit=10, query_mode="label")) == {"red"}
    assert seen.asks.labels.undo_learning("my night").model == "yours"
    assert [(f.path, round(f.score, 6)) for f in seen.ask("my night", min_score=0)] == [
        (path, round(score, 6)) for path, score in first
    ]


def test_report_uses_cross_validated_scores_of_training_marks(seen):
    rng = np.random.default_rng(5)
    names = [f"{kind}{i:02}.png" for kind in ("dark", "red", "white") for i in range(N)]
    for name in names:  # marked at random: nothing can be learned
        side = "positive" if rng.random() < 0.5 else "negative"
        seen.asks.marks.add(seen.folder / name, **{side: ["luck"]}, new=True)
    seen.asks.labels.learn("luck")
    told = seen.asks.report("luck").to_json()
    assert (told["n"], told["used_for_training"]) == (3 * N, 3 * N)
    taught = classifiers.read_training_marks(seen.under.db, seen.asks.labels.get("luck"))
    scores = [score for _, score in taught.values()]
    assert told["tp"] + told["fp"] == sum(score >= 0.5 for score in scores)
    assert told["average_precision"] < 0.8


def test_learn_again_compares_with_cross_validated_scores(seen):
    rng = np.random.default_rng(5)
    for name in [f"{kind}{i:02}.png" for kind in ("dark", "red", "white") for i in range(N)]:
        label = "positive" if rng.random() < 0.5 else "negative"
        seen.asks.marks.add(seen.folder / name, **{label: ["luck"]}, new=True)
    first = seen.asks.labels.learn("luck").report
    before = seen.asks.labels.learn("luck").report.before
    assert before.metrics.average_precision == pytest.approx(first.metrics.average_precision)


def test_learn_uses_sampled_marks_alone_where_enough(seen):
    drawn = seen.asks.samples.draw("red", 36)
    numbers = [str(p.number) for p in drawn.photos if p.path and "red" in p.path.rpartition("/")[2]]
    seen.asks.samples.judge("red", numbers)
    learned = seen.asks.labels.learn("red")
    assert learned.report.of_the_library
    assert "that `sample` drew from the library" in learned.report.rests_on
    assert learned.kept == "learned"
    assert kinds(seen.find("red", query_mode="label")) == {"red"}, "drawn marks choose the threshold, too"
    report = seen.asks.report("red").to_json()
    assert report["library"]["sheets"] == [drawn.id]
    assert report["library"]["precision"] > 0.9


@pytest.mark.parametrize(("yes", "no", "said"), [(3, 10, "3 marked yes and 10 no"), (10, 0, "10 marked yes and 0 no")])
def test_learn_refuses_too_few_marks_and_says_how_to_add_some(seen, yes, no, said):
    mark(seen, "my night", "dark", "", yes)
    mark(seen, "my night", "", "white", no)
    before = seen.under.rows()
    with pytest.raises(InputError, match=rf"{said}.*at least 5 each are needed.*--is 'my night'"):
        seen.asks.labels.learn("my night")
    assert seen.under.rows() == before


def test_nothing_is_learned_from_pictures_that_look_alike(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path) as seen:
        for i in range(2 * N):
            Image.new("RGB", (16 + i, 16), "red").save(seen.photo(f"{'ab'[i % 2]}{i // 2:02}.png", (255, 0, 0)))
        seen.index()
        mark(seen, "mine", "a", "b")
        with pytest.raises(InputError, match="all pictures here have the same vector, so nothing can be learned"):
            seen.asks.labels.learn("mine")


def test_learn_refuses_an_unmarked_label(seen):
    with pytest.raises(
        QueryError,
        match=r"no label 'my nigth'.*a new one is marked first: photosearch mark PHOTO\.\.\. --is 'my nigth' --new",
    ):
        seen.asks.labels.learn("my nigth")
    with pytest.raises(QueryError, match="for a label of your own that is new, add --new"):
        seen.asks.marks.add(seen.folder / "red00.png", positive=["my night"])


def test_update_learns_again_for_a_new_model_file(seen, tmp_path):
    mark(seen, "my night", "dark", "red white")
    seen.asks.labels.learn("my night")
    newer = write_toy(tmp_path / "toy.onnx", card(version="2"), scale=1 / 510)  # each colour half as bright
    seen.index(model=Counting(newer, provider="cpu", threads=1))
    seen.asks._session.rescore()
    (head,) = classifiers.list_classifiers(seen.under.db)
    assert head.digest == Counting(newer, provider="cpu", threads=1).digest
    assert kinds(seen.find("my night", query_mode="label")) == {"dark"}


def test_remove_label_removes_a_learned_label(seen):
    mark(seen, "my night", "dark", "white")
    seen.asks.labels.learn("my night")
    seen.asks.labels.remove("my night")
    assert classifiers.list_classifiers(seen.under.db) == []
    assert seen.ask("my night").ranked_by == "similarity"


def test_forget_removes_photos_from_the_training_marks(seen):
    mark(seen, "my night", "dark", "white")
    seen.asks.labels.learn("my night")
    seen.asks.forget([seen.folder / "dark00.png"])
    assert len(classifiers.read_training_marks(seen.under.db, seen.asks.labels.get("my night"))) == 19
    seen.asks.forget(None)
    assert classifiers.list_classifiers(seen.under.db) == []


# ---- before it is learned


def test_preview_tells_what_learning_would_find_and_stores_nothing(seen):
    mark(seen, "my night", "dark", "red white", 6)
    rows = seen.under.rows()
    preview = seen.asks.labels.preview_learning("My  Night")
    assert seen.under.rows() == rows
    assert "my night" not in [label.name for label in seen.asks.labels.list()]
    learned = seen.asks.labels.learn("my night")
    assert preview.report == learned.report
    assert (preview.found, preview.found_before, preview.removed) == (learned.report.found, None, ())
    unmarked = [f for f in seen.ask("my night", query_mode="label") if int(f.path[-6:-4]) >= 6]
    assert [photo.path for photo in preview.added] == [f.path for f in unmarked]
    assert [round(photo.score, 4) for photo in preview.added] == [round(f.score, 4) for f in unmarked]
    assert len(seen.asks.labels.preview_learning("my night", limit=1).added) <= 1


def test_preview_compares_with_the_label_before(seen):
    mark(seen, "red", "red", "white")
    before = set(seen.find("red"))
    preview = seen.asks.labels.preview_learning("red", limit=100)
    seen.asks.labels.learn("red")
    after = set(seen.find("red"))
    assert (preview.found_before, preview.found) == (len(before), len(after))
    assert set(seen.names(preview.added)) == {name for name in after - before if int(name[-6:-4]) >= 10}
    assert set(seen.names(preview.removed)) == before - after
    again = seen.asks.labels.preview_learning("red")
    assert (again.report.kept, again.added, again.removed) == ("before", (), ())
    assert again.found == again.found_before == len(after)


def test_readiness_says_which_step_comes_next(seen):
    def state():
        ready = seen.asks.labels.check_readiness("My nights")
        return ready.yes, ready.no, ready.exists, ready.is_ready, ready.is_learned, ready.next_step.rpartition(": ")[2]

    assert state()[:5] == (0, 0, False, False, False)
    mark(seen, "my night", "dark", "", 6)
    assert state() == (6, 0, False, False, False, "photosearch mark PHOTO... --not 'my night'")
    mark(seen, "my night", "", "white", 4)
    assert not state()[3]
    mark(seen, "my night", "", "white", 5)
    assert state() == (6, 5, False, True, False, "photosearch learn 'my night'")
    seen.asks.labels.learn("my night")
    assert state()[:5] == (6, 5, True, False, True)
    mark(seen, "my night", "dark", "", 8)
    assert state() == (8, 5, True, True, True, "photosearch learn 'my night'"), "there are more marks by now"


def test_readiness_needs_vectors(seen, tmp_path):
    other = Counting(write_toy(tmp_path / "other.onnx", toy_card(name="other")), provider="cpu", threads=1)
    seen.index(model=other)
    mark(seen, "red", "red", "white")
    seen.asks.models.set_default("other")
    ready = seen.asks.labels.check_readiness("red")
    assert (ready.has_vectors, ready.is_ready) == (False, False)
    assert "no vectors" in ready.next_step
    assert seen.asks.labels.check_readiness("red", model="toy").is_ready
