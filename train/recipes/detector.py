"""A teacher: YOLOX-Nano looks for COCO's 80 things, so that pictures which nobody described can be learned from.

Zheng Ge et al., "YOLOX: Exceeding YOLO Series in 2021", 2021; yolox_nano.onnx, Apache-2.0, 3,660,092 bytes, put at
DIR/yolox/yolox_nano.onnx. It reads 416x416 pixels, BGR, 0..255, the picture in the upper left and grey below it, and
returns for each of 3,549 cells: centre, logarithms of width and height, both in cells, the chance of any thing, and the
chance of each. It is not shipped.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from train.atomic import replacing
from train.data import need
from train.export import open_session
from train.prefetch import load_batches

FILE = "yolox/yolox_nano.onnx"
HINT = "put yolox_nano.onnx there (Kazuhito00/YOLOX-ONNX-TFLite-Sample on GitHub), then use --data DIR"
SIZE, STRIDES, GREY = 416, (8, 16, 32), 114
MIN_BOX = 0.25  # score of a box that is kept
OVERLAP = 0.45  # intersection over union of two boxes of one thing
MAX_BOXES = 40  # of one thing in a picture
THINGS = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, "
    "broccoli, carrot, hot dog, pizza, doughnut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, "
    "laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, "
    "scissors, teddy bear, hair drier, toothbrush"
).split(", ")


@dataclass(frozen=True, slots=True)
class Looks:
    """best [N, 80]: each thing's highest score. boxes [B, 4]: picture, thing, score, area as a share of the picture."""

    best: npt.NDArray[np.float32]
    boxes: npt.NDArray[np.float32]

    def count(self, thing: int, at_least: float) -> npt.NDArray[np.int64]:
        """How many boxes of a thing each picture has."""
        rows = self.boxes[(self.boxes[:, 1] == thing) & (self.boxes[:, 2] > at_least), 0]
        return np.bincount(rows.astype(int), minlength=len(self.best))


def look(paths: Sequence[Path], data: str | Path, cache: Path) -> Looks:
    """What the teacher sees on each picture, cached on disk. Raises InputError."""
    file = need(Path(data) / FILE, "yolox", HINT)
    key = hashlib.sha256(file.read_bytes() + repr([str(p) for p in paths]).encode()).hexdigest()[:16]
    cached = cache / f"things-{key}.npz"
    if not cached.exists():
        session = open_session(file.read_bytes())
        best, boxes = np.empty((len(paths), len(THINGS)), np.float32), []
        for n, (image,) in enumerate(load_batches(paths, _prepare, 1, ahead=8, threads=1)):
            pixels = image[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
            (cells,) = session.run(None, {"images": pixels})
            best[n], found = read_cells(cells[0])
            boxes += [(n, *box) for box in found]
        with replacing(cached) as temporary, temporary.open("wb") as out:
            np.savez(out, best=best.astype(np.float16), boxes=np.array(boxes, np.float32).reshape(-1, 4))
    arrays = np.load(cached)
    return Looks(arrays["best"].astype(np.float32), arrays["boxes"])


def read_cells(cells: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], list[tuple[int, float, float]]]:
    """[3549, 85] -> each thing's highest score [80]; and its boxes: thing, score, area."""
    scores = cells[:, 4:5] * cells[:, 5:]
    corners = _place_boxes(cells)
    found = []
    for thing in np.flatnonzero(scores.max(0) > MIN_BOX):
        rows = np.flatnonzero(scores[:, thing] > MIN_BOX)
        for i in choose_boxes(corners[rows], scores[rows, thing])[:MAX_BOXES]:
            x1, y1, x2, y2 = corners[rows[i]] / SIZE
            found.append((int(thing), float(scores[rows[i], thing]), float((x2 - x1) * (y2 - y1))))
    return scores.max(0), found


def choose_boxes(corners: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]) -> list[int]:
    """corners [N, 4]: left, top, right, bottom. Of boxes that overlap, the best (non-maximum suppression)."""
    order, chosen = list(np.argsort(-scores)), []
    areas = (corners[:, 2:] - corners[:, :2]).prod(1)
    while order:
        best, rest = order[0], np.array(order[1:], int)
        chosen.append(int(best))
        sides = np.minimum(corners[best, 2:], corners[rest, 2:]) - np.maximum(corners[best, :2], corners[rest, :2])
        shared = sides.clip(min=0).prod(1)
        order = list(rest[shared <= OVERLAP * (areas[best] + areas[rest] - shared)])
    return chosen


def _place_boxes(cells: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    grids = [np.mgrid[: SIZE // s, : SIZE // s][::-1].reshape(2, -1).T for s in STRIDES]
    strides = np.repeat(STRIDES, [len(g) for g in grids])[:, None]
    centres, sides = (cells[:, :2] + np.concatenate(grids)) * strides, np.exp(cells[:, 2:4]) * strides
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)


def _prepare(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        scale = SIZE / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        pixels = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
    whole = np.full((SIZE, SIZE, 3), GREY, np.uint8)
    whole[:height, :width] = pixels
    return whole
