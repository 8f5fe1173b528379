"""Lesson 2: the same net reads: is it an 8?

Idea: a picture is a list of numbers. 18x18 pixels are 324 inputs for lesson 1's net; two outputs say how much it
looks like an "8" and like "not 8".
Not here: anything that knows up from down, or which pixels are neighbours.
Source: Adam Geitgey, "Machine Learning is Fun! Part 3: Deep Learning and Convolutional Neural Networks", 2016,
https://medium.com/@ageitgey/machine-learning-is-fun-part-3-deep-learning-and-convolutional-neural-networks-f40359318721
Data: MNIST. Trained with its first 50,000 digits; the next 10,000 chose the net's width; the threshold is 0.5, not
chosen; its test set is the test.
Command: python -m train lesson 2

Printed: recall 0.967 (0.966 to 0.969); accuracy 0.996 (0.995 to 0.996); precision 0.986 (0.980 to 0.988). On AMD EPYC,
2 cores, 1 thread, torch 2.13.0+cpu; n = 3 runs, median (lowest to highest).
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from photosearch.models.card import Card
from train.data import mnist
from train.export import export
from train.lessons.lesson1_house_price import fit, net, parameters

TITLE = "Is it an 8?"
BOX = 20  # pixels: MNIST's digits were scaled into a box of 20x20
SIDE = 18  # pixels: what the net sees
HIDDEN, STEPS = 256, 8_000  # of 128 to 512 and 3,000 to 8,000 the best on the validation digits
VALIDATION = 10_000  # the last of MNIST's training digits


def lesson(data: Path, models: Path, *, seed: int = 0, quick: bool = False, plot: Path | None = None) -> dict:
    """Teach the net with centred digits, measure it on MNIST's test set, print the table."""
    torch.manual_seed(seed)
    boxes, is_8 = digits(data, "train")
    test_boxes, test_is_8 = digits(data, "test")
    x, x_test = resize(boxes, SIDE).flatten(1), resize(test_boxes, SIDE).flatten(1)

    network = net(SIDE * SIDE, HIDDEN, 2)
    fit(network, x, target(is_8), nn.functional.cross_entropy, steps=400 if quick else STEPS, seed=seed)
    export(Photo(network, SIDE), card("lesson2", SIDE, "MNIST's digits in their 20x20 boxes"), models / "lesson2.onnx")

    scores = score(network, x_test)
    ours, never = measure(scores, test_is_8), measure(torch.zeros(len(test_is_8)), test_is_8)
    if plot:
        draw_numbers(x_test[test_is_8][0], plot / "lesson2-numbers.png")
        draw_mistakes(test_boxes, test_is_8, scores, plot / "lesson2-mistakes.png")
    return {
        "numbers": {"recall": ours["recall"], **ours},
        "columns": ["on MNIST's 10,000 test digits, 974 of them 8s", *ours],
        "rows": [row("always no", never), row(f"the net, {SIDE * SIDE}-{HIDDEN}-2", ours)],
        "parameters": parameters(network),
        "therefore": f"finds {ours['recall']:.1%} of the 8s, all of them in the middle. And if one is not?",
    }


def digits(data: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """part: train, validation or test -> float [N, 20, 20] in 0..1, ink 1; bool [N], whether it is an 8."""
    images, labels = mnist.load(data, "test" if part == "test" else "train")
    chosen = {"train": slice(None, -VALIDATION), "validation": slice(-VALIDATION, None), "test": slice(None)}[part]
    return torch.from_numpy(box(images[chosen])).float() / 255, torch.from_numpy(labels[chosen] == 8)


def box(images: np.ndarray) -> np.ndarray:
    """uint8 [N, 28, 28] -> uint8 [N, 20, 20]: the box around the ink. MNIST centred the ink's mass, not its box."""
    corners = []
    for axis in (2, 1):  # ink in a row, ink in a column
        ink = images.any(axis=axis)
        first, last = ink.argmax(1), 27 - ink[:, ::-1].argmax(1)
        corners.append(((first + last + 1 - BOX) // 2).clip(0, 28 - BOX))
    windows = np.lib.stride_tricks.sliding_window_view(images, (BOX, BOX), axis=(1, 2))
    return windows[np.arange(len(images)), *corners].copy()


def resize(images: torch.Tensor, side: int) -> torch.Tensor:
    """float [N, A, A] -> [N, side, side]. Each new pixel is a weighted sum of old ones, nearest heaviest."""
    weights = shrink(images.shape[-1], side)
    return weights @ images @ weights.T


def shrink(old: int, new: int) -> torch.Tensor:
    """The weights of `resize` along one side, [new, old]; every row sums to 1."""
    scale = old / new
    centres = (torch.arange(new) + 0.5) * scale - 0.5
    weights = (1 - (centres[:, None] - torch.arange(old)).abs() / max(scale, 1)).clamp(min=0)
    return weights / weights.sum(1, keepdim=True)


def target(is_8: torch.Tensor) -> torch.Tensor:
    """Output 0 is "8", output 1 is "not 8"."""
    return (~is_8).long()


def score(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """[N, inputs] -> [N], P(8) in 0..1."""
    with torch.inference_mode():
        return torch.cat([network(part).softmax(1)[:, 0] for part in x.split(1_000)])


def measure(scores: torch.Tensor, is_8: torch.Tensor, threshold: float = 0.5) -> dict[str, float]:
    """Accuracy, precision and recall of "8". Without a single yes, precision is 0 here."""
    yes = scores >= threshold
    right = int((yes & is_8).sum())
    return {
        "accuracy": (yes == is_8).float().mean().item(),
        "precision": right / max(int(yes.sum()), 1),
        "recall": right / int(is_8.sum()),
    }


def row(name: str, numbers: dict[str, float]) -> list[str]:
    return [name, *(f"{value:.3f}" for value in numbers.values())]


class Photo(nn.Module):
    """What photosearch feeds, uint8 [N, side, side, 3] -> the net's input, grey [N, side * side] -> P(8), [N, 1]."""

    def __init__(self, network: nn.Module, side: int):
        super().__init__()
        self.network, self.side = network, side

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        grey = images.float().mean(3) / 255
        return self.network(grey.reshape(-1, self.side * self.side)).softmax(1)[:, :1]


def card(name: str, side: int, trained_on: str) -> Card:
    return Card(
        name=name, version="1", labels=("8",), input_size=side, trained_on=trained_on,
        licence="MNIST: CC BY-SA 3.0", details={"command": f"python -m train lesson {name[-1]}"},
    )  # fmt: skip


def draw_numbers(picture: torch.Tensor, path: Path) -> None:
    """An 8 as the net gets it: 324 numbers, 0 to 255."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), dpi=80, layout="constrained")
    axes = figure.subplots()
    image = picture.reshape(SIDE, SIDE)
    axes.imshow(image, cmap="gray_r")
    for y in range(SIDE):
        for x in range(SIDE):
            value = image[y, x].item()
            axes.text(x, y, round(value * 255), ha="center", va="center", size=6, color="w" if value > 0.5 else "k")
    axes.set_axis_off()
    figure.savefig(path)


def draw_mistakes(boxes: torch.Tensor, is_8: torch.Tensor, scores: torch.Tensor, path: Path) -> None:
    """The 8s that it missed by most above, what it took for an 8 by most below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.4), dpi=80, layout="constrained")
    rows = figure.subplots(2, 10)
    for line, wrong, order in ((rows[0], is_8, scores), (rows[1], ~is_8, -scores)):
        worst = order.masked_fill(~wrong, 2).argsort()[: len(line)]
        for axes, i in zip(line, worst, strict=True):
            axes.imshow(boxes[i], cmap="gray_r")
            axes.set_title(f"{scores[i].item():.2f}", size=8)
            axes.set_axis_off()
    figure.suptitle("8s with the lowest P(8), other digits with the highest", size=9)
    figure.savefig(path)
