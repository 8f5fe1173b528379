"""Test images in every format, and the difference between two."""

import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from photosearch.photos.decode import Unreadable, ViewSpec, decode

pillow_heif.register_heif_opener()  # to write HEIC here; the tool registers it for itself

T = Image.Transpose
# A camera held so writes the upright scene turned by this: the inverse of what a viewer must do.
HELD = {
    1: None, 2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM,
    5: T.TRANSPOSE, 6: T.ROTATE_90, 7: T.TRANSVERSE, 8: T.ROTATE_270,
}  # fmt: skip
WRITTEN = {
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "progressive.jpg": {"format": "JPEG", "quality": 95, "subsampling": 0, "progressive": True},
    "mpo": {"format": "MPO", "quality": 95, "subsampling": 0},
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "lossless": True},
    "gif": {"format": "GIF"},
    "tif": {"format": "TIFF"},
    "lzw.tif": {"format": "TIFF", "compression": "tiff_lzw"},
    "jpeg.tif": {"format": "TIFF", "compression": "jpeg", "quality": 95},
    "bmp": {"format": "BMP"},
    "avif": {"format": "AVIF", "quality": 95, "subsampling": "4:4:4"},
    "heic": {"format": "HEIF", "quality": 95, "chroma": 444},
}


def scene(size: tuple[int, int] = (160, 96)) -> Image.Image:
    """Upright: red and green above, blue and white below. No two of its eight turns look the same."""
    image = Image.new("RGB", size, (255, 255, 255))
    w, h = size
    image.paste((220, 20, 20), (0, 0, w // 2, h // 2))
    image.paste((20, 200, 20), (w // 2, 0, w, h // 2))
    image.paste((20, 20, 220), (0, h // 2, w // 2, h))
    return image


def encoded(image: Image.Image, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, **how)
    return file.getvalue()


def exif(**tags: object) -> bytes:
    """EXIF with these tags; original: DateTimeOriginal, which lies in a directory of its own."""
    block = Image.Exif()
    block.update({{"orientation": 0x0112, "date": 0x0132}[k]: v for k, v in tags.items() if k != "original"})
    if "original" in tags:
        block.get_ifd(0x8769)[0x9003] = tags["original"]
    return block.tobytes()


def far(a: np.ndarray, b: np.ndarray) -> float:
    """How far two pictures are apart: the mean difference, 0 to 255. Lossy formats stay below 4."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def reason(data: bytes, **options: object) -> str:
    """Why these bytes can't be opened."""
    with pytest.raises(Unreadable) as error:
        decode(data, [ViewSpec(8)], **options)
    assert not error.value.transient
    return error.value.reason
