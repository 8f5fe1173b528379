"""Disk to pixels: find the photo files below a folder; open one upright at the size asked, or say why not.

Knows nothing of models or databases. The same `views` prepares a photo for search and for training, so
that a network meets in a library the bytes that it was taught with. Everything here takes hostile input:
the length of a file, the number of its pixels and the formats that are tried are bounded before decoding.
"""

import contextlib
import io
import math
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from blake3 import blake3
from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from photosearch.photos import dates, formats, remote
from photosearch.photos.colours import profile_of, rgb, to_srgb
from photosearch.photos.fingerprint import SIZE, fingerprint
from photosearch.photos.mend import mended
from photosearch.photos.walk import RAW

VERSION = 3  # of the decoder: raised when the same file comes out in other pixels, or with another fingerprint
MAX_BYTES = 2**30  # a file that is longer is refused: no camera writes one, and it is read whole into memory
MAX_PIXELS = 300_000_000  # where the caller doesn't choose; the largest cameras have 150, and phones 200
MAX_DECODED = 8 * 2**30  # bytes that a decode may take, where the caller doesn't choose
# Bytes that a decode takes for each pixel, as 12-megapixel pictures took them on Linux: Pillow's own and its copies ...
BY_MODE = {"1": 6, "L": 6, "P": 6, "RGB": 5, "YCbCr": 9, "LAB": 9, "CMYK": 9, "I;16": 16, "I;16B": 16, "I": 16, "F": 16}
TRANSPARENT, TURNED = 20, 4
BY_FORMAT = {"WEBP": 12, "AVIF": 6, "HEIF": 4, "JXL": 12}  # ... and the decoder's beside it
TURNS = {  # EXIF's Orientation: where the first row and column of the stored pixels belong (CIPA DC-008, 4.6.5)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset(TURNS[i] for i in (5, 6, 7, 8))  # these swap width and height
# Decode a JPEG to at least this many times the size that is asked for, then shrink with a proper filter.
OVERSAMPLE = 1

Fit = Literal["squash", "crop"]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Need:
    """How one network sees a photo: in a square of `size` pixels, fitted by `fit`, with `tiles` parts beside it."""

    size: int
    fit: Fit = "squash"
    tiles: int = 0

    @property
    def least(self) -> int:
        """The shorter side, in pixels, that the photo must be decoded to so that no part is blown up."""
        # One tile of g x g is 2 / (g + 1) of the photo's side, so the photo must be that much larger.
        return round(OVERSAMPLE * self.size * (_grid(self.tiles) + 1) / 2)


@dataclass(frozen=True, slots=True)
class Opened:
    """A photo's pixels, and what is known of it.

    views: one array [1 + tiles, size, size, 3] uint8 RGB for each need, in order: the whole photo, then its tiles.
    width, height: of the upright photo in the file, in pixels. taken: the date of the shot, local time, as
    YYYY-MM-DDTHH:MM:SS, and taken_from: where that stands (dates.SOURCES); or None and None. fingerprint: see there.
    """

    views: tuple[Pixels, ...]
    width: int
    height: int
    taken: str | None
    taken_from: str | None
    fingerprint: int


class Unreadable(Exception):
    """Why one photo could not be opened, in a few words without its path.

    passing: the reason lies outside the file (a permission, a disk that answers with an error) and may be
    gone at the next run; otherwise it lies in the bytes and stays until they change.
    """

    def __init__(self, reason: str, *, passing: bool = False):
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


class TakesTooMuch(Unreadable):
    """Decoding it would take more than the memory that it was given. size_bytes: how much, about."""

    def __init__(self, width: int, height: int, size_bytes: int):
        super().__init__(f"{width}x{height} pixels, which take {size_bytes >> 20} MiB to decode: too much here")
        self.size_bytes = size_bytes


def read(path: str) -> bytes:
    """The whole file, read once, or Unreadable. Never blocks on a pipe and never reads past the size it began with."""
    if remote.is_address(path):
        return _read_remote(path)
    try:
        # O_NONBLOCK: a named pipe that took the photo's place since the walk must not hang us.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(fd, "rb", buffering=0) as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("not a regular file")
            if status.st_size == 0:
                raise Unreadable("the file is empty")
            if status.st_size > MAX_BYTES:
                raise Unreadable(f"the file is longer than {MAX_BYTES >> 20} MiB")
            # bytes from one read, not a bytearray: of that, BytesIO would hold a second copy.
            data = file.read(status.st_size)
            while 0 < len(data) < status.st_size and (more := file.read(status.st_size - len(data))):
                data += more
    except OSError as error:
        raise Unreadable((error.strerror or str(error)).lower(), passing=True) from None
    if len(data) < status.st_size:
        raise Unreadable("the file shrank while it was read", passing=True)
    return data


def _read_remote(address: str) -> bytes:
    try:
        data = remote.read(address, MAX_BYTES)
    except OSError as error:
        raise Unreadable((error.strerror or str(error)).lower(), passing=True) from None
    if not data:
        raise Unreadable("the file is empty")
    if len(data) > MAX_BYTES:
        raise Unreadable(f"the file is longer than {MAX_BYTES >> 20} MiB")
    return data


def content_hash(data: bytes) -> bytes:
    """BLAKE3 of the file's bytes, 32 of them: what recognises a photo that was moved or copied."""
    return blake3(data).digest()


def decode(data: bytes, needs: Sequence[Need], *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_DECODED) -> Opened:
    """A file's bytes -> upright pixels, decoded once for all needs, at the scale of the largest; or Unreadable.

    max_bytes: the memory that decoding may take; TakesTooMuch where it would be more.
    """
    try:
        try:
            return _decode(data, needs, max_pixels, max_bytes)
        except (Unreadable, MemoryError):
            raise
        except Exception:
            better = mended(data, lambda image: _check_memory(image, image.size, max_bytes))
            if better is None:
                raise
        return _decode(better, needs, max_pixels, max_bytes)
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("decoding it needs more memory than there is") from None
    except Exception as error:  # the decoders raise nearly anything at a broken file
        raise Unreadable(_reason(error)) from None


def _decode(data: bytes, needs: Sequence[Need], max_pixels: int, max_bytes: int) -> Opened:
    least = max((need.least for need in needs), default=SIZE)
    with _open_raw(data, least, max_pixels) if RAW and formats.is_raw(data) else formats.open_image(data) as image:
        if image.width * image.height > max_pixels:
            raise Unreadable(f"{image.width}x{image.height} pixels, more than the limit of {max_pixels:,}")
        width, height = image.size
        image.draft("RGB", (least, least))
        _check_memory(image, (width, height), max_bytes)
        exif = _exif(image)  # a PNG is decoded for it
        taken, taken_from = dates.find_taken(exif, image.info)
        if isinstance(image, JpegImageFile):
            image.decodermaxblock = len(data)  # handed over in one piece: by Pillow's 64 KiB takes 3 % longer
        image.load()
        turn = _turn(exif)  # asked after load(): a TIFF turns itself there, and forgets the tag
        profile = profile_of(image)
        shown = formats.clean_aperture(data)
        part = image if shown is None else image.crop(shown)
        width, height = (width, height) if shown is None else part.size
        upright = rgb(part if turn is None else part.transpose(turn))
        if turn in SIDEWAYS:
            width, height = height, width
        seen = tuple(views(upright, need.size, fit=need.fit, tiles=need.tiles) for need in needs)
        if profile is not None:  # of the few pixels that are left
            seen = tuple(to_srgb(view, profile) for view in seen)
        # A squashed view is the whole photo too, and smaller: its fingerprint takes half the time.
        squashed = [v[0] for v, need in zip(seen, needs, strict=True) if need.fit == "squash"]
        small = [Image.fromarray(v) for v in squashed if len(v) >= 2 * SIZE]
        return Opened(seen, width, height, taken, taken_from, fingerprint(small[0] if small else upright))


def _check_memory(image: Image.Image, size: tuple[int, int], max_bytes: int) -> None:
    """Raises TakesTooMuch. size: of the photo in its file; a JPEG may be drafted to less."""
    width, height = size
    if (takes := _takes(image, width * height)) > max_bytes:
        raise TakesTooMuch(width, height, takes)


def _takes(image: Image.Image, pixels: int) -> int:
    """About how many bytes decoding an opened image takes. pixels: of the whole photo."""
    mode = TRANSPARENT if "transparency" in image.info else BY_MODE.get(image.mode, TRANSPARENT)
    takes = image.width * image.height * (mode + TURNED + BY_FORMAT.get(image.format or "", 0))
    if isinstance(image, JpegImageFile) and image.info.get("progressive"):
        # libjpeg holds all coefficients, 2 bytes each, whatever the scale.
        most = max(across for _, across, _, _ in image.layer) * max(down for _, _, down, _ in image.layer)
        takes += 2 * pixels * sum(across * down for _, across, down, _ in image.layer) // most
    return takes


def views(image: Image.Image, size: int, *, fit: Fit = "squash", tiles: int = 0) -> Pixels:
    """An upright image -> uint8 [1 + tiles, size, size, 3], RGB: the whole photo first, then its tiles row by row.

    fit: "squash" keeps the whole photo and not its shape, "crop" keeps the shape and the largest centred square.
    tiles = g * g: a grid of parts, each 2 / (g + 1) of the photo's width and height, so that neighbours share half.
    A white photo comes out all 255.
    """
    image = rgb(image)
    if fit == "crop":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    w, h, g = image.width, image.height, _grid(tiles)
    step_x, step_y = w / (g + 1), h / (g + 1)
    boxes = [(0.0, 0.0, float(w), float(h))]
    if tiles:
        corners = [(x * step_x, y * step_y) for y in range(g) for x in range(g)]
        boxes += [(x, y, min(x + 2 * step_x, w), min(y + 2 * step_y, h)) for x, y in corners]
    out = np.empty((len(boxes), size, size, 3), np.uint8)
    for i, box in enumerate(boxes):
        out[i] = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0))
    return out


def _grid(tiles: int) -> int:
    grid = math.isqrt(max(tiles, 0))
    if tiles < 0 or grid * grid != tiles or grid == 1:
        raise ValueError(f"tiles must be 0, 4, 9, 16, ...: {tiles}")
    return max(grid, 1)


def _open_raw(data: bytes, least: int, max_pixels: int) -> Image.Image:
    """The JPEG that the camera put into its file, which LibRaw gives the file's date and orientation; developed at
    half size, upright, where its shorter side is less than `least` pixels."""
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            with contextlib.suppress(rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
                preview = raw.extract_thumb()
                if isinstance(preview.data, bytes):  # a JPEG; a bitmap would be an array
                    image = Image.open(io.BytesIO(preview.data), formats=("JPEG",))
                    if min(image.size) >= least:
                        return image
            width, height = raw.sizes.width, raw.sizes.height
            if width * height > max_pixels:
                raise Unreadable(f"{width}x{height} pixels, more than the limit of {max_pixels:,}")
            return Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True))
    except rawpy.LibRawError as error:
        raise Unreadable(f"a raw file that LibRaw can't open: {error}") from None


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # a broken EXIF block is no reason to lose the photo
        return Image.Exif()


def _turn(exif: Image.Exif) -> Image.Transpose | None:
    """What brings the photo upright, by EXIF's Orientation; None where it stands so, or the tag is nonsense."""
    try:
        return TURNS.get(exif.get(0x0112, 1))
    except Exception:  # the tag is damaged, or a list
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a photo in a format that is known"
    # Without the numbers that differ from file to file, so that reasons can be counted.
    text = re.sub(r" \((\d+ bytes not processed|points to file position \d+)\)", "", " ".join(str(error).split()))
    text = text or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"
