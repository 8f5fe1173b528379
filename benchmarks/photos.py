"""Folders of photos to measure with, made from a seed: same seed, same photos.

A 12-megapixel photo is like a phone's: a scene that fills the frame, of real pictures where a data set is at hand,
sensor noise, JPEG at quality 90, about 2.6 MB; every other one is rotated by EXIF. Noise sets the cost of entropy
decoding, so nothing here is smoother than a real photo. There are few scenes and many photos: a photo is a scene with
its own number in a comment, since photosearch would recognise a copy by its content and skip it.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

EXIF_DATE, EXIF_ORIENTATION = 0x0132, 0x0112
PICTURES = ("101_ObjectCategories/*/*.jpg", "CUB_200_2011/images/*/*.jpg")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of photo. size: width and height in pixels. noise: standard deviation of a pixel, of 255.

    thumbnail: the longer side of the one that a HEIC carries; 0: none.
    """

    format: str
    size: tuple[int, int]
    quality: int = 90
    scenes: int = 12
    noise: float = 6.0
    thumbnail: int = 0


KINDS = {
    "12mp": Kind("JPEG", (4000, 3000)),
    "48mp": Kind("JPEG", (8000, 6000), scenes=3),
    "small": Kind("JPEG", (640, 480), scenes=40),
    "tiny": Kind("JPEG", (320, 240), quality=75, scenes=100, noise=3.0),
    "png": Kind("PNG", (1600, 1200), scenes=4),
    "heic": Kind("HEIF", (4000, 3000), quality=60, scenes=2),
    "heic-thumbnail": Kind("HEIF", (4000, 3000), quality=60, scenes=2, thumbnail=320),  # as phones write it
}


def write_photos(
    to: Path, kind: str, n: int, *, data: Path | None = None, seed: int = 1, per_folder: int = 1000
) -> Path:
    """n different photos of one kind in to/kind-n, in folders of a thousand. What is there already is kept."""
    folder = to / f"{kind}-{n}"
    if (folder / "complete").exists():
        return folder
    scenes = draw_scenes(KINDS[kind], data, np.random.default_rng([seed, *kind.encode()]), n)
    for i in range(n):
        path = folder / f"{i // per_folder:04d}" / f"IMG_{i:06d}.{_extension(kind)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number_photo(scenes[i % len(scenes)], i))
    (folder / "complete").touch()
    return folder


def number_photo(photo: bytes, number: int) -> bytes:
    """The same picture in other bytes: a comment in a JPEG, a text chunk in a PNG, a free box in a HEIC."""
    text = b"photo %d" % number
    if photo[:2] == b"\xff\xd8":
        return b"\xff\xd8\xff\xfe" + struct.pack(">H", len(text) + 2) + text + photo[2:]
    if photo[4:8] == b"ftyp":
        return photo + struct.pack(">I", len(text) + 8) + b"free" + text
    chunk = b"tEXt" + b"Comment\0" + text
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return photo[:33] + whole + photo[33:]  # after the header's chunk


def draw_scene(size: tuple[int, int], rng: np.random.Generator, pictures: list[Path], noise: float) -> Image.Image:
    """One picture that fills the frame and three that stand in it, under noise; clouds where there are no pictures."""
    image = _draw_picture(rng, pictures).resize(size, Image.Resampling.BICUBIC)
    for _ in range(3):
        side = int(min(size) * rng.uniform(0.15, 0.5))
        small = _draw_picture(rng, pictures)
        small = small.resize((side, max(1, side * small.height // small.width)), Image.Resampling.BICUBIC)
        image.paste(small, (int(rng.integers(0, size[0] - side)), int(rng.integers(0, max(1, size[1] - side)))))
    return add_noise(image, rng, noise)


def draw_scenes(kind: Kind, data: Path | None, rng: np.random.Generator, n: int) -> list[bytes]:
    pictures = sorted(p for pattern in PICTURES for p in data.glob(pattern)) if data else []
    return [_encode(draw_scene(kind.size, rng, pictures, kind.noise), kind, i) for i in range(min(kind.scenes, n))]


def _draw_picture(rng: np.random.Generator, pictures: list[Path]) -> Image.Image:
    if pictures:
        with Image.open(pictures[rng.integers(len(pictures))]) as image:
            return image.convert("RGB")
    clouds = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(clouds).resize((320, 240), Image.Resampling.BICUBIC)


def add_noise(image: Image.Image, rng: np.random.Generator, noise: float) -> Image.Image:
    grain = rng.standard_normal((512, 512, 3), dtype=np.float32) * noise
    across, down = -(-image.width // 512), -(-image.height // 512)
    grain = np.tile(grain, (down, across, 1))[: image.height, : image.width]
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))


def _encode(image: Image.Image, kind: Kind, i: int) -> bytes:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6 if i % 2 else 1
    exif[EXIF_DATE] = f"2026:{i % 12 + 1:02d}:15 12:00:00"
    out = io.BytesIO()
    pillow_heif.register_heif_opener(thumbnails=False)
    extra = {"thumbnails": [kind.thumbnail]} if kind.thumbnail else {}
    image.save(out, kind.format, exif=exif, quality=kind.quality, **extra)  # PNG has no quality and ignores it
    return out.getvalue()


def _extension(kind: str) -> str:
    return {"JPEG": "jpg", "PNG": "png", "HEIF": "heic"}[KINDS[kind].format]
