"""torch -> ONNX: a file with the network's scores at any batch size and its card, or none."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from photosearch.errors import ModelError
from train.export import OPSET, export, replace_card
from train.tool import Card, Model

CARD = Card(name="toy", version="1", labels=("bird", "red"), input_size=16, thresholds={"bird": 0.25})


class Toy(nn.Module):
    """Scores [N, 2] from uint8 [N, 16, 16, 3], with a dropout that the export must remove."""

    def __init__(self, outputs=2):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Dropout(0.5), nn.Linear(16, outputs),
        )  # fmt: skip

    def forward(self, images):
        return self.layers(images.permute(0, 3, 1, 2).float() / 255).sigmoid()


def pictures(n):
    return np.random.default_rng(n).integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("n", [1, 7, 8])
def test_export_scores_as_network(tmp_path, n):
    toy = Toy().train()

    export(toy, CARD, tmp_path / "toy.onnx")

    assert toy.training, "the network is not changed"
    with torch.inference_mode():
        expected = toy.eval()(torch.from_numpy(pictures(n))).numpy()
    np.testing.assert_allclose(Model(tmp_path / "toy.onnx").score(pictures(n)), expected, atol=1e-6)


def test_export_embeds_card_and_opset(tmp_path):
    export(Toy(), CARD, tmp_path / "below" / "toy.onnx")

    assert Model(tmp_path / "below" / "toy.onnx").card == CARD
    model = onnx.load(str(tmp_path / "below" / "toy.onnx"))
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == ["N", 16, 16, 3]


def test_export_with_half_weights_halves_file(tmp_path):
    big = Toy()
    big.layers[0] = nn.Conv2d(3, 16, 15)

    export(big, CARD, tmp_path / "whole.onnx")
    export(big, CARD, tmp_path / "half.onnx", half_from=256)

    whole, half = (tmp_path / f"{name}.onnx" for name in ("whole", "half"))
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    np.testing.assert_allclose(Model(half).score(pictures(8)), Model(whole).score(pictures(8)), atol=2e-3)


def test_export_with_byte_weights_keeps_channels_of_small_weights(tmp_path):
    big = Toy()
    big.layers[0] = first = nn.Conv2d(3, 16, 15)
    with torch.no_grad():  # compensated by the dense layer
        for weights in (first.weight, first.bias):
            weights[8:] *= 1e-3
        big.layers[6].weight[:, 8:] *= 1e3
        first.weight[0] = 0.0

    export(big, CARD, tmp_path / "whole.onnx")
    export(big, CARD, tmp_path / "byte.onnx", half_from=16, byte_from=256)

    whole, byte = (tmp_path / f"{name}.onnx" for name in ("whole", "byte"))
    assert byte.stat().st_size < 0.35 * whole.stat().st_size
    np.testing.assert_allclose(Model(byte).score(pictures(8)), Model(whole).score(pictures(8)), atol=5e-3)


def test_export_keeps_old_file_when_scores_differ(tmp_path):
    class Fickle(Toy):
        """Scores of a batch of two, as in the trace, are halved."""

        def forward(self, images):
            scores = super().forward(images)
            return scores if len(images) != 2 else scores * 0.5

    (tmp_path / "toy.onnx").write_bytes(b"the old one")

    with pytest.warns(torch.jit.TracerWarning), pytest.raises(ModelError, match="differs from torch's"):
        export(Fickle(), CARD, tmp_path / "toy.onnx")

    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"toy.onnx": b"the old one"}


def test_export_refuses_card_with_other_labels(tmp_path):
    with pytest.raises(ModelError, match="promises"):
        export(Toy(outputs=3), CARD, tmp_path / "toy.onnx")

    assert list(tmp_path.iterdir()) == []


def test_replace_card_keeps_scores(tmp_path):
    export(Toy(), CARD, tmp_path / "toy.onnx")
    before = Model(tmp_path / "toy.onnx").score(pictures(7))
    other = Card(name="toy", version="2", labels=("bird", "red"), input_size=16, measured=({"split": "test", "n": 7},))

    replace_card(tmp_path / "toy.onnx", other)

    assert Model(tmp_path / "toy.onnx").card == other
    np.testing.assert_array_equal(Model(tmp_path / "toy.onnx").score(pictures(7)), before)


def test_export_names_both_heads(tmp_path):
    class Sight(Toy):
        def forward(self, images):
            scores = super().forward(images)
            return scores, nn.functional.normalize(scores + 1)

    card = Card(name="sight", version="1", labels=("bird", "red"), input_size=16, outputs=("scores", "vectors"),
                space="toys", dimensions=2)  # fmt: skip
    export(Sight(), card, tmp_path / "sight.onnx")

    outputs = Model(tmp_path / "sight.onnx").predict(pictures(3)[:, None])
    assert outputs.scores.shape == outputs.vectors.shape == (3, 2)
    np.testing.assert_allclose(np.linalg.norm(outputs.vectors, axis=1), 1, atol=1e-5)
