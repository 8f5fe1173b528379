"""The log of moved files, in the folder that they were moved to: JSON lines, each on the disk before what it tells of.

    {"photosearch": "moved spares", "version": 1, "library": "/home/me/library.db", "started": "2026-11-30T12:00:00Z"}
    {"move": [{"from": "/photos/a (1).jpg", "to": "a (1).jpg", "size_bytes": 5, "hash": "af13..", "folder": 271,
        "kept": "/photos/a.jpg"}]}
    {"done": 1}

A line moves one thing: a photo and the files that go with it, whose `kept` is null. `to` is below the log's folder,
which may have been moved. hash: BLAKE3. folder: the inode of the folder that it was in. A log without `done` was cut
off by a kill: `move` finishes it. `undo` begins the lines of moving back, after which `move` finishes nothing of it.
"""

import contextlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosearch import outputs
from photosearch.errors import InputError
from photosearch.library import database

KIND, VERSION = "moved spares", 1
_START = f'{{"photosearch": "{KIND}"'.encode()
MAX_BYTES = 1 << 29  # of a log: a million moves and more
NAME = re.compile(r"photosearch-moved-(\d{1,6})\.jsonl")


@dataclass(frozen=True, slots=True)
class Move:
    """One file. source: its absolute path. target: below the log's folder, with /. folder_inode: of the folder that it
    was in: an empty mount point has another. kept: the photo kept in its stead, None for a file that goes with a photo.
    """

    source: str
    target: str
    size_bytes: int
    content_hash: bytes
    folder_inode: int
    kept: str | None

    def to_json(self) -> dict[str, object]:
        return {"from": self.source, "to": self.target, "size_bytes": self.size_bytes,
                "hash": self.content_hash.hex(), "folder": self.folder_inode, "kept": self.kept}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MoveLog:
    """things: the files that were moved together, in the order in which they were. finished: nothing is left of it to
    move; False where a kill cut it off."""

    path: str
    things: tuple[tuple[Move, ...], ...]
    finished: bool

    @property
    def folder(self) -> str:
        return os.path.dirname(self.path)


Write = Callable[[dict[str, object]], None]


@contextlib.contextmanager
def create_log(folder: str, library: Path) -> Iterator[tuple[str, Write]]:
    """A new log in a folder -> (its path, a function that adds a line). Raises InputError."""
    numbers = [int(found[1]) for name in os.listdir(folder) if (found := NAME.fullmatch(name))]
    path = os.path.join(folder, f"photosearch-moved-{max(numbers, default=0) + 1}.jsonl")
    with _open(path, new=True) as write:
        write({"photosearch": KIND, "version": VERSION, "library": os.fspath(library), "started": database.now()})
        yield path, write


@contextlib.contextmanager
def continue_log(path: str) -> Iterator[tuple[str, Write]]:
    """The same with a log that is there."""
    with _open(path, new=False) as write:
        yield path, write


@contextlib.contextmanager
def _open(path: str, *, new: bool) -> Iterator[Write]:
    with outputs.open_log(path, new=new) as add:
        yield lambda record: add(json.dumps(record))


def find_unfinished(folder: str) -> MoveLog | None:
    """The log in a folder that a kill cut off; None without one."""
    with contextlib.suppress(OSError):
        for name in sorted(filter(NAME.fullmatch, os.listdir(folder))):
            log = read_log(os.path.join(folder, name))
            if not log.finished:
                return log
    return None


def read_log(path: str) -> MoveLog:
    """Raises InputError where it is no such log."""
    path = os.path.realpath(path)
    things: list[tuple[Move, ...]] = []
    finished = False
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            data = file.read(MAX_BYTES + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b"\n"
    except OSError as error:
        raise InputError(f"{path}: can't be read: {(error.strerror or str(error)).lower()}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: is longer than {MAX_BYTES >> 20} MB, as no log of moved photos is")
    if not data or (b"\n" not in data and _START.startswith(data[: len(_START)])):  # cut off before the first move
        return MoveLog(path, (), True)
    lines = data.split(b"\n")[:-1]  # what has no end of line was cut off, and nothing was done for it
    for number, line in enumerate(lines, 1):
        try:
            record: dict[str, Any] = json.loads(line)
            if number == 1 and (record["photosearch"], record["version"]) != (KIND, VERSION):
                raise ValueError
            if "move" in record:
                things.append(tuple(map(_parse_move, record["move"])))
            finished |= bool({"done", "undo"} & record.keys())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            place = f"line {number} is damaged" if number > 1 else "is no log of moved photos"
            raise InputError(f"{path}: {place}; name a photosearch-moved-N.jsonl that `duplicates` wrote") from None
    if not lines:
        raise InputError(f"{path}: is no log of moved photos; name a photosearch-moved-N.jsonl that `duplicates` wrote")
    return MoveLog(path, tuple(things), finished)


def _parse_move(raw: dict[str, Any]) -> Move:
    """Raises ValueError, KeyError, TypeError."""
    content_hash, numbers = bytes.fromhex(raw["hash"]), (int(raw["size_bytes"]), int(raw["folder"]))
    move = Move(raw["from"], raw["to"], numbers[0], content_hash, numbers[1], raw["kept"])
    parts = move.target.split("/")
    if os.path.abspath(move.source) != move.source or "\0" in move.source + move.target:
        raise ValueError("not an absolute path")
    if {"", ".", ".."} & set(parts) or os.path.splitdrive(move.target)[0] or len(move.content_hash) != 32:
        raise ValueError("not a path below the log's folder")
    return move
