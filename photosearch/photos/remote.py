"""Photos that no path leads to: in object storage, by addresses such as s3://bucket/folder, through the extra `fsspec`.

An address stands wherever a path does, and is never normalised: in a bucket, // and .. are names like any other. Which
server, and who asks, is said where the storage's own library looks for it (AWS_PROFILE, AWS_ENDPOINT_URL, ...).
fsspec: https://filesystem-spec.readthedocs.io/
"""

import contextlib
import functools
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from photosearch.errors import InputError, first_line

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://[^/]")
LOCAL = ("file", "local")


def is_address(path: str) -> bool:
    return _ADDRESS.match(path) is not None


def real_path(path: str) -> str:
    """A path without links; an address as it is, but for a / at its end."""
    return path.rstrip("/") if is_address(path) else os.path.realpath(path)


def absolute_path(path: str) -> str:
    return path.rstrip("/") if is_address(path) else os.path.abspath(path)


def is_folder(path: str) -> bool:
    """Whether a folder is there, or anything below an address. Raises InputError where its storage can't be asked."""
    if not is_address(path):
        return os.path.isdir(path)
    with in_words(path):
        return bool(open_files(path).exists(path.rstrip("/")))


def open_files(address: str) -> Any:
    """fsspec's file system for an address. Raises InputError where there is none, or what reads it is not installed."""
    found = _ADDRESS.match(address)
    assert found is not None
    if found[1] in LOCAL:
        raise InputError(f"{address}: a folder of this machine; name its path")
    return _open(found[1])


@functools.cache
def _open(protocol: str) -> Any:
    try:
        import fsspec
    except ImportError:
        raise InputError(f"{protocol}://: to read from there, pip install 'photosearch[fsspec]'") from None
    try:
        # Never through an address of a file: there, :: would chain file systems, and a key may hold it.
        return fsspec.filesystem(protocol, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise InputError(f"{protocol}://: fsspec can't read from there: {first_line(error)}") from None


@contextlib.contextmanager
def in_words(address: str) -> Iterator[None]:
    """Whatever a storage's library raises -> InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # each has a tree of its own
        raise InputError(
            f"{address}: {first_line(error)}; check the address, the network and who you are there"
        ) from None


def read(address: str, most: int) -> bytes:
    """All bytes of an object, at most `most` + 1 of them. Raises OSError with a strerror, whatever went wrong."""
    try:
        with open_files(address).open(address, "rb", cache_type="none") as file:
            data: bytes = file.read(most + 1)
            return data
    except FileNotFoundError:
        raise FileNotFoundError(2, "no such file or directory") from None
    except InputError as error:
        raise OSError(5, str(error)) from None
    except Exception as error:
        raise OSError(5, first_line(error)) from None


def exists(address: str) -> bool | None:
    """Whether anything is at an address; None where it can't be asked."""
    try:
        return bool(open_files(address).exists(address))
    except Exception:
        return None


def list_folder(address: str) -> Iterator[tuple[str, bool, int, int]]:
    """What lies in one folder of a bucket: (name, whether it is a folder, size in bytes, mtime_ns); mtime 0: unknown.

    Raises OSError with a strerror.
    """
    files = open_files(address)
    try:
        found = files.ls(address, detail=True)
    except FileNotFoundError:
        raise FileNotFoundError(2, "no such file or directory") from None
    except Exception as error:
        raise OSError(5, first_line(error)) from None
    own = files._strip_protocol(address).rstrip("/")
    for info in found:
        name = str(info["name"]).removeprefix(own + "/").rstrip("/")
        if name and name != own and "/" not in name:
            yield name, info["type"] == "directory", int(info.get("size") or 0), _mtime_ns(info)


_DATES = ("LastModified", "mtime", "last_modified", "updated", "modified", "created")  # as fsspec's libraries name it


def _mtime_ns(info: Mapping[str, Any]) -> int:
    value = next((info[key] for key in _DATES if info.get(key) is not None), 0)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return round(value * 1e9) if isinstance(value, int | float) else 0
