"""CUB-200-2011: 11,788 photographs of birds, 200 species, with boxes around the birds and an official split.

Source: Catherine Wah, Steve Branson, Peter Welinder, Pietro Perona, Serge Belongie, "The Caltech-UCSD Birds-200-2011
Dataset", 2011, https://www.vision.caltech.edu/datasets/cub_200_2011/. No picture lacks a bird, and most birds fill
the frame. Official split: 5,994 for training and 5,794 for test. Ours: an eighth of the official training part, chosen
by a hash of the picture's file name, is the validation part; adding or removing pictures moves no other one.
"""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError
from train.data import need
from train.tool import decode, prepare_file

NAME = "cub"
FOLDER = "CUB_200_2011"
VALIDATION = 8  # one of 8 pictures of the official training part


@dataclass(frozen=True, slots=True)
class Bird:
    """One picture. id: the publisher's, from 1. species: 1 to 200. box: left, top, width, height in pixels.

    part: train, validation or test.
    """

    id: int
    path: Path
    species: int
    box: tuple[float, float, float, float]
    part: str


def birds(data: str | Path) -> list[Bird]:
    """All pictures of the folder's lists, by id. Raises InputError."""
    folder = need(Path(data) / FOLDER, NAME)
    species, boxes, split = (
        dict(_lines(folder / f"{name}.txt")) for name in ("image_class_labels", "bounding_boxes", "train_test_split")
    )
    try:
        found = [
            Bird(int(i), folder / "images" / name, int(species[i]), _box(boxes[i]), _part(name, split[i]))
            for i, name in _lines(folder / "images.txt")
        ]
    except (KeyError, ValueError) as error:
        raise InputError(f"{folder}: its lists don't agree ({error}); fetch {NAME} again") from None
    return sorted(found, key=lambda bird: bird.id)


def load(data: str | Path, part: str, size: int = 32) -> npt.NDArray[np.uint8]:
    """part: train, validation or test. -> uint8 [N, size, size, 3], squashed as in search, by id. Raises InputError."""
    return pixels((bird.path for bird in birds(data) if bird.part == part), size)


def pixels(paths: Iterable[Path], size: int) -> npt.NDArray[np.uint8]:
    """Whole photos -> uint8 [N, size, size, 3], squashed as in search. Raises InputError."""

    def one(path: Path) -> npt.NDArray[np.uint8]:
        try:
            return prepare_file(path, size)[0]
        except decode.Unreadable as error:
            raise InputError(f"{path}: {error.reason}; fetch the data set again") from None

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(one, paths))
    return np.stack(found) if found else np.empty((0, size, size, 3), np.uint8)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for line in need(path, NAME).read_text(encoding="utf-8").splitlines():
        number, _, rest = line.partition(" ")
        yield number, rest


def _box(text: str) -> tuple[float, float, float, float]:
    left, top, width, height = map(float, text.split())
    return left, top, width, height


def _part(name: str, training: str) -> str:
    if training == "0":
        return "test"
    file_name = name.rpartition("/")[2]
    return "train" if hashlib.sha256(file_name.encode()).digest()[0] % VALIDATION else "validation"
