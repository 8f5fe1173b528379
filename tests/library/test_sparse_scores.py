"""Sparse scores, marks and samples, compared with a plain model in memory.

A scored image counts as 0 where its score is below min_score; an image that was not scored is left out. Scorers of one
model, with and without tiles, of an older and a newer file, become active for an image in turn; another model's scores
are independent of them.
"""

import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st
from test_properties import looking
from toy import POOLING, SPACE, toy_card

from photosearch.errors import InputError
from photosearch.judging import marking, metrics, sampling
from photosearch.judging.metrics import LabeledScore
from photosearch.judging.report import report_label
from photosearch.library import marks
from photosearch.library.database import Database
from photosearch.library.folders import add_root, put_folder
from photosearch.library.labels import read_labels, save_threshold
from photosearch.library.models import count_active, list_models, put_model, set_default_model
from photosearch.library.photos import FileRecord, mark_absent, put_image, put_photo
from photosearch.library.records import Label
from photosearch.library.scores import activate, find_inactive, put_prediction

DRAWN = 6
IMAGES = 9
SCORERS = {  # -> the model's name, its file, tiles, labels; in the order in which they come
    "older": ("m", "a", 0, ("bird", "dog")),
    "plain": ("m", "b", 0, ("bird", "cat")),
    "tiled": ("m", "b", 4, ("bird", "cat")),
    "other": ("o", "c", 0, ("bird",)),
}
LABELS = [("m", "bird"), ("m", "dog"), ("m", "cat"), ("o", "bird")]
numbers = st.sampled_from([0.0, 0.2, 0.25, 0.5, 1.0]) | st.floats(0, 1, width=32)
prediction = st.tuples(
    st.integers(1, IMAGES), st.sampled_from(list(SCORERS)),
    st.fixed_dictionaries(dict.fromkeys(("bird", "cat", "dog"), numbers)),
)  # fmt: skip
activation = st.tuples(st.integers(1, IMAGES), st.sampled_from(["plain", "tiled"]))
shown = st.lists(st.sampled_from(["present", "present", "removed", "excluded"]), max_size=3)
marked = st.dictionaries(st.tuples(st.sampled_from(["bird", "dog", "cat"]), st.integers(1, IMAGES)), st.booleans())


@dataclass
class Memory:
    """predictions: (image, scorer) -> label -> stored score. active: (image, model) -> the active scorer."""

    min_score: float
    photos: list[list[str]]
    predictions: dict[tuple[int, str], dict[str, float]] = field(default_factory=dict)
    active: dict[tuple[int, str], str] = field(default_factory=dict)
    vectors: dict[tuple[int, str], float] = field(default_factory=dict)
    marks: dict[tuple[str, int], bool] = field(default_factory=dict)

    def put(self, image: int, scorer: str, scores: dict[str, float]) -> dict[str, float]:
        """-> the scores that are stored."""
        name, file, _, labels = SCORERS[scorer]
        for other, (its_name, its_file, *_) in SCORERS.items():
            if its_name == name and its_file != file:
                self.predictions.pop((image, other), None)
                self.vectors.pop((image, its_file), None)
        self.predictions[image, scorer] = {k: v for k, v in scores.items() if k in labels and v >= self.min_score}
        self.active[image, name] = scorer
        self.vectors[image, file] = scores["bird"]
        return self.predictions[image, scorer]

    def score(self, image: int, label: Label) -> float | None:
        scorer = self.active.get((image, label.model))
        if scorer is None or label.name not in SCORERS[scorer][3]:
            return None
        return self.predictions[image, scorer].get(label.name, 0.0)

    def scored(self, label: Label) -> list[tuple[int, float]]:
        present = [i for i, states in enumerate(self.photos, 1) if "present" in states]
        return [(i, score) for i in present if (score := self.score(i, label)) is not None]

    def known(self, label: Label) -> list[tuple[str, bool, float | None]]:
        return [
            (path(image, k), self.marks[label.name, image], self.score(image, label))
            for image, states in enumerate(self.photos, 1)
            for k, state in enumerate(states)
            if state == "present" and (label.name, image) in self.marks
        ]


def path(image: int, copy: int) -> str:
    return f"/photos/{image}-{copy}.jpg"


def vector(number: float) -> bytes:
    return np.array([number, 0, 0, 1], np.float16).tobytes()


@pytest.mark.slow
@looking(30, phases=[Phase.generate], report_multiple_bugs=False)  # making a failure smaller takes minutes
@given(
    st.lists(shown, min_size=IMAGES, max_size=IMAGES), st.sampled_from([0.0, 0.25]),
    st.lists(prediction | activation, max_size=40), st.lists(prediction | activation, max_size=8), marked,
    st.integers(0, 3), numbers,
)  # fmt: skip
def test_sparse_scores_match_a_model_in_memory(photos, min_score, first, later, marked, seed, own):
    memory = Memory(min_score, photos, marks=marked)
    with tempfile.TemporaryDirectory() as folder, closing(Database(Path(folder) / "s.db", create=True)) as db:
        ids = {scorer: put_toy_model(db, scorer, min_score) for scorer in SCORERS}
        set_default_model(db, "m")
        put_photos(db, photos)
        act(db, memory, ids, first)
        labels = {(label.model, label.name): label for label in read_labels(db)}
        save_threshold(db, labels["m", "bird"], own)
        labels = {(label.model, label.name): label for label in read_labels(db)}
        drawn = {key: draw(db, memory, label, seed) for key, label in labels.items()}
        marks.put_marks(db, [(label, image, present) for (label, image), present in marked.items()])
        act(db, memory, ids, later)
        for label in read_labels(db):  # which may be more than before
            check_marks(db, memory, label)
            check_report(db, memory, label, drawn.get((label.model, label.name)))
        check_counts(db, memory)


def put_toy_model(db: Database, scorer: str, min_score: float) -> tuple[int, dict[str, int]]:
    name, file, tiles, labels = SCORERS[scorer]
    pooling = {"4": dict.fromkeys(labels, POOLING["4"]["red"])}
    card = toy_card(
        name=name, version=file, labels=labels, min_score=min_score, pooling=pooling, outputs=("scores", "vectors"),
        space=SPACE, dimensions=4,
    )  # fmt: skip
    return put_model(db, card, file, tiles)


def put_photos(db: Database, photos: list[list[str]]) -> None:
    scope = add_root(db, "/photos")
    top = put_folder(db, scope, "/photos")
    for image, states in enumerate(photos, 1):
        assert put_image(db, bytes([image]) * 32, 1, 1) == image
        for k, state in enumerate(states):
            put_photo(db, top, Path(path(image, k)).name, FileRecord(1, 1), image)
            if state != "present":
                (photo_id,) = db.one("SELECT max(id) FROM photos")
                mark_absent(db, [photo_id], state)


def act(db: Database, memory: Memory, ids: dict[str, tuple[int, dict[str, int]]], steps: list[Any]) -> None:
    for image, scorer, *scores in steps:
        model_id, label_ids = ids[scorer]
        with db.transaction():
            if scores:
                stored = memory.put(image, scorer, *scores)
                put_prediction(db, image, model_id, label_ids, stored, vector(scores[0]["bird"]))
            elif find_inactive(db, image, [model_id]):
                activate(db, image, model_id)
                assert memory.active[image, "m"] != scorer
                memory.active[image, "m"] = scorer
            else:
                assert (image, scorer) not in memory.predictions or memory.active[image, "m"] == scorer


def draw(db: Database, memory: Memory, label: Label, seed: int) -> list[tuple[int, float, int, int]] | None:
    """Draw a sample -> (image, score, stratum, population) of each photo, as the model in memory draws it."""
    scored = memory.scored(label)
    assert marks.list_scored_images(db, label) == scored
    if not scored:
        with pytest.raises(InputError, match="no photo has a score"):
            marking.draw_sample(db, label.name, DRAWN, seed=seed, model=label.model)
        return None
    expected = sampling.draw_photos([score for _, score in scored], DRAWN, label.threshold, seed=seed)
    rows = [(*scored[d.index], d.stratum, d.population) for d in expected]
    _, kept = marking.draw_sample(db, label.name, DRAWN, seed=seed, model=label.model)
    assert [(p.image_id, p.score, p.stratum, p.population) for p in kept.photos] == rows
    return rows


def check_marks(db: Database, memory: Memory, label: Label) -> None:
    assert marks.list_scored_images(db, label) == memory.scored(label)
    assert [(t.path, t.present, t.score) for t in marks.list_marks(db, label.name, scored=label)] == memory.known(label)


def check_report(
    db: Database, memory: Memory, label: Label, drawn: list[tuple[int, float, int, int]] | None
) -> None:  # fmt: skip
    known = memory.known(label)
    of = {t.path: t.image_id for t in marks.list_marks(db, label.name)}
    pictures = {of[row[0]]: row for row in reversed(known)}  # copies count once
    judged = [LabeledScore(p, s, present) for p, present, s in known if s is not None and pictures[of[p]][0] == p]
    if not judged:
        with pytest.raises(InputError):
            report_label(db, label.name, model=label.model)
        return
    expected = metrics.measure(label.name, judged, label.threshold).to_json()
    expected |= {"model": label.model, "not_scored": len(pictures) - len(judged), "copies": len(known) - len(pictures),
              "used_for_training": 0}  # fmt: skip
    judged_photos = [
        sampling.JudgedPhoto(before if (now := memory.score(i, label)) is None else now, stratum, size,
                        memory.marks.get((label.name, i)))
        for i, before, stratum, size in drawn or []
    ]  # fmt: skip
    if any(a.present is not None for a in judged_photos):
        kept = marks.find_sample(db, label)
        assert kept is not None
        estimate = sampling.estimate([judged_photos], label.threshold, seed=kept.seed)
        expected["library"] = {"label": label.name, **estimate.to_json(), "sheets": [kept.id], "sheets_left_out": []}
    assert report_label(db, label.name, model=label.model).to_json() == expected


def check_counts(db: Database, memory: Memory) -> None:
    scored = {scorer: sum(s == scorer for _, s in memory.predictions) for scorer in SCORERS}
    images = {(m.name, m.digest, m.tiles): m.images for m in list_models(db)}
    assert {scorer: images[key[:3]] for scorer, key in SCORERS.items()} == scored
    for name in ("m", "o"):
        assert count_active(db, name) == sum(model == name for _, model in memory.active)
    rows = db.rows("SELECT v.image_id, m.digest, v.vector FROM vectors v JOIN models m ON m.id = v.model_id")
    assert {(image, file): kept for image, file, kept in rows} == {
        key: vector(number) for key, number in memory.vectors.items()
    }
    assert len(rows) == len(memory.vectors)
    inactive = "SELECT model_id, image_id FROM scored WHERE NOT active"
    assert db.rows(f"SELECT * FROM inactive_scores WHERE (model_id, image_id) NOT IN ({inactive})") == []
