"""What is written survives a failure and a power cut: no part stays behind, and the bytes are on the disk before the
name. How a file gets its name is atomic.py's business, and tested there; here, that nobody who must goes without."""

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from embedding_library import RED, open_seen

from photosearch import Library, keywords, outputs
from photosearch.engines.store import FolderStore
from photosearch.errors import InputError, StoreError
from photosearch.library import rebuild as rebuilding
from photosearch.library.user_copy import copy_path, write_copy
from photosearch.models import hub
from photosearch.photos.thumbnails import Thumbnails

FULL = OSError(errno.ENOSPC, "No space left on device")
OLD, NEW = b"old" * 100, b"new" * 200


def put_shard(folder: Path) -> Path:
    FolderStore(str(folder)).put("a.parquet", NEW)
    return folder / "a.parquet"


def put_page(folder: Path) -> Path:
    outputs.write_output(folder / "a.html", NEW, outputs.HTML, force=True)
    return folder / "a.html"


def put_sidecar(folder: Path) -> Path:
    path = folder / "a.xmp"
    keywords._replace(str(path), NEW, keywords._read_file(str(path)))
    return path


def put_thumbnail(folder: Path) -> Path:
    thumbnails = Thumbnails(folder, workers=1)
    thumbnails._store(folder / "a.jpg", NEW)
    thumbnails.close()
    return folder / "a.jpg"


def put_digests(folder: Path) -> Path:
    hub._write_pulled(folder, "a", hub.PulledModel("them/it", "1", {}))
    return folder / hub.PULLED_FILE


WRITES: list[Callable[[Path], Path]] = [put_shard, put_page, put_sidecar, put_thumbnail, put_digests]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """("sync" or "name", the file's or folder's name), in their order."""
    told: list[tuple[str, str]] = []
    sync = os.fsync

    def note_sync(fd: int) -> None:
        told.append(("sync", Path(f"/proc/self/fd/{fd}").readlink().name))
        sync(fd)

    for name in ("replace", "rename", "link"):
        named = getattr(os, name)

        def note_name(before: str, after: str, named: Callable[..., None] = named, **options: object) -> None:
            told.append(("name", Path(after).name))
            named(before, after, **options)

        monkeypatch.setattr(os, name, note_name)
    monkeypatch.setattr(os, "fsync", note_sync)
    return told


def is_durable(told: list[tuple[str, str]], path: Path) -> bool:
    """Whether a part was on the disk before it got its name, and the name afterwards."""
    at = told.index(("name", path.name))
    parts = {name for kind, name in told[:at] if kind == "sync"}
    return any(name.endswith(".part") for name in parts) and ("sync", path.parent.name) in told[at:]


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_write_that_fails_leaves_what_was_there_and_does_not_block_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path)
    before = json.dumps({}).encode() if write is put_digests else OLD
    path.write_bytes(before)

    def fail(self: Path, data: bytes) -> None:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise FULL

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", fail)
            with pytest.raises((OSError, InputError, hub.ModelError)):
                write(tmp_path)
        assert (os.listdir(tmp_path), path.read_bytes()) == ([path.name], before)
    write(tmp_path)
    assert (os.listdir(tmp_path), path.read_bytes() != before) == ([path.name], True)


def test_shard_is_on_the_disk_before_it_has_its_name(tmp_path: Path, events: list[tuple[str, str]]) -> None:
    """Its machine may lose power, and another reads what has the name: an empty shard would stop the merge."""
    assert is_durable(events, put_shard(tmp_path))


def test_changed_sidecar_is_on_the_disk_before_it_has_its_name(tmp_path: Path, events: list[tuple[str, str]]) -> None:
    """It holds what other programs wrote, and cannot be made again."""
    (tmp_path / "a.xmp").write_bytes(OLD)
    assert is_durable(events, put_sidecar(tmp_path))


def test_copy_of_what_only_the_user_knows_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, events: list[tuple[str, str]]
) -> None:
    with Library(tmp_path / "library.db") as library:
        with library._session.db.transaction():
            library._session.db.write("INSERT INTO roots(path) VALUES ('/photos')")
        events.clear()
        write_copy(library.path)
    assert is_durable(events, copy_path(tmp_path / "library.db"))


def test_line_of_a_log_is_on_the_disk_when_it_is_added(tmp_path: Path, events: list[tuple[str, str]]) -> None:
    with outputs.open_log(tmp_path / "log", new=True) as add:
        assert events == [("sync", tmp_path.name)], "its name"
        add("one")
        assert events[1:] == [("sync", "log")]
    with outputs.open_log(tmp_path / "log", new=False) as add:
        add("two")
        assert events[2:] == [("sync", "log")]
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_log_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine without an end")
    (tmp_path / "log").symlink_to("mine")
    with pytest.raises(InputError, match="log: can't be written"), outputs.open_log(tmp_path / "log", new=False):
        pass
    assert (tmp_path / "mine").read_bytes() == b"mine without an end"


def test_two_writers_of_one_shard_leave_one_whole_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers may be given the same photos: each writes a part of its own."""
    write, both = Path.write_bytes, threading.Barrier(2)

    def write_together(self: Path, data: bytes) -> int:
        half = write(self, data[: len(data) // 2])
        both.wait(10)
        return half and write(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_together)
    failed = []

    def put() -> None:
        try:
            put_shard(tmp_path)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=put) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, os.listdir(tmp_path), (tmp_path / "a.parquet").read_bytes()) == ([], ["a.parquet"], NEW)


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["full disk", "Ctrl-C"])
def test_rebuild_that_fails_leaves_the_library_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    with Library(tmp_path / "library.db") as library, library._session.db.transaction():
        library._session.db.write("INSERT INTO roots(path) VALUES ('/photos')")
    data = (tmp_path / "library.db").read_bytes()

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "_rescue", fail)
        with pytest.raises((StoreError, KeyboardInterrupt)):
            rebuilding.rebuild(tmp_path / "library.db", force=True)
    assert not [name for name in os.listdir(tmp_path) if ".part" in name or ".damaged" in name]
    assert (tmp_path / "library.db").read_bytes() == data
    assert rebuilding.rebuild(tmp_path / "library.db", force=True).folder_paths == ("/photos",)


def test_new_folder_takes_the_place_of_what_was_killed_a_day_ago(tmp_path: Path) -> None:
    for name, seconds in ((".sheets.0123abcd.part", 90_000), (".sheets.4567cdef.part", 60)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - seconds,) * 2)
    with outputs.create_folder(tmp_path / "sheets", "--to"):
        pass
    assert sorted(os.listdir(tmp_path)) == [".sheets.4567cdef.part", "sheets"]


def test_thumbnail_is_sent_where_it_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails = Thumbnails(tmp_path / "cache", workers=1)
    monkeypatch.setattr(thumbnails, "_open", lambda *_: None)
    monkeypatch.setattr("photosearch.photos.thumbnails._to_jpeg", lambda *_: b"jpeg")

    def fail(self: Path, data: bytes) -> None:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        assert thumbnails.read(["a"], b"1") == b"jpeg"
        assert os.listdir(tmp_path / "cache") == []
    assert thumbnails.read(["a"], b"1") == b"jpeg"
    assert len(os.listdir(tmp_path / "cache")) == 1
    thumbnails.close()


BESIDE = ("thumbnails", "found.html", "shards", "vectors-0123-4", "user-copy", "user-copy.before")


@pytest.mark.parametrize("everything", [True, False], ids=["all", "a photo"])
def test_forget_leaves_nothing_derived_beside_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, everything: bool
) -> None:
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path, reads=False) as seen:
        path = seen.photo("red.png", RED)
        seen.photo("other.png", RED)
        seen.index()
        seen.asks.marks.add(path, positive=["red"])
        for name in BESIDE:
            beside = tmp_path / f"library.db.{name}"
            if name in ("thumbnails", "shards"):
                beside.mkdir()
                (beside / "1.jpg").write_bytes(b"a picture")
            elif name == "user-copy.before":
                shutil.copy(tmp_path / "library.db.user-copy", beside)
            elif not beside.exists():
                beside.write_bytes(b"a picture")
        seen.asks.forget(None if everything else [path])
        left = {name.removeprefix("library.db") for name in os.listdir(tmp_path) if name.startswith("library.db")}
    kept = set() if everything else {".user-copy", ".user-copy.before"}  # of other photos
    assert left - {"", "-wal", "-shm", ".lock"} == kept
