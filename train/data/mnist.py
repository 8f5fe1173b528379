"""MNIST: 70,000 handwritten digits of 28x28, grey; 60,000 of training and 10,000 of test.

Source: Yann LeCun, Corinna Cortes, Christopher Burges, "The MNIST database of handwritten digits", 1998. Four files
in the IDX format, which opens with two zero bytes, the type (8: unsigned byte), the number of dimensions, and each
dimension as four bytes, the high byte first. The first training picture is a 5.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError
from train.data import need

NAME = "mnist"
FOLDER = "MNIST/raw"
PARTS = {"train": "train", "test": "t10k"}


def load(data: str | Path, part: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """part: train or test. -> images uint8 [N, 28, 28], ink 255 and paper 0; targets uint8 [N] in 0..9."""
    folder = need(Path(data) / FOLDER, NAME)
    images = _idx(folder / f"{PARTS[part]}-images-idx3-ubyte", 3)
    targets = _idx(folder / f"{PARTS[part]}-labels-idx1-ubyte", 1)
    if len(images) != len(targets):
        raise InputError(f"{folder}: {len(images):,} pictures and {len(targets):,} labels; fetch {NAME} again")
    return images, targets


def _idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """`path` itself, or `path`.gz."""
    packed = path.with_name(f"{path.name}.gz")
    path = path if path.exists() else need(packed, NAME)
    try:
        data = gzip.decompress(path.read_bytes()) if path == packed else path.read_bytes()
    except (OSError, EOFError, zlib.error):
        raise InputError(f"{path}: can't be unpacked; fetch {NAME} again") from None
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) < 4 + 4 * dimensions:
        raise InputError(f"{path}: not an IDX file of bytes in {dimensions} dimensions; fetch {NAME} again")
    shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions)
    if len(values) != np.prod(shape, dtype=np.int64):
        raise InputError(f"{path}: declares the shape {shape} but has {len(values):,} bytes; fetch {NAME} again")
    return values.reshape(shape).copy()
