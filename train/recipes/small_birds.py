"""How to find a small bird in one pass: the classifier read at windows of a larger picture's feature map, or tiles.

The classifier is linear, and the features are a mean over the places of the last feature map. So it can be read at
the mean over any window of that map: the talk's sliding window, as the convolution that it became; the largest of all
windows is kept, as the talk's max-pooling does. Tiles are the same network again for each part of the photo. Judged on
scenes that are composed of the validation parts (train/data/scenes.py) and that no test part knows of, the backbone
untouched, in float32, nothing calibrated: what is compared is the order of the scenes.

    python -m train.recipes.small_birds --data DIR --birds 50

Writes docs/measured/sight/small-birds.json: average precision, recall at a precision, core-milliseconds of the network.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special
import torch
from torch import nn

from train.data import scenes
from train.networks import untouched
from train.recipes import frozen, labels, sight
from train.recipes.sight_report import write
from train.tool import decode

BACKBONE, WHOLE, LARGER = "lite2", 260, (384, 512)  # pixels
WINDOWS = (9, 6, 4)  # places on a side, of 12 at 384 pixels and 16 at 512
TILES = 4
SEED = 7
PRECISIONS = (0.8, 0.9, 0.95)

Chances = npt.NDArray[np.float64]


class FeatureMap(nn.Module):
    """uint8 [N, S, S, 3] -> [N, 1280, S / 32, S / 32]: what `untouched.Lite` takes the mean of."""

    def __init__(self) -> None:
        super().__init__()
        self.network = untouched.Lite(BACKBONE).eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.stages((images.permute(0, 3, 1, 2).float() - untouched.MEAN) / untouched.SCALE)


class Reader:
    """Sessions at each size, how long they ran, and the chance of a bird in features."""

    def __init__(self) -> None:
        network = FeatureMap().eval()
        self._sessions = {
            size: frozen.open_network(untouched.trace(network, {"images": _blank(size)}, ["map"]))
            for size in (WHOLE, *LARGER)
        }
        self._weight, self._bias = sight.classifier(BACKBONE)
        self._birds = sorted(labels.classes_below(labels.read(sight.TABLES)[0])["bird"])
        self.seconds: dict[str, float] = defaultdict(float)

    def look(self, images: npt.NDArray[np.uint8], what: str) -> npt.NDArray[np.float32]:
        """The feature maps of square images of one size. what: whose time it is."""
        started = time.process_time()
        (maps,) = self._sessions[images.shape[1]].run(None, {"images": images})
        self.seconds[what] += time.process_time() - started
        return maps

    def chance(self, features: npt.NDArray[np.float32]) -> Chances:
        """[N, 1280] -> [N]: the sum over the classes of birds."""
        classes = scipy.special.softmax((features @ self._weight.T + self._bias).astype(np.float64), axis=1)
        return classes[:, self._birds].sum(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.recipes.small_birds")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--birds", default=50, type=int, help="scenes with a small bird, and as many without")
    parser.add_argument("--to", type=Path, default=Path("docs/measured/sight/small-birds.json"))
    args = parser.parse_args()
    recipes = scenes.compose_small(args.data, "validation", args.birds, SEED)
    truth = np.array([r.bird for r in recipes])
    reader = Reader()
    found: dict[str, list[float]] = defaultdict(list)
    for recipe in recipes:
        for way, chance in see(scenes.read_content(recipe), reader).items():
            found[way].append(chance)
    rows = [judge(way, np.array(chances), truth) for way, chances in found.items()]
    cost = {what: round(1000 * seconds / len(recipes), 1) for what, seconds in reader.seconds.items()}
    write({"on": "small-birds, validation", "scenes": len(recipes), "birds": int(truth.sum()), "seed": SEED,
           "core_ms_a_photo": cost, "rows": rows}, args.to)  # fmt: skip


def see(content: bytes, reader: Reader) -> Mapping[str, float]:
    """Way of looking -> chance of a bird, of one photo's bytes."""
    needs = [decode.Need(WHOLE, "squash", TILES), *(decode.Need(size) for size in LARGER)]
    tiled, *larger = decode.decode(content, needs).views
    found = {f"whole at {WHOLE}": reader.chance(reader.look(tiled[:1], f"whole at {WHOLE}").mean((2, 3)))[0]}
    found[f"{TILES} tiles"] = reader.chance(reader.look(tiled[1:], f"{TILES} tiles").mean((2, 3))).max()
    for size, view in zip(LARGER, larger, strict=True):
        (places,) = reader.look(view, f"one pass at {size}")
        found[f"whole at {size}"] = reader.chance(places.mean((1, 2))[None])[0]
        for side in WINDOWS:
            found[f"windows of {side}x{side} at {size}"] = reader.chance(windows(places, side)).max()
    return found


def windows(places: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """A feature map [F, H, W] -> the means over all its windows of side x side, [windows, F]."""
    sums = np.pad(places, ((0, 0), (1, 0), (1, 0))).cumsum(1, dtype=np.float64).cumsum(2)
    means = sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side] + sums[:, :-side, :-side]
    return (means / side**2).reshape(len(places), -1).T.astype(np.float32)


def judge(way: str, chances: Chances, truth: npt.NDArray[np.bool_]) -> dict[str, Any]:
    order = np.argsort(-chances, kind="stable")
    hits = np.cumsum(truth[order])
    precision, recall = hits / np.arange(1, len(order) + 1), hits / truth.sum()
    return {
        "way": way,
        "average_precision": round(sight.average_precision(truth, chances) or 0.0, 4),
        "recall_at_precision": {str(p): round(float(recall[precision >= p].max(initial=0)), 4) for p in PRECISIONS},
    }


def _blank(size: int) -> torch.Tensor:
    return torch.zeros(2, size, size, 3, dtype=torch.uint8)


if __name__ == "__main__":
    main()
