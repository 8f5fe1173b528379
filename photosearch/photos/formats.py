"""Chooses a file's decoder by its first bytes, never by its name. Each is imported when first needed."""

import contextlib
import io
import math
import re
import struct
from fractions import Fraction
from typing import IO

from PIL import Image, UnidentifiedImageError

from photosearch.photos.walk import JXL

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF")  # and HEIF, JXL; an MPO starts like a JPEG
AVIF_BRANDS = (b"avif", b"avis")
AVIF_MAX_SIDE, AVIF_MAX_PIXELS = 32768, 16384**2  # libavif's own limits
JXL_SIGNATURES = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")  # ISO/IEC 18181-2: a bare codestream, and one in boxes
# Olympus's ORF, Panasonic's RW2, Fujifilm's RAF. A CR3 has a brand of its own; the others are TIFFs.
RAW_SIGNATURES = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW")
SUBFILE_TYPE, COMPRESSION = 254, 259  # TIFF tags
BITS, COLOUR, SAMPLE_FORMAT = 258, 262, 339
COLOURS, LAB, FLOAT, WEBP_COMPRESSION = {0: "grey", 1: "grey", 2: "RGB", 5: "CMYK", 6: "YCbCr", 8: "LAB"}, 8, 3, 50001
MAX_TAGS = 1000
PICTURE_BOXES = (b"mdat", b"jxlc", b"jxlp")
PENTAX_COMPRESSION = 65535  # of a PEF


def is_raw(data: bytes) -> bool:
    """Whether it is a camera's raw file: by its signature, or a TIFF whose first image is a preview."""
    if data.startswith(RAW_SIGNATURES) or data[4:12] == b"ftypcrx ":
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
    return data[8:10] == b"CR" or bool(long.get(SUBFILE_TYPE, 0) & 1) or short.get(COMPRESSION) == PENTAX_COMPRESSION


def read_raw_exif(data: bytes) -> Image.Exif:
    """The tags of a raw file that is built as a TIFF; empty for another, or a broken one."""
    exif = Image.Exif()
    order = {b"II": b"II*\0", b"MM": b"MM\0*"}.get(data[:2])
    if order is not None:
        with contextlib.suppress(Exception):  # as for other photos, a broken block doesn't lose the photo
            exif.load(order + data[4:])
    return exif


def describe_broken(data: bytes) -> str | None:
    """What is wrong with a file that its decoder refused, as far as its outer structure tells; else None."""
    if data.startswith(JXL_SIGNATURES):
        name = "JPEG XL"
    elif data[4:8] == b"ftyp":
        name = "AVIF" if data[8:12] in AVIF_BRANDS else "HEIC"
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        name = "WebP"
    else:
        return _describe_tiff(data)
    share = None if data.startswith(JXL_SIGNATURES[0]) else _measure_share(data)
    if share is not None:
        return f"a broken {name}: ends " + (f"after {math.floor(100 * share)} %" if share else "before its picture")
    return f"a broken {name}" if name == "JPEG XL" else None  # whose library names itself, not the fault


def _describe_tiff(data: bytes) -> str | None:
    """Of a TIFF that is not read: which kind it is, and what to do; None of any other file."""
    head = {b"II*\0": ("<", 4, "H", "HHI"), b"MM\0*": (">", 4, "H", "HHI"),
            b"II+\0": ("<", 8, "Q", "HHQ"), b"MM\0+": (">", 8, "Q", "HHQ")}.get(data[:4])  # fmt: skip
    if head is None:
        return None
    order, size, count, entry = head
    at = int.from_bytes(data[size : 2 * size], "little" if order == "<" else "big")
    tags = {}
    with contextlib.suppress(struct.error):
        (n,) = struct.unpack_from(order + count, data, at)
        width = struct.calcsize("=" + entry) + size
        for i in range(min(n, MAX_TAGS)):
            place = at + struct.calcsize("=" + count) + width * i
            tag, kind, values = struct.unpack_from(order + entry, data, place)
            place += width - size
            if values * (2 if kind == 3 else 4) > size:
                (place,) = struct.unpack_from(order + ("I" if size == 4 else "Q"), data, place)
            tags[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, place)[0]
    bits, compression = tags.get(BITS, 8), tags.get(COMPRESSION, 1)
    kind = (
        f"{bits}-bit {'float ' if tags.get(SAMPLE_FORMAT) == FLOAT else ''}{COLOURS.get(tags.get(COLOUR, 1), 'colour')}"
    )
    more = " compressed as WebP" if compression == WEBP_COMPRESSION else ""
    if (bits, tags.get(SAMPLE_FORMAT, 1), more) in ((8, 1, ""), (1, 1, "")) and tags.get(COLOUR) != LAB and size == 4:
        return None
    big = "Big" if size == 8 else ""
    return f"a {big}TIFF of a kind that is not read ({kind}{more}); convert it: magick IN.tif -depth 8 OUT.tif"


def _measure_share(data: bytes) -> float | None:
    """How much of a file is there, by the lengths that its boxes or its RIFF header give; None: all, or unknown.

    0 where it ends before its picture begins: how long that is stands nowhere yet.
    """
    if data[:4] == b"RIFF":
        end = 8 + int.from_bytes(data[4:8], "little")
        return len(data) / end if end > len(data) else None
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1 and at + 16 <= len(data):
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length < 8:  # 0: up to the end of the file
            return None
        if at + length > len(data):
            return len(data) / (at + length) if data[at + 4 : at + 8] in PICTURE_BOXES else 0
        at += length
    return None


def open_image(data: bytes) -> Image.Image:
    """Opened, not decoded. Raises what decoders raise; UnidentifiedImageError if the bytes are no photo."""
    return open_file(io.BytesIO(data))


def open_file(file: IO[bytes]) -> Image.Image:
    """The same of a file, of which most decoders read no more than they need."""
    file.seek(0)
    data = file.read(16)
    file.seek(0)
    formats: tuple[str, ...] = FORMATS
    if data[4:8] == b"ftyp" and data[8:12] not in AVIF_BRANDS:
        import pillow_heif  # 50 ms, and most libraries have no HEIC

        pillow_heif.register_heif_opener(thumbnails=True)
        formats = (*FORMATS, "HEIF")
    elif JXL and data.startswith(JXL_SIGNATURES):
        import pillow_jxl  # noqa: F401  it registers itself

        formats = ("JXL",)
    Image.MAX_IMAGE_PIXELS = None  # decode() checks the number of pixels itself, before decoding
    try:
        return Image.open(file, formats=formats)
    except UnidentifiedImageError:
        if data[4:8] == b"ftyp" and data[8:12] in AVIF_BRANDS:
            file.seek(0)
            width, height = _read_avif_size(file.read(4096))
            if max(width, height) > AVIF_MAX_SIDE or width * height > AVIF_MAX_PIXELS:
                limits = f"{AVIF_MAX_SIDE:,} a side and {AVIF_MAX_PIXELS:,} in all"
                raise OSError(f"{width}x{height} pixels, more than the AVIF decoder takes: {limits}") from None
            raise OSError("a broken AVIF file") from None
        raise


def _read_avif_size(head: bytes) -> tuple[int, int]:
    """The largest width and height that the head of an AVIF names; 0 where it names none."""
    found = (at.end() + 4 for at in re.finditer(b"ispe", head))
    sizes = [struct.unpack_from(">2I", head, start) for start in found if start + 8 <= len(head)]
    return max((w for w, _ in sizes), default=0), max((h for _, h in sizes), default=0)


def clean_aperture(data: bytes) -> tuple[int, int, int, int] | None:
    """The box of an AVIF to show, before it is turned: left, top, right, bottom; None for the whole image.

    ISO/IEC 14496-12, 12.1.4: width, height and the offset of the box's centre from the image's, each as a fraction.
    """
    if data[4:8] != b"ftyp" or data[8:12] not in AVIF_BRANDS or data.count(b"clap", 0, 4096) != 1:
        return None
    with contextlib.suppress(struct.error, ZeroDivisionError):
        full = struct.unpack_from(">2I", data, data.index(b"ispe") + 8)
        numbers = struct.unpack_from(">IIIIiIiI", data, data.index(b"clap") + 4)
        width, height, x, y = (Fraction(a, b) for a, b in zip(numbers[::2], numbers[1::2], strict=True))
        left, top = (full[0] - width) / 2 + x, (full[1] - height) / 2 + y
        box = round(left), round(top), round(left + width), round(top + height)
        if 0 <= box[0] < box[2] <= full[0] and 0 <= box[1] < box[3] <= full[1]:
            return box
    return None
