"""What the user says of photos: marks one by one, a sample that is drawn, and its answers by numbers."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from photosearch.errors import InputError, QueryError
from photosearch.judging import sampling
from photosearch.library import images, marks
from photosearch.library.database import Database
from photosearch.library.labels import read_labels
from photosearch.library.marks import Sample
from photosearch.library.photos import find_image_at, find_paths
from photosearch.library.records import Label
from photosearch.search.find import find_labels, resolve_label
from photosearch.search.hierarchy import find_label
from photosearch.search.user_labels import check_name


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """How many photos of a sample were judged, how many of them show the label, how many can't be opened.

    sheet: the sample's number. changed: what was said otherwise before, as "4 yes" or "7 no": as it is now.
    """

    judged: int
    yes: int
    left: int
    sheet: int = 0
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UndoneMark:
    """A mark that was taken back. path: None where the photo has left. present: what is known again, None: nothing."""

    path: str | None
    label: str
    present: bool | None


def mark_photos(db: Database, paths: Sequence[str], said: Sequence[tuple[str, bool]], *, new: bool = False) -> int:
    """Keep what is said of photos: for each of them all of (label, present) -> how many photos. Raises InputError.

    new: a label that nobody knows may be said, to learn it; without, only one that is known or was marked before.
    """
    known = list(dict.fromkeys([label.name for label in read_labels(db)] + marks.list_marked_labels(db)))
    labels = {(_name(name, known, new), present) for name, present in said}
    if len({name for name, _ in labels}) < len(labels):
        raise InputError("a photo can't both show a label and not show it")
    rows = []
    for path in paths:
        image_id = find_image_at(db, path)
        if image_id is None:
            raise InputError(f"{path}: not in the library, or not readable; index its folder first")
        rows += [(name, image_id, present) for name, present in sorted(labels)]
    marks.put_marks(db, rows)
    return len(paths)


def _name(name: str, known: Sequence[str], new: bool) -> str:
    """The label that is meant, or a new one's name. Raises InputError, QueryError."""
    if not new or find_label(name, known) is not None:
        try:
            return resolve_label(name, known)
        except QueryError as error:
            raise QueryError(f"{error}; for a label of your own that is new, add --new") from None
    return check_name(name)


def undo_last(db: Database) -> list[UndoneMark]:
    """Take back the last step of marks."""
    rows = marks.undo_marks(db)
    paths = find_paths(db, [image_id for _, image_id, _ in rows])
    return [UndoneMark(paths.get(image_id), label, present) for label, image_id, present in rows]


def undo_image(db: Database, image_id: int, label: str, before: bool | None) -> None:
    """Say of a picture again what was said before mark_picture. An undo of that step, if nothing was said since.

    So that two undos, here and at the command line, take back two things and not one there and back.
    """
    if marks.read_last_undo(db) == [(label, image_id)]:
        marks.undo_marks(db)
    else:
        mark_image(db, image_id, label, before)


def unmark_photos(db: Database, paths: Sequence[str], names: Sequence[str]) -> int:
    """Take back what was said of photos -> how many marks went. Raises InputError, QueryError."""
    known = dict.fromkeys(marks.list_marked_labels(db) + [label.name for label in read_labels(db)])
    labels = [resolve_label(name, known) for name in names]
    rows = []
    for path in paths:
        image_id = find_image_at(db, path)
        if image_id is None:
            raise InputError(f"{path}: not in the library, or not readable; index its folder first")
        rows += [(label, image_id) for label in labels]
    return marks.delete_marks(db, rows)


def mark_image(db: Database, image_id: int, name: str, present: bool | None) -> tuple[Label, bool | None]:
    """Keep what is said of one picture; None takes it back -> (the label that is meant, what was said before).

    So that what was said before can be said again. Raises InputError, QueryError.
    """
    label = find_labels(db, [name])[name]
    known = images.read_details(db, image_id)
    if known is None:
        raise InputError(f"no photo in the library shows picture {image_id}; it was forgotten, or has been removed")
    if present is None:
        marks.delete_marks(db, [(label.name, image_id)])
    else:
        marks.put_marks(db, [(label.name, image_id, present)])
    return label, known.marks.get(label.name)


def draw_sample(db: Database, name: str, n: int, *, seed: int = 0, model: str | None = None) -> tuple[Label, Sample]:
    """Draw n photos to judge a label by. Raises InputError."""
    label = find_labels(db, [name], model)[name]
    images = marks.list_scored_images(db, label)
    if not images:
        raise InputError(f"no photo has a score for {label.name} yet; run photosearch index FOLDER")
    drawn = sampling.draw_photos([score for _, score in images], n, label.threshold, seed=seed)
    rows = [(*images[d.index], d.stratum, d.population) for d in drawn]
    return label, marks.put_sample(db, label, label.threshold, seed, rows)


def judge_sample(
    db: Database,
    name: str,
    yes: Sequence[str],
    unsure: Sequence[str] = (),
    *,
    model: str | None = None,
    sheet: int | None = None,
) -> tuple[Label, JudgeResult]:
    """Judge a sample by its numbers, as typed: 3 7 12-15. Raises InputError.

    yes: they show the label. unsure: they stay open. All others don't show it. sheet: the sample's own number; it may
    be None where only one was drawn.

    A photo that is not where it was when the sample was drawn was grey on the sheet, and is left unjudged.
    """
    label = find_labels(db, [name], model)[name]
    drawn = marks.list_samples(db, label)
    numbers = ", ".join(map(str, drawn))
    if sheet is None and len(drawn) > 1:
        raise InputError(
            f"several sheets were drawn for {label.name}: {numbers}; say which you judge: --sheet {drawn[-1]}"
        )
    if sheet is not None and drawn and sheet not in drawn:
        raise InputError(f"no sheet {sheet} was drawn for {label.name}; there are {numbers}")
    kept = marks.find_sample(db, label, sheet)
    if kept is None:
        raise InputError(f"no sample was drawn for {label.name} yet: photosearch sample {label.name} -n 60")
    by_number = {p.number: p for p in kept.photos}
    most = max(by_number)
    shown, skip = read_numbers(yes, most), read_numbers(unsure, most)
    if forgotten := sorted(shown - by_number.keys()):
        raise InputError(f"{forgotten[0]}: this photo was forgotten since sheet {kept.id} was drawn")
    gone = {i for i, p in by_number.items() if p.path is None or not os.path.exists(p.path)} - shown
    judged = [(i, p) for i, p in by_number.items() if i not in skip | gone]
    marks.put_marks(db, ((label.name, p.image_id, i in shown) for i, p in judged))
    changed = [(i, i in shown) for i, p in judged if p.present is not None and p.present != (i in shown)]
    told = tuple(f"{i} {'yes' if present else 'no'}" for i, present in changed)
    return label, JudgeResult(len(judged), len(shown - skip), len(gone - skip), kept.id, told)


def read_numbers(words: Sequence[str], most: int) -> set[int]:
    """3 7 12-15, or 3,7,12-15 -> the numbers. Raises InputError for what is no number from 1 to `most`."""
    numbers: set[int] = set()
    for word in " ".join(words).replace(",", " ").split():
        first, dash, last = word.partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= most):
            raise InputError(f"{word} is not a number on this sheet, nor a range such as 3-5; they go from 1 to {most}")
        numbers.update(range(int(first), int(last) + 1))
    return numbers
