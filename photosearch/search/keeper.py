"""Which photo of a group of duplicates is kept: criteria in an order that the user may change, each with its reason.

`rank` orders all photos of a library from the best down; `explain` says which criterion decided between two of them.
What a criterion looks at is in a row of ROW, so that a million photos are ranked by one sort.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError

# A row for each photo. image_id: the content's. fingerprint: PLAIN where it is unknown. folder_id: the folder's that it
# is in. dated: seconds since 1970 of the date in its name or of its file, whichever is earlier; named: that it is the
# name's. edited: 0 for an original, 1 without the camera's date, 2 more where its name tells of an edit or a copy.
# raw: a raw file; gps: its file gives a position; chosen: the user has marked it, or put it into an album.
ROW = np.dtype(
    [("photo_id", np.int64), ("image_id", np.int64), ("size_bytes", np.int64), ("width", np.int32),
     ("height", np.int32), ("fingerprint", np.uint64), ("folder_id", np.int64), ("dated", np.int64),
     ("edited", np.int8), ("raw", np.bool_), ("gps", np.bool_), ("chosen", np.bool_), ("named", np.bool_)]
)  # fmt: skip
Rows = npt.NDArray[Any]
Places = npt.NDArray[np.intp]
FOLDER = "folder:"
FOUND_FIRST = ("found first", "found later")  # where no criterion tells two photos apart


@dataclass(frozen=True, slots=True)
class Criterion:
    """key: of rows, smaller is better. better, worse: the reason of the photo to keep, and of one that is spare."""

    name: str
    better: str
    worse: str
    key: Callable[[Rows], npt.NDArray[Any]]


def _pixels(rows: Rows) -> Any:
    return -rows["width"].astype(np.int64) * rows["height"]


# In the default order. A raw file comes before a larger one: its pixels are those of the preview that was decoded.
CRITERIA = (
    Criterion("raw", "raw", "not raw", lambda rows: ~rows["raw"]),
    Criterion("larger", "larger", "smaller", _pixels),
    Criterion("original", "original", "edited or copied", lambda rows: rows["edited"] // 2),
    Criterion("camera", "has the camera's date", "lacks the camera's date", lambda rows: rows["edited"] % 2),
    Criterion("gps", "has GPS", "lacks GPS", lambda rows: ~rows["gps"]),
    Criterion("marked", "in an album or marked", "not in an album or marked", lambda rows: ~rows["chosen"]),
    Criterion("older", "older", "newer", lambda rows: rows["dated"]),
    Criterion("heavier", "more bytes", "fewer bytes", lambda rows: -rows["size_bytes"]),
)
NAMES = tuple(criterion.name for criterion in CRITERIA)
_BEFORE_NAME = re.compile(rf",(?=\s*(?:{'|'.join(NAMES)}|{FOLDER}))")  # another comma may be in the name of a folder


def split_rule(texts: Sequence[str]) -> list[str]:
    """'larger,raw,folder:/a,b' -> ['larger', 'raw', 'folder:/a,b']. Raises InputError for what is no criterion."""
    parts = [part.strip() for text in texts for part in _BEFORE_NAME.split(text)]
    split = [[part] if part.startswith(FOLDER) else part.split(",") for part in parts]
    names = [name.strip() for some in split for name in some if name.strip()]
    for name in names:
        if not name.startswith(FOLDER) and name not in NAMES:
            raise InputError(f"--keep {name}: no such criterion; there are {', '.join(NAMES)} and {FOLDER}PATH")
    return list(dict.fromkeys(names))


def make_rule(names: Sequence[str], find_folder_ids: Callable[[str], Sequence[int]]) -> tuple[Criterion, ...]:
    """The named criteria, then the others in their default order.

    names: as `split_rule` gives them. find_folder_ids: a folder -> the ids of it and of those below it.
    """
    known = {criterion.name: criterion for criterion in CRITERIA}
    first = [
        known.get(name) or _prefer_folder(os.path.expanduser(name.removeprefix(FOLDER)), find_folder_ids)
        for name in names
    ]
    return (*first, *(criterion for criterion in CRITERIA if criterion not in first))


def _prefer_folder(folder: str, find_folder_ids: Callable[[str], Sequence[int]]) -> Criterion:
    ids = np.array(find_folder_ids(folder), np.int64)
    return Criterion(
        f"{FOLDER}{folder}", f"in {folder}", f"not in {folder}", lambda rows: ~np.isin(rows["folder_id"], ids)
    )


def rank(rows: Rows, rule: Sequence[Criterion] = CRITERIA) -> Places:
    """The places of all rows [n], the best first; of equal ones the first stays first."""
    ranked: Places = np.lexsort([criterion.key(rows) for criterion in reversed(rule)])
    return ranked


def explain(kept: Rows, others: Rows, rule: Sequence[Criterion] = CRITERIA) -> list[tuple[str, str]]:
    """(the reason of the photo to keep, that of the other one) for each pair [n] of rows."""
    decided = np.full(len(kept), len(rule))
    for i in range(len(rule) - 1, -1, -1):
        key = rule[i].key
        decided[key(kept) < key(others)] = i
        decided[key(kept) > key(others)] = len(rule)  # not by this rule: see search/spare.py
    return [
        FOUND_FIRST if i == len(rule) else _word(rule[i], bool(named))
        for i, named in zip(decided.tolist(), kept["named"].tolist(), strict=True)
    ]


def _word(criterion: Criterion, named: bool) -> tuple[str, str]:
    if criterion.name == "older":
        return ("older name", "newer name") if named else ("older file", "newer file")
    return criterion.better, criterion.worse
