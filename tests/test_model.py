"""One .onnx file and its card: what goes in, what comes out, where it runs. Refusals: test_models_are_input.py."""

import dataclasses
import json
import math

import numpy as np
import pytest
from toy import COLOURS, toy_card, write_toy

from photosearch import model
from photosearch.errors import ModelError
from photosearch.model import Card, Model, check_tiles, choose_provider, logit, pool, read_card, resolve, shipped


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return Model(write_toy(tmp_path_factory.mktemp("model") / "toy.onnx"), provider="cpu")


def squares(*colours: str, size: int = 8) -> np.ndarray:
    """[N, size, size, 3] uint8, a colour each."""
    return np.stack([np.full((size, size, 3), COLOURS[c], np.uint8) for c in colours])


def test_a_red_square_comes_out_red(toy):
    assert toy.score(squares("red", "green", "blue", "white", "black")).tolist() == [
        [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0],
    ]  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 7, 8, 33])
def test_any_number_of_photos_may_be_scored_at_once(toy, n):
    images = np.random.default_rng(n).integers(0, 256, (n, 8, 8, 3), np.uint8)
    scores = toy.score(images)
    assert (scores.dtype, scores.shape) == (np.float32, (n, 3))
    np.testing.assert_allclose(scores, images.mean(axis=(1, 2)).reshape(n, 3) / 255, atol=1e-6)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_what_a_photo_scores_does_not_depend_on_the_photos_beside_it(name):
    one = Model(shipped()[name], provider="cpu")
    size = one.card.input_size
    images = np.random.default_rng(0).integers(0, 256, (8, size, size, 3), np.uint8)
    alone = np.concatenate([one.score(image[None]) for image in images])
    for n in (7, 8):
        assert (np.concatenate([one.score(images[i : i + n]) for i in range(0, 8, n)]) == alone).all()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_no_score(tmp_path, toy, threads):
    images = np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), np.uint8)
    other = Model(write_toy(tmp_path / "toy.onnx"), provider="cpu", threads=threads)
    assert (other.score(images) == toy.score(images)).all()


def test_scores_outside_0_to_1_stop_the_run(tmp_path):
    loud = Model(write_toy(tmp_path / "loud.onnx", scale=1 / 200), provider="cpu")
    assert loud.score(squares("black")).max() == 0
    with pytest.raises(ModelError, match=r"gave scores that are not in 0\.\.1"):
        loud.score(squares("red"))


def test_without_tiles_the_score_is_the_whole_photos(toy):
    assert toy.score_views(squares("red", "blue")[:, None]).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_with_tiles_the_score_is_pooled_by_the_card(toy):
    gray = np.full((1, 5, 8, 8, 3), 51, np.uint8)  # 0.2 everywhere
    np.testing.assert_allclose(toy.score_views(gray), 0.2, atol=1e-6)
    gray[0, 3] = 204  # 0.8 in one tile: half of logit(0.2) + half of logit(0.8) is 0
    np.testing.assert_allclose(toy.score_views(gray), 0.5, atol=1e-6)


def test_pooling_weighs_the_whole_the_best_tile_and_a_bias_label_by_label():
    card = toy_card(pooling={"4": {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, math.log(3))}})
    views = np.array(
        [[[0.1, 0.2, 0.3], [0.9, 0.4, 0.9], [0.9, 0.6, 0.9], [0.9, 0.4, 0.9], [0.9, 0.1, 0.9]]], np.float32
    )
    np.testing.assert_allclose(pool(views, card), [[0.1, 0.6, 0.75]], atol=1e-6)


def test_a_photo_loses_nothing_by_its_tiles():
    card = toy_card(pooling={"4": {"red": (1, 1, -1), "green": (0, 1, -1), "blue": (0, 1, 3)}})
    views = np.full((1, 5, 3), 0.1, np.float32)
    views[0, 0] = 0.9  # what fills the frame is cut by every tile
    np.testing.assert_allclose(pool(views, card), [[0.9, 0.9, 0.9]], rtol=1e-6)


def test_a_number_of_tiles_without_pooling_is_refused():
    with pytest.raises(ModelError, match="toy is not calibrated for --tiles 9, only for 0, 4"):
        check_tiles(toy_card(), 9)
    check_tiles(toy_card(), 4)
    check_tiles(toy_card(pooling={}), 0)


def test_logits_stay_finite():
    np.testing.assert_allclose(logit(np.array([0, 0.5, 0.75, 1])), [-13.815510, 0, math.log(3), 13.815510], atol=1e-5)


# ---- the card


def test_a_card_comes_back_from_the_file_as_it_was_written(tmp_path):
    card = toy_card(
        version="7", fit="crop", thresholds={"red": 0.25}, tiles=4, trained_on="squares", licence="MIT",
        measured=({"split": "test", "precision": 0.97},), details={"seconds": 3.5, "seeds": [1, 2]},
    )  # fmt: skip
    path = write_toy(tmp_path / "toy.onnx", card)
    as_json = json.loads(card.to_json())
    assert json.loads(read_card(path).to_json()) == as_json
    assert json.loads(Model(path, provider="cpu").card.to_json()) == as_json


def test_what_a_card_leaves_out_has_a_default():
    card = Card.from_json('{"name": "n", "version": "1", "labels": ["a", "b"], "input_size": 32}')
    assert dataclasses.asdict(card) == {
        "name": "n", "version": "1", "labels": ("a", "b"), "input_size": 32, "fit": "squash", "thresholds": {},
        "tiles": 0, "pooling": {}, "trained_on": "", "licence": "", "measured": (), "details": {},
    }  # fmt: skip
    assert (card.threshold("a"), toy_card(thresholds={"red": 0.25}).threshold("red")) == (0.5, 0.25)


def test_the_digest_is_of_the_whole_file(tmp_path):
    files = [
        write_toy(tmp_path / "a.onnx"),
        write_toy(tmp_path / "b.onnx"),
        write_toy(tmp_path / "c.onnx", scale=0.001),
    ]
    a, b, c = (Model(path, provider="cpu").digest for path in files)
    assert a == b != c
    assert len(a) == 16


# ---- names and providers


def test_a_model_is_named_by_its_name_or_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(model, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    for name in (model.DEFAULT, "other"):
        write_toy(tmp_path / "shipped" / f"{name}.onnx")
    mine = write_toy(tmp_path / "mine.onnx")
    assert list(shipped()) == [model.DEFAULT, "other"]
    assert resolve(None) == resolve(model.DEFAULT) == tmp_path / f"shipped/{model.DEFAULT}.onnx"
    assert resolve("other") == tmp_path / "shipped/other.onnx"
    assert resolve(str(mine)) == mine
    with pytest.raises(ModelError, match=rf"no model 'nine': give an .onnx file, or one of {model.DEFAULT}, other"):
        resolve("nine")


@pytest.fixture
def providers(monkeypatch):
    """providers(names, cuda=why it can't load): what this build of ONNX Runtime is to hold. A GPU may be faked."""
    import onnxruntime

    def pretend(*names: str, cuda: str | None = None) -> None:
        held = [model.PROVIDERS[name] for name in names]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: held)
        monkeypatch.setattr(model, "_cuda_missing", lambda: cuda)

    return pretend


def test_auto_prefers_the_gpu_and_says_why_it_can_not_have_it(providers):
    providers("cpu", "cuda", "tensorrt")
    assert choose_provider("auto") == ("cuda", None)
    providers("cpu", "coreml")
    assert choose_provider("auto") == ("coreml", None)
    providers("cpu")
    assert choose_provider("auto") == ("cpu", None)
    providers("cpu", "cuda", cuda="no NVIDIA driver")
    assert choose_provider("auto") == ("cpu", "cuda: no NVIDIA driver")


def test_a_provider_that_is_asked_for_and_not_there_falls_back_to_the_cpu_and_says_why(providers):
    providers("cpu", "cuda", cuda="no NVIDIA driver")
    assert choose_provider("cuda") == ("cpu", "cuda: no NVIDIA driver")
    assert choose_provider("coreml") == ("cpu", "coreml: this build of ONNX Runtime does not hold it")
    assert choose_provider("cpu") == ("cpu", None)
    with pytest.raises(ModelError, match="no provider 'gpu': give auto or one of cuda, coreml, directml, cpu"):
        choose_provider("gpu")


def test_a_model_says_where_it_runs(tmp_path, providers):
    providers("cpu", "cuda", cuda="no NVIDIA driver")
    loaded = Model(write_toy(tmp_path / "toy.onnx"))
    assert (loaded.provider, loaded.fallback) == ("cpu", "cuda: no NVIDIA driver")
    assert loaded.score(squares("red")).tolist() == [[1, 0, 0]]
