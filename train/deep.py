"""The talk's "more realistic" network, for any folder with a subfolder for each class: 1,000 categories are 1,000.

    python -m train deep --data FOLDER --classes 20 --to .runs/deep.onnx

224x224 input; convolution and max-pooling twice; convolution three times; max-pooling; two fully connected layers;
one output a category. This is the shape of Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep
Convolutional Neural Networks", 2012, with fewer filters, and batch normalisation (Ioffe, Szegedy, 2015) so that it
learns in minutes on a CPU. It starts from nothing: with a few dozen pictures a class it will not be good, and its card
says how good. A picture's part goes by the SHA-256 of its file: a fifth is test, a tenth validation, the rest is
fitted on. The last epoch is kept, validation chooses the threshold, the test part is looked at once.
"""

import functools
import hashlib
import shlex
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from photosearch import photos
from photosearch.errors import InputError
from photosearch.model import Card, Model
from train.export import embed, export

MEAN = torch.tensor([0.485, 0.456, 0.406])  # of ImageNet's photographs, red, green, blue, 0..1 ...
STD = torch.tensor([0.229, 0.224, 0.225])  # ... both as torchvision has them
CACHE_BYTES = 2**31  # of decoded pictures that are kept; more are decoded again each time
THRESHOLDS = np.round(np.arange(0.05, 1, 0.05), 2)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run depends on, beside the pictures. filters: of the five convolutions. dense: of both dense layers."""

    size: int = 224  # pixels
    filters: tuple[int, int, int, int, int] = (32, 64, 96, 96, 96)
    dense: int = 512
    dropout: float = 0.5
    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 1e-3  # AdamW's; climbs for a twentieth of the steps, then falls to 0 along a cosine
    weight_decay: float = 0.05
    zoom: float = 0.3  # a picture is shown as up to so much less of it, and half of them mirrored
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """target: the index of its class. part: train, validation or test."""

    path: str
    target: int
    part: str


def train(data: Path, to: Path, classes: int, settings: Settings) -> Path:
    """Fit, choose the threshold on validation, export to `to`, measure the file on the test part. Raises InputError."""
    labels, pictures = listing(data, classes)
    parts = {name: [p for p in pictures if p.part == name] for name in ("train", "validation", "test")}
    if empty := [name for name, part in parts.items() if not part]:
        raise InputError(f"{data}: too few pictures: none of them is {empty[0]}; give more pictures or more --classes")
    torch.manual_seed(settings.seed)
    network, start = build(len(labels), settings), time.process_time()
    fit(network, parts["train"], settings)
    card = Card(
        name=to.stem, version="1", labels=labels, input_size=settings.size,
        trained_on=f"{data.name}: {len(parts['train']):,} pictures of {len(labels)} classes",
        licence="that of the pictures it was taught with",
        details={"command": shlex.join(["python", "-m", "train", *sys.argv[1:]]), "settings": asdict(settings),
                 "parameters": sum(p.numel() for p in network.parameters()),
                 "core_seconds": round(time.process_time() - start)},
    )  # fmt: skip
    export(Scorer(network), card, to)
    finish(to, card, parts)
    return to


def listing(data: Path, classes: int) -> tuple[tuple[str, ...], list[Picture]]:
    """The `classes` subfolders with the most photos, in the order of their names; all photos below each. InputError."""
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; give one that has a subfolder for each class")
    found = {p.name: [x.path for f in photos.find(str(p)) for x in f.photos] for p in data.iterdir() if p.is_dir()}
    most = sorted((name for name in found if found[name]), key=lambda name: (-len(found[name]), name))
    if len(most) < classes or classes < 2:
        raise InputError(f"{data}: has {len(most)} subfolders with photos; --classes takes 2 to {len(most)}")
    labels = tuple(sorted(most[:classes]))
    return labels, [Picture(path, i, _part(path)) for i, name in enumerate(labels) for path in found[name]]


def build(classes: int, settings: Settings) -> nn.Sequential:
    """float [N, 3, S, S] of mean 0 -> logits [N, classes]."""
    a, b, c, d, e = settings.filters

    def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> tuple[nn.Module, ...]:
        layer = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)
        return layer, nn.BatchNorm2d(outputs), nn.ReLU()

    features = nn.Sequential(
        *(*convolution(3, a, 11, 4), nn.MaxPool2d(3, 2)),
        *(*convolution(a, b, 5), nn.MaxPool2d(3, 2)),
        *(*convolution(b, c, 3), *convolution(c, d, 3), *convolution(d, e, 3), nn.MaxPool2d(3, 2)),
        nn.Flatten(),
    )
    with torch.no_grad():
        width = features.eval()(torch.zeros(1, 3, settings.size, settings.size)).shape[1]
    dense = [nn.Dropout(settings.dropout), nn.Linear(width, settings.dense), nn.ReLU()]
    dense += [nn.Dropout(settings.dropout), nn.Linear(settings.dense, settings.dense), nn.ReLU()]
    return nn.Sequential(features, *dense, nn.Linear(settings.dense, classes))


class Scorer(nn.Module):
    """What is exported: uint8 [N, S, S, 3] -> P(class) [N, classes]; a row sums to 1."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(normalised(images)).softmax(1)


def normalised(images: Tensor) -> Tensor:
    """uint8 [N, S, S, 3] -> float [N, 3, S, S] of mean 0 and deviation 1 over many photographs."""
    return ((images.float() / 255 - MEAN) / STD).permute(0, 3, 1, 2)


def fit(network: nn.Module, pictures: list[Picture], settings: Settings) -> None:
    """Show all pictures `settings.epochs` times, in another order each time."""
    steps = settings.epochs * -(-len(pictures) // settings.batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=steps, pct_start=0.05, cycle_momentum=False
    )
    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=steps)
        for epoch in range(settings.epochs):
            network.train()
            order = torch.randperm(len(pictures)).tolist()
            total, seen, began = 0.0, 0, time.monotonic()
            for images, targets in batches([pictures[i] for i in order], settings):
                with torch.autocast("cpu", torch.bfloat16):
                    logits = network(augmented(normalised(images), settings))
                loss = F.cross_entropy(logits.float(), targets, label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total, seen = total + loss.item() * len(targets), seen + len(targets)
                progress.update(task, advance=1, description=f"epoch {epoch + 1} of {settings.epochs}")
            seconds = time.monotonic() - began
            console.print(f"epoch {epoch + 1:3}  loss {total / max(seen, 1):.3f}  {seconds:.0f} s", highlight=False)
    network.eval()


def augmented(x: Tensor, settings: Settings) -> Tensor:
    """[N, 3, S, S] -> the same shape: half of them mirrored, each a random part of the picture, enlarged."""
    n = len(x)
    scale = 1 - settings.zoom * torch.rand(n)
    mirror = torch.randint(0, 2, (n,)) * 2.0 - 1
    across, down = (torch.rand(2, n) * 2 - 1) * (1 - scale)
    zero = torch.zeros(n)
    turn = torch.stack([mirror * scale, zero, across, zero, scale, down], 1).view(n, 2, 3)
    grid = F.affine_grid(turn, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def batches(pictures: list[Picture], settings: Settings) -> Iterator[tuple[Tensor, Tensor]]:
    """uint8 [n, S, S, 3] and int64 [n], decoded beside the training; a picture that can't be read is left out."""
    read = _reader(settings.size)
    with ThreadPoolExecutor() as pool:
        parts = [pictures[i : i + settings.batch_size] for i in range(0, len(pictures), settings.batch_size)]
        coming = [pool.submit(read, p.path) for p in parts[0]]
        for part, following in zip(parts, [*parts[1:], []], strict=True):
            images = [future.result() for future in coming]
            coming = [pool.submit(read, p.path) for p in following]
            good = [i for i, image in enumerate(images) if image is not None]
            if len(good) > 1:  # batch normalisation can't do with one
                targets = torch.tensor([part[i].target for i in good])
                yield torch.from_numpy(np.stack([images[i] for i in good])), targets


@functools.cache
def _reader(size: int):
    def read(path: str) -> npt.NDArray[np.uint8] | None:
        try:
            return photos.decode(photos.read(path), size).views[0]
        except photos.Unreadable:
            return None

    return functools.lru_cache(maxsize=CACHE_BYTES // (3 * size * size))(read)


def finish(path: Path, card: Card, parts: dict[str, list[Picture]]) -> None:
    """The threshold from validation, then the test part, both through the file: into its card, and on stdout."""
    model = Model(path, provider="cpu")
    scores, targets = scored(model, parts["validation"])
    threshold = float(max(THRESHOLDS, key=lambda t: f1(scores, targets, t)))
    scores, targets = scored(model, parts["test"])
    top1, top5 = top(scores, targets, 1), top(scores, targets, 5)
    chance = 1 / len(card.labels)
    rows = tuple(row(scores, targets, i, label, threshold) for i, label in enumerate(card.labels))
    told = {"n": len(targets), "top_1": round(top1, 4), "top_5": round(top5, 4), "chance_top_1": round(chance, 4),
            "chance_top_5": round(min(5 * chance, 1), 4)}  # fmt: skip
    card = replace(
        card, thresholds=dict.fromkeys(card.labels, threshold), measured=rows, details={**card.details, "test": told}
    )
    embed(path, card)
    table = Table(title=f"{path}: test part, {len(targets):,} pictures, threshold {threshold}", title_justify="left")
    for column in ("label", "pictures", "precision", "recall"):
        table.add_column(column)
    for r in rows:
        table.add_row(r["label"], str(r["positives"]), f"{r['precision']:.3f}", f"{r['recall']:.3f}")
    console = Console()
    console.print(table)
    console.print(
        f"top-1 {top1:.3f} (chance {chance:.3f})  top-5 {top5:.3f} (chance {min(5 * chance, 1):.3f})  "
        f"{card.details['parameters']:,} parameters  {card.details['core_seconds']} s of one core's work",
        highlight=False,
    )


def scored(model: Model, pictures: list[Picture]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """-> float32 [N, labels] by the exported file, int64 [N]."""
    settings = Settings(size=model.card.input_size)
    parts = [(model.score(images.numpy()), targets.numpy()) for images, targets in batches(pictures, settings)]
    return np.concatenate([s for s, _ in parts]), np.concatenate([t for _, t in parts])


def top(scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], k: int) -> float:
    """The share of pictures whose class is among the k highest scores."""
    return float((np.argsort(-scores, axis=1)[:, :k] == targets[:, None]).any(1).mean())


def f1(scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], threshold: float) -> float:
    """Of all labels together: a picture is found under every label that reaches the threshold."""
    said = scores >= threshold
    right = said[np.arange(len(targets)), targets].sum()
    return float(2 * right / max(said.sum() + len(targets), 1))


def row(scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], i: int, label: str, threshold: float) -> dict:
    """A card's row of one label on the test part."""
    said, true = scores[:, i] >= threshold, targets == i
    tp, fp, fn = int((said & true).sum()), int((said & ~true).sum()), int((~said & true).sum())
    return {
        "split": "test", "label": label, "n": len(targets), "positives": tp + fn, "threshold": threshold, "tp": tp,
        "fp": fp, "fn": fn, "tn": len(targets) - tp - fp - fn, "precision": round(tp / max(tp + fp, 1), 4),
        "recall": round(tp / max(tp + fn, 1), 4), "f1": round(2 * tp / max(2 * tp + fp + fn, 1), 4),
    }  # fmt: skip


def _part(path: str) -> str:
    try:
        first = hashlib.sha256(photos.read(path)).digest()[0]
    except photos.Unreadable:
        return "train"  # where it will be left out
    return "test" if first < 51 else "validation" if first < 77 else "train"
