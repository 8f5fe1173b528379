"""bird-classic: the talk's network, trained on the talk's pictures to find birds in 32x32 pixels.

    python -m train bird --net classic --data DIR --to photosearch/models/shipped/bird-classic.onnx

Trained on CIFAR-10's first four training batches and seven eighths of CUB's training part, then for some epochs with
CUB's pictures weighted as in the talk's test set. The rest of both, the validation part, selects the epoch, the
calibration and the threshold; after that the network is trained further on both parts. The exported file is measured
once on the test part.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from train import augment, fit
from train.data import cifar10, talk
from train.export import describe_command
from train.networks.bird32 import Scorer
from train.networks.classic import Classic
from train.recipes.bird32 import make_validator, publish
from train.tool import Card

MIX, REFIT = "mix", "refit"  # the folders of the later phases in a run's folder
Batch = tuple[Tensor, Tensor, Tensor]  # float [N, 3, 32, 32] in 0..255, CIFAR-10's targets [N], weights [N]


@dataclass(frozen=True, slots=True)
class ClassicSettings:
    """A run's parameters, also written into the card.

    classes: the loss weight of a second output, CIFAR-10's ten classes; it helps to tell birds from cats, and is not
    exported. flips: the exported file averages a picture's logit and its mirror image's. mix: epochs at `mix_rate`
    times the learning rate with CIFAR-10 and CUB weighted as in the test part. refit: epochs after that at `refit_rate`
    times the rate, on the validation part as well. precision, recall: the talk's figures; the threshold is the one most
    likely to reach both.
    """

    epochs: int = 18
    batch_size: int = 128
    learning_rate: float = 1e-3  # AdamW's; falls to 0 along a cosine
    weight_decay: float = 0.02
    dropout: float = 0.5
    classes: float = 0.5
    shift: int = 2  # pixels
    average: float = 0.999
    flips: bool = True
    mix: int = 6
    mix_rate: float = 0.5
    refit: int = 3
    refit_rate: float = 0.3
    seed: int = 1
    precision: Mapping[str, float] = field(default_factory=lambda: {"whole": 0.9711})
    recall: Mapping[str, float] = field(default_factory=lambda: {"whole": 0.9083})


SETTINGS = ClassicSettings()


def train(settings: ClassicSettings, data: Path, run: Path, to: Path, *, resume: bool, progress: fit.Progress) -> Path:
    """Train, choose on validation, export to `to`, measure on the test part. Returns `to`. Raises InputError.

    run: the folder of the checkpoints, which Ctrl-C (KeyboardInterrupt) leaves intact.
    """
    training, validation = talk.load(data, "train"), talk.load(data, "validation")
    validate = make_validator(validation)
    train_phase(build(settings), training, settings, run, resume=resume, progress=progress, validate=validate)
    both = talk.join(training, validation)
    for previous, name, pictures, epochs, rate in (
        (run, MIX, training, settings.mix, settings.mix_rate),
        (run / MIX, REFIT, both, settings.refit, settings.refit_rate),
    ):
        phase = replace(settings, epochs=epochs, learning_rate=settings.learning_rate * rate)
        train_phase(load(previous), pictures, phase, run / name, weights=pictures.weights(),
                    resume=_has_begun(run / name), progress=progress)  # fmt: skip
    return finish(run, data, to)


def build(settings: ClassicSettings) -> Classic:
    """A new network; the seed determines its weights."""
    torch.manual_seed(settings.seed)
    return Classic(settings.dropout, len(cifar10.CLASSES) if settings.classes else 0)


def load(run: Path) -> Classic:
    """The network of the best epoch in a folder of checkpoints. Raises InputError."""
    checkpoint = fit.read(run / fit.BEST)
    network = build(ClassicSettings(**checkpoint["settings"]))
    network.load_state_dict(checkpoint["network"])
    return network


def train_phase(
    network: Classic,
    pictures: talk.Pictures,
    settings: ClassicSettings,
    run: Path,
    *,
    weights: npt.NDArray[np.float64] | None = None,
    **options: Any,
) -> None:
    """`settings.epochs` passes over the pictures, with checkpoints in `run`.

    weights: of each picture in the loss, float [N]; equal by default. options: of fit.fit.
    """
    images, targets = torch.from_numpy(pictures.images), torch.from_numpy(pictures.targets).long()
    relative = torch.ones(len(images)) if weights is None else torch.from_numpy(weights / weights.mean()).float()
    steps = max(len(images) // settings.batch_size, 1)

    def batches(epoch: int) -> Iterator[Batch]:
        for rows in torch.randperm(len(images)).tensor_split(steps):
            x = images[rows].to(fit.device()).permute(0, 3, 1, 2).float()
            x = augment.transform(x, shift=settings.shift).contiguous(memory_format=torch.channels_last)
            yield x, targets[rows].to(fit.device()), relative[rows].to(fit.device())

    loss = functools.partial(compute_loss, classes=settings.classes)
    fit.fit(network, batches, loss, settings, steps=steps, schedule=fit.cosine_schedule(), run=run, **options)


def compute_loss(network: Classic, batch: Batch, classes: float) -> Tensor:
    """Cross-entropy of bird or not, plus `classes` times that of CIFAR-10's classes."""
    x, targets, weights = batch
    birds, kinds = network.answer(x)
    loss = F.cross_entropy(birds.float(), (targets == cifar10.BIRD).long(), reduction="none")
    if kinds is not None:
        loss = loss + classes * F.cross_entropy(kinds.float(), targets, reduction="none")
    return (loss * weights).mean()


def finish(run: Path, data: Path, to: Path) -> Path:
    """The checkpoints of a run -> the measured model file at `to`. Raises InputError."""
    checkpoint = fit.read(run / fit.BEST)
    settings = ClassicSettings(**checkpoint["settings"])
    mixed, complete = _has_ended(run / MIX, settings.mix), _has_ended(run / REFIT, settings.refit)
    scorer = Scorer(load(run / MIX if mixed else run), flips=settings.flips)
    card = Card(
        name="bird-classic", version="2", labels=("bird",), input_size=32,
        trained_on=talk.TRAINED_ON_ALL if complete else talk.TRAINED_ON, licence=talk.LICENCE,
        details={
            "command": describe_command("bird --net classic", settings, SETTINGS),
            "best_epoch": checkpoint["epoch"],
            "seconds": round(sum(fit.measure_seconds(p) for p in (run, run / MIX, run / REFIT) if p.exists())),
        },
    )  # fmt: skip
    return publish(scorer, card, settings, data, to, refit=load(run / REFIT) if complete else None, half_from=256)


def _has_begun(run: Path) -> bool:
    return (run / fit.LAST).exists()


def _has_ended(run: Path, epochs: int) -> bool:
    return _has_begun(run) and fit.read(run / fit.LAST)["epoch"] == epochs
