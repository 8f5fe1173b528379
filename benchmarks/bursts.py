"""Which shots of a burst are found and which strangers aren't, how often the sharpest is marked, and what it all costs.

Bursts are made of photographs of Flickr8k, drawn with a seed: each is shot again as `benchmarks/duplicates.py` does,
from a moving hand, with other light and noise. Blur is made at the photo's own size, in all shots but one: out of focus
(a Gaussian), or moved (an average along a line). Sharpness is measured as the product does, on the decoded view, at
several sizes of it, and also divided by the variance of the grey levels.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.duplicates import _write, draw, look, shoot
from benchmarks.measure import measure_core_ms, measure_growth
from photosearch.photos.decode import ViewSpec, decode
from photosearch.photos.sharpness import SIZE, measure_sharpness
from photosearch.search.bursts import MAX_BITS, MIN_COSINE, SHOT, find_burst_rows

FOLDER = "Flickr8k/Flicker8k_Dataset"
SIDES = (256, 320, 512, 1024)  # of the view that sharpness is measured on
SHOTS = 4  # of a burst, of which one is sharp
ROWS = 100_000
Blur = Callable[[Image.Image], Image.Image]


def focus(radius: float) -> Blur:
    return lambda image: image.filter(ImageFilter.GaussianBlur(radius))


def move(length: int) -> Blur:
    """By so many pixels along a row."""

    def blur(image: Image.Image) -> Image.Image:
        pixels = np.asarray(image, np.float32)
        moved = np.mean([np.roll(pixels, shift, 1) for shift in range(length)], axis=0)
        return Image.fromarray(moved.astype(np.uint8))

    return blur


BLURS: dict[str, Blur] = {
    "out of focus by 0.3 pixels": focus(0.3),
    "out of focus by 0.5 pixels": focus(0.5),
    "out of focus by 1 pixel": focus(1),
    "moved by 2 pixels": move(2),
    "moved by 5 pixels": move(5),
}


def bursts(data: Path, *, photographs: int = 60, seed: int = 1) -> dict[str, Any]:
    paths = draw(data / FOLDER, photographs, np.random.default_rng(seed))
    images = [Image.open(path).convert("RGB") for path in paths]
    return {
        "photographs": len(paths),
        "shots": SHOTS,
        "min_cosine": MIN_COSINE,
        "max_bits": MAX_BITS,
        "side": SIZE,
        "alike": measure_alike(images, seed),
        "blurs": [{"blur": name, **measure_blur(images, blur, seed)} for name, blur in BLURS.items()],
        "open_core_ms": measure_opening(paths),
        "rows": [measure_rows(with_vectors=v, seed=seed) for v in (False, True)],
    }


def measure_alike(images: list[Image.Image], seed: int) -> dict[str, float]:
    """The share of a shot's next ones that look alike, and of strangers: by vector, and by fingerprint alone."""
    codes, vectors = look([_write(image) for image in images])
    found: dict[str, float] = {}
    for name, far in (("a steady hand", 1.0), ("moving", 2.5), ("moving fast", 5.0)):
        again = [shoot(far)(image, np.random.default_rng([seed, i])) for i, image in enumerate(images)]
        other_codes, others = look([_write(image) for image in again])
        found[f"{name}, by vector"] = float((np.vecdot(vectors, others) >= MIN_COSINE).mean())
        found[f"{name}, by fingerprint"] = float((np.bitwise_count(codes ^ other_codes) <= MAX_BITS).mean())
    apart = ~np.eye(len(images), dtype=bool)
    found["strangers, by vector"] = float((vectors @ vectors.T >= MIN_COSINE)[apart].mean())
    found["strangers, by fingerprint"] = float((np.bitwise_count(codes[:, None] ^ codes) <= MAX_BITS)[apart].mean())
    return found


def measure_blur(images: list[Image.Image], blur: Blur, seed: int) -> dict[str, float]:
    """The share of bursts of which the sharp shot is marked, by the side of the view, and by a divided variance."""
    right = {f"{kind}{side}": 0 for side in SIDES for kind in ("", "divided ")}
    for i, image in enumerate(images):
        rng = np.random.default_rng([seed, i])
        sharp = int(rng.integers(SHOTS))
        shots = [shoot(2.5)(image if n == sharp else blur(image), rng) for n in range(SHOTS)]
        photo = [decode(_write(shot), [ViewSpec(side) for side in SIDES]) for shot in shots]
        for n, side in enumerate(SIDES):
            views = [one.views[n][0] for one in photo]
            plain = [measure_sharpness(view) for view in views]
            divided = [s / _grey(view).var() for s, view in zip(plain, views, strict=True)]
            right[str(side)] += int(np.argmax(plain)) == sharp
            right[f"divided {side}"] += int(np.argmax(divided)) == sharp
    return {name: n / len(images) for name, n in right.items()}


def _grey(view: Any) -> Any:
    return np.asarray(Image.fromarray(view).convert("L"), np.float32)


def measure_opening(paths: list[Path], megapixels: int = 12) -> dict[str, float]:
    """Core-milliseconds to decode a photo and to measure it: as it is, and enlarged to a phone's size."""
    image = Image.open(paths[0]).convert("RGB")
    height = round((megapixels * 1e6 * image.height / image.width) ** 0.5)
    large = _write(image.resize((round(height * image.width / image.height), height)))
    found = {}
    for name, files in (("small", [path.read_bytes() for path in paths[:50]]), (f"{megapixels} MP", [large] * 10)):
        found[f"decode, {name}"] = measure_core_ms(partial(_decode_all, files), len(files))
        measure = partial(list, map(measure_sharpness, _decode_all(files)))
        found[f"measure, {name}"] = measure_core_ms(measure, len(files))
    return found


def _decode_all(files: list[bytes]) -> list[Any]:
    return [decode(data, [ViewSpec(SIZE)]).views[0][0] for data in files]


def measure_rows(*, with_vectors: bool, seed: int) -> dict[str, Any]:
    """Made-up photos of 20 cameras, a third of them in bursts of 2 to 12 shots, half a second apart."""
    rng = np.random.default_rng(seed)
    lengths = np.where(rng.random(ROWS) < 0.07, rng.integers(2, 13, ROWS), 1)
    of = np.repeat(np.arange(ROWS), lengths)[:ROWS]
    first = np.flatnonzero(np.diff(of, prepend=-1))
    shots = np.zeros(ROWS, SHOT)
    shots["photo_id"] = shots["image_id"] = np.arange(ROWS)
    shots["width"], shots["height"] = 4000, 3000
    shots["camera"] = rng.integers(0, 20, ROWS)[of]
    within = np.arange(ROWS) - np.repeat(first, np.diff(np.append(first, ROWS)))
    shots["shot"] = rng.integers(0, 20 * 365 * 86_400, ROWS)[of] + within // 2
    codes = rng.integers(1, 2**63, ROWS, dtype=np.uint64)[of]
    shots["fingerprint"] = codes ^ (np.uint64(1) << rng.integers(0, 63, ROWS, dtype=np.uint64))
    vectors = None
    if with_vectors:
        made = rng.standard_normal((ROWS, 384), np.float32)[of] + 0.3 * rng.standard_normal((ROWS, 384), np.float32)
        vectors = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16)
    read = None if vectors is None else lambda places: vectors[places].astype(np.float32)
    found, cost = measure_growth(lambda: find_burst_rows(shots, read))
    return {
        "n": ROWS,
        "vectors": "with" if with_vectors else "without",
        **cost,
        "made": int(((lengths > 1)[np.unique(of)]).sum()),
        "bursts": len(found),
    }
