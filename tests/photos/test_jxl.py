"""JPEG XL, by the extra jxl."""

import numpy as np
import pytest
from pictures import HELD, encoded, exif, far, reason, scene
from PIL import Image

from photosearch.photos import walk
from photosearch.photos.decode import ViewSpec, decode, make_views

pytest.importorskip("pillow_jxl", reason="needs the extra jxl: pip install 'photosearch[jxl]'")


@pytest.mark.parametrize("how", [{"lossless": True}, {"quality": 95}, {"lossless_jpeg": True}, {"use_container": True}])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_decode_opens_jpeg_xl_upright(how, orientation):
    held = HELD[orientation]
    stored = scene() if held is None else scene().transpose(held)
    data = encoded(stored, format="JXL", exif=exif(orientation=orientation, original="2019:07:20 11:22:33"), **how)
    opened = decode(data, [ViewSpec(16)])
    assert (opened.width, opened.height, opened.taken) == (160, 96, "2019-07-20T11:22:33")
    assert far(opened.views[0], make_views(scene(), 16)) < 4


def test_walk_finds_jpeg_xl_and_decode_gives_reason_for_half_of_one():
    assert ".jxl" in walk.EXTENSIONS
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), format="JXL", lossless=True)
    assert reason(data[: len(data) // 2]).startswith("a broken JPEG XL")
    told = reason(encoded(Image.fromarray(noise), format="JXL", use_container=True)[:-20])
    assert told.startswith("a broken JPEG XL: ends after 9")
