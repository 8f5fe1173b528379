"""Marks of photos, one by one and by the numbers on a contact sheet, and samples to judge."""

import contextlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from photosearch.errors import InputError, StoreError
from photosearch.judging import sampling
from photosearch.library import images, marks
from photosearch.library.database import Database
from photosearch.library.marks import Sample
from photosearch.library.photos import PhotoFinder, find_paths
from photosearch.library.records import Label
from photosearch.photos.remote import is_address
from photosearch.search.label_names import check_label_name, match_label, resolve_label
from photosearch.search.labels import find_label, list_known_names


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """judged: the photos of a sample that were marked. positive: those of them that show the label.

    unavailable: photos left unjudged, since they can't be opened. sheet: the sample's number. changed: the numbers of
    photos that were marked otherwise before, with the new answer, as "4 yes" or "7 no".
    """

    judged: int
    positive: int
    unavailable: int
    sheet: int = 0
    changed: tuple[str, ...] = ()


class MarkedImage(NamedTuple):
    """An image that was marked. label: the one meant. before: its mark before. step: undoes this mark, no later one."""

    label: str
    before: bool | None
    step: int


class MarkedImages(NamedTuple):
    """Images that were marked at once. label: the one meant. images: how many. missing: no photo shows them any more.

    step: undoes these marks, None where there are none.
    """

    label: str
    images: int
    missing: int
    step: int | None


@dataclass(frozen=True, slots=True)
class UndoneMark:
    """A mark that was taken back. path: None where the photo has left the library. present: the mark that is restored,
    None where there was none."""

    path: str | None
    label: str
    present: bool | None
    image_id: int = 0


def mark_photos(db: Database, paths: Sequence[str], labels: Sequence[tuple[str, bool]], *, new: bool = False) -> int:
    """Mark each photo with all of (label, present) -> the number of photos. Raises InputError, QueryError.

    new: create labels that don't exist.
    """
    known = list_known_names(db)
    resolved = {(_resolve_or_create(name, known, new), present) for name, present in labels}
    if len({name for name, _ in resolved}) < len(resolved):
        raise InputError("a photo can't both show a label and not show it")
    image_ids = find_images(db, paths)
    marks.put_marks(db, [(name, i, present) for i in image_ids for name, present in sorted(resolved)])
    return len(paths)


def unmark_photos(db: Database, paths: Sequence[str], names: Sequence[str]) -> int:
    """Delete the marks of photos for these labels -> the number of marks. Raises InputError, QueryError."""
    known = list_known_names(db)
    labels = [resolve_label(name, known) for name in names]
    return marks.delete_marks(db, [(label, i) for i in find_images(db, paths) for label in labels])[0]


def undo_marks(db: Database, step: int | None = None) -> list[UndoneMark]:
    """Take back the marks that were made in one go: those of a step, None: the last. Raises InputError."""
    if step is not None and marks.is_overwritten(db, step):
        raise InputError("this mark was changed again since, by another tab or a command: nothing was undone")
    rows = marks.undo_marks(db, step)
    if step is not None and not rows:
        raise InputError("this mark can't be undone any more: it was undone elsewhere, or many others followed")
    paths = find_paths(db, [image_id for _, image_id, _ in rows])
    return [UndoneMark(paths.get(image_id), label, present, image_id) for label, image_id, present in rows]


def mark_image(db: Database, image_id: int, name: str, present: bool | None, *, new: bool = False) -> MarkedImage:
    """Mark an image, None: delete its mark. new: create a label that doesn't exist. Raises InputError, QueryError."""
    names = list_known_names(db)
    label = _resolve_or_create(name, names, new) if new else resolve_label(name, names)
    known = images.read_details(db, image_id)
    if known is None:
        raise InputError(f"no photo in the library shows picture {image_id}; it was forgotten, or has been removed")
    if present is None:
        _, step = marks.delete_marks(db, [(label, image_id)])
    else:
        step = marks.put_marks(db, [(label, image_id, present)])
    return MarkedImage(label, known.marks.get(label), step)


def mark_images(
    db: Database, image_ids: Sequence[int], name: str, present: bool | None, *, new: bool = False
) -> MarkedImages:
    """Mark images in one step, None: delete their marks. new: as in mark_image. Raises InputError, QueryError."""
    names = list_known_names(db)
    label = _resolve_or_create(name, names, new) if new else resolve_label(name, names)
    shown = images.find_shown(db, image_ids)
    missing = len(set(image_ids)) - len(shown)
    if not shown:
        return MarkedImages(label, 0, missing, None)
    if present is None:
        _, step = marks.delete_marks(db, [(label, image_id) for image_id in shown])
    else:
        step = marks.put_marks(db, [(label, image_id, present) for image_id in shown])
    return MarkedImages(label, len(shown), missing, step)


def draw_sample(db: Database, name: str, n: int, *, seed: int = 0, model: str | None = None) -> tuple[Label, Sample]:
    """Draw n photos to judge a label by. Raises InputError, QueryError."""
    label = find_label(db, name, model)
    scored = marks.list_scored_images(db, label)
    if not scored:
        raise InputError(f"no photo has a score for {label.name} yet; run photosearch index FOLDER")
    drawn = sampling.draw_photos([score for _, score in scored], n, label.threshold, seed=seed)
    rows = [(*scored[d.index], d.stratum, d.population) for d in drawn]
    return label, marks.put_sample(db, label, label.threshold, seed, rows)


def drop_sample(db: Database, sample: Sample) -> None:
    """Delete a sample of which nothing was written. It stays where the library's own disk refuses that."""
    with contextlib.suppress(StoreError):
        marks.delete_sample(db, sample.id)


def judge_sample(
    db: Database,
    name: str,
    yes: Sequence[str],
    unsure: Sequence[str] = (),
    *,
    model: str | None = None,
    sheet: int | None = None,
) -> tuple[Label, JudgeResult]:
    """Mark the photos of a sample by their numbers, as typed: 3 7 12-15. Raises InputError, QueryError.

    yes: they show the label. unsure: they stay unjudged. All others don't show it. sheet: the sample's number, which
    may be None where only one was drawn. A photo that is not where it was when the sample was drawn was grey on the
    sheet, and stays unjudged.
    """
    label = find_label(db, name, model)
    sample = _find_sheet(db, label, sheet)
    by_number = {p.number: p for p in sample.photos}
    highest = max(by_number)
    shown, skipped = parse_numbers(yes, highest), parse_numbers(unsure, highest)
    if forgotten := sorted(shown - by_number.keys()):
        raise InputError(f"{forgotten[0]}: this photo was forgotten since sheet {sample.id} was drawn")
    missing = {i for i, p in by_number.items() if p.path is None or _is_missing(p.path)} - shown
    judged = [(i, p) for i, p in by_number.items() if i not in skipped | missing]
    marks.put_marks(db, ((label.name, p.image_id, i in shown) for i, p in judged))
    changed = [i for i, p in judged if p.present is not None and p.present != (i in shown)]
    return label, JudgeResult(
        len(judged), len(shown - skipped), len(missing - skipped), sample.id,
        tuple(f"{i} {'yes' if i in shown else 'no'}" for i in changed),
    )  # fmt: skip


def _is_missing(path: str) -> bool:
    return not is_address(path) and not os.path.exists(path)  # to ask for an address would take the network


def parse_numbers(words: Sequence[str], highest: int) -> set[int]:
    """3 7 12-15, or 3,7,12-15 -> the numbers. Raises InputError for anything but numbers from 1 to `highest`."""
    numbers: set[int] = set()
    for word in " ".join(words).replace(",", " ").split():
        first, dash, last = word.partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= highest):
            raise InputError(
                f"{word} is not a number on this sheet, nor a range such as 3-5; they go from 1 to {highest}"
            )
        numbers.update(range(int(first), int(last) + 1))
    return numbers


def _resolve_or_create(name: str, known: Sequence[str], new: bool) -> str:
    """The label that a word means; with `new`, a new one's name where it means none. Raises InputError, QueryError."""
    if new and match_label(name, known) is None:
        return check_label_name(name)
    return resolve_label(name, known, hint="for a label of your own that is new, add --new")


def find_images(db: Database, paths: Sequence[str]) -> list[int]:
    """The image of each photo, by its path as a user types it. Raises InputError where the library has none there."""
    found, finder = [], PhotoFinder(db)
    for path in paths:
        image_id = finder.find(path)
        if image_id is None:
            if os.path.isdir(path):
                raise InputError(f"{path}: is a folder; name its photos, as in {os.path.join(path, '*.jpg')}")
            raise InputError(f"{path}: not in the library, or not readable; index its folder first")
        found.append(image_id)
    return found


def _find_sheet(db: Database, label: Label, sheet: int | None) -> Sample:
    """A sample of a label by its number; the only one without. Raises InputError."""
    drawn = marks.list_samples(db, label)
    numbers = ", ".join(map(str, drawn))
    if sheet is None and len(drawn) > 1:
        raise InputError(
            f"several sheets were drawn for {label.name}: {numbers}; say which you judge: --sheet {drawn[-1]}"
        )
    if sheet is not None and drawn and sheet not in drawn:
        raise InputError(f"no sheet {sheet} was drawn for {label.name}; there are {numbers}")
    sample = marks.find_sample(db, label, sheet)
    if sample is None:
        raise InputError(
            f"no sample was drawn for {label.name} yet: photosearch sample {shlex.quote(label.name)} -n 60"
        )
    return sample
