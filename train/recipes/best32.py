"""bird-best32: the highest accuracy reached here on the talk's task of 32x32 pixels, with any network.

    python -m train bird --net best32 --data DIR

Three EfficientNet-Lites with ImageNet's weights, each trained separately on CIFAR-10, CUB and Tiny ImageNet's birds,
with ten classes, frequent sampling of hard pictures, and CutMix; their logits are averaged. Validation selects each
one's epoch, the calibration and the threshold. The exported file is measured once on the test part:
`python -m train evaluate .runs/bird-best32/bird-best32.onnx --on cifar-10`. Photos are larger than 32 pixels, so the
model is not shipped, and no file of it is kept: docs/measured/ has its figures, docs/measured/cards/ its card.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from photosearch.errors import InputError
from train import augment, fit
from train.data import cifar10, talk
from train.export import describe_command
from train.networks.bird32 import Scorer, bird_logits
from train.networks.lite import Enlarged
from train.recipes.bird32 import make_validator, publish
from train.tool import Card

FIRST_ERROR = 0.08  # assumed of unseen pictures without a bird; birds are few, so the first epoch has nearly all
CLASS_ORDER = torch.tensor([0, 1, 9, 3, 4, 5, 6, 7, 8, 2])  # CIFAR-10's, with the bird last
TRAINED_ON = "Tiny ImageNet's training pictures of birds; begun with ImageNet-1k weights of EfficientNet-Lite"
LICENCE = (
    "Tiny ImageNet is cut from ImageNet, which is for non-commercial research and education; "
    "EfficientNet-Lite's weights are under Apache-2.0."
)
Batch = tuple[Tensor, Tensor, Tensor, Tensor | None, float]  # x, targets, rows, rows mixed in, share of the own picture


@dataclass(frozen=True, slots=True)
class Best32Settings:
    """A run's parameters, also written into the card.

    backbones: of the networks whose logits are averaged, each trained with its own seed (`choose_seed`). fit: the index
    of one of them. resolution: pixels to which 32x32 are enlarged. cutmix: the share of batches in which each picture
    has a part of another. draws: pictures per epoch, 0 for each once; the surer a picture was when last seen, the more
    rarely it is drawn, down to a tenth. precision, recall: the minimum of each part; the threshold is the one most
    likely to reach them.
    """

    epochs: int = 18
    batch_size: int = 64
    learning_rate: float = 7e-4  # AdamW's; falls to 0 along a cosine
    warm_up: float = 0.05  # the share of all steps in which the rate rises from 0
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    dropout: float = 0.2
    shift: int = 3  # pixels
    cutmix: float = 0.5
    backbones: tuple[str, ...] = ("lite2", "lite2", "lite0")
    fit: int = 0
    resolution: int = 112
    draws: int = 26_000
    average: float = 0.995
    flips: bool = True
    seed: int = 1
    precision: Mapping[str, float] = field(default_factory=lambda: {"cifar-10": 0.95, "whole": 0.99})
    recall: Mapping[str, float] = field(default_factory=lambda: {"cifar-10": 0.91})


SETTINGS = Best32Settings()


def train(settings: Best32Settings, data: Path, run: Path, to: Path, *, resume: bool, progress: fit.Progress) -> Path:
    """Train all networks, choose on validation, export to `to`, measure on the test part. Returns `to`.

    run: the folder of the checkpoints, with subfolders for all networks but the first. Ctrl-C (KeyboardInterrupt)
    leaves them intact. Raises InputError.
    """
    train_fits(settings, data, run, range(len(settings.backbones)), resume=resume, progress=progress)
    return finish(run, data, to)


def train_fits(
    settings: Best32Settings, data: Path, run: Path, fits: Sequence[int], *, resume: bool, progress: fit.Progress
) -> None:
    """Train some of the networks, counted from 0; they may be trained in any order and separately."""
    if max(fits) >= len(settings.backbones):
        raise InputError(f"no fit {max(fits) + 1}: best32 has {len(settings.backbones)}")
    pictures, validation = talk.load(data, "train", extra=True), talk.load(data, "validation")
    for index in fits:
        one, folder = replace(settings, fit=index), _locate(run, index)
        begun = (folder / fit.LAST).exists() if index else resume
        validate = make_validator(validation)
        train_fit(build(one), pictures, one, folder, resume=begun, progress=progress, validate=validate)


def choose_seed(settings: Best32Settings) -> int:
    """A different one for each fit of each run with the same number of fits."""
    return (settings.seed - 1) * max(len(settings.backbones), 1) + settings.fit + 1


def build(settings: Best32Settings) -> Enlarged:
    """A network to start from; the seed determines its new weights."""
    torch.manual_seed(choose_seed(settings))
    backbone = settings.backbones[settings.fit]
    return Enlarged(backbone, settings.resolution, settings.dropout, len(cifar10.CLASSES))


def load(run: Path) -> Enlarged:
    """The network of the best epoch in a folder of checkpoints. Raises InputError."""
    checkpoint = fit.read(run / fit.BEST)
    network = build(Best32Settings(**checkpoint["settings"]))
    network.load_state_dict(checkpoint["network"])
    return network


class Sampler(nn.Module):
    """Chooses the pictures of an epoch. errors: |score - truth| of each picture when last seen, 0..1."""

    def __init__(self, birds: Tensor):
        super().__init__()
        self.register_buffer("errors", torch.where(birds, 1.0, FIRST_ERROR))

    def draw(self, n: int) -> Tensor:
        """The indices of n pictures, or of all for 0; those with small errors are rarer."""
        if not n or n >= len(self.errors):
            return torch.randperm(len(self.errors))
        return torch.multinomial((5 * self.errors).clamp(0.1, 1), n)


def train_fit(network: Enlarged, pictures: talk.Pictures, settings: Best32Settings, run: Path, **options: Any) -> None:
    """`settings.epochs` passes, with checkpoints in `run`. options: of fit.fit."""
    images, targets = torch.from_numpy(pictures.images), torch.from_numpy(pictures.targets).long()
    sampler = Sampler(targets == cifar10.BIRD)
    steps = max((settings.draws or len(images)) // settings.batch_size, 1)

    def batches(epoch: int) -> Iterator[Batch]:
        for rows in sampler.draw(settings.draws).tensor_split(steps):
            x = images[rows].to(fit.device()).permute(0, 3, 1, 2).float()
            x = augment.transform(x, shift=settings.shift)
            other, own = None, 1.0
            if settings.cutmix and torch.rand(()) < settings.cutmix:
                other = torch.randperm(len(x)).to(fit.device())
                x, own = augment.cut_mix(x, x[other])
            yield x.contiguous(memory_format=torch.channels_last), targets[rows].to(fit.device()), rows, other, own

    def compute_batch_loss(network: nn.Module, batch: Batch) -> Tensor:
        x, truth, rows, other, own = batch
        logits = network(x).float()
        loss = compute_loss(logits, truth, settings.label_smoothing)
        if other is not None:
            return own * loss + (1 - own) * compute_loss(logits, truth[other], settings.label_smoothing)
        scores = bird_logits(logits.detach())[:, 0].sigmoid()  # scores of mixed pictures say nothing about either
        sampler.errors[rows] = (scores - (truth == cifar10.BIRD).float()).abs().cpu()
        return loss

    fit.fit(network, batches, compute_batch_loss, settings, seed=choose_seed(settings), steps=steps, run=run,
            schedule=fit.cosine_schedule(settings.warm_up), state={"sampler": sampler}, **options)  # fmt: skip


def compute_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The mean cross-entropy. logits: [N, 10], the bird's last. targets: [N], CIFAR-10's."""
    return F.cross_entropy(logits, CLASS_ORDER.to(targets.device)[targets], label_smoothing=smoothing)


def finish(run: Path, data: Path, to: Path) -> Path:
    """The checkpoints of a run -> the measured model file at `to`. Raises InputError."""
    settings = Best32Settings(**fit.read(run / fit.BEST)["settings"])
    runs = [_locate(run, index) for index in range(len(settings.backbones))]
    card = Card(
        name="bird-best32", version="1", labels=("bird",), input_size=32,
        trained_on=f"{talk.TRAINED_ON}; {TRAINED_ON}", licence=f"{talk.LICENCE} {LICENCE}",
        details={
            "command": describe_command("bird --net best32", settings, SETTINGS),
            "best_epoch": [fit.read(one / fit.BEST)["epoch"] for one in runs],
            "seconds": round(sum(map(fit.measure_seconds, runs))),
        },
    )  # fmt: skip
    scorer = Scorer(*map(load, runs), flips=settings.flips)
    # This rounding moved the score of none of 500 CIFAR-10 validation pictures by more than 0.006.
    return publish(scorer, card, settings, data, to, half_from=30_000, byte_from=200_000)


def _locate(run: Path, fit: int) -> Path:
    """The checkpoint folder of a fit; the first one's is the run's."""
    return run / f"fit-{fit + 1}" if fit else run
