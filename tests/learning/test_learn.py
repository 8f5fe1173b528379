"""Labels learned from marks: kept where they are better, undone, and given to photos that come later."""

import numpy as np
import pytest
from embedding_library import card, open_seen
from library import Counting
from toy import write_toy

from photosearch.errors import InputError, QueryError
from photosearch.library import classifiers

N = 14  # photos of a kind


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Dark photos, bright red ones and nearly white ones, each of another shade."""
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
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
        seen.asks.marks.add(paths, **{"positive" if present else "negative": [label]}, new=True)


def kinds(names):
    return {name[:-6] for name in names}


def test_a_new_label_is_learned_and_finds_what_was_not_marked(seen):
    mark(seen, "my night", "dark", "red white", 6)
    learned = seen.asks.labels.learn("my  night")
    assert (learned.kept, learned.label.name, learned.label.model, learned.label.threshold) == (
        "learned", "my night", "yours", 0.5,
    )  # fmt: skip
    found = seen.find("my night")
    assert kinds(found) == {"dark"}
    assert len(found) > 10
    told = learned.told
    assert (told["tp"] + told["fn"], told["fp"] + told["tn"], told["marked_yes"], told["marked_no"]) == (6, 12, 6, 12)
    assert (told["recall"], told["vectors_of"], told["corrects"], told["of_the_library"]) == (
        pytest.approx(0.8, abs=0.2), "toy", None, False,
    )  # fmt: skip
    assert told["intervals"]["recall"][0] < told["recall"] <= told["intervals"]["recall"][1]
    assert (told["pictures"], told["found"]) == (3 * N, len(found))
    assert "6 marked yes and 12 no, none of them drawn by `sample`" in told["rests_on"]
    described = seen.asks.labels.describe("my night")
    assert (described["rests_on"], described["learned"]["kept"]) == (told["rests_on"], "learned")


def test_a_photo_that_comes_later_gets_it_too(seen):
    mark(seen, "my night", "dark", "red white")
    seen.asks.labels.learn("my night")
    seen.photo("dusk.png", (15, 25, 20))
    seen.photo("snow.png", (240, 245, 250))
    assert "dusk.png" not in seen.find("my night")
    list(seen.asks.index(seen.folder, models=["toy"], workers=1, provider="cpu"))
    assert "dusk.png" in seen.find("my night")
    assert "snow.png" in seen.find("not my night")


def test_a_label_that_errs_is_corrected_and_comes_before_the_models_own(seen):
    """The toy calls white photos red, as red as the red ones."""
    assert kinds(seen.find("red")) == {"red", "white"}
    mark(seen, "red", "red", "white")
    learned = seen.asks.labels.learn("red")
    assert learned.kept == "learned"
    assert learned.told["corrects"] == "toy"
    assert learned.told["before"]["average_precision"] < learned.told["average_precision"]
    assert learned.told["before"]["found"] == 2 * N
    assert abs(learned.told["found"] - 2 * N) <= 2, "about as many as before, better ranked"
    right = [sum("red" in name for name in seen.find("red", limit=N, model=m)) for m in (None, "toy")]
    assert right[0] > right[1]
    assert seen.ask("red").models == ("yours",)
    assert seen.ask("red", model="toy").models == ("toy",)
    assert seen.asks.labels.list()[0].name == "red"


def test_a_label_that_is_right_already_is_kept_and_it_is_said_why(seen):
    seen.asks.labels.add("night", "black")
    seen.asks.labels.set_threshold(seen.asks.labels.get("night"), 0.6)
    mark(seen, "night", "dark", "red white")
    before = seen.find("night")
    learned = seen.asks.labels.learn("night")
    assert (learned.kept, learned.label.saved, learned.told["kept"]) == ("before", True, "before")
    assert "of the label that stood, by yours" in learned.why
    assert classifiers.list_classifiers(seen.under.db) == []
    assert seen.find("night") == before


def test_undo_brings_back_what_was_there(seen):
    mark(seen, "red", "red", "white")
    rows, found = seen.under.rows(), seen.find("red")
    seen.asks.labels.learn("red")
    assert seen.asks.labels.undo_learning("RED").model == "toy"
    assert seen.find("red") == found
    assert {name: rows[name] for name in ("labels", "scores", "marks")} == {
        name: seen.under.rows()[name] for name in ("labels", "scores", "marks")
    }
    with pytest.raises(QueryError, match="red was not learned; what was: none"):
        seen.asks.labels.undo_learning("red")


def test_a_new_label_that_is_undone_is_gone_and_its_marks_stay(seen):
    mark(seen, "my night", "dark", "white")
    seen.asks.labels.learn("my night")
    assert seen.asks.labels.undo_learning("my night") is None
    assert "my night" not in [label.name for label in seen.asks.labels.list()]
    assert len(seen.asks.marks.list("my night")) == 20


def test_a_description_that_was_replaced_is_one_again_after_an_undo(seen):
    seen.asks.labels.add("mine", "green")  # which none of these is
    seen.asks.labels.set_threshold(seen.asks.labels.get("mine"), 0.4)
    before = [(f.path, f.score) for f in seen.ask("mine", min_score=0).found]
    mark(seen, "mine", "dark", "red white")
    assert seen.asks.labels.learn("mine").kept == "learned"
    assert (seen.asks.labels.get("mine").threshold, seen.asks.labels.get("mine").saved) == (0.5, False)
    seen.asks._session.rescore()  # what an index run does at its end
    assert kinds(seen.find("mine")) == {"dark"}
    assert seen.asks.labels.undo_learning("mine").threshold == 0.4
    assert [(f.path, f.score) for f in seen.ask("mine", min_score=0).found] == before


def test_more_marks_make_a_second_head_only_if_it_is_better_and_undo_goes_step_by_step(seen):
    mark(seen, "my night", "dark", "white", 5)
    seen.asks.labels.learn("my night")
    first = [(f.path, f.score) for f in seen.ask("my night", min_score=0).found]
    mark(seen, "my night", "dark", "red white", 12)
    again = seen.asks.labels.learn("my night")
    assert again.told["before"]["model"] == "yours"
    assert again.kept == "before", "all marks are told apart already"
    assert [(f.path, f.score) for f in seen.ask("my night", min_score=0).found] == first
    mark(seen, "my night", "red", "dark", 12)  # the meaning has changed
    assert seen.asks.labels.learn("my night").kept == "learned"
    assert kinds(seen.find("my night", limit=10)) == {"red"}
    assert seen.asks.labels.undo_learning("my night").model == "yours"
    assert [(f.path, round(f.score, 6)) for f in seen.ask("my night", min_score=0).found] == [
        (path, round(score, 6)) for path, score in first
    ]


def test_the_report_counts_marks_by_heads_that_had_not_seen_them(seen):
    rng = np.random.default_rng(5)
    names = [f"{kind}{i:02}.png" for kind in ("dark", "red", "white") for i in range(N)]
    for name in names:  # marked at random: nothing can be learned
        side = "positive" if rng.random() < 0.5 else "negative"
        seen.asks.marks.add(seen.folder / name, **{side: ["luck"]}, new=True)
    seen.asks.labels.learn("luck")
    told = seen.asks.report("luck").told
    assert (told["n"], told["taught"]) == (3 * N, 3 * N)
    taught = classifiers.read_training_marks(seen.under.db, seen.asks.labels.get("luck"))
    scores = [score for _, score in taught.values()]
    assert told["tp"] + told["fp"] == sum(score >= 0.5 for score in scores)
    assert told["average_precision"] < 0.8


def test_marks_that_a_sample_drew_decide_alone_and_speak_of_the_library(seen):
    drawn = seen.asks.samples.draw("red", 36)
    numbers = [str(p.number) for p in drawn.photos if p.path and "red" in p.path.rpartition("/")[2]]
    seen.asks.samples.judge("red", numbers)
    learned = seen.asks.labels.learn("red")
    assert learned.told["of_the_library"]
    assert "that `sample` drew from the library" in learned.told["rests_on"]
    assert learned.kept == "learned"
    assert kinds(seen.find("red")) == {"red"}, "drawn marks choose the threshold, too"
    report = seen.asks.report("red").told
    assert report["library"]["sheets"] == [drawn.id]
    assert report["library"]["precision"] > 0.9


@pytest.mark.parametrize(("yes", "no", "said"), [(3, 10, "3 marked yes and 10 no"), (10, 0, "10 marked yes and 0 no")])
def test_too_few_marks_are_refused_and_it_is_said_how_to_make_more(seen, yes, no, said):
    mark(seen, "my night", "dark", "", yes)
    mark(seen, "my night", "", "white", no)
    before = seen.under.rows()
    with pytest.raises(InputError, match=rf"{said}.*at least 5 each are needed.*--is 'my night'"):
        seen.asks.labels.learn("my night")
    assert seen.under.rows() == before


def test_what_was_never_marked_is_no_label(seen):
    with pytest.raises(
        QueryError,
        match=r"no label 'my nigth'.*a new one is marked first: photosearch mark PHOTO --is 'my nigth' --new",
    ):
        seen.asks.labels.learn("my nigth")
    with pytest.raises(QueryError, match="for a label of your own that is new, add --new"):
        seen.asks.marks.add(seen.folder / "red00.png", positive=["my night"])


def test_a_new_file_of_the_model_is_learned_from_the_same_marks(seen, tmp_path):
    mark(seen, "my night", "dark", "red white")
    seen.asks.labels.learn("my night")
    newer = write_toy(tmp_path / "toy.onnx", card(version="2"), scale=1 / 510)  # each colour half as bright
    seen.index(model=Counting(newer, provider="cpu", threads=1))
    seen.asks._session.rescore()
    (head,) = classifiers.list_classifiers(seen.under.db)
    assert head.digest == Counting(newer, provider="cpu", threads=1).digest
    assert kinds(seen.find("my night")) == {"dark"}


def test_a_label_that_was_learned_can_be_removed(seen):
    mark(seen, "my night", "dark", "white")
    seen.asks.labels.learn("my night")
    seen.asks.labels.remove("my night")
    assert classifiers.list_classifiers(seen.under.db) == []
    assert seen.ask("my night").by == "similarity"


def test_what_is_forgotten_leaves_no_trace_in_what_was_learned(seen):
    mark(seen, "my night", "dark", "white")
    seen.asks.labels.learn("my night")
    seen.asks.forget([seen.folder / "dark00.png"])
    assert len(classifiers.read_training_marks(seen.under.db, seen.asks.labels.get("my night"))) == 19
    seen.asks.forget(None)
    assert classifiers.list_classifiers(seen.under.db) == []
