"""Files that appear whole or not at all: every way to fail leaves what was there, and nothing beside it."""

import errno
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from photosearch import atomic

NAMES = ["a.txt", "ü" * 120, os.fsdecode(b"\xff\xfe.jpg"), "x" * 255, "🐦" * 60, "a[b]*.jpg"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    """The usual one, whatever the machine has."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", NAMES, ids=["short", "long", "not UTF-8", "longest", "long emoji", "glob"])
def test_write_bytes_makes_and_replaces_file_of_any_name(tmp_path, name):
    path = tmp_path / name
    for data in (b"first", b"second, longer"):
        atomic.write_bytes(path, data)
        assert (names(tmp_path), path.read_bytes()) == ([name], data)
        atomic.write_bytes(str(path), data * 2)
        assert path.read_bytes() == data * 2


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("overwrite", [True, False])
def test_write_file_leaves_old_file_and_no_part_after_failure(tmp_path, error, overwrite):
    (tmp_path / "old").write_bytes(b"old")
    path = tmp_path / ("old" if overwrite else "new")

    def write() -> None:
        with atomic.write_file(path, overwrite=overwrite, durable=True) as part:
            part.write_bytes(b"half")
            assert sorted(names(tmp_path)) == sorted(["old", part.name])
            raise error

    with pytest.raises(type(error) if isinstance(error, OSError) else error):
        write()
    assert (names(tmp_path), (tmp_path / "old").read_bytes()) == (["old"], b"old")


def test_write_file_leaves_old_file_and_no_part_when_rename_fails(tmp_path, monkeypatch):
    (tmp_path / "old").write_bytes(b"old")

    def fail(self: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "no", str(target))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(PermissionError):
        atomic.write_bytes(tmp_path / "old", b"new")
    assert (names(tmp_path), (tmp_path / "old").read_bytes()) == (["old"], b"old")


def test_write_bytes_keeps_mode_of_file_it_replaces(tmp_path, umask):
    path = tmp_path / "a"
    atomic.write_bytes(path, b"1")
    assert mode(path) == 0o644
    for given in (0o600, 0o640, 0o444):
        path.chmod(given)
        atomic.write_bytes(path, b"2", durable=True)
        assert mode(path) == given
    atomic.write_bytes(path, b"3", mode=0o600)
    assert mode(path) == 0o600


def test_part_of_private_file_is_never_readable_by_others(tmp_path, umask):
    path = tmp_path / "a"
    path.write_bytes(b"")
    path.chmod(0o600)
    with atomic.write_file(path) as part:
        assert mode(part) == 0o600
    with atomic.write_file(tmp_path / "b", mode=0o600) as part:
        assert mode(part) == 0o600


def test_write_file_never_replaces_when_asked_not_to(tmp_path):
    path = tmp_path / "a"
    atomic.write_bytes(path, b"mine", overwrite=False)
    assert names(tmp_path) == ["a"]
    with pytest.raises(FileExistsError) as error, atomic.write_file(path, overwrite=False):
        pytest.fail("nothing should be written first")
    assert error.value.filename == str(path)
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        atomic.write_bytes(tmp_path / "dangling", b"new", overwrite=False)
    with pytest.raises(FileExistsError), atomic.write_file(tmp_path / "b", overwrite=False):
        (tmp_path / "b").write_bytes(b"mine")  # as another program might, meanwhile
    assert names(tmp_path) == ["a", "b", "dangling"]
    assert path.read_bytes() == (tmp_path / "b").read_bytes() == b"mine"


def test_write_file_without_overwriting_needs_no_hard_links(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", fail)
    atomic.write_bytes(tmp_path / "a", b"1", overwrite=False)
    with pytest.raises(FileExistsError), atomic.write_file(tmp_path / "b", overwrite=False):
        (tmp_path / "b").write_bytes(b"mine")
    assert names(tmp_path) == ["a", "b"]
    assert (tmp_path / "b").read_bytes() == b"mine"


def test_fixed_part_keeps_second_writer_out(tmp_path):
    path, part = tmp_path / "a", tmp_path / "a.part"
    with atomic.write_file(path, part=part) as first:
        assert first == part
        with pytest.raises(FileExistsError) as error, atomic.write_file(path, part=part):
            pass
        assert error.value.filename == str(part)
        first.write_bytes(b"first")
    assert (names(tmp_path), path.read_bytes()) == (["a"], b"first")


def test_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "target").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("target")
    atomic.write_bytes(tmp_path / "link", b"new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"mine"


def test_write_file_refuses_targets_that_are_no_regular_file(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, kind in (("folder", IsADirectoryError), ("pipe", OSError)):
        with pytest.raises(kind) as error:
            atomic.write_bytes(tmp_path / name, b"new")
        assert error.value.filename == str(tmp_path / name)
    with pytest.raises(OSError, match="Not a regular file"):
        atomic.write_bytes("/dev/null", b"new")
    assert names(tmp_path) == ["folder", "pipe"]


def test_error_names_path_that_was_given(tmp_path, as_nobody):
    with pytest.raises(FileNotFoundError) as error, atomic.write_file(as_nobody / "a") as part:
        part.unlink()
    assert error.value.filename == str(as_nobody / "a")
    as_nobody.chmod(0o500)
    for path in (tmp_path / "none" / "a", as_nobody / "a"):
        with pytest.raises(OSError) as error:
            atomic.write_bytes(path, b"")
        assert error.value.filename == str(path)


def test_durable_file_and_its_folder_are_synced_before_return(tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def record(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        sync(fd)

    monkeypatch.setattr(os, "fsync", record)
    atomic.write_bytes(tmp_path / "a", b"1")
    assert synced == []
    atomic.write_bytes(tmp_path / "a", b"2", durable=True)
    assert [re.sub("[0-9a-f]{8}", "X", name) for name in synced] == [".a.X.part", tmp_path.name]


def test_make_folder_appears_whole_or_not_at_all(tmp_path):
    with atomic.make_folder(tmp_path / "a") as part:
        (part / "one").write_bytes(b"1")
        assert not (tmp_path / "a").exists()
    assert names(tmp_path / "a") == ["one"]

    def interrupt() -> None:
        with atomic.make_folder(tmp_path / "b") as part:
            (part / "one").write_bytes(b"1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    with pytest.raises(FileExistsError), atomic.make_folder(tmp_path / "c"):
        (tmp_path / "c").mkdir()
    assert names(tmp_path) == ["a", "c"]


def test_remove_abandoned_takes_only_old_parts_of_this_path(tmp_path):
    left = [
        ".a.0123abcd.part",
        ".a.89abcdef.part",
        ".ab.0123abcd.part",
        ".a.txt.part",
        "a.0123abcd.part",
        ".a.0123abcd",
    ]
    for name in left:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".a.00000000.part").mkdir()
    (tmp_path / ".a.00000000.part" / "file").write_bytes(b"")
    for name in (*left[:1], *left[2:], ".a.00000000.part"):
        os.utime(tmp_path / name, (time.time() - 3600,) * 2)
    atomic.remove_abandoned(tmp_path / "a", older_than_seconds=600)
    assert names(tmp_path) == sorted(left[1:])
    atomic.remove_abandoned(tmp_path / "none" / "a", older_than_seconds=600)
    atomic.remove_abandoned(tmp_path / "a.*", older_than_seconds=-1)
    assert names(tmp_path) == sorted(left[1:])


def test_killed_process_leaves_old_file_and_a_part_that_is_found(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    code = "import os, sys; from photosearch import atomic\n" \
        "with atomic.write_file(sys.argv[1]) as part: part.write_bytes(b'half'); os.kill(os.getpid(), 9)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")]).returncode == -9
    assert (len(names(tmp_path)), (tmp_path / "a").read_bytes()) == (2, b"old")
    atomic.remove_abandoned(tmp_path / "a", older_than_seconds=-1)
    assert names(tmp_path) == ["a"]


# ---- moving


def refuse_links(monkeypatch, number=errno.EPERM):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.parametrize("how", ["link", "rename", "copy"])
def test_move_file_keeps_bytes_dates_and_mode(tmp_path, monkeypatch, how):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"data")
    source.chmod(0o440)
    os.utime(source, (1_000_000_000, 1_000_000_000))
    if how != "link":
        refuse_links(monkeypatch, errno.EPERM if how == "rename" else errno.EXDEV)
    checked = []
    atomic.move_file(source, target, check=lambda path: checked.append(path.read_bytes()) or True)
    assert (names(tmp_path), target.read_bytes(), mode(target)) == (["b"], b"data", 0o440)
    assert target.stat().st_mtime == 1_000_000_000
    assert checked == ([b"data"] if how == "copy" else [])


@pytest.mark.parametrize("number", [None, errno.EPERM, errno.EXDEV])
def test_move_file_never_overwrites(tmp_path, monkeypatch, number):
    for name in "ab":
        (tmp_path / name).write_bytes(name.encode())
    if number is not None:
        refuse_links(monkeypatch, number)
    with pytest.raises(FileExistsError):
        atomic.move_file(tmp_path / "a", tmp_path / "b", check=lambda _: True)
    assert [(tmp_path / name).read_bytes() for name in names(tmp_path)] == [b"a", b"b"]


@pytest.mark.parametrize("number", [None, errno.EXDEV])
def test_move_file_that_cannot_remove_source_leaves_no_second_file(tmp_path, monkeypatch, number):
    source, unlink = tmp_path / "a", Path.unlink
    source.write_bytes(b"data")
    if number is not None:
        refuse_links(monkeypatch, number)

    def refuse(path):
        if path == source:
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(PermissionError):
        atomic.move_file(source, tmp_path / "b", check=lambda _: True)
    assert names(tmp_path) == ["a"]


def test_move_file_by_copy_checks_before_it_removes(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"data")
    refuse_links(monkeypatch, errno.EXDEV)
    with pytest.raises(OSError, match="the copy differs"):
        atomic.move_file(tmp_path / "a", tmp_path / "b", check=lambda _: False)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(("number", "before"), [(None, ["to"]), (errno.EXDEV, [".b.X.part", "to"])])
def test_moved_file_is_on_the_disk_at_its_new_place_before_it_leaves_the_old_one(tmp_path, monkeypatch, number, before):
    source, told, sync, unlink = tmp_path / "a", [], os.fsync, Path.unlink
    source.write_bytes(b"data")
    (tmp_path / "to").mkdir()
    if number is not None:
        refuse_links(monkeypatch, number)

    def note_sync(fd):
        told.append(re.sub("[0-9a-f]{8}", "X", Path(f"/proc/self/fd/{fd}").readlink().name))
        sync(fd)

    def note_unlink(path, *options):
        if path == source:
            told.append("gone")
        unlink(path, *options)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "unlink", note_unlink)
    atomic.move_file(source, tmp_path / "to" / "b", check=lambda _: True)
    assert told == [*before, "gone"]
