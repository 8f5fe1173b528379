"""Photos opened in processes of their own: what comes back. What happens when one dies: test_hostile.py."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy import photo

from photosearch import photos
from photosearch.decoders import Decoders, Read, Settings
from photosearch.photos import Photo, Unreadable

SETTINGS = Settings(16)


@pytest.fixture
def decoders():
    made = Decoders(2, SETTINGS)
    yield made
    made.close()


def wanted(_: bytes) -> bool:
    return True


def at(path: Path) -> Photo:
    return Photo(str(path), 0, 0)


def noise(path: Path, seed: int = 0) -> Photo:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)).save(path)
    return at(path)


def same(read: Read, data: bytes, settings: Settings = SETTINGS) -> bool:
    """Whether a decoder gave what opening these bytes here gives."""
    here = photos.decode(data, settings.size, fit=settings.fit, tiles=settings.tiles)
    assert read.opened is not None
    assert (read.opened.width, read.opened.height, read.opened.taken) == (here.width, here.height, here.taken)
    return read.content_hash == photos.content_hash(data) and bool((read.opened.views == here.views).all())


@pytest.mark.parametrize("settings", [Settings(16), Settings(7, "crop"), Settings(9, "squash", 4)])
def test_a_decoder_gives_what_opening_the_photo_here_gives(tmp_path, settings):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:07:20 11:22:33"
    exif[0x0112] = 6
    path = tmp_path / "a.png"
    noise(path)
    Image.open(path).save(path, exif=exif)
    decoders = Decoders(1, settings)
    read = decoders.open(at(path), wanted)
    decoders.close()
    assert same(read, path.read_bytes(), settings)
    assert (read.photo, read.opened.width, read.opened.taken) == (at(path), 60, "2019-07-20T11:22:33")


def test_what_is_not_wanted_is_read_and_not_decoded(tmp_path, decoders):
    text = tmp_path / "a.png"
    text.write_bytes(b"no photo")
    asked = []
    for _ in range(3):
        read = decoders.open(at(text), lambda content_hash: bool(asked.append(content_hash)))
        assert read == Read(at(text), photos.content_hash(b"no photo"), None)
    assert asked == [photos.content_hash(b"no photo")] * 3
    photo(tmp_path / "b.png")
    assert same(decoders.open(at(tmp_path / "b.png"), wanted), (tmp_path / "b.png").read_bytes())


def test_what_can_not_be_opened_says_why_and_the_decoder_goes_on(tmp_path, decoders):
    for name, data in (("text.png", b"no photo"), ("empty.png", b"")):
        (tmp_path / name).write_bytes(data)
    photo(tmp_path / "good.png")
    told = {}
    for name in ("text.png", "empty.png", "none.png"):
        with pytest.raises(Unreadable) as error:
            decoders.open(at(tmp_path / name), wanted)
        told[name] = (error.value.reason, error.value.passing)
        assert same(decoders.open(at(tmp_path / "good.png"), wanted), (tmp_path / "good.png").read_bytes())
    assert told == {
        "text.png": ("not a photo in a format that is known", False),
        "empty.png": ("the file is empty", False),
        "none.png": ("no such file or directory", True),
    }


def test_the_limit_on_pixels_holds_in_the_decoder(tmp_path):
    decoders = Decoders(1, Settings(16, max_pixels=100))
    photo(tmp_path / "a.png", size=(11, 10))
    photo(tmp_path / "b.png", size=(10, 10))
    with pytest.raises(Unreadable, match="11x10 pixels, more than the limit of 100"):
        decoders.open(at(tmp_path / "a.png"), wanted)
    assert decoders.open(at(tmp_path / "b.png"), wanted).opened is not None
    decoders.close()


def test_many_threads_get_each_their_own_photo(tmp_path):
    every = [noise(tmp_path / f"{i}.png", i) for i in range(40)]
    decoders = Decoders(3, SETTINGS)
    with ThreadPoolExecutor(3) as threads:
        reads = list(threads.map(lambda p: decoders.open(p, wanted), every))
    decoders.close()
    assert [read.photo for read in reads] == every
    assert all(same(read, Path(read.photo.path).read_bytes()) for read in reads)


def test_names_of_any_kind_reach_the_decoder(tmp_path, decoders):
    for name in (b"new\nline.png", b"\xff\xfe.png", b'"quoted" {}.png', "źdźbło 🐦.png".encode()):
        photo(tmp_path / os.fsdecode(name))
        assert decoders.open(at(tmp_path / os.fsdecode(name)), wanted).opened is not None


def test_a_decoder_imports_nothing_from_the_folder_that_the_user_stands_in(tmp_path, monkeypatch, decoders):
    (tmp_path / "numpy.py").write_text("raise SystemExit")
    (tmp_path / "photosearch").mkdir()
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "a.png")
    assert decoders.open(at(tmp_path / "a.png"), wanted).opened is not None


def test_closed_decoders_open_nothing_and_leave_no_process_or_thread(tmp_path):
    photo(tmp_path / "a.png")
    threads = set(threading.enumerate())
    decoders = Decoders(2, SETTINGS)
    (watch,) = set(threading.enumerate()) - threads
    decoders.open(at(tmp_path / "a.png"), wanted)
    (child,) = [d._child for d in decoders._all if d._child is not None]  # one was needed, and one was started
    decoders.close()
    assert child.returncode is not None
    watch.join(5)
    assert not watch.is_alive()
    with pytest.raises(Unreadable, match="the run was ended") as error:
        decoders.open(at(tmp_path / "a.png"), wanted)
    assert error.value.passing
