"""Questions -> ranked photos. Labels and dates filter, descriptions and pictures rank; understand.py reads them."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, overload

from photosearch.errors import QueryError
from photosearch.library import matching
from photosearch.library.database import Database
from photosearch.library.matching import Match, PhotoFilter
from photosearch.library.vectors import find_space
from photosearch.query import Is
from photosearch.search.labels import list_labels
from photosearch.search.scope import check_folder, choose_model
from photosearch.search.understand import ParsedQuestion, Question, understand

if TYPE_CHECKING:
    from photosearch.search.similar import Floats, SimilaritySearch, Term
    from photosearch.search.similarity_cutoff import SimilarityCutoff

    ReadPicture = Callable[[str, str], Floats]

UNSURE = 10  # photos shown where none is sure
FETCH_FACTOR = 4  # neighbours fetched at first for each photo wanted, since some of their photos may be gone


@dataclass(frozen=True, slots=True)
class Answer:
    """The photos that a question finds: iterable, with a length, indexed from the best on.

    question: as it was understood. models: the names of those that answered. photos: the sure ones first, then the
    nearest others. more: whether the limit left some out. ranked_by: 'label', 'similarity', or 'date', the newest
    first. sure: whether any photo is. explanation: how the question was read, line by line. labels: the names of those
    that were asked for, in order. hints: notes for the user, a line each: what was corrected, what to do next.
    """

    question: str
    models: tuple[str, ...]
    photos: tuple[Match, ...]
    more: bool
    ranked_by: Literal["label", "similarity", "date"] = "label"
    explanation: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def sure(self) -> bool:
        return any(photo.sure for photo in self.photos)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.photos)

    def __len__(self) -> int:
        return len(self.photos)

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Match, ...]: ...
    def __getitem__(self, index: int | slice) -> Match | tuple[Match, ...]:
        return self.photos[index]


def find(db: Database, question: Question, read_picture: "ReadPicture") -> Answer:
    """The photos that a question is about, best first. Raises QueryError, InputError, ModelError.

    read_picture: (a picture's file, a model's name) -> its vector, for a picture that the library does not hold.
    """
    parsed, only = _prepare(db, question)
    if parsed.ranks_by_similarity:
        return _find_similar(db, parsed, only, read_picture)
    return _find_labeled(db, parsed, only)


def count(db: Database, question: Question, most: int) -> int | None:
    """The number of photos for the labels, counted up to `most`; None where similarity ranks. Raises as find."""
    parsed, only = _prepare(db, question)
    if parsed.ranks_by_similarity:
        return None
    words = parsed.words
    assert words.query is not None
    return matching.count_matches(db, words.query, words.labels, most, question.min_score, only)


def _prepare(db: Database, question: Question) -> tuple[ParsedQuestion, PhotoFilter]:
    model = choose_model(db, question.model)
    has_vectors = model is not None and find_space(db, model) is not None
    parsed = understand(question, list_labels(db, question.model), model=model, has_vectors=has_vectors)
    under = None if question.under is None else check_folder(db, question.under)
    return parsed, matching.filter_photos(db, under, parsed.since, parsed.until, question.file_dates)


def _find_labeled(db: Database, parsed: ParsedQuestion, only: PhotoFilter) -> Answer:
    question, words = parsed.question, parsed.words
    assert words.query is not None
    limit = None if question.sort == "date" or question.limit is None else question.limit + 1
    found = matching.find_matches(
        db, words.query, words.labels, min_score=question.min_score, limit=limit, only=only
    )  # fmt: skip
    ordered = _sort(found if question.copies else fold_copies(found), question.sort)
    return Answer(
        next(iter(words.labels.values())).name if isinstance(words.query, Is) else question.words,
        tuple(dict.fromkeys(label.model for label in words.labels.values())),
        tuple(ordered[: question.limit]),
        question.limit is not None and len(ordered) > question.limit,
        explanation=_explain(parsed),
        labels=_list_label_names(parsed),
    )


def _find_similar(db: Database, parsed: ParsedQuestion, only: PhotoFilter, read_picture: "ReadPicture") -> Answer:
    from photosearch.search.similar import open_similarity_search  # numpy, which a label does without

    question, words, terms = parsed.question, parsed.words, _list_terms(parsed)
    with open_similarity_search(db, question.model, read_picture) as search:
        unit = search.combine(terms, filtered=words.query is not None)
        among = None
        if words.query is not None or only.where:
            among = matching.find_images(db, words.query, words.labels, question.min_score, only)
        texts_only = not (question.like or question.unlike)
        cutoff = search.measure_cutoff(unit) if texts_only else None
        found = _find_nearest(db, search, unit, question, among, only)
    judged = [replace(f, by="similarity", sure=cutoff is None or cutoff.passes(f.score or 0)) for f in found]
    sure = [f for f in judged if f.sure]
    limit = question.max_similar if sure or question.min_similarity is not None else min(UNSURE, question.max_similar)
    shown = sure if question.sure_only else judged
    return Answer(
        " ".join([question.words, *(f"like {p}" for p in question.like), *(f"unlike {p}" for p in question.unlike)])
        .strip(),
        (search.model,),
        tuple(sorted(_sort(shown[:limit], question.sort), key=lambda f: not f.sure)),
        len(shown) > limit,
        "similarity",
        _explain(parsed, cutoff, found[0].score if among is not None and found else None),
        _list_label_names(parsed),
    )  # fmt: skip


def fold_copies(photos: Sequence[Match]) -> list[Match]:
    """The first photo of each image, with the number of the others."""
    counts = Counter(photo.image_id for photo in photos)
    first = {photo.image_id: photo for photo in reversed(photos)}
    return [replace(first[image_id], copies=n - 1) for image_id, n in counts.items()]


def _list_terms(parsed: ParsedQuestion) -> "list[Term]":
    from photosearch.search.similar import Term, read_weight

    question, descriptions = parsed.question, parsed.words.descriptions
    if parsed.words.query is not None and not question.like and not any(d.wanted for d in descriptions):
        raise QueryError("labels filter and don't rank: say too what the photos should show or be like, not only what "
                         "they should not")  # fmt: skip
    terms = [Term(1.0 if d.wanted else -1.0, text=d.text) for d in descriptions]
    for sign, pictures in ((1.0, question.like), (-1.0, question.unlike)):
        for weight, path in map(read_weight, pictures):
            terms.append(Term(sign * weight, picture=path))
    return terms


def _find_nearest(
    db: Database, search: "SimilaritySearch", unit: "Floats", question: Question, among: list[int] | None,
    only: PhotoFilter,
) -> list[Match]:  # fmt: skip
    """The photos of the nearest images, up to the limit plus one. among: image ids."""
    limit = question.max_similar
    least = -math.inf if question.min_similarity is None else question.min_similarity
    fetched = FETCH_FACTOR * (limit + 1)
    while True:
        nearest = search.map.nearest(unit, limit=fetched, among=among) if among is None or among else []
        near = [(image_id, round(similarity, 6)) for image_id, similarity in nearest if similarity >= least]
        found = matching.to_matches(db, near, only)
        found = found if question.copies else fold_copies(found)
        if len(found) > limit or len(near) < fetched:
            return found[: limit + 1]
        fetched *= FETCH_FACTOR


def _sort(found: Sequence[Match], order: str) -> list[Match]:
    return sorted(found, key=lambda f: f.taken, reverse=True) if order == "date" else list(found)


def _list_label_names(parsed: ParsedQuestion) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label.name for label in parsed.words.labels.values()))


def _explain(
    parsed: ParsedQuestion, cutoff: "SimilarityCutoff | None" = None, best_shown: float | None = None
) -> tuple[str, ...]:
    """How a question was read, line by line. best_shown: the best similarity of what filters let through."""
    lines = [*_explain_labels(parsed)]
    lines += [f"{d.text!r}: a description, {'which ranks' if d.wanted else 'to be unlike'}"
              for d in parsed.words.descriptions]  # fmt: skip
    for kind, paths in (("like", parsed.question.like), ("unlike", parsed.question.unlike)):
        lines += [f"{path}: a picture to be {kind}" for path in paths]
    lines += [] if cutoff is None else _explain_cutoff(cutoff)
    lines += [] if best_shown is None else [f"of those that may be shown: the best {best_shown:.3f}"]
    return tuple(lines)


def _explain_labels(parsed: ParsedQuestion) -> Iterator[str]:
    for word, label in parsed.words.labels.items():
        least = label.threshold if parsed.question.min_score is None else parsed.question.min_score
        synonym = "" if word == label.name else f" ({word})"
        yield f"{label.name}{synonym}: a label of {label.model}, which holds from a score of {least:.3f} on"


def _explain_cutoff(cutoff: "SimilarityCutoff") -> Iterator[str]:
    if len(cutoff.photos):
        yield f"similarities here: the best {cutoff.best:.3f}, the middle {cutoff.median:.3f}"
    if cutoff.value is not None:
        n = len(cutoff.descriptions)
        yield (f"similar enough: above {cutoff.value:.3f}, what a quarter of {n:,} everyday descriptions do not "
               f"exceed here; the best exceeds {100 * cutoff.share_below_best:.0f} % of theirs")  # fmt: skip
