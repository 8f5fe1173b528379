"""The network alone: photos a second by batch size, on each provider that loads here."""

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import core_seconds
from photosearch.models.providers import PROVIDERS, choose_provider
from photosearch.models.session import Model


def networks(
    models: Mapping[str, Path], *, batches: Sequence[int] = (1, 4, 16, 64, 256), seconds: float = 2.0
) -> dict[str, Any]:
    """seconds: how long each batch size is tried, at least three batches."""
    loads = {name: choose_provider(name) for name in PROVIDERS}
    here = [name for name, (chosen, _) in loads.items() if chosen == name]
    return {
        "providers": here,
        "missing": {name: why for name, (chosen, why) in loads.items() if chosen != name},
        "rows": [
            row
            for name, path in models.items()
            for provider in here
            for row in _rows(name, path, provider, batches, seconds)
        ],
    }


def _rows(name: str, path: Path, provider: str, batches: Sequence[int], seconds: float) -> list[dict[str, Any]]:
    model = Model(path, provider=provider)
    size = model.card.input_size
    views = np.random.default_rng(1).integers(0, 256, (max(batches), size, size, 3), dtype=np.uint8)
    return [
        {"model": name, "provider": model.provider, "batch": b, **_timed(model, views[:b], seconds)} for b in batches
    ]


def _timed(model: Model, views: "np.typing.NDArray[np.uint8]", seconds: float) -> dict[str, float]:
    model.score(views)
    clock, cores, took = time.perf_counter(), core_seconds(), []
    while len(took) < 3 or time.perf_counter() - clock < seconds:
        begun = time.perf_counter()
        model.score(views)
        took.append(time.perf_counter() - begun)
    core_ms = 1000 * (core_seconds() - cores) / (len(took) * len(views))
    return {"rate": len(views) / statistics.median(took), "core_ms": core_ms}
