"""Raw files and their previews: a DNG written tag by tag, following the DNG specification."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from photosearch.photos import decode, formats, walk
from photosearch.photos.decode import Unreadable, ViewSpec

RED, GREY = (200, 30, 30), 8000
BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL = 1, 2, 3, 4, 5, 10
FORMATS = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "II", SRATIONAL: "ii"}
SECOND, PREVIEW = 2048, 4096  # where the second directory and the preview lie


def directory(order, at, tags):
    """tags: (tag, type, values); what is longer than 4 bytes follows the directory."""
    entries, after = b"", b""
    for tag, kind, values in sorted(tags):
        if kind == ASCII:
            packed, n = values + b"\0", len(values) + 1
        else:
            flat = [v if isinstance(v, tuple) else (v,) for v in values]
            packed, n = b"".join(struct.pack(order + FORMATS[kind], *v) for v in flat), len(values)
        if len(packed) > 4:
            where = at + 2 + 12 * len(tags) + 4 + len(after)
            after += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(order + "I", where)
        entries += struct.pack(order + "HHI", tag, kind, n) + packed.ljust(4, b"\0")
    return struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", 0) + after


def dng(preview=(640, 480), orientation=6, sensor=(64, 48), order="<"):
    out = io.BytesIO()
    Image.new("RGB", preview, RED).save(out, "JPEG")
    jpeg = out.getvalue().ljust((len(out.getvalue()) + 1) // 2 * 2, b"\0")
    (w, h), (sw, sh) = preview, sensor
    first = [
        (254, LONG, [1]), (256, LONG, [w]), (257, LONG, [h]), (258, SHORT, [8, 8, 8]), (259, SHORT, [7]),
        (262, SHORT, [6]), (271, ASCII, b"Made"), (272, ASCII, b"Up"), (273, LONG, [PREVIEW]),
        (274, SHORT, [orientation]), (277, SHORT, [3]), (278, LONG, [h]), (279, LONG, [len(jpeg)]),
        (306, ASCII, b"2026:01:02 03:04:05"), (330, LONG, [SECOND]), (50706, BYTE, [1, 4, 0, 0]),
        (50707, BYTE, [1, 1, 0, 0]), (50708, ASCII, b"Made Up"),
        (50721, SRATIONAL, [(int(i % 4 == 0), 1) for i in range(9)]), (50728, RATIONAL, [(1, 1)] * 3),
        (50778, SHORT, [21]),
    ]  # fmt: skip
    second = [
        (254, LONG, [0]), (256, LONG, [sw]), (257, LONG, [sh]), (258, SHORT, [16]), (259, SHORT, [1]),
        (262, SHORT, [32803]), (273, LONG, [PREVIEW + len(jpeg)]), (277, SHORT, [1]), (278, LONG, [sh]),
        (279, LONG, [2 * sw * sh]), (33421, SHORT, [2, 2]), (33422, BYTE, [0, 1, 1, 2]), (50717, LONG, [65535]),
    ]  # fmt: skip
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8) + directory(order, 8, first)
    head = head.ljust(SECOND, b"\0") + directory(order, SECOND, second)
    return head.ljust(PREVIEW, b"\0") + jpeg + np.full(sw * sh, GREY, order + "u2").tobytes()


@pytest.fixture
def rawpy():
    return pytest.importorskip("rawpy", reason="needs the extra raw: pip install 'photosearch[raw]'")


@pytest.mark.parametrize("order", ["<", ">"])
def test_decode_uses_upright_preview_and_date_of_raw_file(rawpy, order):
    opened = decode.decode(dng(order=order), [ViewSpec(32)])
    assert (opened.width, opened.height, opened.taken) == (480, 640, "2026-01-02T03:04:05")
    assert abs(opened.views[0].astype(int) - RED).max() <= 3


def test_decode_turns_raw_preview_once(rawpy):
    wide = decode.decode(dng(orientation=1), [ViewSpec(32)])
    assert (wide.width, wide.height) == (640, 480)


def test_decode_develops_raw_file_with_small_preview(rawpy):
    opened = decode.decode(dng(preview=(16, 12), sensor=(640, 480)), [ViewSpec(32)])
    assert (opened.width, opened.height) == (240, 320)  # at half size
    red, green, blue = opened.views[0].reshape(-1, 3).mean(0)
    assert abs(red - blue) < 40  # grey, and not the preview's red
    assert green > 20


def test_decode_rejects_raw_file_with_too_many_pixels(rawpy):
    with pytest.raises(Unreadable, match="640x480 pixels, more than the limit of 1,000"):
        decode.decode(dng(preview=(16, 12), sensor=(640, 480)), [ViewSpec(32)], max_pixels=1000)


def test_decode_names_broken_raw_file(rawpy):
    whole = dng(sensor=(640, 480))
    with pytest.raises(Unreadable):
        decode.decode(whole[:2048], [ViewSpec(32)])
    with pytest.raises(Unreadable):
        decode.decode(b"II*\0\x10\0\0\0CR\x02\0" + bytes(100), [ViewSpec(32)])


def test_walk_finds_raw_files_if_rawpy_is_installed(rawpy):
    assert {".dng", ".cr2", ".nef", ".arw"}.issubset(walk.EXTENSIONS)


def test_is_raw_rejects_ordinary_tiff():
    out = io.BytesIO()
    Image.new("RGB", (64, 48), RED).save(out, "TIFF")
    assert [formats.is_raw(data) for data in (out.getvalue(), dng(), b"II*\0", b"", b"MM\0*\xff\xff\xff\xff")] == [
        False, True, False, False, False,
    ]  # fmt: skip


def test_is_raw_recognises_signatures_of_cameras():
    pef = b"MM\0*\0\0\0\x08" + struct.pack(">H", 1) + struct.pack(">HHIHH", 259, SHORT, 1, 65535, 0)
    begins = [b"IIRO\x08\0", b"IIRS\x08\0", b"MMOR\0\0", b"IIU\0\x18\0", b"FUJIFILMCCD-RAW 0201", pef,
              b"\0\0\0\x18ftypcrx \0\0\0\1"]  # fmt: skip
    assert [formats.is_raw(data) for data in begins] == [True] * len(begins)
    assert not formats.is_raw(b"\0\0\0\x18ftypheic\0\0\0\1")


def test_decode_names_file_with_raw_signature_alone(rawpy):
    for begin in (b"IIRO\x08\0\0\0", b"FUJIFILMCCD-RAW 0201", b"\0\0\0\x18ftypcrx \0\0\0\1"):
        with pytest.raises(Unreadable, match="LibRaw can't open this raw file"):
            decode.decode(begin.ljust(500, b"\0"), [ViewSpec(8)])


def test_decode_does_not_enlarge_narrow_raw_preview(rawpy):
    opened = decode.decode(dng(preview=(640, 20), sensor=(640, 480), orientation=1), [ViewSpec(32)])
    assert (opened.width, opened.height) == (320, 240)


@pytest.mark.parametrize("orientation", [1, 6])
def test_decode_refuses_raw_file_that_lacks_its_pixels(rawpy, orientation):
    data = dng(preview=(16, 12), sensor=(640, 480), orientation=orientation)
    for percent in (0, 40, 90):
        cut = data[: len(data) - 2 * 640 * 480 * (100 - percent) // 100]
        with pytest.raises(Unreadable, match="lacks its pixels: the raw file is cut, or damaged"):
            decode.decode(cut, [ViewSpec(32)])
        with pytest.raises(Unreadable, match=f"lacks its pixels: the raw image ends after {percent} %"):
            decode.decode(cut.ljust(len(data), b"\0"), [ViewSpec(32)])
    assert decode.decode(data[:-20_000].ljust(len(data), b"\0"), [ViewSpec(32)]), "97 % are enough"


def test_decode_dates_raw_file_without_usable_preview(rawpy):
    for order in "<>":
        opened = decode.decode(dng(preview=(16, 12), sensor=(640, 480), order=order), [ViewSpec(32)])
        assert (opened.taken, opened.taken_from) == ("2026-01-02T03:04:05", "DateTime")
