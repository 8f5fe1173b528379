"""Contact sheets: each photo whole under its number; a gap for one that can't be opened."""

import signal

import numpy as np
import pytest
from PIL import Image

from photosearch.errors import InputError
from photosearch.judging import sheet
from photosearch.judging.sheet import COLUMNS, GAP, PER_PAGE, SIDE, STRIP
from photosearch.photos.decoders import DecoderPool

RED, BLUE = (220, 30, 30), (30, 30, 220)


def photo(path, size, left, right=None, orientation=None):
    """Its left half in one colour, its right half in another."""
    image = Image.new("RGB", size, left)
    image.paste(right or left, (size[0] // 2, 0, *size))
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image.save(path, quality=95, exif=exif)
    return str(path)


def cell(pixels, place):
    """The pixels of a thumbnail's square, and those of the strip above it; place: from 0."""
    x, y = GAP + place % COLUMNS * (SIDE + GAP), GAP + place // COLUMNS * (STRIP + SIDE + GAP)
    return pixels[y + STRIP : y + STRIP + SIDE, x : x + SIDE], pixels[y : y + STRIP, x : x + SIDE]


def like(pixels, colour):
    return np.abs(pixels - np.array(colour)).max(axis=-1) < 40


def written(paths):
    pages = []
    for path in paths:
        with Image.open(path) as image:
            pages.append(np.asarray(image.convert("RGB")).astype(int))
    return pages


def test_write_sheet_shows_whole_photos_in_order(tmp_path):
    wide = photo(tmp_path / "wide.jpg", (640, 320), RED, BLUE)
    high = photo(tmp_path / "high.jpg", (200, 800), BLUE)
    turned = photo(tmp_path / "turned.jpg", (640, 320), RED, BLUE, orientation=6)  # to be turned right by 90 degrees
    (page,) = written(sheet.write_sheet(tmp_path, [(1, wide), (2, high), (3, turned)]))
    first, second, third = (cell(page, i)[0] for i in range(3))
    assert like(first[4:156, 4:156], RED).all()
    assert like(first[4:156, 164:316], BLUE).all()
    assert not (like(first[164:], RED) | like(first[164:], BLUE)).any()
    assert like(second[4:316, 4:76], BLUE).all()
    assert not like(second[:, 84:], BLUE).any()
    assert like(third[4:156, 4:156], RED).all()
    assert like(third[164:316, 4:156], BLUE).all()


def test_write_sheet_prints_the_given_numbers(tmp_path):
    path = photo(tmp_path / "a.jpg", (64, 64), RED)
    (page,) = written(sheet.write_sheet(tmp_path, [(1, path), (8, path), (8, path), (288, path)]))
    strips = [cell(page, i)[1] for i in range(4)]
    inked = [np.argwhere(strip.max(axis=-1) < 60) for strip in strips]
    assert all(np.ptp(ink[:, 0]) >= 18 for ink in inked)  # pixels high
    dark = [strip.max(axis=-1) < 120 for strip in strips]
    assert (dark[1] != dark[2]).sum() < 10 < 50 < (dark[0] != dark[1]).sum()
    assert len(inked[0]) < len(inked[1]) < len(inked[3])
    assert inked[3][:, 1].max() < SIDE


def test_write_sheet_leaves_a_gap_for_an_unreadable_photo(tmp_path):
    good = photo(tmp_path / "good.jpg", (64, 64), RED)
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    (page,) = written(
        sheet.write_sheet(tmp_path, [(1, str(tmp_path / "bad.jpg")), (2, str(tmp_path / "gone.jpg")), (3, good)])
    )
    for i in (0, 1):
        square, strip = cell(page, i)
        assert (np.ptp(square[2:50], axis=-1) < 20).all()  # grey
        assert (strip.max(axis=-1) < 60).any()
    assert like(cell(page, 2)[0][4:156, 4:156], RED).all()


@pytest.mark.slow
def test_write_sheet_fills_pages_with_thirty_photos(tmp_path):
    path = photo(tmp_path / "a.jpg", (64, 64), RED)
    one, two = (tmp_path / name for name in ("one", "two"))
    one.mkdir(), two.mkdir()
    assert [x.name for x in sheet.write_sheet(one, [(i, path) for i in range(1, PER_PAGE + 1)])] == ["sheet-1.jpg"]
    pages = sheet.write_sheet(two, [(i, path) for i in range(1, PER_PAGE + 2)])
    assert sorted(two.iterdir()) == pages == [two / "sheet-1.jpg", two / "sheet-2.jpg"]
    full, rest = written(pages)
    assert full.shape == (GAP + 5 * (STRIP + SIDE + GAP), GAP + 6 * (SIDE + GAP), 3)
    assert rest.shape == (2 * GAP + STRIP + SIDE, 2 * GAP + SIDE, 3)
    assert like(cell(full, 29)[0][4:156, 4:156], RED).all()
    assert sheet.write_sheet(two, []) == []


def test_write_sheet_shows_a_long_panorama(tmp_path):
    path = photo(tmp_path / "a.png", (3000, 4), RED)
    (page,) = written(sheet.write_sheet(tmp_path, [(1, path)]))
    square = cell(page, 0)[0]
    assert (square[0, :, 0] - square[0, :, 1] > 30).all()
    assert not (square[20:, :, 0] - square[20:, :, 1] > 20).any()


def test_write_sheet_refuses_a_missing_folder(tmp_path):
    path = photo(tmp_path / "a.jpg", (64, 64), RED)
    with pytest.raises(InputError, match=r"sheet-1\.jpg: can't be written: No such file or directory"):
        sheet.write_sheet(tmp_path / "no", [(1, path)])


def test_write_sheet_keeps_the_old_page_on_failure(tmp_path):
    resource = pytest.importorskip("resource", reason="a disk that is full, by a limit on the length of files")
    red = photo(tmp_path / "red.png", (40, 40), RED)
    sheet.write_sheet(tmp_path, [(2, red)])
    old = (tmp_path / "sheet-1.jpg").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(InputError, match=r"sheet-1\.jpg: can't be written: File too large"):
            sheet.write_sheet(tmp_path, [(1, red)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert (tmp_path / "sheet-1.jpg").read_bytes() == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["red.png", "sheet-1.jpg"]


def test_sheet_takes_a_bounded_number_of_decoders(tmp_path, monkeypatch):
    """Each takes the memory of a large photo."""
    asked = []

    def open_pool(n, options):
        asked.append(n)
        return DecoderPool(n, options)

    monkeypatch.setattr(sheet, "DecoderPool", open_pool)
    monkeypatch.setattr(sheet.os, "cpu_count", lambda: 200)
    sheet.write_sheet(tmp_path, [(1, photo(tmp_path / "a.jpg", (8, 8), RED))])
    assert asked == [sheet.MAX_WORKERS]
