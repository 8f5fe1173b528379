"""The network sees the colours that a viewer shows: wide-gamut profiles, 10 to 16 bits, floats with NaN."""

import functools
import io
import struct
from fractions import Fraction

import numpy as np
import pytest
from pictures import WRITTEN, encoded, far, reason, scene
from PIL import Image, ImageCms

from photosearch.photos.colours import _transform, get_profile, to_srgb
from photosearch.photos.decode import ViewSpec, cut_parts, decode, make_views

# Red, green and blue as CIE xy, of SMPTE EG 432-1 (Display P3) and Adobe RGB (1998): gamma 2.2, white D65.
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
D50, D65 = np.array([0.9642, 1.0, 0.8249]), np.array([0.95047, 1.0, 1.08883])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_d50(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The matrix from linear RGB of these primaries to XYZ under D50, as an ICC profile holds it (Lindbloom)."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    matrix = columns * np.linalg.solve(columns, D65)
    adapt = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ D65)) @ BRADFORD
    return adapt @ matrix


def profile(primaries: tuple[tuple[float, float], ...], name: str = "Wide") -> bytes:
    """An ICC profile of version 2 with a gamma of 2.2."""

    def xyz(values: np.ndarray) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))

    described = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name.encode() + b"\0" + bytes(78)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    matrix = to_d50(primaries)
    tags = {b"desc": described, b"wtpt": xyz(D50), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
            **{key: xyz(matrix[:, i]) for i, key in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}}  # fmt: skip
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for key, content in tags.items():
        table += key + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head = head.ljust(36, b"\0") + b"acsp" + bytes(28) + struct.pack(">3i", *(round(v * 65536) for v in D50))
    return head.ljust(128, b"\0") + table + body


def shown(colour: tuple[int, int, int], primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """What a colour of these primaries is in sRGB, by hand."""
    srgb = to_d50(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)))
    linear = np.clip(np.linalg.solve(srgb, to_d50(primaries) @ (np.array(colour) / 255) ** 2.2), 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("primaries", [P3, ADOBE], ids=["Display P3", "Adobe RGB"])
@pytest.mark.parametrize("name", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_decode_converts_wide_gamut_profile_to_srgb(name, primaries):
    colour = (200, 120, 60)
    data = encoded(Image.new("RGB", (64, 48), colour), **WRITTEN[name], icc_profile=profile(primaries))
    (seen,) = decode(data, [ViewSpec(8, tiles=4)]).views
    expected = shown(colour, primaries)
    assert np.abs(expected - colour).max() > 10
    assert np.abs(seen - expected).max() <= 5


def test_decode_ignores_srgb_other_and_broken_profiles():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    broken = [
        b"",
        b"rubbish",
        profile(P3)[:140],
        profile(P3)[:16] + b"CMYK" + profile(P3)[20:],
        b"x" * 16 + b"RGB " + b"x" * 200,
    ]
    for icc in (srgb, profile(P3, "my sRGB"), *broken):
        data = encoded(scene(), format="PNG", icc_profile=icc)
        assert far(decode(data, [ViewSpec(16)]).views[0], make_views(scene(), 16)) == 0
    assert get_profile(Image.open(io.BytesIO(encoded(scene(), format="PNG", icc_profile=srgb)))) is None


def test_profile_of_camera_is_parsed_once_for_all_its_photos():
    pixels, icc = np.zeros((1, 8, 8, 3), np.uint8), profile(P3)
    _transform.cache_clear()
    for _ in range(3):
        to_srgb(pixels, icc)
    assert (_transform.cache_info().misses, _transform.cache_info().hits) == (1, 2)


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_decode_scales_10_12_and_16_bits_to_full_range(bits, name):
    ramp = np.repeat(np.linspace(0, 2**bits - 1, 256).astype(np.uint16)[None], 256, axis=0)
    (seen,) = decode(encoded(Image.fromarray(ramp), format=name), [ViewSpec(256)]).views
    assert np.abs(seen[0, 0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_decode_makes_only_nan_and_infinity_black_in_float_image():
    values = np.full((64, 64), 0.5, np.float32)
    values[:8, :8], values[-8:, :8], values[:8, -8:] = np.nan, np.inf, -np.inf
    (seen,) = decode(encoded(Image.fromarray(values), format="TIFF"), [ViewSpec(64)]).views
    assert seen[0, 32, 32].tolist() == [255, 255, 255]
    assert [seen[0, y, x, 0] for y, x in ((0, 0), (63, 0), (0, 63))] == [0, 0, 0]


def with_clap(data: bytes, width: Fraction, height: Fraction, x: Fraction, y: Fraction) -> bytes:
    """An AVIF of which only a part is to be shown: a `clap` for its first item, in front of its other properties."""
    clap = struct.pack(">I4s", 40, b"clap")
    for value in (width, height, x, y):
        clap += struct.pack(">iI", value.numerator, value.denominator)
    ipco, ipma = data.index(b"ipco") - 4, data.index(b"ipma") - 4
    n = 0
    at = ipco + 8
    while at < ipco + int.from_bytes(data[ipco : ipco + 4], "big"):
        n += 1
        at += int.from_bytes(data[at : at + 4], "big")
    grown = bytearray(data[:at] + clap + data[at:])

    def add(where: int, size: int) -> None:
        grown[where : where + 4] = (int.from_bytes(grown[where : where + 4], "big") + size).to_bytes(4, "big")

    ipma += 40
    # ipma: size, type, version and flags, entries, then of the first: item id (2), how many, one byte for each
    grown[ipma + 18] += 1
    grown.insert(ipma + 19 + grown[ipma + 18] - 1, 0x80 | (n + 1))
    add(ipma, 1)
    add(ipco, 40)
    for box in (b"iprp", b"meta"):
        add(data.index(box) - 4, 41)
    iloc = data.index(b"iloc") - 4  # its offsets point behind what was put in
    flag = grown[iloc + 12 : iloc + 14]
    assert flag[0] >> 4 == 4, "offsets of 4 bytes"
    entries = int.from_bytes(grown[iloc + 14 : iloc + 16], "big")
    at = iloc + 16
    for _ in range(entries):
        at += 2 + 2 + (flag[1] >> 4)  # item id, data reference, base offset
        extents = int.from_bytes(grown[at : at + 2], "big")
        at += 2
        for _ in range(extents):
            add(at, 41)
            at += 8
    return bytes(grown)


def test_decode_crops_avif_to_clean_aperture():
    image = Image.new("RGB", (160, 96), (20, 20, 220))
    image.paste((220, 20, 20), (40, 24, 120, 72))
    data = encoded(image, **WRITTEN["avif"])
    cropped = with_clap(data, Fraction(80), Fraction(48), Fraction(0), Fraction(0))
    opened = decode(cropped, [ViewSpec(16)])
    assert (opened.width, opened.height) == (80, 48)
    assert far(opened.views[0], np.full((1, 16, 16, 3), (220, 20, 20), np.uint8)) < 6
    corners = encoded(scene(), **WRITTEN["avif"])
    for x, y, colour in ((-60, -36, (220, 20, 20)), (60, -36, (20, 200, 20)), (-60, 36, (20, 20, 220))):
        corner = decode(with_clap(corners, Fraction(40), Fraction(24), Fraction(x), Fraction(y)), [ViewSpec(16)])
        assert far(corner.views[0], np.full((1, 16, 16, 3), colour, np.uint8)) < 6
    outside = decode(with_clap(data, Fraction(400), Fraction(24), Fraction(0), Fraction(0)), [ViewSpec(16)])
    assert (outside.width, outside.height) == (160, 96)


def test_decode_names_broken_avif():
    data = encoded(scene(), **WRITTEN["avif"])
    assert reason(data[:100]) == "a broken AVIF: ends before its picture"


# ---- thumbnails in HEIC


@functools.cache
def heic(size: tuple[int, int] = (1600, 1200), thumbnail: int = 320) -> bytes:
    """Red, with a blue thumbnail, so that one can tell which was decoded."""
    return encoded(Image.new("RGB", size, (220, 20, 20)), format="HEIF", quality=60, thumbnails=[thumbnail])


@pytest.mark.slow
def test_decode_uses_heic_thumbnail_if_large_enough(monkeypatch):
    from photosearch.photos import decode as decoding

    sizes = []
    monkeypatch.setattr(decoding, "cut_parts", lambda image, *a: (sizes.append(image.size), cut_parts(image, *a))[1])
    asked = {
        ViewSpec(224): (320, 240),
        ViewSpec(266): (320, 240),
        ViewSpec(267): (1600, 1200),
        ViewSpec(320, "pad"): (320, 240),
        ViewSpec(321, "pad"): (1600, 1200),
        ViewSpec(160, tiles=9): (1600, 1200),
        ViewSpec(224, "crop"): (320, 240),
    }
    for need in asked:
        opened = decode(heic(), [need])
        assert (opened.width, opened.height) == (1600, 1200)
    assert sizes == list(asked.values())
    sizes.clear()
    decode(heic(), [ViewSpec(100), ViewSpec(300)])
    assert sizes == [(1600, 1200)] * 2
