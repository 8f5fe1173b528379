"""Two ways to find a small bird: ImageNet's classifier at windows of a larger picture's feature map, or tiles.

    python -m train small-birds --data DIR --birds 50

The classifier is linear and the features are a mean over the last feature map, so the classifier can be applied to the
mean over any window of that map: the talk's sliding window, as a convolution. The maximum over all windows counts, as
in the talk's max-pooling. Tiles run the network again for each part of the photo. Compared on scenes composed of the
validation parts (train/data/scenes.py) by the order of their scores: the backbone is pretrained, in float32, and not
calibrated.

Writes docs/measured/sight/small-birds.json: average precision, recall at a precision, core-milliseconds of the network.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from train import figures
from train.atomic import write_json
from train.data import scenes
from train.export import blank_images, open_session, trace
from train.networks.lite import Pretrained
from train.recipes import sight, vocabulary
from train.tool import decode

BACKBONE, WHOLE, LARGER = "lite2", 260, (384, 512)  # pixels
WINDOWS = (9, 6, 4)  # places per side, of 12 at 384 pixels and 16 at 512
TILES = 4
SEED = 7
PRECISIONS = (0.8, 0.9, 0.95)


class FeatureMap(nn.Module):
    """uint8 [N, S, S, 3] -> [N, 1280, S / 32, S / 32]."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Pretrained(BACKBONE).eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.compute_map(images)


class Scorer:
    """The network at each size, its run time, and the probability of a bird."""

    def __init__(self) -> None:
        network = FeatureMap().eval()
        self._sessions = {size: open_session(trace(network, blank_images(size), ["map"])) for size in (WHOLE, *LARGER)}
        self._classifier = sight.read_classifier(BACKBONE)
        self._birds = sorted(vocabulary.list_classes(vocabulary.read(sight.TABLES)[0])["bird"])
        self.seconds: dict[str, float] = defaultdict(float)

    def compute_maps(self, images: npt.NDArray[np.uint8], task: str) -> npt.NDArray[np.float32]:
        """The feature maps of square images of one size. task: to which the time is added."""
        start = time.process_time()
        (maps,) = self._sessions[images.shape[1]].run(None, {"images": images})
        self.seconds[task] += time.process_time() - start
        return maps

    def score(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """[N, 1280] -> [N]: the sum over the bird classes."""
        return sight.compute_probabilities(features, *self._classifier)[:, self._birds].sum(1)


def write(data: Path, birds: int, to: Path) -> None:
    """Compare all ways on `birds` scenes with a small bird and as many without."""
    views = scenes.compose_small(data, "validation", birds, SEED)
    truth = np.array([v.bird for v in views])
    scorer = Scorer()
    scores: dict[str, list[float]] = defaultdict(list)
    for view in views:
        for way, score in score_photo(scenes.read_content(view), scorer).items():
            scores[way].append(score)
    cost = {task: round(1000 * seconds / len(views), 1) for task, seconds in scorer.seconds.items()}
    write_json(to, {
        "on": "small-birds, validation", "scenes": len(views), "birds": int(truth.sum()), "seed": SEED,
        "core_ms_a_photo": cost, "rows": [make_row(way, np.array(s), truth) for way, s in scores.items()],
    })  # fmt: skip


def score_photo(content: bytes, scorer: Scorer) -> Mapping[str, float]:
    """Way of looking -> probability of a bird, for the bytes of one photo."""
    needs = [decode.ViewSpec(WHOLE, "squash", TILES), *(decode.ViewSpec(size) for size in LARGER)]
    tiled, *larger = decode.decode(content, needs).views
    scores = {
        f"whole at {WHOLE}": scorer.score(scorer.compute_maps(tiled[:1], f"whole at {WHOLE}").mean((2, 3)))[0],
        f"{TILES} tiles": scorer.score(scorer.compute_maps(tiled[1:], f"{TILES} tiles").mean((2, 3))).max(),
    }
    for size, view in zip(LARGER, larger, strict=True):
        (places,) = scorer.compute_maps(view, f"one pass at {size}")
        scores[f"whole at {size}"] = scorer.score(places.mean((1, 2))[None])[0]
        for side in WINDOWS:
            scores[f"windows of {side}x{side} at {size}"] = scorer.score(average_windows(places, side)).max()
    return scores


def average_windows(places: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """A feature map [F, H, W] -> the means over all its windows of side x side, [windows, F]."""
    sums = np.pad(places, ((0, 0), (1, 0), (1, 0))).cumsum(1, dtype=np.float64).cumsum(2)
    means = sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side] + sums[:, :-side, :-side]
    return (means / side**2).reshape(len(places), -1).T.astype(np.float32)


def make_row(way: str, scores: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> dict[str, Any]:
    recall = figures.recall_at_precision(scores, truth, PRECISIONS)
    return {
        "way": way,
        "average_precision": round(figures.average_precision(scores, truth) or 0.0, 4),
        "recall_at_precision": {precision: round(value, 4) for precision, value in recall.items()},
    }
