"""Disk to pixels: find the photo files below a folder; open one upright at the size asked, or say why not.

Knows nothing of models or databases. The same `views` prepares a photo for search and for training, so
that a network meets in a library the bytes that it was taught with. Everything here takes hostile input:
the length of a file, the number of its pixels and the formats that are tried are bounded before decoding.
"""

import contextlib
import errno
import fnmatch
import importlib.util
import io
import math
import os
import re
import stat
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt
from blake3 import blake3
from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

RAW = importlib.util.find_spec("rawpy") is not None  # the extra `raw`
EXTENSIONS = frozenset(
    (
        ".jpg .jpeg .jpe .jfif .mpo .png .webp .gif .tif .tiff .bmp .avif .heic .heif .hif"  # in lower case
        + (" .dng .cr2 .nef .arw" if RAW else "")
    ).split()
)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF")  # and HEIF; an MPO begins as a JPEG
EXCLUDED = (".*", "@eaDir", "node_modules", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found")
MAX_BYTES = 2**30  # a file that is longer is refused: no camera writes one, and it is read whole into memory
MAX_PIXELS = 300_000_000  # where the caller doesn't choose; 300 megapixels decode to 900 MB
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
class Photo:
    """A file. `path` is absolute, in Python's own text form of a path (surrogates where it isn't UTF-8)."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder that was looked into: its photos in the order of their names.

    reason: why it, or something in it, could not be looked at; then more may be there than `photos`.
    """

    path: str
    photos: tuple[Photo, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A photo's pixels: `views` is [T, S, S, 3] uint8 RGB, the whole photo first, then its tiles.

    width, height: of the upright photo in the file, in pixels. taken: EXIF's date of the shot, local time,
    as YYYY-MM-DDTHH:MM:SS, or None.
    """

    views: Pixels
    width: int
    height: int
    taken: str | None


class Unreadable(Exception):
    """Why one photo could not be opened, in a few words without its path.

    passing: the reason lies outside the file (a permission, a disk that answers with an error) and may be
    gone at the next run; otherwise it lies in the bytes and stays until they change.
    """

    def __init__(self, reason: str, *, passing: bool = False):
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


def find(root: str, *, exclude: Iterable[str] = EXCLUDED, follow_symlinks: bool = False) -> Iterator[Folder]:
    """Walk the folders below `root`, each once, in the order of their names; nothing is opened.

    Only regular files with a photo's extension count. exclude: globs, matched against each name and each path
    relative to the root, letter case ignored. Symbolic links, to files or to folders, are passed over unless
    followed; a loop of links is walked once. A folder that can't be listed comes with its reason.
    """
    excluded = re.compile("|".join(fnmatch.translate(g) for g in exclude) or r"(?!)", re.IGNORECASE)
    seen: set[tuple[int, int]] = set()
    todo = [root]
    while todo:
        path = todo.pop()
        folder, below = _list(path, root, excluded, follow_symlinks, seen)
        yield folder
        todo.extend(reversed(below))


def _list(
    path: str, root: str, excluded: re.Pattern[str], follow_symlinks: bool, seen: set[tuple[int, int]]
) -> tuple[Folder, list[str]]:
    photos: list[Photo] = []
    below: list[str] = []
    reason = None
    try:
        if follow_symlinks:
            here = os.stat(path)
            if (here.st_dev, here.st_ino) in seen:
                return Folder(path, ()), []
            seen.add((here.st_dev, here.st_ino))
        prefix = "" if path == root else os.path.relpath(path, root) + os.sep
        with os.scandir(path) as entries:
            for entry in entries:
                if excluded.match(entry.name) or (prefix and excluded.match(prefix + entry.name)):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=follow_symlinks):
                        below.append(entry.path)
                    elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS and (
                        follow_symlinks or not entry.is_symlink()
                    ):
                        status = entry.stat(follow_symlinks=follow_symlinks)
                        if stat.S_ISREG(status.st_mode):
                            mtime_ns = max(-(2**63), min(status.st_mtime_ns, 2**63 - 1))  # a file may claim year 36,000
                            photos.append(Photo(entry.path, status.st_size, mtime_ns))
                except OSError as error:
                    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # vanished, or a link to nowhere
                        reason = error.strerror or str(error)
    except OSError as error:
        return Folder(path, (), error.strerror or str(error)), []
    return Folder(path, tuple(sorted(photos, key=lambda p: p.path)), reason), sorted(below)


def read(path: str) -> bytes:
    """The whole file, read once, or Unreadable. Never blocks on a pipe and never reads past the size it began with."""
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


def content_hash(data: bytes) -> bytes:
    """BLAKE3 of the file's bytes, 32 of them: what recognises a photo that was moved or copied."""
    return blake3(data).digest()


def decode(data: bytes, size: int, *, fit: Fit = "squash", tiles: int = 0, max_pixels: int = MAX_PIXELS) -> Opened:
    """A file's bytes -> upright pixels for a network that sees [size, size], or Unreadable.

    tiles: 0 for the whole photo alone, or 4, 9, 16 overlapping parts beside it (see `views`).
    """
    try:
        # One tile of g x g is 2 / (g + 1) of the photo's side, so the photo must be that much larger.
        wanted = round(OVERSAMPLE * size * (_grid(tiles) + 1) / 2)
        with _open_raw(data, wanted, max_pixels) if RAW and _is_raw(data) else _open(data) as image:
            if image.width * image.height > max_pixels:
                raise Unreadable(f"{image.width}x{image.height} pixels, more than the limit of {max_pixels:,}")
            exif = _exif(image)
            taken = _taken(exif)
            width, height = image.size
            image.draft("RGB", (wanted, wanted))
            if isinstance(image, JpegImageFile):
                image.decodermaxblock = len(data)  # handed over in one piece: by Pillow's 64 KiB takes 3 % longer
            image.load()
            turn = _turn(exif)  # asked after load(): a TIFF turns itself there, and forgets the tag
            upright = image if turn is None else image.transpose(turn)
            if turn in SIDEWAYS:
                width, height = height, width
            return Opened(views(upright, size, fit=fit, tiles=tiles), width, height, taken)
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("decoding it needs more memory than there is") from None
    except Exception as error:  # the decoders raise nearly anything at a broken file
        raise Unreadable(_reason(error)) from None


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


def rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes -> RGB: 16 bits keep their range, what is transparent lies on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, np.float32)
        top = 65535.0 if image.mode != "F" else max(float(values.max(initial=0)), 1e-9)
        return Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _grid(tiles: int) -> int:
    grid = math.isqrt(max(tiles, 0))
    if tiles < 0 or grid * grid != tiles or grid == 1:
        raise ValueError(f"tiles must be 0, 4, 9, 16, ...: {tiles}")
    return max(grid, 1)


def _open(data: bytes) -> Image.Image:
    formats: tuple[str, ...] = FORMATS
    if data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis"):
        import pillow_heif  # 50 ms, and most libraries hold no HEIC

        pillow_heif.register_heif_opener(thumbnails=False)
        formats = (*FORMATS, "HEIF")
    Image.MAX_IMAGE_PIXELS = None  # decode() counts the pixels itself, before anything is decoded
    return Image.open(io.BytesIO(data), formats=formats)


def _is_raw(data: bytes) -> bool:
    """A camera's own file is a TIFF that begins with a small preview, and says so in NewSubfileType; or Canon's CR2."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return False
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (n,) = struct.unpack_from(f"{order}H", data, start)
        entries = [struct.unpack_from(f"{order}HHII", data, start + 2 + 12 * i) for i in range(n)]
    except struct.error:
        return False
    return data[8:10] == b"CR" or any(tag == 254 and value & 1 for tag, _, _, value in entries)


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


def _taken(exif: Image.Exif) -> str | None:
    """EXIF's DateTimeOriginal, else DateTime, as YYYY-MM-DDTHH:MM:SS, or None where neither is a date."""
    with contextlib.suppress(Exception):  # a broken EXIF block is no reason to lose the photo
        return _date(exif.get_ifd(0x8769).get(0x9003)) or _date(exif.get(0x0132))
    return None


def _date(value: object) -> str | None:
    """'2020:01:31 12:00:00' -> '2020-01-31T12:00:00'; a camera whose clock was never set writes zeros or blanks."""
    found = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)", str(value))
    with contextlib.suppress(ValueError):
        date = datetime(*map(int, found.groups())) if found else None  # type: ignore[arg-type]
        return date.isoformat() if date and date.year > 1800 else None
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a photo in a format that is known"
    # Without the numbers that differ from file to file, so that reasons can be counted.
    text = re.sub(r" \((\d+ bytes not processed|points to file position \d+)\)", "", " ".join(str(error).split()))
    text = text or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"
