"""Questions -> ranked photos; understand.py reads the words.

Labels answer with the photos that score their thresholds. Where these are few, the nearest by description follow.
Descriptions and pictures rank, and the labels that a description names rank with it. Dates alone list photos, the
newest first.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, overload

from photosearch.errors import ModelError
from photosearch.library import matching
from photosearch.library.albums import Album
from photosearch.library.database import Database
from photosearch.library.filtering import Filter, FilterTree, filter_by_details, has_photos, read_known_names
from photosearch.library.matching import Match, PhotoFilter
from photosearch.library.photos import read_fingerprints
from photosearch.library.records import Label
from photosearch.library.vectors import find_space
from photosearch.library.words import has_file
from photosearch.query import Is
from photosearch.search.albums import resolve_album
from photosearch.search.filters import NO_FILTERS
from photosearch.search.fold import fold_copies
from photosearch.search.full_text import SpokenWords, fuse_words, look_up_words
from photosearch.search.hints import advise_on_larger_model, check_words
from photosearch.search.label_names import match_label
from photosearch.search.labels import list_labels
from photosearch.search.limits import DEFAULT_SIMILAR
from photosearch.search.plain_filters import read_filters
from photosearch.search.reading import describe_reading
from photosearch.search.scope import check_folder, choose_model
from photosearch.search.understand import ParsedQuestion, Question, read_day, understand
from photosearch.search.why import explain_photos

if TYPE_CHECKING:
    from photosearch.search.similar import Floats, LabelScores, Term

    ReadPicture = Callable[[str, str], Floats]

CANDIDATES = 500  # images that are ranked at least, since what is not wanted and labels change their order
FILE_NAME = re.compile(
    r"(?=.*[^\W\d_])(?=.*\d)[\w~+()-]{4,}(\.\w{2,5})?|[\w~+()-]+\.[^\W\d_]{3,4}"
)  # IMG_1234, cake.png
YEAR = re.compile(r"[0-9]{4}")
FETCH_FACTOR = 4  # images fetched at first for each photo wanted, since some of their photos may be gone


@dataclass(frozen=True, slots=True)
class Answer:
    """The photos that a question finds: iterable, with a length, indexed from the best on.

    question: as it was understood. models: the names of those that answered. photos: the sure ones first, then the
    nearest others. more: whether the limit left some out. ranked_by: 'label', 'similarity', or 'date', the newest
    first. sure: whether any photo is. explanation: how the question was read, line by line. labels: the names of those
    that were asked for, in order. hints: notes for the user, a line each: what was corrected, what to do next
    (a Hint where that is a question or a label). since, until: the local dates that were asked for, in words too,
    inclusive.
    """

    question: str
    models: tuple[str, ...]
    photos: tuple[Match, ...]
    more: bool
    ranked_by: Literal["label", "similarity", "date"] = "label"
    explanation: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None

    @property
    def sure(self) -> bool:
        return any(photo.sure for photo in self.photos)

    def choose(self, *, unsure: bool = False) -> tuple[Match, ...]:
        """The photos that albums and lists of paths take: the sure ones, or all where none is. unsure: all."""
        return tuple(photo for photo in self.photos if photo.sure or unsure) or self.photos

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


def find(db: Database, question: Question, read_picture: "ReadPicture", within: frozenset[int] = frozenset()) -> Answer:
    """The photos that a question is about, best first. Raises QueryError, InputError, ModelError.

    read_picture: (a picture's file, a model's name) -> its vector, for a picture that the library does not hold.
    within: ids of the saved searches that ask this: none may fill itself from itself.
    """
    parsed, only = _prepare(db, question, read_picture, within)
    words, ranked_by = parsed.words, parsed.ranked_by
    photos: list[Match] = []
    more, models, hints = False, list[str](), list(words.hints)
    if ranked_by == "label":
        photos, more = _find_labeled(db, parsed, only)
        models = list(dict.fromkeys(label.model for label in words.labels.values()))
    elif ranked_by == "date":
        photos, more = _find_dated(db, question, only)
    wanted = DEFAULT_SIMILAR if question.max_similar is None else question.max_similar
    explanation = list(_explain(parsed))
    if ranked_by == "similarity" or (words.descriptions and len(photos) < wanted):
        try:
            nearest = _find_similar(db, parsed, only, photos, read_picture)
        except ModelError:
            if ranked_by == "similarity":
                raise
            nearest = None  # without a text model, labels answer alone
        if nearest is not None:
            if ranked_by == "label" and not photos and nearest.photos:
                hints.append(f"No photo reaches the threshold of {_name_question(parsed)}; these come nearest.")
            if ranked_by == "similarity" and not any(photo.sure for photo in nearest.photos):
                hints += filter(None, [advise_on_larger_model(nearest.model)])
            models = models or [nearest.model]
            photos, more, explanation = photos + nearest.photos, nearest.more, [*explanation, *nearest.explanation]
    if not photos and (unmet := _name_unmet(db, parsed, only)):
        hints.append(unmet)
    shown = sorted(_sort(photos, question.sort), key=lambda photo: not photo.sure)
    return Answer(
        _name_question(parsed), tuple(models), tuple(explain_photos(db, parsed, shown)), more, ranked_by,
        tuple(explanation), _list_label_names(parsed), tuple(hints), parsed.since, parsed.until,
    )  # fmt: skip


def count(
    db: Database, question: Question, most: int, read_picture: "ReadPicture", within: frozenset[int] = frozenset()
) -> int | None:
    """The number of photos for labels or dates, counted up to `most`; None where similarity ranks. Raises as find."""
    parsed, only = _prepare(db, question, read_picture, within)
    words = parsed.words
    if parsed.ranked_by == "similarity":
        return None
    if words.query is None:
        return matching.count_photos(db, most, only)
    return matching.count_matches(db, words.query, words.labels, most, question.min_score, only)


def list_album(db: Database, album: Album, limit: int | None) -> Answer:
    """The photos that were chosen for an album, the newest first, each picture once."""
    only = filter_by_details(db, [Filter("album", album.name, album=album.id)], matching.NO_FILTER)
    photos = fold_copies(matching.find_newest(db, None, only), lambda image_ids: {})
    return Answer(album.name, (), tuple(photos[:limit]), len(photos[:limit]) < len(photos), "date")


def explain(db: Database, question: Question) -> dict[str, object]:
    """How a question is read, without an answer: see describe_reading. Raises QueryError, InputError."""
    return describe_reading(_read_question(db, question))


def read_question(
    db: Database, question: Question, read_picture: "ReadPicture"
) -> tuple[ParsedQuestion, PhotoFilter, Answer]:
    """-> (a question as it is understood, which photos may answer it, the answer without its photos).

    read_picture: as in `find`, for saved searches. Raises QueryError, InputError.
    """
    parsed, only = _prepare(db, question, read_picture, frozenset())
    unmet = _name_unmet(db, parsed, only) if only.photos == 0 else None
    answer = Answer(
        _name_question(parsed), (), (), False, parsed.ranked_by, tuple(_explain(parsed)), _list_label_names(parsed),
        (*parsed.words.hints, *([unmet] if unmet else [])), parsed.since, parsed.until,
    )  # fmt: skip
    return parsed, only, answer


def parse_question(db: Database, question: Question) -> ParsedQuestion:
    """A question as it is understood. Raises QueryError, InputError."""
    return _read_question(db, question)


def _prepare(
    db: Database, question: Question, read_picture: "ReadPicture", within: frozenset[int]
) -> tuple[ParsedQuestion, PhotoFilter]:
    """-> (the question as it was understood, which photos may answer it)."""

    def run(saved: Question, asking: frozenset[int]) -> tuple[int, ...]:
        return tuple(photo.image_id for photo in find(db, saved, read_picture, asking).choose())

    parsed = _read_question(db, question)
    parts = tuple(_resolve_albums(part, lambda each: resolve_album(db, each, question.today, within, run))
                  for part in parsed.filters.parts)  # fmt: skip
    parsed = replace(parsed, filters=replace(parsed.filters, parts=parts))
    under = None if question.under is None else check_folder(db, question.under)
    only = matching.filter_photos(db, under, parsed.since, parsed.until, question.file_dates)
    return parsed, filter_by_details(db, parsed.filters.parts, only)


def _resolve_albums(tree: FilterTree, resolve: Callable[[Filter], Filter]) -> FilterTree:
    if isinstance(tree, Filter):
        return resolve(tree)
    return replace(tree, parts=tuple(_resolve_albums(part, resolve) for part in tree.parts))


def _read_question(db: Database, question: Question) -> ParsedQuestion:
    model = choose_model(db, question.model)
    has_vectors = model is not None and db.recall(find_space, model) is not None
    labels = list_labels(db, question.model)
    hints: tuple[str, ...] = ()
    filters, today = NO_FILTERS, read_day(question.today)
    if question.query_mode is None and has_vectors and _is_year_without_photos(db, question):
        question = replace(question, words=f'"{question.words.strip()}"')  # a folder or a text may have it
    if question.query_mode is None and match_label(question.words, [label.name for label in labels]) is None:
        filters, rest = read_filters(question.words, db.recall(read_known_names), today)
        if FILE_NAME.fullmatch(rest) and has_file(db, rest):
            hint = f"Read {rest!r} as a file's name; quotes keep words."
            filters = replace(filters.add(Filter("text", rest)), hints=(*filters.hints, hint))
            rest = ""
        question = replace(question, words=rest)
    if question.query_mode is None and question.words:
        checked = check_words(db, question.words, labels, model)
        question, hints = replace(question, words=checked.words), checked.hints
    if question.album is not None:
        filters = filters.add(Filter("album", question.album))
    parsed = understand(question, labels, model=model, has_vectors=has_vectors, today=today, filters=filters)
    return replace(parsed, words=replace(parsed.words, hints=hints + parsed.words.hints))


def _is_year_without_photos(db: Database, question: Question) -> bool:
    year = question.words.strip()
    return bool(YEAR.fullmatch(year)) and matching.filter_photos(db, None, year, year, question.file_dates).photos == 0


def _find_labeled(db: Database, parsed: ParsedQuestion, only: PhotoFilter) -> tuple[list[Match], bool]:
    question, words = parsed.question, parsed.words
    assert words.query is not None

    def read(limit: int | None) -> list[Match]:
        assert words.query is not None
        return matching.find_matches(
            db, words.query, words.labels, min_score=question.min_score, limit=limit, only=only
        )  # fmt: skip

    return _read_pictures(db, question, None if question.sort == "date" else question.limit, read)


def _find_dated(db: Database, question: Question, only: PhotoFilter) -> tuple[list[Match], bool]:
    return _read_pictures(db, question, question.limit, lambda limit: matching.find_newest(db, limit, only))


def _read_pictures(
    db: Database, question: Question, limit: int | None, read: Callable[[int | None], list[Match]]
) -> tuple[list[Match], bool]:
    """-> (up to question.limit photos, whether there are more). read: gives so many photos, None: all.

    Copies of a picture are one, so that more photos may have to be read.
    """
    fetched = None if limit is None else limit + limit // 4 + 1
    while True:
        found = read(fetched)
        photos = _sort(_fold(db, question, found), question.sort)
        if fetched is None or limit is None or len(photos) > limit or len(found) < fetched:
            most = len(photos) if question.limit is None else question.limit
            return photos[:most], len(photos) > most
        fetched *= FETCH_FACTOR


def _fold(db: Database, question: Question, photos: Sequence[Match]) -> list[Match]:
    if question.copies:
        return list(photos)
    return fold_copies(photos, lambda image_ids: read_fingerprints(db, image_ids))


@dataclass(frozen=True, slots=True)
class _Nearest:
    """What similarity found. model: whose vectors were compared."""

    photos: list[Match]
    more: bool
    model: str
    explanation: tuple[str, ...]


def _find_similar(
    db: Database, parsed: ParsedQuestion, only: PhotoFilter, before: Sequence[Match], read_picture: "ReadPicture"
) -> _Nearest:
    """The nearest photos, up to question.max_similar. before: photos that were found by labels, and count."""
    from photosearch.search.similar import open_similarity_search  # numpy, which a label does without

    question, words = parsed.question, parsed.words
    with open_similarity_search(db, question.model, read_picture) as search:
        unit = search.combine(_list_terms(parsed), filtered=words.among is not None)
        among = None
        if words.among is not None or only.where:
            among = matching.find_images(db, words.among, words.labels, question.min_score, only)
        limit = (DEFAULT_SIMILAR if question.max_similar is None else question.max_similar) - len(before)
        wanted = any(d.wanted for d in words.descriptions)
        others = [d.text for d in words.descriptions if not d.wanted] if wanted else []
        unwanted = list(search.embed_texts(others)) if others else []
        fetched = max(CANDIDATES, FETCH_FACTOR * (limit + len(before) + 1))
        known = {photo.image_id for photo in before}
        spoken, also = _look_up(db, parsed, len(search.map), among), list[int]()
        if spoken is not None:
            also = search.choose_candidates(unit, {i: spoken.weigh(i) for i in spoken.found}, CANDIDATES)
        while True:
            labels = [_read_label(db, label, fetched, words.named) for label in words.boosts]
            ranked = search.rank(unit, limit=fetched, among=among, unwanted=unwanted, labels=labels, also=also,
                                 judge=bool(words.descriptions))  # fmt: skip
            if spoken is not None:
                ranked = fuse_words(db, spoken, ranked)
            evidence = {r.image_id: r.evidence for r in ranked if r.image_id not in known}
            least = -2.0 if question.min_similarity is None else question.min_similarity
            near = [(r.image_id, round(r.similarity, 6)) for r in ranked
                    if r.image_id not in known and r.similarity >= least]  # fmt: skip
            found = _fold(db, question, matching.to_matches(db, near, only))
            if len(found) > limit or len(ranked) < fetched:
                break
            fetched *= FETCH_FACTOR
        shown = _judge(parsed, found, evidence, limit)
        model = search.model
    explanation = _explain_evidence(found, evidence)
    if spoken is not None:
        explanation += ("words of the description are in what files say, which raises the photos that have them",)
    return _Nearest(shown, len(found) > len(shown), model, explanation)


def _look_up(db: Database, parsed: ParsedQuestion, n_images: int, among: Sequence[int] | None) -> SpokenWords | None:
    """The description's words in what files say; None where none is there."""
    text = " ".join(d.text for d in parsed.words.descriptions if d.wanted and not parsed.has_pictures)
    return look_up_words(db, text, n_images, among) if text else None


def _read_label(db: Database, label: Label, limit: int, named: float) -> "LabelScores":
    from photosearch.search.similar import LabelScores

    best = matching.list_best(db, label, limit)
    return LabelScores(best, label.threshold, lambda image_ids: matching.read_label_scores(db, label, image_ids),
                       named)  # fmt: skip


def _judge(parsed: ParsedQuestion, found: Sequence[Match], evidence: Mapping[int, float], limit: int) -> list[Match]:
    """Those to show of the photos in their order, each sure or not; what is like a picture is sure."""
    from photosearch.search.similarity_cutoff import SURE, find_end

    question = parsed.question
    judged = [
        replace(f, by="similarity", sure=parsed.has_pictures or evidence[f.image_id] >= SURE) for f in found[:limit]
    ]
    if question.max_similar is None and question.min_similarity is None and not parsed.has_pictures:
        judged = judged[: find_end([evidence[photo.image_id] for photo in judged])]
    return [photo for photo in judged if photo.sure or not question.sure_only]


def _list_terms(parsed: ParsedQuestion) -> "list[Term]":
    """What adds up to one vector: the description, pictures; what is not wanted only where nothing else is said."""
    from photosearch.search.similar import Term, read_weight

    question, descriptions = parsed.question, parsed.words.descriptions
    terms = [Term(1.0, text=d.text) for d in descriptions if d.wanted]
    if not terms:
        terms = [Term(-1.0, text=d.text) for d in descriptions]
    for sign, pictures in ((1.0, question.like), (-1.0, question.unlike)):
        for weight, path in map(read_weight, pictures):
            terms.append(Term(sign * weight, picture=path))
    return terms


def _name_question(parsed: ParsedQuestion) -> str:
    question, words = parsed.question, parsed.words
    name = next(iter(words.labels.values())).name if isinstance(words.query, Is) else question.words
    pictures = [*(f"like {path}" for path in question.like), *(f"unlike {path}" for path in question.unlike)]
    return " ".join([name, *map(str, parsed.filters.parts), *pictures]).strip()


def _name_unmet(db: Database, parsed: ParsedQuestion, only: PhotoFilter) -> str | None:
    """The filter that no photo meets, or all of them where no photo meets them together."""
    parts = parsed.filters.parts
    if not parts or has_photos(db, only):
        return None
    for part in parts:
        if not has_photos(db, filter_by_details(db, [part], matching.NO_FILTER)):
            return f"No photo here is {part}."
    dates = [f"since {parsed.since}"] * bool(parsed.since) + [f"until {parsed.until}"] * bool(parsed.until)
    return f"No photo here is all of: {', '.join([*map(str, parts), *dates])}."


def _sort(found: Sequence[Match], order: str) -> list[Match]:
    return sorted(found, key=lambda f: f.taken, reverse=True) if order == "date" else list(found)


def _list_label_names(parsed: ParsedQuestion) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label.name for label in parsed.words.labels.values()))


def _explain(parsed: ParsedQuestion) -> Iterator[str]:
    """How a question was read, line by line."""
    words, question = parsed.words, parsed.question
    for word, label in words.labels.items():
        least = label.threshold if question.min_score is None else question.min_score
        synonym = "" if word == label.name else f" ({word})"
        yield f"{label.name}{synonym}: a label of {label.model}, which holds from a score of {least:.3f} on"
    for label in words.boosts:
        if label not in words.labels.values():
            yield f"{label.name}: a label of {label.model}, which raises the rank of photos that have it"
    for d in words.descriptions:
        yield f"{d.text!r}: a description, {'which ranks' if d.wanted else 'to be unlike'}"
    for part in parsed.filters.parts:
        yield f"{part}: a filter, which leaves only photos that it holds for"
    for kind, paths in (("like", question.like), ("unlike", question.unlike)):
        for path in paths:
            yield f"{path}: a picture to be {kind}"


def _explain_evidence(found: Sequence[Match], evidence: Mapping[int, float]) -> tuple[str, ...]:
    from photosearch.search.similarity_cutoff import SURE

    if not found:
        return ()
    best = max(found, key=lambda photo: photo.score or 0.0)
    return (
        f"the nearest has a similarity of {best.score:.3f}, {evidence[best.image_id]:.1f} standard deviations above "
        f"everyday descriptions; sure from {SURE:.1f} on",
    )
