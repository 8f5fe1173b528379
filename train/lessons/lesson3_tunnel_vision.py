"""Lesson 3: tunnel vision: move the 8, and the net is blind.

Idea: a fully connected net learns where the ink is. The same digits on a larger canvas, a few pixels from the
middle, are a different list of numbers, and it has never seen that list.
Two nets are put to the test, so that the frame can't take the blame: lesson 2's, looking at the middle of the canvas
through its own 18x18 window; and one that sees the whole canvas, trained with the same digits in the middle of it.
Source: Adam Geitgey, "Machine Learning is Fun! Part 3", 2016, its section "Tunnel Vision",
https://medium.com/@ageitgey/machine-learning-is-fun-part-3-deep-learning-and-convolutional-neural-networks-f40359318721
Data: MNIST; canvases of its test digits, 8s moved along the eight directions; threshold 0.5, nothing is chosen.
Command: python -m train lesson 3

Printed: recall, moved by 8 pixels 0.000 (0.000 to 0.005); moved by 4 0.150 (0.127 to 0.158); not moved 0.970 (0.970 to
0.973). On AMD EPYC, 2 cores, 1 thread, torch 2.13.0+cpu; n = 3 runs, median (lowest to highest).
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from photosearch.models.session import Model
from train.export import export
from train.lessons.lesson1_house_price import fit, net, parameters
from train.lessons.lesson2_is_it_an_8 import BOX, SIDE, Photo, card, digits, resize, score, target

TITLE = "Tunnel vision"
CANVAS = 48  # pixels a side
MOVES = (0, 2, 4, 6, 8, 10, 12, 14)  # pixels from the middle; at 14 the digit's box touches the border
EIGHTS = 400  # 8s at each of the moves


def lesson(data: Path, models: Path, *, seed: int = 0, quick: bool = False, plot: Path | None = None) -> dict:
    """Move 8s away from the middle and print both nets' recall by the pixels moved. Reads lesson2.onnx."""
    torch.manual_seed(seed)
    boxes, is_8 = digits(data, "train")
    network = net(CANVAS * CANVAS, 128, 2)
    centred = place(boxes, *middle(len(boxes)))
    fit(network, centred, target(is_8), nn.functional.cross_entropy, steps=300 if quick else 2_000, seed=seed)
    export(Photo(network, CANVAS), card("lesson3", CANVAS, "MNIST's digits, centred"), models / "lesson3.onnx")

    lesson2 = Model(models / "lesson2.onnx", provider="cpu")
    recalls = {}
    for move in MOVES:
        x = moved(data, move, seed)
        window = resize(x.reshape(-1, CANVAS, CANVAS)[:, 14:34, 14:34], SIDE)  # the middle 20x20: where the box was
        recalls[move] = (recall(lesson2.score(pixels(window))), recall(score(network, x)))
    if plot:
        draw(moved(data, 0, seed), recalls, data, seed, plot / "lesson3-moved.png")
    blind = next((m for m in MOVES if max(recalls[m]) < 0.5), None)
    worst = max(recalls[8])
    return {
        "numbers": {
            "recall, moved by 8 pixels": worst,
            "moved by 4": max(recalls[4]),
            "not moved": max(recalls[0]),
        },
        "columns": ["8 moved by, pixels", "recall, lesson 2's net at the middle", "recall, a net of the whole canvas"],
        "rows": [[str(m), *(f"{r:.3f}" for r in recalls[m])] for m in MOVES],
        "parameters": parameters(network),
        "therefore": f"from {blind} pixels on both nets miss more than half the 8s, at 8 pixels the better one finds "
        f"{worst:.1%}. The 8 is still there: who looks for it?",
    }


def place(boxes: torch.Tensor, top: torch.Tensor, left: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """Digits float [N, 20, 20], scaled to `side` pixels and put at top, left (int [N]) -> canvases [N, 48 * 48]."""
    canvases = torch.zeros(len(boxes), CANVAS, CANVAS)
    for s in side.unique().tolist():
        here = (side == s).nonzero()[:, 0]
        rows = (top[here, None] + torch.arange(s))[:, :, None]
        columns = (left[here, None] + torch.arange(s))[:, None, :]
        canvases[here[:, None, None], rows, columns] = resize(boxes[here], s)
    return canvases.flatten(1)


def middle(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    corner = torch.full((n,), (CANVAS - BOX) // 2)
    return corner, corner, torch.full((n,), BOX)


def moved(data: Path, move: int, seed: int) -> torch.Tensor:
    """EIGHTS canvases of 8s from MNIST's test set, each `move` pixels from the middle in one of eight directions."""
    boxes, is_8 = digits(data, "test")
    rng = np.random.default_rng([seed, move])
    chosen = torch.from_numpy(rng.choice(is_8.nonzero()[:, 0].numpy(), EIGHTS, replace=False))
    directions = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)])
    step = torch.from_numpy(directions[rng.integers(0, 8, EIGHTS)] * move)
    top, left, side = middle(EIGHTS)
    return place(boxes[chosen], top + step[:, 0], left + step[:, 1], side)


def recall(scores) -> float:
    """Every picture shows an 8: the part of them at 0.5 or above."""
    return float((scores >= 0.5).mean() if isinstance(scores, np.ndarray) else (scores >= 0.5).float().mean())


def pixels(images: torch.Tensor) -> np.ndarray:
    """Grey float [N, S, S] in 0..1 -> what a model file takes, uint8 [N, S, S, 3]."""
    grey = (images * 255).round().clamp(0, 255).to(torch.uint8)
    return grey[..., None].expand(*grey.shape, 3).numpy()


def draw(centred, recalls, data: Path, seed: int, path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(7.5, 3), dpi=80, layout="constrained")
    grid = figure.add_gridspec(2, 4)
    for i, move in enumerate((0, 4, 8, 14)):
        axes = figure.add_subplot(grid[i // 2, i % 2])
        axes.imshow(moved(data, move, seed)[3].reshape(CANVAS, CANVAS), cmap="gray_r")
        axes.add_patch(Rectangle((13.5, 13.5), 20, 20, fill=False, color="tab:orange"))
        axes.set_title(f"moved by {move}", size=8)
        axes.set(xticks=[], yticks=[])
    axes = figure.add_subplot(grid[:, 2:])
    axes.plot(MOVES, [recalls[m][0] for m in MOVES], "o-", label="lesson 2's net at the middle")
    axes.plot(MOVES, [recalls[m][1] for m in MOVES], "s-", label="a net of the whole canvas")
    axes.set(xlabel="8 moved by, pixels", ylabel="recall", ylim=(-0.02, 1.02))
    axes.legend(fontsize=8)
    figure.savefig(path)
