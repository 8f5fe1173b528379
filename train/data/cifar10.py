"""CIFAR-10, binary version: 60,000 pictures of 32x32, ten classes, 6,000 of each; one of them is `bird`.

Source: Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html. A record is one byte of target and 3,072 bytes of pixels: 1,024 red,
1,024 green, 1,024 blue, row by row. Official split: five training batches and one of test, 10,000 pictures each.
Ours: the fifth training batch is the validation part. The first picture of the test batch is a cat.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError
from train.data import need

NAME = "cifar-10"
FOLDER = "cifar-10-batches-bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BIRD = CLASSES.index("bird")
PARTS = {
    "train": ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4"),
    "validation": ("data_batch_5",),
    "test": ("test_batch",),
}
RECORD = 1 + 3 * 32 * 32  # bytes


def load(data: str | Path, part: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """part: train, validation or test. -> images uint8 [N, 32, 32, 3] RGB, targets uint8 [N] in 0..9. InputError."""
    folder = need(Path(data) / FOLDER, NAME)
    records = np.concatenate([_records(need(folder / f"{name}.bin", NAME)) for name in PARTS[part]])
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0].copy()


def _records(path: Path) -> npt.NDArray[np.uint8]:
    values = np.fromfile(path, np.uint8)
    if len(values) == 0 or len(values) % RECORD:
        raise InputError(f"{path}: {len(values):,} bytes, not a multiple of {RECORD:,}; fetch {NAME} again")
    records = values.reshape(-1, RECORD)
    if records[:, 0].max() >= len(CLASSES):
        raise InputError(
            f"{path}: contains a target above 9, so it is not CIFAR-10's binary version; fetch {NAME} again"
        )
    return records
