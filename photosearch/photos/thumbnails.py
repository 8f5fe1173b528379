"""Small pictures of photos, as JPEGs: opened behind the decoders' wall, kept in a folder of limited size.

What is kept is derived and may be deleted at any time. A file is named after the hash of the photo's bytes, so that a
photo that moves keeps its thumbnail and one that changes gets another; it is written aside and renamed, so that two
programs may share the folder. Where the limit is passed, what was not asked for longest goes first. Nothing of a photo
but its pixels is in its thumbnail: no place, no camera, no date.
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
from photosearch.photos.decode import DecodedPhoto, Unreadable, ViewSpec
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.walk import Photo

SMALL, LARGE = 320, 1600  # pixels of the longer side: in a grid, and alone on a screen
QUALITY = {SMALL: 80, LARGE: 88}
MAX_BYTES = 500_000_000  # of a folder, where the caller doesn't choose: some 35,000 small ones
LEAVE = 0.9  # of the limit, once something had to go
WORKERS = 4


class Thumbnails:
    """Owns the decoders; a context manager. `read` may be called from several threads.

    folder: where they are kept, made where it is not there; None keeps none, and so does a folder that can't be
    written. max_bytes: of the files in it together.
    """

    def __init__(self, folder: Path | None, *, max_bytes: int = MAX_BYTES, workers: int | None = None):
        self.folder, self._max_bytes = folder, max_bytes
        workers = min(WORKERS, os.cpu_count() or 1) if workers is None else workers
        self._decoders = DecoderPool(workers, DecodeOptions(tuple(ViewSpec(side) for side in QUALITY)))
        self._lock = threading.Lock()
        self._bytes: int | None = None  # of all files in the folder; None: not counted yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the decoders before the first thumbnail is asked for: that takes longer than the thumbnail does."""
        self._decoders.start()

    def close(self) -> None:
        self._decoders.close()

    def read(self, paths: Iterable[str], content_hash: bytes, side: int = SMALL) -> bytes:
        """The JPEG of a photo that stands at these paths, at the first where it still is what it was.

        content_hash: of its bytes. side: SMALL or LARGE; a smaller photo is not blown up. Raises Unreadable.
        """
        kept = None if self.folder is None else self.folder / f"{content_hash.hex()}-{side}.jpg"
        if kept is not None and (data := _read_kept(kept)) is not None:
            return data
        data = _to_jpeg(self._open(paths, content_hash, side), side)
        if kept is not None:
            with contextlib.suppress(OSError):
                self._keep(kept, data)
        return data

    def _open(self, paths: Iterable[str], content_hash: bytes, side: int) -> DecodedPhoto:
        need, why = list(QUALITY).index(side), Unreadable("it is in no folder any more")
        for path in paths:
            try:
                # Neither length nor time are asked for: the file is read anew.
                read = self._decoders.open(Photo(path, 0, 0), lambda found: (need,) if found == content_hash else ())
            except Unreadable as error:
                why = error
                continue
            if read.opened is not None:
                return read.opened
            why = Unreadable("the file was changed since it was indexed; run photosearch index")
        raise why

    def _keep(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        atomic.write_bytes(path, data, mode=0o600)
        with self._lock:
            self._bytes = len(data) + self._bytes if self._bytes is not None else self._count()
            if self._bytes > self._max_bytes:
                self._bytes = self._make_room()

    def _count(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _make_room(self) -> int:
        """Delete what was not asked for longest -> the bytes that are left."""
        files = sorted(self._files())
        left = sum(size for _, size, _ in files)
        for _, size, name in files:
            if left <= LEAVE * self._max_bytes:
                break
            with contextlib.suppress(OSError):  # another program was quicker
                os.unlink(name)
            left -= size
        return left

    def _files(self) -> list[tuple[int, int, str]]:
        """(when it was last asked for, its bytes, its path) of each file in the folder."""
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    status = entry.stat()
                    found.append((status.st_mtime_ns, status.st_size, entry.path))
        return found


def _read_kept(path: Path) -> bytes | None:
    """What is kept, with its date set to now: that is when it was last asked for."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return data


def _to_jpeg(opened: DecodedPhoto, side: int) -> bytes:
    """A squashed view -> a JPEG in the photo's own shape."""
    (view,) = opened.views
    image, size = Image.fromarray(view[0]), fit_inside(opened.width, opened.height, side)
    out = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=QUALITY[side])
    return out.getvalue()


def fit_inside(width: int, height: int, side: int) -> tuple[int, int]:
    """The size, in pixels, at which a photo's longer side is `side`, or its own where it is smaller."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
