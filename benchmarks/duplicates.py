"""Which changes of a photo are found to be the same picture, that no strangers are, and how long 100,000 photos take.

Photographs of Flickr8k and Caltech-101, as many of each, drawn with a seed; changed copies of some of them are made
here: encodings, sizes, crops, and bursts, that is, shots from nearly the same place: turned, shifted, a little lighter
or darker, with other noise. Vectors are those of the model that is the default; with vectors of another kind the
cosines of search/duplicates.py must be looked at again.
"""

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks.measure import _high_water, core_seconds
from photosearch.models.catalog import DEFAULT_MODEL, list_shipped
from photosearch.models.session import Model
from photosearch.photos.decode import make_views
from photosearch.photos.fingerprint import fingerprint
from photosearch.search.duplicates import ALONE, NEAR, Photo, find_duplicates, is_near

FOLDERS = ("Flickr8k/Flicker8k_Dataset", "101_ObjectCategories")
LEFT_OUT = ("BACKGROUND", "Faces")  # Caltech-101 holds its faces twice, whole and cropped
BATCH = 16  # pictures that pass the model at once
SIZES = (10_000, 100_000)

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def encode(quality: int) -> Change:
    def change(image: Image.Image, _: np.random.Generator) -> Image.Image:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=quality)
        return Image.open(data).convert("RGB")

    return change


def crop(share: float) -> Change:
    """Cut this share of width and height off, more on one side than on the other."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        w, h = image.width * share, image.height * share
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        return image.crop((int(x), int(y), int(x + image.width - w), int(y + image.height - h)))

    return change


def shoot(far: float) -> Change:
    """Another shot of a burst: turned by up to far degrees, shifted by up to 3 % of the picture times far."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        w, h = image.size
        turned = image.rotate(rng.uniform(-far, far), Image.Resampling.BICUBIC)
        x, y = rng.uniform(0, 0.03 * far * w), rng.uniform(0, 0.03 * far * h)
        right, low = (0.98 - 0.03 * far) * w + x, (0.98 - 0.03 * far) * h + y
        cut = turned.crop((int(0.02 * w + x), int(0.02 * h + y), int(right), int(low)))
        lit = np.asarray(ImageEnhance.Brightness(cut).enhance(rng.uniform(0.95, 1.05)), np.float32)
        noisy = np.clip(lit + rng.normal(0, 4, lit.shape), 0, 255).astype(np.uint8)
        return encode(85)(Image.fromarray(noisy), rng)

    return change


CHANGES: dict[str, Change] = {
    "JPEG, quality 30": encode(30),
    "half its size": lambda image, _: image.resize((image.width // 2, image.height // 2)),
    "128 pixels wide": lambda image, _: image.resize((128, 128 * image.height // image.width)),
    "a quarter brighter": lambda image, _: ImageEnhance.Brightness(image).enhance(1.25),
    "grey": lambda image, _: image.convert("L").convert("RGB"),
    "cropped by 2 %": crop(0.02),
    "cropped by 5 %": crop(0.05),
    "cropped by 10 %": crop(0.1),
    "cropped by 20 %": crop(0.2),
    "burst, a steady hand": shoot(1),
    "burst, moving": shoot(2.5),
    "mirrored": lambda image, _: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def duplicates(data: Path, *, strangers: int = 1000, changed: int = 120, seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    images = [Image.open(path).convert("RGB") for path in draw(data, strangers, rng)]
    begun = core_seconds()
    codes = fingerprints(images)
    fingerprint_core_ms = 1000 * (core_seconds() - begun) / len(images)
    vectors = embed(images)
    picked = np.arange(0, strangers, max(1, strangers // changed))[:changed]
    rows = []
    for name, change in CHANGES.items():
        made = [change(images[i], np.random.default_rng(seed)) for i in picked]
        rows.append({"change": name, **compare(picked, fingerprints(made), embed(made), codes, vectors)})
    others = Pairs(codes, vectors, codes, vectors)
    strangers_only = np.triu(np.ones(others.bits.shape, bool), 1)
    return {
        "strangers": strangers,
        "changed": len(picked),
        "steps": [list(step) for step in NEAR],
        "alone": ALONE,
        "vectors": f"{DEFAULT_MODEL}'s vectors",
        "fingerprint_core_ms": fingerprint_core_ms,
        "rows": rows,
        "strangers_called_near": {
            "by_fingerprint": int((others.by_fingerprint & strangers_only).sum()),
            "with_vectors": int((others.with_vectors & strangers_only).sum()),
        },
        "nearest_strangers": {"bits": int(others.bits[strangers_only].min())},
        "speed": [speed(n, with_vectors=v) for n in SIZES for v in (False, True)],
    }


def draw(data: Path, n: int, rng: np.random.Generator) -> list[Path]:
    """As many of each folder."""
    found = []
    for folder in FOLDERS:
        paths = sorted(p for p in (data / folder).rglob("*.jpg") if not any(name in str(p) for name in LEFT_OUT))
        found += [paths[i] for i in rng.permutation(len(paths))[: n // len(FOLDERS)]]
    return found


def fingerprints(images: Sequence[Image.Image]) -> Any:
    return np.array([fingerprint(image) for image in images], np.uint64)


def embed(images: Sequence[Image.Image]) -> Any:
    """Unit vectors [N, D] of the model that is the default."""
    model = Model(list_shipped()[DEFAULT_MODEL], provider="cpu", threads=1)
    size, fit = model.card.input_size, model.card.fit
    found = []
    for first in range(0, len(images), BATCH):
        some = np.stack([make_views(image, size, fit=fit) for image in images[first : first + BATCH]])
        found.append(model.predict(some).vectors)
    return np.concatenate(found)


class Pairs:
    """Everything of one kind with everything of another: bits and cosines [N, M], and what is called near."""

    def __init__(self, codes: Any, vectors: Any, others: Any, vectors_of_others: Any):
        self.bits = np.bitwise_count(codes[:, None] ^ others[None]).astype(int)
        self.cosines = vectors @ vectors_of_others.T
        told = (codes[:, None] != 0) & (others[None] != 0)
        self.by_fingerprint = told & np.vectorize(lambda b: is_near(b, None), otypes=[bool])(self.bits)
        self.with_vectors = told & np.vectorize(is_near, otypes=[bool])(self.bits, self.cosines)


def compare(picked: Any, codes: Any, vectors: Any, all_codes: Any, all_vectors: Any) -> dict[str, Any]:
    """Changed photos against all that are unchanged: row i was made from the photo picked[i]."""
    pairs = Pairs(codes, vectors, all_codes, all_vectors)
    at = (np.arange(len(picked)), picked)

    def judge(near: Any) -> dict[str, float | None]:
        right, called = int(near[at].sum()), int(near.sum())
        return {"recall": right / len(picked), "precision": right / called if called else None}

    return {
        "bits": float(np.median(pairs.bits[at])),
        "cosine": float(np.median(pairs.cosines[at])),
        "by_fingerprint": judge(pairs.by_fingerprint),
        "with_vectors": judge(pairs.with_vectors),
    }


def speed(n: int, *, with_vectors: bool, seed: int = 1) -> dict[str, Any]:
    """Made-up photos, of which every tenth is another's with one bit changed."""
    rng = np.random.default_rng(seed)
    base = n - n // 10
    of = np.concatenate([np.arange(base), rng.integers(0, base, n - base)])
    codes = rng.integers(1, 2**63, base, dtype=np.uint64)[of]
    codes[base:] ^= np.uint64(1) << rng.integers(0, 63, n - base, dtype=np.uint64)
    vectors = None
    if with_vectors:
        spread = rng.standard_normal((base, 20), np.float32) @ rng.standard_normal((20, 384), np.float32)
        made = (spread + 2 * rng.standard_normal((base, 384), np.float32))[of]
        vectors = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16)
    photos = [Photo(i, f"/p/{i}", 10, 4, 3, i.to_bytes(8), int(code)) for i, code in enumerate(codes)]
    with Path("/proc/self/clear_refs").open("w") as file:  # Linux: the largest size is counted from here
        file.write("5")
    begun, cores, before = time.perf_counter(), core_seconds(), _high_water("self")
    groups = find_duplicates(photos, vectors)
    return {
        "n": n,
        "vectors": "with" if with_vectors else "without",
        "seconds": time.perf_counter() - begun,
        "core_seconds": core_seconds() - cores,
        "more_mb": (_high_water("self") - before) / 1e6,
        "groups": len(groups),
    }
