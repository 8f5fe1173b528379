"""Files and folders that appear whole or not at all: written under another name beside their place, then renamed.

`move_file` moves one, also to another file system: at every moment it is whole at one of its two places, or at both.

    atomic.write_bytes(path, data, mode=0o600)
    with atomic.write_file(path) as part:
        figure.savefig(part)

After any failure, KeyboardInterrupt too, the part is gone and what was at the path is unchanged. A process that is
killed may leave `.NAME.0123abcd.part`: see `remove_abandoned`. Downloads that resume keep their part on purpose and
are not written here. All functions raise OSError.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_STEM_BYTES = 120  # of the part's name: with what is added, it fits the 143 bytes of an encrypted home folder
CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY


@contextlib.contextmanager
def write_file(
    path: str | Path,
    *,
    part: str | Path | None = None,
    mode: int | None = None,
    overwrite: bool = True,
    durable: bool = False,
) -> Iterator[Path]:
    """Yield a new empty file in the path's folder, to be filled and closed in the block; then rename it to the path.

    part: its name, where a fixed one is wanted: a second writer then gets FileExistsError. mode: the new file's;
    default: that of the file it replaces, else what the umask leaves of 0o666. overwrite: False leaves a file that is
    there, or appears meanwhile, and raises FileExistsError. durable: survives a power cut once this returns.
    A symbolic link is replaced, not followed. Anything else that is no regular file is left and raises OSError.
    """
    path = Path(path)
    old_mode = _check_target(path, overwrite)
    part = _part_of(path) if part is None else Path(part)
    _create(part, path, (0o666 if old_mode is None else 0o600) if mode is None else mode)
    try:
        yield part
        if durable:
            _sync(part, os.O_RDWR)
        if mode is None and old_mode is not None:
            part.chmod(old_mode)
        part.replace(path) if overwrite else _rename_to_free_name(part, path)
        if durable:
            sync_folder(path.parent)
    except BaseException as error:  # not after success: a fixed part may be another writer's by then
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.filename in (part, str(part)):
            error.filename = str(path)  # the name that the user gave
        raise


def write_bytes(
    path: str | Path, data: bytes, *, mode: int | None = None, overwrite: bool = True, durable: bool = False
) -> None:
    """The options are those of `write_file`."""
    with write_file(path, mode=mode, overwrite=overwrite, durable=durable) as part:
        part.write_bytes(data)


@contextlib.contextmanager
def make_folder(path: str | Path) -> Iterator[Path]:
    """Yield a new folder beside the path, to be filled in the block; then rename it to the path.

    FileExistsError where something is there already.
    """
    path = Path(path)
    part = _part_of(path)
    part.mkdir()
    try:
        yield part
        if os.path.lexists(path):  # an empty folder would be replaced
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def move_file(source: str | Path, target: str | Path, *, check: Callable[[Path], bool]) -> None:
    """Move a regular file to a free path, with its dates and permissions. FileExistsError where something is there.

    On one file system by a second name, the first of which is then removed; where there are no second names, by
    renaming. To another file system by a copy that is on the disk before the source is removed. check: whether such a
    copy, read again, holds what it should; OSError if not, and the source stays. A process that is killed may leave the
    file at both places.
    """
    source, target = Path(source), Path(target)
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno != errno.EXDEV and _rename_new(source, target):
            return
        _copy_new(source, target, check)
    sync_folder(target.parent)
    try:
        source.unlink()
    except OSError:  # its folder may not be written
        target.unlink()
        raise


def _rename_new(source: Path, target: Path) -> bool:
    """Rename without replacing what is there; False to another file system. A file that appears meanwhile is lost."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    try:
        source.rename(target)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise
    return True


def _copy_new(source: Path, target: Path, check: Callable[[Path], bool]) -> None:
    with write_file(target, overwrite=False) as part:
        shutil.copyfile(source, part, follow_symlinks=False)
        _sync(part, os.O_RDWR)
        with contextlib.suppress(OSError):  # some disks keep none of it
            shutil.copystat(source, part, follow_symlinks=False)
        if not check(part):
            raise OSError(errno.EIO, "the copy differs from the file", str(target))


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    with contextlib.suppress(OSError):  # Windows opens no folder
        _sync(folder, os.O_RDONLY)


def remove_abandoned(path: str | Path, *, older_than_seconds: float) -> None:
    """Remove the parts of this path that killed processes left; younger ones may still be being written."""
    path = Path(path)
    name = re.compile(re.escape(f".{_stem(path)}.") + r"[0-9a-f]{8}\.part")
    with contextlib.suppress(OSError):
        for part in path.parent.iterdir():
            if name.fullmatch(part.name) and time.time() - part.lstat().st_mtime > older_than_seconds:
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def _check_target(path: Path, overwrite: bool) -> int | None:
    """The permissions of the regular file at the path, None without one. Raises where nothing may be written."""
    try:
        status = os.lstat(path)
    except OSError:  # nothing there; if the folder is the reason, creating the part says so
        return None
    if not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else None


def _create(part: Path, path: Path, mode: int) -> None:
    try:
        os.close(os.open(part, CREATE, mode))
    except FileExistsError:
        raise
    except OSError as error:  # of a name that the user never gave
        raise OSError(error.errno, error.strerror, str(path)) from None


def _part_of(path: Path) -> Path:
    return path.with_name(f".{_stem(path)}.{os.urandom(4).hex()}.part")


def _stem(path: Path) -> str:
    return os.fsencode(path.name)[:MAX_STEM_BYTES].decode(errors="ignore")


def _rename_to_free_name(part: Path, path: Path) -> None:
    try:
        os.link(part, path)  # unlike a rename, this fails where a file appeared meanwhile
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
    except OSError:  # a file system without hard links, as memory cards have
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        part.rename(path)
    else:
        part.unlink()


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
