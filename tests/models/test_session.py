"""An .onnx file and its card: input, outputs, providers. Rejections: test_models_are_input.py."""

import math

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image
from toy import COLOURS, sight_card, toy_card, toy_graph, write_toy

from photosearch.errors import ModelError
from photosearch.models import session
from photosearch.models.card import CARD_KEY, Card, check_tiles
from photosearch.models.catalog import list_shipped
from photosearch.models.session import Model, logit, pool


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return Model(write_toy(tmp_path_factory.mktemp("model") / "toy.onnx"), provider="cpu")


def squares(*colours: str, size: int = 8) -> np.ndarray:
    """[N, size, size, 3] uint8, a colour each."""
    return np.stack([np.full((size, size, 3), COLOURS[c], np.uint8) for c in colours])


def test_score_of_red_square_is_red(toy):
    assert toy.score(squares("red", "green", "blue", "white", "black")).tolist() == [
        [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0],
    ]  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 7, 8, 33])
def test_score_accepts_any_batch_size(toy, n):
    images = np.random.default_rng(n).integers(0, 256, (n, 8, 8, 3), np.uint8)
    scores = toy.score(images)
    assert (scores.dtype, scores.shape) == (np.float32, (n, 3))
    np.testing.assert_allclose(scores, images.mean(axis=(1, 2)).reshape(n, 3) / 255, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(list_shipped()))
def test_predict_is_independent_of_batch(name):
    one = Model(list_shipped()[name], provider="cpu")
    size = one.card.input_size
    views = np.random.default_rng(0).integers(0, 256, (8, 1, size, size, 3), np.uint8)
    alone = [one.predict(view[None]) for view in views]
    for n in (7, 8):
        together = [one.predict(views[i : i + n]) for i in range(0, 8, n)]
        for head in one.card.outputs:
            expected = np.concatenate([getattr(given, head) for given in alone])
            found = np.concatenate([getattr(given, head) for given in together])
            # A product of matrices rounds otherwise for another number of rows; convolutions alone do not.
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 if "vectors" in one.card.outputs else 0)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_score_is_independent_of_threads(tmp_path, toy, threads):
    images = np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), np.uint8)
    other = Model(write_toy(tmp_path / "toy.onnx"), provider="cpu", threads=threads)
    assert (other.score(images) == toy.score(images)).all()


def test_score_rejects_scores_outside_0_to_1(tmp_path):
    loud = Model(write_toy(tmp_path / "loud.onnx", scale=1 / 200), provider="cpu")
    assert loud.score(squares("black")).max() == 0
    with pytest.raises(ModelError, match=r"gave scores outside 0\.\.1"):
        loud.score(squares("red"))


def test_failure_of_the_runtime_is_one_line_that_names_the_model(tmp_path, monkeypatch):
    class Failing:
        def run(self, outputs, inputs):
            raise RuntimeError("Non-zero status code\nwhile running Relu")

    model = Model(write_toy(tmp_path / "toy.onnx"), provider="cpu")
    monkeypatch.setattr(model, "_session", Failing())
    with pytest.raises(ModelError) as told:
        model.score(squares("red"))
    assert str(told.value) == f"{tmp_path}/toy.onnx: the model failed: Non-zero status code"


# ---- scores, vectors, or both


@pytest.fixture(scope="module")
def sight(tmp_path_factory):
    """The toy that gives both."""
    return Model(write_toy(tmp_path_factory.mktemp("sight") / "toy.onnx", sight_card()), provider="cpu")


def test_predict_gives_scores_and_unit_vectors(sight):
    given = sight.predict(squares("red", "white", "black")[:, None])
    assert given.scores.tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]
    third = 1 / math.sqrt(3)
    np.testing.assert_allclose(given.vectors, [[1, 0, 0, 0], [third, third, third, 0], [0, 0, 0, 1]], atol=1e-6)
    assert (given.scores.dtype, given.vectors.dtype) == (np.float32, np.float32)


def test_predict_gives_vectors_alone(tmp_path):
    card = Card("v", "1", input_size=8, outputs=("vectors",), space="toy-space", dimensions=4)
    model = Model(write_toy(tmp_path / "v.onnx", card), provider="cpu")
    views = np.zeros((2, 5, 8, 8, 3), np.uint8)
    views[:, 0] = squares("green", "blue")
    given = model.predict(views)
    assert given.scores is None
    assert given.vectors.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]
    with pytest.raises(ModelError, match="gives no scores, only vectors"):
        model.score(squares("red"))


def test_predict_accepts_any_output_name_of_old_model(tmp_path, toy):
    model = toy_graph()
    model.graph.node.append(helper.make_node("Identity", ["scores"], ["probabilities"]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3]))
    helper.set_model_props(model, {CARD_KEY: toy_card().to_json()})
    onnx.save(model, tmp_path / "old.onnx")
    given = Model(tmp_path / "old.onnx", provider="cpu").predict(squares("red")[:, None])
    assert (given.scores.tolist(), given.vectors) == ([[1, 0, 0]], None)


def test_predict_of_no_photos_is_empty(sight):
    given = sight.predict(np.empty((0, 5, 8, 8, 3), np.uint8))
    assert (given.scores.shape, given.vectors.shape) == ((0, 3), (0, 4))


def test_predict_pools_scores_but_not_vectors(sight):
    views = np.full((2, 5, 8, 8, 3), 51, np.uint8)  # 0.2 everywhere
    views[0, 3] = 204  # 0.8 in one tile
    views[1] = 255
    given = sight.predict(views)
    np.testing.assert_allclose(given.scores, [[0.5] * 3, [1] * 3], atol=1e-5)
    third = 1 / math.sqrt(3)
    expected = [np.array([0.2, 0.2, 0.2, 0.8]) / math.sqrt(0.76), [third, third, third, 0]]
    np.testing.assert_allclose(given.vectors, expected, atol=1e-6)


def test_gpu_batches_are_padded_and_padding_is_dropped(sight, monkeypatch):
    """cuDNN searches for seconds at each new size. Here the CPU stands in for the card."""
    sizes, run = [], sight._session.run

    class Session:
        def run(self, outputs, inputs):
            sizes.append(len(inputs["photos"]))
            return run(outputs, inputs)

    monkeypatch.setattr(sight, "_session", Session())
    monkeypatch.setattr(sight, "provider", "cuda")
    monkeypatch.setattr(sight, "_runs", 1)
    for n, parts in {1: [16], 16: [16], 17: [64], 64: [64], 65: [16, 64]}.items():
        sizes.clear()
        given = sight.predict(np.full((n, 1, 8, 8, 3), 255, np.uint8))
        assert sorted(sizes) == parts  # two threads may take them in either order
        assert given.scores.tolist() == [[1, 1, 1]] * n
        assert given.vectors.shape == (n, 4)


# ---- tiles


def test_predict_without_tiles_is_not_pooled(toy):
    assert toy.predict(squares("red", "blue")[:, None]).scores.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_predict_with_tiles_pools_by_card(toy):
    gray = np.full((1, 5, 8, 8, 3), 51, np.uint8)  # 0.2 everywhere
    np.testing.assert_allclose(toy.predict(gray).scores, 0.2, atol=1e-6)
    gray[0, 3] = 204  # 0.8 in one tile: half of logit(0.2) + half of logit(0.8) is 0
    np.testing.assert_allclose(toy.predict(gray).scores, 0.5, atol=1e-6)


def test_pool_weighs_whole_largest_tile_and_bias_per_label():
    card = toy_card(pooling={"4": {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, math.log(3))}})
    views = np.array(
        [[[0.1, 0.2, 0.3], [0.9, 0.4, 0.9], [0.9, 0.6, 0.9], [0.9, 0.4, 0.9], [0.9, 0.1, 0.9]]], np.float32
    )
    np.testing.assert_allclose(pool(views, card), [[0.1, 0.6, 0.75]], atol=1e-6)


def test_pool_is_never_below_whole_photo():
    card = toy_card(pooling={"4": {"red": (1, 1, -1), "green": (0, 1, -1), "blue": (0, 1, 3)}})
    views = np.full((1, 5, 3), 0.1, np.float32)
    views[0, 0] = 0.9  # what fills the frame is cut by every tile
    np.testing.assert_allclose(pool(views, card), [[0.9, 0.9, 0.9]], rtol=1e-6)


def test_predict_rejects_tiles_without_pooling():
    with pytest.raises(ModelError, match="'toy' can't use 9 tiles, only 0, 4"):
        check_tiles(toy_card(), 9)
    check_tiles(toy_card(), 4)
    check_tiles(toy_card(pooling={}), 0)


def test_logit_is_finite_at_0_and_1():
    np.testing.assert_allclose(logit(np.array([0, 0.5, 0.75, 1])), [-13.815510, 0, math.log(3), 13.815510], atol=1e-5)


def test_digest_covers_whole_file(tmp_path):
    files = [
        write_toy(tmp_path / "a.onnx"),
        write_toy(tmp_path / "b.onnx"),
        write_toy(tmp_path / "c.onnx", scale=0.001),
    ]
    a, b, c = (Model(path, provider="cpu").digest for path in files)
    assert a == b != c
    assert len(a) == 16


def test_score_slightly_above_1_is_clipped(tmp_path):
    white = squares("white")
    a_little = Model(write_toy(tmp_path / "a.onnx", scale=(1 + 5e-7) / 255), provider="cpu")
    assert a_little.score(white).tolist() == [[1, 1, 1]]
    more = Model(write_toy(tmp_path / "b.onnx", scale=(1 + 1e-5) / 255), provider="cpu")
    with pytest.raises(ModelError, match=r"outside 0\.\.1"):
        more.score(white)


@pytest.mark.filterwarnings("ignore:Specified provider")  # as ONNX Runtime says of what it then leaves out
@pytest.mark.parametrize("name", ["rocm", "cuda"])
def test_model_reports_provider_that_did_not_start(tmp_path, monkeypatch, name):
    asked, make = [], session.make_options
    monkeypatch.setattr(session, "choose_provider", lambda wanted: (name, None))
    monkeypatch.setattr(session, "make_options", lambda name, **rest: asked.append(name) or make(name, **rest))
    model = Model(write_toy(tmp_path / "toy.onnx"))
    assert (model.provider, model.fallback) == ("cpu", f"{name} did not start")
    assert model.score(squares("red")).tolist() == [[1, 0, 0]]
    assert asked == (["cuda", "cpu"] if name == "cuda" else [name]), "the CPU multiplies int8 itself"


@pytest.mark.slow
def test_cuda_gets_float_weights_of_the_same_network(tmp_path):
    """On the CPU with CUDA's options: no weight or bias is left in integers, and vectors are nearly the same."""
    data, small = (
        list_shipped()["sight"].read_bytes(),
        np.random.default_rng(1).integers(0, 256, (4, 6, 6, 3), np.uint8),
    )
    images = np.stack([Image.fromarray(image).resize((260, 260), Image.Resampling.BICUBIC) for image in small])
    vectors = {}
    for name in ("cpu", "cuda"):
        options = session.make_options(name, threads=1)
        options.optimized_model_filepath = str(tmp_path / f"{name}.onnx")
        run = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run
        vectors[name] = run(["vectors"], {"images": images})[0].astype(float)
    graph = onnx.load(tmp_path / "cuda.onnx").graph
    constants = {constant.name for constant in graph.initializer}
    assert sum(node.op_type == "Conv" for node in graph.node) == 64
    assert not [n.name for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]
    cosines = (vectors["cpu"] * vectors["cuda"]).sum(1)
    assert cosines.min() > 0.99 * np.prod([np.linalg.norm(v, axis=1) for v in vectors.values()], axis=0).max()
