"""What decoders in child processes return. What happens when they crash: test_hostile.py."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy import photo

from photosearch.photos import decode
from photosearch.photos.decode import Unreadable, ViewSpec
from photosearch.photos.decoders import CHILD_BYTES, FEW, DecodeOptions, DecoderPool, OpenResult
from photosearch.photos.walk import Photo

OPTIONS = DecodeOptions((ViewSpec(16),))


@pytest.fixture
def decoders():
    made = DecoderPool(2, OPTIONS)
    yield made
    made.close()


def wanted(_: bytes) -> tuple[int, ...]:
    return (0,)


def at(path: Path) -> Photo:
    return Photo(str(path), 0, 0)


def noise(path: Path, seed: int = 0) -> Photo:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)).save(path)
    return at(path)


def same(read: OpenResult, data: bytes, options: DecodeOptions = OPTIONS) -> bool:
    """Whether a decoder gave what opening these bytes here gives."""
    here = decode.decode(data, [options.view_specs[i] for i in read.view_indexes])
    there = read.decoded
    assert there is not None
    assert (there.width, there.height, there.fingerprint) == (here.width, here.height, here.fingerprint)
    assert (there.taken, there.taken_from) == (here.taken, here.taken_from)
    assert [v.shape for v in there.views] == [v.shape for v in here.views]
    alike = all((a == b).all() for a, b in zip(there.views, here.views, strict=True))
    return read.content_hash == decode.content_hash(data) and alike


@pytest.mark.parametrize("asked", [(0,), (1,), (2,), (2, 0), (0, 1, 2)])
def test_pool_gives_same_result_as_decode_for_wanted_views(tmp_path, asked):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:07:20 11:22:33"
    exif[0x0112] = 6
    path = tmp_path / "a.png"
    noise(path)
    Image.open(path).save(path, exif=exif)
    options = DecodeOptions((ViewSpec(16), ViewSpec(7, "crop"), ViewSpec(9, "squash", 4)))
    decoders = DecoderPool(1, options)
    read = decoders.open(at(path), lambda _: asked)
    decoders.close()
    assert same(read, path.read_bytes(), options)
    assert (read.photo, read.view_indexes, read.decoded.width) == (at(path), asked, 60)
    assert (read.decoded.taken, read.decoded.taken_from) == ("2019-07-20T11:22:33", "DateTimeOriginal")


@pytest.mark.slow
def test_pool_passes_on_error_of_select_views_and_continues(tmp_path, decoders):
    photo(tmp_path / "a.png")

    def broken(_: bytes) -> tuple[int, ...]:
        raise LookupError("no such table")

    for _ in range(3):  # both of the decoders, and one of them again
        with pytest.raises(LookupError, match="no such table"):
            decoders.open(at(tmp_path / "a.png"), broken)
    assert same(decoders.open(at(tmp_path / "a.png"), wanted), (tmp_path / "a.png").read_bytes())


def test_pool_does_not_decode_unwanted_photo(tmp_path, decoders):
    text = tmp_path / "a.png"
    text.write_bytes(b"no photo")
    asked = []
    for _ in range(3):
        read = decoders.open(at(text), lambda content_hash: asked.append(content_hash) or ())
        assert read == OpenResult(at(text), decode.content_hash(b"no photo"), None)
    assert asked == [decode.content_hash(b"no photo")] * 3
    photo(tmp_path / "b.png")
    assert same(decoders.open(at(tmp_path / "b.png"), wanted), (tmp_path / "b.png").read_bytes())


def test_pool_gives_reason_for_unreadable_photo_and_continues(tmp_path, decoders):
    for name, data in (("text.png", b"no photo"), ("empty.png", b"")):
        (tmp_path / name).write_bytes(data)
    photo(tmp_path / "good.png")
    told = {}
    for name in ("text.png", "empty.png", "none.png"):
        with pytest.raises(Unreadable) as error:
            decoders.open(at(tmp_path / name), wanted)
        told[name] = (error.value.reason, error.value.transient)
        assert same(decoders.open(at(tmp_path / "good.png"), wanted), (tmp_path / "good.png").read_bytes())
    assert told == {
        "text.png": ("not a photo in a known format", False),
        "empty.png": ("the file is empty", False),
        "none.png": ("no such file or directory", True),
    }


def test_pool_applies_max_pixels(tmp_path):
    decoders = DecoderPool(1, DecodeOptions((ViewSpec(16),), max_pixels=100))
    photo(tmp_path / "a.png", size=(11, 10))
    photo(tmp_path / "b.png", size=(10, 10))
    with pytest.raises(Unreadable, match="11x10 pixels, more than the limit of 100"):
        decoders.open(at(tmp_path / "a.png"), wanted)
    assert decoders.open(at(tmp_path / "b.png"), wanted).decoded is not None
    decoders.close()


@pytest.mark.slow
def test_pool_decodes_large_photos_one_at_a_time_when_memory_is_short(tmp_path):
    sizes = {"small": (600, 500), "large": (1000, 900), "another": (900, 1000), "too large": (1500, 1300)}
    for name, size in sizes.items():
        photo(tmp_path / f"{name}.png", size=size)
    path = {name: at(tmp_path / f"{name}.png") for name in sizes}
    decoders = DecoderPool(2, OPTIONS, memory_bytes=64_000_000, min_bytes=(0, 0))  # 4 MB for each of two, 16 for one
    decoders.start()
    decoders._all[0]._large.acquire()  # as if a large one were being opened
    with ThreadPoolExecutor(2) as threads:
        large = threads.submit(decoders.open, path["large"], wanted)
        assert decoders.open(path["small"], wanted).decoded.width == 600
        with pytest.raises(Unreadable, match="1500x1300 pixels would take 16 MiB to decode: too much here"):
            decoders.open(path["too large"], wanted)
        with pytest.raises(TimeoutError):
            large.result(timeout=0.3)
        decoders._all[0]._large.release()
        assert large.result().decoded.width == 1000
        both = list(threads.map(lambda name: decoders.open(path[name], wanted).decoded.width, ("large", "another")))
        assert both == [1000, 900]
    decoders.close()


def test_pool_of_eight_decodes_50_megapixels_in_16_gb(tmp_path):
    Image.new("L", (8192, 6144)).save(tmp_path / "a.jpg")
    decoders = DecoderPool(8, DecodeOptions((ViewSpec(224),)), memory_bytes=16 * 2**30)
    opened = decoders.open(at(tmp_path / "a.jpg"), wanted).decoded
    decoders.close()
    assert (opened.width, opened.height) == (8192, 6144)


@pytest.mark.slow
def test_pool_gives_each_thread_its_own_photo(tmp_path):
    every = [noise(tmp_path / f"{i}.png", i) for i in range(40)]
    decoders = DecoderPool(3, OPTIONS)
    with ThreadPoolExecutor(3) as threads:
        reads = list(threads.map(lambda p: decoders.open(p, wanted), every))
    decoders.close()
    assert [read.photo for read in reads] == every
    assert all(same(read, Path(read.photo.path).read_bytes()) for read in reads)


@pytest.mark.slow
def test_pool_starts_one_child_for_few_photos(tmp_path):
    one = noise(tmp_path / "a.png", 1)
    decoders, started = DecoderPool(3, OPTIONS), []
    with ThreadPoolExecutor(3) as threads:
        for n in (FEW, 3):
            list(threads.map(lambda photo: decoders.open(photo, lambda content_hash: ()), [one] * n))
            started.append(sum(decoder._child is not None for decoder in decoders._all))
    decoders.close()
    assert started[0] == 1 < started[1]


def test_pool_opens_photo_with_any_name(tmp_path, decoders):
    for name in (b"new\nline.png", b"\xff\xfe.png", b'"quoted" {}.png', "źdźbło 🐦.png".encode()):
        photo(tmp_path / os.fsdecode(name))
        assert decoders.open(at(tmp_path / os.fsdecode(name)), wanted).decoded is not None


def test_decoder_imports_nothing_from_current_folder(tmp_path, monkeypatch, decoders):
    (tmp_path / "numpy.py").write_text("raise SystemExit")
    (tmp_path / "photosearch").mkdir()
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "a.png")
    assert decoders.open(at(tmp_path / "a.png"), wanted).decoded is not None


def test_closed_pool_opens_nothing_and_leaves_no_process_or_thread(tmp_path):
    photo(tmp_path / "a.png")
    threads = set(threading.enumerate())
    decoders = DecoderPool(2, OPTIONS)
    (watch,) = set(threading.enumerate()) - threads
    decoders.open(at(tmp_path / "a.png"), wanted)
    (child,) = [d._child for d in decoders._all if d._child is not None]  # one was needed, and one was started
    decoders.close()
    assert child.returncode is not None
    watch.join(5)
    assert not watch.is_alive()
    with pytest.raises(Unreadable, match="the run was ended") as error:
        decoders.open(at(tmp_path / "a.png"), wanted)
    assert error.value.transient


def test_decoder_survives_ctrl_c_to_process_group(tmp_path):
    photo(tmp_path / "a.png")
    program = f"""
import os, signal
from photosearch.photos.decode import ViewSpec
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.walk import Photo
signal.signal(signal.SIGINT, lambda *_: None)

def wanted(content):
    os.killpg(0, signal.SIGINT)
    return (0,)

decoders = DecoderPool(1, DecodeOptions((ViewSpec(8),)))
print(decoders.open(Photo({str(tmp_path / "a.png")!r}, 0, 0), wanted).decoded.width)
decoders.close()
"""
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, start_new_session=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, "64\n"), ran.stderr


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux, whose processes tell their limits")
def test_decoder_has_memory_limit_and_leaves_no_core(tmp_path):
    import resource

    limits = []

    def look(_: bytes) -> tuple[int, ...]:
        (child,) = [d._child for d in decoders._all if d._child is not None]
        limits.extend(resource.prlimit(child.pid, kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_CORE))
        return (0,)

    photo(tmp_path / "a.png")
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        decoders = DecoderPool(1, DecodeOptions((ViewSpec(8),), max_pixels=10**8))
        decoders.open(at(tmp_path / "a.png"), look)
        decoders.close()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert limits == [CHILD_BYTES + 12 * 10**8, 0]


def in_the_child(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """Let each child that is started do this first."""
    (folder / "sitecustomize.py").write_text("import os, time\nfrom photosearch.photos import decode\n" + does)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))))


def test_decoder_output_of_libraries_is_ignored(tmp_path, monkeypatch, decoders):
    photo(tmp_path / "a.png")
    loud = """
quiet = decode.decode
def loud(*a, **k):
    os.write(1, b"TIFFReadDirectory: Warning, unknown field")
    print("and more", flush=True)
    return quiet(*a, **k)
decode.decode = loud
"""
    in_the_child(tmp_path, monkeypatch, loud)
    assert decoders.open(at(tmp_path / "a.png"), wanted).decoded.width == 64


def test_decoder_hanging_in_read_ends_itself_without_parent(tmp_path, monkeypatch):
    in_the_child(tmp_path, monkeypatch, "decode.read = lambda path: time.sleep(60)\n")
    command = [sys.executable, "-P", "-m", "photosearch.photos.decoders", OPTIONS.to_json(), str(2**30), "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
        asked = json.dumps({"path": "a.png"}).encode()
        child.stdin.write(len(asked).to_bytes(8, "little") + asked)
        assert child.wait(30) == -signal.SIGALRM
