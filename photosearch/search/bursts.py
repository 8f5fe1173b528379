"""Bursts: shots that one camera took within seconds of each other, and that look alike.

Photos are compared with the few before them in time, so that the work grows with the photos and not with their pairs.
Shots of a burst have as many pixels as each other: an export of the same shot has fewer. They look alike by vectors or
by fingerprints, by wider limits than duplicates do, since nearness in time says much already.
`python -m benchmarks bursts` measures what the limits find.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from photosearch.photos.fingerprint import PLAIN
from photosearch.search.duplicates import MAX_COSINES, Photo, ReadVectors
from photosearch.search.keeper import Places

SECONDS = 3.0  # default for the time between two shots
LOOK_BACK = 8  # earlier shots that each is compared with: a second of a fast camera
MIN_COSINE = 0.75
MAX_BITS = 16  # where one has no vector

# A row for each photo. camera: known ones by their id, an unknown one by minus its folder's. shot: seconds since 1970.
SHOT = np.dtype(
    [("photo_id", np.int64), ("image_id", np.int64), ("size_bytes", np.int64), ("width", np.int32),
     ("height", np.int32), ("fingerprint", np.uint64), ("camera", np.int64), ("shot", np.int64)]
)  # fmt: skip
Shots = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Shot:
    """A photo of a burst. taken: local time, YYYY-MM-DDTHH:MM:SS. sharpness: to be compared within the burst, None
    where the photo can't be opened."""

    photo: Photo
    taken: str
    sharpness: float | None


@dataclass(frozen=True, slots=True)
class Burst:
    """shots: in the order in which they were taken. sharpest: the place of one of them; None where none was opened."""

    shots: tuple[Shot, ...]
    sharpest: int | None


def find_burst_rows(shots: Shots, read_vectors: ReadVectors | None = None, *, seconds: float = SECONDS) -> list[Places]:
    """The rows of each burst of two or more, in the order in which they were taken.

    shots: [n] of SHOT, each image once. read_vectors: of rows. seconds: at most, between neighbours of a burst.
    """
    order, run = _find_runs(shots, seconds)
    return _join(order, _find_links(shots, order, run, read_vectors, seconds))


def find_run(shots: Shots, *, seconds: float = SECONDS) -> Places:
    """The rows that are of one burst with the first where all look alike, itself included."""
    order, run = _find_runs(shots, seconds)
    beside: Places = order[run == run[order == 0]]
    return beside


def _find_runs(shots: Shots, seconds: float) -> tuple[Places, npt.NDArray[np.intp]]:
    """-> (the rows by camera, size and time; for each of these the number of its run, which is of one burst where all
    look alike)."""
    sides = np.sort(np.stack([shots["width"], shots["height"]]), axis=0)
    order: Places = np.lexsort((shots["photo_id"], shots["shot"], sides[0], sides[1], shots["camera"]))
    same = np.ones(max(len(shots) - 1, 0), np.bool_)
    for key in (shots["camera"], *sides):
        same &= key[order][1:] == key[order][:-1]
    same &= np.diff(shots["shot"][order]) <= seconds
    return order, np.cumsum(np.concatenate([[False], ~same]))[: len(order)]


def _find_links(
    shots: Shots, order: Places, run: npt.NDArray[np.intp], read_vectors: ReadVectors | None, seconds: float
) -> npt.NDArray[np.intp]:
    """For each of `order` the place there of the nearest one before it in its run that looks alike; -1 without one."""
    links = np.full(len(order), -1, np.intp)
    shot = shots["shot"][order]
    for back in range(1, min(LOOK_BACK, len(order) - 1) + 1):
        near = (run[back:] == run[:-back]) & (shot[back:] - shot[:-back] <= seconds)
        later = back + np.flatnonzero(near & (links[back:] < 0))
        for first in range(0, len(later), MAX_COSINES):
            part = later[first : first + MAX_COSINES]
            alike = _look_alike(shots, order[part - back], order[part], read_vectors)
            links[part[alike]] = part[alike] - back
    return links


def _look_alike(shots: Shots, a: Places, b: Places, read_vectors: ReadVectors | None) -> npt.NDArray[np.bool_]:
    codes = shots["fingerprint"][a], shots["fingerprint"][b]
    near: npt.NDArray[np.bool_] = (
        (np.bitwise_count(codes[0] ^ codes[1]) <= MAX_BITS) & (codes[0] != PLAIN) & (codes[1] != PLAIN)
    )
    if read_vectors is None:
        return near
    cosines = np.vecdot(read_vectors(a), read_vectors(b))
    alike: npt.NDArray[np.bool_] = np.where(np.isnan(cosines), near, cosines >= MIN_COSINE)
    return alike


def _join(order: Places, links: npt.NDArray[np.intp]) -> list[Places]:
    """Each with all that it is linked to."""
    head = np.arange(len(order))
    for i in np.flatnonzero(links >= 0).tolist():  # a link leads back, to one that is joined already
        head[i] = head[links[i]]
    members = np.argsort(head, kind="stable")
    starts = np.flatnonzero(np.diff(head[members], prepend=-1))
    return [order[part] for part in np.split(members, starts[1:]) if len(part) > 1]


def choose_sharpest(sharpness: Sequence[float | None]) -> int | None:
    """The place of the largest; of equal ones the first."""
    known = [(-value, place) for place, value in enumerate(sharpness) if value is not None]
    return min(known)[1] if known else None
