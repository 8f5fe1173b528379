"""The one training loop: whatever is taught here is taught by `fit`.

A recipe says what a batch is (a function of the epoch), what its loss is (a function of the network and a batch), and
how the rate moves. The loop does the rest: steps, a running average of the weights, a line an epoch, checkpoints from
which a run that was stopped goes on as if nothing had happened. It knows nothing of pictures.
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

JUDGED = 0.75  # of the epochs have passed when the first one is judged: earlier ones can't be the best
BEST, LAST = "best.pt", "last.pt"  # in a run's folder

Tell = Callable[[str, int, int], None]  # what is being done, how much of it, of how much


class TrainSettings(Protocol):
    """What the loop reads of a recipe's settings, a frozen dataclass; all of it is kept in the checkpoints.

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
    loss_of: Callable[[nn.Module, Any], Tensor],
    settings: TrainSettings,
    *,
    steps: int,
    schedule: Callable[[Optimizer, int], LRScheduler],
    judge: Callable[[nn.Module], float] | None = None,
    run: Path | None = None,
    resume: bool = False,
    besides: Mapping[str, Any] | None = None,
    seed: int | None = None,
    tell: Tell = lambda what, done, of: None,
) -> nn.Module:
    """Teach `network` for `settings.epochs`, and return the one with the averaged weights, in eval mode.

    batches: epoch, from 0 -> its batches, `steps` of them at most. schedule: optimizer, steps in all -> the rate's.
    judge: how good a network is, higher is better; asked at the end of each late epoch. run: the folder of LAST, from
    which `resume` goes on, and of BEST, the epoch judged best or, where none is judged, the last one. besides: what
    else has a state that a checkpoint must hold. seed: where it is not the settings' own. Raises InputError where there
    is nothing to resume, or something that would be overwritten.
    """
    network = network.to(device(), memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=_average_up_to(settings.average), use_buffers=True)
    learned = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    rate = schedule(optimizer, settings.epochs * steps)
    parts = {"fitted": network, "average": average, "optimizer": optimizer, "rate": rate, **(besides or {})}
    state = _go_on(run, settings, parts) if resume and run else _begin(run)
    for epoch in range(state["epoch"], settings.epochs):
        # Anew each epoch, so that a run that was resumed is the run that was not stopped.
        torch.manual_seed((settings.seed if seed is None else seed) * 10_000 + epoch)
        network.train()
        total, seen, began = 0.0, 0, time.monotonic()
        for batch in batches(epoch):
            with torch.autocast(device().type, torch.bfloat16):
                loss = loss_of(network, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
            average.update_parameters(network)
            total, seen = total + loss.item(), seen + 1
            tell("steps", epoch * steps + seen, settings.epochs * steps)
        quality = judge(average.module.eval()) if judge and epoch >= int(settings.epochs * JUDGED) else None
        row = {"epoch": epoch + 1, "loss": total / max(seen, 1), "quality": quality,
               "seconds": time.monotonic() - began}  # fmt: skip
        state |= {"epoch": epoch + 1, "history": [*state["history"], row]}
        _say(row)
        if run:
            _save(run, settings, average.module, parts, state)
    return average.module.eval()


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fall_along_cosine(warm_up: float = 0.0) -> Callable[[Optimizer, int], LRScheduler]:
    """A schedule: a straight climb over the share `warm_up` of all steps, and a cosine from the full rate to 0."""

    def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
        def share(step: int) -> float:
            done = step / steps
            return (min(done / warm_up, 1.0) if warm_up else 1.0) * 0.5 * (1 + float(np.cos(np.pi * done)))

        return LambdaLR(optimizer, share)

    return schedule


def machine() -> str:
    """What a run's seconds were counted on."""
    threads = torch.get_num_threads()
    return f"{platform.machine()}, {threads} thread{'s' if threads > 1 else ''}, torch {torch.__version__}"


def read(path: Path) -> dict[str, Any]:
    """A checkpoint: recipe, settings, network, epoch, history. Raises InputError."""
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint; a run writes it after its first epoch")
    return torch.load(path, map_location="cpu", weights_only=True)


def seconds(run: Path) -> float:
    """How long a run took, the epochs after its best one too."""
    last = run / LAST
    return float(sum(row["seconds"] for row in read(last if last.exists() else run / BEST)["history"]))


def _average_up_to(most: float) -> Callable[..., None]:
    """A running average whose decay grows to `most`, so that it forgets the first steps soon."""

    def update(averaged: Any, current: Any, steps: Tensor) -> None:
        get_ema_multi_avg_fn(min(most, (1 + int(steps)) / (10 + int(steps))))(averaged, current, steps)

    return update


def _begin(run: Path | None) -> dict[str, Any]:
    if run:
        if (run / LAST).exists():
            raise InputError(f"{run}: holds a run already; go on with --resume, or name another folder with --run")
        run.mkdir(parents=True, exist_ok=True)
    return {"epoch": 0, "history": [], "best": -1.0}


def _go_on(run: Path, settings: TrainSettings, parts: Mapping[str, Any]) -> dict[str, Any]:
    state = read(run / LAST)
    if state["settings"] != asdict(settings):
        changed = [k for k, v in asdict(settings).items() if state["settings"].get(k) != v]
        raise InputError(f"{run}: was begun with another {', '.join(changed)}; give the same, or another --run")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return {k: state[k] for k in ("epoch", "history", "best")}


def _save(
    run: Path, settings: TrainSettings, network: nn.Module, parts: Mapping[str, Any], state: dict[str, Any]
) -> None:
    quality = state["history"][-1]["quality"]
    better = quality is None or quality > state["best"]
    state["best"] = quality if better and quality is not None else state["best"]
    recipe = type(settings).__module__  # which knows how to finish it
    checkpoint = {**state, "recipe": recipe, "settings": asdict(settings), "network": network.state_dict()}
    if better:
        _write(checkpoint, run / BEST)
    _write({**checkpoint, **{name: part.state_dict() for name, part in parts.items()}}, run / LAST)


def _write(checkpoint: Mapping[str, Any], path: Path) -> None:
    aside = path.with_suffix(".part")
    torch.save(checkpoint, aside)
    aside.replace(path)


def _say(row: Mapping[str, Any]) -> None:
    found = f"  validation {row['quality']:.4f}" if row["quality"] is not None else ""
    Console(stderr=True).print(
        f"epoch {row['epoch']:3}  loss {row['loss']:.4f}{found}  {row['seconds']:.0f} s", highlight=False
    )
