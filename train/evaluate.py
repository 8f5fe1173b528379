"""How good a model is on a test split: the talk's table, and everything one would ask next.

Each picture goes the way that `photosearch index` goes, and what is counted comes from photosearch.judging.metrics, so
that the numbers here are those of `index` and `report`, to the digit. Only
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

from photosearch.errors import InputError
from train import looks, measure
from train.data import caltech101, cifar10, cub, scenes, tiny_imagenet
from train.fit import Tell
from train.tool import Card, Model, decode, find_model, metrics, see, walk

BATCH = 32  # photos
SMALL_SCENES = 200  # scenes with a small bird, and as many without one
SMALL_SEED = 2026
PRECISIONS = (0.8, 0.9, 0.95, 0.98, 0.99)
WORST = 8  # classes that are named


@dataclass(frozen=True, slots=True)
class Known:
    """A picture whose truth is known. path: below the data folder. content: gives its file's bytes. name: its class."""

    path: str

    content: Callable[[], bytes]
    name: str
    bird: bool


def list_known(on: str, data: str | Path, birds: Sequence[str] = ()) -> list[Known]:
    """The test part of a set that is known, or of a folder with one subfolder for each class, those in `birds` birds.

    Raises InputError.
    """
    if on in SETS:
        return SETS[on](Path(data))
    folder = Path(on)
    if not folder.is_dir():
        raise InputError(f"no test set {on!r}: give a folder of classes, or one of {', '.join(SETS)}")
    found = [
        Known(os.path.relpath(photo.path, folder), _read(photo.path), path.name, path.name in birds)
        for path in sorted(p for p in folder.iterdir() if p.is_dir())
        for photo in itertools.chain.from_iterable(f.photos for f in walk.walk(str(path)))
    ]
    if missing := set(birds) - {j.name for j in found}:
        raise InputError(f"{folder}: no photos in a subfolder {sorted(missing)[0]!r}, which --bird names")
    if not any(j.bird for j in found):
        raise InputError(f"{folder}: which subfolders show birds? Name them: --bird NAME --bird NAME")
    return found


def _caltech(data: Path) -> list[Known]:
    return [
        Known(str(p.path.relative_to(data)), _read(p.path), p.name, p.bird)
        for p in caltech101.pictures(data)
        if p.part == "test"
    ]


def _tiny(data: Path) -> list[Known]:
    return [
        Known(str(p.path.relative_to(data)), _read(p.path), p.name, p.bird)
        for p in tiny_imagenet.pictures(data)
        if p.part == "test"
    ]


def _cub(data: Path) -> list[Known]:
    return [
        Known(str(b.path.relative_to(data)), _read(b.path), b.path.parent.name[4:], True)
        for b in cub.birds(data)
        if b.part == "test"
    ]


def _cifar(data: Path) -> list[Known]:
    images, targets = cifar10.load(data, "test")
    return [
        Known(f"{i}.png", _encode(image), cifar10.CLASSES[target], bool(target == cifar10.BIRD))
        for i, (image, target) in enumerate(zip(images, targets, strict=True))
    ]


def _small(data: Path) -> list[Known]:
    recipes = scenes.compose_small(data, "test", SMALL_SCENES, SMALL_SEED)
    names = {"scene": "scene alone", "small": "small thing"}
    return [
        Known(f"{i}.jpg", _compose(r), "small bird" if r.bird else names[r.kind], r.bird) for i, r in enumerate(recipes)
    ]


SETS: dict[str, Callable[[Path], list[Known]]] = {
    "caltech-101": _caltech,
    "tiny-imagenet": _tiny,
    "cub": _cub,
    "cifar-10": _cifar,
    "small-birds": _small,
}


def _read(path: str | Path) -> Callable[[], bytes]:
    return lambda: decode.read(str(path))


def _compose(recipe: scenes.Recipe) -> Callable[[], bytes]:
    return lambda: scenes.read_content(recipe)


def _encode(pixels: npt.NDArray[np.uint8]) -> Callable[[], bytes]:
    def content() -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    return content


def evaluate(
    model: Model, on: str, pictures: Sequence[Known], *, tiles: int, tell: Callable[[int, int], None]
) -> dict[str, Any]:
    """Score and count: what `report --json --calibration` gives, average precision's interval, and the counts by class.

    The label is `bird`, or the model's only one, its threshold the card's. By class: how many pictures the model takes
    for birds, and how many there are. recall_at_precision: read off the curve of these very pictures, to compare
    ways of scoring them; no threshold comes from it.
    """
    label, started = choose_label(model.card), time.monotonic()
    threshold = model.card.threshold(label)
    got = score(model, pictures, tiles=tiles, tell=tell)
    seconds = time.monotonic() - started
    judged = [metrics.LabeledScore(p.path, float(score), p.bird) for p, score in zip(pictures, got, strict=True)]
    found = {name: [0, 0] for name in dict.fromkeys(p.name for p in pictures)}
    for picture, one in zip(pictures, judged, strict=True):
        found[picture.name][0] += one.score >= threshold
        found[picture.name][1] += 1
    birds = {p.name for p in pictures if p.bird}
    result = metrics.to_json(label, judged, threshold, calibration=True)
    truth = np.array([p.bird for p in pictures])
    result["intervals"]["average_precision"] = measure.bootstrap_average_precision(got, truth)
    curve = metrics.curve(judged)
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


def choose_label(card: Card) -> str:
    """What is looked for in these sets: bird, among however many labels; else the model's first."""
    return "bird" if "bird" in card.labels else card.labels[0]


def score(
    model: Model, pictures: Sequence[Known], *, tiles: int, tell: Callable[[int, int], None]
) -> npt.NDArray[np.float32]:
    """The label's score of each picture, float32 [N], prepared and scored as `photosearch index` does it."""
    done: list[npt.NDArray[np.float32]] = []
    column = model.card.labels.index(choose_label(model.card))
    for views in _prepare(model, pictures, tiles):
        done.append(model.score_views(views)[:, column])
        tell(min(len(done) * BATCH, len(pictures)), len(pictures))
    return np.concatenate(done)


def _prepare(model: Model, pictures: Sequence[Known], tiles: int) -> Iterator[npt.NDArray[np.uint8]]:
    card = model.card

    def one(picture: Known) -> npt.NDArray[np.uint8]:
        return see(picture.content(), card.input_size, fit=card.fit, tiles=tiles)

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
    tell: Tell,
) -> dict[str, Any]:
    """What the command does, and a look at the set for the ledger. Raises InputError.

    model: the name of one in the repository, or a file. tiles: None for the card's.
    """
    path = find_model(model)
    scorer = Model(path)
    pictures = list_known(on, data, birds)
    if on in SETS:
        looks.count(path, scorer.card.name, on)
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
