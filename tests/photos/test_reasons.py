"""Reasons are for the photo's owner: one plain line, whatever the decoder's own message is."""

import io
import random
import re
import struct

import pytest
from PIL import Image
from test_raw import dng

from photosearch.photos import decode
from photosearch.photos.decode import Unreadable

OPENERS = {"JXL": "pillow_jxl", "HEIF": "pillow_heif"}
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", *OPENERS, "DNG")
FOR_PROGRAMMERS = re.compile(r"b'|b\"|[Bb]uild|`|stderr|decoder object|debug|0x|\n|Error\b")


def encode(name: str) -> bytes:
    if name == "DNG":
        pytest.importorskip("rawpy")
        return dng(preview=(16, 12), sensor=(320, 240))
    if name in OPENERS:
        opener = pytest.importorskip(OPENERS[name])
        if name == "HEIF":
            opener.register_heif_opener()
    out = io.BytesIO()
    Image.effect_noise((300, 200), 80).convert("RGB").save(out, name)
    return out.getvalue()


def find_reason(data: bytes) -> str | None:
    try:
        decode.decode(data, [decode.ViewSpec(32)])
    except Unreadable as error:
        return error.reason
    return None


@pytest.mark.filterwarnings("ignore")  # the decoders' own, about the damage
@pytest.mark.parametrize("name", FORMATS)
def test_reason_of_a_broken_photo_is_plain(name: str) -> None:
    whole, rng = encode(name), random.Random(name)
    reasons = set()
    for i in range(40):
        data = bytearray(whole[: len(whole) * i // 40] if i % 2 else whole)
        for _ in range(0 if i % 2 else 3):
            start = rng.randrange(len(data))
            data[start : start + 20] = rng.randbytes(20)
        reasons.add(find_reason(bytes(data) or b"\0"))
    assert [reason for reason in reasons if reason and (FOR_PROGRAMMERS.search(reason) or len(reason) > 120)] == []
    assert reasons - {None}


@pytest.mark.parametrize(("width", "height"), [(40_000, 10), (10, 40_000), (20_000, 20_000)])
def test_avif_beyond_its_decoders_limits_is_too_large_not_broken(width: int, height: int) -> None:
    data = bytearray(encode("AVIF"))
    struct.pack_into(">2I", data, data.index(b"ispe") + 8, width, height)
    assert str(find_reason(bytes(data))).startswith(f"{width}x{height} pixels, more than the AVIF decoder takes")
    assert find_reason(encode("AVIF")[:100]) == "a broken AVIF: ends before its picture"


def test_raw_file_that_is_cut_says_so() -> None:
    whole = encode("DNG")
    assert find_reason(whole[: len(whole) // 2]) == "lacks its pixels: the raw file is cut, or damaged"
