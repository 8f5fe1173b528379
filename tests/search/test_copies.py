"""A library's photos that are there more than once: what reaches the comparison, and what comes back."""

import os
import random
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from documents import KINDS
from embedding_library import open_seen
from PIL import Image
from toy import toy_card

from photosearch.errors import InputError
from photosearch.search import copies


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


@pytest.mark.slow
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


@pytest.mark.slow
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


def reasons(seen, **options):
    found = seen.asks.find_duplicates(**options)
    return [[(os.path.relpath(m.photo.path, seen.folder), m.how, m.reason) for m in group.members] for group in found]


def copy_all(seen, *names):
    """Equal files, all of one date."""
    save(seen, names[0], scene(1), format="JPEG")
    for name in names:
        (seen.folder / name).parent.mkdir(exist_ok=True)
        if name != names[0]:
            shutil.copy(seen.folder / names[0], seen.folder / name)
        os.utime(seen.folder / name, (1_600_000_000, 1_600_000_000))


def test_find_duplicates_keeps_equal_file_with_video_beside_it(seen):
    copy_all(seen, "IMG_1.jpg", "live/IMG_1.jpg")
    (seen.folder / "live" / "IMG_1.MOV").write_bytes(b"video")
    seen.index()
    assert reasons(seen, near=False) == [
        [
            ("live/IMG_1.jpg", "kept", "has its video beside it"),
            ("IMG_1.jpg", "same content", "has less beside it"),
        ]
    ]


def test_find_duplicates_calls_no_live_photo_spare_beside_a_still_one(seen):
    save(seen, "large.jpg", scene(1, 512))
    save(seen, "IMG_1.jpg", scene(1))
    save(seen, "copy.jpg", scene(1), quality=50)
    (seen.folder / "IMG_1.mov").write_bytes(b"video")
    seen.index()
    ((kept, *others),) = reasons(seen)
    assert kept == ("large.jpg", "kept", "larger")
    assert sorted(others) == [
        ("IMG_1.jpg", "live photo", "has its video beside it"),
        ("copy.jpg", "near", "smaller"),
    ]


def test_find_duplicates_calls_no_edit_of_a_phone_spare(seen):
    copy_all(seen, "IMG_1234.jpg", "IMG_E1234.jpg", "old/photo.jpg")
    seen.index()
    assert reasons(seen, near=False) == [
        [
            ("IMG_1234.jpg", "kept", "found first"),
            ("old/photo.jpg", "same content", "found later"),
            ("IMG_E1234.jpg", "edited copy", "a photo and its edit of one phone"),
        ]
    ]
    (seen.folder / "old" / "photo.jpg").unlink()
    seen.index()
    assert reasons(seen, near=False) == []


def test_find_duplicates_moves_whole_pairs_or_none(seen):
    """The pair in b/ is spare as a whole; that in c/ is not, since its raw file is another."""
    for folder in "abc":
        save(seen, f"{folder}/1.cr2", scene(1 if folder < "c" else 2), format="PNG")
        save(seen, f"{folder}/1.jpg", scene(3), quality=90)
    seen.index()
    spare = [path for group in seen.asks.find_duplicates(near=False) for path in group.spare]
    assert sorted(os.path.relpath(m.photo.path, seen.folder) for m in spare) == ["b/1.cr2", "b/1.jpg"]


def test_find_duplicates_by_position_mark_and_rule(seen):
    copy_all(seen, "a.jpg", "b.jpg", "sub/c.jpg")
    (seen.folder / "b.jpg.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="41,9.0N" '
        'exif:GPSLongitude="8,36.6W"/></rdf:RDF></x:xmpmeta>'
    )
    seen.under.index()
    assert reasons(seen, near=False)[0][0] == ("b.jpg", "kept", "has GPS")
    kept = reasons(seen, near=False, keep=[f"folder:{seen.folder}/sub"])[0][0]
    assert kept == ("sub/c.jpg", "kept", f"in {seen.folder}/sub")
    save(seen, "m.jpg", scene(1), quality=90)
    seen.index()
    seen.asks.marks.add(seen.folder / "m.jpg", positive=["mine"], new=True)
    assert reasons(seen, keep=["marked"])[0][0][:2] == ("m.jpg", "kept")
    with pytest.raises(InputError, match="no such criterion"):
        reasons(seen, keep=["nicest"])
    with pytest.raises(InputError, match="not in an indexed folder"):
        reasons(seen, keep=["folder:/elsewhere"])


def test_pictures_in_memory_are_no_more_than_bounded(seen, monkeypatch):
    for i in range(4):
        save(seen, f"a{i}.jpg", scene(i), quality=90)
        save(seen, f"b{i}.png", scene(i, 256))
    seen.index()
    most = 0

    class Counted(OrderedDict):
        def move_to_end(self, key, last=True):
            nonlocal most
            most = max(most, len(self))
            super().move_to_end(key, last)

    expected = groups(seen)
    assert len(expected) > 1
    monkeypatch.setattr(copies, "MAX_PICTURES", 2)
    monkeypatch.setattr(copies, "OrderedDict", Counted)
    assert groups(seen) == expected
    assert 2 <= most <= 4, "those of one step, and those that were kept"


def shoot(seen, name: str, seed: int, taken: str, **options) -> None:
    """A photo of a scene by a camera; of one seed they look alike."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif.get_ifd(0x8769)[0x9003] = "Canon", "EOS", taken
    save(seen, name, scene(seed), exif=exif, **options)


def test_find_duplicates_calls_no_shot_of_a_burst_spare(seen):
    for n, second in enumerate((1, 1, 3, 5), 1):  # the last is five seconds after the first, but near to the third
        shoot(seen, f"IMG_{n}.jpg", 1, f"2024:05:06 07:08:0{second}", quality=80 + n)
    shutil.copy(seen.folder / "IMG_3.jpg", seen.folder / "IMG_3 (1).jpg")
    shoot(seen, "sent/IMG_2.jpg", 1, "2024:05:06 07:08:01", quality=50)  # a copy of another quality keeps its date
    shoot(seen, "later.jpg", 1, "2024:05:07 07:08:01", quality=40)
    seen.index()
    assert [len(burst.shots) for burst in seen.asks.find_bursts()] == [5], "with the copy of another quality"
    spare = {os.path.relpath(m.photo.path, seen.folder) for g in seen.asks.find_duplicates() for m in g.spare}
    assert spare == {"IMG_3 (1).jpg", "sent/IMG_2.jpg", "later.jpg"}


def test_find_duplicates_takes_photos_of_one_moment_for_copies(seen):
    for name in ("IMG_1.jpg", "sent/IMG_1.jpg", "IMG_1-edited.jpg"):
        shoot(seen, name, 1, "2024:05:06 07:08:01", quality=50 + len(name))
    seen.index()
    ((_, *copies_of_it),) = groups(seen)
    assert [how for _, how in copies_of_it] == ["near", "near"]
