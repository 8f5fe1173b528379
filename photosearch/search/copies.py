"""The duplicate photos of a library: rows and vectors for duplicates.py, whose doubtful pairs are opened here.

Only photos that are near to another are opened, at 256 pixels, to see whether they show the same text.
"""

import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Self

import numpy as np

from photosearch.library.database import Database
from photosearch.library.models import read_default_model
from photosearch.library.photos import find_photo_paths, list_photo_files
from photosearch.library.vectors import find_space
from photosearch.photos import walk
from photosearch.photos.decode import Unreadable, ViewSpec
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.detail import SIZE, Picture, make_picture, show_same
from photosearch.photos.fingerprint import PLAIN
from photosearch.search.duplicates import ROW, Found, Group, Member, Photo, ReadVectors, Rows, find_groups
from photosearch.search.scope import check_folder
from photosearch.search.similar import open_vector_map

MAX_PICTURES = 1000  # kept in memory: 66 MB
CAMERA = "DateTimeOriginal"  # the date that a camera writes
# How programs and people name what they made of a photo: a-edited.jpg, IMG_E1234.JPG, a (1).jpg, Copy of a.jpg
EDITED = re.compile(
    r"(^|[-_ .(])(edit|edited|bearbeitet|modifi\w*|editad\w*|effects|copy|copie|copia|kopie|retouch\w*|cropped|final)\b"
    r"|\(\d+\)$|^img_e\d",
    re.IGNORECASE,
)


def find_duplicates_in_library(db: Database, *, near: bool = True, under: str | None = None) -> list[Group]:
    """Groups, the largest first: by the number of photos, then by spare bytes.

    near: also the same picture in another size, encoding or crop. Raises InputError.
    """
    rows = _read_rows(db, None if under is None else check_folder(db, under))
    with ExitStack() as stack:
        read_vectors = _open_vectors(db, rows, stack) if near else None
        pictures = stack.enter_context(_Pictures(db, rows))
        found = find_groups(rows, read_vectors, pictures.show_same, near=near)
    groups = [group for each in found if (group := _make_group(db, rows, each)) is not None]
    return sorted(groups, key=lambda group: (-len(group.members), -group.spare_bytes, group.members[0].photo.path))


def _read_rows(db: Database, folder: str | None) -> Rows:
    rows = (
        (photo_id, image_id, size_bytes, width, height, PLAIN if fingerprint is None else fingerprint % 2**64,
         2 * (EDITED.search(os.path.splitext(name)[0]) is not None) + (taken_from != CAMERA))
        for photo_id, image_id, size_bytes, width, height, fingerprint, taken_from, name in list_photo_files(db, folder)
    )  # fmt: skip
    return np.fromiter(rows, ROW)


def _open_vectors(db: Database, rows: Rows, stack: ExitStack) -> ReadVectors | None:
    """Reads the default model's vectors; None where it has none. The stack closes their map."""
    model = read_default_model(db)
    space = None if model is None else find_space(db, model)
    if space is None:
        return None
    vectors = stack.enter_context(open_vector_map(db, space))
    return lambda places: vectors.read_units(rows["image_id"][places])


class _Pictures:
    """Photos opened in child processes, a context manager. The last MAX_PICTURES stay in memory."""

    def __init__(self, db: Database, rows: Rows):
        self._db, self._rows = db, rows
        self._kept: OrderedDict[int, Picture | None] = OrderedDict()
        self._workers = os.cpu_count() or 1
        self._pool: DecoderPool | None = None
        self._threads = ThreadPoolExecutor(self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        if self._pool is not None:
            self._pool.close()

    def show_same(self, row: int, others: Sequence[int]) -> list[bool]:
        """Which of these photos show the same as the first in detail; those that can't be opened count as the same."""
        same: list[bool] = []
        for first in range(0, len(others), MAX_PICTURES // 2):
            part = others[first : first + MAX_PICTURES // 2]
            kept, *pictures = self._open([row, *part])
            same += [kept is None or picture is None or show_same(kept, picture) for picture in pictures]
        return same

    def _open(self, rows: Sequence[int]) -> list[Picture | None]:
        new = [row for row in rows if row not in self._kept]
        paths = find_photo_paths(self._db, self._rows["photo_id"][new].tolist())
        self._kept.update(zip(new, self._threads.map(self._read, paths), strict=True))
        pictures = [self._kept[row] for row in rows]
        for row in rows:
            self._kept.move_to_end(row)
        while len(self._kept) > MAX_PICTURES:
            self._kept.popitem(last=False)
        return pictures

    def _read(self, path: str) -> Picture | None:
        try:
            result = self._start().open(walk.Photo(path, 0, 0), lambda _: (0,))
        except Unreadable:
            return None
        assert result.decoded is not None
        return make_picture(result.decoded.views[0][0], result.decoded.width, result.decoded.height)

    def _start(self) -> DecoderPool:
        if self._pool is None:
            self._pool = DecoderPool(self._workers, DecodeOptions((ViewSpec(SIZE),)))
        return self._pool


def _make_group(db: Database, rows: Rows, found: Sequence[Found]) -> Group | None:
    """None where the only other photo is the raw file, or the JPEG, of the one to keep."""
    places = [each.row for each in found]
    paths = find_photo_paths(db, rows["photo_id"][places].tolist())
    members = []
    for each, row, path in zip(found, rows[places].tolist(), paths, strict=True):
        _, image_id, size_bytes, width, height, *_ = row
        how = "raw pair" if each.how == "near" and _is_raw_pair(path, paths[0]) else each.how
        members.append(Member(Photo(image_id, path, size_bytes, width, height), how, each.bits, each.cosine))
    group = Group(tuple(members))
    return group if group.spare else None


def _is_raw_pair(a: str, b: str) -> bool:
    """Whether one is a raw file and the other none, of one name in one folder."""
    (stem_a, extension_a), (stem_b, extension_b) = os.path.splitext(a), os.path.splitext(b)
    raw = [extension.lower() in walk.RAW_EXTENSIONS for extension in (extension_a, extension_b)]
    return raw[0] != raw[1] and stem_a.casefold() == stem_b.casefold()
