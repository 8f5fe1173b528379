"""JPEG thumbnails of photos, made by the decoder pool and cached in a folder of limited size.

The cache may be deleted at any time. A file is named by the hash of the photo's bytes, so that a moved photo keeps its
thumbnail and a changed one gets another; two programs may share the folder. Beyond the limit, the least recently used
are deleted. A thumbnail holds pixels alone: no location, no camera, no date.
"""

import contextlib
import io
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from PIL import Image

from photosearch import atomic
from photosearch.metadata.record import EXPOSURE
from photosearch.photos.decode import DecodedPhoto, Unreadable, ViewSpec
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.walk import Photo

SMALL, LARGE = 320, 1600  # pixels of the longer side: in a grid, and alone on a screen
QUALITY = {SMALL: 80, LARGE: 88}
MAX_BYTES = 500_000_000  # default for a folder: some 35,000 small ones
EVICT_TO = 0.9  # of the limit, so that not every new file evicts another
WORKERS = 4  # default, at most


class Thumbnails:
    """The cache and its decoders; a context manager. `read` may be called from several threads.

    folder: of the cache, created if needed; None, or one that can't be written, caches nothing. max_bytes: of all
    files in it together.
    """

    def __init__(self, folder: Path | None, *, max_bytes: int = MAX_BYTES, workers: int | None = None):
        self.folder, self._max_bytes = folder, max_bytes
        workers = min(WORKERS, os.cpu_count() or 1) if workers is None else workers
        self._decoders = DecoderPool(workers, DecodeOptions(tuple(ViewSpec(side) for side in QUALITY)))
        self._lock = threading.Lock()
        self._total_bytes: int | None = None  # of all files in the folder; None: not counted yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the decoders before the first thumbnail is needed: that takes longer than the thumbnail itself."""
        self._decoders.start()

    def close(self) -> None:
        self._decoders.close()

    def read(self, paths: Iterable[str], content_hash: bytes, side: int = SMALL) -> bytes:
        """A photo's thumbnail as a JPEG, from the first of these paths whose content is unchanged.

        content_hash: of the photo's bytes. side: SMALL or LARGE; a smaller photo is not enlarged. Raises Unreadable.
        """
        cached = None if self.folder is None else self.folder / f"{content_hash.hex()}-{side}.jpg"
        if cached is not None and (data := _read_cached(cached)) is not None:
            return data
        data = _to_jpeg(self._open(paths, content_hash, side), side)
        if cached is not None:
            with contextlib.suppress(OSError):
                self._store(cached, data)
        return data

    def read_exposure(self, paths: Iterable[str]) -> dict[str, float]:
        """How a photo was exposed, as its file says now: exposure_seconds, aperture, iso, focal_length (mm).

        What is not known is left out; so is all where no file can be read.
        """
        for path in paths:
            with contextlib.suppress(Unreadable):
                found = self._decoders.read_metadata(path)
                values = {name: getattr(found, name) for name in EXPOSURE}
                return {name: value for name, value in values.items() if value is not None}
        return {}

    def _open(self, paths: Iterable[str], content_hash: bytes, side: int) -> DecodedPhoto:
        view_index, error = list(QUALITY).index(side), Unreadable("no longer in any indexed folder")
        for path in paths:
            try:
                # Size and date don't matter: the file is read again.
                result = self._decoders.open(Photo(path, 0, 0), lambda h: (view_index,) if h == content_hash else ())
            except Unreadable as unreadable:
                error = unreadable
                continue
            if result.decoded is not None:
                return result.decoded
            error = Unreadable("the file was changed since it was indexed; run photosearch index")
        raise error

    def _store(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        atomic.write_bytes(path, data, mode=0o600)
        with self._lock:
            if self._total_bytes is None:
                self._total_bytes = sum(size_bytes for _, size_bytes, _ in self._list_files())
            else:
                self._total_bytes += len(data)
            if self._total_bytes > self._max_bytes:
                self._total_bytes = self._evict()

    def _evict(self) -> int:
        """Delete the least recently used files -> the bytes that are left."""
        files = sorted(self._list_files())
        left_bytes = sum(size_bytes for _, size_bytes, _ in files)
        for _, size_bytes, path in files:
            if left_bytes <= EVICT_TO * self._max_bytes:
                break
            with contextlib.suppress(OSError):  # another program was quicker
                os.unlink(path)
            left_bytes -= size_bytes
        return left_bytes

    def _list_files(self) -> list[tuple[int, int, str]]:
        """(last use as mtime_ns, size in bytes, path) of each file in the folder."""
        files = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    status = entry.stat()
                    files.append((status.st_mtime_ns, status.st_size, entry.path))
        return files


def _read_cached(path: Path) -> bytes | None:
    """A cached file, or None; its modification time becomes now, the time of its last use."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return data


def _to_jpeg(photo: DecodedPhoto, side: int) -> bytes:
    """A squashed view -> a JPEG with the photo's own aspect ratio."""
    (view,) = photo.views
    image, size = Image.fromarray(view[0]), fit_inside(photo.width, photo.height, side)
    out = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=QUALITY[side])
    return out.getvalue()


def fit_inside(width: int, height: int, side: int) -> tuple[int, int]:
    """The width and height at which a photo's longer side is `side` pixels; its own if it is smaller."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
