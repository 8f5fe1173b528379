"""What is lost by decoding a JPEG to little more than the network sees: the change in its scores.

libjpeg-turbo gives a photo at 1/2, 1/4, 1/8 of its size for a fraction of the time. photos.OVERSAMPLE says how many
times the network's input the decoded photo must still have on each side. Compared here: once, twice, and decoded whole,
on validation pictures of Caltech-101, half of them birds, each enlarged to 12 megapixels under a sensor's noise.
"""

import io
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import pictures
from photosearch.models.card import Card
from photosearch.models.session import Model
from photosearch.photos import decode
from train.data import caltech101

OVERSAMPLES = {"once": 1, "twice": 2, "whole": 1000}


def oversampling(models: Mapping[str, Path], data: Path, *, n: int = 200, seed: int = 1) -> dict[str, Any]:
    """n: pictures. Restores what photos.OVERSAMPLE is."""
    loaded = {name: Model(path, provider="cpu") for name, path in models.items()}
    opened: dict[tuple[str, str], list[decode.Pixels]] = {(name, k): [] for name in models for k in OVERSAMPLES}
    seconds = dict.fromkeys(opened, 0.0)
    chosen = _chosen(data, n, seed)
    before = decode.OVERSAMPLE
    try:
        for jpeg in _enlarged([path for path, _ in chosen], seed):
            for (name, k), views in opened.items():
                decode.OVERSAMPLE = OVERSAMPLES[k]
                begun = time.process_time()
                views.append(_views(jpeg, loaded[name].card))
                seconds[name, k] += time.process_time() - begun
    finally:
        decode.OVERSAMPLE = before
    birds = np.array([bird for _, bird in chosen])
    rows = []
    for name, model in loaded.items():
        scores = {k: model.predict(np.stack(opened[name, k])).scores[:, 0] for k in OVERSAMPLES}
        for k in OVERSAMPLES:
            figures = _figures(scores[k], scores["whole"], birds, model.card.threshold("bird"))
            rows.append({"model": name, "decoded": k, "core_ms": 1000 * seconds[name, k] / len(chosen), **figures})
    return {"n": len(chosen), "birds": int(birds.sum()), "chosen": before, "rows": rows}


def _chosen(data: Path, n: int, seed: int) -> list[tuple[Path, bool]]:
    known = [(p.path, p.bird) for p in caltech101.pictures(data) if p.part == "validation"]
    rng = random.Random(seed)
    birds, others = ([p for p in known if p[1] == bird] for bird in (True, False))
    few = min(n // 2, len(birds))
    return rng.sample(birds, few) + rng.sample(others, few)


def _enlarged(paths: list[Path], seed: int) -> Iterator[bytes]:
    kind, rng = pictures.KINDS["12mp"], np.random.default_rng(seed)
    for path in paths:
        with Image.open(path) as image:
            times = (kind.size[0] * kind.size[1] / (image.width * image.height)) ** 0.5
            size = round(image.width * times), round(image.height * times)
            large = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        out = io.BytesIO()
        pictures.grainy(large, rng, kind.noise).save(out, "JPEG", quality=kind.quality)
        yield out.getvalue()


def _views(jpeg: bytes, card: Card) -> decode.Pixels:
    return decode.decode(jpeg, [decode.ViewSpec(card.input_size, card.fit, card.tiles)]).views[0]


def _figures(
    scores: "np.typing.NDArray[np.float32]",
    whole: "np.typing.NDArray[np.float32]",
    birds: "np.typing.NDArray[np.bool_]",
    threshold: float,
) -> dict[str, Any]:
    found = scores >= threshold
    change = np.abs(scores - whole)
    return {
        "mean_change": float(change.mean()),
        "most_change": float(change.max()),
        "decisions_changed": int((found != (whole >= threshold)).sum()),
        "precision": float((found & birds).sum() / max(1, found.sum())),
        "recall": float((found & birds).sum() / max(1, birds.sum())),
    }
