"""A photo's file to upright pixels, dates and a fingerprint, or the reason why not.

Knows nothing of models or databases. The same `make_views` prepares photos for search and for training, so that a
network gets the bytes it was trained on. Input is hostile: the file's length, the number of its pixels and the formats
that are tried are bounded before decoding.
"""

import contextlib
import errno
import io
import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Literal

import numpy as np
import numpy.typing as npt
from blake3 import blake3
from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from photosearch.metadata.dates import choose_date
from photosearch.metadata.record import PhotoMetadata
from photosearch.metadata.sidecars import read_sidecars
from photosearch.photos import blocks, formats, remote
from photosearch.photos.colours import get_profile, to_rgb, to_srgb
from photosearch.photos.fingerprint import SIZE, fingerprint
from photosearch.photos.repair import MIN_SHARE, repair
from photosearch.photos.walk import RAW

VERSION = 4  # of the decoder: incremented when the same file gives other pixels, or another fingerprint
MAX_FILE_BYTES = 2**30  # files are read whole into memory, and no camera writes a longer one
PIECE_BYTES = 1 << 20  # of a file that is not read whole
RAW_HEAD_BYTES = 1 << 16  # by which a raw file is known
MAX_PIXELS = 300_000_000  # default; the largest cameras have 150 million, phones 200
MAX_DECODE_BYTES = 8 * 2**30  # default for the memory that one decode may take
# Bytes of memory per pixel, measured with 12-megapixel images on Linux: Pillow's image and its copies ...
MODE_BYTES = {
    "1": 6, "L": 6, "P": 6, "RGB": 5, "YCbCr": 9, "LAB": 9, "CMYK": 9, "I;16": 16, "I;16B": 16, "I": 16, "F": 16,
}  # fmt: skip
ALPHA_BYTES, TRANSPOSED_BYTES = 20, 4
FORMAT_BYTES = {"WEBP": 12, "AVIF": 6, "HEIF": 4, "JXL": 12}  # ... and the decoder's own
TRANSPOSES = {  # EXIF's Orientation -> what turns the stored pixels upright (CIPA DC-008, 4.6.5)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SWAPS_SIDES = frozenset(TRANSPOSES[i] for i in (5, 6, 7, 8))
PLAIN_REASONS = (  # part of a library's message -> what it means to the photo's owner
    ("libjxl", "a broken JPEG XL file"),
    ("could not create decoder object", "a broken WebP file"),
    ("Truncated File Read", "image file is truncated"),
    ("Unexpected end of file", "image file is truncated"),
)
MAX_FRAMES = 100  # of an animation that are looked at
MAX_BLANK = 4  # grey levels between the darkest and the palest of a blank frame
OVERSAMPLE = 1  # a JPEG is decoded to at least this many times the wanted size, then resized with a proper filter
HEIC_THUMBNAIL = 0.9  # of the wanted side that a HEIC's thumbnail must have: phones write 320x240; the whole is dear

DAMAGED = "damaged: "  # begins the reason of a photo that is readable nevertheless

Fit = Literal["squash", "crop", "pad"]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """One network's input: the photo in a square of `size` pixels, fitted by `fit`, and `tiles` parts of it."""

    size: int
    fit: Fit = "squash"
    tiles: int = 0

    @property
    def min_side(self) -> int:
        """The shorter side, in pixels, of the smallest decoded photo from which no part is enlarged."""
        # Each of g x g tiles covers 2 / (g + 1) of the photo's side, so the photo must be that much larger.
        return round(OVERSAMPLE * self.size * (_grid(self.tiles) + 1) / 2)

    def find_min_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the smallest version of a photo of this size from which no part is enlarged."""
        return fit_within(width, height, self.size) if self.fit == "pad" else (self.min_side, self.min_side)


@dataclass(frozen=True, slots=True)
class DecodedPhoto:
    """A photo's pixels and metadata.

    views: one array [1 + tiles, size, size, 3] uint8 RGB per ViewSpec, in order: the whole photo, then its tiles.
    width, height: of the upright photo in the file, in pixels. taken: when it was taken, local time, as
    YYYY-MM-DDTHH:MM:SS, and taken_from: its source (dates.SOURCES); both None if unknown. fingerprint: see there.
    damage: DAMAGED and how much of it is there, None: all. metadata: what the file and its side-cars say.
    """

    views: tuple[Pixels, ...]
    width: int
    height: int
    taken: str | None
    taken_from: str | None
    fingerprint: int
    damage: str | None = None
    metadata: PhotoMetadata = field(default_factory=PhotoMetadata)


class Unreadable(Exception):
    """Why one photo could not be opened, in a few words without its path.

    transient: the cause is outside the file (a permission, a failing disk), so the next run tries again; otherwise it
    is in the bytes and stays until they change.
    """

    def __init__(self, reason: str, *, transient: bool = False):
        super().__init__(reason)
        self.reason = reason
        self.transient = transient


class TooLarge(Unreadable):
    """Decoding would take more memory than allowed. memory_bytes: about how much."""

    def __init__(self, width: int, height: int, memory_bytes: int):
        super().__init__(f"{width}x{height} pixels would take {memory_bytes >> 20} MiB to decode: too much here")
        self.memory_bytes = memory_bytes


def read_metadata(path: str, beside: Sequence[tuple[str, bytes]] = ()) -> PhotoMetadata:
    """What a photo's file says of it; no pixel is decoded, and most formats are not read to the end. Raises Unreadable.

    beside: (name, bytes) of its side-cars, whose facts count too. width, height: upright, of a raw file None.
    """
    if remote.is_address(path):
        return read_sidecars(beside, _read_open_metadata(io.BytesIO(read(path))))
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Unreadable("not a regular file")
            return read_sidecars(beside, _read_open_metadata(file))
    except OSError as error:
        raise Unreadable(
            error.strerror.lower() if error.strerror else _reason(error), transient=bool(error.strerror)
        ) from None


def _read_open_metadata(file: IO[bytes]) -> PhotoMetadata:
    """Raises Unreadable, and OSError where the file can't be read."""
    try:
        if formats.is_raw(file.read(RAW_HEAD_BYTES)):
            return _read_raw_metadata(file)
        with formats.open_file(file) as image:
            # Pillow decodes a PNG to look for EXIF behind its pixels.
            exif = Image.Exif() if image.format == "PNG" and "exif" not in image.info else blocks.get_exif(image)
            width, height = image.size
            if _read_transpose(exif) in SWAPS_SIDES:
                width, height = height, width
            return replace(blocks.read_metadata(exif, image.info), width=width, height=height)
    except (Unreadable, OSError):
        raise
    except MemoryError:
        raise Unreadable("not enough memory to open it") from None
    except Exception as error:
        raise Unreadable(_reason(error)) from None


def _read_raw_metadata(file: IO[bytes]) -> PhotoMetadata:
    """Most raw files are TIFFs; of the others, what LibRaw puts into the preview."""
    exif = Image.Exif()
    try:
        file.seek(0)
        exif.load_from_fp(file)
    except Exception:
        file.seek(0)
        with _open_raw(file.read(MAX_FILE_BYTES), 0, MAX_PIXELS) as image:
            return blocks.read_metadata(blocks.get_exif(image), image.info)
    return blocks.read_metadata(exif, {})


def read(path: str, *, follow_symlinks: bool = True) -> bytes:
    """The whole file, read once. Never blocks on a pipe, never reads beyond the initial size. Raises Unreadable.

    follow_symlinks: False refuses a link in the file's place; links to folders above it are followed.
    """
    if remote.is_address(path):
        return _read_remote(path)
    with open_photo(path, follow_symlinks=follow_symlinks) as (file, size):
        # bytes from one read, not a bytearray, which BytesIO would copy.
        data = file.read(size)
        while 0 < len(data) < size and (more := file.read(size - len(data))):
            data += more
    if len(data) < size:
        raise Unreadable("the file shrank while it was read", transient=True)
    return data


@contextlib.contextmanager
def open_photo(path: str, *, follow_symlinks: bool = True) -> Iterator[tuple[IO[bytes], int]]:
    """-> (a photo's file, unbuffered, its size in bytes). As in `read`; not of an address. Raises Unreadable.

    An OSError of the block is raised as Unreadable, too.
    """
    try:
        # O_NONBLOCK: a named pipe that replaced the photo since the walk must not block us.
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        fd = os.open(path, flags if follow_symlinks else flags | getattr(os, "O_NOFOLLOW", 0))
        with open(fd, "rb", buffering=0) as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("not a regular file")
            if status.st_size == 0:
                raise Unreadable("the file is empty")
            if status.st_size > MAX_FILE_BYTES:
                raise Unreadable(f"the file is longer than {MAX_FILE_BYTES >> 20} MiB")
            yield file, status.st_size
    except OSError as error:
        if error.errno == errno.ELOOP and not follow_symlinks:
            raise Unreadable("is a symbolic link now") from None
        raise Unreadable((error.strerror or str(error)).lower(), transient=True) from None


def _read_remote(address: str) -> bytes:
    try:
        data = remote.read(address, MAX_FILE_BYTES)
    except OSError as error:
        raise Unreadable((error.strerror or str(error)).lower(), transient=True) from None
    if not data:
        raise Unreadable("the file is empty")
    if len(data) > MAX_FILE_BYTES:
        raise Unreadable(f"the file is longer than {MAX_FILE_BYTES >> 20} MiB")
    return data


def hash_open_file(file: IO[bytes]) -> bytes:
    """The content_hash of an open file, read in pieces from its beginning."""
    hashed = blake3()
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        hashed.update(piece)
    return hashed.digest()


def content_hash(data: bytes) -> bytes:
    """The BLAKE3 hash of the file's bytes, 32 bytes long: identifies a photo that was moved or copied."""
    return blake3(data).digest()


def hash_file(path: str | os.PathLike[str]) -> tuple[bytes, os.stat_result]:
    """The same of a file of any length, such as a video, read in pieces; its status as of then. No link is followed.

    Raises Unreadable, also where it is no regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        with open(os.open(path, flags), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("not a regular file")
            digest = hash_open_file(file)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Unreadable("is a symbolic link") from None
        raise Unreadable((error.strerror or str(error)).lower(), transient=True) from None
    return digest, status


def decode(
    data: bytes, view_specs: Sequence[ViewSpec], *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_DECODE_BYTES,
    name: str = "", beside: Sequence[tuple[str, bytes]] = (),
) -> DecodedPhoto:  # fmt: skip
    """A file's bytes -> upright pixels, decoded once for all views, at the scale of the largest. Raises Unreadable.

    max_bytes: the memory that decoding may take; raises TooLarge if it would be more. name: of the file, which may hold
    a date. beside: (name, bytes) of its side-cars.
    """
    try:
        try:
            return _decode(data, view_specs, max_pixels, max_bytes, name, beside)
        except (Unreadable, MemoryError):
            raise
        except Exception:
            repaired = repair(data, lambda image: _check_memory(image, image.size, max_bytes))
            if repaired is None:
                raise
        photo, share = _decode(repaired[0], view_specs, max_pixels, max_bytes, name, beside), repaired[1]
        there = f"{DAMAGED}{math.floor(100 * share)} % of the picture is there"
        return photo if share == 1 else replace(photo, damage=there)
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("not enough memory to decode it") from None
    except Exception as error:  # decoders raise nearly anything for a broken file
        raise Unreadable(formats.describe_broken(data) or _reason(error)) from None


def _decode(
    data: bytes, view_specs: Sequence[ViewSpec], max_pixels: int, max_bytes: int, name: str,
    beside: Sequence[tuple[str, bytes]],
) -> DecodedPhoto:  # fmt: skip
    min_side = max((spec.min_side for spec in view_specs), default=SIZE)
    raw = RAW and formats.is_raw(data)
    with _open_raw(data, min_side, max_pixels) if raw else formats.open_image(data) as image:
        if image.width * image.height > max_pixels:
            raise Unreadable(f"{image.width}x{image.height} pixels, more than the limit of {max_pixels:,}")
        width, height = image.size
        draft(image, view_specs)
        _check_memory(image, (width, height), max_bytes)
        exif = blocks.get_exif(image)  # a PNG is decoded for it
        found = blocks.read_metadata(exif, image.info)
        if raw and not found.dates:
            found = blocks.read_metadata(formats.read_raw_exif(data), {})
        found = read_sidecars(beside, found).shorten()
        taken = choose_date(found.dates, name)
        if isinstance(image, JpegImageFile):
            image.decodermaxblock = len(data)  # one block; Pillow's default of 64 KiB takes 3 % longer
        image.load()
        _seek_content(image)
        transpose = _read_transpose(exif)  # after load(), which turns a TIFF and drops the tag
        profile = get_profile(image)
        box = formats.clean_aperture(data)
        shown = image if box is None else image.crop(box)
        width, height = (width, height) if box is None else shown.size
        upright = to_rgb(shown if transpose is None else shown.transpose(transpose))
        if transpose in SWAPS_SIDES:
            width, height = height, width
        views: list[Pixels] = []
        small = None
        for spec in view_specs:
            parts = cut_parts(upright, spec.size, spec.fit, spec.tiles)
            view = np.stack([np.asarray(part) for part in parts])
            views.append(view if profile is None else to_srgb(view, profile))  # last, when few pixels are left
            # A squashed view shows the whole photo too, and smaller: its fingerprint takes half the time.
            if small is None and spec.fit == "squash" and spec.size >= 2 * SIZE:
                small = parts[0] if profile is None else Image.fromarray(views[-1][0])
        date, source = (taken.local, taken.source) if taken else (None, None)
        return DecodedPhoto(tuple(views), width, height, date, source,
                            fingerprint(upright if small is None else small), metadata=found)  # fmt: skip


def draft(image: Image.Image, view_specs: Sequence[ViewSpec]) -> None:
    """Let the decoder make no more pixels than views need: of a JPEG at a smaller scale, or of a HEIC's thumbnail."""
    sizes = [spec.find_min_size(*image.size) for spec in view_specs] or [(SIZE, SIZE)]
    share = HEIC_THUMBNAIL if image.format == "HEIF" and all(spec.fit != "pad" for spec in view_specs) else 1
    image.draft("RGB", (math.ceil(share * max(w for w, _ in sizes)), math.ceil(share * max(h for _, h in sizes))))


def _check_memory(image: Image.Image, size: tuple[int, int], max_bytes: int) -> None:
    """Raises TooLarge. size: of the photo in its file; a JPEG may be drafted to less."""
    width, height = size
    if (memory_bytes := _estimate_memory(image, width * height)) > max_bytes:
        raise TooLarge(width, height, memory_bytes)


def _estimate_memory(image: Image.Image, pixels: int) -> int:
    """About how many bytes it takes to decode an opened image. pixels: of the whole photo."""
    mode_bytes = ALPHA_BYTES if "transparency" in image.info else MODE_BYTES.get(image.mode, ALPHA_BYTES)
    memory_bytes = (
        image.width * image.height * (mode_bytes + TRANSPOSED_BYTES + FORMAT_BYTES.get(image.format or "", 0))
    )
    if isinstance(image, JpegImageFile) and image.info.get("progressive"):
        # libjpeg holds all coefficients, 2 bytes each, whatever the scale. Sampling factors: ITU T.81, A.1.1.
        full = max(across for _, across, _, _ in image.layer) * max(down for _, _, down, _ in image.layer)
        memory_bytes += 2 * pixels * sum(across * down for _, across, down, _ in image.layer) // full
    return memory_bytes


def make_views(image: Image.Image, size: int, *, fit: Fit = "squash", tiles: int = 0) -> Pixels:
    """An upright image -> uint8 [1 + tiles, size, size, 3], RGB: the whole photo first, then its tiles row by row.

    fit: "squash" keeps the whole photo but not its aspect ratio, "crop" the largest centred square; "pad" puts the
    whole photo in its shape, not enlarged, into the upper left corner (see fit_within), and black beside it.
    tiles = g * g: a grid of parts, each 2 / (g + 1) of the photo's width and height, so that neighbours half overlap.
    A white photo gives 255 everywhere.
    """
    return np.stack([np.asarray(part) for part in cut_parts(to_rgb(image), size, fit, tiles)])


def cut_parts(image: Image.Image, size: int, fit: Fit, tiles: int) -> list[Image.Image]:
    """The same, of an RGB image, as images."""
    if fit == "pad":
        padded = Image.new("RGB", (size, size))
        within = fit_within(*image.size, size)
        padded.paste(image.resize(within, Image.Resampling.BICUBIC, reducing_gap=3.0))
        return [padded]
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
    return [image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0) for box in boxes]


def fit_within(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height of a photo as it is in a padded view: the longer side is `size` at most."""
    scale = min(1.0, size / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _grid(tiles: int) -> int:
    grid = math.isqrt(max(tiles, 0))
    if tiles < 0 or grid * grid != tiles or grid == 1:
        raise ValueError(f"tiles must be 0, 4, 9, 16, ...: {tiles}")
    return max(grid, 1)


def _open_raw(data: bytes, min_side: int, max_pixels: int) -> Image.Image:
    """The JPEG preview in a raw file, to which LibRaw adds the file's date and orientation. Raises Unreadable.

    If its shorter side is less than `min_side` pixels, or there is none: the raw image at half size, upright.
    """
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            with contextlib.suppress(rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
                preview = raw.extract_thumb()
                if isinstance(preview.data, bytes):  # a JPEG; a bitmap would be an array
                    image = Image.open(io.BytesIO(preview.data), formats=("JPEG",))
                    if min(image.size) >= min_side:
                        return image
            width, height = raw.sizes.width, raw.sizes.height
            if width * height > max_pixels:
                raise Unreadable(f"{width}x{height} pixels, more than the limit of {max_pixels:,}")
            _check_complete(raw.raw_image_visible)
            return Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True))
    except (rawpy.LibRawIOError, rawpy.LibRawDataError):
        raise Unreadable("lacks its pixels: the raw file is cut, or damaged") from None
    except rawpy.LibRawError as error:
        (said,) = error.args or ("",)  # bytes
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        if text == "Input/output error":  # what LibRaw says where the data ends early
            text = "it is cut short or damaged"
        raise Unreadable(f"LibRaw can't open this raw file: {text}") from None


def _check_complete(sensor: npt.NDArray[np.uint16] | None) -> None:
    """Raises Unreadable where the last rows are zeros, as LibRaw leaves what a file that is cut lacks.

    sensor: as stored, [H, W] or [H, W, C]; None where LibRaw doesn't show it.
    """
    if sensor is None:
        return
    there = np.flatnonzero(sensor.reshape(len(sensor), -1).any(1))
    rows = int(there[-1]) + 1 if len(there) else 0
    if rows < MIN_SHARE * len(sensor):
        raise Unreadable(f"lacks its pixels: the raw image ends after {100 * rows // len(sensor)} %")


def _seek_content(image: Image.Image) -> None:
    """Where the first frame of an animation is blank, go to the first that shows something."""
    if isinstance(image, JpegImageFile) or not getattr(image, "is_animated", False) or not _is_blank(image):
        return
    with contextlib.suppress(Exception):  # the frames before a broken one are blank as well
        for frame in range(1, min(getattr(image, "n_frames", 1), MAX_FRAMES)):
            image.seek(frame)
            if not _is_blank(image):
                return
    image.seek(0)
    image.load()


def _is_blank(image: Image.Image) -> bool:
    small = to_rgb(image).resize((SIZE, SIZE), Image.Resampling.BOX, reducing_gap=2.0)
    return all(high - low <= MAX_BLANK for low, high in small.getextrema())  # type: ignore[misc]  # of three bands


def _read_transpose(exif: Image.Exif) -> Image.Transpose | None:
    """What turns the photo upright, from EXIF's Orientation; None if it is upright or the tag is nonsense."""
    try:
        return TRANSPOSES.get(exif.get(0x0112, 1))
    except Exception:  # a damaged tag, or a list
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a photo in a known format"
    # Numbers that differ from file to file are dropped, so that reasons can be counted.
    text = re.sub(r" \((\d+ bytes not processed|points to file position \d+)\)", "", " ".join(str(error).split()))
    text = next((ours for theirs, ours in PLAIN_REASONS if theirs in text), text or type(error).__name__)
    return text if len(text) <= 200 else text[:199] + "…"
