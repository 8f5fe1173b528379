"""How good a model is on a test split: the talk's table, and everything one would ask next.

Each picture goes the way that `photosearch index` goes (photos.read, photos.decode, Model.score_views), and what is
counted comes from photosearch.report, so that the numbers here are those of `index` and `report`, to the digit. Only
test parts are looked at: nothing may be chosen by what this prints.

    python -m train evaluate bird-photo --on caltech-101 --data DIR
"""

import io
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console
from rich.table import Table

from photosearch import photos, report
from photosearch.errors import InputError
from photosearch.model import Model, resolve
from train import scenes
from train.data import caltech101, cifar10, cub, tiny_imagenet

BATCH = 32  # photos
SMALL_SCENES = 200  # scenes with a small bird, and as many without one
SMALL_SEED = 2026
RESAMPLES = 1000  # of the bootstrap
PRECISIONS = (0.8, 0.9, 0.95, 0.98, 0.99)
WORST = 8  # classes that are named
INTERVAL = (2.5, 97.5)  # percentiles: 95 %


@dataclass(frozen=True, slots=True)
class Known:
    """A picture whose truth is known. path: below the data folder. content: gives its file's bytes. name: its class."""

    path: str

    content: Callable[[], bytes]
    name: str
    bird: bool


def known(on: str, data: str | Path, birds: Sequence[str] = ()) -> list[Known]:
    """The test part of a set that is known, or of a folder with one subfolder for each class, those in `birds` birds.

    Raises InputError.
    """
    if on in SETS:
        return SETS[on](Path(data))
    folder = Path(on)
    if not folder.is_dir():
        raise InputError(f"no test set {on!r}: give a folder of classes, or one of {', '.join(SETS)}")
    found = [
        Known(os.path.relpath(photo.path, folder), _file(photo.path), path.name, path.name in birds)
        for path in sorted(p for p in folder.iterdir() if p.is_dir())
        for photo in itertools.chain.from_iterable(f.photos for f in photos.find(str(path)))
    ]
    if missing := set(birds) - {j.name for j in found}:
        raise InputError(f"{folder}: no photos in a subfolder {sorted(missing)[0]!r}, which --bird names")
    if not any(j.bird for j in found):
        raise InputError(f"{folder}: which subfolders show birds? Name them: --bird NAME --bird NAME")
    return found


def _caltech(data: Path) -> list[Known]:
    return [
        Known(str(p.path.relative_to(data)), _file(p.path), p.name, p.bird)
        for p in caltech101.pictures(data)
        if p.part == "test"
    ]


def _tiny(data: Path) -> list[Known]:
    return [
        Known(str(p.path.relative_to(data)), _file(p.path), p.name, p.bird)
        for p in tiny_imagenet.pictures(data)
        if p.part == "test"
    ]


def _cub(data: Path) -> list[Known]:
    return [
        Known(str(b.path.relative_to(data)), _file(b.path), b.path.parent.name[4:], True)
        for b in cub.birds(data)
        if b.part == "test"
    ]


def _cifar(data: Path) -> list[Known]:
    images, targets = cifar10.load(data, "test")
    return [
        Known(f"{i}.png", _png(image), cifar10.CLASSES[target], bool(target == cifar10.BIRD))
        for i, (image, target) in enumerate(zip(images, targets, strict=True))
    ]


def _small(data: Path) -> list[Known]:
    recipes = scenes.small_birds(data, "test", SMALL_SCENES, SMALL_SEED)
    names = {"scene": "scene alone", "small": "small thing"}
    return [
        Known(f"{i}.jpg", _composed(r), "small bird" if r.bird else names[r.kind], r.bird)
        for i, r in enumerate(recipes)
    ]


SETS: dict[str, Callable[[Path], list[Known]]] = {
    "caltech-101": _caltech,
    "tiny-imagenet": _tiny,
    "cub": _cub,
    "cifar-10": _cifar,
    "small-birds": _small,
}


def _file(path: str | Path) -> Callable[[], bytes]:
    return lambda: photos.read(str(path))


def _composed(recipe: scenes.Recipe) -> Callable[[], bytes]:
    return lambda: scenes.content(recipe)


def _png(pixels: npt.NDArray[np.uint8]) -> Callable[[], bytes]:
    def content() -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    return content


def evaluate(
    model: Model, on: str, pictures: Sequence[Known], *, tiles: int, tell: Callable[[int, int], None]
) -> dict[str, Any]:
    """Score and count: what `report --json --calibration` gives, average precision's interval, and the counts by class.

    The label is the model's first, its threshold the card's. By class: how many pictures the model takes for birds, and
    how many there are. recall_at_precision: read off the curve of these very pictures, to compare
    ways of scoring them; no threshold comes from it.
    """
    label, started = model.card.labels[0], time.monotonic()
    threshold = model.card.threshold(label)
    got = scores(model, pictures, tiles=tiles, tell=tell)
    seconds = time.monotonic() - started
    judged = [report.Judged(p.path, float(score), p.bird) for p, score in zip(pictures, got, strict=True)]
    found = {name: [0, 0] for name in dict.fromkeys(p.name for p in pictures)}
    for picture, one in zip(pictures, judged, strict=True):
        found[picture.name][0] += one.score >= threshold
        found[picture.name][1] += 1
    birds = {p.name for p in pictures if p.bird}
    result = report.to_json(label, judged, threshold, calibration=True)
    result["intervals"]["average_precision"] = average_precision_interval(judged)
    curve = report.curve(judged)
    result["recall_at_precision"] = {
        str(p): float(curve.recall[curve.precision >= p].max(initial=0.0)) for p in PRECISIONS
    }
    return {
        "model": model.card.name,
        "version": model.card.version,
        "digest": model.digest,
        "on": on,
        "tiles": tiles,
        "provider": model.provider,
        "seconds": round(seconds, 1),
        **result,
        "recall_by_class": {k: v for k, v in sorted(found.items()) if k in birds},
        "false_alarms_by_class": {k: v for k, v in sorted(found.items()) if k not in birds},
    }


def average_precision_interval(judged: Sequence[report.Judged], seed: int = 0) -> tuple[float, float] | None:
    """95 %, by drawing the pictures anew with replacement, birds and others apart; seeded."""
    rng = np.random.default_rng(seed)
    ranked = sorted(judged, key=lambda j: -j.score)
    present = np.array([j.present for j in ranked], bool)
    last = np.append(np.diff([j.score for j in ranked]) != 0, True)  # photos of one score cross the threshold together
    if not present.any():
        return None
    drawn = []
    for _ in range(RESAMPLES):
        times = np.zeros(len(ranked))  # that a picture was drawn
        for here in (np.flatnonzero(present), np.flatnonzero(~present)):
            times[here] = rng.multinomial(len(here), np.full(len(here), 1 / max(1, len(here)))) if len(here) else 0
        hits, found = np.cumsum(times * present)[last], np.cumsum(times)[last]
        precision = hits / np.maximum(found, 1)
        drawn.append(float(np.sum(np.diff(hits, prepend=0.0) * precision) / hits[-1]))
    low, high = np.percentile(drawn, INTERVAL)
    return float(low), float(high)


def scores(
    model: Model, pictures: Sequence[Known], *, tiles: int, tell: Callable[[int, int], None]
) -> npt.NDArray[np.float32]:
    """The first label's score of each picture, float32 [N], prepared and scored as `photosearch index` does it."""
    done: list[npt.NDArray[np.float32]] = []
    for views in _views(model, pictures, tiles):
        done.append(model.score_views(views)[:, 0])
        tell(min(len(done) * BATCH, len(pictures)), len(pictures))
    return np.concatenate(done)


def _views(model: Model, pictures: Sequence[Known], tiles: int) -> Iterator[npt.NDArray[np.uint8]]:
    card = model.card

    def one(picture: Known) -> npt.NDArray[np.uint8]:
        return photos.decode(picture.content(), card.input_size, fit=card.fit, tiles=tiles).views

    with ThreadPoolExecutor() as pool:
        pending = [pool.submit(one, p) for p in pictures[: 2 * BATCH]]
        for start in range(0, len(pictures), BATCH):
            ready, pending = pending[:BATCH], pending[BATCH:]
            pending += [pool.submit(one, p) for p in pictures[start + 2 * BATCH : start + 3 * BATCH]]
            yield np.stack([p.result() for p in ready])


def run(
    model: str,
    on: str,
    data: str | Path,
    *,
    birds: Sequence[str] = (),
    tiles: int | None = None,
    tell: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """What the command does. model: a shipped model's name or a file. tiles: None for the card's. Raises InputError."""
    scorer = Model(resolve(model))
    pictures = known(on, data, birds)
    return evaluate(
        scorer,
        on,
        pictures,
        tiles=scorer.card.tiles if tiles is None else tiles,
        tell=lambda done, of: tell("pictures", done, of),
    )


def show(result: dict[str, Any]) -> None:
    """Print the talk's table and what follows from it."""
    console = Console(highlight=False)
    console.print(
        f"{result['model']} {result['version']} on {result['on']}: {result['n']} pictures, "
        f"{result['tiles']} tiles, threshold {result['threshold']:.4f}",
        markup=False,
    )
    counts = Table("", "predicted bird", "predicted not bird")
    counts.add_row("bird", str(result["tp"]), str(result["fn"]))
    counts.add_row("not bird", str(result["fp"]), str(result["tn"]))
    console.print(counts)
    for name in ("precision", "recall", "f1", "accuracy", "always_no_accuracy", "average_precision"):
        console.print(f"{name:20} {_number(result[name])}{_range(result['intervals'].get(name))}", markup=False)
    console.print(f"{'calibration error':20} {result['calibration']['expected_calibration_error']:.4f}")
    for title, key, worst in (
        ("birds that are missed most", "recall_by_class", lambda found, of: (of - found, of)),
        ("taken for birds most", "false_alarms_by_class", lambda found, of: (found, of)),
    ):
        rows = [(name, *worst(*counted)) for name, counted in result[key].items()]
        wrong = [row for row in sorted(rows, key=lambda row: (-row[1], row[0]))[:WORST] if row[1]]
        console.print(f"{title}: " + (", ".join(f"{n} {w} of {of}" for n, w, of in wrong) or "none"), markup=False)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _range(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"  ({interval[0]:.4f} to {interval[1]:.4f})"


def write(result: dict[str, Any], path: Path) -> None:
    """As JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)
