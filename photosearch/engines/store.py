"""Where shards are kept: a folder that all machines see, or a bucket.

A shard is there completely or not at all. In a folder it is written under a name that no other writer uses, then
renamed; a bucket's puts are atomic. Writing the same shard twice replaces it with an equal one.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from photosearch import atomic, outputs
from photosearch.engines.shards import SUFFIX
from photosearch.errors import InputError
from photosearch.photos import remote

ADVICE = "make room, or choose another --shards, then run the same command again: nothing is lost"


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
    """Open a folder or a bucket of shards. Raises InputError where it can't be used."""
    return BucketStore(place) if remote.is_address(place) else FolderStore(place, create=create)


class FolderStore:
    """Shards in a folder."""

    def __init__(self, place: str, *, create: bool = True):
        self.place = os.path.abspath(place)
        if create:
            with self._as_input_errors():
                os.makedirs(self.place, mode=0o700, exist_ok=True)
        elif not os.path.isdir(self.place):
            raise InputError(f"{self.place}: no such folder of shards")

    def has(self, name: str) -> bool:
        return os.path.isfile(self._path(name))

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        if not self.has(name):  # a named pipe would never answer
            raise InputError(f"{self._path(name)}: no such shard")
        with self._as_input_errors():
            file = Path(self._path(name)).open("rb")  # noqa: SIM115  # closed below: the reader's errors are its own
        with file:
            yield file

    def put(self, name: str, data: bytes) -> None:
        # Its name is the digest of its photos: what has it, or gets it meanwhile, can only be the same shard, or what
        # is left of it.
        outputs.check_output(self._path(name), outputs.SHARD, force=True)
        try:
            atomic.write_bytes(self._path(name), data, durable=True)
        except OSError as error:
            raise InputError(outputs.describe_failure(self._path(name), error, ADVICE)) from None

    def remove(self, name: str) -> None:
        with self._as_input_errors():
            Path(self._path(name)).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        with self._as_input_errors():
            found = os.listdir(self.place)
        yield from sorted(name for name in found if name.endswith(SUFFIX) and not name.startswith("."))

    def drop_if_empty(self) -> None:
        with contextlib.suppress(OSError):
            Path(self.place).rmdir()

    def _path(self, name: str) -> str:
        return os.path.join(self.place, name)

    @contextlib.contextmanager
    def _as_input_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self.place}: shards can't be kept here ({error.strerror or error}); {ADVICE}") from None


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
            found = list(remote.list_folder(self.place))
        yield from sorted(name for name, is_folder, *_ in found if name.endswith(SUFFIX) and not is_folder)

    def drop_if_empty(self) -> None:
        """A bucket has no empty folders."""
