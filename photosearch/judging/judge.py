"""What the user says of photos: marks one by one, a sample that is drawn, and its answers by numbers."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from photosearch.errors import InputError
from photosearch.judging import sampling
from photosearch.library import answers, marks, pictures, places
from photosearch.library.answers import Label
from photosearch.library.database import Database
from photosearch.library.marks import Sample
from photosearch.search.find import choose_labels, resolve


@dataclass(frozen=True, slots=True)
class Answered:
    """How many photos of a sample were judged, how many of them show the label, how many can't be opened.

    sheet: the sample's number. changed: what was said otherwise before, as "4 yes" or "7 no".
    """

    judged: int
    yes: int
    left: int
    sheet: int = 0
    changed: tuple[str, ...] = ()


def mark(db: Database, paths: Sequence[str], said: Sequence[tuple[str, bool]]) -> int:
    """Keep what is said of photos: for each of them all of (label, present) -> how many photos. Raises InputError."""
    known = [label.name for label in answers.labels(db)]
    labels = {(resolve(name, known), present) for name, present in said}
    if len({name for name, _ in labels}) < len(labels):
        raise InputError("a photo can't both show a label and not show it")
    rows = []
    for path in paths:
        image_id = places.image_of(db, path)
        if image_id is None:
            raise InputError(f"{path}: not in the library, or not readable; index its folder first")
        rows += [(name, image_id, present) for name, present in sorted(labels)]
    marks.put_truth(db, rows)
    return len(paths)


def unmark(db: Database, paths: Sequence[str], names: Sequence[str]) -> int:
    """Take back what was said of photos -> how many marks went. Raises InputError, QueryError."""
    known = dict.fromkeys([t.label for t in marks.truth(db)] + [label.name for label in answers.labels(db)])
    labels = [resolve(name, known) for name in names]
    rows = []
    for path in paths:
        image_id = places.image_of(db, path)
        if image_id is None:
            raise InputError(f"{path}: not in the library, or not readable; index its folder first")
        rows += [(label, image_id) for label in labels]
    return marks.delete_truth(db, rows)


def mark_picture(db: Database, image_id: int, name: str, present: bool | None) -> tuple[Label, bool | None]:
    """Keep what is said of one picture; None takes it back -> (the label that is meant, what was said before).

    So that what was said before can be said again. Raises InputError, QueryError.
    """
    label = choose_labels(db, [name])[name]
    known = pictures.picture(db, image_id)
    if known is None:
        raise InputError(f"no photo in the library shows picture {image_id}; it was forgotten, or has been removed")
    if present is None:
        marks.delete_truth(db, [(label.name, image_id)])
    else:
        marks.put_truth(db, [(label.name, image_id, present)])
    return label, known.said.get(label.name)


def draw_sample(db: Database, name: str, n: int, *, seed: int = 0, model: str | None = None) -> tuple[Label, Sample]:
    """Draw n photos to judge a label by. Raises InputError."""
    label = choose_labels(db, [name], model)[name]
    images = marks.scored_images(db, label)
    if not images:
        raise InputError(f"no photo has a score for {label.name} yet; run photosearch index FOLDER")
    drawn = sampling.draw([score for _, score in images], n, label.threshold, seed=seed)
    rows = [(*images[d.index], d.stratum, d.population) for d in drawn]
    return label, marks.put_sample(db, label, label.threshold, seed, rows)


def judge(
    db: Database,
    name: str,
    yes: Sequence[str],
    unsure: Sequence[str] = (),
    *,
    model: str | None = None,
    sheet: int | None = None,
) -> tuple[Label, Answered]:
    """Judge a sample by its numbers, as typed: 3 7 12-15. Raises InputError.

    yes: they show the label. unsure: they stay open. All others don't show it. sheet: the sample's own number, None:
    the one that was drawn last.

    A photo that is not where it was when the sample was drawn was grey on the sheet, and is left unjudged.
    """
    label = choose_labels(db, [name], model)[name]
    kept = marks.sample(db, label, sheet)
    if kept is None and (others := marks.samples(db, label)):
        raise InputError(f"no sheet {sheet} was drawn for {label.name}; there are {', '.join(map(str, others))}")
    if kept is None:
        raise InputError(f"no sample was drawn for {label.name} yet: photosearch sample {label.name} -n 60")
    most = len(kept.photos)
    shown, skip = read_numbers(yes, most), read_numbers(unsure, most)
    gone = {i for i, p in enumerate(kept.photos, 1) if p.path is None or not os.path.exists(p.path)} - shown
    judged = [(i, p) for i, p in enumerate(kept.photos, 1) if i not in skip | gone]
    marks.put_truth(db, ((label.name, p.image_id, i in shown) for i, p in judged))
    changed = [(i, i in shown) for i, p in judged if p.present is not None and p.present != (i in shown)]
    told = tuple(f"{i} {'yes' if present else 'no'}" for i, present in changed)
    return label, Answered(len(judged), len(shown - skip), len(gone - skip), kept.id, told)


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
