"""Shared by both bird networks of 32x32 pixels: validation, and the steps from trained network to measured file."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch import nn

from train import calibrate, figures, fit, test_set_ledger
from train.data import talk
from train.export import export, replace_card
from train.networks.bird32 import Scorer, compute_logits, split
from train.tool import Card, Model

CIFAR, BOTH = "cifar-10", "cifar-10 + cub"  # test parts in the ledger


class Promise(Protocol):
    """What `publish` reads from a recipe's settings. precision, recall: the minimum of each part of the pictures."""

    precision: Mapping[str, float]
    recall: Mapping[str, float]


def make_validator(validation: talk.Pictures) -> Callable[[nn.Module], float]:
    """A function from a network to its average precision on CIFAR-10's part; CUB's birds are too easy."""
    part = validation.part(CIFAR)

    def validate(network: nn.Module) -> float:
        with torch.autocast(fit.device().type, torch.bfloat16):
            logits = compute_logits(Scorer(network), validation.images[part])
        return figures.average_precision(logits, validation.birds[part]) or 0.0

    return validate


def publish(
    scorer: Scorer,
    card: Card,
    settings: Promise,
    data: Path,
    to: Path,
    *,
    refit: nn.Module | None = None,
    half_from: int,
    byte_from: int | None = None,
) -> Path:
    """Calibrate on validation, export to `to`, then measure the file on the test part. Raises InputError.

    card: without threshold and figures. refit: replaces the scorer's network after everything is chosen.
    """
    validation = talk.load(data, "validation")
    logits = compute_logits(scorer, validation.images)
    scorer.scale, scorer.bias = calibrate.platt(logits, validation.birds, validation.weights())
    scores = expit(logits.astype(float) * scorer.scale + scorer.bias)
    threshold, confidence = calibrate.choose_surest(scores, validation, settings.precision, settings.recall)
    if refit:
        scorer.networks = nn.ModuleList([refit])
    details = {
        "settings": asdict(settings), "chosen_on": talk.VALIDATED_ON, "confidence": round(confidence, 4),
        "calibration": {"scale": round(scorer.scale, 4), "bias": round(scorer.bias, 4)},
        "machine": fit.describe_machine(), **card.details,
    }  # fmt: skip
    card = replace(card, thresholds={"bird": threshold}, details=details)
    export(scorer, card, to, half_from=half_from, byte_from=byte_from)
    rows = [*make_rows(scores, validation, threshold, "validation"), *measure_test(to, data)]
    replace_card(to, replace(card, measured=tuple(rows)))
    show(to)
    return to


def make_rows(scores: npt.NDArray[Any], pictures: talk.Pictures, threshold: float, part: str) -> list[dict[str, Any]]:
    """Both sets together, then CIFAR-10 alone."""
    cifar = pictures.part(CIFAR)
    return [
        figures.make_row(scores, pictures.birds, threshold, f"{BOTH}, {part}"),
        figures.make_row(scores[cifar], pictures.birds[cifar], threshold, f"{CIFAR}, {part}"),
    ]


def measure_test(path: Path, data: Path) -> list[dict[str, Any]]:
    """The rows of a model's file on the test part; the ledger counts the evaluation."""
    model, test = Model(path, provider="cpu"), talk.load(data, "test")
    for part in (BOTH, CIFAR):
        test_set_ledger.record(path, model.card.name, part)
    scores = np.concatenate([model.score(batch)[:, 0] for batch in split(test.images)])
    return make_rows(scores, test, model.card.threshold("bird"), "test")


def show(path: Path) -> None:
    """Print the figures of each split in a card."""
    card = Model(path, provider="cpu").card
    for row in card.measured:
        figures.show(f"{card.name} {card.version} on {row['split']}", row)
