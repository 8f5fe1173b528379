"""The training examples of a label: the marked images that have a vector, and what samples drew of them."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from photosearch.errors import InputError
from photosearch.judging import sampling
from photosearch.learning.logistic import Flags, Floats
from photosearch.library import marks
from photosearch.library.database import Database
from photosearch.search.labels import get_label
from photosearch.search.marked_labels import MIN_MARKS
from photosearch.search.vectors import VectorMap

MIN_DRAWN = 10  # marks of each kind from samples, at and above which those alone decide


@dataclass(frozen=True, slots=True)
class DrawnExample:
    """An example that a sample drew. index: of the example. stratum, population: as in sampling.SampledPhoto."""

    index: int
    stratum: int
    population: int


@dataclass(frozen=True, slots=True)
class Examples:
    """Marked images: image_ids, vectors [n, D], present [n].

    samples: the examples of each sample. weights: the images of the library that each example stands for, or 1 [n].
    counted: the examples that figures are measured on [n]: those from samples where there are MIN_DRAWN of each kind,
    else all.
    """

    image_ids: list[int]
    vectors: Floats
    present: Flags
    samples: list[list[DrawnExample]]
    weights: Floats
    counted: Flags

    @property
    def hold_for_library(self) -> bool:
        """Whether figures measured on them hold for the whole library, and not for the marks alone."""
        return not self.counted.all() or (len(self.image_ids) > 0 and bool(self.weights.max() > 1))

    @property
    def rests_on(self) -> str:
        """What figures measured on them rest on, in words."""
        yes, no = int(self.present[self.counted].sum()), int((~self.present[self.counted]).sum())
        if self.hold_for_library:
            return f"{yes} yes and {no} no that `sample` drew from the library, weighted by what they stand for"
        drawn = len({d.index for sample in self.samples for d in sample})
        from_samples = f"{drawn} of them" if drawn else "none of them"
        return f"{yes} marked yes and {no} no, {from_samples} drawn by `sample`: it may do worse on other photos"


def read_examples(db: Database, vectors: VectorMap, name: str) -> Examples:
    """The examples of a label by its name. Raises InputError where there are too few."""
    marked = {mark.image_id: mark.present for mark in marks.list_marks(db, name)}
    stored = {image_id: vectors.vector(image_id) for image_id in sorted(marked)}
    image_ids = [image_id for image_id, vector in stored.items() if vector is not None]
    present = np.array([marked[i] for i in image_ids], bool)
    _check_numbers(name, int(present.sum()), int((~present).sum()))
    samples = _read_samples(db, name, image_ids)
    weights = _weight(samples, len(image_ids))
    drawn = weights > 0
    if min((present & drawn).sum(), (~present & drawn).sum()) < MIN_DRAWN:
        weights, drawn = np.ones(len(image_ids)), np.ones(len(image_ids), bool)
    return Examples(image_ids, np.array([stored[i] for i in image_ids], np.float64), present, samples, weights, drawn)


def _check_numbers(name: str, yes: int, no: int) -> None:
    if min(yes, no) < MIN_MARKS:
        raise InputError(
            f"{name}: {yes} marked yes and {no} no, of pictures that have a vector; at least {MIN_MARKS} each are "
            f"needed, better 20: photosearch mark PHOTO... --is {shlex.quote(name)}, and --not {shlex.quote(name)}"
        )


def _read_samples(db: Database, name: str, image_ids: Sequence[int]) -> list[list[DrawnExample]]:
    """The examples among each sample that was drawn for a label of this name."""
    label = get_label(db, name)
    indices = {image_id: index for index, image_id in enumerate(image_ids)}
    drawn = [] if label is None else [marks.find_sample(db, label, number) for number in marks.list_samples(db, label)]
    return [
        [DrawnExample(indices[p.image_id], p.stratum, p.population) for p in sample.photos if p.image_id in indices]
        for sample in drawn if sample is not None
    ]  # fmt: skip


def _weight(samples: Sequence[Sequence[DrawnExample]], n: int) -> Floats:
    """The number of images that each of n examples stands for; 0 where no sample drew it."""
    answers = [[sampling.JudgedPhoto(0.0, d.stratum, d.population, True) for d in sample] for sample in samples]
    weights = np.zeros(n)
    for d, stands_for in zip([d for sample in samples for d in sample], sampling.weights(*answers), strict=True):
        weights[d.index] += stands_for
    return weights
