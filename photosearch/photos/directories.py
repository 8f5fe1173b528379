"""Folders of this machine, for a path that somebody is typing. Files are neither named nor opened.

What is listed is what the user of this process may list. A large folder is looked at in part.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from photosearch.errors import InputError

MAX_ENTRIES = 20_000  # of a folder that are looked at
MAX_PATH = 4096  # characters, Linux's limit


@dataclass(frozen=True, slots=True)
class DirectoryCompletion:
    """paths: absolute, sorted by name. more: others begin the same way. reason: why there are none, if it is known."""

    paths: tuple[str, ...]
    more: bool
    reason: str | None = None


def complete_directory(typed: str, limit: int) -> DirectoryCompletion:
    """The folders whose paths begin as typed. Letter case does not count; hidden ones need their dot.

    typed: absolute, or below ~; nothing: the user's home and its Pictures. Names that are not UTF-8 are left out: a
    page can't send them. Raises InputError for any other path.
    """
    if not typed.strip():
        home = os.path.expanduser("~")
        paths = [path for path in (os.path.join(home, "Pictures"), home) if os.path.isdir(path)]
        return DirectoryCompletion(tuple(paths), False)
    if len(typed) > MAX_PATH or "\0" in typed:
        raise InputError("this is too long for a folder's path, or holds a NUL")
    path = os.path.expanduser(typed.strip())
    if not Path(path).is_absolute():
        raise InputError(f"{typed[:80]!r}: type the whole path, from {os.path.abspath(os.sep)} or ~")
    folder, start = os.path.split(path)
    folder = os.path.normpath(folder)
    try:
        found = sorted(_list_directories(folder, start), key=lambda name: (name.casefold(), name))
    except OSError as error:
        return DirectoryCompletion((), False, f"{folder}: {error.strerror}")
    return DirectoryCompletion(tuple(os.path.join(folder, name) for name in found[:limit]), len(found) > limit)


def _list_directories(folder: str, start: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for _, entry in zip(range(MAX_ENTRIES), entries, strict=False):
            name = entry.name
            if not name.casefold().startswith(start.casefold()) or (name.startswith(".") and not start.startswith(".")):
                continue
            with contextlib.suppress(OSError, UnicodeEncodeError):
                name.encode()
                if entry.is_dir():
                    yield name
