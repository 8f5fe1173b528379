"""What is lost by decoding a JPEG to little more than the network's input: the change in its scores.

libjpeg-turbo decodes a photo at 1/2, 1/4, 1/8 of its size for a fraction of the time. photos.decode.OVERSAMPLE is how
many times the network's input the decoded photo must still have on each side. Compared here: once, twice, and decoded
whole, on validation pictures of Caltech-101, half of them birds, each enlarged to 12 megapixels under sensor noise.
"""

import io
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks import photos
from benchmarks.measure import Figures
from benchmarks.networks import list_networks
from photosearch.models.session import Model
from photosearch.photos import decode
from train.data import caltech101

OVERSAMPLES = {"once": 1, "twice": 2, "whole": 1000}
LABEL = "bird"


def measure_oversampling(
    data: Path, *, models: Mapping[str, Path] | None = None, n: int = 100, seed: int = 1
) -> Figures:
    """n: pictures. Restores photos.decode.OVERSAMPLE."""
    loaded = {name: Model(path, provider="cpu") for name, path in (models or list_networks()).items()}
    chosen = _choose_pictures(data, n, seed)
    views: dict[tuple[str, str], list[decode.Pixels]] = {(name, k): [] for name in loaded for k in OVERSAMPLES}
    seconds = dict.fromkeys(views, 0.0)
    before = decode.OVERSAMPLE
    try:
        for jpeg in _enlarge([path for path, _ in chosen], seed):
            for name, k in views:
                card, decode.OVERSAMPLE = loaded[name].card, OVERSAMPLES[k]
                start = time.process_time()
                decoded = decode.decode(jpeg, [decode.Need(card.input_size, card.fit, card.tiles)])
                seconds[name, k] += time.process_time() - start
                views[name, k].append(decoded.views[0])
    finally:
        decode.OVERSAMPLE = before
    birds = np.array([bird for _, bird in chosen])
    rows = []
    for name, model in loaded.items():
        column, threshold = model.card.labels.index(LABEL), model.card.threshold(LABEL)
        scores = {k: model.score_views(np.stack(views[name, k]))[:, column] for k in OVERSAMPLES}
        for k in OVERSAMPLES:
            compared = _compare_scores(scores[k], scores["whole"], birds, threshold)
            rows.append({"model": name, "decoded": k, "core_ms": 1000 * seconds[name, k] / len(chosen), **compared})
    return {"n": len(chosen), "birds": int(birds.sum()), "chosen": before, "rows": rows}


def _choose_pictures(data: Path, n: int, seed: int) -> list[tuple[Path, bool]]:
    pictures = [(p.path, p.bird) for p in caltech101.pictures(data) if p.part == "validation"]
    birds, others = ([p for p in pictures if p[1] == bird] for bird in (True, False))
    count, rng = min(n // 2, len(birds)), random.Random(seed)
    return rng.sample(birds, count) + rng.sample(others, count)


def _enlarge(paths: list[Path], seed: int) -> Iterator[bytes]:
    kind, rng = photos.KINDS["12mp"], np.random.default_rng(seed)
    for path in paths:
        with Image.open(path) as image:
            scale = (kind.size[0] * kind.size[1] / (image.width * image.height)) ** 0.5
            size = round(image.width * scale), round(image.height * scale)
            large = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        out = io.BytesIO()
        photos.add_noise(large, rng, kind.noise).save(out, "JPEG", quality=kind.quality)
        yield out.getvalue()


def _compare_scores(
    scores: npt.NDArray[np.float32], whole: npt.NDArray[np.float32], birds: npt.NDArray[np.bool_], threshold: float
) -> Figures:
    found, change = scores >= threshold, np.abs(scores - whole)
    return {
        "mean_change": float(change.mean()),
        "max_change": float(change.max()),
        "decisions_changed": int((found != (whole >= threshold)).sum()),
        "precision": float((found & birds).sum() / max(1, found.sum())),
        "recall": float((found & birds).sum() / max(1, birds.sum())),
    }
