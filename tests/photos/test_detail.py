"""Pictures of text are the same if their letters are, in any size and encoding; photographs always are."""

import random

import numpy as np
import pytest
from documents import KINDS
from PIL import Image

from benchmarks.duplicates import CHANGES, _write
from photosearch.photos.decode import ViewSpec, decode
from photosearch.photos.detail import SIZE, Picture, make_picture, show_same

FOUND = (
    "JPEG, quality 30", "half its size", "128 pixels wide", "a quarter brighter", "grey", "cropped by 2 %",
    "cropped by 5 %", "burst, a steady hand",
)  # fmt: skip


def open_picture(image: Image.Image) -> Picture:
    photo = decode(_write(image.convert("RGB")), [ViewSpec(SIZE)])
    return make_picture(photo.views[0][0], photo.width, photo.height)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_show_same_tells_text_of_one_template_apart(kind):
    pictures = [open_picture(KINDS[kind](random.Random(i))) for i in range(4)]
    assert [p.is_text for p in pictures] == [True] * 4
    assert not [(i, j) for i in range(4) for j in range(i) if show_same(pictures[i], pictures[j])]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_show_same_finds_changed_copies_of_text(kind):
    image = KINDS[kind](random.Random(1)).convert("RGB")
    picture = open_picture(image)
    rng = np.random.default_rng(1)
    assert [c for c in FOUND if not show_same(picture, open_picture(CHANGES[c](image, rng)))] == []


def test_show_same_sees_one_other_price():
    receipt = KINDS["receipt"](random.Random(1))
    other = receipt.copy()
    other.paste(receipt.crop((465, 317, 560, 354)), (465, 275))  # the second item's price for the first
    assert not show_same(open_picture(receipt), open_picture(other))


def test_show_same_leaves_photographs_to_their_fingerprints():
    rng = np.random.default_rng(1)
    scenes = [Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((300, 200)) for _ in range(2)]
    bird = Image.new("RGB", (300, 200), (245, 250, 255))  # one dark body on a pale sky
    bird.paste((40, 40, 40), (100, 80, 190, 150))
    pictures = [open_picture(image) for image in (*scenes, bird)]
    assert [p.is_text for p in pictures] == [False] * 3
    assert all(show_same(a, b) for a in pictures for b in pictures)
