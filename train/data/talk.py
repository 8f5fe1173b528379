"""The talk's pictures: CIFAR-10 and CUB-200-2011, at 32x32 pixels.

The test part follows the talk as far as the data allow: CIFAR-10's 10,000 test pictures and the first 5,000 of CUB's
official test part. CUB's birds fill the frame and no CUB picture lacks a bird, which inflates the figures: CIFAR-10's
part is always reported as well.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from train.data import cifar10, cub, tiny_imagenet

SOURCES = ("cifar-10", "cub", "tiny-imagenet")
CUB_TEST = 5_000  # pictures of CUB in the talk's test set, the first of CUB's test part
MIX = (10_000, 3_647)  # CIFAR-10's and CUB's pictures in the test part of an incomplete CUB; a complete one has 5,000
TRAINED_ON = "CIFAR-10, training batches 1 to 4; CUB-200-2011, seven eighths of the official training part"
TRAINED_ON_ALL = "CIFAR-10, all five training batches; CUB-200-2011, the whole official training part"
VALIDATED_ON = "CIFAR-10, training batch 5; CUB-200-2011, an eighth of the official training part"
LICENCE = (
    "CIFAR-10 (Krizhevsky 2009) names no licence; CUB-200-2011 (Wah et al. 2011) is for non-commercial research "
    "and education, and its photographs belong to their photographers. The network was trained on both."
)


@dataclass(frozen=True, slots=True)
class Pictures:
    """images: uint8 [N, 32, 32, 3]. targets: uint8 [N], CIFAR-10's. source: uint8 [N], the place in SOURCES."""

    images: npt.NDArray[np.uint8]
    targets: npt.NDArray[np.uint8]
    source: npt.NDArray[np.uint8]

    @property
    def birds(self) -> npt.NDArray[np.bool_]:
        return self.targets == cifar10.BIRD

    def part(self, name: str) -> npt.NDArray[np.bool_]:
        """A mask of the pictures of a part: `whole`, or one of SOURCES."""
        return np.ones(len(self.source), bool) if name == "whole" else self.source == SOURCES.index(name)

    def weights(self) -> npt.NDArray[np.float64]:
        """Of each picture, so that CIFAR-10 and CUB have the same proportions as in the test part."""
        counts = np.bincount(self.source, minlength=2)
        return (np.array(MIX) / np.maximum(counts, 1))[self.source]


def load(data: Path, part: str, *, extra: bool = False) -> Pictures:
    """part: train, validation or test. extra: the birds of tiny-imagenet as well. Raises InputError."""
    images, targets = cifar10.load(data, part)
    birds = cub.load(data, part)
    if part == "test":
        birds = birds[:CUB_TEST]
    more = [p for p in tiny_imagenet.pictures(data) if p.bird and p.part == part] if extra else []
    return Pictures(
        np.concatenate([images, birds, cub.pixels((p.path for p in more), 32)]),
        np.concatenate([targets, np.full(len(birds) + len(more), cifar10.BIRD, np.uint8)]),
        np.repeat(np.arange(3, dtype=np.uint8), [len(images), len(birds), len(more)]),
    )


def join(one: Pictures, other: Pictures) -> Pictures:
    return Pictures(*(np.concatenate([getattr(one, f.name), getattr(other, f.name)]) for f in fields(Pictures)))
