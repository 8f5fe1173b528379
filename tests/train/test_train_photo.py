"""The photo model's inputs, training and calibration."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

import torch
from fake_datasets import write_cub_lists

from train import augment, calibrate
from train.data import scenes
from train.networks.lite import IMAGENET_BIRDS, BirdNet
from train.recipes import photo
from train.tool import Model, prepare_file

pytestmark = pytest.mark.usefixtures("in_float32")
RED, BLUE = (255, 0, 0), (0, 0, 255)


def write_picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (300, 200)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def test_render_is_deterministic(tmp_path: Path) -> None:
    bird, scene = write_picture(tmp_path / "bird.png", RED), write_picture(tmp_path / "scene.png", BLUE)
    for kind, box, on in (("photo", None, None), ("bird", (90.0, 60.0, 80.0, 70.0), None), ("pasted", None, scene)):
        view = scenes.View(kind, bird, True, 5, box, on)
        views = [scenes.render(view, 32) for _ in range(2)]
        assert views[0].shape == (32, 32, 3)
        assert np.array_equal(*views)
    other = scenes.render(scenes.View("pasted", bird, True, 6, None, scene), 32)
    assert not np.array_equal(other, views[0])


def test_paste_small_returns_covered_share() -> None:
    for seed in range(20):
        patch, scene = Image.new("RGB", (90, 120), RED), Image.new("RGB", (300, 200), BLUE)
        composed, covered = scenes.paste_small(patch, scene, seed)
        reddish = (np.asarray(composed)[:, :, 0] > 0).mean()
        assert composed.size == scenes.CANVAS
        assert 0.001 < covered < 0.05
        assert abs(reddish - covered) < 0.1 * covered


def test_crop_background_contains_no_bird(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 200), BLUE)
    image.paste(Image.new("RGB", (120, 100), RED), (100, 60))
    image.save(tmp_path / "bird.png")
    for seed in range(20):
        view = scenes.View("bare", tmp_path / "bird.png", False, seed, (100.0, 60.0, 120.0, 100.0))
        part = augment.crop_background(scenes.open_picture(view.path), view.box, np.random.default_rng(seed))
        assert (np.asarray(part) == BLUE).all()
        assert min(part.size) >= 40


def test_find_near_copies_finds_compressed_version(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def write_smooth(name: str) -> Image.Image:
        image = Image.fromarray(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)).resize((270, 240), Image.BICUBIC)
        image.save(tmp_path / name)
        return image

    write_smooth("a.png").resize((180, 150)).save(tmp_path / "copy.jpg", quality=60)
    write_smooth("other.png")
    held_out = [scenes.View("whole", tmp_path / "a.png", True, 0)]
    candidates = [scenes.View("whole", tmp_path / name, True, 0) for name in ("copy.jpg", "other.png")]
    assert scenes.find_near_copies(candidates, held_out) == {tmp_path / "copy.jpg"}


@pytest.mark.slow
def test_bird_net_scores_same_for_any_cut() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8))
    with torch.inference_mode():
        nets = BirdNet(12), BirdNet(18), BirdNet(12, folded=False)
        early, late, unfolded = (net.eval()(images) for net in nets)
    assert early.shape == (2, 1)
    assert torch.allclose(early, late, atol=1e-5)
    assert torch.allclose(early, unfolded, atol=1e-5)
    assert len(IMAGENET_BIRDS) == 59


@pytest.mark.slow
def test_train_network_keeps_stages_before_cut() -> None:
    rng = np.random.default_rng(0)
    inputs = [scenes.View("photo", Path("x"), i % 2 == 0, i) for i in range(16)]
    views = rng.random((16, 1, 320, 7, 7)) + np.array([r.bird for r in inputs])[:, None, None, None, None]
    settings = photo.PhotoSettings(cut=17, epochs=8, batch_size=8, learning_rate=1e-3, average=0.5)
    before, after = (
        BirdNet(17, folded=False),
        photo.train_network(views.astype(np.float16), inputs, settings, lambda task, done, total: None),
    )
    same = [
        all(map(torch.equal, b.parameters(), a.parameters())) for b, a in zip(before.stages, after.stages, strict=True)
    ]
    assert same == [True] * 17 + [False]
    z = photo.compute_logits(after, views.astype(np.float16))[:, 0]
    assert z[::2].min() > z[1::2].max()


def test_choose_threshold_weights_others_by_share_of_birds() -> None:
    """A quarter of Caltech-101 are birds; Tiny ImageNet adds others; CUB's birds do not count."""
    sets = ["caltech-101"] * 8 + ["tiny-imagenet"] * 594 + ["cub"]
    birds = [True, True, *[False] * 600, True]
    scores = np.array([0.9, 0.6, 0.7, *[0.1] * 5, 0.8, *[0.05] * 593, 0.99])
    views = [scenes.View("whole", Path("x"), b, 0, group=g) for b, g in zip(birds, sets, strict=True)]
    assert photo.choose_threshold(scores, views, 0.98) == 0.6  # 0.25 against 2 * 0.75 / 600: a precision of 0.99
    assert photo.choose_threshold(scores[:8], views[:8], 0.98) == 0.9  # alone: 1 of 3 is wrong


@pytest.mark.slow
def test_fit_pooling_relies_on_tiles_for_small_birds() -> None:
    rng = np.random.default_rng(2)
    kinds = ["small"] * 200 + ["whole"] * 200 + ["scene"] * 400
    birds = np.array([True] * 400 + [False] * 400)
    z = rng.normal(-4, 1, (800, 10))
    z[:200, 3] += 9
    z[200:400] += 9
    small = np.array([k == "small" for k in kinds])
    (whole, most, _), counts = calibrate.fit_pooling(z, birds, small, prior=0.2, threshold=0.5)
    assert most > 2 * abs(whole)
    assert counts["small_birds"][0] > 190
    assert counts["whole_birds"][0] > 190
    assert counts["no_bird"] == [0, 400]  # as many as without tiles
    assert counts["small_share"] == 0.6


@pytest.mark.slow
def test_fit_pooling_lowers_small_share_to_avoid_false_alarms() -> None:
    rng = np.random.default_rng(2)
    birds, small = np.arange(400) < 200, np.ones(400, bool)
    z = rng.normal(-4, 1, (400, 5))
    z[:200, 1] += 3
    _, counts = calibrate.fit_pooling(z, birds, small, prior=0.2, threshold=0.5)
    assert counts["no_bird"] == [0, 200]
    assert counts["small_share"] < 0.6


def test_prepare_view_equals_search(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg", RED)
    view = scenes.View("whole", path, True, 0)
    pixels = photo.prepare_view(view, size=32, tiles=4)
    assert np.array_equal(pixels, prepare_file(path, 32, tiles=4))


def write_noise(path: Path, colour: tuple[int, int, int], rng: np.random.Generator, size: tuple[int, int]) -> Path:
    """A picture of one colour with coarse noise, so that no two are near copies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = rng.integers(-60, 60, (9, 9, 3)) + np.array(colour)
    image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    image.save(path, "JPEG")
    return path


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of the three sets; birds are red, everything else is blue."""
    data, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    names = [f"001.Auk/Auk_{i:04}.jpg" for i in range(48)]
    for name in names:
        write_noise(data / "CUB_200_2011" / "images" / name, RED, rng, (240, 180))
    write_cub_lists(data / "CUB_200_2011", names, "100 20 60 90", training=44)
    for name, colour in (("ibis", RED), ("chair", BLUE)):
        for i in range(60):
            write_noise(data / "101_ObjectCategories" / name / f"image_{i:04}.jpg", colour, rng, (150, 110))
    tiny = data / "tiny-imagenet-200"
    for wnid, colour in (("n01855672", RED), ("n03100240", BLUE)):
        for i in range(40):
            write_noise(tiny / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", colour, rng, (64, 64))
    write_noise(tiny / "val" / "images" / "val_0.JPEG", BLUE, rng, (64, 64))
    (tiny / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn03100240\t0\t0\t62\t62\n")
    (tiny / "words.txt").write_text("n01855672\tgoose\nn03100240\tconvertible\n")
    return data


def list_trainable(network: BirdNet) -> list[torch.nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad]


@pytest.mark.slow
def test_fits_have_own_seeds_and_averaged_weights() -> None:
    assert photo.choose_seeds(photo.PhotoSettings(seed=1, fits=3)) == [1, 2, 3]
    assert photo.choose_seeds(photo.PhotoSettings(seed=2, fits=3)) == [4, 5, 6]
    one, other = (BirdNet(17, folded=False) for _ in range(2))
    with torch.no_grad():
        for p in list_trainable(other):
            p += 2
    mean = photo.average([one, other])
    for a, m in zip(list_trainable(one), list_trainable(mean), strict=True):
        assert torch.allclose(m, a + 1, atol=1e-5)
    for a, m in zip(one.stages[:17].parameters(), mean.stages[:17].parameters(), strict=True):
        assert torch.equal(a, m)


@pytest.mark.slow
def test_photo_recipe_finds_unseen_birds(sets: Path, tmp_path: Path) -> None:
    few = scenes.Amounts(bare=4, pasted_birds=8, pasted_others=8)
    settings = photo.PhotoSettings(
        size=64, cut=16, epochs=4, batch_size=16, average=0.5, learning_rate=2e-3, small=4, whole_frames=4, amounts=few
    )
    tasks: list[str] = []
    to = tmp_path / "photo.onnx"

    card = photo.train(
        settings, sets, to, scratch=tmp_path / "cache", progress=lambda task, done, total: tasks.append(task)
    )

    model = Model(to, provider="cpu")
    test = scenes.list_whole(sets, "test")
    scores = model.score(np.concatenate([photo.prepare_view(r, size=64) for r in test]))[:, 0]
    birds = np.array([r.bird for r in test])
    assert birds.sum() > 10 < (~birds).sum()
    assert scores[birds].min() > scores[~birds].max()
    assert ((scores >= card.thresholds["bird"]) == birds).mean() > 0.95
    assert set(card.pooling) == {"4", "9", "16"}
    (row,) = card.measured
    validation = [r for r in scenes.list_whole(sets, "validation") if r.group == "caltech-101"]
    assert 0 < row["n"] <= len(validation)
    assert {"steps, seed 1", "steps, seed 2"} < set(tasks)
    assert card.details["seeds"] == [1, 2]
    assert not list((tmp_path / "cache").iterdir())  # no intermediate results remain
