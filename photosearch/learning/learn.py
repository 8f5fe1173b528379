"""Learn a label from the user's marks: a linear classifier on the stored vectors, kept only if it beats what was there.

It makes a new label ("my dog") or a better old one ("bird"); then it corrects the scores of the model's label. All
figures are cross-validated on the marks. Marks of photos that a search found leave out what it did not find, so the
figures hold for the library only where `sample` drew the marks; with ten or more of each kind from samples, those alone
decide. A score ranks, and is not a probability. Images that are indexed need no second look, and new ones get their
scores at the end of each index run.
"""

import contextlib
import shlex
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from photosearch.errors import InputError, QueryError
from photosearch.learning import choose, logistic
from photosearch.learning.apply import (
    compute_margins,
    count_found,
    find_rows,
    put_scores,
    read_image_scores,
    read_unseen_scores,
)
from photosearch.learning.choose import ExampleMetrics
from photosearch.learning.examples import Examples, read_examples
from photosearch.learning.logistic import Classifier, Floats
from photosearch.library import classifiers
from photosearch.library.classifiers import StoredClassifier
from photosearch.library.database import Database
from photosearch.library.labels import find_vector_model
from photosearch.library.matching import NO_FILTER, Match, to_matches
from photosearch.library.records import USER_MODEL, Label, VectorSpace
from photosearch.library.scores import read_scores
from photosearch.models.session import logit
from photosearch.search.label_names import resolve_label
from photosearch.search.labels import get_label, list_known_names
from photosearch.search.similar import SimilaritySearch
from photosearch.search.user_labels import update_described
from photosearch.search.vectors import VectorMap

THRESHOLD = 0.5  # of every learned label: its margins are shifted so that the chosen threshold becomes this score
MAX_SPREAD_VECTORS = 20_000  # to measure the library's covariance

OpenSearch = Callable[[str], SimilaritySearch]


@dataclass(frozen=True, slots=True)
class PreviousLabel:
    """The label that was there before, on the same examples. found: the images that it finds.

    new_is_better_in: the share of the draws in which the learned label ranks better, 0..1.
    """

    model: str
    threshold: float
    metrics: ExampleMetrics
    found: int
    new_is_better_in: float

    def to_json(self) -> dict[str, object]:
        return {
            **self.metrics.to_json(), "model": self.model, "threshold": self.threshold, "found": self.found,
            "new_is_better_in": self.new_is_better_in,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class LearnReport:
    """How a label was learned, and how right it is. It is stored with the label.

    vectors_of: the model whose vectors were used. corrects: the model whose label it corrects. marked_yes, marked_no:
    all examples. rests_on: what the figures rest on, in words; of_the_library: whether they hold for the library.
    penalty: of the weights, cross-validated. pictures: the library's images with a vector; found: those that it finds;
    expected_present: those expected to show it, None if nobody can say. before: None without a label of that name.
    kept: 'learned', or 'before' where the label before was not beaten. why: in words.
    """

    label: str
    vectors_of: str
    corrects: str | None
    marked_yes: int
    marked_no: int
    rests_on: str
    of_the_library: bool
    metrics: ExampleMetrics
    penalty: float
    pictures: int
    found: int
    expected_present: float | None
    before: PreviousLabel | None = None
    kept: Literal["learned", "before"] = "learned"
    why: str = "no label of that name was there before"

    def to_json(self) -> dict[str, object]:
        """As `learn --json` prints it."""
        return {
            "label": self.label, "model": USER_MODEL, "vectors_of": self.vectors_of, "corrects": self.corrects,
            "marked_yes": self.marked_yes, "marked_no": self.marked_no, "rests_on": self.rests_on,
            "of_the_library": self.of_the_library, "threshold": THRESHOLD, **self.metrics.to_json(),
            "penalty": self.penalty, "pictures": self.pictures, "found": self.found,
            "expected_present": self.expected_present,
            **({} if self.before is None else {"before": self.before.to_json()}),
            "kept": self.kept, "why": self.why,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class LearnResult:
    """label: the one that answers by that name now."""

    label: Label
    report: LearnReport

    @property
    def kept(self) -> Literal["learned", "before"]:
        return self.report.kept

    def to_json(self) -> dict[str, object]:
        return self.report.to_json()


@dataclass(frozen=True, slots=True)
class LearnPreview:
    """What learning a label would change. report: as if it were learned; report.kept says whether it would be.

    found, found_before: the images that the label would find, and finds now; None where there is no label yet. added,
    removed: photos that would be found and are not marked, and photos that would be found no more; the surest first, up
    to a limit.
    """

    report: LearnReport
    found: int
    found_before: int | None
    added: tuple[Match, ...]
    removed: tuple[Match, ...]

    def to_json(self) -> dict[str, object]:
        return {
            **self.report.to_json(), "found": self.found, "found_before": self.found_before,
            "added": [photo.path for photo in self.added], "removed": [photo.path for photo in self.removed],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Fitted:
    """base: the label that is corrected. scores: of the examples [n], by classifiers that had not seen them."""

    examples: Examples
    base: Label | None
    classifier: Classifier
    scores: Floats
    report: LearnReport


def learn_label(
    db: Database, space: VectorSpace, vectors: VectorMap, model: str, name: str, *, seed: int = 0
) -> LearnResult:
    """Fit a classifier, compare it with the label that is there, keep the better. Raises InputError, QueryError.

    model: whose vectors these are.
    """
    fitted, before = _fit_and_compare(db, vectors, model, name, seed)
    if before is not None and fitted.report.kept == "before":
        return LearnResult(before, fitted.report)
    with db.transaction():
        label = _put(db, space, fitted)
        put_scores(db, space, vectors, [label.id])
    return LearnResult(label, fitted.report)


def preview_learning(
    db: Database, vectors: VectorMap, model: str, name: str, *, limit: int, seed: int = 0
) -> LearnPreview:
    """What learn_label would do; nothing is stored. Raises InputError, QueryError. limit: of photos added, removed."""
    fitted, before = _fit_and_compare(db, vectors, model, name, seed)
    offset = 0.0 if fitted.base is None else logit(read_image_scores(db, fitted.base, vectors.ids))
    scores = logistic.sigmoid(compute_margins(vectors, [fitted.classifier])[0] + offset)
    marked = set(fitted.examples.image_ids)
    new = {i: score for i, score in zip(vectors.ids.tolist(), scores.tolist(), strict=True) if score >= THRESHOLD}
    if before is None:
        added = {i: score for i, score in new.items() if i not in marked}
        return LearnPreview(fitted.report, len(new), None, _list_photos(db, added, limit), ())
    stored = zip(*read_scores(db, before), strict=True)
    old = {image_id: score for image_id, score in stored if score >= before.threshold}
    if fitted.report.kept == "before":
        return LearnPreview(fitted.report, len(old), len(old), (), ())
    added = {i: score for i, score in new.items() if i not in marked and i not in old}
    removed = {i: score for i, score in old.items() if i not in new}
    return LearnPreview(
        fitted.report, len(new), len(old), _list_photos(db, added, limit), _list_photos(db, removed, limit)
    )


def _list_photos(db: Database, scores: Mapping[int, float], limit: int) -> tuple[Match, ...]:
    """A photo of each image, those with the highest scores first."""
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return tuple({match.image_id: match for match in reversed(to_matches(db, best, NO_FILTER))}.values())[::-1]


def undo_learning(db: Database, name: str, open_search: OpenSearch) -> Label | None:
    """Undo the last learning of a label -> the label that answers by that name now. Raises QueryError.

    open_search: a model's name -> a search by its vectors.
    """
    name = _resolve_name(db, name)
    learned = {stored.label.name: stored.label for stored in classifiers.list_classifiers(db)}
    if name not in learned:
        raise QueryError(f"{name} was not learned; learned labels: {', '.join(learned) or 'none'}")
    with db.transaction():
        another = classifiers.delete_last_classifier(db, learned[name])
    if another:
        update_learned(db, open_search)
    else:  # the label may be a description again
        update_described(db, open_search)
    return get_label(db, name)


def update_learned(db: Database, open_search: OpenSearch) -> bool:
    """Score all images by all learned labels again, those of one space in one pass -> whether all could be.

    open_search: a model's name -> a search by its vectors. Where a model's file is newer than a label's classifier,
    that is learned again from the same marks.
    """
    by_model: dict[str, list[StoredClassifier]] = defaultdict(list)
    for stored in classifiers.list_classifiers(db):
        if (model := find_vector_model(db, stored.label)) is not None:
            by_model[model].append(stored)
    complete = True
    for model, known in by_model.items():
        try:
            with open_search(model) as search:
                space, vectors = search.space, search.map
                for stored in known:
                    if stored.digest != space.digest:
                        _learn_again(db, space, vectors, model, stored.label.name)
                current = [c.label.id for c in classifiers.list_classifiers(db) if c.digest == space.digest]
                with db.transaction():
                    put_scores(db, space, vectors, current)
        except QueryError:
            complete = False
    return complete


def _resolve_name(db: Database, name: str) -> str:
    """The label that a name means, which may only have been marked. Raises QueryError."""
    hint = f"a new one is marked first: photosearch mark PHOTO... --is {shlex.quote(name)} --new"
    return resolve_label(" ".join(name.split()), list_known_names(db), hint=hint)


def _fit_and_compare(
    db: Database, vectors: VectorMap, model: str, name: str, seed: int
) -> tuple[_Fitted, Label | None]:
    """-> (what was learned, the label before, which it was compared with)."""
    name = _resolve_name(db, name)
    fitted, before = _fit(db, vectors, model, name, seed), get_label(db, name)
    return (fitted if before is None else _compare(db, fitted, before, seed)), before


def _fit(db: Database, vectors: VectorMap, model: str, name: str, seed: int) -> _Fitted:
    examples = read_examples(db, vectors, name)
    rows = find_rows(vectors.ids, examples.image_ids)
    base = get_label(db, name, model)
    offset = None if base is None else logit(read_image_scores(db, base, vectors.ids))
    own = None if offset is None else offset[rows]
    spread = _measure_spread(vectors)
    x = spread.whiten(examples.vectors)
    penalties = logistic.PENALTIES if own is None or examples.hold_for_library else logistic.CORRECTING_PENALTIES
    validated = logistic.cross_validate(x, examples.present, offset=own, penalties=penalties, seed=seed)
    weights = logistic.balance_weights(examples.present, offset is None)
    fitted = spread.unwhiten(logistic.fit(x, examples.present, validated.penalty, weights=weights, offset=own))
    margins = compute_margins(vectors, [fitted])[0] + (0 if offset is None else offset)
    unseen = margins.copy()  # of the examples by classifiers that had not seen them, or they would rank too high
    unseen[rows] = validated.margins
    found = None
    if base is not None and offset is not None:
        found = int((offset >= logit(np.array([base.threshold]))).sum())
    everyone = np.ones(len(examples.image_ids), bool)
    threshold, expected = choose.choose_threshold(validated.margins, unseen, examples, everyone, found)
    without = np.array(
        [
            choose.choose_threshold(validated.margins, unseen, examples, validated.fold != fold, found)[0]
            for fold in range(validated.fold.max() + 1)
        ]
    )[validated.fold]  # each example's threshold, chosen without its fold
    report = LearnReport(
        label=name, vectors_of=model, corrects=None if base is None else base.model,
        marked_yes=int(examples.present.sum()), marked_no=int((~examples.present).sum()),
        rests_on=examples.rests_on, of_the_library=examples.hold_for_library,
        metrics=choose.measure(examples, validated.margins, validated.margins >= without), penalty=validated.penalty,
        pictures=len(vectors), found=int((margins >= threshold).sum()), expected_present=expected,
    )  # fmt: skip
    shifted = Classifier(fitted.weights, fitted.bias - threshold)
    return _Fitted(examples, base, shifted, logistic.sigmoid(validated.margins - threshold), report)


def _measure_spread(vectors: VectorMap) -> logistic.Spread:
    try:
        return logistic.measure_spread(vectors.sample_units(MAX_SPREAD_VECTORS).astype(np.float64))
    except ValueError:
        raise InputError("all pictures here have the same vector, so nothing can be learned from them") from None


def _compare(db: Database, fitted: _Fitted, before: Label, seed: int) -> _Fitted:
    """The same with the comparison in its report."""
    old = read_unseen_scores(db, before, fitted.examples.image_ids)
    old_metrics = choose.measure(fitted.examples, old, old >= before.threshold)
    compared = choose.compare(
        fitted.examples, fitted.scores, fitted.report.metrics, old, old_metrics, before.model, seed
    )  # fmt: skip
    previous = PreviousLabel(
        before.model, before.threshold, old_metrics, count_found(db, before), compared.new_is_better_in
    )  # fmt: skip
    kept: Literal["learned", "before"] = "learned" if compared.better else "before"
    return replace(fitted, report=replace(fitted.report, before=previous, kept=kept, why=compared.reason))


def _put(db: Database, space: VectorSpace, fitted: _Fitted) -> Label:
    """Store the classifier, its report and its examples. In a transaction."""
    examples, classifier = fitted.examples, fitted.classifier
    training = zip(examples.image_ids, examples.present.tolist(), fitted.scores.tolist(), strict=True)
    return classifiers.put_classifier(
        db, fitted.report.label, space, fitted.base, classifier.weights.astype("<f4").tobytes(), classifier.bias,
        THRESHOLD, fitted.report.to_json(), training,
    )  # fmt: skip


def _learn_again(db: Database, space: VectorSpace, vectors: VectorMap, model: str, name: str) -> None:
    """Learn from the marks that have a vector of the new file; where those are too few, the old classifier stays."""
    with contextlib.suppress(InputError):
        fitted = _fit(db, vectors, model, name, 0)
        why = f"learned again from the same marks: {model} has a new file"
        with db.transaction():
            _put(db, space, replace(fitted, report=replace(fitted.report, why=why)))
