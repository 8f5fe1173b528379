"""Models' scores against the user's marks: the report on one label of a library, and on all of them."""

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from photosearch.errors import InputError
from photosearch.judging import metrics, sampling
from photosearch.judging.metrics import ConfusionMatrix, LabeledScore, Metrics
from photosearch.judging.sampling import Estimate, JudgedPhoto
from photosearch.library import classifiers, marks
from photosearch.library.database import Database
from photosearch.library.marks import Mark, Sample, SamplePhoto
from photosearch.library.records import Label
from photosearch.search.labels import find_label, list_labels
from photosearch.search.scope import check_folder

DEFAULT_LABEL = "bird"
MAX_GROWTH = 0.1  # the share of its photos that a library may gain or lose between two samples that count together


@dataclass(frozen=True, slots=True)
class LibraryEstimate:
    """The whole library's figures, from samples. sheets: the samples' numbers. sheets_left_out: outdated ones."""

    label: str
    estimate: Estimate
    sheets: tuple[int, ...]
    sheets_left_out: tuple[int, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "label": self.label, **self.estimate.to_json(), "sheets": list(self.sheets),
            "sheets_left_out": list(self.sheets_left_out),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class LabelReport:
    """How right a label is. judged: the marked photos with their scores. metrics: the figures on them.

    not_scored: marked images without a score. copies: marked photos that show an image counted already.
    used_for_training: images that the label was learned from. library: None without a judged sample. chosen_on: what
    the threshold was chosen on, in words, where it was chosen here.
    """

    label: Label
    judged: tuple[LabeledScore, ...]
    metrics: Metrics
    not_scored: int
    copies: int
    used_for_training: int
    library: LibraryEstimate | None
    chosen_on: str | None

    @property
    def threshold(self) -> float:
        return self.metrics.threshold

    def to_json(self) -> dict[str, object]:
        """As `report --json` prints it."""
        return {
            **self.metrics.to_json(),
            "model": self.label.model,
            "not_scored": self.not_scored,
            "copies": self.copies,
            "used_for_training": self.used_for_training,
            **({} if self.library is None else {"library": self.library.to_json()}),
        }


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label in the report on all of them. confused_with: (another label, the false positives that show it), most
    first."""

    report: LabelReport
    confused_with: tuple[tuple[str, int], ...]

    @property
    def present(self) -> int:
        """The marked photos that show the label."""
        return self.report.metrics.counts.tp + self.report.metrics.counts.fn

    def to_json(self) -> dict[str, object]:
        left_out = ("mistakes", "library", "always_no_accuracy")
        return {
            **{key: value for key, value in self.report.to_json().items() if key not in left_out},
            "present": self.present,
            "confused_with": [{"label": name, "n": n} for name, n in self.confused_with],
        }


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over the labels that have a value; None where none has. labels: the number of those."""

    value: float | None
    labels: int


@dataclass(frozen=True, slots=True)
class LabelsReport:
    """How right all marked labels are, each at its own threshold. rows: those that most photos show first.

    micro: all counts added up, an image once for each label. macro: the means over the labels, of precision, recall,
    f1, accuracy and average_precision. unknown: marked names that are not labels.
    """

    rows: tuple[LabelRow, ...]
    micro: ConfusionMatrix
    macro: Mapping[str, Mean]
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """As `report --labels --json` prints it."""
        return {
            "labels": [row.to_json() for row in self.rows],
            "micro": {**self.micro.to_json(), "intervals": self.micro.intervals()},
            "macro": {name: {"value": mean.value, "labels": mean.labels} for name, mean in self.macro.items()},
            "unknown": list(self.unknown),
        }


def report_label(
    db: Database,
    label: str | None = None,
    *,
    model: str | None = None,
    under: str | None = None,
    threshold: float | None = None,
    at_precision: float | None = None,
    at_recall: float | None = None,
    calibration: bool = False,
) -> LabelReport:
    """The report on a label; without a name on the only marked one, or on DEFAULT_LABEL. Raises InputError.

    threshold: replaces the label's own; at_precision, at_recall: choose one. under: only photos in this folder.
    """
    if sum(x is not None for x in (threshold, at_precision, at_recall)) > 1:
        raise InputError("--threshold, --at-precision and --at-recall exclude one another; choose one")
    chosen = find_label(db, _default_label(db, model) if label is None else label, model)
    marked = marks.list_marks(db, chosen.name, scored=chosen, under=under and check_folder(db, under))
    images = {mark.image_id: mark for mark in reversed(marked)}  # copies of one image count once, as the first of them
    training = classifiers.read_training_marks(db, chosen)
    scores = {i: training[i][1] if i in training else mark.score for i, mark in images.items()}
    judged = _list_judged(marked, images, scores)
    if not judged:
        raise InputError(_suggest_marking(chosen.name, len(marked)))
    samples, left_out = _read_samples(db, chosen, scores) if under is None else ([], [])
    if at_precision is None and at_recall is None:
        at, chosen_on = chosen.threshold if threshold is None else threshold, None
    else:
        at, chosen_on = _choose_threshold(judged, samples, at_precision, at_recall)
    return LabelReport(
        chosen,
        tuple(judged),
        metrics.measure(chosen.name, judged, at, calibration=calibration),
        not_scored=len(images) - len(judged),
        copies=len(marked) - len(images),
        used_for_training=sum(j.image_id in training for j in judged),
        library=_estimate_library(chosen.name, samples, left_out, at),
        chosen_on=chosen_on,
    )


def report_labels(db: Database, *, model: str | None = None, under: str | None = None) -> LabelsReport:
    """The report on every label that photos are marked with. Raises InputError where there is none."""
    known = {label.name for label in list_labels(db, model)}
    marked = marks.list_marked_labels(db)
    shown = {(mark.label, mark.path) for mark in marks.list_marks(db) if mark.present}
    rows = []
    for name in marked:
        if name in known:
            with contextlib.suppress(InputError):  # none of its photos has a score, or lies in this folder
                rows.append(_make_row(report_label(db, name, model=model, under=under), marked, shown))
    if not rows:
        raise InputError("no photos are marked yet; mark some first: photosearch mark PHOTO... --is LABEL")
    rows.sort(key=lambda row: (-row.present, row.report.label.name))
    counts = [row.report.metrics.counts for row in rows]
    macro = {name: _mean([getattr(c, name) for c in counts]) for name in ("precision", "recall", "f1", "accuracy")}
    macro["average_precision"] = _mean([row.report.metrics.average_precision for row in rows])
    unknown = tuple(name for name in marked if name not in known)
    return LabelsReport(tuple(rows), sum(counts, ConfusionMatrix(0, 0, 0, 0)), macro, unknown)


def _make_row(report: LabelReport, names: Sequence[str], shown: set[tuple[str, str]]) -> LabelRow:
    """shown: (label, path) of all that is marked as present."""
    wrong = [j.path for j in report.judged if j.score >= report.threshold and not j.present]
    confused = [(name, sum((name, path) in shown for path in wrong)) for name in names if name != report.label.name]
    return LabelRow(report, tuple(sorted((c for c in confused if c[1]), key=lambda c: (-c[1], c[0]))))


def _mean(values: Sequence[float | None]) -> Mean:
    known = [value for value in values if value is not None]
    return Mean(sum(known) / len(known) if known else None, len(known))


def _default_label(db: Database, model: str | None) -> str:
    """DEFAULT_LABEL where it is marked, or nothing is and a model has it; else the only marked label."""
    known = {label.name for label in list_labels(db, model)}
    names = list(dict.fromkeys(mark.label for mark in marks.list_marks(db)))
    marked = [name for name in names if name in known]
    if DEFAULT_LABEL in marked or (not names and DEFAULT_LABEL in known):
        return DEFAULT_LABEL
    if len(marked) > 1:
        raise InputError(
            f"photos are marked with several labels; choose one: photosearch report {shlex.quote(marked[0])}, or "
            + ", ".join(marked[1:])
        )
    if marked:
        return marked[0]
    if names:
        raise InputError(f"{names[0]} is marked, and not learned yet: photosearch learn {shlex.quote(names[0])}")
    raise InputError(
        "no photos are marked yet, so there is nothing to measure; mark some: photosearch mark PHOTO... --is LABEL "
        "(`photosearch labels` lists them)"
    )


def _list_judged(
    marked: Sequence[Mark], images: Mapping[int, Mark], scores: Mapping[int, float | None]
) -> list[LabeledScore]:
    """The mark of each image that has a score."""
    return [
        LabeledScore(mark.path, score, mark.present, mark.image_id)
        for mark in marked
        if images[mark.image_id] is mark and (score := scores[mark.image_id]) is not None
    ]


def _read_samples(db: Database, label: Label, scores: Mapping[int, float | None]) -> tuple[list[Sample], list[int]]:
    """-> (the samples that count together, the numbers of those that are left out), in the order of drawing.

    A sample counts if some of its photos are judged, all have a score, and it was drawn from about as many photos as
    the last such one: an older one describes another library. scores: by image id, they replace the samples' own.
    """
    drawn = [s for number in marks.list_samples(db, label) if (s := marks.find_sample(db, label, number)) is not None]
    judged = [s for s in drawn if any(p.present is not None for p in s.photos)]
    scored = [s for s in judged if all(p.score is not None for p in s.photos)]
    sizes = [_count_population(s) for s in scored]
    counted = [s for s, size in zip(scored, sizes, strict=True) if abs(size - sizes[-1]) <= MAX_GROWTH * sizes[-1]]
    replaced = [replace(s, photos=tuple(_replace_score(p, scores) for p in s.photos)) for s in counted]
    return replaced, [s.id for s in judged if s not in counted]


def _count_population(sample: Sample) -> int:
    return sum({p.stratum: p.population for p in sample.photos}.values())


def _replace_score(photo: SamplePhoto, scores: Mapping[int, float | None]) -> SamplePhoto:
    score = scores.get(photo.image_id)
    return photo if score is None else replace(photo, score=score)


def _list_answers(sample: Sample) -> list[JudgedPhoto]:
    return [JudgedPhoto(p.score or 0.0, p.stratum, p.population, p.present) for p in sample.photos]


def _estimate_library(
    label: str, samples: Sequence[Sample], left_out: Sequence[int], threshold: float
) -> LibraryEstimate | None:
    if not samples:
        return None
    estimate = sampling.estimate([_list_answers(s) for s in samples], threshold, seed=samples[-1].seed)
    return LibraryEstimate(label, estimate, tuple(s.id for s in samples), tuple(left_out))


def _choose_threshold(
    judged: Sequence[LabeledScore], samples: Sequence[Sample], at_precision: float | None, at_recall: float | None
) -> tuple[float, str]:
    """-> (the threshold, what it was chosen on): on the samples, weighted, where there are some. Raises InputError."""
    grounds, weights, chosen_on = judged, None, "these same photos"
    if samples:
        photos = [p for s in samples for p in s.photos]
        grounds = [LabeledScore(p.path or "", p.score or 0.0, p.present) for p in photos if p.present is not None]
        weights = sampling.weights(*map(_list_answers, samples))
        names = "the sample" if len(samples) == 1 else f"{len(samples)} samples"
        chosen_on = f"the {len(grounds):,} judged photos of {names}"
    if at_precision is not None:
        found, wanted = metrics.threshold_at_precision(grounds, at_precision, weights), f"precision {at_precision:g}"
    else:
        found, wanted = metrics.threshold_at_recall(grounds, at_recall or 0.0, weights), f"recall {at_recall or 0.0:g}"
    if found is None:
        raise InputError(f"no threshold reaches {wanted} on these {len(grounds):,} photos; ask for less")
    return found, chosen_on


def _suggest_marking(label: str, not_scored: int) -> str:
    if not_scored:
        return f"none of the {not_scored:,} photos that you marked has a score for {label}; index them first"
    name = shlex.quote(label)
    return (
        f"no photos are marked for {label} yet; mark some: photosearch mark PHOTO... --is {name}, or import marks: "
        f"photosearch marks import FILE.csv, or draw photos to judge: photosearch sample {name} -n 60"
    )
