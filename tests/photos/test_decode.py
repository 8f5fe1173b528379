"""Bytes to pixels: upright, in every format, for several networks at once; and why a photo could not be opened."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import HELD, WRITTEN, T, encoded, exif, far, reason, scene
from PIL import Image
from toy import photo

from photosearch.photos import decode as decoding
from photosearch.photos import fingerprint, formats, original
from photosearch.photos.decode import TooLarge, Unreadable, ViewSpec, cut_parts, decode, make_views

# ---- formats


@pytest.mark.parametrize("name", WRITTEN)
def test_decode_gives_same_image_for_every_format(name):
    opened = decode(encoded(scene(), **WRITTEN[name]), [ViewSpec(16)])
    assert (opened.width, opened.height, opened.taken) == (160, 96, None)
    assert far(opened.views[0], make_views(scene(), 16)) < 4


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("name", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_decode_applies_every_exif_orientation(name, orientation):
    held = HELD.get(orientation)  # 0 and 9 mean nothing, and turn nothing
    stored = scene() if held is None else scene().transpose(held)
    opened = decode(encoded(stored, **WRITTEN[name], exif=exif(orientation=orientation)), [ViewSpec(16)])
    assert (opened.width, opened.height) == (160, 96)
    assert far(opened.views[0], make_views(scene(), 16)) < 4


@pytest.mark.parametrize("scenery", ["Landscape", "Portrait"])
def test_decode_turns_published_orientation_examples_upright(data, scenery):
    folder = data("exif-orientation") / "exif-orientation"
    opened = [decode((folder / f"{scenery}_{o}.jpg").read_bytes(), [ViewSpec(64)]) for o in range(9)]
    assert len({(o.width, o.height) for o in opened}) == 1
    for other in opened[1:]:
        apart = np.abs(other.views[0].astype(int) - opened[0].views[0])
        apart[:, 24:40, 24:40] = 0  # the number of the orientation is written there
        assert apart.mean() < 1


def test_decode_uses_first_image_of_file_with_several():
    red, blue = (Image.new("RGB", (20, 10), c) for c in ((255, 0, 0), (0, 0, 255)))
    for how in ({"format": "GIF"}, {"format": "TIFF"}, {"format": "PNG"}, {"format": "WEBP", "lossless": True},
                {"format": "AVIF", "quality": 100}, {"format": "HEIF", "quality": 100}, {"format": "MPO"}):  # fmt: skip
        opened = decode(encoded(red, **how, save_all=True, append_images=[blue]), [ViewSpec(8)])
        assert (opened.width, opened.height, *opened.views[0][0, 4, 4] // 250) == (20, 10, 1, 0, 0), how


def test_decode_ignores_file_name(tmp_path):
    photo(tmp_path / "a.png", "blue").rename(tmp_path / "a.jpg")
    assert decode(decoding.read(str(tmp_path / "a.jpg")), [ViewSpec(8)]).views[0][0, 0, 0].tolist() == [0, 0, 255]


def filled(mode: str, colour: object, **how: object) -> bytes:
    return encoded(Image.new(mode, (8, 8), colour), **how)


def gray16(value: int, **how: object) -> bytes:
    return encoded(Image.fromarray(np.full((8, 8), value, np.uint16)), **how)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(filled("1", 1, format="PNG"), (255, 255, 255), id="one bit"),
        pytest.param(filled("L", 70, format="PNG"), (70, 70, 70), id="gray"),
        pytest.param(filled("L", 70, format="JPEG"), (70, 70, 70), id="gray JPEG"),
        pytest.param(gray16(65535, format="PNG"), (255, 255, 255), id="16 bits"),
        pytest.param(gray16(257 * 70, format="PNG"), (70, 70, 70), id="16 bits, dark"),
        pytest.param(gray16(257 * 70, format="TIFF"), (70, 70, 70), id="16 bits TIFF"),
        pytest.param(filled("I", 257 * 70, format="TIFF"), (70, 70, 70), id="32 bits TIFF"),
        pytest.param(filled("F", 0.25, format="TIFF"), (255, 255, 255), id="floats, by their largest"),
        pytest.param(filled("P", 0, format="PNG"), (0, 0, 0), id="palette"),
        pytest.param(filled("CMYK", (0, 255, 255, 0), format="JPEG"), (255, 0, 0), id="CMYK JPEG"),
        pytest.param(filled("CMYK", (0, 255, 255, 0), format="TIFF"), (255, 0, 0), id="CMYK TIFF"),
        pytest.param(filled("YCbCr", (76, 85, 255), format="TIFF"), (255, 0, 0), id="YCbCr TIFF"),
        pytest.param(filled("LA", (0, 0), format="PNG"), (255, 255, 255), id="transparent gray"),
        pytest.param(filled("RGBA", (255, 0, 0, 0), format="PNG"), (255, 255, 255), id="transparent PNG"),
        pytest.param(filled("RGBA", (255, 0, 0, 128), format="PNG"), (255, 127, 127), id="half transparent PNG"),
        pytest.param(
            filled("RGBA", (0, 0, 0, 0), format="WEBP", lossless=True), (255, 255, 255), id="transparent WebP"
        ),
        pytest.param(filled("RGBA", (0, 0, 0, 0), format="AVIF"), (255, 255, 255), id="transparent AVIF"),
        pytest.param(filled("RGBA", (0, 0, 0, 0), format="HEIF"), (255, 255, 255), id="transparent HEIC"),
        pytest.param(filled("RGBA", (0, 0, 0, 0), format="TIFF"), (255, 255, 255), id="transparent TIFF"),
        pytest.param(filled("L", 0, format="PNG", transparency=0), (255, 255, 255), id="a transparent gray"),
        pytest.param(filled("P", 0, format="PNG", transparency=0), (255, 255, 255), id="a transparent palette entry"),
        pytest.param(filled("P", 0, format="GIF", transparency=0), (255, 255, 255), id="a transparent GIF"),
        pytest.param(filled("RGB", (1, 2, 3), format="PNG", transparency=(1, 2, 3)), (255, 255, 255), id="a colour"),
        pytest.param(encoded(Image.new("RGB", (1, 1), (1, 2, 3)), format="PNG"), (1, 2, 3), id="1x1"),
        pytest.param(encoded(Image.new("RGB", (1, 9000), (1, 2, 3)), format="PNG"), (1, 2, 3), id="1x9000"),
    ],
)
def test_decode_converts_any_mode_and_blends_transparency_with_white(data, expected):
    opened = decode(data, [ViewSpec(4, tiles=4)])
    assert np.abs(opened.views[0].astype(int) - expected).max() <= 2


def test_decode_keeps_range_of_sixteen_bits():
    ramp = np.repeat(np.linspace(0, 65535, 256).astype(np.uint16)[None], 256, axis=0)
    opened = decode(encoded(Image.fromarray(ramp), format="PNG"), [ViewSpec(256)])
    assert opened.views[0][0, 0, :, 0].tolist() == list(range(256))


# ---- views


def test_decode_gives_255_for_white_photo():
    assert make_views(Image.new("RGB", (300, 200), (255, 255, 255)), 8, tiles=9).min() == 255


def test_make_views_squashes_whole_photo_or_crops_middle_square():
    image = Image.new("RGB", (300, 100), (0, 0, 255))
    image.paste((255, 0, 0), (100, 0, 200, 100))
    squashed, cropped = make_views(image, 30, fit="squash")[0], make_views(image, 30, fit="crop")[0]
    assert [squashed[15, x].tolist() for x in (3, 15, 27)] == [[0, 0, 255], [255, 0, 0], [0, 0, 255]]
    assert (cropped == (255, 0, 0)).all()


@pytest.mark.parametrize(("tiles", "grid"), [(4, 2), (9, 3), (16, 4)])
def test_make_views_orders_overlapping_tiles_row_by_row(tiles, grid):
    size = (grid + 1) * 16  # so that a tile is 32 pixels wide and begins at a multiple of 16
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    image = Image.fromarray(np.stack([x, y, 0 * x], axis=2).astype(np.uint8))
    given = make_views(image, 32, tiles=tiles)
    assert given.shape == (1 + tiles, 32, 32, 3)
    corners = [(top * 16, left * 16) for top in range(grid) for left in range(grid)]
    expected = [np.asarray(image)[top : top + 32, left : left + 32] for top, left in corners]
    assert (given[1:] == np.stack(expected)).all()


@pytest.mark.parametrize("tiles", [1, 2, 3, 5, -4])
def test_make_views_rejects_number_of_tiles_that_is_no_grid(tiles):
    with pytest.raises(ValueError, match="tiles must be"):
        make_views(scene(), 8, tiles=tiles)


@pytest.mark.parametrize(("tiles", "decoded"), [(0, (200, 120)), (4, (400, 240)), (9, (400, 240))])
def test_decode_scales_large_jpeg_never_below_wanted_size(monkeypatch, tiles, decoded):
    sizes = []
    monkeypatch.setattr(decoding, "cut_parts", lambda image, *a: (sizes.append(image.size), cut_parts(image, *a))[1])
    data = encoded(scene((1600, 960)), format="JPEG", quality=95)
    opened = decode(data, [ViewSpec(100, tiles=tiles)])
    assert (opened.width, opened.height, sizes) == (1600, 960, [decoded])
    assert far(opened.views[0], make_views(scene((1600, 960)), 100, tiles=tiles)) < 2


def test_decode_turns_large_jpeg_after_scaling():
    held = scene((1600, 960)).transpose(T.ROTATE_90)
    opened = decode(encoded(held, format="JPEG", quality=95, exif=exif(orientation=6)), [ViewSpec(64)])
    assert (opened.width, opened.height) == (1600, 960)
    assert far(opened.views[0], make_views(scene(), 64)) < 2


# ---- several needs


def test_decode_serves_all_views_at_scale_of_largest(monkeypatch):
    sizes = []
    monkeypatch.setattr(decoding, "cut_parts", lambda image, *a: (sizes.append(image.size), cut_parts(image, *a))[1])
    image = scene((1600, 960))
    needs = [ViewSpec(32), ViewSpec(100, "crop"), ViewSpec(64, tiles=9)]
    opened = decode(encoded(image, format="JPEG", quality=95), needs)
    assert sizes == [(400, 240)] * 3  # half of this would do for 100, and not for the tiles of 64: 128
    assert [v.shape for v in opened.views] == [(1, 32, 32, 3), (1, 100, 100, 3), (10, 64, 64, 3)]
    for need, seen in zip(needs, opened.views, strict=True):
        assert far(seen, make_views(image, need.size, fit=need.fit, tiles=need.tiles)) < 2


def soft(size: tuple[int, int]) -> Image.Image:
    """Patches of random colours that pass into each other."""
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)).resize(size)


@pytest.mark.slow
def test_fingerprint_survives_size_and_format_but_not_rotation():
    photo = soft((800, 600))
    prints = [decode(encoded(photo.resize((400, 300)), **how), [ViewSpec(16)]).fingerprint for how in WRITTEN.values()]
    prints.append(decode(encoded(photo, format="JPEG", quality=30), [ViewSpec(128, tiles=9)]).fingerprint)
    assert all(0 < print < 2**64 for print in prints)
    assert max((print ^ prints[0]).bit_count() for print in prints) <= 6
    turned = photo.transpose(T.ROTATE_90)
    aside = decode(encoded(turned, format="JPEG"), [ViewSpec(16)]).fingerprint
    assert (aside ^ prints[0]).bit_count() > 16
    upright = decode(encoded(turned, format="JPEG", exif=exif(orientation=6)), [ViewSpec(16)]).fingerprint
    assert (upright ^ prints[0]).bit_count() <= 6
    plain = decode(encoded(Image.new("RGB", (80, 60), (90, 120, 7)), format="JPEG"), [ViewSpec(16)])
    assert plain.fingerprint == fingerprint.PLAIN


@pytest.mark.slow
@pytest.mark.parametrize(
    "needs", [[], [ViewSpec(32)], [ViewSpec(224)], [ViewSpec(260, "crop")], [ViewSpec(40), ViewSpec(260, tiles=9)]]
)
def test_fingerprint_hardly_depends_on_the_views(needs):
    """A library that one model indexed in part, and another the rest, still finds its duplicates."""
    photo = soft((1600, 1200))
    for data in (encoded(photo, format="JPEG", quality=90), encoded(photo, format="PNG")):
        found = decode(data, needs).fingerprint
        assert (found ^ fingerprint.fingerprint(photo)).bit_count() <= 2


# ---- damaged metadata


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("block", [b"", b"garbage", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff\x12\x01"])
@pytest.mark.parametrize("name", ["jpg", "png", "webp", "heic"])
def test_decode_ignores_broken_exif(name, block):
    opened = decode(encoded(scene(), **WRITTEN[name], exif=b"Exif\0\0" + block), [ViewSpec(16)])
    assert (opened.width, opened.height, opened.taken) == (160, 96, None)
    assert far(opened.views[0], make_views(scene(), 16)) < 4


# ---- what can't be opened


def test_decode_gives_reason_for_file_that_is_no_photo():
    assert reason(b"hello, this is a text file that somebody renamed") == "not a photo in a known format"
    assert reason(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom") == "not a photo in a known format"


@pytest.mark.parametrize("name", WRITTEN)
def test_decode_gives_reason_for_truncated_photo(name):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    data = encoded(noise, **WRITTEN[name])
    assert reason(data[: len(data) // 2])


def test_decode_rejects_too_many_pixels_before_decoding():
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    assert reason(data, max_pixels=1_000_000) == "30000x30000 pixels, more than the limit of 1,000,000"


JPEG, PROGRESSIVE = {"format": "JPEG"}, {"format": "JPEG", "progressive": True}


@pytest.mark.parametrize(
    ("how", "mode", "takes"),
    [
        (JPEG, "RGB", 270_000),  # at an eighth of its scale, 9 bytes a pixel
        (JPEG, "L", 300_000),
        (PROGRESSIVE, "RGB", 270_000 + 2 * 1_920_000 * 3 // 2),  # and all its coefficients
        ({**PROGRESSIVE, "subsampling": 0}, "RGB", 270_000 + 2 * 1_920_000 * 3),
        ({"format": "PNG"}, "RGB", 9 * 1_920_000),
        ({"format": "PNG"}, "RGBA", 24 * 1_920_000),
        ({"format": "TIFF"}, "F", 20 * 1_920_000),
        ({"format": "WEBP"}, "RGB", 21 * 1_920_000),
    ],
)
def test_decode_limits_estimated_memory(how, mode, takes):
    data = encoded(Image.new("RGB", (1600, 1200)).convert(mode), **how)
    assert decode(data, [ViewSpec(100)], max_bytes=takes).width == 1600
    with pytest.raises(TooLarge) as error:
        decode(data, [ViewSpec(100)], max_bytes=takes - 1)
    assert error.value.memory_bytes == takes
    told = f"1600x1200 pixels would take {takes >> 20} MiB to decode: too much here"
    assert (error.value.reason, error.value.transient) == (told, False)


def test_decode_limits_memory_of_full_size_repair():
    data = encoded(scene((1600, 1200)), format="JPEG")[:-2]
    assert decode(data, [ViewSpec(100)], max_bytes=9 * 1_920_000).width == 1600
    with pytest.raises(TooLarge):
        decode(data, [ViewSpec(100)], max_bytes=9 * 1_920_000 - 1)


def test_read_returns_bytes_of_file(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"some bytes")
    assert decoding.read(str(tmp_path / "a.jpg")) == b"some bytes"


def test_read_gives_reason_and_whether_it_is_transient(as_nobody):
    (as_nobody / "empty.jpg").touch()
    (as_nobody / "closed.jpg").write_bytes(b"x")
    (as_nobody / "closed.jpg").chmod(0)
    (as_nobody / "folder.jpg").mkdir()
    os.mkfifo(as_nobody / "pipe.jpg")
    with (as_nobody / "long.jpg").open("wb") as file:
        file.truncate(decoding.MAX_FILE_BYTES + 1)
    told = {}
    for name in ("empty.jpg", "closed.jpg", "folder.jpg", "pipe.jpg", "long.jpg", "none.jpg"):
        with pytest.raises(Unreadable) as error:
            decoding.read(str(as_nobody / name))
        told[name] = (error.value.reason, error.value.transient)
    assert told == {
        "empty.jpg": ("the file is empty", False),
        "closed.jpg": ("permission denied", True),
        "folder.jpg": ("is a directory", True),
        "pipe.jpg": ("not a regular file", False),
        "long.jpg": ("the file is longer than 1024 MiB", False),
        "none.jpg": ("no such file or directory", True),
    }


def test_content_hash_is_blake3_of_content():
    assert decoding.content_hash(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert decoding.content_hash(bytearray(b"abc")) == decoding.content_hash(b"abc") != decoding.content_hash(b"abd")


SHORT = Path("/sys/devices/system/cpu/online")  # Linux says of such a file that it is 4096 bytes long


@pytest.mark.skipif(not SHORT.exists(), reason="a file of Linux's")
def test_read_of_shrinking_file_fails_transiently():
    with pytest.raises(Unreadable, match="the file shrank while it was read") as error:
        decoding.read(str(SHORT))
    assert error.value.transient


def test_read_metadata_reads_no_pixel_and_no_pipe(tmp_path):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    path.write_bytes(encoded(scene(), format="JPEG", exif=exif)[:-20])  # its pixels are cut
    found = decoding.read_metadata(str(path))
    assert (found.width, found.height) == (96, 160)
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "text.jpg").write_text("no photo")
    reasons = {
        "pipe.jpg": "not a regular file",
        "text.jpg": "not a photo in a known format",
        "none.jpg": "no such file",
    }
    for name, why in reasons.items():
        with pytest.raises(Unreadable, match=why):
            decoding.read_metadata(str(tmp_path / name))


@pytest.mark.parametrize(("kind", "name"), [("HEIF", "HEIC"), ("AVIF", "AVIF"), ("WEBP", "WebP")])
def test_decode_says_where_a_cut_file_ends(kind, name):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    data = encoded(Image.fromarray(noise), format=kind)
    for percent in (40, 90):
        assert reason(data[: len(data) * percent // 100 + 1]) == f"a broken {name}: ends after {percent} %"
    if kind != "WEBP":
        assert reason(data[:150]) == f"a broken {name}: ends before its picture"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_decode_takes_a_frame_that_shows_something(kind):
    blank = Image.new("RGB", (160, 96), "white")
    data = encoded(blank, format=kind, save_all=True, append_images=[blank, scene()])
    assert far(decode(data, [ViewSpec(16)]).views[0], make_views(scene(), 16)) < 12
    only = encoded(blank, format=kind, save_all=True, append_images=[blank])
    assert decode(only, [ViewSpec(16)]).views[0].min() > 250


def make_tiff(order: str, bits: int, colour: int, number: int, compression: int = 1, *, big: bool = False) -> bytes:
    """A TIFF of 8x8 pixels in one strip of zeros; colour, number: PhotometricInterpretation, SampleFormat."""
    n = 1 if colour == 1 else 3
    tags = [(256, 8), (257, 8), (258, bits), (259, compression), (262, colour), (273, 400), (277, n), (278, 8),
            (279, 64 * n * bits // 8), (339, number)]  # fmt: skip
    size, count, entry = ("Q", "Q", "HHQHHI") if big else ("I", "H", "HHIHH")
    rows = b"".join(struct.pack(order + entry, tag, 3, 1, value, 0, *([0] if big else [])) for tag, value in tags)
    head = struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, 16) if big else (42, 8)))
    start = {"<": b"II", ">": b"MM"}[order] + head
    data = start + struct.pack(order + count, len(tags)) + rows + struct.pack(order + size, 0)
    return data.ljust(400, b"\0") + bytes(64 * n * bits // 8)


@pytest.mark.parametrize(
    ("tiff", "kind"),
    [
        (make_tiff("<", 32, 2, 3), "a TIFF of a kind that is not read (32-bit float RGB)"),
        (make_tiff(">", 64, 1, 3), "a TIFF of a kind that is not read (64-bit float grey)"),
        (make_tiff("<", 16, 8, 1), "a TIFF of a kind that is not read (16-bit LAB)"),
        (make_tiff(">", 8, 2, 1, big=True), "a BigTIFF of a kind that is not read (8-bit RGB)"),
        (make_tiff("<", 8, 2, 1, 50001), "a TIFF of a kind that is not read (8-bit RGB compressed as WebP)"),
    ],
)
def test_decode_names_the_kind_of_tiff_and_how_to_convert_it(tiff, kind):
    assert reason(tiff) == f"{kind}; convert it: magick IN.tif -depth 8 OUT.tif"


@pytest.mark.parametrize(("size", "shape"), [((400, 200), (32, 64)), ((30, 40), (40, 30)), ((1000, 3), (1, 64))])
def test_padded_view_keeps_the_shape_and_enlarges_nothing(size: tuple[int, int], shape: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("RGB", size, "white").save(file, "JPEG")
    found = decode(file.getvalue(), [ViewSpec(64, "pad")])
    (view,) = found.views[0]
    height, width = shape
    assert decoding.fit_within(found.width, found.height, 64) == (width, height)
    assert view[:height, :width].min() == 255
    assert view[height:].max(initial=0) == view[:, width:].max(initial=0) == 0


def test_jpeg_is_drafted_no_smaller_than_its_padded_view() -> None:
    assert ViewSpec(1920, "pad").find_min_size(4000, 2250) == (1920, 1080)
    assert ViewSpec(64).find_min_size(4000, 2250) == (64, 64)


STRANGE = (
    "PPM",
    "PCX",
    "TGA",
    "ICO",
    "ICNS",
    "EPS",
    "PDF",
    "SGI",
    "MSP",
    "XBM",
    "JPEG2000",
    "SPIDER",
    "DDS",
    "QOI",
)


@pytest.mark.parametrize("kind", STRANGE)
def test_formats_that_pillow_knows_and_no_camera_writes_are_not_opened(kind):
    """Each decoder is one more way in; those of EPS start another program."""
    Image.init()
    out, image = io.BytesIO(), Image.new("1" if kind in ("MSP", "XBM") else "RGB", (32, 32))
    if kind in Image.SAVE:
        image.save(out, kind)
        data = out.getvalue()
    else:
        data = {"QOI": b"qoif" + bytes(20)}[kind]
    with pytest.raises(Unreadable):
        decode(data, [ViewSpec(8)])
    assert kind not in formats.FORMATS


def test_file_longer_than_bounded_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"x" * 100)
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 100)
    assert len(decoding.read(str(tmp_path / "a.jpg"))) == 100
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 99)
    with pytest.raises(Unreadable, match="the file is longer than"):
        decoding.read(str(tmp_path / "a.jpg"))


def test_original_is_sent_up_to_its_bound(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path)
    data = path.read_bytes()
    assert original.read_original([str(path)], decoding.content_hash(data)) == (data, "image/jpeg")
    monkeypatch.setattr(original, "MAX_BYTES", len(data) - 1)
    with pytest.raises(Unreadable, match="browsers can't show this file itself"):
        original.read_original([str(path)], decoding.content_hash(data))
