"""Files that hold a whole picture and yet can't be opened: what stands around the picture is put right, or left out.

Only asked once a decoder has given up, so that it costs other photos nothing. Works on bytes and lets a decoder judge:
a picture that is really cut stays unreadable.
"""

import io
import random
import re
import struct
import zlib
from collections.abc import Callable

from blake3 import blake3
from PIL import Image

END = b"\xff\xd9"
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)  # in a scan's data, all but the restarts
STANDALONE_MARKERS = {0x01, *range(0xD0, 0xD9)}  # markers that no length follows
STARTS_SCAN, STARTS_FRAME = 0xDA, {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
TAIL = 4096  # bytes that stand for what may be missing
ROWS = 256  # of pixels that are compared at once

PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # the chunks that the pixels need
SMALL = {b"eXIf": 2**20, b"iCCP": 2**20, b"iTXt": 2**20}  # what is kept beside them, and up to how many bytes


def repair(data: bytes, check: Callable[[Image.Image], None]) -> bytes | None:
    """The file as its decoder wants it, or None where it is no JPEG or PNG, or its picture is not whole.

    check: raises what it likes where an opened picture takes too much memory at its full size.
    """
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data, check)
    return _png(data) if data.startswith(PNG) else None


def _jpeg(data: bytes, check: Callable[[Image.Image], None]) -> bytes | None:
    """Up to where the picture's data ends, and an end mark: for JPEGs without one, whatever follows them.

    Whether the picture is whole is found out by decoding it with different bits behind what is there: they show where
    some were missing. Of a progressive one, every part of every coefficient must also have been sent.
    """
    end = _end_of_picture(data)
    if end is None:
        return None
    ones = random.Random(end).randbytes(TAIL).replace(b"\xff", b"\xfe")
    prints = {_pixels(data[:end] + tail + END, check) for tail in (b"", b"\xaa" * TAIL, ones)}
    return data[:end] + END if len(prints) == 1 else None


def _end_of_picture(data: bytes) -> int | None:
    """Where the first picture's last scan ends; None where it has none, or where whole scans are missing."""
    at, end = 2, None
    left: dict[int, int] = {}  # component of a progressive JPEG -> its coefficients that have not come in full, as bits
    while (found := MARKER.search(data, at)) is not None and (end is not None or found.start() == at):
        marker, at = found[1][0], found.end()
        if marker in STANDALONE_MARKERS or marker == END[1] or at + 2 > len(data):
            break
        (length,) = struct.unpack_from(">H", data, at)
        part = data[at + 2 : at + length]
        at += length
        if marker in STARTS_FRAME and len(part) >= 6:
            left = dict.fromkeys(part[6 : 6 + 3 * part[5] : 3], 2**64 - 1) if marker in PROGRESSIVE else {}
        if marker == STARTS_SCAN and len(part) >= 4 + 2 * part[0]:
            first, last, low = part[-3], part[-2], part[-1] & 15
            for component in part[1 : 1 + 2 * part[0] : 2]:
                if low == 0 and component in left:
                    left[component] &= ~(2 ** (last + 1) - 2**first)
            stop = MARKER.search(data, at)
            at = end = len(data.rstrip(b"\xff")) if stop is None else stop.start()
    return None if any(left.values()) else end


def _pixels(jpeg: bytes, check: Callable[[Image.Image], None]) -> bytes:
    """A hash of all pixels at full size. Raises what decoders raise."""
    seen = blake3()
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        check(image)
        for top in range(0, image.height, ROWS):
            seen.update(image.crop((0, top, image.width, min(top + ROWS, image.height))).tobytes())
    return seen.digest()


def _png(data: bytes) -> bytes:
    """The same picture without its text, and without other metadata that is large or damaged."""
    parts, at = [PNG], len(PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if kind in PICTURE or (length <= SMALL.get(kind, -1) and _is_sound(kind, data[at + 4 : end])):
            parts.append(data[at:end])
        at = end
    return b"".join([*parts, data[at:]])


def _is_sound(kind: bytes, chunk: bytes) -> bool:
    """Whether a chunk (its kind, content and checksum) is undamaged, and small when it is unpacked."""
    content = chunk[4:-4]
    if zlib.crc32(chunk[:-4]) != int.from_bytes(chunk[-4:], "big"):
        return False
    if kind == b"iTXt":
        return content.startswith(b"XML:com.adobe.xmp\0\0")  # not compressed
    if kind != b"iCCP":
        return True
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(content.partition(b"\0")[2][1:], SMALL[kind])
    except zlib.error:
        return False
    return unpacking.eof
