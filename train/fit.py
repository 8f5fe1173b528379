"""The one training loop, for all recipes.

A recipe supplies the batches of an epoch, the loss of a batch and the schedule of the learning rate. The loop does the
rest: steps, a running average of the weights, one line per epoch, and checkpoints from which a stopped run continues
exactly as if it had not been stopped. It knows nothing about pictures.
"""

import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from photosearch.errors import InputError
from train.atomic import replacing

FIRST_VALIDATED = 0.75  # share of the epochs before the first one that is validated: earlier ones are never best
BEST, LAST = "best.pt", "last.pt"  # in a run's folder

Progress = Callable[[str, int, int], None]  # (task, steps done, steps in total)


class TrainSettings(Protocol):
    """What the loop reads from a recipe's settings, a frozen dataclass; checkpoints contain all of it.

    average: the decay of the running average of the weights, 0 for none.
    """

    epochs: int
    learning_rate: float
    weight_decay: float
    average: float
    seed: int


def fit(
    network: nn.Module,
    batches: Callable[[int], Iterable[Any]],
    compute_loss: Callable[[nn.Module, Any], Tensor],
    settings: TrainSettings,
    *,
    steps: int,
    schedule: Callable[[Optimizer, int], LRScheduler],
    validate: Callable[[nn.Module], float] | None = None,
    run: Path | None = None,
    resume: bool = False,
    state: Mapping[str, Any] | None = None,
    seed: int | None = None,
    mixed_precision: bool = True,
    progress: Progress = lambda task, done, total: None,
) -> nn.Module:
    """Train `network` for `settings.epochs`; returns the network with averaged weights, in eval mode.

    batches: epoch, from 0 -> its batches, at most `steps`. schedule: optimizer, steps in total -> learning rate.
    validate: a network's quality, higher is better, after each late epoch. run: the folder of the checkpoints LAST,
    from which `resume` continues, and BEST, the best epoch, or the last one without `validate`. state: other parts
    that a checkpoint must contain. seed: overrides the settings'. mixed_precision: bfloat16 where torch allows it.
    Raises InputError if there is nothing to resume or a run would be overwritten.
    """
    network = network.to(device(), memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=_grow_decay(settings.average), use_buffers=True)
    trainable = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    rate = schedule(optimizer, settings.epochs * steps)
    parts = {"fitted": network, "average": average, "optimizer": optimizer, "rate": rate, **(state or {})}
    position = _resume(run, settings, parts) if resume and run else _begin(run)
    for epoch in range(position["epoch"], settings.epochs):
        # Seeded again in each epoch, so that a resumed run equals one that was not stopped.
        torch.manual_seed((settings.seed if seed is None else seed) * 10_000 + epoch)
        network.train()
        total, done, start = 0.0, 0, time.monotonic()
        for batch in batches(epoch):
            with torch.autocast(device().type, torch.bfloat16, enabled=mixed_precision):
                loss = compute_loss(network, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
            average.update_parameters(network)
            total, done = total + loss.item(), done + 1
            progress("steps", epoch * steps + done, settings.epochs * steps)
        late = epoch >= int(settings.epochs * FIRST_VALIDATED)
        row = {
            "epoch": epoch + 1, "loss": total / max(done, 1),
            "quality": validate(average.module.eval()) if validate and late else None,
            "seconds": time.monotonic() - start,
        }  # fmt: skip
        position |= {"epoch": epoch + 1, "history": [*position["history"], row]}
        _print(row)
        if run:
            _save(run, settings, average.module, parts, position)
    return average.module.eval()


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cosine_schedule(warm_up: float = 0.0) -> Callable[[Optimizer, int], LRScheduler]:
    """The rate rises linearly over the share `warm_up` of all steps, and falls to 0 along a cosine."""

    def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
        def scale(step: int) -> float:
            done = step / steps
            return (min(done / warm_up, 1.0) if warm_up else 1.0) * 0.5 * (1 + float(np.cos(np.pi * done)))

        return LambdaLR(optimizer, scale)

    return schedule


def describe_machine() -> str:
    """What a run's seconds were measured on."""
    threads = torch.get_num_threads()
    return f"{platform.machine()}, {threads} thread{'s' if threads > 1 else ''}, torch {torch.__version__}"


def read(path: Path) -> dict[str, Any]:
    """A checkpoint: recipe, settings, network, epoch, history. Raises InputError."""
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint; the first one is written after the first epoch")
    return torch.load(path, map_location="cpu", weights_only=True)


def measure_seconds(run: Path) -> float:
    """The duration of a run, including the epochs after its best one."""
    last = run / LAST
    return float(sum(row["seconds"] for row in read(last if last.exists() else run / BEST)["history"]))


def _grow_decay(max_decay: float) -> Callable[..., None]:
    """A running average whose decay grows to `max_decay`, so that it soon forgets the first steps."""

    def update(average: Any, current: Any, steps: Tensor) -> None:
        get_ema_multi_avg_fn(min(max_decay, (1 + int(steps)) / (10 + int(steps))))(average, current, steps)

    return update


def _begin(run: Path | None) -> dict[str, Any]:
    if run:
        if (run / LAST).exists():
            raise InputError(f"{run}: already contains a run; continue it with --resume, or choose another --run")
        run.mkdir(parents=True, exist_ok=True)
    return {"epoch": 0, "history": [], "best": -1.0}


def _resume(run: Path, settings: TrainSettings, parts: Mapping[str, Any]) -> dict[str, Any]:
    checkpoint = read(run / LAST)
    if checkpoint["settings"] != asdict(settings):
        changed = [k for k, v in asdict(settings).items() if checkpoint["settings"].get(k) != v]
        raise InputError(f"{run}: has other settings ({', '.join(changed)}); use the same ones, or another --run")
    for name, part in parts.items():
        part.load_state_dict(checkpoint[name])
    return {k: checkpoint[k] for k in ("epoch", "history", "best")}


def _save(
    run: Path, settings: TrainSettings, network: nn.Module, parts: Mapping[str, Any], position: dict[str, Any]
) -> None:
    quality = position["history"][-1]["quality"]
    improved = quality is None or quality > position["best"]
    position["best"] = quality if improved and quality is not None else position["best"]
    recipe = type(settings).__module__  # `python -m train export` calls its `finish`
    checkpoint = {**position, "recipe": recipe, "settings": asdict(settings), "network": network.state_dict()}
    if improved:
        _write(checkpoint, run / BEST)
    _write({**checkpoint, **{name: part.state_dict() for name, part in parts.items()}}, run / LAST)


def _write(checkpoint: Mapping[str, Any], path: Path) -> None:
    with replacing(path) as temporary:
        torch.save(checkpoint, temporary)


def _print(row: Mapping[str, Any]) -> None:
    quality = f"  validation {row['quality']:.4f}" if row["quality"] is not None else ""
    Console(stderr=True).print(
        f"epoch {row['epoch']:3}  loss {row['loss']:.4f}{quality}  {row['seconds']:.0f} s", highlight=False
    )
