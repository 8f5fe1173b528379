"""How good a model is on a test part: the talk's table and what follows from it.

    python -m train evaluate bird-photo --on caltech-101 --data DIR

Pictures are prepared as by `photosearch index` and counted as by `photosearch report`, so the figures are the same to
the digit. Only test parts are used: nothing may be chosen by these figures.
"""

import io
import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console

from photosearch.errors import InputError
from train import figures, test_set_ledger
from train.data import caltech101, cifar10, cub, scenes, tiny_imagenet
from train.fit import Progress
from train.prefetch import load_batches
from train.tool import Card, Model, decode, find_model, metrics, prepare, walk

BATCH = 32  # photos
SMALL_SCENES = 200  # scenes with a small bird, and as many without one
SMALL_SEED = 2026
PRECISIONS = (0.8, 0.9, 0.95, 0.98, 0.99)
WORST = 8  # classes in the output


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """path: relative to the data folder. read: gives the file's bytes. class_name, bird: its truth."""

    path: str
    read: Callable[[], bytes]
    class_name: str
    bird: bool


def list_pictures(on: str, data: str | Path, birds: Sequence[str] = ()) -> list[LabelledPicture]:
    """The test part of a known set, or a folder with one subfolder per class, of which `birds` show birds.

    Raises InputError.
    """
    if on in SETS:
        return SETS[on](Path(data))
    folder = Path(on)
    if not folder.is_dir():
        raise InputError(f"no test set {on!r}: --on takes a folder of classes, or one of {', '.join(SETS)}")
    pictures = [
        LabelledPicture(os.path.relpath(photo.path, folder), _reader(photo.path), path.name, path.name in birds)
        for path in sorted(p for p in folder.iterdir() if p.is_dir())
        for photo in itertools.chain.from_iterable(f.photos for f in walk.walk(str(path)))
    ]
    if missing := set(birds) - {p.class_name for p in pictures}:
        raise InputError(f"{folder}: no photos in the subfolder {min(missing)!r} of --bird")
    if not any(p.bird for p in pictures):
        raise InputError(f"{folder}: name the subfolders that show birds: --bird NAME --bird NAME")
    return pictures


def _list_files(source: Any) -> Callable[[Path], list[LabelledPicture]]:
    """Of Caltech-101 and Tiny ImageNet."""
    return lambda data: [
        LabelledPicture(str(p.path.relative_to(data)), _reader(p.path), p.name, p.bird)
        for p in source.pictures(data)
        if p.part == "test"
    ]


def _list_cub(data: Path) -> list[LabelledPicture]:
    return [
        LabelledPicture(str(b.path.relative_to(data)), _reader(b.path), b.path.parent.name[4:], True)
        for b in cub.birds(data)
        if b.part == "test"
    ]


def _list_cifar(data: Path) -> list[LabelledPicture]:
    images, targets = cifar10.load(data, "test")
    return [
        LabelledPicture(f"{i}.png", _encoder(image), cifar10.CLASSES[target], bool(target == cifar10.BIRD))
        for i, (image, target) in enumerate(zip(images, targets, strict=True))
    ]


def _list_small(data: Path) -> list[LabelledPicture]:
    names = {"scene": "scene alone", "small": "small thing"}
    return [
        LabelledPicture(
            f"{i}.jpg", lambda v=v: scenes.read_content(v), "small bird" if v.bird else names[v.kind], v.bird
        )
        for i, v in enumerate(scenes.compose_small(data, "test", SMALL_SCENES, SMALL_SEED))
    ]


SETS: dict[str, Callable[[Path], list[LabelledPicture]]] = {
    "caltech-101": _list_files(caltech101),
    "tiny-imagenet": _list_files(tiny_imagenet),
    "cub": _list_cub,
    "cifar-10": _list_cifar,
    "small-birds": _list_small,
}


def _reader(path: str | Path) -> Callable[[], bytes]:
    return lambda: decode.read(str(path))


def _encoder(pixels: npt.NDArray[np.uint8]) -> Callable[[], bytes]:
    def encode() -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    return encode


def run(
    model: str, on: str, data: str | Path, *, birds: Sequence[str] = (), tiles: int | None = None, progress: Progress
) -> dict[str, Any]:
    """Evaluate a model and add the evaluation of a known set to the ledger. Raises InputError.

    model: a name or a file. tiles: None for the card's.
    """
    path = find_model(model)
    scorer = Model(path)
    pictures = list_pictures(on, data, birds)
    if on in SETS:
        test_set_ledger.record(path, scorer.card.name, on)
    return evaluate(scorer, on, pictures, tiles=scorer.card.tiles if tiles is None else tiles, progress=progress)


def evaluate(
    model: Model, on: str, pictures: Sequence[LabelledPicture], *, tiles: int, progress: Progress
) -> dict[str, Any]:
    """Score and count: the output of `report --json`, with calibration, average precision's interval, counts by class.

    The label is `bird`, or the model's first one, at the card's threshold. By class: pictures above the threshold, and
    all of them.
    """
    label, start = choose_label(model.card), time.monotonic()
    threshold = model.card.threshold(label)
    scores = score(model, pictures, tiles=tiles, progress=progress)
    seconds = time.monotonic() - start
    truth = np.array([p.bird for p in pictures])
    by_class = {name: [0, 0] for name in sorted({p.class_name for p in pictures})}
    for picture, value in zip(pictures, scores, strict=True):
        by_class[picture.class_name][0] += bool(value >= threshold)
        by_class[picture.class_name][1] += 1
    birds = {p.class_name for p in pictures if p.bird}
    pairs = figures.pair(scores, truth, [p.path for p in pictures])
    result = metrics.to_json(label, pairs, threshold, calibration=True)
    result["intervals"]["average_precision"] = figures.bootstrap_average_precision(scores, truth)
    return {
        "model": model.card.name,
        "version": model.card.version,
        "digest": model.digest,
        "on": on,
        "tiles": tiles,
        "provider": model.provider,
        "seconds": round(seconds, 1),
        **result,
        "recall_at_precision": figures.recall_at_precision(scores, truth, PRECISIONS),
        "recall_by_class": {k: v for k, v in by_class.items() if k in birds},
        "false_alarms_by_class": {k: v for k, v in by_class.items() if k not in birds},
    }


def choose_label(card: Card) -> str:
    return "bird" if "bird" in card.labels else card.labels[0]


def score(
    model: Model, pictures: Sequence[LabelledPicture], *, tiles: int, progress: Progress
) -> npt.NDArray[np.float32]:
    """The label's score of each picture, float32 [N], as in `photosearch index`."""
    card = model.card
    column = card.labels.index(choose_label(card))

    def load(picture: LabelledPicture) -> npt.NDArray[np.uint8]:
        return prepare(picture.read(), card.input_size, fit=card.fit, tiles=tiles)

    scores: list[npt.NDArray[np.float32]] = []
    for views in load_batches(pictures, load, BATCH, ahead=1):
        scores.append(model.predict(np.stack(views)).scores[:, column])
        progress("pictures", min(len(scores) * BATCH, len(pictures)), len(pictures))
    return np.concatenate(scores)


def show(result: dict[str, Any]) -> None:
    """Print the figures and the classes with the most errors."""
    figures.show(f"{result['model']} {result['version']} on {result['on']}, {result['tiles']} tiles", result)
    missed = {name: (of - found, of) for name, (found, of) in result["recall_by_class"].items()}
    for title, counted in (("Birds missed", missed), ("False alarms", result["false_alarms_by_class"])):
        rows = sorted(((name, *pair) for name, pair in counted.items() if pair[0]), key=lambda row: (-row[1], row[0]))
        worst = ", ".join(f"{name} {wrong} of {of}" for name, wrong, of in rows[:WORST])
        Console().print(f"{title}: {worst or 'none'}", markup=False, highlight=False)
