"""The network for any folder of classes, on squares of one colour."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from photosearch.errors import InputError
from train.networks.deep import build
from train.recipes import deep
from train.tool import Model, prepare_file

pytestmark = pytest.mark.usefixtures("in_float32")
COLOURS = {"blue": (30, 30, 220), "green": (30, 220, 30), "red": (220, 30, 30)}
SETTINGS = deep.DeepSettings(size=64, filters=(8, 8, 8, 8, 8), dense=32, dropout=0.0, epochs=10, batch_size=16,
                         learning_rate=5e-3)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sixty noisy JPEGs of each of three colours, and one file that is not a JPEG."""
    root, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir()
        for i in range(60):
            pixels = (np.array(colour) + rng.integers(-30, 31, (70, 90, 3))).clip(0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{i}.jpg")
    (root / "red" / "broken.jpg").write_bytes(b"not a JPEG")
    (root / "few").mkdir()
    shutil.copy(root / "red" / "0.jpg", root / "few" / "0.jpg")
    (root / "empty").mkdir()
    return root


@pytest.mark.slow
def test_deep_recipe_recognises_colours(folder, tmp_path, capsys):
    path = deep.train(SETTINGS, folder, tmp_path / "colours.onnx", 3, progress=lambda *_: None)
    model = Model(path, provider="cpu")
    assert model.card.labels == ("blue", "green", "red")
    for name in COLOURS:
        views = prepare_file(folder / name / "7.jpg", 64)
        scores = model.score(views)[0]
        assert model.card.labels[scores.argmax()] == name
        assert scores.sum() == pytest.approx(1, abs=1e-5)
    test = model.card.details["test"]
    assert test["top_1"] > 0.9
    assert (test["chance_top_1"], test["top_5"], test["chance_top_5"]) == (0.3333, 1, 1)
    assert sum(row["positives"] for row in model.card.measured) == test["n"]
    assert f"top-1 {test['top_1']:.3f} (chance 0.333)" in capsys.readouterr().out


def test_list_pictures_takes_largest_classes_by_name(folder):
    labels, pictures = deep.list_pictures(folder, 3)
    assert labels == ("blue", "green", "red")
    assert [sum(p.target == i for p in pictures) for i in range(3)] == [60, 60, 61]
    assert deep.list_pictures(folder, 4)[0] == ("blue", "few", "green", "red")


@pytest.mark.parametrize("classes", [1, 5])
def test_list_pictures_refuses_too_many_classes(folder, classes):
    with pytest.raises(InputError, match="has 4 subfolders with photos; --classes takes 2 to 4"):
        deep.list_pictures(folder, classes)


def test_list_pictures_refuses_missing_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        deep.list_pictures(tmp_path / "gone", 2)


def test_list_pictures_keeps_copies_in_one_part(folder):
    _, pictures = deep.list_pictures(folder, 4)
    parts = {p.path: p.part for p in pictures}
    assert parts[str(folder / "few" / "0.jpg")] == parts[str(folder / "red" / "0.jpg")]
    assert set(parts.values()) == {"train", "validation", "test"}


def test_read_batches_skips_unreadable_picture(folder):
    pictures = [deep.Picture(str(folder / "red" / name), 2, "train") for name in ("0.jpg", "broken.jpg", "1.jpg")]
    ((images, targets),) = deep.read_batches(pictures, 64, 16)
    assert images.shape == (2, 64, 64, 3)
    assert targets.tolist() == [2, 2]


def test_build_has_the_talks_layers():
    network = build(1000, size=224, filters=deep.DeepSettings().filters, dense=512, dropout=0.5)
    kinds = [type(layer).__name__ for layer in network.modules() if isinstance(
        layer, torch.nn.Conv2d | torch.nn.MaxPool2d | torch.nn.Linear)]  # fmt: skip
    assert kinds == ["Conv2d", "MaxPool2d"] * 2 + ["Conv2d"] * 3 + ["MaxPool2d"] + ["Linear"] * 3
    assert network.eval()(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)


def test_top_counts_pictures_among_highest_scores():
    scores = np.linspace(1, 0, 10, dtype=np.float32)[None].repeat(3, 0)
    targets = np.array([0, 4, 5])
    assert deep.top(scores, targets, 1) == pytest.approx(1 / 3)
    assert deep.top(scores, targets, 5) == pytest.approx(2 / 3)


def test_choose_threshold_maximises_f1_of_all_labels():
    scores = np.array([[0.9, 0.1], [0.7, 0.3], [0.36, 0.64], [0.3, 0.7]], np.float32)
    assert deep.choose_threshold(scores, np.array([0, 0, 1, 1])) == 0.4
