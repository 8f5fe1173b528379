"""Lesson 4: a sliding window: carry the net to every place where an 8 could be.

Idea: the net is not moved, the question is. Look through a window at every place, in several sizes, ask lesson 2's
net each time, and of the answers that overlap keep the surest (non-maximum suppression).
Not here: anything learnt. The weights are lesson 2's; only a threshold is chosen, on canvases of validation digits.
Source: Adam Geitgey, "Machine Learning is Fun! Part 3", 2016, "Brute Force Idea #1",
https://medium.com/@ageitgey/machine-learning-is-fun-part-3-deep-learning-and-convolutional-neural-networks-f40359318721
Data: canvases with one digit of MNIST, half of them 8s, anywhere, 16 to 28 pixels large; the test's from its test set.
Command: python -m train lesson 4

Printed: recall 0.846 (0.840 to 0.862); false positives per picture 0.144 (0.082 to 0.174); windows per picture 679;
times lesson 2's time, window by window 201.054 (159.928 to 320.876); the windows as one batch 23.679 (19.628 to
36.811). On AMD EPYC, 2 cores, 1 thread, torch 2.13.0+cpu; n = 3 runs, median (lowest to highest).
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from train.export import export
from train.lessons.lesson1_house_price import net, parameters
from train.lessons.lesson2_is_it_an_8 import HIDDEN, SIDE, card, digits, measure, resize, shrink
from train.lessons.lesson3_tunnel_vision import CANVAS, place

TITLE = "Sliding window"
SIDES = (16, 20, 24, 28)  # pixels on the canvas: the sizes of the window; a digit has any size between
STRIDE = 2  # of the window's own 18 pixels
OVERLAP = 0.3  # intersection over union from which two windows show the same thing
FOUND = 0.4  # intersection over union from which a window has found the 8, whose ink is narrower than its square ...
STRICT = 0.5  # ... and what the PASCAL VOC challenge asks of boxes that are drawn around the ink
THRESHOLDS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)


def lesson(data: Path, models: Path, *, seed: int = 0, quick: bool = False, plot: Path | None = None) -> dict:
    """Scan canvases with lesson 2's net; print what is found and what it costs. Reads lesson2.onnx."""
    scan = Scan(weights(models / "lesson2.onnx"), CANVAS)
    n = 200 if quick else 1_000
    x, is_8, where = canvases(*digits(data, "validation"), n, seed=[seed, 1])
    scores = scan(x)
    threshold = max(THRESHOLDS, key=lambda t: f1(*detections(scan.boxes, scores, is_8, where, t)))
    about = replace(card("lesson4", CANVAS, "lesson 2's net, nothing new"), thresholds={"8": threshold})
    export(Anywhere(scan), about, models / "lesson4.onnx")

    x, is_8, where = canvases(*digits(data, "test"), n, seed=[seed, 2])
    scores = scan(x)
    found, wrong, missed = detections(scan.boxes, scores, is_8, where, threshold)
    strict, _, _ = detections(scan.boxes, scores, is_8, where, threshold, STRICT)
    picture = measure(scores.max(1).values, is_8, threshold)
    one, single, batched = seconds(scan, x[:20])
    if plot:
        draw(scan, threshold, data, seed, plot / "lesson4-windows.png")
    count = len(scan.boxes)
    return {
        "numbers": {
            "recall": found / (found + missed),
            "false positives per picture": wrong / n,
            "windows per picture": count,
            "times lesson 2's time, window by window": single / one,
            "the windows as one batch": batched / one,
        },
        "columns": [f"on {n:,} canvases, {int(is_8.sum())} of them with an 8", "value"],
        "rows": [
            ["threshold, from validation canvases", f"{threshold}"],
            [f"recall: 8s with a window on them, overlap {FOUND} or more", f"{found / (found + missed):.3f}"],
            [f"the same, overlap {STRICT} or more", f"{strict / (found + missed):.3f}"],
            ["false positives per picture", f"{wrong / n:.3f}"],
            ["by picture, 8 or not: precision", f"{picture['precision']:.3f}"],
            ["by picture, 8 or not: recall", f"{picture['recall']:.3f}"],
            ["windows evaluated per picture", f"{count}"],
            ["one look of lesson 2's net, ms", f"{one * 1e3:.3f}"],
            ["a picture, window by window, ms", f"{single * 1e3:.1f}"],
            ["a picture, its windows as one batch, ms", f"{batched * 1e3:.1f}"],
        ],
        "parameters": parameters(scan.network),
        "threshold": threshold,
        "therefore": f"the 8s are back, {found / (found + missed):.1%} of them, for {count} looks a picture and "
        f"{wrong / n:.2f} false alarms: it never learnt what half a digit looks like. Why not teach it?",
    }


def canvases(boxes, is_8, n: int, seed) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """n canvases [n, 48 * 48] with one digit each, every other an 8; bool [n]; int [n, 3]: top, left, side."""
    rng = np.random.default_rng(seed)
    eights, others = (which.nonzero()[:, 0].numpy() for which in (is_8, ~is_8))
    yes = np.arange(n) % 2 == 0
    chosen = np.where(yes, rng.choice(eights, n), rng.choice(others, n))
    side = rng.integers(SIDES[0], SIDES[-1] + 1, n)
    top, left = (rng.integers(0, CANVAS - side + 1) for _ in range(2))
    where = torch.from_numpy(np.stack([top, left, side], 1))
    return place(boxes[torch.from_numpy(chosen)], *where.T), torch.from_numpy(yes), where


def weights(path: Path) -> nn.Sequential:
    """Lesson 2's net, read back from the file that it was exported to."""
    arrays = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in onnx.load(path).graph.initializer}
    network = net(SIDE * SIDE, HIDDEN, 2)
    network.load_state_dict({name.removeprefix("network."): arrays[name] for name in arrays if "network." in name})
    return network.eval()


class Scan(nn.Module):
    """Canvases [N, canvas * canvas] -> P(8) in every window, [N, windows]; boxes: each window's top, left, side."""

    def __init__(self, network: nn.Module, canvas: int):
        super().__init__()
        self.network, self.canvas = network, canvas
        boxes = []
        for s in SIDES:
            # Shrinking the canvas so that a window of s becomes 18 is shrinking each window, all at once.
            small = round(canvas * SIDE / s)
            self.register_buffer(f"shrink{s}", shrink(canvas, small))
            steps = np.arange(0, small - SIDE + 1, STRIDE) * s / SIDE
            boxes += [(top, left, s) for top in steps for left in steps]
        self.boxes = np.array(boxes)

    def windows(self, x: torch.Tensor) -> torch.Tensor:
        """[N, canvas * canvas] -> [N, windows, 324]."""
        x = x.reshape(-1, self.canvas, self.canvas)
        small = [(w @ x @ w.T)[:, None] for w in (getattr(self, f"shrink{s}") for s in SIDES)]
        return torch.cat([nn.functional.unfold(image, SIDE, stride=STRIDE) for image in small], 2).transpose(1, 2)

    @torch.inference_mode()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.network(self.windows(part)).softmax(2)[..., 0] for part in x.split(50)])


class Anywhere(nn.Module):
    """The scan as a photo model: uint8 [N, 48, 48, 3] -> [N, 1], the surest window's P(8)."""

    def __init__(self, scan: Scan):
        super().__init__()
        self.scan = scan

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = (images.float().mean(3) / 255).reshape(-1, self.scan.canvas * self.scan.canvas)
        return self.scan.network(self.scan.windows(x)).softmax(2)[..., 0].amax(1, keepdim=True)


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """The windows at or above the threshold, surest first, without those that overlap a surer one."""
    kept: list[int] = []
    for i in np.argsort(-scores):
        if scores[i] < threshold:
            break
        if not kept or overlap(boxes[i], boxes[kept]).max() < OVERLAP:
            kept.append(int(i))
    return kept


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of squares, each top, left, side; 1 where they are the same, 0 where they are apart."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2], others[:, :2] + others[:, 2:])
    shared = (high - low).clip(0).prod(1)
    return shared / (box[2] ** 2 + others[:, 2] ** 2 - shared)


def detections(boxes, scores, is_8, where, threshold: float, least: float = FOUND) -> tuple[int, int, int]:
    """boxes [windows, 3], scores [N, windows] -> 8s found, windows that are no 8, 8s missed."""
    found = wrong = 0
    for row, eight, box in zip(scores.numpy(), is_8.numpy(), where.numpy(), strict=True):
        kept = boxes[suppress(boxes, row, threshold)]
        hit = eight and len(kept) > 0 and overlap(box, kept).max() >= least
        found, wrong = found + hit, wrong + len(kept) - hit
    return int(found), int(wrong), int(is_8.sum()) - int(found)


def f1(found: int, wrong: int, missed: int) -> float:
    return 2 * found / max(2 * found + wrong + missed, 1)


@torch.inference_mode()
def seconds(scan: Scan, x: torch.Tensor) -> tuple[float, float, float]:
    """One look of the net; a picture window by window; a picture's windows as one batch. Medians over the pictures."""
    one, single, batched = [], [], []
    for picture in x.split(1):
        windows = scan.windows(picture)[0]
        one.append(timed(lambda w=windows: scan.network(w[:1])))
        single.append(timed(lambda w=windows: [scan.network(w[i : i + 1]) for i in range(len(w))]))
        batched.append(timed(lambda p=picture: scan(p)))
    return float(np.median(one)), float(np.median(single)), float(np.median(batched))


def timed(work) -> float:
    """Seconds of a core's work: the clock would also count what else the machine does."""
    start = time.process_time()
    work()
    return time.process_time() - start


def draw(scan: Scan, threshold: float, data: Path, seed: int, path: Path) -> None:
    """A canvas as it is, every window that says 8, those that remain; and the scan of a larger picture."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    boxes, is_8 = digits(data, "test")
    x, _, _ = canvases(boxes, is_8, 40, seed=[seed, 3])
    rng = np.random.default_rng(seed)
    page = torch.zeros(96, 96)
    for i in range(9):
        chosen = rng.choice((is_8 if i % 2 else ~is_8).nonzero()[:, 0].numpy())
        side = int(rng.integers(17, 28))
        top, left = ((32 * np.array(divmod(i, 3))) + rng.integers(0, 33 - side, 2)).tolist()
        page[top : top + side, left : left + side] = resize(boxes[chosen][None], side)[0]
    figure = Figure(figsize=(8, 2.9), dpi=80, layout="constrained")
    wide = Scan(scan.network, 96)
    pictures = (
        (scan, x[:1], False, "every window that says 8"),
        (scan, x[:1], True, "the surest of each place"),
        (wide, page.flatten()[None], True, "the same net on a larger page"),
    )
    for axes, (look, picture, kept, title) in zip(figure.subplots(1, 3), pictures, strict=True):
        scores = look(picture)[0].numpy()
        axes.imshow(picture.reshape(look.canvas, look.canvas), cmap="gray_r")
        for i in suppress(look.boxes, scores, threshold) if kept else (scores >= threshold).nonzero()[0]:
            top, left, side = look.boxes[i]
            axes.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, color="tab:red", linewidth=1))
        axes.set_title(title, size=9)
        axes.set(xticks=[], yticks=[])
    figure.savefig(path)
