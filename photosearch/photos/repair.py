"""Repairs files that contain a whole image but can't be opened, by fixing or removing what surrounds the image.

Tried only after a decoder has failed, so that it costs other photos nothing. Works on bytes and lets the decoder judge:
of a JPEG that is cut, nearly all pixels must be there.
"""

import io
import math
import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from blake3 import blake3
from PIL import Image

MIN_SHARE = 0.95  # of the rows of a JPEG that is cut

END = b"\xff\xd9"
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)  # within a scan, all but restart markers
STANDALONE_MARKERS = {0x01, *range(0xD0, 0xD9)}  # markers without a length
START_OF_SCAN, START_OF_FRAME = 0xDA, {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
TAIL_BYTES = 4096  # of made-up data behind the end
ROWS = 16  # of pixels that are hashed at once: a row of blocks

PNG = b"\x89PNG\r\n\x1a\n"
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
MAX_METADATA_BYTES = {b"eXIf": 2**20, b"iCCP": 2**20, b"iTXt": 2**20}  # other chunks that are kept, up to this size


class TooLittle(Exception):
    """A JPEG is cut, and this share of its rows is there."""

    def __init__(self, share: float):
        super().__init__(f"a broken JPEG: {math.floor(100 * share)} % of the picture is there")


def repair(data: bytes, check: Callable[[Image.Image], None]) -> tuple[bytes, float] | None:
    """(a file that its decoder accepts, the share of its picture that is there), or None if it is neither JPEG nor PNG,
    or lacks whole scans. Raises TooLittle below MIN_SHARE.

    check: called with the opened image; may raise, e.g. where it takes too much memory at full size.
    """
    if data.startswith(b"\xff\xd8"):
        return _repair_jpeg(data, check)
    return (_repair_png(data), 1.0) if data.startswith(PNG) else None


def _repair_jpeg(data: bytes, check: Callable[[Image.Image], None]) -> tuple[bytes, float] | None:
    """The data up to the end of the image, and an end marker, for JPEGs that lack one.

    Whether the image is complete is tested by decoding it with different data appended: the pixels differ if any were
    missing. A progressive one must also have all bits of all coefficients.
    """
    end = _find_end(data)
    if end is None:
        return None
    noise = random.Random(end).randbytes(TAIL_BYTES).replace(b"\xff", b"\xfe")
    tails = (b"", b"\xaa" * TAIL_BYTES, noise)
    same = [
        len(set(hashes)) == 1 for hashes in zip(*(_hash_rows(data[:end] + t + END, check) for t in tails), strict=True)
    ]
    share = (same.index(False) if False in same else len(same)) / len(same)
    if share < MIN_SHARE:
        raise TooLittle(share)
    return data[:end] + END, share


def _find_end(data: bytes) -> int | None:
    """Where the first image's last scan ends; None if it has none, or lacks whole scans."""
    at, end = 2, None
    missing: dict[int, int] = {}  # component of a progressive JPEG -> a bit for each coefficient not yet complete
    while (found := MARKER.search(data, at)) is not None and (end is not None or found.start() == at):
        marker, at = found[1][0], found.end()
        if marker in STANDALONE_MARKERS or marker == END[1] or at + 2 > len(data):
            break
        (length,) = struct.unpack_from(">H", data, at)
        part = data[at + 2 : at + length]
        at += length
        if marker in START_OF_FRAME and len(part) >= 6:
            missing = dict.fromkeys(part[6 : 6 + 3 * part[5] : 3], 2**64 - 1) if marker in PROGRESSIVE else {}
        if marker == START_OF_SCAN and len(part) >= 4 + 2 * part[0]:
            first, last, low = part[-3], part[-2], part[-1] & 15
            for component in part[1 : 1 + 2 * part[0] : 2]:
                if low == 0 and component in missing:
                    missing[component] &= ~(2 ** (last + 1) - 2**first)
            stop = MARKER.search(data, at)
            at = end = len(data.rstrip(b"\xff")) if stop is None else stop.start()
    return None if any(missing.values()) else end


def _hash_rows(jpeg: bytes, check: Callable[[Image.Image], None]) -> Iterator[bytes]:
    """A hash for each ROWS rows of pixels at full size. Raises what decoders raise."""
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        check(image)
        for top in range(0, image.height, ROWS):
            yield blake3(image.crop((0, top, image.width, min(top + ROWS, image.height))).tobytes()).digest()


def _repair_png(data: bytes) -> bytes:
    """The same image without its text, and without other metadata that is large or damaged."""
    parts, at = [PNG], len(PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if kind in PIXEL_CHUNKS or (
            length <= MAX_METADATA_BYTES.get(kind, -1) and _is_intact(kind, data[at + 4 : end])
        ):
            parts.append(data[at:end])
        at = end
    return b"".join([*parts, data[at:]])


def _is_intact(kind: bytes, chunk: bytes) -> bool:
    """Whether a chunk (its kind, content and checksum) is undamaged, and small when decompressed."""
    content = chunk[4:-4]
    if zlib.crc32(chunk[:-4]) != int.from_bytes(chunk[-4:], "big"):
        return False
    if kind == b"iTXt":
        return content.startswith(b"XML:com.adobe.xmp\0\0")  # not compressed
    if kind != b"iCCP":
        return True
    decompressor = zlib.decompressobj()
    try:
        decompressor.decompress(content.partition(b"\0")[2][1:], MAX_METADATA_BYTES[kind])
    except zlib.error:
        return False
    return decompressor.eof
