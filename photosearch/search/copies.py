"""The duplicate photos of a library: rows and vectors for duplicates.py, whose doubtful pairs are opened here.

Only photos that are near to another are opened, at 256 pixels, to see whether they show the same text. Shots of one
burst are no copies of each other: bursts.py is for them.
"""

import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt

from photosearch.library.database import Database, to_path
from photosearch.library.folders import list_folder_ids
from photosearch.library.images import list_chosen_images
from photosearch.library.models import read_default_model
from photosearch.library.photos import find_photo_paths, list_photo_files, read_shots
from photosearch.library.vectors import find_space
from photosearch.metadata.dates import date_in_name, to_seconds
from photosearch.photos import walk
from photosearch.photos.decode import Unreadable, ViewSpec
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.detail import SIZE, Picture, make_picture, show_same
from photosearch.photos.fingerprint import PLAIN
from photosearch.photos.things import find_original_stem, is_raw
from photosearch.search.bursts import SHOT, find_run
from photosearch.search.duplicates import Found, Group, Member, Photo, ReadVectors, find_groups
from photosearch.search.keeper import ROW, Criterion, Rows, explain, make_rule, rank, split_rule
from photosearch.search.scope import check_folder
from photosearch.search.similar import open_vector_map
from photosearch.search.spare import LESS, REASONS, choose_kept, find_bound, put_first, read_bounds

MAX_PICTURES = 1000  # kept in memory: 66 MB
CAMERA = "DateTimeOriginal"  # the date that a camera writes
EDIT = 2  # in a row's `edited`, from which on its name is that of an edit or a copy
# How programs and people name what they made of a photo: a-edited.jpg, IMG_E1234.JPG, a (1).jpg, Copy of a.jpg
EDITED = re.compile(
    r"(^|[-_ .(])(edit|edited|bearbeitet|modifi\w*|editad\w*|effects|copy|copie|copia|kopie|retouch\w*|cropped|final)\b"
    r"|\(\d+\)$|^img_e\d",
    re.IGNORECASE,
)


def find_duplicates_in_library(
    db: Database, *, near: bool = True, under: str | None = None, keep: Sequence[str] = ()
) -> list[Group]:
    """Groups, the largest first: by the number of photos, then by spare bytes.

    near: also the same picture in another size, encoding or crop. keep: criteria of keeper.py that come first. Raises
    InputError.
    """
    rule = make_rule(split_rule(keep), lambda folder: list_folder_ids(db, check_folder(db, folder)))
    rows = _read_rows(db, None if under is None else check_folder(db, under))
    with ExitStack() as stack:
        read_vectors = open_vectors(db, rows["image_id"], stack) if near else None
        pictures = stack.enter_context(_Pictures(db, rows))
        shots = _Shots(db, rows)

        def are_copies(row: int, others: Sequence[int]) -> list[bool]:
            shot = shots.list_beside(row, others)
            rest = [other for other in others if other not in shot]
            same = dict(zip(rest, pictures.show_same(row, rest), strict=True))
            return [same.get(other, False) for other in others]

        found = find_groups(rows, read_vectors, are_copies, near=near, ranked=rank(rows, rule))
    groups = _make_groups(db, rows, found, rule)
    return sorted(groups, key=lambda group: (-len(group.members), -group.spare_bytes, group.members[0].photo.path))


def _read_rows(db: Database, folder: str | None) -> Rows:
    rows = np.fromiter(_list_rows(db, folder), ROW)
    rows["chosen"] = np.isin(rows["image_id"], list_chosen_images(db))
    return rows


def _list_rows(db: Database, folder: str | None) -> Iterator[tuple[int | bool, ...]]:
    for photo_id, image_id, size, width, height, code, folder_id, mtime, taken_from, raw_name, gps in list_photo_files(
        db, folder
    ):
        name, of_file = to_path(raw_name), mtime // 10**9
        named = date_in_name(name)
        of_name = None if named is None else to_seconds(named)
        edited = EDIT * is_edited(name) + (taken_from != CAMERA)
        yield (
            photo_id, image_id, size, width, height, PLAIN if code is None else code % 2**64, folder_id,
            of_file if of_name is None else min(of_name, of_file), edited, is_raw(name), gps, False,
            of_name is not None and of_name <= of_file,
        )  # fmt: skip


def is_edited(name: str) -> bool:
    """Whether a file's name tells of an edit or a copy."""
    return EDITED.search(os.path.splitext(name)[0]) is not None


def open_vectors(db: Database, image_ids: npt.NDArray[np.int64], stack: ExitStack) -> ReadVectors | None:
    """Reads the default model's vectors of images by their places; None where it has none. The stack closes them."""
    model = read_default_model(db)
    space = None if model is None else find_space(db, model)
    if space is None:
        return None
    vectors = stack.enter_context(open_vector_map(db, space))
    return lambda places: vectors.read_units(image_ids[places])


class _Shots:
    """Tells the shots of a burst from copies of one shot."""

    def __init__(self, db: Database, rows: Rows):
        self._db, self._rows = db, rows

    def list_beside(self, row: int, others: Sequence[int]) -> set[int]:
        """Which of these photos, which look like the first, its camera took within seconds of it.

        Edits and copies by their names are none. Of one second, only photos of one folder with names and the camera's
        dates of their own are, since a copy keeps its date.
        """
        ids = self._rows["photo_id"]
        taken = read_shots(self._db, ids[[row, *others]].tolist())
        places = [each for each in (row, *others) if int(ids[each]) in taken and self._rows["edited"][each] < EDIT]
        if places[:1] != [row] or len(places) == 1:
            return set()
        shots = np.zeros(len(places), SHOT)
        for side in ("width", "height"):
            shots[side] = self._rows[side][places]
        for shot, each in zip(shots, places, strict=True):
            camera, local = taken[int(ids[each])]
            shot["camera"] = -int(self._rows["folder_id"][each]) if camera is None else camera
            shot["shot"] = to_seconds(local)
        paths = find_photo_paths(self._db, ids[places].tolist())
        return {
            places[i]
            for i in find_run(shots).tolist()
            if i and (shots["shot"][i] != shots["shot"][0] or self._is_apart(row, places[i], paths[0], paths[i]))
        }

    def _is_apart(self, row: int, other: int, path: str, other_path: str) -> bool:
        (folder, name), (other_folder, other_name) = os.path.split(path), os.path.split(other_path)
        stems = [os.path.splitext(each)[0] for each in (name, other_name)]
        dated = not self._rows["edited"][row] and not self._rows["edited"][other]
        apart = folder == other_folder and stems[0].casefold() != stems[1].casefold()
        return dated and apart and not any(map(find_original_stem, stems))


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


def _make_groups(db: Database, rows: Rows, found: list[list[Found]], rule: Sequence[Criterion]) -> Iterator[Group]:
    """Without those of which nothing is spare."""
    places = [each.row for group in found for each in group]
    paths = dict(zip(places, find_photo_paths(db, rows["photo_id"][places].tolist()), strict=True))
    bounds = read_bounds(paths.values())
    first_reasons = []
    for i, group in enumerate(found):
        first, why = choose_kept(group, [paths[each.row] for each in group], bounds)
        first_reasons.append(why)
        found[i] = put_first(group, first)
    not_spare = find_bound([[(paths[each.row], each.how) for each in group] for group in found], bounds)
    others = [(group[0].row, each.row) for group in found for each in group[1:]]
    kept, other = np.array(others, np.intp).reshape(-1, 2).T
    reasons = iter(explain(rows[kept], rows[other], rule))
    for group, first_reason in zip(found, first_reasons, strict=True):
        members = [_make_member(rows, group[0], paths, "")]
        why_kept: dict[str, None] = {} if first_reason is None else {first_reason: None}
        for each in group[1:]:
            better, worse = next(reasons)
            if first_reason is not None and each.how == "same content":
                better, worse = first_reason, LESS
            how = not_spare.get(paths[each.row], each.how)
            if how == each.how:
                why_kept[better] = None
            members.append(_make_member(rows, replace(each, how=how), paths, REASONS.get(how, worse)))
        members[0] = replace(members[0], reason="; ".join(why_kept))
        if (made := Group(tuple(members))).spare:
            yield made


def _make_member(rows: Rows, found: Found, paths: Mapping[int, str], reason: str) -> Member:
    row = rows[found.row]
    photo = Photo(int(row["image_id"]), paths[found.row], *(int(row[n]) for n in ("size_bytes", "width", "height")))
    return Member(photo, found.how, found.bits, found.cosine, reason)
