"""The sight model's parts, each on numbers that can be checked by hand: no data set and no weights are needed."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from train.data import wordnet
from train.networks.heads import Heads
from train.recipes import backbone, frozen, labels, sight, truths

NOUNS = [
    "  1 This line belongs to the licence  ",
    "00000001 03 n 02 animal 0 beast 0 001 ~ 00000002 n 0000 | a living thing that moves  ",
    "00000002 05 n 02 dog 0 domestic_dog 0 002 @ 00000001 n 0000 ~ 00000003 n 0000 | it barks  ",
    "00000003 05 n 01 pug 0 001 @ 00000002 n 0000 | small  ",
    "00000004 05 n 01 Rex 0 001 @i 00000002 n 0000 | one that has a name  ",
]
ROWS = [
    labels.Label("pug", "n1", 0, ("dog",)),
    labels.Label("husky", "n2", 1, ("dog",)),
    labels.Label("wren", "n3", 2, ("animal",)),
    labels.Label("animal", "", None, ()),
    labels.Label("dog", "", None, ("animal",)),
]


@pytest.fixture
def graph() -> onnxruntime.InferenceSession:
    """The mean of each colour is a feature; red, green and blue pixels are the three classes of ROWS."""
    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x", "axes"], ["features"], keepdims=0),
    ]
    bottom = helper.make_model(
        helper.make_graph(
            nodes,
            "colours",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 2, 2, 3])],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3])],
            [helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    n = len(ROWS)
    generator = torch.Generator().manual_seed(0)
    top = Heads(
        torch.eye(3) / 50, torch.zeros(3), sight.words_above(ROWS), torch.ones(n), torch.zeros(n),
        torch.randn(3, 4, generator=generator), torch.randn(3, 4, generator=generator), torch.zeros(4), mix=0.5, top=2,
    ).eval()  # fmt: skip
    model = sight.assemble(bottom.SerializeToString(), top, {"name": "tiny", "version": "1"})
    return frozen.open_network(model.SerializeToString())


def test_a_parents_score_is_the_sum_over_its_classes(graph):
    images = np.random.default_rng(1).integers(0, 256, (7, 2, 2, 3), dtype=np.uint8)
    scores, _ = graph.run(["scores", "vectors"], {"images": images})
    assert scores.shape == (7, 5)
    np.testing.assert_allclose(scores[:, 4], scores[:, 0] + scores[:, 1], atol=1e-5)
    np.testing.assert_allclose(scores[:, 3], 1, atol=1e-5)
    assert (scores >= 0).all()
    assert (scores <= 1).all()


def test_a_red_picture_is_a_pug_whatever_lies_beside_it(graph):
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    for n in (1, 3, 8):
        images = np.zeros((n, 2, 2, 3), np.uint8)
        images[-1] = red
        scores, vectors = graph.run(["scores", "vectors"], {"images": images})
        assert scores[-1, 0] == pytest.approx(np.exp(5.1) / (np.exp(5.1) + 2), abs=1e-4)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_card_is_in_the_graph(graph):
    assert json.loads(graph.get_modelmeta().custom_metadata_map[sight.CARD_KEY]) == {"name": "tiny", "version": "1"}


def test_wordnets_lines_are_read_and_its_licence_is_not():
    nouns = {s.id: s for s in wordnet.parse(NOUNS)}
    assert nouns["n00000002"] == wordnet.Synset("n00000002", ("dog", "domestic dog"), ("n00000001",), "it barks")
    assert wordnet.everything_above("n00000004", nouns) == {"n00000004", "n00000002", "n00000001"}


def test_wordnets_senses_come_most_frequent_first_and_plurals_by_the_word(tmp_path):
    (tmp_path / "index.noun").write_text("  1 licence\ncrane n 2 1 @ 2 1 00000005 00000006  \n")
    (tmp_path / "noun.exc").write_text("geese goose\nmice mouse\n")
    assert wordnet.senses(tmp_path) == {"crane": ("n00000005", "n00000006")}
    assert wordnet.plurals(tmp_path) == {"goose": "geese", "mouse": "mice"}


def test_a_word_above_that_names_nothing_is_refused():
    classes, nouns = [("n00000003", "pug"), ("n00000004", "Rex")], {s.id: s for s in wordnet.parse(NOUNS)}
    assert labels.spread("dog: n00000002", ["pug", "rex"], classes, nouns) == {"dog": frozenset({0, 1})}
    for wrong in ("dog: n00000009", "dog: pug", "dog: pug, rex\nhound: n00000002", "pug: pug, rex"):
        with pytest.raises(ValueError):
            labels.spread(wrong, ["pug", "rex"], classes, nouns)


def test_plurals_are_english():
    words = {"puppy": "puppies", "big cat": "big cats", "fox": "foxes", "bus": "buses", "jeans": "jeans"}
    assert {w: labels.plural(w, {}) for w in words} == words
    assert labels.plural("plate of food", {}) == "plates of food"
    assert labels.plural("canada goose", {"goose": "geese"}) == "canada geese"


def test_two_captions_must_agree_and_the_longest_words_win():
    tables = truths.prepare(ROWS, {"puppies": "dog", "hot dog": "wren"})
    assert truths.named("Two puppies eat a hot dog .", tables) == {"dog", "animal", "wren"}
    assert truths.agreed(["a pug", "a wren", "a dog runs"], tables) == {"dog", "animal"}


def test_a_class_says_yes_to_what_is_above_and_nothing_of_what_is_below():
    tables = truths.prepare(ROWS, {})
    truth = truths.judge([frozen.Seen(None, "dog"), frozen.Seen(None, "wren")], tables)
    assert truth.tolist() == [[-1, -1, 0, 1, 1], [0, 0, 1, 1, 0]]


def test_calibration_finds_the_line_that_the_truth_was_drawn_by_and_the_best_threshold():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, (20_000, 2))
    truth = (rng.random(z.shape) < 1 / (1 + np.exp(-(2 * z - 1)))).astype(np.int8)
    truth[:, 1] = 0
    truth[:3, 1] = 1
    found = sight.calibrate(z, truth, np.ones(len(z)), z, 2, sight.Settings(kept=1.0))
    assert found.slope[0] == pytest.approx(2, abs=0.1)
    assert found.shift[0] == pytest.approx(-1, abs=0.1)
    assert found.thresholds[0] == pytest.approx(0.4, abs=0.12)
    assert found.rest_on.tolist() == [truth[:, 0].sum(), 0]
    assert found.thresholds.min() >= found.floor


def test_average_precision_of_a_known_order():
    present = np.array([True, False, True, False])
    assert sight.average_precision(present, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx((1 + 2 / 3) / 2)
    assert sight.average_precision(present & False, np.arange(4)) is None


def test_no_two_neighbouring_weights_add_up_to_more_than_sixteen_bits_hold():
    weight = np.array([[100, 60, 3, -120], [1, 2, 3, 4]], float).reshape(2, 4, 1, 1)
    assert backbone.heaviest_pair(weight).tolist() == [160, 7]
    assert backbone.heaviest_pair(weight.reshape(2, 1, 2, 2)).tolist() == [220, 7]
    assert 2 * 255 * backbone.MOST / 2 + 255 < 2**15
