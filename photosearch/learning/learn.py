"""Learn a label from what the user marked: a linear head on the stored vectors, kept only where it is the better one.

A new label ("my dog") or a better old one ("bird"): then the head corrects what the model's label says. All figures are
cross-validated, and of the marks: whoever marked what a search found has not marked what it didn't find, so that they
speak of the library only where `sample` drew the marks. Where it drew ten or more of each kind, those alone decide.
A score ranks, and is no probability.
Photos that are indexed already need no new look, and new ones get their scores at the end of each index run.
"""

import contextlib
import shlex
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from photosearch.errors import InputError, QueryError
from photosearch.judging import metrics, sampling
from photosearch.learning import logistic
from photosearch.learning.logistic import Flags, Floats
from photosearch.library import classifiers, marks
from photosearch.library.classifiers import StoredClassifier
from photosearch.library.database import Database
from photosearch.library.labels import find_vector_model, read_labels
from photosearch.library.models import find_scorers
from photosearch.library.records import USER_MODEL, Label, VectorSpace
from photosearch.library.scores import put_user_scores, read_scores
from photosearch.search.label_names import resolve_label
from photosearch.search.vectors import VectorMap

MIN_MARKS = 5  # marks of each kind
DRAWN = 10  # marks of each kind from samples, from which on those alone decide
SURE = 0.9  # of the redraws in which the new one must be better, to take the place of the old
REDRAWS = 1000
HOLDS_FROM = 0.5  # each head's scores are moved so that its threshold lies there
AT_ONCE = 1 << 24  # margins that are held at a time: 128 MiB
SPREAD = 20_000  # vectors by which the library's spread is measured

OpenMap = Callable[[str], contextlib.AbstractContextManager[tuple[VectorSpace, VectorMap]]]


@dataclass(frozen=True, slots=True)
class LearnResult:
    """kept: 'learned', or 'before' where the label that stood was not beaten. why: in words. told: ready for JSON."""

    label: Label
    kept: Literal["learned", "before"]
    why: str
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A marked picture that a sample drew. place: among the marks."""

    place: int
    stratum: int
    population: int


@dataclass(frozen=True, slots=True)
class _Marks:
    """What was marked of a label, on pictures that have a vector [n].

    samples: those that samples drew, sample by sample. weight: how many pictures each stands for, or 1. judged: which
    of the marks the figures are of: those that were drawn, where there are enough of each kind, else all.
    """

    ids: list[int]
    vectors: Floats
    present: Flags
    samples: list[list[_Drawn]]
    weight: Floats
    judged: Flags

    @property
    def by_sample(self) -> bool:
        """Whether the figures speak of the library."""
        return not self.judged.all() or (len(self.ids) > 0 and bool(self.weight.max() > 1))

    @property
    def rests_on(self) -> str:
        yes, no = int(self.present[self.judged].sum()), int((~self.present[self.judged]).sum())
        drawn = len({d.place for some in self.samples for d in some})
        if self.by_sample:
            return f"{yes} yes and {no} no that `sample` drew from the library, weighed by what they stand for"
        few = f"{drawn} of them" if drawn else "none of them"
        return f"{yes} marked yes and {no} no, {few} drawn by `sample`: on photos that are unlike them it may do worse"


@dataclass(frozen=True, slots=True)
class _Fitted:
    """scores: of the marks, by heads that had not seen them [n]. told: its figures."""

    marked: _Marks
    base: Label | None
    head: logistic.Classifier
    scores: Floats
    told: dict[str, Any]


def learn_label(
    db: Database, space: VectorSpace, vectors: VectorMap, model: str, name: str, *, seed: int = 0
) -> LearnResult:
    """Fit a head, compare it with the label that stands, keep the better. Raises InputError, QueryError.

    model: whose vectors these are.
    """
    name = find_name(db, name)
    fitted = _fit(db, vectors, model, name, seed)
    standing = next((label for label in read_labels(db) if label.name == name), None)
    why, better = "no label of that name was there before", True
    if standing is not None:
        fitted.told["before"], why, better = _compare(db, fitted, standing, seed)
    fitted.told.update(kept="learned" if better else "before", why=why)
    if standing is not None and not better:
        return LearnResult(standing, "before", why, fitted.told)
    with db.transaction():
        label = _put(db, space, name, fitted)
        _put_scores(db, space, vectors, [label.id])
    return LearnResult(label, "learned", why, fitted.told)


def undo_learning(db: Database, name: str, open_map: OpenMap, describe: Callable[[], bool]) -> Label | None:
    """Take back what was learned last of a label -> the label that answers by that name now. Raises QueryError.

    describe: scores photos by descriptions again, for a label that is one.
    """
    wanted = find_name(db, name)
    learned = next((head.label for head in classifiers.list_classifiers(db) if head.label.name == wanted), None)
    if learned is None:
        known = ", ".join(head.label.name for head in classifiers.list_classifiers(db)) or "none"
        raise QueryError(f"{wanted} was not learned; what was: {known}")
    with db.transaction():
        still = classifiers.delete_last_classifier(db, learned)
    update_learned(db, open_map) if still else describe()
    return next((label for label in read_labels(db) if label.name == wanted), None)


def update_learned(db: Database, open_map: OpenMap) -> bool:
    """Score every picture by every head again, all heads of a space in one pass -> whether all could be.

    open_map: a model's name -> its map.

    Where a model's vectors are of a newer file by now, what was learned is learned again from the same marks.
    """
    by_model: dict[str, list[StoredClassifier]] = defaultdict(list)
    for head in classifiers.list_classifiers(db):
        if (model := find_vector_model(db, head.label)) is not None:
            by_model[model].append(head)
    whole = True
    for model, known in by_model.items():
        try:
            with open_map(model) as (space, vectors):
                for head in known:
                    if head.digest != space.digest:
                        _learn_again(db, space, vectors, model, head.label.name)
                current = [head.label.id for head in classifiers.list_classifiers(db) if head.digest == space.digest]
                with db.transaction():
                    _put_scores(db, space, vectors, current)
        except QueryError:
            whole = False
    return whole


def find_name(db: Database, name: str) -> str:
    """The label that is meant: one that is known, or that was only marked. Raises QueryError."""
    known = dict.fromkeys([label.name for label in read_labels(db)] + marks.list_marked_labels(db))
    try:
        return resolve_label(" ".join(name.split()), known)
    except QueryError as error:
        said = f"photosearch mark PHOTO --is {shlex.quote(name)} --new"
        raise QueryError(f"{error}; a new one is marked first: {said}") from None


def _fit(db: Database, vectors: VectorMap, model: str, name: str, seed: int) -> _Fitted:
    marked = _read_marks(db, vectors, name)
    base = next((label for label in read_labels(db, model) if label.name == name), None)
    offset = None if base is None else logistic.logit(_read_scores(db, base, vectors.ids))
    own = None if offset is None else offset[_find_rows(vectors.ids, marked.ids)]
    spread = _measure_spread(vectors)
    x = spread.whiten(marked.vectors)
    penalties = logistic.PENALTIES if own is None or marked.by_sample else logistic.CORRECTING
    validated = logistic.cross_validate(x, marked.present, offset=own, penalties=penalties, seed=seed)
    weight = logistic.balance_weights(marked.present, offset is None)
    head = spread.unwhiten(logistic.fit(x, marked.present, validated.penalty, weight=weight, offset=own))
    margins = _apply(vectors, [head])[0] + (0 if offset is None else offset)
    found = (
        None if offset is None or base is None else int((offset >= logistic.logit(np.array([base.threshold]))).sum())
    )
    every = np.ones(len(marked.ids), bool)
    fair = margins.copy()  # the marks by heads that had not seen them, or they would stand too high among the others
    fair[_find_rows(vectors.ids, marked.ids)] = validated.margins
    threshold, expected = _choose(validated.margins, fair, marked, every, found)
    without = np.array([_choose(validated.margins, fair, marked, validated.fold != f, found)[0]
                        for f in range(validated.fold.max() + 1)])[validated.fold]  # fmt: skip
    told = {
        "label": name, "model": USER_MODEL, "vectors_of": model, "corrects": None if base is None else base.model,
        "marked_yes": int(marked.present.sum()), "marked_no": int((~marked.present).sum()),
        "rests_on": marked.rests_on, "of_the_library": marked.by_sample, "threshold": HOLDS_FROM,
        **_measure(marked, validated.margins, validated.margins >= without), "penalty": validated.penalty,
        "pictures": len(vectors), "found": int((margins >= threshold).sum()), "expected_present": expected,
    }  # fmt: skip
    shifted = logistic.Classifier(head.weights, head.bias - threshold)
    return _Fitted(marked, base, shifted, logistic.sigmoid(validated.margins - threshold), told)


def _put(db: Database, space: VectorSpace, name: str, fitted: _Fitted) -> Label:
    marked, head = fitted.marked, fitted.head
    taught = zip(marked.ids, marked.present.tolist(), fitted.scores.tolist(), strict=True)
    weights = head.weights.astype("<f4").tobytes()
    return classifiers.put_classifier(db, name, space, fitted.base, weights, head.bias, HOLDS_FROM, fitted.told, taught)


def _read_marks(db: Database, vectors: VectorMap, name: str) -> _Marks:
    known = {t.image_id: t.present for t in marks.list_marks(db, name)}
    stored = {image_id: vectors.vector(image_id) for image_id in sorted(known)}
    ids = [image_id for image_id, vector in stored.items() if vector is not None]
    present = np.array([known[i] for i in ids], bool)
    yes, no = int(present.sum()), int((~present).sum())
    if min(yes, no) < MIN_MARKS:
        raise InputError(
            f"{name}: {yes} marked yes and {no} no, of pictures that have a vector; at least {MIN_MARKS} each are "
            f"needed, better 20: photosearch mark PHOTO --is {shlex.quote(name)}, and --not {shlex.quote(name)}"
        )
    samples = _read_samples(db, name, ids)
    weight = np.zeros(len(ids))
    drawn = [[sampling.JudgedPhoto(0.0, d.stratum, d.population, True) for d in some] for some in samples]
    for d, stands_for in zip([d for some in samples for d in some], sampling.weights(*drawn), strict=True):
        weight[d.place] += stands_for
    enough = min((present & (weight > 0)).sum(), (~present & (weight > 0)).sum()) >= DRAWN
    of = np.array([stored[i] for i in ids], np.float64)
    if enough:
        return _Marks(ids, of, present, samples, weight, weight > 0)
    return _Marks(ids, of, present, samples, np.ones(len(ids)), np.ones(len(ids), bool))


def _read_samples(db: Database, name: str, ids: Sequence[int]) -> list[list[_Drawn]]:
    """Of each sample that was drawn for a label of this name, the pictures that are among these."""
    label = next((label for label in read_labels(db) if label.name == name), None)
    places = {image_id: place for place, image_id in enumerate(ids)}
    drawn = [] if label is None else [marks.find_sample(db, label, number) for number in marks.list_samples(db, label)]
    return [
        [_Drawn(places[p.image_id], p.stratum, p.population) for p in sample.photos if p.image_id in places]
        for sample in drawn if sample is not None
    ]  # fmt: skip


def _measure_spread(vectors: VectorMap) -> logistic.Spread:
    try:
        return logistic.measure_spread(vectors.sample_units(SPREAD).astype(np.float64))
    except ValueError:
        raise InputError("all pictures here have the same vector, so nothing can be learned from them") from None


def _read_scores(db: Database, label: Label, ids: Any) -> Floats:
    """A label's scores of these images [N]; half its model's floor for what lies below that."""
    floor = max(find_scorers(db, label).values(), default=0.0)
    known, scores = read_scores(db, label)
    found = np.full(len(ids), floor / 2)
    order = np.argsort(ids)
    at = np.minimum(np.searchsorted(ids, known, sorter=order), len(ids) - 1)
    rows = order[at]
    same = ids[rows] == np.array(known, np.int64)
    found[rows[same]] = np.array(scores)[same]
    return found


def _find_rows(ids: Any, wanted: Sequence[int]) -> Any:
    order = np.argsort(ids)
    return order[np.searchsorted(ids, wanted, sorter=order)]


def _apply(vectors: VectorMap, some: Sequence[logistic.Classifier]) -> Floats:
    """Margins [H, N] of every picture."""
    products = vectors.products(np.stack([head.weights for head in some])).astype(np.float64)
    margins: Floats = products + np.array([[head.bias] for head in some])
    return margins


def _choose(
    margins: Floats, library: Floats, marked: _Marks, among: Flags, found: int | None
) -> tuple[float, float | None]:
    """-> (threshold of the margins, how many pictures are expected to show the label; None: nobody can say).

    among: the marks that may choose. Those that were drawn choose the best F1 of the library. What corrects a label
    finds as many as that (`found`), since better ranked ones are then the better find, whatever was marked. Else see
    linear.estimate_present.
    """
    if marked.by_sample:
        judged = among & marked.judged
        return metrics.threshold_at_best_f1(margins[judged], marked.present[judged], marked.weight[judged]), None
    if found is not None:
        return float(np.sort(library)[-max(1, found)]), None
    expected, threshold = logistic.estimate_present(margins[among & marked.present], library)
    return threshold, expected


def _measure(marked: _Marks, scores: Floats, found: Flags) -> dict[str, Any]:
    """Figures of the judged marks, where some are found; of the library, where samples drew them."""
    judged, there = marked.judged, marked.present
    parts = (found & there, found & ~there, ~found & there, ~found & ~there)
    counts = metrics.ConfusionMatrix(*(int((part & judged).sum()) for part in parts))
    told: dict[str, Any] = {**asdict(counts), "precision": counts.precision, "recall": counts.recall}
    intervals = counts.intervals()
    if marked.by_sample:
        drawn = [
            [sampling.JudgedPhoto(float(found[d.place]), d.stratum, d.population, bool(there[d.place])) for d in some]
            for some in marked.samples
            if some
        ]
        estimate = sampling.estimate(drawn, 0.5)
        told |= {"precision": estimate.precision, "recall": estimate.recall}
        intervals = estimate.intervals
    told["intervals"] = {name: intervals[name] for name in ("precision", "recall")}
    told["average_precision"] = metrics.average_precision(scores[judged], there[judged], marked.weight[judged])
    return told


def _score_by(db: Database, label: Label, ids: Sequence[int]) -> Floats:
    """A standing label's scores of marks [n]; of those that it learned from, by heads that had not seen them."""
    scores = _read_scores(db, label, np.array(ids, np.int64))
    taught = classifiers.read_training_marks(db, label)
    return np.array([taught[i][1] if i in taught else score for i, score in zip(ids, scores, strict=True)])


def _compare(db: Database, fitted: _Fitted, standing: Label, seed: int) -> tuple[dict[str, Any], str, bool]:
    """-> (the standing label's figures on the same marks, why which is kept, whether the new one is)."""
    marked, judged = fitted.marked, fitted.marked.judged
    before = _score_by(db, standing, marked.ids)
    own, former, better = metrics.compare_rankings(
        fitted.scores[judged], before[judged], marked.present[judged], marked.weight[judged], draws=REDRAWS, seed=seed
    )
    told = {
        **_measure(marked, before, before >= standing.threshold), "model": standing.model,
        "threshold": standing.threshold, "found": _count_found(db, standing), "new_is_better_in": better,
    }  # fmt: skip
    f1, old_f1 = (metrics.f1_score(t["precision"], t["recall"]) for t in (fitted.told, told))
    why = (
        f"average precision on the same marks: {own:.3f}, against {former:.3f} of the label that stood, by "
        f"{standing.model}; better in {100 * better:.0f} of 100 redraws of the marks, and {100 * SURE:.0f} are asked "
        f"for; F1 {f1:.3f} against {old_f1:.3f}, and no less is"
    )
    return told, why, own > former and better >= SURE and f1 >= old_f1


def _count_found(db: Database, label: Label) -> int:
    return sum(score >= label.threshold for score in read_scores(db, label)[1])


def _put_scores(db: Database, space: VectorSpace, vectors: VectorMap, label_ids: Sequence[int]) -> None:
    """Store what heads say of every picture. In a transaction."""
    known = [head for head in classifiers.list_classifiers(db) if head.label.id in set(label_ids)]
    if not known:
        return
    bases = {label.id: label for label in read_labels(db)}
    ids, step = vectors.ids, max(1, AT_ONCE // max(1, len(vectors)))
    for first in range(0, len(known), step):
        some = known[first : first + step]
        parts = [logistic.Classifier(np.frombuffer(h.weights, "<f4").astype(np.float64), h.bias) for h in some]
        for head, own in zip(some, _apply(vectors, parts), strict=True):
            if head.base_id is not None:
                own = own + logistic.logit(_read_scores(db, bases[head.base_id], ids))
            scores = zip(ids.tolist(), logistic.sigmoid(own).tolist(), strict=True)
            put_user_scores(db, space, head.label, scores)


def _learn_again(db: Database, space: VectorSpace, vectors: VectorMap, model: str, name: str) -> None:
    """From the marks that have a vector of the new file; where those are too few, what was learned stays as it is."""
    with contextlib.suppress(InputError):
        fitted = _fit(db, vectors, model, name, 0)
        why = f"learned again from the same marks: {model} has a new file"
        fitted.told.update(kept="learned", why=why)
        with db.transaction():
            _put(db, space, name, fitted)
