"""What the photo model is shown, and what is chosen on validation: same recipe, same pixels; no shortcut by paste."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

import torch
from sets import cub_lists

from photosearch import photos
from photosearch.model import Model
from train import photo, scenes

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
        composed, covered = scenes.small(patch, scene, seed)
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
        part = scenes._beside(scenes.opened(recipe.path), recipe.box, np.random.default_rng(seed))
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
    assert scenes.near_copies(asked, held_out) == {tmp_path / "copy.jpg"}


def test_the_network_begins_with_what_imagenet_taught_it_wherever_it_is_cut() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8))
    with torch.inference_mode():
        nets = photo.BirdNet(12), photo.BirdNet(18), photo.BirdNet(12, folded=False)
        early, late, unfolded = (net.eval()(images) for net in nets)
    assert early.shape == (2, 1)
    assert torch.allclose(early, late, atol=1e-5)
    assert torch.allclose(early, unfolded, atol=1e-5)
    assert len(photo.IMAGENET_BIRDS) == 59


def test_teaching_leaves_what_lies_before_the_cut_as_it_was() -> None:
    rng = np.random.default_rng(0)
    recipes = [scenes.Recipe("photo", Path("x"), i % 2 == 0, i) for i in range(16)]
    views = rng.random((16, 1, 320, 7, 7)) + np.array([r.bird for r in recipes])[:, None, None, None, None]
    settings = photo.Settings(cut=17, epochs=8, batch=8, rate=1e-3, average=0.5)
    before, after = (
        photo.BirdNet(17, folded=False),
        photo.fit(views.astype(np.float16), recipes, settings, lambda done, of: None),
    )
    same = [
        all(map(torch.equal, b.parameters(), a.parameters())) for b, a in zip(before.stages, after.stages, strict=True)
    ]
    assert same == [True] * 17 + [False]
    z = photo.logits(after, views.astype(np.float16))[:, 0]
    assert z[::2].min() > z[1::2].max()


def test_platt_finds_the_line_that_made_the_logits() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(0, 3, 20_000)
    targets = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * z - 1)))
    slope, shift, _ = photo.platt(z, targets)
    assert abs(slope - 0.5) < 0.03
    assert abs(shift + 1) < 0.06


def test_the_threshold_reaches_the_precision_in_a_library_with_few_birds() -> None:
    """One in four of Caltech-101 is a bird; each of Tiny ImageNet's counts as one of its others, CUB's birds do not."""
    sets = ["caltech-101"] * 8 + ["tiny-imagenet"] * 594 + ["cub"]
    birds = [True, True, *[False] * 600, True]
    scores = np.array([0.9, 0.6, 0.7, *[0.1] * 5, 0.8, *[0.05] * 593, 0.99])
    recipes = [scenes.Recipe("whole", Path("x"), b, 0, group=g) for b, g in zip(birds, sets, strict=True)]
    assert photo.chosen(scores, recipes) == 0.6  # 0.25 against 2 * 0.75 / 600: a precision of 0.99
    assert photo.chosen(scores[:8], recipes[:8]) == 0.9  # alone: 1 of 3 is wrong


def test_pooling_asks_the_tiles_where_the_whole_photo_shows_nothing() -> None:
    rng = np.random.default_rng(2)
    kinds = ["small"] * 200 + ["whole"] * 200 + ["scene"] * 400
    birds = np.array([True] * 400 + [False] * 400)
    z = rng.normal(-4, 1, (800, 10))
    z[:200, 3] += 9
    z[200:400] += 9
    recipes = [scenes.Recipe(k, Path("x"), bool(b), 0) for k, b in zip(kinds, birds, strict=True)]
    pooling, counts = photo.pooled(z, recipes, prior=0.2, threshold=0.5)
    whole, most, _ = pooling["bird"]
    assert most > 2 * abs(whole)
    assert counts["small_birds"][0] > 190
    assert counts["whole_birds"][0] > 190
    assert counts["no_bird"] == [0, 400]  # as many as without tiles
    assert counts["small_share"] == 0.6


def test_pooling_is_calibrated_for_fewer_small_birds_where_more_would_cost_false_alarms() -> None:
    rng = np.random.default_rng(2)
    recipes = [scenes.Recipe("small", Path("x"), i < 200, 0) for i in range(400)]
    z = rng.normal(-4, 1, (400, 5))
    z[:200, 1] += 3
    _, counts = photo.pooled(z, recipes, prior=0.2, threshold=0.5)
    assert counts["no_bird"] == [0, 200]
    assert counts["small_share"] < 0.6


def test_pictures_are_judged_on_the_way_of_the_search(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", RED)
    recipe = scenes.Recipe("whole", path, True, 0)
    seen = photo.judged(recipe, size=32, tiles=4)
    assert np.array_equal(seen, photos.decode(photos.read(str(path)), 32, tiles=4).views)


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


def test_several_fits_share_no_seed_with_another_run_and_ship_the_mean_of_their_weights() -> None:
    assert photo.seeds(photo.Settings(seed=1, fits=3)) == [1, 2, 3]
    assert photo.seeds(photo.Settings(seed=2, fits=3)) == [4, 5, 6]
    one, other = (photo.BirdNet(17, folded=False) for _ in range(2))
    with torch.no_grad():
        for p in other.taught():
            p += 2
    mean = photo.mean_of([one, other])
    for a, m in zip(one.taught(), mean.taught(), strict=True):
        assert torch.allclose(m, a + 1, atol=1e-5)
    for a, m in zip(one.stages[:17].parameters(), mean.stages[:17].parameters(), strict=True):
        assert torch.equal(a, m)


def test_all_of_it_from_the_sets_to_a_file_that_knows_birds_it_was_not_shown(sets: Path, tmp_path: Path) -> None:
    few = scenes.Amounts(bare=4, pasted_birds=8, pasted_others=8)
    settings = photo.Settings(
        size=64, cut=16, epochs=8, batch=8, average=0.5, rate=1e-3, small=4, whole_frames=4, amounts=few
    )
    told: list[str] = []
    to = tmp_path / "photo.onnx"

    card = photo.teach(sets, to, settings, cache=tmp_path / "cache", tell=lambda what, done, of: told.append(what))

    model = Model(to, provider="cpu")
    test = scenes.natural(sets, "test")
    scores = model.score(np.concatenate([photo.judged(r, size=64) for r in test]))[:, 0]
    birds = np.array([r.bird for r in test])
    assert birds.sum() > 10 < (~birds).sum()
    assert scores[birds].min() > scores[~birds].max()
    assert ((scores >= card.thresholds["bird"]) == birds).mean() > 0.95
    assert set(card.pooling) == {"4", "9", "16"}
    counted = card.details["validation"]["caltech_101"]
    validation = [r for r in scenes.natural(sets, "validation") if r.group == "caltech-101"]
    assert sum(counted.values()) <= len(validation)
    assert {"steps, seed 1", "steps, seed 2"} < set(told)
    assert card.details["seeds"] == [1, 2]
    told.clear()
    again = photo.teach(sets, to, settings, cache=tmp_path / "cache", tell=lambda what, done, of: told.append(what))
    assert not told  # all of it was kept
    assert again.thresholds == card.thresholds
