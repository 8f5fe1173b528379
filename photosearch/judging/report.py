"""What the models said against what the user knows: the report on one label of a library."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from photosearch.errors import InputError
from photosearch.judging import metrics, sampling
from photosearch.judging.metrics import LabeledScore
from photosearch.library import classifiers, marks
from photosearch.library.database import Database
from photosearch.library.marks import Sample, SamplePhoto
from photosearch.library.records import Label
from photosearch.search.labels import find_label, list_labels
from photosearch.search.scope import check_folder

SHARES = ("precision", "recall", "f1", "accuracy")
MAX_GROWTH = 0.1  # of its photos a library may have gained or lost between two samples that count together


@dataclass(frozen=True, slots=True)
class LabelReport:
    """judged: the photos whose truth is known, with their scores. told: all figures, ready for JSON.

    chosen_on: what the threshold was chosen on, in words, where it was chosen here; else None.
    """

    label: Label
    threshold: float
    judged: tuple[LabeledScore, ...]
    told: dict[str, Any]
    chosen_on: str | None


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
    """The report on a label: that which was named, else the only one that is marked, or bird. Raises InputError.

    threshold: in place of the label's own; at_precision, at_recall: choose it. under: only photos in this folder.
    """
    if sum(x is not None for x in (threshold, at_precision, at_recall)) > 1:
        raise InputError("--threshold, --at-precision and --at-recall exclude one another; choose one")
    chosen = choose_label(db, label, model)
    truths = marks.list_marks(db, chosen.name, scored=chosen, under=under and check_folder(db, under))
    pictures = {t.image_id: t for t in reversed(truths)}  # copies of one picture count once, as the first of them
    taught = classifiers.read_training_marks(
        db, chosen
    )  # a head knows the marks that it learned from: others speak for those
    known = {t.image_id: taught[t.image_id][1] if t.image_id in taught else t.score for t in pictures.values()}
    scored = [(t, score) for t in truths if pictures[t.image_id] is t and (score := known[t.image_id]) is not None]
    judged = [LabeledScore(t.path, score, t.present, t.image_id) for t, score in scored]
    if not judged:
        raise InputError(_how_to_tell(chosen.name, len(truths)))
    samples, left_out = _read_samples(db, chosen, known) if under is None else ([], [])
    grounds, weights = _weigh(samples) or (judged, None)
    at, chosen_on = chosen.threshold if threshold is None else threshold, None
    if at_precision is not None or at_recall is not None:
        at = _choose_threshold(grounds, weights, at_precision, at_recall)
        sample = "the sample" if len(samples) == 1 else f"{len(samples)} samples"
        chosen_on = "these same photos" if weights is None else f"the {len(grounds):,} judged photos of {sample}"
    told = metrics.to_json(chosen.name, judged, at, calibration=calibration)
    told |= {"model": chosen.model, "not_scored": len(pictures) - len(judged), "copies": len(truths) - len(pictures)}
    told["taught"] = sum(t.image_id in taught for t, _ in scored)
    if any(p.present is not None for sample in samples for p in sample.photos):
        estimate = sampling.estimate_together([to_answers(s) for s in samples], at, seed=samples[-1].seed)
        told["library"] = sampling.to_json(chosen.name, estimate) | {
            "sheets": [s.id for s in samples], "sheets_left_out": left_out,
        }  # fmt: skip
    return LabelReport(chosen, at, tuple(judged), told, chosen_on)


def report_labels(db: Database, *, model: str | None = None, under: str | None = None) -> dict[str, Any]:
    """The report on every label that something is known of, ready for JSON. Raises InputError where there is none.

    labels: a row each, at its own threshold, those that most photos show first. confused_with: of what is found and
    wrong, which labels it is known to show. micro: all counts added up, a picture once for each label; macro: the means
    over the labels that have a value, and how many those are. unknown: what was marked and is no label of a model's.
    """
    known = {label.name for label in list_labels(db, model)}
    marked = marks.list_marked_labels(db)
    shown = {(t.label, t.path) for t in marks.list_marks(db) if t.present}
    rows = []
    for name in marked:
        if name in known:
            with contextlib.suppress(InputError):  # nothing of it is scored, or in this folder
                rows.append(_row(report_label(db, name, model=model, under=under), marked, shown))
    if not rows:
        raise InputError("nothing is known yet of any label; say what you know: photosearch mark PHOTO --is LABEL")
    rows.sort(key=lambda row: (-row["present"], row["label"]))
    total = metrics.ConfusionMatrix(*(sum(row[key] for row in rows) for key in ("tp", "fp", "fn", "tn")))
    micro = {**asdict(total), **{name: getattr(total, name) for name in SHARES}, "intervals": total.intervals()}
    macro = {name: _mean([row[name] for row in rows]) for name in (*SHARES, "average_precision")}
    return {"labels": rows, "micro": micro, "macro": macro, "unknown": [name for name in marked if name not in known]}


def _row(compared: LabelReport, names: Sequence[str], shown: set[tuple[str, str]]) -> dict[str, Any]:
    told = compared.told
    wrong = [j.path for j in compared.judged if j.score >= compared.threshold and not j.present]
    confused = [(sum((name, path) in shown for path in wrong), name) for name in names if name != told["label"]]
    left_out = ("mistakes", "library", "always_no_accuracy")
    return {
        **{key: value for key, value in told.items() if key not in left_out},
        "present": told["tp"] + told["fn"],
        "confused_with": [{"label": name, "n": n} for n, name in sorted(confused, key=lambda c: (-c[0], c[1])) if n],
    }


def _mean(values: Sequence[float | None]) -> dict[str, Any]:
    there = [value for value in values if value is not None]
    return {"value": sum(there) / len(there) if there else None, "labels": len(there)}


def choose_label(db: Database, name: str | None, model: str | None) -> Label:
    """The label to report on: the one that was named, else of those that are marked the only one, or bird."""
    if name is None:
        known = {label.name for label in list_labels(db, model)}
        marked = list(dict.fromkeys(t.label for t in marks.list_marks(db) if t.label in known))
        if len(marked) > 1 and "bird" not in marked:
            raise InputError(f"you know something of several labels; say which: --label {' or '.join(marked)}")
        name = "bird" if "bird" in marked or not marked else marked[0]
    return find_label(db, name, model)


def to_answers(sample: Sample) -> list[sampling.JudgedPhoto]:
    return [sampling.JudgedPhoto(p.score or 0.0, p.stratum, p.population, p.present) for p in sample.photos]


def _read_samples(db: Database, label: Label, known: Mapping[int, float | None]) -> tuple[list[Sample], list[int]]:
    """-> (the samples that count together, those that are left out): numbers of sheets, as they were drawn.

    Together count those with a judged photo, whose photos all have a score, drawn from about as many photos as the last
    of them: an older one speaks of a library that is no more. known: image id -> the score to go by, if not its own.
    """
    drawn = [s for number in marks.list_samples(db, label) if (s := marks.find_sample(db, label, number)) is not None]
    judged = [s for s in drawn if any(p.present is not None for p in s.photos)]
    whole = [s for s in judged if all(p.score is not None for p in s.photos)]
    sizes = [_population(s) for s in whole]
    kept = [s for s, size in zip(whole, sizes, strict=True) if abs(size - sizes[-1]) <= MAX_GROWTH * sizes[-1]]
    replaced = [replace(s, photos=tuple(_with_score(p, known) for p in s.photos)) for s in kept]
    return replaced, [s.id for s in judged if s not in kept]


def _population(sample: Sample) -> int:
    return sum({p.stratum: p.population for p in sample.photos}.values())


def _with_score(photo: SamplePhoto, known: Mapping[int, float | None]) -> SamplePhoto:
    score = known.get(photo.image_id)
    return photo if score is None else replace(photo, score=score)


def _weigh(samples: Sequence[Sample]) -> tuple[list[LabeledScore], list[float]] | None:
    """The photos of samples that are judged, and how many of the library's each stands for; None where none is."""
    judged = [
        LabeledScore(p.path or "", p.score or 0.0, p.present)
        for s in samples
        for p in s.photos
        if p.present is not None
    ]
    return (judged, sampling.weights(*map(to_answers, samples))) if judged else None


def _how_to_tell(label: str, not_scored: int) -> str:
    if not_scored:
        return f"none of the {not_scored:,} photos that you know of has a score for {label}; index them first"
    return (
        f"nothing is known of {label} yet; say what you know: photosearch mark PHOTO --is {label}, or "
        f"photosearch truth import FILE.csv, or draw a few to judge: photosearch sample {label} -n 60"
    )


def _choose_threshold(
    judged: Sequence[LabeledScore], weights: Sequence[float] | None, at_precision: float | None, at_recall: float | None
) -> float:
    """weights: as report.curve takes them."""
    if at_precision is not None:
        found = metrics.threshold_at_precision(judged, at_precision, weights)
        wanted = f"precision {at_precision:g}"
    else:
        found = metrics.threshold_at_recall(judged, at_recall or 0.0, weights)
        wanted = f"recall {at_recall:g}"
    if found is None:
        raise InputError(f"no threshold reaches {wanted} on these {len(judged):,} photos; ask for less")
    return found
