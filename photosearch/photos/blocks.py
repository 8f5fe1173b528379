"""What an opened image holds besides pixels: EXIF, XMP, IPTC and texts, found by Pillow, read by metadata/."""

import binascii
import contextlib
import os
import stat
from collections.abc import Mapping
from typing import Any

from PIL import Image

from photosearch.metadata.exif import GPS_TAGS, TAGS, read_exif
from photosearch.metadata.iptc import read_iptc
from photosearch.metadata.record import PhotoMetadata, clean_name, clean_text, merge
from photosearch.metadata.xmp import read_packet

EXIF_IFD, GPS_IFD = 0x8769, 0x8825  # CIPA DC-008, 4.6.3
XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG = 700, 33723, 34377  # of a TIFF
IPTC_RESOURCE = 0x0404  # of Photoshop's block
MAX_RESOURCES = 1000

NOTHING = PhotoMetadata()

_Info = Mapping[Any, object]  # Pillow's Image.info


def get_exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # a broken EXIF block must not lose the photo
        return Image.Exif()


def read_metadata(exif: Image.Exif, info: _Info) -> PhotoMetadata:
    """exif, info: of an opened image; their blocks may be damaged or malicious, and then count as far as they go."""
    found = []
    for read in (_read_xmp, _read_iptc, _read_exif, _read_texts):
        with contextlib.suppress(Exception):  # one broken block must not lose the photo, or the next block
            found.append(read(exif, info))
    return merge([record for record in found if record is not NOTHING])


def _read_exif(exif: Image.Exif, info: _Info) -> PhotoMetadata:
    if not exif:
        return NOTHING
    return read_exif(_get_tags(exif, None, TAGS), _get_tags(exif, EXIF_IFD, TAGS), _get_tags(exif, GPS_IFD, GPS_TAGS))


def _get_tags(exif: Image.Exif, directory: int | None, tags: tuple[int, ...]) -> dict[int, Any]:
    """Those that can be read: if one directory or tag is broken, the others may not be."""
    found = {}
    with contextlib.suppress(Exception):
        values: Mapping[int, Any] = exif if directory is None else exif.get_ifd(directory)
        for tag in tags:
            if tag in values:
                with contextlib.suppress(Exception):
                    if (value := values.get(tag)) is not None:
                        found[tag] = value
    return found


def _read_xmp(exif: Image.Exif, info: _Info) -> PhotoMetadata:
    block = info.get("xmp") or info.get("XML:com.adobe.xmp") or exif.get(XMP_TAG)
    if block is None and isinstance(raw := info.get("Raw profile type xmp"), str):
        block = _unpack_raw_profile(raw)
    data = block.encode(errors="replace") if isinstance(block, str) else block
    return read_packet(data) if isinstance(data, bytes) else NOTHING


def _read_iptc(exif: Image.Exif, info: _Info) -> PhotoMetadata:
    photoshop = info.get("photoshop")
    block = photoshop.get(IPTC_RESOURCE) if isinstance(photoshop, Mapping) else None
    # The bytes of the tag: programs call them 32-bit numbers, which Pillow would read as one (its getiptcinfo does so).
    tags: Mapping[int, object] = getattr(getattr(exif, "_info", None), "_tagdata", {})
    for tag in (IPTC_TAG, PHOTOSHOP_TAG):
        if block is None and isinstance(data := tags.get(tag), bytes):
            block = _find_iptc(data)
    if block is None and isinstance(raw := info.get("Raw profile type iptc"), str):
        block = _find_iptc(_unpack_raw_profile(raw))
    return read_iptc(block) if isinstance(block, bytes) else NOTHING


def _find_iptc(resources: bytes) -> bytes | None:
    """IPTC among Photoshop's resources: 8BIM, number, a padded name, length, padded value; or IPTC itself."""
    if not resources.startswith(b"8BIM"):
        return resources
    at = 0
    for _ in range(MAX_RESOURCES):
        if resources[at : at + 4] != b"8BIM" or at + 12 > len(resources):
            return None
        number, name = int.from_bytes(resources[at + 4 : at + 6], "big"), resources[at + 6]
        at += 6 + (name + 2) // 2 * 2
        length = int.from_bytes(resources[at : at + 4], "big")
        if number == IPTC_RESOURCE:
            return resources[at + 4 : at + 4 + length]
        at += 4 + (length + 1) // 2 * 2
    return None


def _unpack_raw_profile(text: str) -> bytes:
    """ImageMagick's in a PNG: a name, a length, and lines of hexadecimal digits."""
    return binascii.unhexlify("".join(text.strip().split("\n")[2:]))


def _read_texts(exif: Image.Exif, info: _Info) -> PhotoMetadata:
    """A PNG's; the keywords are the specification's."""
    title, caption = clean_name(info.get("Title")), clean_text(info.get("Description"))
    return PhotoMetadata(title=title, caption=caption) if title or caption else NOTHING


def read_file(path: str, max_bytes: int) -> bytes | None:
    """A file beside a photo; None where there is no such regular file, or it is longer. Never blocks on a pipe."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(fd, "rb", buffering=0) as file:
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode) and status.st_size <= max_bytes:
                return file.read(max_bytes + 1)
    return None
