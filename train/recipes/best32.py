"""bird-best32: the best answer to the talk's question that 32x32 pixels gave here, whatever the network.

    python -m train bird --net best32 --data DIR --to train/models/bird-best32.onnx

Three EfficientNet-Lites with ImageNet's weights, fitted each by itself on CIFAR-10, CUB and Tiny ImageNet's birds, with
ten classes, harder pictures drawn more often, and parts of pictures swapped; their logits are averaged. Validation
picks each one's epoch, the calibration and the threshold. The test part is looked at once, through the exported file.
Nobody's photos are 32 pixels wide, so it does not ship: `python -m train evaluate bird-best32 --on cifar-10`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from scipy.special import expit
from torch import Tensor, nn
from torch.nn import functional as F

from photosearch.errors import InputError
from train import augment, calibrate, fit, measure
from train.data import cifar10, talk
from train.export import describe_command, embed, export
from train.networks.bird32 import Scorer, bird_logits, compute_logits
from train.networks.lite import Enlarged
from train.tool import Card

FIRST_WRONG = 0.08  # of what is no bird, before it was seen: birds are few, so the first epoch draws nearly all
PLACES = torch.tensor([0, 1, 9, 3, 4, 5, 6, 7, 8, 2])  # the bird changes places with CIFAR-10's last class
TRAINED_ON = "Tiny ImageNet's training pictures of birds; begun with ImageNet-1k weights of EfficientNet-Lite"
LICENCE = (
    "Tiny ImageNet is cut from ImageNet, which is for non-commercial research and education; "
    "EfficientNet-Lite's weights are under Apache-2.0."
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run depends on, beside the data and the machine. Written into the card.

    backbones: the logits of so many networks are averaged, each fitted by itself under a seed of its own (`seed_of`).
    fit: which of them, the first is 0. resolution: pixels to which a picture of 32x32 is enlarged.
    cut: the share of batches in which a part of each picture is another's. draws: pictures an epoch, 0 for all of them
    once; one that was surely right when last seen is drawn up to ten times more rarely.
    precision, recall: the least of each part; the threshold is the one that is surest to keep all of them.
    """

    epochs: int = 18
    batch_size: int = 64
    learning_rate: float = 7e-4  # AdamW's; falls to 0 along a cosine
    warm_up: float = 0.05  # the share of all steps in which the rate climbs from 0
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    dropout: float = 0.2
    shift: int = 3  # pixels
    cut: float = 0.5
    backbones: tuple[str, ...] = ("lite2", "lite2", "lite0")
    fit: int = 0
    resolution: int = 112
    draws: int = 26_000
    average: float = 0.995
    flips: bool = True
    seed: int = 1
    precision: Mapping[str, float] = field(default_factory=lambda: {"cifar-10": 0.95, "whole": 0.99})
    recall: Mapping[str, float] = field(default_factory=lambda: {"cifar-10": 0.91})


def train(settings: Settings, data: Path, run: Path, to: Path, *, resume: bool = False, tell: fit.Tell) -> Path:
    """Fit all networks, choose on validation, export to `to`, and look at the test part once. Returns `to`.

    run: the folder of the checkpoints; fits after the first have their own in it. Ctrl-C is passed on
    (KeyboardInterrupt) and leaves them. Raises InputError.
    """
    teach_some(settings, data, run, range(len(settings.backbones)), resume=resume, tell=tell)
    return finish(run, data, to)


def teach_some(
    settings: Settings, data: Path, run: Path, fits: Sequence[int], *, resume: bool = False, tell: fit.Tell
) -> None:
    """Some of a run's networks, the first is 0; as `train`, and in parts that need not be taught one after another."""
    if max(fits) >= len(settings.backbones):
        raise InputError(f"no fit {max(fits) + 1}: best32 has {len(settings.backbones)}")
    pictures, validation = talk.load(data, "train", extra=True), talk.load(data, "validation")
    for one in fits:
        its, folder = replace(settings, fit=one), _folder(run, one)
        begun = (folder / fit.LAST).exists() if one else resume
        teach(build(its), pictures, its, folder, resume=begun, tell=tell, judge=measure.judge_on(validation))


def seed_of(settings: Settings) -> int:
    """A fit's own: no two runs of as many fits share one."""
    return (settings.seed - 1) * max(len(settings.backbones), 1) + settings.fit + 1


def build(settings: Settings) -> Enlarged:
    """A network to begin with; the seed decides."""
    torch.manual_seed(seed_of(settings))
    backbone = settings.backbones[settings.fit]
    return Enlarged(backbone, settings.resolution, settings.dropout, len(cifar10.CLASSES))


def load(run: Path) -> Enlarged:
    """The network of a fit's best epoch. Raises InputError."""
    state = fit.read(run / fit.BEST)
    network = build(Settings(**state["settings"]))
    network.load_state_dict(state["network"])
    return network


class Draws(nn.Module):
    """Which pictures an epoch shows. wrong: how wrong each picture was when last seen, 0..1."""

    def __init__(self, birds: Tensor):
        super().__init__()
        self.register_buffer("wrong", torch.where(birds, 1.0, FIRST_WRONG))

    def order(self, draws: int) -> Tensor:
        """The indices of an epoch's pictures: all of them, or `draws`, the surely right ones more rarely."""
        if not draws or draws >= len(self.wrong):
            return torch.randperm(len(self.wrong))
        return torch.multinomial((5 * self.wrong).clamp(0.1, 1), draws)


def teach(network: Enlarged, pictures: talk.Pictures, settings: Settings, run: Path, **how: Any) -> None:
    """Show the pictures for `settings.epochs`; leaves the checkpoints in `run`. how: as in fit.fit."""
    images, targets = torch.from_numpy(pictures.images), torch.from_numpy(pictures.targets).long()
    draws = Draws(targets == cifar10.BIRD)
    steps = max((settings.draws or len(images)) // settings.batch_size, 1)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None, float]]:
        for chosen in draws.order(settings.draws).tensor_split(steps):
            x = images[chosen].to(fit.device()).permute(0, 3, 1, 2).float()
            x = augment.turn(x, shift=settings.shift)
            other, own = None, 1.0
            if settings.cut and torch.rand(()) < settings.cut:
                other = torch.randperm(len(x)).to(fit.device())
                x, own = augment.cut_mix(x, x[other])
            yield x.contiguous(memory_format=torch.channels_last), targets[chosen].to(fit.device()), chosen, other, own

    def loss_of(network: nn.Module, batch: tuple[Tensor, Tensor, Tensor, Tensor | None, float]) -> Tensor:
        x, truth, chosen, other, own = batch
        logits = network(x).float()
        loss = compute_loss(logits, truth, settings.label_smoothing)
        if other is not None:
            return own * loss + (1 - own) * compute_loss(logits, truth[other], settings.label_smoothing)
        scores = bird_logits(logits.detach())[:, 0].sigmoid()  # of what was mixed they tell nothing
        draws.wrong[chosen] = (scores - (truth == cifar10.BIRD).float()).abs().cpu()
        return loss

    schedule = fit.fall_along_cosine(settings.warm_up)
    fit.fit(network, batches, loss_of, settings, seed=seed_of(settings), steps=steps, schedule=schedule, run=run,
            besides={"draws": draws}, **how)  # fmt: skip


def compute_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The mean cross-entropy. logits: [N, 10], the bird's last. targets: [N], CIFAR-10's."""
    return F.cross_entropy(logits, PLACES.to(targets.device)[targets], label_smoothing=smoothing)


def finish(run: Path, data: Path, to: Path) -> Path:
    """A run -> the model file at `to` with its card. Looks at the test part, after all is chosen. Raises InputError."""
    settings = Settings(**fit.read(run / fit.BEST)["settings"])
    runs = [_folder(run, one) for one in range(len(settings.backbones))]
    scorer = Scorer(*map(load, runs), flips=settings.flips)
    validation = talk.load(data, "validation")
    logits = compute_logits(scorer, validation.images)
    scorer.scale, scorer.bias = calibrate.platt(logits, validation.birds, validation.weights())
    scores = expit(logits.astype(float) * scorer.scale + scorer.bias)
    threshold, sure = calibrate.choose_surest(scores, validation, settings.precision, settings.recall)
    card = Card(
        name="bird-best32", version="1", labels=("bird",), input_size=32, thresholds={"bird": threshold},
        trained_on=f"{talk.TRAINED_ON}; {TRAINED_ON}", licence=f"{talk.LICENCE} {LICENCE}",
        details={
            "command": describe_command("bird --net best32", settings, Settings()), "settings": asdict(settings),
            "best_epoch": [fit.read(one / fit.BEST)["epoch"] for one in runs], "surely": round(sure, 4),
            "chosen_on": talk.VALIDATED_ON,
            "calibration": {"scale": round(scorer.scale, 4), "bias": round(scorer.bias, 4)},
            "seconds": round(sum(map(fit.seconds, runs))), "machine": fit.machine(),
        },
    )  # fmt: skip
    # So rounded, no score for 500 of CIFAR-10's validation pictures moved by more than 0.006.
    export(scorer, card, to, half_from=30_000, byte_from=200_000)
    rows = [*measure.make_rows(scores, validation, threshold, "validation"), *measure.measure_test(to, data)]
    embed(to, replace(card, measured=tuple(rows)))
    measure.show(to)
    return to


def _folder(run: Path, fit: int) -> Path:
    """Where a fit's checkpoints lie: the first's in the run's own folder."""
    return run / f"fit-{fit + 1}" if fit else run
