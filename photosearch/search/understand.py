"""How a question is read: words -> labels, descriptions, pictures and dates, in one pure step.

Labels filter, descriptions and pictures rank. A known label is a label, and everything else is a description where the
model has vectors. Quotes, brackets and `not` are operators; without them, words that are not all labels are one
description: "a man and a dog on a beach". `query_mode` overrules all this.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from photosearch import query
from photosearch.errors import InputError, QueryError
from photosearch.library.records import Label
from photosearch.search.label_names import match_label, resolve_label
from photosearch.search.labels import index_labels
from photosearch.search.limits import DEFAULT_SIMILAR

DATE_FORMATS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. words: bird and not dog; a cat asleep; dog and "playing in the snow".

    limit: the most photos where labels answer, None: all; max_similar: where similarity ranks. query_mode: 'label' or
    'text' read the words as labels only, or as one description. like, unlike: files of pictures, with a weight where
    one is given: 2:a.jpg. min_score: replaces the labels' thresholds, 0..1. min_similarity: -1..1. sure_only: no photos
    that only come near. copies: list each copy of a picture. under: a folder. since, until: local dates such as 2024,
    2024-05, 2024-05-31, inclusive. file_dates: undated photos take their files' dates. sort: 'best' first, or by
    'date', the newest first. model: a name or file; None: the default.
    """

    words: str = ""
    limit: int | None = None
    max_similar: int = DEFAULT_SIMILAR
    query_mode: Literal["label", "text"] | None = None
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    min_score: float | None = None
    min_similarity: float | None = None
    sure_only: bool = False
    copies: bool = False
    under: str | None = None
    since: str | None = None
    until: str | None = None
    file_dates: bool = False
    sort: Literal["best", "date"] = "best"
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """Words that rank. wanted: False where photos should be unlike them."""

    text: str
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class ParsedWords:
    """query: what the labels must fulfil, None without any. labels: each name in it -> the label that it means."""

    query: query.Query | None
    labels: Mapping[str, Label]
    descriptions: tuple[Description, ...]


@dataclass(frozen=True, slots=True)
class ParsedQuestion:
    """A question as it was understood. since, until: as they are compared with the dates of photos."""

    question: Question
    words: ParsedWords
    since: str | None
    until: str | None

    @property
    def ranks_by_similarity(self) -> bool:
        """Whether similarity orders the answer, and not a score."""
        return bool(self.words.descriptions or self.question.like or self.question.unlike)


def understand(question: Question, labels: Sequence[Label], *, model: str | None, has_vectors: bool) -> ParsedQuestion:
    """Read a question. Raises QueryError, InputError.

    labels: those that can be asked for, the first of a name counts. model: the name of the model that answers, None
    where nothing is indexed. has_vectors: whether it can rank by descriptions.
    """
    since, until = parse_date(question.since), parse_date(question.until)
    parsed = ParsedQuestion(question, _parse_words(question, index_labels(labels), model, has_vectors), since, until)
    if question.min_score is not None and not parsed.words.labels:
        raise QueryError("a minimum score applies to labels, and this question names none; give a minimum similarity")
    if question.min_similarity is not None and not parsed.ranks_by_similarity:
        raise QueryError("a minimum similarity applies to descriptions and pictures; for a label, give a minimum score")
    return parsed


def parse_date(text: str | None) -> str | None:
    """2024, 2024-05 or 2024-05-31 12:00 -> the same as photos' dates are compared with it. Raises InputError."""
    if text is None:
        return None
    for form in DATE_FORMATS:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.replace(" ", "T"), form).strftime(form)
    raise InputError(f"{text!r} is not a date; write it as 2024, 2024-05 or 2024-05-31")


def _parse_words(question: Question, known: Mapping[str, Label], model: str | None, has_vectors: bool) -> ParsedWords:
    whole = " ".join(question.words.split())
    if not whole and not (question.like or question.unlike):
        raise QueryError("say what to find; for example: bird and not dog")
    if not whole:
        return ParsedWords(None, {}, ())
    if question.query_mode == "text":
        return ParsedWords(None, {}, (Description(whole.strip("\"'")),))
    may_describe = has_vectors and question.query_mode is None
    tree = _parse_tree(question.words, whole, known, may_describe)
    meant = {} if tree is None else {name: match_label(name, known) for name in query.list_labels(tree)}
    unknown = [name for name, label in meant.items() if label is None]
    if unknown and not may_describe:
        _refuse_unknown(unknown[0], known, model)
    if tree is None or (unknown and len(meant) > 1 and not _has_operators(question.words)):
        return ParsedWords(None, {}, (Description(whole),))
    return _split(tree, {name: known[label] for name, label in meant.items() if label is not None})


def _parse_tree(words: str, whole: str, known: Mapping[str, Label], may_describe: bool) -> query.Query | None:
    """The words as a tree; None for a sentence that is none: it ends in "and", or has an apostrophe at a word's end."""
    if whole in known:  # a label's name may hold anything
        return query.Is(whole)
    try:
        return query.parse(words)
    except QueryError:
        if not may_describe or len(whole) > query.MAX_LENGTH or _has_brackets(words):
            raise
        return None


def _has_brackets(words: str) -> bool:
    """Whether words hold brackets or double quotes, which no sentence needs."""
    tokens = query.tokenize(words)
    return any(t.kind in ("bracket", "double") or (t.kind == "unclosed" and words[t.start] == '"') for t in tokens)


def _has_operators(words: str) -> bool:
    """Whether the user has said how the words belong together; `and` and `or` alone stand in any sentence."""
    return any(t.kind in ("bracket", "double", "single") or t.keyword == "not" for t in query.tokenize(words))


def _refuse_unknown(name: str, known: Mapping[str, Label], model: str | None) -> None:
    if not known and model is not None:
        raise QueryError(f"no label {name!r}: {model} knows no labels, only descriptions")
    resolve_label(name, known)


def _split(tree: query.Query, labels: Mapping[str, Label]) -> ParsedWords:
    """Part the labels of a tree from its descriptions, which `and` alone may join. Raises QueryError."""
    filters: list[query.Query] = []
    descriptions: list[Description] = []
    for part in tree.parts if isinstance(tree, query.And) else (tree,):
        match part:
            case query.Is(name) if name not in labels:
                descriptions.append(Description(name))
            case query.Not(query.Is(name)) if name not in labels:
                descriptions.append(Description(name, wanted=False))
            case _ if unknown := [name for name in query.list_labels(part) if name not in labels]:
                raise QueryError(
                    f"{unknown[0]!r} is no label, so it describes, and a description ranks: it can stand alone, or be "
                    "joined to the rest by `and`"
                )
            case _:
                filters.append(part)
    joined = None if not filters else filters[0] if len(filters) == 1 else query.And(tuple(filters))
    used = {} if joined is None else {name: labels[name] for name in query.list_labels(joined)}
    return ParsedWords(joined, used, tuple(descriptions))
