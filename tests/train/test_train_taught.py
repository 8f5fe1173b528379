"""The teachers: the detector's boxes, made captions, taught heads and labels."""

import random
from pathlib import Path

import numpy as np
import pytest

from train.recipes import detector, ground_truth, made_captions, taught, vocabulary
from train.recipes.features import Example
from train.recipes.sight import TABLES


def test_read_cells_places_boxes_and_keeps_the_best_of_two_that_overlap():
    cells = np.zeros((3549, 85), np.float32)
    first_of_coarse = 52 * 52 + 26 * 26
    for row, score in ((first_of_coarse + 13 * 6 + 6, 0.9), (first_of_coarse + 13 * 6 + 7, 0.6)):
        cells[row, 2:4] = np.log(6.5)  # half the picture
        cells[row, 4], cells[row, 5 + 16] = 1, score
    best, boxes = detector.read_cells(cells)
    assert best[16] == pytest.approx(0.9)
    ((thing, score, area),) = boxes
    assert detector.THINGS[thing] == "dog"
    assert score == pytest.approx(0.9)
    assert area == pytest.approx(0.25, abs=1e-3)


def test_two_boxes_apart_are_two_things():
    corners = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [1, 1, 10, 10]], np.float32)
    assert detector.choose_boxes(corners, np.array([0.5, 0.9, 0.8], np.float32)) == [1, 2]


@pytest.mark.parametrize(
    ("thing", "n", "text"),
    [("dog", 1, "a dog"), ("umbrella", 1, "an umbrella"), ("person", 2, "two people"), ("knife", 3, "three knives")],
)
def test_name_many_counts(thing, n, text):
    assert made_captions.name_many(thing, n, random.Random(1)) == text


def test_describe_looks_names_only_what_was_seen():
    boxes = np.array([[0, 0, 0.9, 0.2], [0, 0, 0.8, 0.1], [0, 16, 0.7, 0.3], [1, 2, 0.1, 0.5]], np.float32)
    looks = detector.Looks(np.zeros((2, 80), np.float32), boxes)
    rows, captions = made_captions.describe_looks(looks, per_picture=20, seed=1)
    assert set(rows) == {0}  # the car's score is too low
    assert set(" ".join(captions).split()) <= set("a photo of picture with next to and two people dog".split())
    assert any("dog" in c for c in captions)


def test_describe_scenes_has_every_text_of_one_scene_after_another():
    texts = made_captions.describe_scenes(["abbey", "kitchen"])
    assert len(texts) == 2 * len(made_captions.SCENE_TEXTS)
    assert texts[len(texts) // 2 :][:2] == ["kitchen", "a kitchen"]
    assert "in an abbey" in texts


def test_count_people_counts_boxes_of_people_alone():
    boxes = np.array([[0, 0, 0.9, 0.1]] * 3 + [[1, 0, 0.9, 0.1], [1, 16, 0.9, 0.1]], np.float32)
    answers = taught.count_people(detector.Looks(np.zeros((2, 80), np.float32), boxes))
    assert answers[:, 80:].tolist() == [[1, 1, 0], [0, 0, 0]]


def test_taught_labels_are_in_the_table_with_what_is_above_them():
    rows, synonyms = vocabulary.read(TABLES)
    names = [row.name for row in rows]
    assert names == list(dict.fromkeys(names))
    assert {row.name for row in taught.read()} <= set(names)
    parents = {row.name: row.parents for row in rows}
    assert parents["crowd"] == ("group of people",)
    assert parents["kitchen"] == ("indoors",)
    assert synonyms["women"] == "woman"
    assert vocabulary.list_classes(rows)["person"] == frozenset()


@pytest.mark.slow
def test_fit_heads_learns_what_each_teacher_says():
    rng = np.random.default_rng(0)
    pictures = {n: rng.normal(size=(400, 12)).astype(np.float32) for n in ("flickr8k", "caltech-101", "coco", "cub")}
    pictures["miniplaces"] = rng.normal(size=(800, 12)).astype(np.float32)
    pictures["cub"] += 3 * np.eye(12, dtype=np.float32)[11]
    pictures["caltech-101"] += 3 * np.eye(12, dtype=np.float32)[11]
    answers = {n: np.zeros((400, 83), np.float32) for n in ("flickr8k", "caltech-101", "coco")}
    answers["miniplaces"] = np.zeros((200, 83), np.float32)
    for name, values in answers.items():
        x = pictures[name][:: taught.LOOKED_AT] if name == "miniplaces" else pictures[name]
        values[:, 16] = x[:, 0] > 0
    answers["captions"] = (pictures["flickr8k"][:, [1]] > 0).astype(np.float32)
    scenes = (pictures["miniplaces"][:, 2] > 0).astype(np.int64)
    heads = taught.fit_heads(
        pictures, answers, scenes, np.zeros(12), np.ones(12), steps=200, learning_rate=0.03, batch=128
    )
    assert heads.columns == (83, 3, 1)
    x = rng.normal(size=(300, 12)).astype(np.float32)
    chances = taught.compute_chances(x, heads)
    assert np.mean((chances[:, 16] > 0.5) == (x[:, 0] > 0)) > 0.75
    assert np.mean(chances[:, 83:85].argmax(1) == (x[:, 2] > 0)) > 0.75
    assert np.mean((chances[:, 86] > 0.5) == (x[:, 1] > 0)) > 0.75
    np.testing.assert_allclose(chances[:, 83:86].sum(1), 1, atol=1e-5)
    rows = [
        taught.Taught("dog", "things", ("dog",), ()), taught.Taught("indoors", "scenes", ("a", "b"), ()),
        taught.Taught("snow", "captions", ("snow",), ()), taught.Taught("people", "counts", ("2",), ()),
    ]  # fmt: skip
    sums = taught.combine(rows, ["a", "b"], [rows[2]])
    assert np.argwhere(sums).tolist() == [[16, 0], [80, 3], [83, 1], [84, 1], [86, 2]]


def test_captions_and_classes_overrule_the_detector():
    rows, synonyms = vocabulary.read(TABLES)
    tables = ground_truth.make_tables(rows, synonyms)
    labels = [row for row in taught.read() if row.name in ("cat", "horse", "chair")]
    column = {row.name: i for i, row in enumerate(labels)}
    examples = [
        Example(Path("a"), captions=("a dog runs", "a puppy in the grass")),
        Example(Path("b"), captions=("a man sits", "somebody waits")),
        Example(Path("c"), captions=("a horse jumps", "a rider on a horse")),
        Example(Path("d"), captions=("a foal and a dog", "a dog barks at something")),
        Example(Path("e"), class_name="dalmatian"),
        Example(Path("f"), class_name="chair"),
    ]
    excluded = taught.find_excluded(examples, labels, tables)
    assert {name: list(np.flatnonzero(excluded[:, i])) for name, i in column.items()} == {
        "cat": [0, 2, 3, 4, 5], "horse": [0, 4, 5], "chair": []}  # fmt: skip
    seen = np.full((len(examples), len(detector.THINGS) + len(taught.COUNTS)), 0.6, np.float32)
    answers = taught.correct(seen, examples, labels, tables)
    told = {name: list(answers[:, detector.THINGS.index(name)]) for name in column}
    assert told["cat"] == pytest.approx([0, 0.6, 0, 0, 0, 0])
    assert told["horse"] == pytest.approx([0, 0.6, 1, 0.6, 0, 0])
    assert told["chair"] == pytest.approx([0.6, 0.6, 0.6, 0.6, 0.6, 1])
    assert answers[:, detector.THINGS.index("bench")] == pytest.approx(0.6)
    assert seen == pytest.approx(0.6)
