"""Bursts against pairs that are compared one by one, and how sharp a photo is."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from embedding_library import open_seen
from PIL import Image, ImageFilter

from photosearch.photos.sharpness import measure_sharpness
from photosearch.search import bursts
from photosearch.search.bursts import LOOK_BACK, MIN_COSINE, SHOT, choose_sharpest, find_burst_rows

CODE = 0x5A5A_0F0F_3333_1234


def make_shots(*photos):
    shots = np.zeros(len(photos), SHOT)
    shots["photo_id"] = shots["image_id"] = range(len(photos))
    shots["width"], shots["height"], shots["fingerprint"], shots["camera"] = 40, 30, CODE, 1
    for shot, photo in zip(shots, photos, strict=True):
        for name, value in photo.items():
            shot[name] = value
    return shots


def find(*photos, vectors=None, **options):
    read = None if vectors is None else lambda places: np.array(vectors, np.float32)[places]
    return [burst.tolist() for burst in find_burst_rows(make_shots(*photos), read, **options)]


def test_burst_is_of_one_camera_within_seconds_and_of_equal_sides():
    at = [{"shot": 100 + n} for n in (9, 0, 2, 4)]
    assert find(*at) == [[1, 2, 3]]
    assert find(*at, seconds=5) == [[1, 2, 3, 0]]
    assert find({"shot": 1}, {"shot": 2, "camera": 2}) == []
    assert find({"shot": 1}, {"shot": 2, "width": 30, "height": 40}) == [[0, 1]], "turned"
    assert find({"shot": 1}, {"shot": 2, "width": 20, "height": 15}) == [], "an export"
    assert find() == find({}) == []


def test_burst_looks_alike_by_vector_else_by_fingerprint():
    far = {"shot": 0, "fingerprint": CODE ^ 0xFFFFFF}
    near = [1, 0], [MIN_COSINE + 0.01, np.sqrt(1 - (MIN_COSINE + 0.01) ** 2)]
    other = [1, 0], [MIN_COSINE - 0.01, np.sqrt(1 - (MIN_COSINE - 0.01) ** 2)]
    unknown = [np.nan, np.nan], [1, 0]
    assert find({}, far) == []
    assert find({}, far, vectors=near) == [[0, 1]]
    assert find({}, {}, vectors=other) == []
    assert find({}, {}, vectors=unknown) == [[0, 1]]
    assert find({"fingerprint": 0}, {"fingerprint": 0}) == [], "two plain pictures"


def test_bursts_that_alternate_are_two():
    a, b = {"fingerprint": CODE}, {"fingerprint": CODE ^ 0xFFFFFFFF}
    assert find(*(kind | {"shot": n} for n, kind in enumerate([a, b, a, b, a]))) == [[0, 2, 4], [1, 3]]


def test_bursts_equal_comparison_of_all_pairs(monkeypatch):
    monkeypatch.setattr(bursts, "MAX_COSINES", 7)
    rng = np.random.default_rng(1)
    kinds = [CODE, CODE ^ 0xFFFFFFFF, CODE ^ (0xFFFFFFFF << 20)]
    photos = [
        {"camera": int(rng.integers(1, 4)), "shot": int(rng.integers(0, 400)), "fingerprint": kinds[rng.integers(3)]}
        for _ in range(300)
    ]
    shots = make_shots(*photos)
    order = sorted(range(300), key=lambda i: (photos[i]["camera"], photos[i]["shot"], i))
    group = list(range(300))
    for x, y in itertools.combinations(range(300), 2):
        i, j = order[x], order[y]
        near = photos[i]["camera"] == photos[j]["camera"] and photos[j]["shot"] - photos[i]["shot"] <= 3
        if near and y - x <= LOOK_BACK and photos[i]["fingerprint"] == photos[j]["fingerprint"]:
            group = [group[i] if g == group[j] else g for g in group]
    expected = {frozenset(i for i in range(300) if group[i] == g) for g in group}
    found = find_burst_rows(shots)
    assert {frozenset(burst.tolist()) for burst in found} == {g for g in expected if len(g) > 1}
    assert len(found) > 30


def scene(seed: int) -> Image.Image:
    patches = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    return Image.fromarray(patches).resize((512, 512), Image.Resampling.NEAREST)


def test_sharpness_falls_with_blur():
    sharp = scene(1)
    blurred = [np.asarray(sharp.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 4)]
    measured = [measure_sharpness(view) for view in blurred]
    assert measured == sorted(measured, reverse=True)
    assert measured[3] < measured[0] / 4
    assert measure_sharpness(np.full((8, 8, 3), 255, np.uint8)) == 0
    board = np.repeat((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    assert measure_sharpness(board) == pytest.approx(1020**2)
    assert choose_sharpest([None, 1.0, 3.0, 3.0]) == 2
    assert choose_sharpest([None]) is None


@pytest.mark.slow
def test_find_bursts_in_library_marks_sharpest_and_leaves_copies_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path, reads=False) as seen:
        for name, second, radius in (
            ("a.png", 0, 3), ("b.jpg", 1, 0), ("b.dng", 1, 0), ("c.jpg", 2, 1), ("c-edited.jpg", 2, 0),
            ("far.jpg", 40, 0),
        ):  # fmt: skip
            exif = Image.Exif()
            exif[0x110] = "Toy 1"
            exif.get_ifd(0x8769)[0x9003] = f"2024:05:06 07:08:{second:02}"
            kind = "JPEG" if name.endswith("jpg") else "PNG"  # decoders go by the bytes
            scene(1).filter(ImageFilter.GaussianBlur(radius)).save(seen.folder / name, kind, exif=exif)
        (seen.folder / "b (1).jpg").write_bytes((seen.folder / "b.jpg").read_bytes())
        seen.index()
        (burst,) = seen.asks.find_bursts()
        names = [os.path.basename(shot.photo.path).partition(".")[0] for shot in burst.shots]
        assert names == ["a", "b", "c"]
        assert (burst.sharpest, burst.shots[1].taken) == (1, "2024-05-06T07:08:01")
        assert seen.asks.find_bursts(seconds=0.5) == []
        Path(burst.shots[1].photo.path).unlink()
        (burst,) = seen.asks.find_bursts()
        assert (burst.sharpest, burst.shots[1].sharpness) == (2, None)
