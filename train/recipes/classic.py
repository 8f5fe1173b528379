"""bird-classic: the talk's network, taught with the talk's pictures to find birds in 32x32 pixels.

    python -m train bird --net classic --data DIR --to photosearch/models/shipped/bird-classic.onnx

Fitted on CIFAR-10's first four training batches and seven eighths of CUB's training part, then for a few epochs more
with CUB's pictures weighing what they weigh in the talk's test set. The rest of both, the validation part, picks the
epoch, the calibration and the threshold; then, with all of that fixed, the network is fitted further, on both parts
together. The test part is looked at once, through the exported file.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from scipy.special import expit
from torch import Tensor, nn
from torch.nn import functional as F

from train import augment, calibrate, fit, measure
from train.data import cifar10, talk
from train.export import describe_command, embed, export
from train.networks.bird32 import Scorer, compute_logits
from train.networks.classic import Classic
from train.tool import Card

MIX, REFIT = "mix", "refit"  # the folders of the later epochs in a run's folder
Batch = tuple[Tensor, Tensor, Tensor]  # float [N, 3, 32, 32] in 0..255, CIFAR-10's targets [N], weights [N]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run depends on, beside the data and the machine. Written into the card.

    classes: the weight in the loss of a second answer, which of CIFAR-10's ten classes it is; what a cat looks like is
    worth knowing where cats are taken for birds. It is asked while the network learns, and is in no file.
    flips: the exported file scores a picture and its mirror image.
    mix: then so many epochs more, at `mix_rate` times the rate, in which each picture weighs as much as it takes for
    CIFAR-10 and CUB to be mixed as in the test part. refit: when all is chosen, as many more as that, on validation's
    pictures too, at `refit_rate` times the rate.
    precision, recall: the talk's own figures. The threshold is the one that is surest to keep both.
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


def train(settings: Settings, data: Path, run: Path, to: Path, *, resume: bool = False, tell: fit.Tell) -> Path:
    """Fit, choose on validation, export to `to`, and look at the test part once. Returns `to`.

    run: the folder of the checkpoints. Ctrl-C is passed on (KeyboardInterrupt) and leaves them. Raises InputError.
    """
    pictures, validation = talk.load(data, "train"), talk.load(data, "validation")
    teach(build(settings), pictures, settings, run, resume=resume, tell=tell, judge=measure.judge_on(validation))
    mix = replace(settings, epochs=settings.mix, learning_rate=settings.learning_rate * settings.mix_rate)
    teach(load(run), pictures, mix, run / MIX, resume=_has_begun(run / MIX), weights=pictures.weights(), tell=tell)
    both = talk.join(pictures, validation)
    refit = replace(settings, epochs=settings.refit, learning_rate=settings.learning_rate * settings.refit_rate)
    teach(load(run / MIX), both, refit, run / REFIT, resume=_has_begun(run / REFIT), weights=both.weights(), tell=tell)
    return finish(run, data, to)


def build(settings: Settings) -> Classic:
    """A network to begin with; the seed decides."""
    torch.manual_seed(settings.seed)
    return Classic(settings.dropout, len(cifar10.CLASSES) if settings.classes else 0)


def load(run: Path) -> Classic:
    """The network of the best epoch in a folder of checkpoints. Raises InputError."""
    state = fit.read(run / fit.BEST)
    network = build(Settings(**state["settings"]))
    network.load_state_dict(state["network"])
    return network


def teach(
    network: Classic, pictures: talk.Pictures, settings: Settings, run: Path, *, weights: Any = None, **how: Any
) -> None:
    """Show the pictures for `settings.epochs`; leaves the checkpoints in `run`.

    weights: of each picture in the loss, float [N]; all the same without. how: as in fit.fit.
    """
    images, targets = torch.from_numpy(pictures.images), torch.from_numpy(pictures.targets).long()
    weights = torch.ones(len(images)) if weights is None else torch.from_numpy(weights / weights.mean()).float()
    steps = max(len(images) // settings.batch_size, 1)

    def batches(epoch: int) -> Iterator[Batch]:
        for chosen in torch.randperm(len(images)).tensor_split(steps):
            x = images[chosen].to(fit.device()).permute(0, 3, 1, 2).float()
            x = augment.turn(x, shift=settings.shift).contiguous(memory_format=torch.channels_last)
            yield x, targets[chosen].to(fit.device()), weights[chosen].to(fit.device())

    loss_of = functools.partial(compute_loss, classes=settings.classes)
    fit.fit(network, batches, loss_of, settings, steps=steps, schedule=fit.fall_along_cosine(), run=run, **how)


def compute_loss(network: Classic, batch: Batch, classes: float) -> Tensor:
    """Cross-entropy of bird or not, and `classes` times that of CIFAR-10's classes."""
    x, targets, weights = batch
    bird, kinds = network.answer(x)
    loss = F.cross_entropy(bird.float(), (targets == cifar10.BIRD).long(), reduction="none")
    if kinds is not None:
        loss = loss + classes * F.cross_entropy(kinds.float(), targets, reduction="none")
    return (loss * weights).mean()


def finish(run: Path, data: Path, to: Path) -> Path:
    """A run -> the model file at `to` with its card. Looks at the test part, after all is chosen. Raises InputError."""
    state = fit.read(run / fit.BEST)
    settings = Settings(**state["settings"])
    mixed, refitted = _has_ended(run / MIX, settings.mix), _has_ended(run / REFIT, settings.refit)
    scorer = Scorer(load(run / MIX if mixed else run), flips=settings.flips)
    validation = talk.load(data, "validation")
    logits = compute_logits(scorer, validation.images)
    scorer.scale, scorer.bias = calibrate.platt(logits, validation.birds, validation.weights())
    scores = expit(logits.astype(float) * scorer.scale + scorer.bias)
    threshold, sure = calibrate.choose_surest(scores, validation, settings.precision, settings.recall)
    if refitted:
        scorer.networks = nn.ModuleList([load(run / REFIT)])
    card = Card(
        name="bird-classic", version="2", labels=("bird",), input_size=32, thresholds={"bird": threshold},
        trained_on=talk.TRAINED_ON_ALL if refitted else talk.TRAINED_ON, licence=talk.LICENCE,
        details={
            "command": describe_command("bird --net classic", settings, Settings()), "settings": asdict(settings),
            "best_epoch": state["epoch"], "surely": round(sure, 4), "chosen_on": talk.VALIDATED_ON,
            "calibration": {"scale": round(scorer.scale, 4), "bias": round(scorer.bias, 4)},
            "seconds": round(sum(fit.seconds(part) for part in (run, run / MIX, run / REFIT) if part.exists())),
            "machine": fit.machine(),
        },
    )  # fmt: skip
    export(scorer, card, to, half_from=256)
    rows = [*measure.make_rows(scores, validation, threshold, "validation"), *measure.measure_test(to, data)]
    embed(to, replace(card, measured=tuple(rows)))
    measure.show(to)
    return to


def _has_begun(run: Path) -> bool:
    return (run / fit.LAST).exists()


def _has_ended(run: Path, epochs: int) -> bool:
    return _has_begun(run) and fit.read(run / fit.LAST)["epoch"] == epochs
