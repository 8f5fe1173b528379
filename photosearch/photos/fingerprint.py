"""A picture's fingerprint: 64 bits that stay nearly the same when it is resized, re-encoded or brightened a little.

The signs of the lowest frequencies of a 32 x 32 grey copy. Zauner, "Implementation and benchmarking of perceptual image
hash functions" (2010); C. Buchner's and J. Buchner's imagehash computes the same kind. It sees shapes, not things: a
crop by a tenth is another picture to it, and so is a mirrored one. `python -m benchmarks duplicates` shows how far.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE, LOW = 32, 8
PLAIN = 0  # the fingerprint of a picture in which nothing can be told apart: a wall, a black frame
LEAST = 2.0  # grey levels of 255: the coefficients' mean size, below which a picture is plain


def fingerprint(image: Image.Image) -> int:
    """64 bits as a Python int, 0 <= it < 2**64; compare two by the number of bits in which they differ.

    image: upright, any mode; the smaller, the faster, from 64 x 64 on. Strangers differ in about 32 bits, a photo and
    its JPEG of quality 30 in 0 to 4. A white picture gives PLAIN, which says nothing and is to be compared with none.
    """
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    low = (DCT @ np.asarray(grey, np.float32) @ DCT.T).reshape(-1)[1:]  # without the mean grey
    if np.abs(low).mean() < LEAST:
        return PLAIN
    bits = np.append(low > np.median(low), True)  # the last is always 1: no picture but a plain one gives PLAIN
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _make_dct() -> npt.NDArray[np.float32]:
    """The orthonormal DCT-II's first rows: [LOW, SIDE]."""
    rows, columns = np.arange(LOW)[:, None], np.arange(SIDE)[None]
    waves = np.cos(np.pi * rows * (2 * columns + 1) / (2 * SIDE)) * np.sqrt(2 / SIDE)
    waves[0] /= np.sqrt(2)
    rows_of_dct: npt.NDArray[np.float32] = waves.astype(np.float32)
    return rows_of_dct


DCT = _make_dct()
