"""What the models said against what the user knows: the report on one label of a library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from photosearch.errors import InputError
from photosearch.judging import report, sampling
from photosearch.judging.report import Judged
from photosearch.library import marks
from photosearch.library.answers import Label
from photosearch.library.database import Database
from photosearch.library.marks import Sample
from photosearch.search.find import check_folder, choose_labels, list_labels


@dataclass(frozen=True, slots=True)
class Compared:
    """judged: the photos whose truth is known, with their scores. told: all figures, ready for JSON.

    chosen_on: what the threshold was chosen on, in words, where it was chosen here; else None.
    """

    label: Label
    threshold: float
    judged: tuple[Judged, ...]
    told: dict[str, Any]
    chosen_on: str | None


def compare(
    db: Database,
    label: str | None = None,
    *,
    model: str | None = None,
    under: str | None = None,
    threshold: float | None = None,
    at_precision: float | None = None,
    at_recall: float | None = None,
    calibration: bool = False,
) -> Compared:
    """The report on a label: that which was named, else the only one that is marked, or bird. Raises InputError.

    threshold: in place of the label's own; at_precision, at_recall: choose it. under: only photos in this folder.
    """
    if sum(x is not None for x in (threshold, at_precision, at_recall)) > 1:
        raise InputError("--threshold, --at-precision and --at-recall exclude one another; choose one")
    chosen = choose_label(db, label, model)
    truths = marks.truth(db, chosen.name, scored=chosen, under=under and check_folder(db, under))
    pictures = {t.image_id: t for t in reversed(truths)}  # copies of one picture count once, as the first of them
    scored = [t for t in truths if t.score is not None and pictures[t.image_id] is t]
    judged = [Judged(t.path, t.score, t.present, t.image_id) for t in scored if t.score is not None]
    if not judged:
        raise InputError(_how_to_tell(chosen.name, len(truths)))
    sample = marks.sample(db, chosen) if under is None else None
    grounds, weights = (sample and _weigh(sample)) or (judged, None)
    at, chosen_on = chosen.threshold if threshold is None else threshold, None
    if at_precision is not None or at_recall is not None:
        at = _choose_threshold(grounds, weights, at_precision, at_recall)
        chosen_on = "these same photos" if weights is None else f"the {len(grounds):,} judged photos of the sample"
    told = report.to_json(chosen.name, judged, at, calibration=calibration)
    told |= {"model": chosen.model, "not_scored": len(pictures) - len(judged), "copies": len(truths) - len(pictures)}
    if sample is not None and any(p.present is not None for p in sample.photos):
        estimate = sampling.estimate(to_answers(sample), at, seed=sample.seed)
        told["library"] = sampling.to_json(chosen.name, estimate)
    return Compared(chosen, at, tuple(judged), told, chosen_on)


def choose_label(db: Database, name: str | None, model: str | None) -> Label:
    """The label to report on: the one that was named, else of those that are marked the only one, or bird."""
    if name is None:
        known = {label.name for label in list_labels(db, model)}
        marked = list(dict.fromkeys(t.label for t in marks.truth(db) if t.label in known))
        if len(marked) > 1 and "bird" not in marked:
            raise InputError(f"you know something of several labels; say which: --label {' or '.join(marked)}")
        name = "bird" if "bird" in marked or not marked else marked[0]
    return choose_labels(db, [name], model)[name]


def to_answers(sample: Sample) -> list[sampling.Answer]:
    return [sampling.Answer(p.score, p.stratum, p.population, p.present) for p in sample.photos]


def _weigh(sample: Sample) -> tuple[list[Judged], list[float]] | None:
    """The photos of a sample that are judged, and how many of the library's each stands for; None where none is."""
    judged = [Judged(p.path or "", p.score, p.present) for p in sample.photos if p.present is not None]
    return (judged, sampling.weights(to_answers(sample))) if judged else None


def _how_to_tell(label: str, not_scored: int) -> str:
    if not_scored:
        return f"none of the {not_scored:,} photos that you know of has a score for {label}; index them first"
    return (
        f"nothing is known of {label} yet; say what you know: photosearch mark PHOTO --is {label}, or "
        f"photosearch truth import FILE.csv, or draw a few to judge: photosearch sample {label} -n 60"
    )


def _choose_threshold(
    judged: Sequence[Judged], weights: Sequence[float] | None, at_precision: float | None, at_recall: float | None
) -> float:
    """weights: as report.curve takes them."""
    if at_precision is not None:
        found = report.threshold_at_precision(judged, at_precision, weights)
        wanted = f"precision {at_precision:g}"
    else:
        found = report.threshold_at_recall(judged, at_recall or 0.0, weights)
        wanted = f"recall {at_recall:g}"
    if found is None:
        raise InputError(f"no threshold reaches {wanted} on these {len(judged):,} photos; ask for less")
    return found
