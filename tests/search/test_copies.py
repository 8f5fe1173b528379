"""A library's photos that are there more than once: what reaches the comparison, and what comes back."""

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from embedding_library import open_seen
from PIL import Image
from toy import toy_card

from benchmarks.documents import KINDS
from photosearch.errors import InputError


@pytest.fixture
def seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path) as seen:
        yield seen


def scene(seed: int, size: int = 128) -> Image.Image:
    """A picture with something to tell it by: soft patches of random colours."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((size, size), Image.Resampling.BICUBIC)


def save(seen, name: str, picture: Image.Image, **options) -> None:
    path = seen.folder / name
    path.parent.mkdir(exist_ok=True)
    picture.save(path, **options)


@pytest.fixture
def copied(seen):
    """Two photos; one is there four times, one of these larger than the others."""
    save(seen, "a.jpg", scene(1), quality=90)
    shutil.copy(seen.folder / "a.jpg", seen.folder / "same.jpg")
    save(seen, "small.jpg", scene(1).resize((64, 64)), quality=80)
    save(seen, "sub/large.png", scene(1, 512))
    save(seen, "other.jpg", scene(2))
    seen.index()
    return seen


def groups(seen, **options):
    found = seen.asks.find_duplicates(**options)
    return [[(os.path.relpath(m.photo.path, seen.folder), m.how) for m in group.members] for group in found]


def test_find_duplicates_keeps_largest_copy(copied):
    ((first, *rest),) = groups(copied)
    assert first == ("sub/large.png", "kept")
    assert sorted(rest) == [("a.jpg", "near"), ("same.jpg", "near"), ("small.jpg", "near")]
    (group,) = copied.asks.find_duplicates()
    widths = {"large.png": 512, "small.jpg": 64}
    assert all(m.photo.width == widths.get(os.path.basename(m.photo.path), 128) for m in group.members)
    assert all(m.photo.size_bytes == Path(m.photo.path).stat().st_size for m in group.members)
    assert all(m.cosine is not None and m.cosine > 0.9 for m in group.members[1:])
    assert all(path.exists() for path in map(copied.folder.joinpath, ("a.jpg", "same.jpg", "small.jpg")))


def test_without_near_the_same_bytes_alone(copied):
    assert groups(copied, near=False) == [[("a.jpg", "kept"), ("same.jpg", "same content")]]


def test_find_duplicates_under_folder(copied):
    assert groups(copied, under=copied.folder / "sub") == []
    with pytest.raises(InputError, match="not in an indexed folder"):
        groups(copied, under="/elsewhere")


def test_find_duplicates_ignores_removed_and_excluded(copied):
    (copied.folder / "same.jpg").unlink()
    copied.index(exclude=("small.jpg",))
    ((first, *rest),) = groups(copied)
    assert (first, rest) == (("sub/large.png", "kept"), [("a.jpg", "near")])


def test_find_duplicates_without_vectors_uses_fingerprints(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path, toy_card(), reads=False) as seen:
        assert groups(seen) == []
        save(seen, "a.png", scene(1))
        save(seen, "b.jpg", scene(1), quality=90)
        seen.index()
        assert len(groups(seen)) == 1
        (group,) = seen.asks.find_duplicates()
        assert [m.cosine for m in group.members] == [None, None]


def test_find_duplicates_opens_near_photos_to_compare_their_text(seen):
    for i in range(3):
        save(seen, f"page{i}.png", KINDS["page"](random.Random(i)))
    save(seen, "copy.jpg", KINDS["page"](random.Random(0)).resize((620, 877)), quality=50)
    seen.index()
    assert [sorted(name for name, _ in group) for group in groups(seen)] == [["copy.jpg", "page0.png"]]
    for name in ("page1.png", "page2.png", "copy.jpg"):
        (seen.folder / name).unlink()  # what can't be opened is judged by what is stored, as before
    assert [len(group) for group in groups(seen)] == [4]


def test_find_duplicates_ranks_originals_before_edits(seen):
    camera = Image.Exif()
    camera.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    for name, quality, exif in (
        ("IMG_1.jpg", 70, camera), ("IMG_1-edited.jpg", 98, camera), ("IMG_1 (1).jpg", 97, camera),
        ("web.jpg", 99, Image.Exif()),
    ):  # fmt: skip
        save(seen, name, scene(1), quality=quality, exif=exif)
    seen.index()
    ((first, *_),) = groups(seen)
    assert first == ("IMG_1.jpg", "kept")


def test_find_duplicates_keeps_raw_and_jpeg_of_one_name(seen):
    save(seen, "a.DNG", scene(1, 512), format="PNG")  # decoders go by the bytes
    save(seen, "a.jpg", scene(1, 512), quality=90)
    seen.index()
    assert groups(seen) == []
    save(seen, "small.jpg", scene(1))
    seen.index()
    (group,) = seen.asks.find_duplicates()
    how = {os.path.basename(m.photo.path): m.how for m in group.members}
    assert sorted(how.values()) == ["kept", "near", "raw pair"]
    assert how["small.jpg"] == "near"
    assert group.spare_bytes == (seen.folder / "small.jpg").stat().st_size
