"""Thumbnails keep the photo's aspect ratio, belong to its content, and are cached in a folder of limited size."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from toy import photo

from photosearch.photos.decode import Unreadable, content_hash
from photosearch.photos.thumbnails import LARGE, SMALL, Thumbnails, fit_inside


@pytest.fixture(scope="module")
def opener() -> Iterator[Thumbnails]:
    """One for the whole file: starting decoders is slow. Keeps nothing."""
    with Thumbnails(None, workers=1) as thumbnails:
        yield thumbnails


def hashed(path: Path) -> bytes:
    return content_hash(path.read_bytes())


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((800, 600), SMALL, (320, 240)),
        ((600, 800), SMALL, (240, 320)),
        ((3200, 10), SMALL, (320, 1)),
        ((64, 48), SMALL, (64, 48)),
        ((64, 48), LARGE, (64, 48)),
    ],
)
def test_read_keeps_aspect_ratio_and_does_not_enlarge(tmp_path, opener, size, side, expected):
    path = photo(tmp_path / "a.png", "red", size=size)
    image = opened(opener.read([str(path)], hashed(path), side))
    assert (image.format, image.size, fit_inside(*size, side)) == ("JPEG", expected, expected)
    red, green, _ = image.getpixel((0, 0))
    assert red > 250 > 5 > green


def test_thumbnail_is_upright_and_has_no_metadata(tmp_path, opener):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera that is a secret"
    path = tmp_path / "a.jpg"
    Image.new("RGB", (400, 200), "red").save(path, exif=exif)
    data = opener.read([str(path)], hashed(path))
    assert opened(data).size == (160, 320)
    assert b"secret" in path.read_bytes()
    assert b"secret" not in data
    assert b"Exif" not in data


def test_read_gives_reason_for_changed_or_missing_photo(tmp_path, opener):
    path = photo(tmp_path / "a.png", "red")
    before = hashed(path)
    photo(path, "blue")
    with pytest.raises(Unreadable, match="changed since it was indexed"):
        opener.read([str(path)], before)
    path.unlink()
    with pytest.raises(Unreadable, match="no such file"):
        opener.read([str(path)], before)
    with pytest.raises(Unreadable, match="no longer in any indexed folder"):
        opener.read([], before)


def test_read_uses_second_path_if_first_is_missing(tmp_path, opener):
    path = photo(tmp_path / "a.png", "red")
    assert opener.read([str(tmp_path / "gone.png"), str(path)], hashed(path))


def test_read_does_not_open_photo_of_cached_thumbnail(tmp_path):
    path = photo(tmp_path / "a.png", "red")
    with Thumbnails(tmp_path / "kept", workers=1) as thumbnails:
        before = hashed(path)
        data = thumbnails.read([str(path)], before)
        path.unlink()
        assert thumbnails.read([], before) == data
    (file,) = (tmp_path / "kept").iterdir()
    assert file.name == f"{before.hex()}-320.jpg"
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert oct(file.parent.stat().st_mode & 0o777) == "0o700"


def test_start_starts_decoders_early(tmp_path):
    path = photo(tmp_path / "a.png", "red")
    with Thumbnails(None, workers=2) as thumbnails:
        thumbnails.start()
        children = [decoder._child for decoder in thumbnails._decoders._all]
        assert None not in children
        thumbnails.start()
        assert thumbnails.read([str(path)], hashed(path))
        assert [decoder._child for decoder in thumbnails._decoders._all] == children, "they are the ones that open"
    assert [child.poll() is not None for child in children] == [True, True]


def test_cache_evicts_least_recently_used_beyond_limit(tmp_path):
    paths = [photo(tmp_path / f"{i}.png", "red", size=(200 + i, 100)) for i in range(12)]
    folder = tmp_path / "kept"
    with Thumbnails(folder, workers=1) as thumbnails:
        one = len(thumbnails.read([str(paths[0])], hashed(paths[0])))
    with Thumbnails(folder, workers=1, max_bytes=5 * one) as thumbnails:
        for i, path in enumerate(paths):
            thumbnails.read([str(path)], hashed(path))
            thumbnails.read([str(paths[0])], hashed(paths[0]))  # somebody looks at it again and again
            for file in folder.iterdir():  # dates that a clock of whole seconds could not tell apart
                if file.name.startswith(hashed(path).hex()) and i:
                    os.utime(file, ns=(i, i))
            assert sum(f.stat().st_size for f in folder.iterdir()) <= 5 * one
    left = {f.name.partition("-")[0] for f in folder.iterdir()}
    assert hashed(paths[0]).hex() in left
    assert hashed(paths[1]).hex() not in left


def test_read_works_without_writable_cache(tmp_path):
    path = photo(tmp_path / "a.png", "red")
    (tmp_path / "kept").write_text("a file, in its place")
    with Thumbnails(tmp_path / "kept", workers=1) as thumbnails:
        assert opened(thumbnails.read([str(path)], hashed(path))).size == (64, 48)
