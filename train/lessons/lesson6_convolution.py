"""Lesson 6: convolution: an 8 is an 8 wherever it is.

Idea: one small net looks at every tile of the picture, so what it learns in one place it knows in all. By hand
first, in five steps: cut the picture into overlapping tiles; feed each tile to the same small net; keep the answers
in a grid, each where its tile was; keep only the biggest of each 2x2; feed the rest to a dense net. Steps 1 to 3
are `nn.Conv2d`: the same weights give the same numbers. Then three such layers, trained with lesson 5's canvases.
Not here: colour, photographs and birds. Those are train/recipes/classic.py, which is this net with three colours.
Source: Adam Geitgey, "Machine Learning is Fun! Part 3", 2016, "The Solution is Convolution",
https://medium.com/@ageitgey/machine-learning-is-fun-part-3-deep-learning-and-convolutional-neural-networks-f40359318721
Data: lesson 5's canvases; the threshold is 0.5, not chosen; lesson 4's is its own.
Command: python -m train lesson 6

Printed: recall 0.983 (0.976 to 0.986); precision 0.977 (0.976 to 0.979); lowest recall of any move 0.983 (0.978 to
0.988); tiles against Conv2d, largest difference 1e-07 (9e-08 to 3e-07); change of the score per pixel moved, dense
0.058 (0.048 to 0.065); change of the score per pixel moved, conv 0.009 (0.008 to 0.012). On AMD EPYC, 2 cores, 1
thread, torch 2.13.0+cpu; n = 3 runs, median (lowest to highest).
"""

import csv
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from photosearch.models.session import Model
from train.export import export
from train.lessons.lesson1_house_price import fit, net, parameters
from train.lessons.lesson2_is_it_an_8 import SIDE, Photo, card, digits, measure, resize, score, target
from train.lessons.lesson3_tunnel_vision import CANVAS, MOVES, moved, pixels, place
from train.lessons.lesson5_more_data import SIZES, TEST, canvases

TITLE = "Convolution"
TILE, STEP = 8, 4  # pixels: a tile's side, and from one tile to the next
PICTURE = (32, 48)  # pixels, height and width: 7 rows of 11 tiles, 77 as in the talk
ANSWERS = 8  # numbers that the small net says of a tile
STEPS = 800  # of 128 canvases, as in lesson 5
SHOWN = 200  # canvases that are saved as PNGs, for `photosearch index`


def lesson(data: Path, models: Path, *, seed: int = 0, quick: bool = False, plot: Path | None = None) -> dict:
    """The five steps, the same by Conv2d, then the conv net against every lesson before it. Reads their files."""
    torch.manual_seed(seed)
    by_hand, difference = five_steps(data, seed)

    x, is_8 = canvases(SIZES[-2] if quick else SIZES[-1], *digits(data, "train"), seed=[seed, 0])
    network = conv_net()
    fit(network, x, target(is_8), nn.functional.cross_entropy, steps=250 if quick else STEPS, seed=seed)
    export(Photo(network, CANVAS), card("lesson6", CANVAS, f"{len(x):,} canvases"), models / "lesson6.onnx")

    test, test_is_8 = canvases(TEST, *digits(data, "test"), seed=[seed, 2])
    save(test[:SHOWN], test_is_8[:SHOWN], models / "canvases")
    files = {n: Model(models / f"lesson{n}.onnx", provider="cpu", threads=1) for n in (2, 3, 4, 5, 6)}
    before = parameters_of(models / "lesson5.onnx")
    off = {move: moved(data, move, seed)[: 50 if quick else None] for move in MOVES}
    seen = (test[:200], test_is_8[:200]) if quick else (test, test_is_8)
    rows = [compare(n, file, *seen, off) for n, file in files.items()]
    dense, conv = walk(files[5], data, seed), walk(files[6], data, seed)
    if plot:
        draw_steps(by_hand, plot / "lesson6-five-steps.png")
        draw_maps(network, test[0], plot / "lesson6-feature-maps.png")
        draw_walk(dense, conv, plot / "lesson6-translation.png")
    ours = measure(score(network, test), test_is_8)
    worst = min(found(files[6], x) for x in off.values())
    return {
        "numbers": {
            "recall": ours["recall"], "precision": ours["precision"],
            "lowest recall of any move": worst,
            "tiles against Conv2d, largest difference": difference,
            "change of the score per pixel moved, dense": float(np.abs(np.diff(dense, axis=1)).mean()),
            "change of the score per pixel moved, conv": float(np.abs(np.diff(conv, axis=1)).mean()),
        },
        "columns": ["lesson", "parameters", "precision", "recall",
                    f"recall, moved by {MOVES[0]} px", *(f"by {m}" for m in MOVES[1:]), "ms a picture"],
        "rows": rows,
        "parameters": parameters(network),
        "therefore": f"{ours['recall']:.1%} of the 8s at precision {ours['precision']:.3f}, with "
        f"{before / parameters(network):.0f} times fewer weights than lesson 5. The same net with three colours "
        "looks at birds.",
    }  # fmt: skip


def five_steps(data: Path, seed: int) -> tuple[dict, float]:
    """The talk's five steps on one 8, with weights as they come -> what each step gave; the largest difference
    between steps 1 to 3 by hand and by `nn.Conv2d` with the same weights."""
    boxes, is_8 = digits(data, "test")
    picture = torch.zeros(PICTURE)
    picture[2:30, 10:38] = resize(boxes[is_8][:1], 28)[0]
    small = net(TILE * TILE, ANSWERS, 2)[:2]  # one layer, bent at zero
    down, across = ((side - TILE) // STEP + 1 for side in PICTURE)

    tiles = []  # 1. cut the picture into overlapping tiles
    for row in range(down):
        for column in range(across):
            tiles.append(picture[row * STEP :, column * STEP :][:TILE, :TILE])
    with torch.no_grad():
        answers = [small(tile.flatten()) for tile in tiles]  # 2. feed each tile to the same small net
        grid = torch.stack(answers).reshape(down, across, ANSWERS)  # 3. keep the answers, each where its tile was
        kept = torch.stack([  # 4. keep the biggest of each 2x2
            grid[row : row + 2, column : column + 2].amax((0, 1))
            for row in range(0, down - 1, 2) for column in range(0, across - 1, 2)
        ])  # fmt: skip
        logits = net(kept.numel(), 16, 2)(kept.flatten())  # 5. feed the rest to a dense net

        convolution = nn.Conv2d(1, ANSWERS, TILE, stride=STEP)
        convolution.weight.copy_(small[0].weight.reshape(ANSWERS, 1, TILE, TILE))
        convolution.bias.copy_(small[0].bias)
        same = convolution(picture[None, None]).relu()[0].permute(1, 2, 0)
    difference = (grid - same).abs().max().item()
    return {"picture": picture, "tiles": tiles, "grid": grid, "kept": kept, "logits": logits}, difference


def conv_net() -> nn.Sequential:
    """Three times convolution and the biggest of each 2x2, then a dense net: [N, 48 * 48] -> logits [N, 2]."""
    return nn.Sequential(
        nn.Unflatten(1, (1, CANVAS, CANVAS)),
        *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        *net(32 * (CANVAS // 8) ** 2, 64, 2),
    )


def compare(n: int, file: Model, test: torch.Tensor, is_8: torch.Tensor, off: dict[int, torch.Tensor]) -> list[str]:
    """One lesson's file on lesson 5's test canvases, and on lesson 3's 8s by the pixels they were moved."""
    start = time.process_time()  # a core's work: the clock would also count what else the machine does
    scores = asked(file, test)
    milliseconds = (time.process_time() - start) * 1e3 / len(test)
    numbers = measure(torch.from_numpy(scores), is_8, file.card.threshold("8"))
    told = (numbers["precision"], numbers["recall"], *(found(file, x) for x in off.values()))
    return [str(n), f"{parameters_of(file.path):,}", *(f"{v:.3f}" for v in told), f"{milliseconds:.3f}"]


def asked(file: Model, x: torch.Tensor) -> np.ndarray:
    """Canvases [N, 48 * 48] -> P(8), [N]. Lesson 2's net sees only 18x18: the middle, as in lesson 3."""
    x = x.reshape(-1, CANVAS, CANVAS)
    images = pixels(resize(x[:, 14:34, 14:34], SIDE) if file.card.input_size == SIDE else x)
    return np.concatenate([file.score(part)[:, 0] for part in np.array_split(images, max(len(images) // 50, 1))])


def found(file: Model, eights: torch.Tensor) -> float:
    return float((asked(file, eights) >= file.card.threshold("8")).mean())


def parameters_of(path: Path) -> int:
    """The weights in a lesson's file. Lesson 4 scans with lesson 2's; its own file holds the scan too."""
    import onnx

    path = path.with_name(path.name.replace("4", "2"))
    return sum(int(np.prod(t.dims)) for t in onnx.load(path).graph.initializer if t.name.startswith("network."))


def walk(file: Model, data: Path, seed: int) -> np.ndarray:
    """P(8) of 50 8s as each moves from the left border to the right one, a pixel a step: [50, 29]."""
    boxes, is_8 = digits(data, "test")
    chosen = np.random.default_rng([seed, 7]).choice(is_8.nonzero()[:, 0].numpy(), 50, replace=False)
    side, top = torch.full((50,), 20), torch.full((50,), 14)
    lefts = [torch.full((50,), left) for left in range(CANVAS - 20 + 1)]
    return np.stack([asked(file, place(boxes[torch.from_numpy(chosen)], top, left, side)) for left in lefts], 1)


def save(x: torch.Tensor, is_8: torch.Tensor, folder: Path) -> None:
    """Canvases as PNGs and truth.csv, for `photosearch index`, `find 8`, `truth import` and `report`."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "truth.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "present"])
        for i, (image, eight) in enumerate(zip(pixels(x.reshape(-1, CANVAS, CANVAS)), is_8.tolist(), strict=True)):
            name = f"{'8' if eight else 'other'}-{i:03}.png"
            Image.fromarray(image).save(folder / name)
            rows.writerow([name, "8", int(eight)])


def draw_steps(step: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), dpi=80, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.15))
    down, across = step["grid"].shape[:2]
    left.suptitle(f"1. {len(step['tiles'])} overlapping tiles", size=9)
    for axes, tile in zip(left.subplots(down, across).flat, step["tiles"], strict=True):
        axes.imshow(tile, cmap="gray_r", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
    pictures = right.subplots(2, 2)
    kept = step["kept"].reshape(down // 2, across // 2, ANSWERS)
    titles = ("the picture", "2., 3. one answer, in its grid", "4. the biggest of each 2x2",
              "5. two outputs, weights as they come")  # fmt: skip
    busiest = int(step["grid"].std((0, 1)).argmax())
    images = (step["picture"], step["grid"][..., busiest], kept[..., busiest], step["logits"][None])
    for axes, image, title in zip(pictures.flat, images, titles, strict=True):
        axes.imshow(image, cmap="gray_r")
        axes.set_title(title, size=8)
        axes.set(xticks=[], yticks=[])
    figure.savefig(path)


def draw_maps(network: nn.Sequential, canvas: torch.Tensor, path: Path) -> None:
    """What the taught net's three layers see of one canvas, eight maps of each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.9), dpi=80, layout="constrained")
    x, maps = canvas[None], []
    with torch.no_grad():
        for layer in network[:10]:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x[0])
    for line, (row, layer) in enumerate(zip(figure.subplots(3, 8), maps, strict=True)):
        for axes, one in zip(row, layer[layer.amax((1, 2)).argsort(descending=True)[:8]], strict=True):
            axes.imshow(one, cmap="gray_r")
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(f"layer {line + 1}\n{layer.shape[1]}x{layer.shape[2]}", size=8)
    figure.savefig(path)


def draw_walk(dense: np.ndarray, conv: np.ndarray, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), dpi=80, layout="constrained")
    axes = figure.subplots()
    for scores, name, colour in ((dense, "dense, lesson 5", "tab:orange"), (conv, "conv, lesson 6", "tab:blue")):
        axes.plot(scores.mean(0), color=colour, label=f"{name}: mean of 50 8s")
        axes.plot(scores[np.ptp(dense, axis=1).argsort()[-5:]].T, color=colour, alpha=0.5, linewidth=0.8)
    axes.set(xlabel="left edge of the 8, pixels", ylabel="P(8)", ylim=(-0.02, 1.02))
    axes.set_title("thin lines: the five 8s that make the dense net waver most", size=9)
    axes.legend(fontsize=8)
    figure.savefig(path)
