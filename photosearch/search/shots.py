"""The bursts of a library: rows and vectors for bursts.py, whose photos are opened here to see which is the sharpest.

Only photos of bursts are opened. Of equal files, and of a raw file and its JPEG, one is a shot; edits and copies by
their names are none.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

import numpy as np

from photosearch.library.database import Database, to_path
from photosearch.library.photos import find_photo_paths, list_shots
from photosearch.metadata.dates import to_seconds
from photosearch.photos import walk
from photosearch.photos.decode import Unreadable, ViewSpec
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.fingerprint import PLAIN
from photosearch.photos.sharpness import SIZE, measure_sharpness
from photosearch.photos.things import find_original_stem
from photosearch.search.bursts import SECONDS, SHOT, Burst, Shot, Shots, choose_sharpest, find_burst_rows
from photosearch.search.copies import is_edited, open_vectors
from photosearch.search.duplicates import Photo
from photosearch.search.keeper import Places
from photosearch.search.scope import check_folder

OPENED_AT_ONCE = 1000  # photos, of which only a number each is kept


def find_bursts_in_library(db: Database, *, under: str | None = None, seconds: float = SECONDS) -> list[Burst]:
    """Bursts, those of most shots first, then the newest. Raises InputError."""
    shots = _read_shots(db, None if under is None else check_folder(db, under))
    with ExitStack() as stack:
        rows = find_burst_rows(shots, open_vectors(db, shots["image_id"], stack), seconds=seconds)
    places = [int(row) for burst in rows for row in burst]
    paths = dict(zip(places, find_photo_paths(db, shots["photo_id"][places].tolist()), strict=True))
    bursts = [kept for burst in rows if len(kept := _drop_twins(burst, paths)) > 1]
    wanted = [row for burst in bursts for row in burst]
    sharpness = dict(zip(wanted, _read_sharpness([paths[row] for row in wanted]), strict=True))
    made = [_make_burst(shots, burst, paths, sharpness) for burst in bursts]
    return sorted(
        sorted(made, key=lambda burst: burst.shots[0].taken, reverse=True), key=lambda burst: -len(burst.shots)
    )


def _read_shots(db: Database, folder: str | None) -> Shots:
    shots = np.fromiter(_list_rows(db, folder), SHOT)
    return shots[np.sort(np.unique(shots["image_id"], return_index=True)[1])]


def _list_rows(db: Database, folder: str | None) -> Iterator[tuple[int, ...]]:
    for photo_id, image_id, size, width, height, code, folder_id, camera_id, shot, raw_name in list_shots(db, folder):
        name = to_path(raw_name)
        if not (is_edited(name) or find_original_stem(os.path.splitext(name)[0])):
            camera = -folder_id if camera_id is None else camera_id
            code = PLAIN if code is None else code % 2**64
            yield photo_id, image_id, size, width, height, code, camera, to_seconds(shot)


def _drop_twins(burst: Places, paths: dict[int, str]) -> list[int]:
    """One row for each name without its extension."""
    first: dict[str, int] = {}
    for row in burst.tolist():
        first.setdefault(os.path.splitext(paths[row])[0].casefold(), row)
    return list(first.values())


def _read_sharpness(paths: Sequence[str]) -> Iterator[float | None]:
    """None where a photo can't be opened."""
    if not paths:
        return
    workers = os.cpu_count() or 1
    pool = DecoderPool(workers, DecodeOptions((ViewSpec(SIZE),)))

    def measure(path: str) -> float | None:
        try:
            decoded = pool.open(walk.Photo(path, 0, 0), lambda _: (0,)).decoded
        except Unreadable:
            return None
        return None if decoded is None else measure_sharpness(decoded.views[0][0])

    try:
        with ThreadPoolExecutor(workers) as threads:
            for first in range(0, len(paths), OPENED_AT_ONCE):
                yield from threads.map(measure, paths[first : first + OPENED_AT_ONCE])
    finally:
        pool.close()


def _make_burst(shots: Shots, rows: Sequence[int], paths: dict[int, str], sharpness: dict[int, float | None]) -> Burst:
    made = []
    for row in rows:
        one = shots[row]
        photo = Photo(int(one["image_id"]), paths[row], *(int(one[n]) for n in ("size_bytes", "width", "height")))
        taken = datetime.fromtimestamp(int(one["shot"]), UTC).replace(tzinfo=None).isoformat()
        made.append(Shot(photo, taken, sharpness[row]))
    return Burst(tuple(made), choose_sharpest([shot.sharpness for shot in made]))
