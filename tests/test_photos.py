"""Disk to pixels: which files are photos, what their pixels are, and why one could not be opened."""

import io
import os
import socket
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from toy import photo

from photosearch import photos
from photosearch.photos import Folder, Photo, Unreadable, decode, views

pillow_heif.register_heif_opener()  # to write HEIC here; photos.py registers it for itself

T = Image.Transpose
# A camera held so writes the upright scene turned by this: the inverse of what a viewer must do.
HELD = {
    1: None, 2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM,
    5: T.TRANSPOSE, 6: T.ROTATE_90, 7: T.TRANSVERSE, 8: T.ROTATE_270,
}  # fmt: skip
WRITTEN = {
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "progressive.jpg": {"format": "JPEG", "quality": 95, "subsampling": 0, "progressive": True},
    "mpo": {"format": "MPO", "quality": 95, "subsampling": 0},
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "lossless": True},
    "gif": {"format": "GIF"},
    "tif": {"format": "TIFF"},
    "lzw.tif": {"format": "TIFF", "compression": "tiff_lzw"},
    "jpeg.tif": {"format": "TIFF", "compression": "jpeg", "quality": 95},
    "bmp": {"format": "BMP"},
    "avif": {"format": "AVIF", "quality": 95, "subsampling": "4:4:4"},
    "heic": {"format": "HEIF", "quality": 95, "chroma": 444},
}


def scene(size: tuple[int, int] = (160, 96)) -> Image.Image:
    """Upright: red and green above, blue and white below. No two of its eight turns look the same."""
    image = Image.new("RGB", size, (255, 255, 255))
    w, h = size
    image.paste((220, 20, 20), (0, 0, w // 2, h // 2))
    image.paste((20, 200, 20), (w // 2, 0, w, h // 2))
    image.paste((20, 20, 220), (0, h // 2, w // 2, h))
    return image


def encoded(image: Image.Image, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, **how)
    return file.getvalue()


def exif(**tags: object) -> bytes:
    """EXIF with these tags; original: DateTimeOriginal, which lies in a directory of its own."""
    block = Image.Exif()
    block.update({{"orientation": 0x0112, "date": 0x0132}[k]: v for k, v in tags.items() if k != "original"})
    if "original" in tags:
        block.get_ifd(0x8769)[0x9003] = tags["original"]
    return block.tobytes()


def far(a: np.ndarray, b: np.ndarray) -> float:
    """How far two pictures are apart: the mean difference, 0 to 255. Lossy formats stay below 4."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def reason(data: bytes, **options: object) -> str:
    with pytest.raises(Unreadable) as error:
        decode(data, 8, **options)
    assert not error.value.passing
    return error.value.reason


# ---- formats


@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_opens_to_the_same_picture(name):
    opened = decode(encoded(scene(), **WRITTEN[name]), 16)
    assert (opened.width, opened.height, opened.taken) == (160, 96, None)
    assert far(opened.views, views(scene(), 16)) < 4


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("name", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_a_photo_comes_out_upright_however_the_camera_was_held(name, orientation):
    held = HELD.get(orientation)  # 0 and 9 mean nothing, and turn nothing
    stored = scene() if held is None else scene().transpose(held)
    opened = decode(encoded(stored, **WRITTEN[name], exif=exif(orientation=orientation)), 16)
    assert (opened.width, opened.height) == (160, 96)
    assert far(opened.views, views(scene(), 16)) < 4


@pytest.mark.parametrize("scenery", ["Landscape", "Portrait"])
def test_the_published_orientation_pictures_open_alike(data, scenery):
    folder = data("exif-orientation") / "exif-orientation"
    opened = [decode((folder / f"{scenery}_{o}.jpg").read_bytes(), 64) for o in range(9)]
    assert len({(o.width, o.height) for o in opened}) == 1
    for other in opened[1:]:
        apart = np.abs(other.views.astype(int) - opened[0].views)
        apart[:, 24:40, 24:40] = 0  # the number of the orientation is written there
        assert apart.mean() < 1


def test_the_first_picture_counts_where_a_file_holds_more():
    red, blue = (Image.new("RGB", (20, 10), c) for c in ((255, 0, 0), (0, 0, 255)))
    for how in ({"format": "GIF"}, {"format": "TIFF"}, {"format": "PNG"}, {"format": "WEBP", "lossless": True},
                {"format": "AVIF", "quality": 100}, {"format": "HEIF", "quality": 100}, {"format": "MPO"}):  # fmt: skip
        opened = decode(encoded(red, **how, save_all=True, append_images=[blue]), 8)
        assert (opened.width, opened.height, *opened.views[0, 4, 4] // 250) == (20, 10, 1, 0, 0), how


def test_the_bytes_say_what_a_file_is_not_its_name(tmp_path):
    photo(tmp_path / "a.png", "blue").rename(tmp_path / "a.jpg")
    assert decode(photos.read(str(tmp_path / "a.jpg")), 8).views[0, 0, 0].tolist() == [0, 0, 255]


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
def test_any_mode_becomes_rgb_and_what_is_transparent_lies_on_white(data, expected):
    opened = decode(data, 4, tiles=4)
    assert np.abs(opened.views.astype(int) - expected).max() <= 2


def test_sixteen_bits_keep_their_range():
    ramp = np.repeat(np.linspace(0, 65535, 256).astype(np.uint16)[None], 256, axis=0)
    opened = decode(encoded(Image.fromarray(ramp), format="PNG"), 256)
    assert opened.views[0, 0, :, 0].tolist() == list(range(256))


# ---- views


def test_a_white_photo_comes_out_all_255():
    assert views(Image.new("RGB", (300, 200), (255, 255, 255)), 8, tiles=9).min() == 255


def test_squash_keeps_the_whole_photo_and_crop_its_middle_square():
    image = Image.new("RGB", (300, 100), (0, 0, 255))
    image.paste((255, 0, 0), (100, 0, 200, 100))
    squashed, cropped = views(image, 30, fit="squash")[0], views(image, 30, fit="crop")[0]
    assert [squashed[15, x].tolist() for x in (3, 15, 27)] == [[0, 0, 255], [255, 0, 0], [0, 0, 255]]
    assert (cropped == (255, 0, 0)).all()


@pytest.mark.parametrize(("tiles", "grid"), [(4, 2), (9, 3), (16, 4)])
def test_tiles_are_overlapping_parts_row_by_row(tiles, grid):
    size = (grid + 1) * 16  # so that a tile is 32 pixels wide and begins at a multiple of 16
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    image = Image.fromarray(np.stack([x, y, 0 * x], axis=2).astype(np.uint8))
    given = views(image, 32, tiles=tiles)
    assert given.shape == (1 + tiles, 32, 32, 3)
    corners = [(top * 16, left * 16) for top in range(grid) for left in range(grid)]
    expected = [np.asarray(image)[top : top + 32, left : left + 32] for top, left in corners]
    assert (given[1:] == np.stack(expected)).all()


@pytest.mark.parametrize("tiles", [1, 2, 3, 5, -4])
def test_a_number_of_tiles_that_makes_no_grid_is_a_bug(tiles):
    with pytest.raises(ValueError, match="tiles must be"):
        views(scene(), 8, tiles=tiles)


@pytest.mark.parametrize(("tiles", "decoded"), [(0, (200, 120)), (4, (400, 240)), (9, (400, 240))])
def test_a_large_jpeg_is_decoded_at_a_fraction_and_never_below_what_is_asked(monkeypatch, tiles, decoded):
    sizes = []
    monkeypatch.setattr(photos, "views", lambda image, *a, **k: (sizes.append(image.size), views(image, *a, **k))[1])
    data = encoded(scene((1600, 960)), format="JPEG", quality=95)
    opened = decode(data, 100, tiles=tiles)
    assert (opened.width, opened.height, sizes) == (1600, 960, [decoded])
    assert far(opened.views, views(scene((1600, 960)), 100, tiles=tiles)) < 2


def test_a_large_jpeg_that_lies_on_its_side_is_turned_after_it_was_shrunk():
    held = scene((1600, 960)).transpose(T.ROTATE_90)
    opened = decode(encoded(held, format="JPEG", quality=95, exif=exif(orientation=6)), 64)
    assert (opened.width, opened.height) == (1600, 960)
    assert far(opened.views, views(scene(), 64)) < 2


# ---- dates


@pytest.mark.parametrize(
    ("tags", "taken"),
    [
        ({"original": "2019:07:20 11:22:33"}, "2019-07-20T11:22:33"),
        ({"date": "2019:07:20 11:22:33"}, "2019-07-20T11:22:33"),
        ({"original": "2019:07:20 11:22:33", "date": "2024:01:01 00:00:00"}, "2019-07-20T11:22:33"),
        ({"original": "0000:00:00 00:00:00", "date": "2024:01:01 00:00:00"}, "2024-01-01T00:00:00"),
        ({"original": "    :  :     :  :  "}, None),
        ({"date": "2019:02:31 11:22:33"}, None),
        ({"date": "2019:07:20 99:22:33"}, None),
        ({"date": "yesterday"}, None),
        ({"orientation": 1}, None),
    ],
)
@pytest.mark.parametrize("name", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_the_date_of_the_shot_is_read(name, tags, taken):
    assert decode(encoded(scene(), **WRITTEN[name], exif=exif(**tags)), 8).taken == taken


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("block", [b"", b"garbage", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff\x12\x01"])
@pytest.mark.parametrize("name", ["jpg", "png", "webp", "heic"])
def test_a_broken_exif_block_costs_nothing_but_itself(name, block):
    opened = decode(encoded(scene(), **WRITTEN[name], exif=b"Exif\0\0" + block), 16)
    assert (opened.width, opened.height, opened.taken) == (160, 96, None)
    assert far(opened.views, views(scene(), 16)) < 4


# ---- what can't be opened


def test_what_is_no_photo_is_unreadable_with_a_reason():
    assert reason(b"hello, this is a text file that somebody renamed") == "not a photo in a format that is known"
    assert reason(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom") == "not a photo in a format that is known"


@pytest.mark.parametrize("name", WRITTEN)
def test_half_a_photo_is_unreadable_with_a_reason(name):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    data = encoded(noise, **WRITTEN[name])
    assert reason(data[: len(data) // 2])


def test_a_photo_with_too_many_pixels_is_refused_before_it_is_decoded():
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    assert reason(data, max_pixels=1_000_000) == "30000x30000 pixels, more than the limit of 1,000,000"


def test_reading_a_file_gives_its_bytes(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"some bytes")
    assert photos.read(str(tmp_path / "a.jpg")) == b"some bytes"


def test_what_can_not_be_read_says_why_and_whether_that_may_pass(as_nobody):
    (as_nobody / "empty.jpg").touch()
    (as_nobody / "closed.jpg").write_bytes(b"x")
    (as_nobody / "closed.jpg").chmod(0)
    (as_nobody / "folder.jpg").mkdir()
    os.mkfifo(as_nobody / "pipe.jpg")
    with (as_nobody / "long.jpg").open("wb") as file:
        file.truncate(photos.MAX_BYTES + 1)
    told = {}
    for name in ("empty.jpg", "closed.jpg", "folder.jpg", "pipe.jpg", "long.jpg", "none.jpg"):
        with pytest.raises(Unreadable) as error:
            photos.read(str(as_nobody / name))
        told[name] = (error.value.reason, error.value.passing)
    assert told == {
        "empty.jpg": ("the file is empty", False),
        "closed.jpg": ("permission denied", True),
        "folder.jpg": ("is a directory", True),
        "pipe.jpg": ("not a regular file", False),
        "long.jpg": ("the file is longer than 1024 MiB", False),
        "none.jpg": ("no such file or directory", True),
    }


def test_the_hash_is_the_contents():
    assert photos.content_hash(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert photos.content_hash(bytearray(b"abc")) == photos.content_hash(b"abc") != photos.content_hash(b"abd")


# ---- finding


def tree(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def walk(folder, **options: object) -> dict[str, list[str]]:
    """Folder -> its photos' names, both below `folder`; no folder comes twice."""
    found = [(f.path, [p.path for p in f.photos]) for f in photos.find(str(folder), **options)]
    assert len(dict(found)) == len(found)
    below = [(os.path.relpath(path, folder), [os.path.relpath(p, path) for p in inside]) for path, inside in found]
    return dict(below)


def test_photos_are_found_by_extension_in_the_order_of_their_names(tmp_path):
    tree(
        tmp_path, "b.JPG", "a.jpeg", "notes.txt", "z/1.heic", "z/0.AVIF", "c/x.tiff", "c/d/e.webp", "jpg", "c.jpg.part"
    )
    found = list(photos.find(str(tmp_path)))
    assert walk(tmp_path) == {".": ["a.jpeg", "b.JPG"], "c": ["x.tiff"], "c/d": ["e.webp"], "z": ["0.AVIF", "1.heic"]}
    status = (tmp_path / "a.jpeg").stat()
    assert found[0].photos[0] == Photo(str(tmp_path / "a.jpeg"), status.st_size, status.st_mtime_ns)
    assert [f.path for f in found] == [str(tmp_path / d).rstrip("/.") for d in (".", "c", "c/d", "z")]


def test_folders_that_hold_no_photographs_are_passed_over_unless_asked(tmp_path):
    tree(
        tmp_path, "a.jpg", ".trash/b.jpg", "@eaDir/c.jpg", "x/node_modules/d.jpg", "x/e.jpg", ".f.jpg", "#recycle/g.jpg"
    )
    assert walk(tmp_path) == {".": ["a.jpg"], "x": ["e.jpg"]}
    assert walk(tmp_path, exclude=()) == {
        ".": [".f.jpg", "a.jpg"], "#recycle": ["g.jpg"], ".trash": ["b.jpg"], "@eaDir": ["c.jpg"], "x": ["e.jpg"],
        "x/node_modules": ["d.jpg"],
    }  # fmt: skip


def test_globs_exclude_names_and_paths_below_the_root_whatever_their_case(tmp_path):
    tree(tmp_path, "a.jpg", "Raw/b.jpg", "x/raw/c.jpg", "x/y/d.jpg", "x/y/e.png", "z/y/f.jpg", "z/[1].jpg")
    assert walk(tmp_path, exclude=["raw", "*.PNG"]) == {
        ".": ["a.jpg"], "x": [], "x/y": ["d.jpg"], "z": ["[1].jpg"], "z/y": ["f.jpg"],
    }  # fmt: skip
    assert walk(tmp_path, exclude=["x/*", "raw"]) == {".": ["a.jpg"], "x": [], "z": ["[1].jpg"], "z/y": ["f.jpg"]}
    assert "z" not in walk(tmp_path, exclude=["z"])


def test_a_hidden_folder_that_is_named_itself_is_looked_into(tmp_path):
    tree(tmp_path, ".photos/a.jpg")
    assert walk(tmp_path / ".photos") == {".": ["a.jpg"]}


def test_links_are_passed_over_and_followed_only_when_asked(tmp_path):
    tree(tmp_path, "in/a.jpg", "out/b.jpg", "out/deep/c.jpg")
    (tmp_path / "in/file.jpg").symlink_to(tmp_path / "out/b.jpg")
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    (tmp_path / "in/dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert walk(tmp_path / "in") == {".": ["a.jpg"]}
    assert walk(tmp_path / "in", follow_symlinks=True) == {
        ".": ["a.jpg", "file.jpg"], "link": ["b.jpg"], "link/deep": ["c.jpg"],
    }  # fmt: skip


def test_loops_of_links_end_and_each_real_folder_is_seen_once(tmp_path):
    tree(tmp_path, "a/b/x.jpg", "c/y.jpg")
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "a/b/self").symlink_to(tmp_path / "a/b")
    (tmp_path / "c/again").symlink_to(tmp_path / "a")
    (tmp_path / "c/loop.jpg").symlink_to(tmp_path / "c/loop.jpg")
    found = walk(tmp_path, follow_symlinks=True)
    assert sorted(name for names in found.values() for name in names) == ["x.jpg", "y.jpg"]
    assert all(f.reason is None for f in photos.find(str(tmp_path), follow_symlinks=True))


def test_only_regular_files_count(tmp_path, monkeypatch):
    tree(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        listener.bind("socket.jpg")
        assert walk(tmp_path) == {".": ["a.jpg"], "folder.jpg": []}


def test_names_that_are_not_utf8_are_found_and_can_be_read(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xfe.jpg"
    with open(name, "wb") as file:
        file.write(b"bytes")
    (folder,) = photos.find(str(tmp_path))
    assert [os.fsencode(p.path) for p in folder.photos] == [name]
    assert photos.read(folder.photos[0].path) == b"bytes"


def test_a_folder_that_can_not_be_looked_into_comes_with_its_reason(as_nobody):
    tree(as_nobody, "a/x.jpg", "b/y.jpg", "c/z.jpg")
    (as_nobody / "a").chmod(0)
    (as_nobody / "b").chmod(0o400)  # its names may be read, and nothing else
    found = list(photos.find(str(as_nobody)))
    assert [(f.path, f.photos, f.reason) for f in found[:3]] == [
        (str(as_nobody), (), None),
        (str(as_nobody / "a"), (), "Permission denied"),
        (str(as_nobody / "b"), (), "Permission denied"),
    ]
    assert [p.path for p in found[3].photos] == [str(as_nobody / "c/z.jpg")]
    assert list(photos.find(str(as_nobody / "none"))) == [
        Folder(str(as_nobody / "none"), (), "No such file or directory")
    ]
