"""The files and folders that a user names for a result: pages, plots, sheets, CSV, shards, albums, samples.

    outputs.write_output("found.html", data, outputs.HTML)

A file is new, or replaces one of the same form that this tool wrote: each form holds a marker. `force` replaces
others too, but never a photo, a library, a link, a device or a folder. `-` is stdout. Nothing else in photosearch/
writes to a place that a user chose; tests/test_architecture.py lists what writes the tool's own files.
"""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from photosearch import atomic
from photosearch.errors import InputError
from photosearch.library.location import is_library
from photosearch.photos.remote import is_address
from photosearch.photos.walk import EXTENSIONS, INSTALL_HINTS

STDOUT = "-"
PROGRAM = "photosearch"  # as files name the program that wrote them
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ABANDONED_SECONDS = 86_400  # what a killed run left; a day later nobody is filling it
SEARCHED_BYTES = 1 << 16  # at a file's start and at its end, where its marker is
LIBRARY_FILES = ("-wal", "-shm", "-journal", ".lock")  # beside a library
PHOTO_SIGNATURES = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF8",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\xff\x0a",
    b"\0\0\0\x0cJXL ",
)
RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$", *(f"{port}{n}" for port in ("com", "lpt")
            for n in "0123456789¹²³")}  # fmt: skip  # Windows, with any extension
FORBIDDEN = '/\\:*?"<>|'  # in a name on some system
MAX_NAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file. start: its first bytes. marker: what this tool's own hold besides, within SEARCHED_BYTES."""

    start: bytes
    marker: bytes | None


HTML = Form(b"<!doctype html>", f'<meta name="generator" content="{PROGRAM}">'.encode())
PNG = Form(b"\x89PNG", f"tEXtSoftware\0{PROGRAM}".encode())
SVG = Form(b"<?xml", f"<dc:title>{PROGRAM}</dc:title>".encode())
PDF = Form(b"%PDF-", f"/Creator ({PROGRAM})".encode())
JPEG = Form(b"\xff\xd8\xff", b"\xff\xfe" + (len(PROGRAM) + 2).to_bytes(2) + PROGRAM.encode())  # a comment segment
SHARD = Form(b"PAR1", None)
CSV = Form(b"", None)  # a sheet that was filled in is the user's: none is replaced


def write_output(
    path: str | Path,
    data: bytes,
    form: Form,
    *,
    force: bool = False,
    mode: int | None = None,
) -> None:
    """Write a file that the user named, whole or not at all; `-` is stdout. Raises InputError.

    force: replace a file that this tool did not write. mode: as in `atomic.write_file`.
    """
    if str(path) == STDOUT:
        print_data(data)
        return
    before = _check(path, form, force)
    try:
        with atomic.write_file(path, overwrite=before is not None, mode=mode) as part:
            part.write_bytes(data)
            if before is not None and _identify(os.lstat(path)) != _identify(before):
                raise InputError(f"{path}: another program has changed it meanwhile; try again")
    except OSError as error:
        raise InputError(describe_failure(path, error, "choose another place")) from None


def check_output(path: str | Path, form: Form, *, force: bool = False) -> None:
    """Raises InputError where `write_output` would refuse the path, before the work of making the data."""
    if str(path) != STDOUT:
        _check(path, form, force)


def print_data(data: bytes) -> None:
    """Write to stdout. Raises OSError, which cli/output.py puts in words."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@contextlib.contextmanager
def create_file(path: str | Path) -> Iterator[Path]:
    """Yield a new empty file, which only its owner may read, to fill in the block. Raises InputError, also where
    something is there, or appears meanwhile."""
    try:
        with atomic.write_file(path, mode=0o600, overwrite=False) as part:
            yield part
    except OSError as error:
        raise InputError(describe_failure(path, error, "make room, or choose another folder")) from None


@contextlib.contextmanager
def open_log(path: str | Path, *, new: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that adds a line to a file; the line is on the disk when it returns. Raises InputError.

    new: the file must not be there, else it must be; what a killed program left of a line is cut off. Not a link.
    """
    flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | (os.O_CREAT | os.O_EXCL if new else 0)
    try:
        with open(os.open(path, flags, 0o600), "r+b", buffering=0) as file:
            if not new:
                file.truncate(file.read().rfind(b"\n") + 1)

            def add(line: str) -> None:
                file.write(line.encode() + b"\n")
                os.fsync(file.fileno())

            if new:
                atomic.sync_folder(Path(path).parent)
            yield add
    except OSError as error:
        raise InputError(describe_failure(path, error, "choose another folder")) from None


def create_link(path: str | Path, target: str) -> None:
    """Create a symbolic link. Raises InputError, also where something is there."""
    try:
        Path(path).symlink_to(target)
    except OSError as error:
        raise InputError(describe_failure(path, error, "choose another folder")) from None


@contextlib.contextmanager
def create_folder(path: str | Path, option: str) -> Iterator[Path]:
    """Yield a new folder to fill in the block; it gets its name at the end, or nothing is left. Raises InputError.

    option: the one that names it, for messages.
    """
    _refuse_special(path)
    path = Path(path)
    if os.path.lexists(path):
        raise InputError(f"{path}: already exists; name a new folder with {option}")
    made = _list_missing(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.remove_abandoned(path, older_than_seconds=ABANDONED_SECONDS)
        with atomic.make_folder(path) as part:
            try:
                yield part
            except InputError as error:  # which names a file in the part
                raise InputError(str(error).replace(str(part), str(path))) from None
    except BaseException as error:
        for folder in made:
            with contextlib.suppress(OSError):  # another program has used it meanwhile
                folder.rmdir()
        if isinstance(error, OSError):
            raise InputError(describe_failure(path, error, f"name another folder with {option}")) from None
        raise


def open_folder(path: str | Path) -> None:
    """Create a folder to add files to, if it is missing. Raises InputError."""
    _refuse_special(path)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(describe_failure(path, error, "choose another folder")) from None


def describe_failure(path: str | Path, error: OSError, advice: str) -> str:
    """One line: what the system refused, where, and what to do."""
    if error.errno in FULL and "make room" not in advice:
        advice = f"make room, or {advice}"
    return f"{path}: can't be written: {error.strerror or error}; {advice}"


def is_portable_name(name: str) -> bool:
    """Whether a file or folder may have this name on Linux, macOS and Windows, and shows it as it is.

    Not so: path separators and other forbidden characters, control characters and those that turn the direction of
    writing, a dot at the start, a dot or space at the end, the names of Windows' devices (CON, NUL.txt).
    """
    return (
        name.isprintable()  # first, since a lone surrogate can't be encoded
        and 0 < len(os.fsencode(name)) <= MAX_NAME_BYTES
        and not name.startswith((".", " "))
        and not name.endswith((".", " "))
        and not set(name) & set(FORBIDDEN)
        and name.partition(".")[0].rstrip().lower() not in RESERVED
    )


def to_portable_name(text: str) -> str:
    """A text with `_` for what a name can't hold: bird/heron -> bird_heron."""
    name = "".join("_" if c in FORBIDDEN or not c.isprintable() else c for c in text).rstrip(". ")
    while len(os.fsencode(name)) > MAX_NAME_BYTES:
        name = name[:-1]
    return name if is_portable_name(name) else f"_{name}".rstrip(". ")


def _check(path: str | Path, form: Form, force: bool) -> os.stat_result | None:
    """The status of the file to replace, None where there is none. Raises InputError where it may not be replaced."""
    text = os.fspath(path)
    if is_address(text):
        raise InputError(f"{text}: is an address; name a file on this machine")
    try:
        status = os.lstat(text)
    except FileNotFoundError:
        if text.endswith(os.sep):
            raise InputError(f"{text}: is a folder; name a file in it") from None
        _refuse_library(text)
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{text}: can't be written: {reason}; choose another name") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{text}: is a folder; name a file in it")
    if stat.S_ISLNK(status.st_mode):
        raise InputError(f"{text}: is a symbolic link; name another file")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{text}: is a device or a pipe; name a file, or - for stdout")
    ends = _read_ends(text)
    ours = form.marker is not None and ends.startswith(form.start) and form.marker in ends
    if not ours:
        if _is_photo(text, ends):
            raise InputError(f"{text}: is a photo or picture; choose another name")
        _refuse_library(text)
    if not (ours or force):
        raise InputError(f"{text}: was not written by photosearch; choose another name, or replace it with --force")
    if not (force or status.st_mode & 0o222):
        raise InputError(f"{text}: is read-only; choose another name, or replace it with --force")
    return status


def _read_ends(path: str) -> bytes:
    """The first and the last SEARCHED_BYTES of a regular file; nothing where it can't be read."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            head = file.read(SEARCHED_BYTES)
            file.seek(max(len(head), os.fstat(file.fileno()).st_size - SEARCHED_BYTES))
            return head + file.read(SEARCHED_BYTES)
    except OSError:
        return b""


def _is_photo(path: str, data: bytes) -> bool:
    """Whether it has a photo's extension or first bytes, raw files included; it need not be indexed."""
    from photosearch.photos.formats import RAW_SIGNATURES  # imports Pillow

    extension = os.path.splitext(path)[1].lower()
    return (
        extension in EXTENSIONS or extension in INSTALL_HINTS or data.startswith((*PHOTO_SIGNATURES, *RAW_SIGNATURES))
        or data[4:8] == b"ftyp" or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or (data[:2] == b"BM" and data[6:10] == bytes(4))
    )  # fmt: skip


def _refuse_library(path: str) -> None:
    """Raises InputError for a library, for a copy of one, and for a file that SQLite keeps beside one."""
    whole = next((path.removesuffix(end) for end in LIBRARY_FILES if path.endswith(end)), path)
    if os.path.isfile(whole) and is_library(Path(whole)):
        raise InputError(f"{path}: belongs to a library of photosearch; choose another name")


def _refuse_special(path: str | Path) -> None:
    if os.fspath(path) == STDOUT:
        raise InputError("-: a folder can't be stdout; name one, ./- if that is its name")
    if is_address(os.fspath(path)):
        raise InputError(f"{path}: is an address; name a folder on this machine")


def _list_missing(folder: Path) -> list[Path]:
    """The folder and those above it that don't exist, the innermost first."""
    return [one for one in (folder, *folder.parents) if not os.path.lexists(one)]


def _identify(status: os.stat_result) -> tuple[int, int, int]:
    """What changes when a file is written or replaced."""
    return status.st_mtime_ns, status.st_size, status.st_ino
