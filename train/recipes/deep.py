"""The talk's "more realistic" network, for any folder with one subfolder per class.

    python -m train deep --data FOLDER --classes 20 --to .runs/deep.onnx

It starts from random weights: with a few dozen pictures per class it will not be good, and its card says how good. The
SHA-256 of a picture's file decides its part: a fifth is test, a tenth validation, the rest training. The last epoch is
kept, validation chooses the threshold, and the exported file is measured once on the test part.
"""

import functools
import hashlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR

from photosearch.errors import InputError
from train import augment, figures, fit
from train.export import export, replace_card
from train.networks.deep import Scorer, build, normalise
from train.prefetch import load_batches
from train.tool import Card, Model, decode, prepare_file, walk

CACHE_BYTES = 2**31  # of decoded pictures in memory; the rest is decoded again each time
THRESHOLDS = np.round(np.arange(0, 1, 0.05), 2)


@dataclass(frozen=True, slots=True)
class DeepSettings:
    """A run's parameters, also written into the card. filters: of the five convolutions. dense: of both dense layers.

    zoom: up to this share of a picture's sides is cropped away; half of the pictures are mirrored as well.
    """

    size: int = 224  # pixels
    filters: tuple[int, int, int, int, int] = (32, 64, 96, 96, 96)
    dense: int = 512
    dropout: float = 0.5
    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 1e-3  # AdamW's; rises for a twentieth of the steps, then falls to 0 along a cosine
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    zoom: float = 0.3
    average: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """target: the index of its class. part: train, validation or test."""

    path: str
    target: int
    part: str


def train(settings: DeepSettings, data: Path, to: Path, classes: int, *, progress: fit.Progress) -> Path:
    """Train, choose the threshold on validation, export to `to`, measure on the test part. Raises InputError."""
    labels, pictures = list_pictures(data, classes)
    parts = {name: [p for p in pictures if p.part == name] for name in ("train", "validation", "test")}
    if empty := [name for name, part in parts.items() if not part]:
        raise InputError(f"{data}: too few pictures for a {empty[0]} part; add pictures or raise --classes")
    torch.manual_seed(settings.seed)
    shape = {name: getattr(settings, name) for name in ("size", "filters", "dense", "dropout")}
    network, start = build(len(labels), **shape), time.process_time()
    network = train_network(network, parts["train"], settings, progress)
    card = Card(
        name=to.stem, version="1", labels=labels, input_size=settings.size,
        trained_on=f"{data.name}: {len(parts['train']):,} pictures of {len(labels)} classes",
        licence="the licence of the training pictures",
        details={"command": shlex.join(["python", "-m", "train", *sys.argv[1:]]), "settings": asdict(settings),
                 "parameters": sum(p.numel() for p in network.parameters()),
                 "core_seconds": round(time.process_time() - start)},
    )  # fmt: skip
    export(Scorer(network), card, to)
    finish(to, card, parts)
    return to


def list_pictures(data: Path, classes: int) -> tuple[tuple[str, ...], list[Picture]]:
    """The `classes` subfolders with the most photos, by name, and all their photos. Raises InputError."""
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; --data takes a folder with one subfolder per class")
    photos = {p.name: [x.path for f in walk.walk(str(p)) for x in f.photos] for p in data.iterdir() if p.is_dir()}
    largest = sorted((name for name in photos if photos[name]), key=lambda name: (-len(photos[name]), name))
    if len(largest) < classes or classes < 2:
        raise InputError(f"{data}: has {len(largest)} subfolders with photos; --classes takes 2 to {len(largest)}")
    labels = tuple(sorted(largest[:classes]))
    return labels, [Picture(path, i, _choose_part(path)) for i, name in enumerate(labels) for path in photos[name]]


def train_network(
    network: nn.Module, pictures: Sequence[Picture], settings: DeepSettings, progress: fit.Progress
) -> nn.Module:
    """`settings.epochs` passes over all pictures, in another order each time."""

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(pictures)).tolist()
        for images, targets in read_batches([pictures[i] for i in order], settings.size, settings.batch_size):
            yield augment.transform(normalise(images), zoom=settings.zoom).to(fit.device()), targets.to(fit.device())

    def compute_loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(network(batch[0]).float(), batch[1], label_smoothing=settings.label_smoothing)

    def schedule(optimizer: torch.optim.Optimizer, steps: int) -> OneCycleLR:
        return OneCycleLR(optimizer, settings.learning_rate, steps, pct_start=0.05, cycle_momentum=False)

    steps = -(-len(pictures) // settings.batch_size)
    return fit.fit(network, batches, compute_loss, settings, steps=steps, schedule=schedule, progress=progress).cpu()


def read_batches(pictures: Sequence[Picture], size: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """uint8 [n, S, S, 3] and int64 [n]; unreadable pictures are skipped."""
    read = _make_reader(size)
    for batch in load_batches(pictures, lambda p: (read(p.path), p.target), batch_size, ahead=1):
        readable = [(image, target) for image, target in batch if image is not None]
        if len(readable) > 1:  # batch normalisation needs two
            images, targets = zip(*readable, strict=True)
            yield torch.from_numpy(np.stack(images)), torch.tensor(targets)


@functools.cache
def _make_reader(size: int) -> Callable[[str], npt.NDArray[np.uint8] | None]:
    def read(path: str) -> npt.NDArray[np.uint8] | None:
        try:
            return prepare_file(path, size)[0]
        except decode.Unreadable:
            return None

    return functools.lru_cache(maxsize=CACHE_BYTES // (3 * size * size))(read)


def finish(path: Path, card: Card, parts: dict[str, list[Picture]]) -> None:
    """Threshold from validation, figures from the test part, both from the file: into its card, and printed."""
    model, labels = Model(path, provider="cpu"), card.labels
    threshold = choose_threshold(*score(model, parts["validation"]))
    scores, targets = score(model, parts["test"])
    rows = [figures.make_row(scores[:, i], targets == i, threshold, "test", name) for i, name in enumerate(labels)]
    test: dict[str, float] = {"n": len(targets)}
    for k in (1, 5):
        test[f"top_{k}"] = round(top(scores, targets, k), 4)
        test[f"chance_top_{k}"] = round(min(k / len(labels), 1), 4)
    thresholds, details = dict.fromkeys(labels, threshold), {**card.details, "test": test}
    replace_card(path, replace(card, thresholds=thresholds, measured=tuple(rows), details=details))
    table = Table(title=f"{path}: test part, {len(targets):,} pictures, threshold {threshold}", title_justify="left")
    for column in ("label", "pictures", "precision", "recall"):
        table.add_column(column)
    for r in rows:
        table.add_row(r["label"], str(r["positives"]), f"{r['precision']:.3f}", f"{r['recall']:.3f}")
    console = Console()
    console.print(table)
    console.print(
        f"top-1 {test['top_1']:.3f} (chance {test['chance_top_1']:.3f})  "
        f"top-5 {test['top_5']:.3f} (chance {test['chance_top_5']:.3f})  "
        f"{card.details['parameters']:,} parameters  {card.details['core_seconds']} core-seconds",
        highlight=False,
    )


def score(model: Model, pictures: Sequence[Picture]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """-> float32 [N, labels] by the exported file, int64 [N]."""
    batches = read_batches(pictures, model.card.input_size, 32)
    parts = [(model.score(images.numpy()), targets.numpy()) for images, targets in batches]
    return np.concatenate([s for s, _ in parts]), np.concatenate([t for _, t in parts])


def choose_threshold(scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]) -> float:
    """Of THRESHOLDS the one with the highest F1 over all labels together."""
    present = targets[:, None] == np.arange(scores.shape[1])
    edges = np.append(THRESHOLDS, np.inf)
    positives, negatives = (np.histogram(scores[group], edges)[0] for group in (present, ~present))
    return figures.best_f1_threshold(THRESHOLDS, positives, negatives)


def top(scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], k: int) -> float:
    """The share of pictures whose class is among the k highest scores."""
    return float((np.argsort(-scores, axis=1)[:, :k] == targets[:, None]).any(1).mean())


def _choose_part(path: str) -> str:
    try:
        first = hashlib.sha256(decode.read(path)).digest()[0]
    except decode.Unreadable:
        return "train"  # and skipped there
    return "test" if first < 51 else "validation" if first < 77 else "train"
