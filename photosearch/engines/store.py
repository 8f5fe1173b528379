"""Where shards stand: a folder that all machines see, or a bucket.

A shard is there whole or not at all. In a folder it is written aside, under a name that no other writer has, and
renamed; a bucket's puts are whole by themselves. Who writes the same shard twice replaces it by its like.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from photosearch import atomic
from photosearch.engines.shards import END
from photosearch.errors import InputError
from photosearch.photos import remote


class Store(Protocol):
    """place: its path or address, for messages."""

    place: str

    def has(self, name: str) -> bool: ...

    def open(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]: ...

    def put(self, name: str, data: bytes) -> None: ...

    def remove(self, name: str) -> None: ...

    def names(self) -> Iterator[str]: ...

    def drop_if_empty(self) -> None: ...


def open_store(place: str, *, create: bool = True) -> Store:
    """Raises InputError where nothing can stand there."""
    return BucketStore(place) if remote.is_address(place) else FolderStore(place, create=create)


class FolderStore:
    """Shards in a folder."""

    def __init__(self, place: str, *, create: bool = True):
        self.place = os.path.abspath(place)
        if create:
            with self._in_words():
                os.makedirs(self.place, mode=0o700, exist_ok=True)
        elif not os.path.isdir(self.place):
            raise InputError(f"{self.place}: no such folder of shards")

    def has(self, name: str) -> bool:
        return os.path.isfile(self._path(name))

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        with self._in_words():
            file = Path(self._path(name)).open("rb")  # noqa: SIM115  # closed below, where errors are the reader's
        with file:
            yield file

    def put(self, name: str, data: bytes) -> None:
        with self._in_words():
            atomic.write_bytes(self._path(name), data, durable=True)

    def remove(self, name: str) -> None:
        with self._in_words():
            Path(self._path(name)).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        with self._in_words():
            found = os.listdir(self.place)
        yield from sorted(name for name in found if name.endswith(END) and not name.startswith("."))

    def drop_if_empty(self) -> None:
        with contextlib.suppress(OSError):
            Path(self.place).rmdir()

    def _path(self, name: str) -> str:
        return os.path.join(self.place, name)

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self.place}: shards can't be kept here ({error.strerror or error}); make room, or choose another "
                "--shards, then run the same command again: nothing is lost"
            ) from None


class BucketStore:
    """Shards below an address, through fsspec."""

    def __init__(self, place: str):
        self.place = place.rstrip("/")
        self._files = remote.open_files(place)

    def has(self, name: str) -> bool:
        with remote.in_words(self.place):
            return bool(self._files.exists(f"{self.place}/{name}"))

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        with remote.in_words(self.place):
            file = self._files.open(f"{self.place}/{name}", "rb")
        with file:
            yield file

    def put(self, name: str, data: bytes) -> None:
        with remote.in_words(self.place):
            self._files.pipe_file(f"{self.place}/{name}", data)

    def remove(self, name: str) -> None:
        with remote.in_words(self.place), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(f"{self.place}/{name}")

    def names(self) -> Iterator[str]:
        with remote.in_words(self.place):
            found = self._files.ls(self.place, detail=False)
        yield from sorted(name for path in found if (name := path.rsplit("/", 1)[-1]).endswith(END))

    def drop_if_empty(self) -> None:
        """A bucket has no folders that could stay behind."""
