"""Photos in object storage, by addresses such as s3://bucket/folder; needs the extra `fsspec`.

An address may be used wherever a path may, and is never normalised: in a bucket, // and .. are ordinary names. Server
and credentials are configured as the storage's own library expects (AWS_PROFILE, AWS_ENDPOINT_URL, ...).
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
LOCAL_PROTOCOLS = ("file", "local")


def is_address(path: str) -> bool:
    return _ADDRESS.match(path) is not None


def real_path(path: str) -> str:
    """A path without links; an address without a trailing /."""
    return path.rstrip("/") if is_address(path) else os.path.realpath(path)


def absolute_path(path: str) -> str:
    return path.rstrip("/") if is_address(path) else os.path.abspath(path)


def is_folder(path: str) -> bool:
    """Whether a folder, or anything below an address, exists. Raises InputError if the storage can't be reached."""
    if not is_address(path):
        return os.path.isdir(path)
    with in_words(path):
        return bool(open_files(path).exists(path.rstrip("/")))


def open_files(address: str) -> Any:
    """fsspec's file system for an address. Raises InputError if there is none or it isn't installed."""
    found = _ADDRESS.match(address)
    assert found is not None
    if found[1] in LOCAL_PROTOCOLS:
        raise InputError(f"{address}: give the path of a local folder, not an address")
    return _open(found[1])


@functools.cache
def _open(protocol: str) -> Any:
    try:
        import fsspec
    except ImportError:
        raise InputError(f"{protocol}:// needs fsspec: pip install 'photosearch[fsspec]'") from None
    try:
        # By protocol, not by address: in an address :: chains file systems, and a key may contain it.
        return fsspec.filesystem(protocol, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise InputError(f"{protocol}://: fsspec can't read it: {first_line(error)}") from None


@contextlib.contextmanager
def in_words(address: str) -> Iterator[None]:
    """Turn whatever a storage's library raises into InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # each library has its own classes
        raise InputError(
            f"{address}: {first_line(error)}; check the address, the network and your credentials"
        ) from None


def read(address: str, max_bytes: int) -> bytes:
    """An object's bytes, at most max_bytes + 1 of them. Whatever goes wrong raises OSError with a strerror."""
    try:
        with open_files(address).open(address, "rb", cache_type="none") as file:
            data: bytes = file.read(max_bytes + 1)
            return data
    except FileNotFoundError:
        raise FileNotFoundError(2, "no such file or directory") from None
    except InputError as error:
        raise OSError(5, str(error)) from None
    except Exception as error:
        raise OSError(5, first_line(error)) from None


def exists(address: str) -> bool | None:
    """Whether an address exists; None if that can't be found out."""
    try:
        return bool(open_files(address).exists(address))
    except Exception:
        return None


def list_folder(address: str) -> Iterator[tuple[str, bool, int, int]]:
    """The entries of one folder of a bucket: (name, is_folder, size_bytes, mtime_ns); mtime_ns 0 if unknown.

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


_MTIME_KEYS = ("LastModified", "mtime", "last_modified", "updated", "modified", "created")  # of fsspec's libraries


def _mtime_ns(info: Mapping[str, object]) -> int:
    value = next((info[key] for key in _MTIME_KEYS if info.get(key) is not None), 0)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return round(value * 1e9) if isinstance(value, int | float) else 0
