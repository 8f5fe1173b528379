"""The talk's "more realistic" network, for any folder with a subfolder for each class: 1,000 categories are 1,000.

    python -m train deep --data FOLDER --classes 20 --to .runs/deep.onnx

It starts from nothing: with a few dozen pictures a class it will not be good, and its card says how good. A picture's
part goes by the SHA-256 of its file: a fifth is test, a tenth validation, the rest is fitted on. The last epoch is
kept, validation chooses the threshold, the test part is looked at once, all through the exported file.
"""

import functools
import hashlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from train import augment, fit, measure
from train.export import embed, export
from train.networks.deep import Scorer, build, normalise
from train.tool import Card, Model, decode, see_file, walk

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
    label_smoothing: float = 0.1
    zoom: float = 0.3  # a picture is shown as up to so much less of it, and half of them mirrored
    average: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """target: the index of its class. part: train, validation or test."""

    path: str
    target: int
    part: str


def train(settings: Settings, data: Path, to: Path, classes: int, *, tell: fit.Tell) -> Path:
    """Fit, choose the threshold on validation, export to `to`, measure the file on the test part. Raises InputError."""
    labels, pictures = list_pictures(data, classes)
    parts = {name: [p for p in pictures if p.part == name] for name in ("train", "validation", "test")}
    if empty := [name for name, part in parts.items() if not part]:
        raise InputError(f"{data}: too few pictures: none of them is {empty[0]}; give more pictures or more --classes")
    torch.manual_seed(settings.seed)
    how = {name: getattr(settings, name) for name in ("size", "filters", "dense", "dropout")}
    network, start = build(len(labels), **how), time.process_time()
    network = teach(network, parts["train"], settings, tell)
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


def list_pictures(data: Path, classes: int) -> tuple[tuple[str, ...], list[Picture]]:
    """The `classes` subfolders with the most photos, in the order of their names; all photos below each. InputError."""
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; give one that has a subfolder for each class")
    found = {p.name: [x.path for f in walk.walk(str(p)) for x in f.photos] for p in data.iterdir() if p.is_dir()}
    most = sorted((name for name in found if found[name]), key=lambda name: (-len(found[name]), name))
    if len(most) < classes or classes < 2:
        raise InputError(f"{data}: has {len(most)} subfolders with photos; --classes takes 2 to {len(most)}")
    labels = tuple(sorted(most[:classes]))
    return labels, [Picture(path, i, _choose_part(path)) for i, name in enumerate(labels) for path in found[name]]


def teach(network: nn.Module, pictures: Sequence[Picture], settings: Settings, tell: fit.Tell) -> nn.Module:
    """Show all pictures `settings.epochs` times, in another order each time."""

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(pictures)).tolist()
        for images, targets in read_batches([pictures[i] for i in order], settings):
            yield augment.turn(normalise(images), zoom=settings.zoom).to(fit.device()), targets.to(fit.device())

    def loss_of(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(network(batch[0]).float(), batch[1], label_smoothing=settings.label_smoothing)

    def schedule(optimizer: torch.optim.Optimizer, steps: int) -> OneCycleLR:
        return OneCycleLR(optimizer, settings.learning_rate, steps, pct_start=0.05, cycle_momentum=False)

    steps = -(-len(pictures) // settings.batch_size)
    return fit.fit(network, batches, loss_of, settings, steps=steps, schedule=schedule, tell=tell).cpu()


def read_batches(pictures: Sequence[Picture], settings: Settings) -> Iterator[tuple[Tensor, Tensor]]:
    """uint8 [n, S, S, 3] and int64 [n], decoded beside the training; a picture that can't be read is left out."""
    read = _make_reader(settings.size)
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
def _make_reader(size: int) -> Callable[[str], npt.NDArray[np.uint8] | None]:
    def read(path: str) -> npt.NDArray[np.uint8] | None:
        try:
            return see_file(path, size)[0]
        except decode.Unreadable:
            return None

    return functools.lru_cache(maxsize=CACHE_BYTES // (3 * size * size))(read)


def finish(path: Path, card: Card, parts: dict[str, list[Picture]]) -> None:
    """The threshold from validation, then the test part, both through the file: into its card, and on stdout."""
    model = Model(path, provider="cpu")
    scores, targets = score(model, parts["validation"])
    threshold = float(max(THRESHOLDS, key=lambda t: f1(scores, targets, t)))
    scores, targets = score(model, parts["test"])
    labels = card.labels
    rows = [measure.make_row(scores[:, i], targets == i, threshold, "test", label) for i, label in enumerate(labels)]
    told: dict[str, float] = {"n": len(targets)}
    for k in (1, 5):
        told |= {f"top_{k}": round(top(scores, targets, k), 4), f"chance_top_{k}": round(min(k / len(labels), 1), 4)}
    thresholds = dict.fromkeys(labels, threshold)
    embed(path, replace(card, thresholds=thresholds, measured=tuple(rows), details={**card.details, "test": told}))
    table = Table(title=f"{path}: test part, {len(targets):,} pictures, threshold {threshold}", title_justify="left")
    for column in ("label", "pictures", "precision", "recall"):
        table.add_column(column)
    for r in rows:
        table.add_row(r["label"], str(r["positives"]), f"{r['precision']:.3f}", f"{r['recall']:.3f}")
    console = Console()
    console.print(table)
    console.print(
        f"top-1 {told['top_1']:.3f} (chance {told['chance_top_1']:.3f})  "
        f"top-5 {told['top_5']:.3f} (chance {told['chance_top_5']:.3f})  "
        f"{card.details['parameters']:,} parameters  {card.details['core_seconds']} s of one core's work",
        highlight=False,
    )


def score(model: Model, pictures: Sequence[Picture]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """-> float32 [N, labels] by the exported file, int64 [N]."""
    settings = Settings(size=model.card.input_size)
    parts = [(model.score(images.numpy()), targets.numpy()) for images, targets in read_batches(pictures, settings)]
    return np.concatenate([s for s, _ in parts]), np.concatenate([t for _, t in parts])


def top(scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], k: int) -> float:
    """The share of pictures whose class is among the k highest scores."""
    return float((np.argsort(-scores, axis=1)[:, :k] == targets[:, None]).any(1).mean())


def f1(scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], threshold: float) -> float:
    """Of all labels together: a picture is found under every label that reaches the threshold."""
    said = scores >= threshold
    right = said[np.arange(len(targets)), targets].sum()
    return float(2 * right / max(said.sum() + len(targets), 1))


def _choose_part(path: str) -> str:
    try:
        first = hashlib.sha256(decode.read(path)).digest()[0]
    except decode.Unreadable:
        return "train"  # where it will be left out
    return "test" if first < 51 else "validation" if first < 77 else "train"
