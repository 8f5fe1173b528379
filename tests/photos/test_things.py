"""Which files of a folder belong together, by their names alone."""

import pytest

from photosearch.photos.things import Things, find_original_stem


@pytest.mark.parametrize(
    ("names", "photo", "partners"),
    [
        ("a.dng a.jpg b.jpg", "a.jpg", {"a.dng": "raw pair"}),
        ("A.CR2 a.JPG a.heic", "A.CR2", {"a.JPG": "raw pair", "a.heic": "raw pair"}),
        ("a.heic a.jpg", "a.jpg", {}),
        ("IMG_1234.HEIC IMG_E1234.JPG", "IMG_1234.HEIC", {"IMG_E1234.JPG": "edited copy"}),
        ("IMG_1234.HEIC IMG_E1234.JPG", "IMG_E1234.JPG", {"IMG_1234.HEIC": "edited copy"}),
        ("IMG_1234.HEIC IMG_E1235.JPG", "IMG_E1235.JPG", {}),
        ("PXL_2.jpg PXL_2~3.jpg", "PXL_2.jpg", {"PXL_2~3.jpg": "edited copy"}),
        ("a.jpg a-edited.jpg", "a.jpg", {"a-edited.jpg": "edited copy"}),
        ("a.jpg a-Bearbeitet.jpg", "a-Bearbeitet.jpg", {"a.jpg": "edited copy"}),
        ("a.jpg a (1).jpg a-copy.jpg", "a.jpg", {}),
        ("x.nef x.jpg x-edited.jpg", "x.jpg", {"x.nef": "raw pair", "x-edited.jpg": "edited copy"}),
    ],
)
def test_find_partners_by_names(names, photo, partners):
    assert Things(names.split()).find_partners(photo) == partners


@pytest.mark.parametrize(
    ("names", "photo", "files"),
    [
        ("a.jpg a.jpg.xmp b.jpg.xmp a.txt", "a.jpg", {"a.jpg.xmp": {"a.jpg"}}),
        ("a.jpg a.xmp a.jpg.json", "a.jpg", {"a.xmp": {"a.jpg"}, "a.jpg.json": {"a.jpg"}}),
        ("a.nef a.jpg a.xmp", "a.jpg", {}),
        ("a.nef a.jpg a.xmp", "a.nef", {"a.xmp": {"a.nef"}}),
        ("IMG_1.HEIC img_1.mov IMG_1.AAE", "IMG_1.HEIC", {"img_1.mov": {"IMG_1.HEIC"}, "IMG_1.AAE": {"IMG_1.HEIC"}}),
        ("a.heic a.jpg a.MOV", "a.jpg", {"a.MOV": {"a.heic", "a.jpg"}}),
        ("IMG_1.HEIC IMG_E1.JPG IMG_O1.AAE", "IMG_E1.JPG", {"IMG_O1.AAE": {"IMG_E1.JPG"}}),
        ("a.jpg a-edited.jpg a.jpg.json", "a-edited.jpg", {"a.jpg.json": {"a.jpg", "a-edited.jpg"}}),
        ("b.mov a.jpg", "a.jpg", {}),
        ("a.dng a.jpg a.xmp", "a.jpg", {"a.xmp": {"a.dng", "a.jpg"}}),
    ],
)
def test_find_files_with_all_photos_they_go_with(names, photo, files):
    assert {k: set(v) for k, v in Things(names.split()).find_files(photo).items()} == files


def test_find_video_of_live_photo():
    things = Things(["a.heic", "a.MP4", "b.jpg", "b.aae"])
    assert (things.find_video("a.heic"), things.find_video("b.jpg")) == ("a.MP4", None)


def test_find_original_stem():
    assert find_original_stem("IMG_E0042") == "img_0042"
    assert [find_original_stem(stem) for stem in ("IMG_0042", "~2", "a~b", "a-edited-2")] == [None] * 4
