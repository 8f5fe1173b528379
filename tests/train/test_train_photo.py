"""What the photo model is shown, and what is chosen on validation: same recipe, same pixels; no shortcut by paste."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

import torch
from sets import cub_lists

from train import augment, calibrate
from train.data import scenes
from train.networks.lite import IMAGENET_BIRDS, BirdNet
from train.recipes import photo
from train.tool import Model, see_file

RED, BLUE = (255, 0, 0), (0, 0, 255)


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (300, 200)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def test_a_recipe_always_renders_to_the_same_pixels(tmp_path: Path) -> None:
    bird, scene = picture(tmp_path / "bird.png", RED), picture(tmp_path / "scene.png", BLUE)
    for kind, box, on in (("photo", None, None), ("bird", (90.0, 60.0, 80.0, 70.0), None), ("pasted", None, scene)):
        recipe = scenes.Recipe(kind, bird, True, 5, box, on)
        views = [scenes.render(recipe, 32) for _ in range(2)]
        assert views[0].shape == (32, 32, 3)
        assert np.array_equal(*views)
    other = scenes.render(scenes.Recipe("pasted", bird, True, 6, None, scene), 32)
    assert not np.array_equal(other, views[0])


def test_a_small_bird_covers_what_is_said_and_less_than_a_twentieth() -> None:
    for seed in range(20):
        patch, scene = Image.new("RGB", (90, 120), RED), Image.new("RGB", (300, 200), BLUE)
        composed, covered = scenes.paste_small(patch, scene, seed)
        reddish = (np.asarray(composed)[:, :, 0] > 0).mean()
        assert composed.size == scenes.CANVAS
        assert 0.001 < covered < 0.05
        assert abs(reddish - covered) < 0.1 * covered


def test_what_lies_beside_a_bird_holds_nothing_of_it(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 200), BLUE)
    image.paste(Image.new("RGB", (120, 100), RED), (100, 60))
    image.save(tmp_path / "bird.png")
    for seed in range(20):
        recipe = scenes.Recipe("bare", tmp_path / "bird.png", False, seed, (100.0, 60.0, 120.0, 100.0))
        part = augment.crop_beside(scenes.open_picture(recipe.path), recipe.box, np.random.default_rng(seed))
        assert (np.asarray(part) == BLUE).all()
        assert min(part.size) >= 40


def test_a_smaller_and_compressed_version_of_a_picture_is_a_near_copy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def smooth(name: str) -> Image.Image:
        image = Image.fromarray(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)).resize((270, 240), Image.BICUBIC)
        image.save(tmp_path / name)
        return image

    smooth("a.png").resize((180, 150)).save(tmp_path / "copy.jpg", quality=60)
    smooth("other.png")
    held_out = [scenes.Recipe("whole", tmp_path / "a.png", True, 0)]
    asked = [scenes.Recipe("whole", tmp_path / name, True, 0) for name in ("copy.jpg", "other.png")]
    assert scenes.find_near_copies(asked, held_out) == {tmp_path / "copy.jpg"}


@pytest.mark.slow
def test_the_network_begins_with_what_imagenet_taught_it_wherever_it_is_cut() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8))
    with torch.inference_mode():
        nets = BirdNet(12), BirdNet(18), BirdNet(12, folded=False)
        early, late, unfolded = (net.eval()(images) for net in nets)
    assert early.shape == (2, 1)
    assert torch.allclose(early, late, atol=1e-5)
    assert torch.allclose(early, unfolded, atol=1e-5)
    assert len(IMAGENET_BIRDS) == 59


@pytest.mark.slow
def test_teaching_leaves_what_lies_before_the_cut_as_it_was() -> None:
    rng = np.random.default_rng(0)
    recipes = [scenes.Recipe("photo", Path("x"), i % 2 == 0, i) for i in range(16)]
    views = rng.random((16, 1, 320, 7, 7)) + np.array([r.bird for r in recipes])[:, None, None, None, None]
    settings = photo.Settings(cut=17, epochs=8, batch_size=8, learning_rate=1e-3, average=0.5)
    before, after = (
        BirdNet(17, folded=False),
        photo.teach(views.astype(np.float16), recipes, settings, lambda what, done, of: None),
    )
    same = [
        all(map(torch.equal, b.parameters(), a.parameters())) for b, a in zip(before.stages, after.stages, strict=True)
    ]
    assert same == [True] * 17 + [False]
    z = photo.compute_logits(after, views.astype(np.float16))[:, 0]
    assert z[::2].min() > z[1::2].max()


def test_platt_finds_the_line_that_made_the_logits() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(0, 3, 20_000)
    targets = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * z - 1)))
    slope, shift = calibrate.platt(z, targets)
    assert abs(slope - 0.5) < 0.03
    assert abs(shift + 1) < 0.06


def test_the_threshold_reaches_the_precision_in_a_library_with_few_birds() -> None:
    """One in four of Caltech-101 is a bird; each of Tiny ImageNet's counts as one of its others, CUB's birds do not."""
    sets = ["caltech-101"] * 8 + ["tiny-imagenet"] * 594 + ["cub"]
    birds = [True, True, *[False] * 600, True]
    scores = np.array([0.9, 0.6, 0.7, *[0.1] * 5, 0.8, *[0.05] * 593, 0.99])
    recipes = [scenes.Recipe("whole", Path("x"), b, 0, group=g) for b, g in zip(birds, sets, strict=True)]
    assert photo.choose_threshold(scores, recipes, 0.98) == 0.6  # 0.25 against 2 * 0.75 / 600: a precision of 0.99
    assert photo.choose_threshold(scores[:8], recipes[:8], 0.98) == 0.9  # alone: 1 of 3 is wrong


def test_pooling_asks_the_tiles_where_the_whole_photo_shows_nothing() -> None:
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


def test_pooling_is_calibrated_for_fewer_small_birds_where_more_would_cost_false_alarms() -> None:
    rng = np.random.default_rng(2)
    birds, small = np.arange(400) < 200, np.ones(400, bool)
    z = rng.normal(-4, 1, (400, 5))
    z[:200, 1] += 3
    _, counts = calibrate.fit_pooling(z, birds, small, prior=0.2, threshold=0.5)
    assert counts["no_bird"] == [0, 200]
    assert counts["small_share"] < 0.6


def test_pictures_are_judged_on_the_way_of_the_search(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", RED)
    recipe = scenes.Recipe("whole", path, True, 0)
    seen = photo.look_at(recipe, size=32, tiles=4)
    assert np.array_equal(seen, see_file(path, 32, tiles=4))


def noise(path: Path, colour: tuple[int, int, int], rng: np.random.Generator, size: tuple[int, int]) -> Path:
    """A picture of a colour under coarse noise, so that no two look alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = rng.integers(-60, 60, (9, 9, 3)) + np.array(colour)
    image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    image.save(path, "JPEG")
    return path


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of the three sets in which birds are red and all else is blue."""
    data, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    names = [f"001.Auk/Auk_{i:04}.jpg" for i in range(48)]
    for name in names:
        noise(data / "CUB_200_2011" / "images" / name, RED, rng, (240, 180))
    cub_lists(data / "CUB_200_2011", names, "100 20 60 90", training=44)
    for name, colour in (("ibis", RED), ("chair", BLUE)):
        for i in range(60):
            noise(data / "101_ObjectCategories" / name / f"image_{i:04}.jpg", colour, rng, (150, 110))
    tiny = data / "tiny-imagenet-200"
    for wnid, colour in (("n01855672", RED), ("n03100240", BLUE)):
        for i in range(40):
            noise(tiny / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", colour, rng, (64, 64))
    noise(tiny / "val" / "images" / "val_0.JPEG", BLUE, rng, (64, 64))
    (tiny / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn03100240\t0\t0\t62\t62\n")
    (tiny / "words.txt").write_text("n01855672\tgoose\nn03100240\tconvertible\n")
    return data


def taught(network: BirdNet) -> list[torch.nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad]


@pytest.mark.slow
def test_several_fits_share_no_seed_with_another_run_and_ship_the_mean_of_their_weights() -> None:
    assert photo.seeds_of(photo.Settings(seed=1, fits=3)) == [1, 2, 3]
    assert photo.seeds_of(photo.Settings(seed=2, fits=3)) == [4, 5, 6]
    one, other = (BirdNet(17, folded=False) for _ in range(2))
    with torch.no_grad():
        for p in taught(other):
            p += 2
    mean = photo.average([one, other])
    for a, m in zip(taught(one), taught(mean), strict=True):
        assert torch.allclose(m, a + 1, atol=1e-5)
    for a, m in zip(one.stages[:17].parameters(), mean.stages[:17].parameters(), strict=True):
        assert torch.equal(a, m)


@pytest.mark.slow
def test_all_of_it_from_the_sets_to_a_file_that_knows_birds_it_was_not_shown(sets: Path, tmp_path: Path) -> None:
    few = scenes.Amounts(bare=4, pasted_birds=8, pasted_others=8)
    settings = photo.Settings(
        size=64, cut=16, epochs=8, batch_size=8, average=0.5, learning_rate=1e-3, small=4, whole_frames=4, amounts=few
    )
    told: list[str] = []
    to = tmp_path / "photo.onnx"

    card = photo.train(settings, sets, to, scratch=tmp_path / "cache", tell=lambda what, done, of: told.append(what))

    model = Model(to, provider="cpu")
    test = scenes.list_whole(sets, "test")
    scores = model.score(np.concatenate([photo.look_at(r, size=64) for r in test]))[:, 0]
    birds = np.array([r.bird for r in test])
    assert birds.sum() > 10 < (~birds).sum()
    assert scores[birds].min() > scores[~birds].max()
    assert ((scores >= card.thresholds["bird"]) == birds).mean() > 0.95
    assert set(card.pooling) == {"4", "9", "16"}
    (counted,) = card.measured
    validation = [r for r in scenes.list_whole(sets, "validation") if r.group == "caltech-101"]
    assert 0 < counted["n"] <= len(validation)
    assert {"steps, seed 1", "steps, seed 2"} < set(told)
    assert card.details["seeds"] == [1, 2]
    assert not list((tmp_path / "cache").iterdir())  # nothing is kept that an edit could make wrong
