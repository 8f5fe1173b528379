"""Which changes of a photo are found to be the same picture, that no strangers are, and how long 100,000 photos take.

Photographs of Flickr8k and Caltech-101, as many of each, drawn with a seed; changed copies of some of them are made
here: encodings, sizes, crops, and bursts, that is, shots from nearly the same place: turned, shifted, a little lighter
or darker, with other noise. All are files that the product's decoder opens, changed ones as JPEG of quality 90;
fingerprints are what it gives, and vectors those of the model that is the default.

The steps of search/duplicates.py are chosen on photographs of CUB-200-2011, which are reported on nowhere here: a bird
in the middle, before sky, water or leaves, is the hardest to tell from its like by its shapes.
"""

import functools
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks.measure import measure_core_ms, measure_growth
from photosearch.models.catalog import DEFAULT_MODEL, list_shipped
from photosearch.models.session import Model
from photosearch.photos.decode import ViewSpec, decode
from photosearch.photos.fingerprint import fingerprint
from photosearch.search.duplicates import ALONE, NEAR, find_groups, is_near
from photosearch.search.keeper import ROW

FOLDERS = ("Flickr8k/Flicker8k_Dataset", "101_ObjectCategories")
CHOSEN_ON = "CUB_200_2011/images"
# Caltech-101 holds its faces twice, whole and cropped; some of CUB's photographs are here cut to the bird
LEFT_OUT = ("BACKGROUND", "Faces", "_crop_")
BATCH = 16  # pictures that pass the model at once
SIZES = (10_000, 100_000)
# What is chosen from: each step's bits, and its cosine in hundredths.
STEPS = (
    (range(5, 10), (50, 60, 70)),
    (range(9, 12), range(76, 92, 2)),
    (range(16, 23), (93, 94, 95, 96)),
)
MAX_FALSE = 3e-6  # of the pairs of different photographs, those that may be called near by what is chosen

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


def duplicates(
    data: Path, *, strangers: int = 1000, changed: int = 120, chosen_on: int = 3000, seed: int = 1
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    paths = [path for folder in FOLDERS for path in draw(data / folder, strangers // len(FOLDERS), rng)]
    codes, vectors = look([path.read_bytes() for path in paths])
    picked = pick(len(paths), changed)
    made = change_all([paths[i] for i in picked], seed)
    rows = [{"change": name, **compare(picked, *look(files), codes, vectors)} for name, files in made]
    others = Pairs(codes, vectors, codes, vectors)
    strangers_only = np.triu(np.ones(others.bits.shape, bool), 1)
    return {
        "strangers": strangers,
        "changed": len(picked),
        "steps": [list(step) for step in NEAR],
        "alone": ALONE,
        "chosen": choose(draw(data / CHOSEN_ON, chosen_on, rng), 2 * changed, seed),
        "vectors": f"{DEFAULT_MODEL}'s vectors",
        "fingerprint_core_ms": time_fingerprint(paths),
        "rows": rows,
        "strangers_called_near": {
            "by_fingerprint": int((others.by_fingerprint & strangers_only).sum()),
            "with_vectors": int((others.with_vectors & strangers_only).sum()),
        },
        "nearest_strangers": {"bits": int(others.bits[strangers_only].min())},
        "speed": [speed(n, with_vectors=v) for n in SIZES for v in (False, True)],
    }


def draw(folder: Path, n: int, rng: np.random.Generator) -> list[Path]:
    paths = sorted(p for p in folder.rglob("*.jpg") if not any(name in str(p) for name in LEFT_OUT))
    return [paths[i] for i in rng.permutation(len(paths))[:n]]


def pick(n: int, changed: int) -> Any:
    """So many of n photographs, evenly spread."""
    return np.arange(0, n, max(1, n // changed))[:changed]


def change_all(paths: Sequence[Path], seed: int) -> Iterator[tuple[str, list[bytes]]]:
    """Each change's name and the changed files."""
    images = [Image.open(path).convert("RGB") for path in paths]
    for name, change in CHANGES.items():
        yield name, [_write(change(image, np.random.default_rng([seed, i]))) for i, image in enumerate(images)]


def _write(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=90)
    return data.getvalue()


@functools.cache
def load_model() -> Model:
    return Model(list_shipped()[DEFAULT_MODEL], provider="cpu", threads=1)


def look(files: Sequence[bytes]) -> tuple[Any, Any]:
    """What the product keeps of these files: fingerprints [N], unit vectors [N, D]."""
    card = load_model().card
    codes, vectors = [], []
    for first in range(0, len(files), BATCH):
        opened = [decode(data, [ViewSpec(card.input_size, card.fit)]) for data in files[first : first + BATCH]]
        codes += [photo.fingerprint for photo in opened]
        vectors.append(embed(np.stack([photo.views[0] for photo in opened])))
    return np.array(codes, np.uint64), np.concatenate(vectors)


def embed(views: Any) -> Any:
    """[N, 1, size, size, 3] -> unit vectors [N, D] of the model that is the default."""
    return load_model().predict(views).vectors


def time_fingerprint(paths: Sequence[Path]) -> float:
    """Core-milliseconds, of what the decoder takes it of: the view that the model is given."""
    card = load_model().card
    opened = [decode(path.read_bytes(), [ViewSpec(card.input_size, card.fit)]) for path in paths[:200]]
    return measure_core_ms(lambda: [fingerprint(Image.fromarray(photo.views[0][0])) for photo in opened], len(opened))


def choose(paths: Sequence[Path], changed: int, seed: int) -> dict[str, Any]:
    """The steps that find the largest share of changes, of those that call at most MAX_FALSE of all pairs near."""
    codes, vectors = look([path.read_bytes() for path in paths])
    picked = pick(len(paths), changed)
    strangers = np.zeros((65, 101))
    for i in range(len(paths) - 1):
        strangers += _count(codes[i], vectors[i], codes[i + 1 :], vectors[i + 1 :])
    changes = np.zeros((65, 101))
    for _, files in change_all([paths[i] for i in picked], seed):
        changes += _count(codes[picked], vectors[picked], *look(files))
    most = MAX_FALSE * strangers.sum()
    tried = itertools.product(*(itertools.product(*step) for step in STEPS))
    allowed = [steps for steps in tried if _covered(strangers, steps) <= most]
    best = max(allowed, key=lambda steps: _covered(changes, steps))
    return {
        "photographs": len(paths),
        "max_false": MAX_FALSE,
        "steps": [[bits, hundredths / 100] for bits, hundredths in best],
        "called_near": int(_covered(strangers, best)),
        "recall": _covered(changes, best) / changes.sum(),
    }


def _count(codes: Any, vectors: Any, others: Any, vectors_of_others: Any) -> Any:
    """[65, 101]: the number of pairs by differing bits, and by hundredths of the cosine, rounded down."""
    bits = np.bitwise_count(codes ^ others)
    cosines = np.clip(np.vecdot(vectors, vectors_of_others), 0, 1)
    return np.histogram2d(bits, cosines, bins=[np.arange(66) - 0.5, np.append(np.arange(101) / 100, 2)])[0]


def _covered(counts: Any, steps: Sequence[tuple[int, int]]) -> float:
    """How many of the counted pairs are near by one of the steps."""
    near = np.zeros(counts.shape, bool)
    for bits, hundredths in steps:
        near[: bits + 1, hundredths:] = True
    return float(counts[near].sum())


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
    rows = np.zeros(n, ROW)
    rows["photo_id"] = rows["image_id"] = np.arange(n)
    rows["width"], rows["height"], rows["fingerprint"] = 4, 3, codes
    read = None if vectors is None else lambda places: vectors[places].astype(np.float32)
    groups, cost = measure_growth(lambda: find_groups(rows, read))
    return {
        "n": n,
        "vectors": "with" if with_vectors else "without",
        **cost,
        "groups": len(groups),
    }
