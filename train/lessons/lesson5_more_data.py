"""Lesson 5: more data, a deeper net: show it 8s in all places until it knows them all.

Idea: the canvases that the window had to search are now the training data. They are made, not collected: a seed
and a number give the same canvases again, as many as wanted, and no file holds them. More places to know need more
weights, so the net gets deeper. `pen` goes one further and draws the digits themselves, so that no data set is
needed at all.
Not here: anything that tells the net that an 8 on the left and an 8 on the right are the same thing.
Source: Adam Geitgey, "Machine Learning is Fun! Part 3", 2016, "Brute Force Idea #2",
https://medium.com/@ageitgey/machine-learning-is-fun-part-3-deep-learning-and-convolutional-neural-networks-f40359318721
Data: canvases as in lesson 4: of MNIST's first 50,000 digits to teach, of its next 10,000 to choose the depth, of its
test set to report. The threshold is 0.5, not chosen.
Command: python -m train lesson 5

Printed: recall 0.919 (0.909 to 0.931); precision 0.914 (0.910 to 0.918); hidden layers 4 (2 to 4). On AMD EPYC, 2
cores, 1 thread, torch 2.13.0+cpu; n = 3 runs, median (lowest to highest).
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from train.export import export
from train.lessons.lesson1_house_price import fit, net, parameters
from train.lessons.lesson2_is_it_an_8 import BOX, Photo, card, digits, measure, score, target
from train.lessons.lesson3_tunnel_vision import CANVAS, place

TITLE = "More data, a deeper net"
SIDES = (16, 28)  # pixels: a digit's smallest and largest box
SIZES = (500, 2_000, 8_000, 32_000)  # canvases
DEPTHS = (1, 2, 4)  # hidden layers
WIDTH = 512  # in each of them
STEPS = 800  # of 128 canvases, whatever the number of canvases: what grows is the data, not the work
PEN = 8_000  # digits drawn by `pen`
TEST = 2_000  # canvases, half of them with an 8


def lesson(data: Path, models: Path, *, seed: int = 0, quick: bool = False, plot: Path | None = None) -> dict:
    """Teach dense nets with more and more canvases and layers; print recall and parameters."""
    steps, most = (150, SIZES[-2]) if quick else (STEPS, SIZES[-1])
    pool = digits(data, "train")
    x, is_8 = canvases(most, *pool, seed=[seed, 0])
    validation = canvases(1_000 if quick else TEST, *digits(data, "validation"), seed=[seed, 1])
    test = canvases(TEST, *digits(data, "test"), seed=[seed, 2])

    rows, by_depth, by_size = [], {}, {}
    for depth in DEPTHS:
        network = taught(x, is_8, depth, steps, seed)
        by_depth[depth] = (network, *report(rows, f"{depth} hidden, {most:,} canvases", network, validation, test))
    best = max(DEPTHS, key=lambda depth: by_depth[depth][1]["accuracy"])
    for size in [s for s in SIZES if s < most]:
        network = taught(x[:size], is_8[:size], best, steps, seed)
        by_size[size] = report(rows, f"{best} hidden, {size:,} canvases", network, validation, test)[1]
    by_size[most] = by_depth[best][2]
    if not quick:
        x, is_8 = canvases(most, *pen(PEN, seed), seed=[seed, 3])
        drawn = taught(x, is_8, best, steps, seed)
        report(rows, f"{best} hidden, {most:,} canvases of drawn digits, no file", drawn, validation, test)

    network, chosen = by_depth[best][0], by_depth[best][2]
    export(Photo(network, CANVAS), card("lesson5", CANVAS, f"{most:,} canvases"), models / "lesson5.onnx")
    if plot:
        draw(canvases(24, *pool, seed=[seed, 4])[0], canvases(8, *pen(200, seed), seed=[seed, 5])[0],
             by_size, {d: by_depth[d][2] for d in DEPTHS}, plot / "lesson5-data.png")  # fmt: skip
    return {
        "numbers": {"recall": chosen["recall"], "precision": chosen["precision"], "hidden layers": best},
        "columns": [f"net of {WIDTH} a layer", "parameters", "validation accuracy", "precision", "recall"],
        "rows": rows,
        "parameters": parameters(network),
        "therefore": f"{chosen['recall']:.1%} of the 8s in one look, with {parameters(network):,} weights, and "
        f"{by_size[min(by_size)]['recall']:.1%} from {min(by_size)} canvases: it learns the 8 anew for every place. "
        "Can it learn it once?",
    }


def canvases(n: int, boxes: torch.Tensor, is_8: torch.Tensor, seed) -> tuple[torch.Tensor, torch.Tensor]:
    """The generator: n canvases [n, 48 * 48] with one digit each, in any place and size, every other an 8; bool [n].

    The same seed, digits and n give the same canvases, lesson 4's.
    """
    rng = np.random.default_rng(seed)
    eights, others = (which.nonzero()[:, 0].numpy() for which in (is_8, ~is_8))
    yes = np.arange(n) % 2 == 0
    chosen = np.where(yes, rng.choice(eights, n), rng.choice(others, n))
    side = rng.integers(SIDES[0], SIDES[1] + 1, n)
    top, left = (rng.integers(0, CANVAS - side + 1) for _ in range(2))
    where = (torch.from_numpy(values) for values in (top, left, side))
    return place(boxes[torch.from_numpy(chosen)], *where), torch.from_numpy(yes)


def taught(x: torch.Tensor, is_8: torch.Tensor, depth: int, steps: int, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    network = net(CANVAS * CANVAS, *[WIDTH] * depth, 2)
    fit(network, x, target(is_8), nn.functional.cross_entropy, steps=steps, rate=1e-3, seed=seed)
    return network


def report(rows: list, name: str, network: nn.Module, validation, test) -> tuple[dict, dict]:
    chosen_on, told = (measure(score(network, x), is_8) for x, is_8 in (validation, test))
    rows.append([name, f"{parameters(network):,}", *(f"{v:.3f}" for v in (
        chosen_on["accuracy"], told["precision"], told["recall"]))])  # fmt: skip
    return chosen_on, told


def arc(x: float, y: float, wide: float, high: float, first: float, last: float) -> list[tuple[float, float]]:
    """Twelve points of an ellipse's outline; 0 degrees is right, 90 down."""
    angles = np.radians(np.linspace(first, last, 12))
    return [(x + wide * np.cos(a), y + high * np.sin(a)) for a in angles]


STROKES = {  # how we write: points of one pull of the pen, x to the right, y down, in a box of 0..1
    0: arc(0.5, 0.5, 0.35, 0.5, -90, 270),
    1: [(0.4, 0.15), (0.55, 0.0), (0.5, 1.0)],
    2: [*arc(0.5, 0.28, 0.36, 0.28, 190, 380), (0.12, 1.0), (0.9, 0.97)],
    3: [*arc(0.45, 0.26, 0.34, 0.26, 200, 450), *arc(0.45, 0.75, 0.4, 0.25, -90, 160)],
    4: [(0.7, 1.0), (0.7, 0.0), (0.1, 0.65), (0.95, 0.65)],
    5: [(0.85, 0.0), (0.25, 0.02), (0.2, 0.42), *arc(0.45, 0.69, 0.4, 0.31, -110, 150)],
    6: [(0.75, 0.0), (0.4, 0.3), *arc(0.48, 0.72, 0.32, 0.28, 200, 560)],
    7: [(0.1, 0.05), (0.9, 0.0), (0.4, 1.0)],
    8: [*arc(0.5, 0.25, 0.27, 0.25, 90, 450), *arc(0.5, 0.75, 0.33, 0.25, -90, 270)],
    9: [*arc(0.48, 0.28, 0.32, 0.28, 0, 360), (0.78, 0.4), (0.65, 1.0)],
}


def pen(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Digits as `lesson2.digits` gives them, float [n, 20, 20] and bool [n], drawn with a shaky pen; reads no file."""
    rng = np.random.default_rng([seed, 9])
    drawn = [write(STROKES[digit], n // 10, rng) for digit in STROKES]
    labels = np.repeat(list(STROKES), n // 10)
    return torch.from_numpy(np.concatenate(drawn)).float(), torch.from_numpy(labels == 8)


def write(stroke, n: int, rng: np.random.Generator) -> np.ndarray:
    """One digit n times: each time slanted, turned, stretched and bent, with a finer or broader pen. [n, 20, 20]."""
    points = np.array(stroke) - 0.5
    angle, slant = rng.normal(0, 0.12, (n, 1)), rng.normal(0.1, 0.25, (n, 1))
    x, y = points[:, 0] * rng.uniform(0.6, 1.1, (n, 1)), points[:, 1]
    x = x - slant * y + 0.06 * np.sin(rng.uniform(0, 6, (n, 1)) + 5 * y) * rng.normal(0, 1, (n, 1))
    y = y + 0.06 * np.sin(rng.uniform(0, 6, (n, 1)) + 5 * x) * rng.normal(0, 1, (n, 1))
    x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    path = np.stack([x, y], 2) + rng.normal(0, 0.012, (n, len(points), 2))
    low, high = path.min(1, keepdims=True), path.max(1, keepdims=True)
    breadth = rng.uniform(0.9, 2.0, (n, 1, 1))  # half the pen's, in pixels
    path = BOX / 2 + (path - (low + high) / 2) / (high - low).max(2, keepdims=True) * (BOX - 1 - 2 * breadth)
    distance = np.concatenate([near(part) for part in np.array_split(path, max(n // 100, 1))])
    return np.clip(breadth - distance + 0.5, 0, 1).reshape(n, BOX, BOX)


def near(path: np.ndarray) -> np.ndarray:
    """Points [n, P, 2], joined by straight lines -> each pixel's distance from the nearest line, [n, 20, 20]."""
    start, along = path[:, None, :-1], np.diff(path, axis=1)[:, None]
    columns, rows = np.meshgrid(np.arange(BOX) + 0.5, np.arange(BOX) + 0.5)
    off = np.stack([columns.ravel(), rows.ravel()], 1)[None, :, None] - start
    part = ((off * along).sum(3) / np.maximum((along**2).sum(3), 1e-9)).clip(0, 1)
    return np.linalg.norm(off - part[..., None] * along, axis=3).min(2).reshape(-1, BOX, BOX)


def draw(of_mnist, of_pen, by_size: dict, by_depth: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), dpi=80, layout="constrained")
    pictures, size, depth = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
    tiled = [torch.cat(list(line.reshape(-1, CANVAS, CANVAS)), 1) for line in torch.cat([of_mnist, of_pen]).split(8)]
    pictures.imshow(torch.cat(tiled), cmap="gray_r")
    pictures.set_xticks([(i + 1) * CANVAS - 0.5 for i in range(7)], labels=[])
    pictures.set_yticks([(i + 1) * CANVAS - 0.5 for i in range(3)], labels=[])
    pictures.grid(color="tab:blue", linewidth=0.6)
    pictures.set_title("canvases; the last row's digits are drawn", size=9)
    size.plot(list(by_size), [n["recall"] for n in by_size.values()], "o-")
    size.set(xscale="log", xlabel="canvases", ylabel="recall", ylim=(0, 1.02))
    size.set_xticks(list(by_size), labels=[f"{n:,}" for n in by_size], size=8)
    size.minorticks_off()
    depth.plot(list(by_depth), [n["recall"] for n in by_depth.values()], "o-")
    depth.set(xlabel="hidden layers", xticks=list(by_depth), ylim=(0, 1.02))
    figure.savefig(path)
