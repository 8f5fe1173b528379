"""The sight model's parts on numbers that can be checked by hand, without data sets and weights."""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from scipy.special import logit

from photosearch.errors import InputError
from train.data import wordnet
from train.export import embed, open_session
from train.networks.heads import Heads
from train.recipes import backbone, ground_truth, label_report, sight, taught, vocabulary
from train.recipes.features import Example
from train.tool import CARD_KEY, Card

NOUNS = [
    "  1 This line belongs to the licence  ",
    "00000001 03 n 02 animal 0 beast 0 001 ~ 00000002 n 0000 | a living thing that moves  ",
    "00000002 05 n 02 dog 0 domestic_dog 0 002 @ 00000001 n 0000 ~ 00000003 n 0000 | it barks  ",
    "00000003 05 n 01 pug 0 001 @ 00000002 n 0000 | small  ",
    "00000004 05 n 01 Rex 0 001 @i 00000002 n 0000 | one that has a name  ",
]
ROWS = [
    vocabulary.Label("pug", "n1", 0, ("dog",)),
    vocabulary.Label("husky", "n2", 1, ("dog",)),
    vocabulary.Label("wren", "n3", 2, ("animal",)),
    vocabulary.Label("animal", "", None, ()),
    vocabulary.Label("dog", "", None, ("animal",)),
]
CARD = Card(name="tiny", version="1", labels=tuple(r.name for r in ROWS), input_size=2, outputs=("scores", "vectors"),
            space="toys", dimensions=4)  # fmt: skip


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
    random = torch.randn(3, 4, generator=generator)
    arrays = {
        "weight": torch.eye(3) / 50, "bias": torch.zeros(3), "slope": torch.ones(n + 1), "shift": torch.zeros(n + 1),
        "names": random, "projection": random, "projection_offset": torch.zeros(4), "wide": torch.randn(3, 5),
        "wide_offset": torch.zeros(5), "narrow": torch.randn(5, 4), "narrow_offset": torch.zeros(4),
        "taught": torch.eye(3) / 100, "taught_offset": torch.zeros(3), "taught_sums": torch.tensor([[0.0], [1], [0]]),
        "taught_slope": torch.zeros(n + 1),
    }  # fmt: skip
    top = Heads(arrays, sight.list_hypernyms(ROWS), slice(1, 3), range(n + 1), [0] * (n + 1), mix=0.5).eval()
    model = sight.assemble(bottom.SerializeToString(), top)
    embed(model, CARD)
    return open_session(model.SerializeToString())


def test_hypernym_score_is_sum_over_its_classes(graph):
    images = np.random.default_rng(1).integers(0, 256, (7, 2, 2, 3), dtype=np.uint8)
    scores, _ = graph.run(["scores", "vectors"], {"images": images})
    assert scores.shape == (7, 6)
    np.testing.assert_allclose(scores[:, 4], scores[:, 0] + scores[:, 1], atol=1e-5)
    np.testing.assert_allclose(scores[:, 3], 1, atol=1e-5)
    colours = images.mean((1, 2))
    softmax = 1 / (1 + np.exp((colours[:, 2] - colours[:, 1]) / 100))  # the taught label: one of two scenes
    np.testing.assert_allclose(scores[:, 5], softmax, atol=1e-4)
    assert (scores >= 0).all()
    assert (scores <= 1).all()


@pytest.mark.parametrize("n", [1, 3, 8])
def test_assembled_graph_scores_same_at_any_batch_size(graph, n):
    images = np.zeros((n, 2, 2, 3), np.uint8)
    images[-1, ..., 0] = 255
    scores, vectors = graph.run(["scores", "vectors"], {"images": images})
    assert scores[-1, 0] == pytest.approx(np.exp(5.1) / (np.exp(5.1) + 2), abs=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_embed_puts_card_into_graph(graph):
    assert Card.from_json(graph.get_modelmeta().custom_metadata_map[CARD_KEY]) == CARD


def test_sight_card_survives_its_own_checks():
    n = len(ROWS)
    calibration = sight.Calibration(
        np.ones(n), np.zeros(n), np.full(n, 0.1234567), np.array([30, 0, 0, 0, 0]), 0.1234567
    )
    card = sight.make_card(ROWS, calibration, sight.SightSettings(), {"seconds": 1})
    assert Card.from_json(card.to_json()).thresholds_rest_on["husky"] == "pooled"
    assert card.details["command"] == "python -m train sight"


def test_sight_train_names_missing_head(tmp_path):
    with pytest.raises(InputError, match=r"words\.npz: no such file; run `python -m train words` first"):
        sight.train(sight.SightSettings(), tmp_path, tmp_path / "x.onnx", tmp_path / "words.npz", tmp_path)


def test_wordnet_parse_skips_licence():
    nouns = {s.id: s for s in wordnet.parse(NOUNS)}
    assert nouns["n00000002"] == wordnet.Synset("n00000002", ("dog", "domestic dog"), ("n00000001",), "it barks")
    assert wordnet.climb("n00000004", nouns) == {"n00000004", "n00000002", "n00000001"}


def test_wordnet_senses_are_sorted_by_frequency(tmp_path):
    (tmp_path / "index.noun").write_text("  1 licence\ncrane n 2 1 @ 2 1 00000005 00000006  \n")
    (tmp_path / "noun.exc").write_text("geese goose\nmice mouse\n")
    assert wordnet.senses(tmp_path) == {"crane": ("n00000005", "n00000006")}
    assert wordnet.plurals(tmp_path) == {"goose": "geese", "mouse": "mice"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"dog": ["n00000009"]},
        {"dog": ["pug"]},
        {"dog": ["pug", "rex"], "hound": ["n00000002"]},
        {"pug": ["pug", "rex"]},
    ],
)
def test_expand_hypernyms_refuses_unknown_or_duplicate(wrong):
    classes, nouns = [("n00000003", "pug"), ("n00000004", "Rex")], {s.id: s for s in wordnet.parse(NOUNS)}
    expanded = vocabulary.expand_hypernyms({"dog": ["n00000002"]}, ["pug", "rex"], classes, nouns)
    assert expanded == {"dog": frozenset({0, 1})}
    with pytest.raises(ValueError):
        vocabulary.expand_hypernyms(wrong, ["pug", "rex"], classes, nouns)


def test_reviewed_tables_cover_the_shipped_labels():
    rows, synonyms = vocabulary.read(sight.TABLES)
    labels = {r.name for r in rows}
    taught_names = {row.name for row in taught.read()}
    classless = {name for name, classes in vocabulary.list_classes(rows).items() if not classes}
    assert set(vocabulary.read_rules("hypernyms.txt")) == {r.name for r in rows if r.index is None} - classless
    assert classless == taught_names - {r.name for r in rows if r.name not in classless}
    assert set(vocabulary.read_rules("synonyms.txt")) <= labels
    assert {name.lower() for name in vocabulary.read_names().values()} <= labels
    assert not vocabulary.read_words("ambiguous.txt") & set(synonyms)
    assert set(label_report.EVERYDAY_LABELS) <= labels
    tables = ground_truth.make_tables(rows, synonyms)
    assert set(filter(None, tables.caltech.values())) | tables.background <= labels
    assert {"surfing", "horse riding"} <= set(tables.words) - set(tables.in_captions), "a caption's verb names no thing"


def test_make_plural_is_english():
    words = {"puppy": "puppies", "big cat": "big cats", "fox": "foxes", "bus": "buses", "jeans": "jeans"}
    assert {w: vocabulary.make_plural(w, {}) for w in words} == words
    assert vocabulary.make_plural("plate of food", {}) == "plates of food"
    assert vocabulary.make_plural("canada goose", {"goose": "geese"}) == "canada geese"


def test_collect_synonyms_prefers_reviewed_and_drops_ambiguous():
    rows = [vocabulary.Label("dog", "n00000002", 0, ()), vocabulary.Label("animal", "n00000001", 1, ())]
    nouns = {s.id: s for s in wordnet.parse(NOUNS)}
    senses = {"domestic dog": ("n00000002",), "beast": ("n00000001",)}
    synonyms = vocabulary.collect_synonyms(rows, nouns, senses, {}, {"dog": ["puppy"]}, frozenset({"beast"}))
    assert synonyms == {
        "animals": "animal", "dogs": "dog", "domestic dog": "dog", "domestic dogs": "dog", "puppies": "dog",
        "puppy": "dog",
    }  # fmt: skip


def test_find_agreed_needs_two_captions_and_longest_words_win():
    tables = ground_truth.make_tables(ROWS, {"puppies": "dog", "hot dog": "wren"})
    assert ground_truth.find_labels("Two puppies eat a hot dog .", tables) == {"dog", "animal", "wren"}
    assert ground_truth.find_agreed(["a pug", "a wren", "a dog runs"], tables) == {"dog", "animal"}


def test_label_examples_leaves_hyponyms_unknown():
    tables = ground_truth.make_tables(ROWS, {})
    truth = ground_truth.label_examples([Example(None, "dog"), Example(None, "wren")], tables)
    assert truth.tolist() == [[-1, -1, 0, 1, 1], [0, 0, 1, 1, 0]]


def test_calibrate_finds_true_line_and_best_threshold():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, (20_000, 2))
    truth = (rng.random(z.shape) < 1 / (1 + np.exp(-(2 * z - 1)))).astype(np.int8)
    truth[:, 1] = 0
    truth[:3, 1] = 1
    settings = sight.SightSettings(labels_per_photo=1.0)
    calibration = sight.calibrate(z, truth, np.ones(len(z)), z, 2, settings)
    assert calibration.slope[0] == pytest.approx(2, abs=0.1)
    assert calibration.shift[0] == pytest.approx(-1, abs=0.1)
    assert calibration.thresholds[0] == pytest.approx(0.4, abs=0.12)
    assert calibration.rest_on.tolist() == [truth[:, 0].sum(), 0]
    assert calibration.thresholds.min() >= calibration.floor


def test_label_report_leaves_out_unknown_truth(monkeypatch):
    monkeypatch.setattr(label_report, "EVERYDAY_LABELS", ["dog", "bird"])
    card = Card(name="toy", version="1", labels=("dog", "bird"), input_size=8, thresholds={"dog": 0.5})
    scores = np.array([[0.9, 0.1]] * 6 + [[0.2, 0.9]] * 6 + [[0.8, 0.8]])
    truth = np.array([[1, 0]] * 6 + [[0, 1]] * 6 + [[-1, 1]], np.int8)
    result = label_report.evaluate(card, scores, truth, "caltech-101")
    assert [(r["label"], r["n"], r["tp"], r["fp"]) for r in result["rows"]] == [("dog", 12, 6, 0), ("bird", 13, 7, 0)]
    assert result["micro"] == {"precision": 1.0, "recall": 1.0}


def test_max_pair_keeps_products_within_sixteen_bits():
    weight = np.array([[100, 60, 3, -120], [1, 2, 3, 4]], float).reshape(2, 4, 1, 1)
    assert backbone.max_pair(weight).tolist() == [160, 7]
    assert backbone.max_pair(weight.reshape(2, 1, 2, 2)).tolist() == [220, 7]
    assert 2 * 255 * backbone.MAX_PAIR / 2 + 255 < 2**15


def test_precise_threshold_is_the_least_that_reaches_the_precision():
    bins = np.zeros((2, len(sight.BINS)))
    at = {score: int(np.searchsorted(sight.BINS, logit(score))) for score in (0.9, 0.7, 0.5, 0.3)}
    for score, (right, wrong) in {0.9: (90, 0), 0.7: (9, 1), 0.5: (0, 1), 0.3: (300, 30)}.items():
        bins[:, at[score]] = right, wrong
    assert 0.5 < sight.choose_precise_threshold(bins, 0.99) <= 0.7
    assert 0.7 < sight.choose_precise_threshold(bins, 1.0) <= 0.9
    assert sight.choose_precise_threshold(bins[::-1], 0.99) == 1.0


def test_shares_of_a_label_follow_what_photographs_say():
    rng = np.random.default_rng(0)
    truth = {"flickr8k": (rng.random(400) < 0.3).astype(np.int8), "caltech-101": np.full(50, -1, np.int8)}
    noise = {name: rng.normal(size=(2, len(values))) for name, values in truth.items()}
    both = {name: (noise[name][0], 10 * (noise[name][1] + 3 * (truth[name] == 1))) for name in truth}
    backbone, head, (alone, together, factor) = sight.choose_shares(both, truth, sight.SightSettings())
    assert factor == 8  # the backbone knows nothing of it
    assert (backbone, head) == (pytest.approx(1 / 9), pytest.approx(8 / 9 / 15, rel=0.3))  # the head's spread is larger
    assert alone < 0.5 < 0.9 < together
    few = {name: np.where(np.cumsum(values == 1) > 10, 0, values) for name, values in truth.items()}
    assert sight.choose_shares(both, few, sight.SightSettings())[2][2] == 1


def calibrate_made(truth, logits, by_backbone, written_of=(), **settings):
    """Labels wren, dog, beach as taught ones; the backbone has no beach. -> names, calibration, found."""
    names = [*(row.name for row in ROWS), "beach"]
    tables = ground_truth.make_tables([*ROWS, vocabulary.Label("beach", "", None, ())], {})
    labels = [taught.Taught(name, "things", (), ()) for name in ("wren", "dog", "beach")]
    written = {name: np.full((len(values), len(tables.labels)), -1, np.int8) for name, values in truth.items()}
    for name, values in truth.items():
        for i in written_of:
            written[name][:, tables.labels.index(labels[i].name)] = values[:, i]
    calibration = sight.Calibration(*(np.full(len(ROWS), value) for value in (3.0, -3.0, 0.5, 7)), floor=0.01)
    sight.extend(calibration, len(names))
    found = sight.PeopleAndPlaces(None, None, [*range(len(ROWS)), 0], [0] * len(names), np.zeros(len(names)), {})
    judged = sight.Judged(logits, by_backbone, truth, written)
    sight.calibrate_taught(
        labels, names, len(ROWS), tables, judged, calibration, sight.SightSettings(**settings), found
    )
    return names, calibration, found


def test_calibrate_taught_fills_new_labels_and_mixes_known_ones():
    """wren: only its head knows it; dog: only the backbone does; beach: the backbone has no such label."""
    rng, n = np.random.default_rng(0), 400
    truth = {name: (rng.random((n, 3)) < 0.4).astype(np.int8) for name in taught.PHOTOGRAPHS}
    logits = {name: rng.normal(size=(n, 3)) + 4 * values * [1, 0, 1] - 2 for name, values in truth.items()}
    by_backbone = {name: rng.normal(size=(n, len(ROWS))) for name in truth}
    for name, values in truth.items():
        by_backbone[name][:, [row.name for row in ROWS].index("dog")] += 4 * values[:, 1]
    names, calibration, found = calibrate_made(truth, logits, by_backbone, (0, 1), factors=(0.0, 8.0))
    wren, dog, beach = map(names.index, ("wren", "dog", "beach"))
    assert {name: factor for name, (_, _, factor) in found.summed.items()} == {"wren": 8.0, "dog": 0.0}
    assert (found.order, found.second) == ([0, 1, 2, 3, 4, len(ROWS) + 2], [0, 0, len(ROWS), 0, 0, 0])
    assert found.slope[wren] > calibration.slope[wren] > 0 == found.slope[dog] == found.slope[beach]
    others = [i for i in range(len(ROWS)) if i != wren]
    lines = zip(calibration.slope, calibration.shift, calibration.thresholds, calibration.rest_on, strict=True)
    assert [line for i, line in enumerate(lines) if i in others] == [(3, -3, 0.5, 7)] * len(others)
    for column, place in ((0, wren), (2, beach)):
        assert calibration.rest_on[place] == sum((values[:, column] == 1).sum() for values in truth.values())
        assert 0.2 < calibration.thresholds[place] < 0.8


def test_sums_of_both_logits_share_a_line_of_their_own():
    """wren and dog are sums, and lie lower than the head's logits of beach; dog has few positives."""
    rng, n = np.random.default_rng(0), 2000
    truth = {name: (rng.random((n, 3)) < [0.3, 0.001, 0.3]).astype(np.int8) for name in taught.PHOTOGRAPHS}
    logits = {name: rng.normal(size=(n, 3)) + 4 * values - [6, 6, 2] for name, values in truth.items()}
    by_backbone = {name: rng.normal(size=(n, len(ROWS))) for name in truth}
    names, calibration, _ = calibrate_made(truth, logits, by_backbone)
    wren, dog, beach = (calibration.shift[names.index(name)] for name in ("wren", "dog", "beach"))
    assert wren > dog > beach + 0.5 * (wren - beach)  # few pictures move it from where it started, but not far
