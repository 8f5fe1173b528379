"""Which decoder a file goes to, by its first bytes and never by its name; each is imported when it is first needed."""

import contextlib
import io
import struct
from fractions import Fraction

from PIL import Image, UnidentifiedImageError

from photosearch.photos.walk import JXL

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF")  # and HEIF, JXL; an MPO begins as a JPEG
AVIF = (b"avif", b"avis")
JXL_BEGINS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")  # ISO/IEC 18181-2: a bare codestream, and one in boxes
# Olympus's ORF, Panasonic's RW2, Fujifilm's RAF; a CR3 is known by its brand, the others by what is in their TIFF.
RAW_BEGINS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW")
SUBFILE, COMPRESSION, PENTAX = 254, 259, 65535  # TIFF tags, and the compression that a PEF says it has


def is_raw(data: bytes) -> bool:
    """Whether a camera's own file: by its magic number, or a TIFF that holds a preview first, and says so."""
    if data.startswith(RAW_BEGINS) or data[4:12] == b"ftypcrx ":
        return True
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return False
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (n,) = struct.unpack_from(f"{order}H", data, start)
        entries = [struct.unpack_from(f"{order}HHI2s2s", data, start + 2 + 12 * i) for i in range(n)]
    except struct.error:
        return False
    short = {tag: struct.unpack(f"{order}H", first)[0] for tag, _, _, first, _ in entries}
    long = {tag: struct.unpack(f"{order}I", a + b)[0] for tag, _, _, a, b in entries}
    return data[8:10] == b"CR" or bool(long.get(SUBFILE, 0) & 1) or short.get(COMPRESSION) == PENTAX


def open_image(data: bytes) -> Image.Image:
    """Opened, not decoded. Raises what decoders raise; UnidentifiedImageError where the bytes are no photo."""
    formats: tuple[str, ...] = FORMATS
    if data[4:8] == b"ftyp" and data[8:12] not in AVIF:
        import pillow_heif  # 50 ms, and most libraries hold no HEIC

        pillow_heif.register_heif_opener(thumbnails=True)
        formats = (*FORMATS, "HEIF")
    elif JXL and data.startswith(JXL_BEGINS):
        import pillow_jxl  # noqa: F401  it registers itself

        formats = ("JXL",)
    Image.MAX_IMAGE_PIXELS = None  # decode() counts the pixels itself, before anything is decoded
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        if data[4:8] == b"ftyp" and data[8:12] in AVIF:
            raise OSError("a broken AVIF file") from None
        raise


def clean_aperture(data: bytes) -> tuple[int, int, int, int] | None:
    """The part of an AVIF that is to be shown: left, top, right, bottom, before it is turned; None where it is all.

    ISO/IEC 14496-12, 12.1.4: width, height and how far its centre lies from the picture's, each as a fraction.
    """
    if data[4:8] != b"ftyp" or data[8:12] not in AVIF or data.count(b"clap", 0, 4096) != 1:
        return None
    with contextlib.suppress(struct.error, ZeroDivisionError):
        where = data.index(b"ispe")
        full = struct.unpack_from(">2I", data, where + 8)
        numbers = struct.unpack_from(">IIIIiIiI", data, data.index(b"clap") + 4)
        width, height, x, y = (Fraction(a, b) for a, b in zip(numbers[::2], numbers[1::2], strict=True))
        left, top = (full[0] - width) / 2 + x, (full[1] - height) / 2 + y
        box = round(left), round(top), round(left + width), round(top + height)
        if 0 <= box[0] < box[2] <= full[0] and 0 <= box[1] < box[3] <= full[1]:
            return box
    return None
