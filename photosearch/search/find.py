"""Words -> ranked photos: what was asked for, which labels answer, by which model, and what they find."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from photosearch import query
from photosearch.errors import InputError, QueryError
from photosearch.library import classifiers, matching
from photosearch.library.database import Database, is_below
from photosearch.library.folders import find_scope, list_folders, list_roots, to_stored_path
from photosearch.library.labels import list_described_labels, read_labels
from photosearch.library.matching import Match
from photosearch.library.models import list_models, read_default_model, read_stored_card
from photosearch.library.photos import find_image_at
from photosearch.library.records import Label, VectorSpace
from photosearch.library.vectors import find_space
from photosearch.models.catalog import read_card
from photosearch.search import hierarchy

DATES = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


FETCH_FACTOR = 4  # times as many neighbours are asked for at first, since some of their photos may be gone

ReadPicture = Callable[[str, str], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question found. asked: as it was understood. models: those that answered, by name.

    more: whether the limit left some out. by: what the scores are, 'label' scores of 0..1 or 'similarity' of -1..1.
    similar: False where the best is no more like it than photos are like descriptions of nothing here; then nothing is
    found. explained: how the question was read, line by line. labels: those that were asked for, in order.
    """

    asked: str
    models: tuple[str, ...]
    found: tuple[Match, ...]
    more: bool
    by: Literal["label", "similarity"] = "label"
    similar: bool = True
    explained: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. words: bird and not dog; a cat asleep; dog and "playing in the snow".

    limit: at most so many, by labels; most_similar: the same, where likeness ranks.
    reading: 'label' or 'text' insist that the words are labels, or one description. like, unlike: pictures' files,
    with a weight where one is given: 2:a.jpg. min_score: in place of the labels' thresholds. min_similarity: in place
    of what is learned to be similar enough. under: a folder. since, until: 2024, 2024-05, 2024-05-31, local time, the
    whole of it included. file_dates: a photo that nothing dates counts as taken when its file says. sort: 'best'
    first, or by 'date', the newest first. model: its labels and vectors, in place of those of the one that answers.
    """

    words: str = ""
    limit: int | None = None
    most_similar: int = 20
    reading: Literal["label", "text"] | None = None
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    min_score: float | None = None
    min_similarity: float | None = None
    under: str | None = None
    since: str | None = None
    until: str | None = None
    file_dates: bool = False
    sort: Literal["best", "date"] = "best"
    model: str | None = None


@dataclass(frozen=True, slots=True)
class _Understood:
    """labels: for each name in `wanted`, the label that is meant. texts: (description, whether it is wanted)."""

    wanted: query.Query | None
    labels: dict[str, Label]
    texts: tuple[tuple[str, bool], ...]


def find(db: Database, asked: Question, read_picture: ReadPicture) -> Answer:
    """Labels and dates filter, descriptions and pictures rank. Raises QueryError, InputError, ModelError.

    A known label is a label; anything else is a description. read_picture: (a photo's file, a model's name) -> its
    vector, where the library does not hold it.
    """
    understood, only = _prepare(db, asked)
    if _ranks(understood, asked):
        return _find_similar(db, asked, understood, only, read_picture)
    assert understood.wanted is not None
    limit = None if asked.sort == "date" or asked.limit is None else asked.limit + 1
    found = matching.find_matches(
        db, understood.wanted, understood.labels, min_score=asked.min_score, limit=limit, only=only
    )
    models = tuple(dict.fromkeys(label.model for label in understood.labels.values()))
    is_label = isinstance(understood.wanted, query.Is)
    name = next(iter(understood.labels.values())).name if is_label else asked.words
    shown = _sort(found, asked.sort)
    more = asked.limit is not None and len(shown) > asked.limit
    explained = _explain(understood, asked)
    return Answer(name, models, tuple(shown[: asked.limit]), more, explained=explained, labels=_names(understood))


def count(db: Database, asked: Question, most: int) -> int | None:
    """How many photos the labels hold for, counted up to `most`; None where likeness ranks. Raises as `find`."""
    understood, only = _prepare(db, asked)
    if _ranks(understood, asked):
        return None
    assert understood.wanted is not None
    return matching.count_matches(db, understood.wanted, understood.labels, most, asked.min_score, only)


def _prepare(db: Database, asked: Question) -> tuple[_Understood, matching.PhotoFilter]:
    under = None if asked.under is None else check_folder(db, asked.under)
    only = matching.filter_photos(db, under, check_date(asked.since), check_date(asked.until), asked.file_dates)
    understood = understand(db, asked)
    if asked.min_score is not None and not understood.labels:
        raise QueryError("a smallest score is for labels, and none is asked for; give a smallest similarity")
    if asked.min_similarity is not None and not _ranks(understood, asked):
        raise QueryError("a smallest similarity is for descriptions and pictures; of a label, give a smallest score")
    return understood, only


def _ranks(understood: _Understood, asked: Question) -> bool:
    """Whether likeness orders the answer, and not a score."""
    return bool(understood.texts or asked.like or asked.unlike)


def understand(db: Database, asked: Question) -> _Understood:
    """Read the words: which are labels, which are descriptions. Raises QueryError."""
    if not asked.words.strip():
        if asked.like or asked.unlike:
            return _Understood(None, {}, ())
        raise QueryError("say what to find; for example: bird and not dog")
    by_name = {label.name: label for label in reversed(list_labels(db, asked.model))}
    whole = " ".join(asked.words.split())
    if asked.reading == "text":
        return _Understood(None, {}, ((whole.strip("\"'"), True),))
    ranks = asked.reading is None and _space(db, asked.model) is not None
    try:
        tree = query.Is(whole) if whole in by_name else query.parse(asked.words)  # a label's name may hold anything
    except QueryError:
        if ranks and len(whole) <= query.MAX_LENGTH and not re.search(r"[()\"]", whole):
            return _Understood(None, {}, ((whole, True),))  # a sentence that ends in "and", or with an apostrophe
        raise
    meant = {name: hierarchy.find_label(name, by_name) for name in query.list_labels(tree)}
    unknown = [name for name, label in meant.items() if label is None]
    if unknown and not ranks:
        if not by_name and (model := model_name(db, asked.model)) is not None:
            raise QueryError(f"no label {unknown[0]!r}: {model} knows no labels, only descriptions")
        resolve_label(unknown[0], by_name)  # says what is near
    if unknown and len(meant) > 1 and not re.search(r"[()\"']|\bnot\b", asked.words):
        return _Understood(None, {}, ((whole, True),))  # "a man and a dog on a beach"
    labels = {name: by_name[label] for name, label in meant.items() if label is not None}
    parts: list[query.Query] = []
    texts: list[tuple[str, bool]] = []
    for part in tree.parts if isinstance(tree, query.And) else (tree,):
        match part:
            case query.Is(name) if name in unknown:
                texts.append((name, True))
            case query.Not(query.Is(name)) if name in unknown:
                texts.append((name, False))
            case _ if not set(query.list_labels(part)) & set(unknown):
                parts.append(part)
            case _:
                raise QueryError(
                    f"{next(n for n in query.list_labels(part) if n in unknown)!r} is no label, so it describes, and a "
                    "description ranks: it can stand alone, or be joined to the rest by `and`"
                )
    wanted = None if not parts else parts[0] if len(parts) == 1 else query.And(tuple(parts))
    return _Understood(wanted, {n: labels[n] for p in parts for n in query.list_labels(p)}, tuple(texts))


def _space(db: Database, model: str | None) -> VectorSpace | None:
    name = model_name(db, model)
    return None if name is None else find_space(db, name)


def _find_similar(
    db: Database, asked: Question, understood: _Understood, only: matching.PhotoFilter, read_picture: ReadPicture
) -> Answer:
    from photosearch.search import similar

    name = model_name(db, asked.model)
    space = None if name is None else find_space(db, name)
    if name is None:
        raise QueryError("nothing is indexed yet; run `photosearch index FOLDER`")
    if space is None:
        raise QueryError(f"{name} gives no vectors, so likeness can't be asked for; index with another model")
    terms = [similar.Term(1.0 if yes else -1.0, text=text) for text, yes in understood.texts]
    if understood.wanted is not None and not asked.like and not any(yes for _, yes in understood.texts):
        raise QueryError("labels filter and don't rank: say too what the photos should show or be like, not only what "
                         "they should not")  # fmt: skip
    for sign, pictures in ((1.0, asked.like), (-1.0, asked.unlike)):
        for picture in pictures:
            weight, path = similar.read_weight(picture)
            terms.append(similar.Term(sign * weight, picture=path))
    limit = asked.most_similar
    with similar.SimilaritySearch(
        db, name, space, lambda path: read_picture(path, name), lambda path: find_image_at(db, path)
    ) as likeness:
        unit = likeness.combine(terms, filtered=understood.wanted is not None)
        among = None
        if understood.wanted is not None or only.where:
            among = matching.find_images(db, understood.wanted, understood.labels, asked.min_score, only)
        texts_only = not (asked.like or asked.unlike)
        meaning = likeness.learn(unit) if texts_only else None
        least = asked.min_similarity
        found = _nearest(db, likeness, unit, limit, among, only, least)
    # What counts is the best that may be shown: the best of all may lie in another folder, or be gone.
    enough = least is not None or meaning is None or not found or meaning.is_enough(found[0].score)
    more = enough and len(found) > limit
    shown = _sort(found[:limit], asked.sort) if enough else []
    whole = " ".join([asked.words, *(f"like {p}" for p in asked.like), *(f"unlike {p}" for p in asked.unlike)]).strip()
    explained = _explain(understood, asked, meaning)
    if among is not None and found:
        explained += (f"of those that may be shown: the best {found[0].score:.3f}",)
    return Answer(whole, (name,), tuple(shown), more, "similarity", enough, explained, _names(understood))


def _nearest(
    db: Database, likeness: Any, unit: Any, limit: int, among: list[int] | None, only: matching.PhotoFilter,
    least: float | None,
) -> list[Match]:  # fmt: skip
    """The photos whose pictures are nearest, one more than `limit` where there are so many."""
    wanted = FETCH_FACTOR * (limit + 1)
    while True:
        nearest = likeness.map.nearest(unit, limit=wanted, among=among) if among is None or among else []
        near = [(i, round(s, 6)) for i, s in nearest if least is None or s >= least]
        found = matching.to_matches(db, near, only)
        if len(found) > limit or len(near) < wanted:
            return found[: limit + 1]
        wanted *= FETCH_FACTOR


def _sort(found: Sequence[Match], order: str) -> list[Match]:
    return sorted(found, key=lambda f: f.taken, reverse=True) if order == "date" else list(found)


def _names(understood: _Understood) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label.name for label in understood.labels.values()))


def _explain(understood: _Understood, asked: Question, meaning: Any = None) -> tuple[str, ...]:
    """How a question was read, in lines that a person understands."""
    lines = []
    for name, label in understood.labels.items():
        at = label.threshold if asked.min_score is None else asked.min_score
        also = "" if name == label.name else f" ({name})"
        lines.append(f"{label.name}{also}: a label of {label.model}, which holds from a score of {at:.3f} on")
    lines += [f"{text!r}: a description, {'which ranks' if yes else 'to be unlike'}" for text, yes in understood.texts]
    lines += [f"{path}: a picture to be {how}" for how, paths in (("like", asked.like), ("unlike", asked.unlike))
              for path in paths]  # fmt: skip
    if meaning is not None and len(meaning.photos):
        middle = float(meaning.photos[len(meaning.photos) // 2])
        lines.append(f"similarities here: the best {meaning.best:.3f}, the middle {middle:.3f}")
    if meaning is not None and meaning.least is not None:
        n = len(meaning.descriptions)
        lines.append(f"similar enough: above {meaning.least:.3f}, what a quarter of {n:,} everyday descriptions do not "
                     f"exceed here; the best exceeds {100 * meaning.above:.0f} % of theirs")  # fmt: skip
    return tuple(lines)


def model_name(db: Database, model: str | None) -> str | None:
    """The model that is asked: the given one, by name or file, else the one that answers."""
    if model is None:
        return read_default_model(db)
    return read_card(Path(model)).name if os.path.isfile(model) else model


def check_folder(db: Database, folder: str) -> str:
    """A folder that a question is about, as the library spells it. Raises InputError where it knows nothing there."""
    path = to_stored_path(db, folder)
    known = list_roots(db)
    if not any(path == r.root or is_below(path, r.root) or is_below(r.root, path) for r in known):
        names = ", ".join(root.root for root in known) or "none"
        raise InputError(f"{folder}: in no folder that is known; known are {names}")
    scope = find_scope(db, path)
    if scope is not None and not os.path.isdir(path) and not list_folders(db, scope):
        raise InputError(f"{folder}: no such folder, and none is known by that name")
    return path


def find_labels(db: Database, names: Iterable[str], model: str | None = None) -> dict[str, Label]:
    """For each name the label that is meant: the given model's, else that of the one that answers, else another's.

    Raises QueryError, which lists the nearest labels; InputError where the model has looked at nothing here.
    """
    by_name: dict[str, Label] = {}
    for label in list_labels(db, model):
        by_name.setdefault(label.name, label)
    return {name: by_name[resolve_label(name, by_name)] for name in names}


def list_labels(db: Database, model: str | None = None) -> list[Label]:
    """Every label that may be asked for, those of the model that answers first; model: only that model's labels.

    model: a name, or a model's file. Raises InputError where it has looked at nothing here.
    """
    if model is None:
        return read_labels(db)
    name = model_name(db, model)
    if name not in (known := sorted({m.name for m in list_models(db)})):
        raise InputError(f"{model} has looked at no photo here; known are {', '.join(known) or 'none'}")
    return read_labels(db, name)


def describe_label(db: Database, name: str, model: str | None = None) -> dict[str, Any]:
    """What is known of a label, ready for JSON. Raises QueryError, InputError."""
    label = find_labels(db, [name], model)[name]
    known = {other.name for other in read_labels(db, label.model)}
    texts = {own.name: text for own, text in list_described_labels(db, label.model)}
    told: dict[str, Any] = {"label": label.name, "model": label.model, "threshold": label.threshold,
                            "saved": label.saved, "rests_on": None, "text": texts.get(label.name), "learned": None,
                            "measured": [],
                            "above": hierarchy.list_above(label.name, known),
                            "below": hierarchy.list_below(label.name, known),
                            "synonyms": [w for w, of in hierarchy.read_synonyms().items()
                                         if of == label.name]}  # fmt: skip
    if (head := classifiers.find_classifier(db, label)) is not None:
        told["rests_on"], told["learned"] = head.metrics["rests_on"], head.metrics
    elif told["text"] is None:
        card = read_stored_card(db, label.model)
        told["rests_on"] = "your own choice" if label.saved else card.thresholds_rest_on.get(label.name)
        told["measured"] = [dict(row) for row in card.measured if row.get("label") == label.name]
    return told


def resolve_label(name: str, known: Mapping[str, object] | Iterable[str]) -> str:
    """The known label that is meant. Raises QueryError."""
    names = list(known)
    if not names:
        raise QueryError(f"no label {name!r}: nothing is indexed yet; run `photosearch index FOLDER`")
    return hierarchy.find_label(name, names) or query.resolve(name, names)


def check_date(text: str | None) -> str | None:
    """2024, 2024-05 or 2024-05-31 12:00 -> the same as it is compared. Raises InputError."""
    if text is None:
        return None
    for form in DATES:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.replace(" ", "T"), form).strftime(form)
    raise InputError(f"{text!r} is no date; write it as 2024, 2024-05 or 2024-05-31")
