"""A file with all its pixels is opened whatever surrounds them; one that lacks some is not."""

import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from pictures import encoded, exif, reason
from PIL import Image, PngImagePlugin

from photosearch.photos.decode import Unreadable, ViewSpec, decode
from photosearch.photos.repair import repair

KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "all colours": {"subsampling": 0},
    "restarts": {"restart_marker_rows": 1},
    "optimised": {"optimize": True, "quality": 50},
}


def noise(size: tuple[int, int] = (120, 88), seed: int = 0) -> Image.Image:
    """Noise over a ramp: no two parts of it are alike."""
    grey = np.random.default_rng(seed).integers(0, 90, (size[1], size[0], 3))
    return Image.fromarray((grey + np.linspace(0, 160, size[0])[None, :, None]).astype(np.uint8))


def jpeg(image: Image.Image | None = None, **how: object) -> bytes:
    return encoded(image or noise(), format="JPEG", **{"quality": 85, **how})


def same(data: bytes, whole: bytes) -> bool:
    a, b = (decode(x, [ViewSpec(64), ViewSpec(24, "crop", 4)]) for x in (data, whole))
    assert (a.width, a.height, a.taken, a.fingerprint) == (b.width, b.height, b.taken, b.fingerprint)
    return all((x == y).all() for x, y in zip(a.views, b.views, strict=True))


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_repair_reads_complete_jpeg_whatever_follows(how, mode):
    whole = jpeg(noise().convert(mode), exif=exif(original="2019:07:20 11:22:33", orientation=6), **how)
    other = jpeg(noise(seed=1))
    open_end = whole[: whole.rindex(b"\xff\xd9")]
    mp4 = struct.pack(">I", 24) + b"ftypmp42" + bytes(5000)
    for trailer in (b"", b"\xff", b"\0\0\1\n" + other + b"SEFT", other, mp4, bytes(3), b"\0" * 70_000, b"SEFH" * 9):
        assert same(open_end + trailer, whole), trailer[:8]
        assert same(whole + trailer, whole), trailer[:8]


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
def test_repair_rejects_truncated_jpeg(how):
    whole = jpeg(**how)
    start, end = whole.index(b"\xff\xda"), whole.rindex(b"\xff\xd9")
    rng = random.Random(1)
    cuts = {end - 4, end - 10, end - 100, start, start + 3, *(rng.randrange(start, end - 4) for _ in range(60))}
    for cut in sorted(cuts):
        for trailer in (b"", jpeg(noise(seed=1))):
            if not whole[cut - 1 : cut + 1].startswith(b"\xff"):
                assert reason(whole[:cut] + trailer), (cut, end)


def test_repair_looks_for_no_scan_behind_what_is_no_segment():
    whole = jpeg()
    assert repair(whole, lambda image: None) is not None
    assert repair(whole[:2] + bytes(9) + whole[2:], lambda image: None) is None


def test_repair_rejects_progressive_jpeg_without_all_scans():
    whole = jpeg(progressive=True)
    scans = [i for i in range(len(whole)) if whole[i : i + 2] == b"\xff\xda"]
    assert len(scans) >= 8
    for scan in scans:
        assert reason(whole[:scan])


def chunk(kind: bytes, content: bytes, *, wrong: int = 0) -> bytes:
    crc = zlib.crc32(kind + content) ^ wrong
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def png(*chunks: bytes, behind: bool = False) -> bytes:
    """A PNG with these chunks before its pixels, or behind them."""
    data = encoded(noise(), format="PNG", exif=exif(original="2019:07:20 11:22:33"))
    at = len(data) - 12 if behind else data.index(b"IDAT") - 4
    return data[:at] + b"".join(chunks) + data[at:]


ZEROS = zlib.compress(bytes(2**26), 1)
TEXT = zlib.compress(b"a" * 1_500_000)
METADATA = {
    "much compressed text": chunk(b"zTXt", b"Comment\0\0" + TEXT),
    "much text in Unicode": chunk(b"iTXt", b"Comment\0\1\0\0\0" + TEXT),
    "64 MiB of text": chunk(b"zTXt", b"Comment\0\0" + ZEROS),
    "text that can't be unpacked": chunk(b"zTXt", b"Comment\0\0" + b"rubbish"),
    "a wrong checksum": chunk(b"tEXt", b"Comment\0hello", wrong=1),
    "a wrong checksum of EXIF": chunk(b"eXIf", b"II*\0rubbish", wrong=1),
    "a large profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(random.Random(0).randbytes(1_200_000))),
    "a profile that unpacks to 64 MiB": chunk(b"iCCP", b"icc\0\0" + ZEROS),
    "a profile that can't be unpacked": chunk(b"iCCP", b"icc\0\0rubbish"),
    "a palette histogram that is too short": chunk(b"hIST", b"\0"),
    "a gamma of no bytes": chunk(b"gAMA", b""),
    "a size of pixels that is none": chunk(b"pHYs", b"\0"),
    "an animation that isn't": chunk(b"acTL", b"\0"),
}


@pytest.mark.parametrize("what", METADATA)
@pytest.mark.parametrize("behind", [False, True])
def test_repair_drops_large_or_damaged_png_metadata(what, behind):
    data = png(METADATA[what], behind=behind)
    tracemalloc.start()
    try:
        assert same(data, png())
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_repair_drops_a_thousand_png_texts():
    texts = PngImagePlugin.PngInfo()
    for i in range(100):
        texts.add_text(f"key{i}", "a" * 900_000, zip=True)
    assert same(encoded(noise(), format="PNG", pnginfo=texts), encoded(noise(), format="PNG"))


def test_repair_rejects_png_with_damaged_pixels():
    data = png(METADATA["much compressed text"])
    at = data.index(b"IDAT")
    for cut in (at + 4, at + 100, len(data) - 400):
        with pytest.raises(Unreadable):
            decode(data[:cut], [ViewSpec(8)])
    broken = bytearray(data)
    broken[at + 1000] ^= 255
    with pytest.raises(Unreadable):
        decode(bytes(broken), [ViewSpec(8)])


def test_decode_opens_jpeg_with_nearly_all_rows_and_says_how_many():
    data = jpeg(noise((160, 1600)))
    start = data.index(b"\xff\xda")
    for share, there in ((0.995, 99), (0.97, 97)):
        opened = decode(data[: start + int(share * (len(data) - start))], [ViewSpec(32)])
        assert opened.damage in [f"damaged: {there - off} % of the picture is there" for off in range(3)]
        assert opened.height == 1600
    assert decode(data, [ViewSpec(32)]).damage is None
    assert decode(data[:-2], [ViewSpec(32)]).damage is None, "its end marker alone is missing"


def test_decode_says_how_much_of_a_cut_jpeg_is_there():
    data = jpeg(noise((160, 1600)))
    for share in (0.9, 0.5):
        percent = int(reason(data[: int(share * len(data))]).removeprefix("a broken JPEG: ").split()[0])
        assert 100 * share - 5 < percent <= 100 * share
