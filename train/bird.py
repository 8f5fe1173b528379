"""The bird networks of 32x32: build, fit, evaluate.

    python -m train bird --net classic --data DIR --to photosearch/models/bird-classic.onnx

Fitted on CIFAR-10's first four training batches and seven eighths of CUB's training part. The rest of both, the
validation part, picks the epoch, the temperature and the threshold. The test part is the talk's, CIFAR-10's
test pictures and CUB's test part: it is looked at once, through the exported file and the tool's own `Model`.
CUB's birds fill the frame and no CUB picture lacks a bird, so CIFAR-10's part is always reported beside the whole.
"""

import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn import functional as F

from photosearch.errors import InputError
from photosearch.model import Card, Model
from train.data import cifar10, cub
from train.export import embed, export

MEAN = (0.4914, 0.4822, 0.4465)  # of CIFAR-10's training pictures, red, green, blue, 0..1 ...
STD = (0.2470, 0.2435, 0.2616)  # ... both to four digits
CUB_TEST = 5_000  # the talk's test set has so many CUB pictures: the first of CUB's test part
LICENCE = (
    "CIFAR-10 (Krizhevsky 2009) names no licence; CUB-200-2011 (Wah et al. 2011) is for non-commercial research "
    "and education, and its photographs belong to their photographers. The network's weights were learned from both."
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run depends on, beside the data and the machine. Written into the card.

    precision: the least precision on validation, for the whole and for CIFAR-10's part; of the thresholds that
    reach it, the one that finds most birds is taken. A margin over what is wanted on the test part.
    """

    net: str = "classic"
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3  # Adam's; falls to 0 along a cosine
    dropout: float = 0.5
    rotation_degrees: float = 10.0
    blur: float = 0.25  # the share of pictures that are blurred
    seed: int = 1
    precision: Mapping[str, float] = field(default_factory=lambda: {"whole": 0.975})


NETS = {"classic": Settings()}


@dataclass(frozen=True, slots=True)
class Pictures:
    """images: uint8 [N, 32, 32, 3]. birds: bool [N]. source: uint8 [N], 0 for CIFAR-10 and 1 for CUB."""

    images: npt.NDArray[np.uint8]
    birds: npt.NDArray[np.bool_]
    source: npt.NDArray[np.uint8]


class Normalise(nn.Module):
    """float [N, 3, H, W] in 0..255 -> the same, of mean 0 and deviation 1 over CIFAR-10."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None] * 255)
        self.register_buffer("std", torch.tensor(STD)[:, None, None] * 255)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class Classic(nn.Module):
    """The talk's network: float [N, 3, 32, 32] -> logits [N, 2], not bird and bird. 2.2 million weights."""

    def __init__(self, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(64 * 8 * 8, 512), nn.ReLU(), nn.Dropout(dropout)),
            nn.Linear(512, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Scorer(nn.Module):
    """What is exported: uint8 [N, 32, 32, 3] -> P(bird) [N, 1], normalised and calibrated."""

    def __init__(self, network: nn.Module, temperature: float = 1.0):
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(images) / self.temperature)

    def logits(self, images: Tensor) -> Tensor:
        """-> [N, 1]: ln(P(bird) / P(not bird)) as the network has it, before the temperature."""
        logits = self.network(images.permute(0, 3, 1, 2).float())
        return logits[:, 1:] - logits[:, :1]


def settings_of(net: str, **changed: Any) -> Settings:
    """A network's own settings, with what is not None changed. Raises InputError where there is no such network."""
    if net not in NETS:
        raise InputError(f"no network {net!r}: --net takes {' or '.join(NETS)}")
    return replace(NETS[net], **{k: v for k, v in changed.items() if v is not None})


def build(settings: Settings) -> nn.Module:
    """A network with fresh weights: float [N, 3, 32, 32] in 0..255 -> logits [N, 2]. The seed decides."""
    torch.manual_seed(settings.seed)
    return nn.Sequential(Normalise(), Classic(settings.dropout))


def train(settings: Settings, data: Path, run: Path, to: Path, *, resume: bool = False) -> Path:
    """Fit, choose on validation, export to `to`, and look at the test part once. Returns `to`.

    run: the folder of the checkpoints. Ctrl-C is passed on (KeyboardInterrupt) and leaves them. Raises InputError.
    """
    fit_part, validation = load(data, "train"), load(data, "validation")
    fit(settings, fit_part, validation, run, resume=resume)
    return finish(run, data, to)


def load(data: Path, part: str) -> Pictures:
    """part: train, validation or test. CIFAR-10's pictures first, then CUB's. Raises InputError."""
    images, targets = cifar10.load(data, part)
    birds = cub.load(data, part)
    if part == "test":
        birds = birds[:CUB_TEST]
    return Pictures(
        np.concatenate([images, birds]),
        np.concatenate([targets == cifar10.BIRD, np.ones(len(birds), bool)]),
        np.repeat(np.array([0, 1], np.uint8), [len(images), len(birds)]),
    )


def fit(settings: Settings, pictures: Pictures, validation: Pictures, run: Path, *, resume: bool = False) -> None:
    """Pass over the pictures `settings.epochs` times; each epoch ends with the validation part and a checkpoint.

    Leaves run/last.pt, from which `resume` goes on as if nothing had happened, and run/best.pt, the epoch with
    the highest average precision on validation. Raises InputError where there is nothing to resume, or something
    that would be overwritten.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build(settings).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)
    state = _resumed(run, settings, network, optimizer, device) if resume else _fresh(run)
    images, birds = torch.from_numpy(pictures.images).to(device), torch.from_numpy(pictures.birds).long().to(device)
    weights = composition(validation)
    batches = len(images) // settings.batch_size or 1
    console = Console(stderr=True)
    with _progress(console) as progress:
        task = progress.add_task("", total=settings.epochs * batches, completed=state["epoch"] * batches)
        for epoch in range(state["epoch"], settings.epochs):
            # Seeded anew each epoch, so that a run that was resumed is the run that was not stopped.
            torch.manual_seed(settings.seed * 10_000 + epoch)
            network.train()
            total, began = 0.0, time.monotonic()
            for step, chosen in enumerate(torch.randperm(len(images)).tensor_split(batches)):
                optimizer.param_groups[0]["lr"] = _learning_rate(settings, epoch + step / batches)
                chosen = chosen.to(device)
                x = augmented(images[chosen].permute(0, 3, 1, 2).float(), settings)
                with torch.autocast(device.type, torch.bfloat16):
                    logits = network(x.contiguous(memory_format=torch.channels_last))
                loss = F.cross_entropy(logits.float(), birds[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item()
                progress.update(task, advance=1, description=f"epoch {epoch + 1} of {settings.epochs}")
            quality = average_precision(logits_of(Scorer(network), validation.images), validation.birds, weights)
            row = {"epoch": epoch + 1, "loss": total / batches, "average_precision": quality,
                   "seconds": time.monotonic() - began}  # fmt: skip
            state["history"].append(row)
            state["epoch"] = epoch + 1
            console.print(
                f"epoch {epoch + 1:3}  loss {row['loss']:.4f}  validation: average precision {quality:.4f}"
                f"  {row['seconds']:.0f} s"
            )
            _save(run, settings, network, optimizer, state)


def augmented(x: Tensor, settings: Settings) -> Tensor:
    """float [N, 3, H, W] -> the same shape: flipped left to right, turned a little, some blurred."""
    n, device = len(x), x.device
    angle = (torch.rand(n, device=device) * 2 - 1) * np.deg2rad(settings.rotation_degrees)
    flip = (torch.rand(n, device=device) < 0.5) * -2.0 + 1
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(n, device=device)
    turn = torch.stack([flip * cos, -flip * sin, zero, sin, cos, zero], 1).view(n, 2, 3)
    grid = F.affine_grid(turn, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    blurred = torch.rand(n, device=device) < settings.blur
    kernel = torch.tensor([1.0, 2.0, 1.0], device=device)
    kernel = (kernel[:, None] * kernel / 16).expand(3, 1, 3, 3)
    x[blurred] = F.conv2d(F.pad(x[blurred], (1, 1, 1, 1), mode="reflect"), kernel, groups=3)
    return x


def logits_of(scorer: Scorer, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """-> float32 [N], without autocast: what the exported file will compute."""
    scorer.eval()
    device = next(scorer.parameters()).device
    with torch.inference_mode():
        parts = [scorer.logits(torch.from_numpy(part).to(device)).cpu() for part in _batches(images)]
    return torch.cat(parts)[:, 0].numpy()


def composition(pictures: Pictures, cub_pictures: int = 3_647) -> npt.NDArray[np.float64]:
    """A weight for each picture, so that the validation part is mixed as the test part is: 10,000 of CIFAR-10 ..."""
    counts = np.bincount(pictures.source, minlength=2)
    return (np.array([10_000, cub_pictures]) / np.maximum(counts, 1))[pictures.source]


def _batches(images: npt.NDArray[np.uint8], size: int = 500) -> Iterator[npt.NDArray[np.uint8]]:
    return (images[i : i + size] for i in range(0, len(images), size))


def average_precision(
    scores: npt.NDArray[Any], truth: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64] | None = None
) -> float:
    """The area below the precision-recall curve as a staircase: at each bird, best score first, the precision so far.

    Equal scores count together. truth: bool [N], with at least one True.
    """
    recall, precision, _ = curve(scores, truth, weights)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def curve(
    scores: npt.NDArray[Any], truth: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64] | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[Any]]:
    """Recall, precision and the score from which they hold, for each distinct score, the highest first."""
    weights = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    found, taken = np.cumsum((weights * truth)[order]), np.cumsum(weights[order])
    last = np.flatnonzero(np.diff(scores[order], append=np.nan))  # the last of each run of equal scores
    return found[last] / found[-1], found[last] / taken[last], scores[order][last]


def temperature_of(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_], weights: npt.NDArray[Any]) -> float:
    """The T for which sigmoid(logits / T) has the least log loss (Guo et al. 2017)."""
    signed = np.where(truth, 1.0, -1.0) * logits

    def loss(temperature: float) -> float:
        return float(np.average(np.logaddexp(0, -signed / temperature), weights=weights))

    return float(minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x)


def calibration_error(scores: npt.NDArray[Any], truth: npt.NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error of P(bird): mean distance of score and share of birds in bins of equal width."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [abs(scores[which == b].mean() - truth[which == b].mean()) * (which == b).sum() for b in np.unique(which)]
    return float(sum(gaps) / len(scores))


def threshold_of(scores: npt.NDArray[Any], validation: Pictures, least: Mapping[str, float]) -> float:
    """The lowest score at and above which each part of the validation keeps its least precision, to four digits.

    Where none reaches it, the one with the highest precision of the first part named.
    """
    weights, parts = composition(validation), {"whole": slice(None), "cifar-10": validation.source == 0}
    grid = np.round(np.arange(1, 10_000) / 10_000, 4)
    fine = np.ones(len(grid), bool)
    for name, wanted in least.items():
        part = parts[name]
        _, precision, scored = curve(scores[part], validation.birds[part], weights[part])
        at = np.searchsorted(-scored, -grid, side="right") - 1  # how many distinct scores are at or above
        reached = np.where(at >= 0, precision[at], 0.0)
        fine &= reached >= wanted
    if not fine.any():
        return float(grid[reached.argmax()])
    return float(grid[fine.argmax()])


def measure(scores: npt.NDArray[Any], truth: npt.NDArray[np.bool_], threshold: float, split: str) -> dict[str, Any]:
    """One row of a card's table: the four counts of `bird` at a threshold, and what follows from them."""
    said = scores >= threshold
    tp, fp = int((said & truth).sum()), int((said & ~truth).sum())
    fn, tn = int((~said & truth).sum()), int((~said & ~truth).sum())
    return {
        "split": split, "label": "bird", "n": len(truth), "positives": tp + fn, "threshold": threshold,
        "tp": tp, "fp": fp, "fn": fn, "tn": tn,
        "precision": round(tp / max(tp + fp, 1), 4), "recall": round(tp / max(tp + fn, 1), 4),
        "f1": round(2 * tp / max(2 * tp + fp + fn, 1), 4), "accuracy": round((tp + tn) / len(truth), 4),
        "always_no_accuracy": round((fp + tn) / len(truth), 4),
        "average_precision": round(average_precision(scores, truth), 4),
        "calibration_error": round(calibration_error(scores, truth), 4),
    }  # fmt: skip


def finish(run: Path, data: Path, to: Path) -> Path:
    """A run's best epoch -> the model file at `to` with its card. Looks at the test part, after all is chosen."""
    state = _read(run / "best.pt")
    settings = Settings(**state["settings"])
    network = build(settings)
    network.load_state_dict(state["network"])
    validation = load(data, "validation")
    logits = logits_of(Scorer(network), validation.images)
    temperature = temperature_of(logits, validation.birds, composition(validation))
    scores = 1 / (1 + np.exp(-logits.astype(np.float64) / temperature))
    threshold = threshold_of(scores, validation, settings.precision)
    card = _card(settings, state, temperature, threshold)
    export(Scorer(network, temperature), card, to)
    rows = [*_rows(to, validation, "validation"), *_rows(to, load(data, "test"), "test")]
    embed(to, replace(card, measured=tuple(rows)))
    show(to)
    return to


def show(path: Path) -> None:
    """The talk's 2x2 table of each split in a card, on stdout."""
    card, console = Model(path, provider="cpu").card, Console()
    console.print(f"\n{card.name} {card.version}: {path}, {path.stat().st_size / 2**20:.1f} MiB", highlight=False)
    for row in card.measured:
        table = Table(title=f"{row['split']}: {row['n']:,} pictures, {row['positives']:,} birds", title_justify="left")
        table.add_column("")
        table.add_column("is a bird", justify="right")
        table.add_column("is not", justify="right")
        table.add_row(f"said bird (score >= {row['threshold']})", f"{row['tp']:,}", f"{row['fp']:,}")
        table.add_row("said no", f"{row['fn']:,}", f"{row['tn']:,}")
        console.print(table)
        console.print(
            f"precision {row['precision']:.4f}  recall {row['recall']:.4f}  F1 {row['f1']:.4f}  accuracy "
            f"{row['accuracy']:.4f} (always no: {row['always_no_accuracy']:.4f})\naverage precision "
            f"{row['average_precision']:.4f}  calibration error {row['calibration_error']:.4f}\n",
            highlight=False,
        )


def _rows(path: Path, pictures: Pictures, part: str) -> list[dict[str, Any]]:
    """The whole, then CIFAR-10's part alone, scored by the file at `path` through the tool's own Model."""
    model = Model(path, provider="cpu")
    scores = np.concatenate([model.score(batch) for batch in _batches(pictures.images)])[:, 0]
    threshold, cifar = model.card.threshold("bird"), pictures.source == 0
    return [
        measure(scores, pictures.birds, threshold, f"cifar-10 + cub, {part}"),
        measure(scores[cifar], pictures.birds[cifar], threshold, f"cifar-10, {part}"),
    ]


def _card(settings: Settings, state: Mapping[str, Any], temperature: float, threshold: float) -> Card:
    return Card(
        name=f"bird-{settings.net}",
        version="1",
        labels=("bird",),
        input_size=32,
        fit="squash",
        thresholds={"bird": threshold},
        trained_on="CIFAR-10, training batches 1 to 4; CUB-200-2011, seven eighths of the official training part",
        licence=LICENCE,
        details={
            "command": state["command"],
            "settings": asdict(settings),
            "epoch": state["epoch"],
            "temperature": round(temperature, 4),
            "chosen_on": "CIFAR-10's training batch 5 and an eighth of CUB's training part",
            "seconds": round(sum(row["seconds"] for row in state["history"])),
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        },
    )


def _learning_rate(settings: Settings, epoch: float) -> float:
    """A cosine from the full rate to 0 at the last epoch's end."""
    return settings.learning_rate * 0.5 * (1 + float(np.cos(np.pi * epoch / settings.epochs)))


def _fresh(run: Path) -> dict[str, Any]:
    if (run / "last.pt").exists():
        raise InputError(f"{run}: holds a run already; go on with --resume, or name another folder with --run")
    run.mkdir(parents=True, exist_ok=True)
    return {"epoch": 0, "history": [], "best": -1.0}


def _resumed(
    run: Path, settings: Settings, network: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
) -> dict[str, Any]:
    state = _read(run / "last.pt")
    if state["settings"] != asdict(settings):
        changed = [k for k, v in asdict(settings).items() if state["settings"].get(k) != v]
        raise InputError(f"{run}: was begun with another {', '.join(changed)}; give the same, or another --run")
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return {k: state[k] for k in ("epoch", "history", "best")}


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint; a run writes it after its first epoch")
    return torch.load(path, map_location="cpu", weights_only=True)


def _save(
    run: Path, settings: Settings, network: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    quality = state["history"][-1]["average_precision"]
    better = quality > state["best"]
    state["best"] = max(quality, state["best"])
    checkpoint = {
        **state,
        "command": shlex.join(["python", "-m", "train", *sys.argv[1:]]),
        "settings": asdict(settings),
        "network": network.state_dict(),
    }
    if better:
        _write(checkpoint, run / "best.pt")
    _write({**checkpoint, "optimizer": optimizer.state_dict()}, run / "last.pt")


def _write(checkpoint: Mapping[str, Any], path: Path) -> None:
    aside = path.with_suffix(".part")
    torch.save(checkpoint, aside)
    aside.replace(path)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
