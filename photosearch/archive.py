"""A zip file of photos, made while it is read: in pieces, so that its size takes no memory and no disk.

    for piece in stream_zip(list_sources(db, image_ids)):
        send(piece)

As in an album's folder (album.py), what goes in is what was indexed: a regular file of the library, not a link that has
taken its place, with the content that the library knows, which is read once to be checked and once to be sent. What is
left out is named in a text file at the end. Names are made to suit every system, and each is there once.

Photos are compressed already. They are stored as DEFLATE of level 0, which, unlike "stored", may follow without their
length being told before: any program unpacks it. zipstream-ng would do the same; the standard library is enough.
"""

import contextlib
import io
import os
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from photosearch.index.folder_settings import follows_links
from photosearch.library.database import Database
from photosearch.library.images import list_image_files
from photosearch.outputs import to_portable_name
from photosearch.photos.decode import PIECE_BYTES, Unreadable, hash_open_file, open_photo, read
from photosearch.photos.remote import is_address

LEFT_OUT = "LEFT OUT.txt"
MAX_STEM_BYTES = 150  # of a name, so that a number and an extension fit
YEARS = (1980, 2107)  # that a zip file can tell


@dataclass(frozen=True, slots=True)
class Source:
    """A photo for a zip file: files with the same content, of which the first that can be read goes in.

    files: (path, whether a link may stand there). An image that no file shows has none.
    """

    image_id: int
    content_hash: bytes
    mtime_ns: int
    files: tuple[tuple[str, bool], ...]


def list_sources(db: Database, image_ids: Sequence[int]) -> list[Source]:
    """The photos of some images, each once, in their order. `stream_zip` needs no library any more."""
    known, follows = list_image_files(db, image_ids), dict[str, bool]()
    found = []
    for image_id in dict.fromkeys(image_ids):
        files = []
        for file in known.get(image_id, ()):
            folder = os.path.dirname(file.path)
            if not is_address(file.path) and folder not in follows:
                follows[folder] = follows_links(db, folder)
            files.append((file.path, follows.get(folder, False)))
        first = known[image_id][0] if files else None
        found.append(
            Source(image_id, first.content_hash if first else b"", first.mtime_ns if first else 0, tuple(files))
        )
    return found


def stream_zip(sources: Sequence[Source]) -> Iterator[bytes]:
    """The bytes of a zip file of these photos, in pieces of about PIECE_BYTES."""
    sink, left_out, taken = _Sink(), list[str](), {LEFT_OUT.casefold()}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=zlib.Z_NO_COMPRESSION) as archive:
        for source in sources:
            with contextlib.ExitStack() as stack:
                try:
                    path, file = _open(source, stack)
                except Unreadable as error:
                    name = source.files[0][0] if source.files else f"picture {source.image_id}"
                    left_out.append(f"{name.encode(errors='backslashreplace').decode()}: {error.reason}\n")
                    continue
                info = zipfile.ZipInfo(_choose_name(path, taken), _to_date(source.mtime_ns))
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                with archive.open(info, "w") as target:
                    while piece := file.read(PIECE_BYTES):
                        target.write(piece)
                        yield sink.take()
        if left_out:
            archive.writestr(LEFT_OUT, "".join(left_out))
    yield sink.take()


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]  # a buffer
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _open(source: Source, stack: contextlib.ExitStack) -> tuple[str, IO[bytes]]:
    """(path, open file at its beginning) of the first file with the content that was indexed. Raises Unreadable."""
    failed = Unreadable("no longer in the library")
    for path, follow in source.files:
        with contextlib.ExitStack() as opened:
            try:
                if is_address(path):
                    file: IO[bytes] = opened.enter_context(io.BytesIO(read(path)))
                else:
                    file, _ = opened.enter_context(open_photo(path, follow_symlinks=follow))
                if hash_open_file(file) != source.content_hash:
                    raise Unreadable("has changed since it was indexed")
                file.seek(0)
            except Unreadable as error:
                failed = error
                continue
            stack.push(opened.pop_all())
            return path, file
    raise failed


def _choose_name(path: str, taken: set[str]) -> str:
    """A photo's name for any system: a.jpg, or a (2).jpg where that is taken, whatever its case."""
    stem, extension = os.path.splitext(os.path.basename(path))
    stem = to_portable_name(stem).encode(errors="replace")[:MAX_STEM_BYTES].decode(errors="ignore").rstrip(". ") or "_"
    extension = "".join(c for c in extension if c.isascii() and (c.isalnum() or c == "."))[:10]
    number = 1
    while (name := f"{stem}{extension}" if number == 1 else f"{stem} ({number}){extension}").casefold() in taken:
        number += 1
    taken.add(name.casefold())
    return name


def _to_date(mtime_ns: int) -> tuple[int, int, int, int, int, int]:
    """Local time, as zip files have it."""
    try:
        year, *rest = time.localtime(mtime_ns / 1e9)[:6]
    except (OverflowError, ValueError, OSError):
        year, rest = 0, []
    if not YEARS[0] <= year <= YEARS[1]:
        return YEARS[0], 1, 1, 0, 0, 0
    month, day, hour, minute, second = rest
    return year, month, day, hour, minute, second
